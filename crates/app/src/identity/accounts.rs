//! Accounts of customers and staff, as the maker makes and ends them.

use std::collections::BTreeSet;

use ostler_core::caller::{Caller, ProductReach};
use ostler_core::email::{EmailAddress, InvalidEmailAddress};
use ostler_core::id::{CustomerId, ProductId, StaffId};
use ostler_core::staff::StaffRole;
use ostler_store::{Actor, Created, CustomerRecord, Listed, NewCustomer, NewStaff, Page, StoreError};

use super::passwords::{Overloaded, Password};
use crate::App;
use crate::permits::Ended;

#[derive(Debug)]
pub struct CustomerRequest {
    pub email: String,
    pub password: Option<Password>,
    pub name: Option<String>,
    pub products: BTreeSet<ProductId>,
}

#[derive(Debug)]
pub struct StaffRequest {
    pub email: String,
    pub password: Password,
    pub name: Option<String>,
    pub role: StaffRole,
    pub products: ProductReach,
}

#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    #[error(transparent)]
    Email(#[from] InvalidEmailAddress),
    #[error("a password must have at least 8 characters and at most 1024 bytes")]
    Password,
    #[error("a name must have 1 to 100 characters, no control characters")]
    Name,
    #[error("the e-mail address belongs to another account")]
    Taken,
    #[error("there is no such product")]
    NoSuchProduct,
    #[error("there is no such account")]
    NotFound,
    #[error(transparent)]
    Overloaded(#[from] Overloaded),
    #[error("the account could not be read or written")]
    Store(#[from] StoreError),
}

const NAME_CHARS_MAX: usize = 100;

fn checked_name(name: Option<String>) -> Result<Option<String>, AccountError> {
    let Some(name) = name else { return Ok(None) };
    let name = name.trim();
    let is_name = !name.is_empty() && name.chars().count() <= NAME_CHARS_MAX && !name.chars().any(char::is_control);
    is_name.then(|| Some(name.to_owned())).ok_or(AccountError::Name)
}

fn created(created: Created) -> Result<(), AccountError> {
    match created {
        Created::Created => Ok(()),
        Created::Taken => Err(AccountError::Taken),
    }
}

impl App {
    pub async fn create_customer(&self, request: CustomerRequest, by: Actor) -> Result<CustomerId, AccountError> {
        let now = self.clock.now();
        let email: EmailAddress = request.email.parse()?;
        let name = checked_name(request.name)?;
        let password_hash = match request.password {
            Some(password) => Some(self.hashed(password).await?),
            None => None,
        };
        let id = CustomerId::draw(now, &*self.entropy);
        let new = NewCustomer {
            id,
            email,
            name,
            password_hash,
            products: request.products,
        };
        let done = self.store.create_customer(&new, by, now).await.map_err(|error| {
            if error.is_foreign_key_violation() {
                AccountError::NoSuchProduct
            } else {
                error.into()
            }
        })?;
        created(done).map(|()| id)
    }

    pub async fn create_staff(&self, request: StaffRequest, by: Actor) -> Result<StaffId, AccountError> {
        let now = self.clock.now();
        let email: EmailAddress = request.email.parse()?;
        let name = checked_name(request.name)?;
        let password_hash = self.hashed(request.password).await?;
        let id = StaffId::draw(now, &*self.entropy);
        let new = NewStaff {
            id,
            email,
            name,
            password_hash,
            role: request.role,
            products: request.products,
        };
        created(self.store.create_staff(&new, by, now).await?).map(|()| id)
    }

    async fn hashed(&self, password: Password) -> Result<String, AccountError> {
        if !password.is_acceptable() {
            return Err(AccountError::Password);
        }
        Ok(self.identity.passwords.hash(password, &*self.entropy).await?)
    }

    pub async fn customer(&self, id: CustomerId) -> Result<CustomerRecord, AccountError> {
        self.store.customer(id).await?.ok_or(AccountError::NotFound)
    }

    /// The caller's own account.
    pub async fn own_account(&self, caller: &Caller) -> Result<CustomerRecord, AccountError> {
        self.customer(caller.customer_id().ok_or(AccountError::NotFound)?).await
    }

    pub async fn customers(&self, page: Page<CustomerId>) -> Result<Listed<CustomerRecord>, AccountError> {
        Ok(self.store.customers(page).await?)
    }

    /// Closing a closed account changes nothing. When this returns, nothing acts for it (P1).
    pub async fn close_customer(&self, id: CustomerId, by: Actor) -> Result<CustomerRecord, AccountError> {
        if !self.store.close_customer(id, by, self.clock.now()).await? {
            return Err(AccountError::NotFound);
        }
        self.rights_ended(Ended::Customer(id)).await;
        self.customer(id).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_trimmed_and_bounded() {
        assert_eq!(checked_name(Some(" Ada ".into())).unwrap().as_deref(), Some("Ada"));
        assert!(checked_name(None).unwrap().is_none());
        for name in ["", "  ", "a\nb", &"x".repeat(101)] {
            assert!(
                matches!(checked_name(Some(name.into())), Err(AccountError::Name)),
                "{name:?}"
            );
        }
    }
}
