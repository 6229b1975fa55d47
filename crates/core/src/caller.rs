//! Who is asking, as the bearer token proved it. A token is never the source of rights: it says
//! who, and what the client may ask for in that name.

use std::collections::BTreeSet;

use crate::id::{ClientId, CustomerId, ProductId, StaffId, TokenFamilyId};
use crate::scope::{Scope, ScopeSet};
use crate::secret::SecretDigest;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    pub who: Principal,
    pub client_id: ClientId,
    pub family_id: TokenFamilyId,
    pub scopes: ScopeSet,
    /// By which access token. Whether it still lives is asked once more when rights are judged: it
    /// may have ended between the door and the decision (P1).
    pub token: SecretDigest,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    Customer(CustomerId),
    /// A confidential client of the maker in its own name (client credentials).
    Machine {
        products: ProductReach,
    },
    Staff {
        staff_id: StaffId,
        products: ProductReach,
    },
}

/// On which products a machine or staff member may act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProductReach {
    All,
    Only(BTreeSet<ProductId>),
}

impl ProductReach {
    pub fn covers(&self, product_id: ProductId) -> bool {
        match self {
            Self::All => true,
            Self::Only(products) => products.contains(&product_id),
        }
    }
}

impl Caller {
    pub fn has(&self, scope: Scope) -> bool {
        self.scopes.contains(scope)
    }

    pub fn customer_id(&self) -> Option<CustomerId> {
        match &self.who {
            Principal::Customer(customer_id) => Some(*customer_id),
            Principal::Machine { .. } | Principal::Staff { .. } => None,
        }
    }

    pub fn staff_id(&self) -> Option<StaffId> {
        match &self.who {
            Principal::Staff { staff_id, .. } => Some(*staff_id),
            Principal::Customer(_) | Principal::Machine { .. } => None,
        }
    }

    /// The products of a machine or staff member; a customer's reach comes from grants alone.
    pub fn reach(&self) -> Option<&ProductReach> {
        match &self.who {
            Principal::Machine { products } | Principal::Staff { products, .. } => Some(products),
            Principal::Customer(_) => None,
        }
    }
}
