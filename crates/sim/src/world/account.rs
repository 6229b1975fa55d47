//! Who exists: people, customers, OAuth clients, API users, and the tokens they hold. Passwords and
//! secrets are kept in clear, as an emulator may, but nothing that holds one has a `Debug`; the state
//! file is readable by its owner only.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Owner, World};
use crate::id::{CustomerId, ProductId, UserId};
use crate::journal::CredentialKind;

/// 90 days (reference §2.2).
pub(crate) const DEFAULT_LIFE_S: i64 = 7_776_000;
/// A refresh token lives 14 days.
const REFRESH_LIFE_MS: i64 = 14 * 86_400_000;

/// Clients that a developer's own account may use, as tools of the vendor do (reference §2.2).
pub(crate) const WELL_KNOWN_CLIENTS: [(&str, &str); 4] = [
    ("particle", "particle"),
    ("particle-api", "particle-api"),
    ("particle-cli", "particle-cli"),
    ("CLI2", "client_secret_here"),
];

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct User {
    pub id: UserId,
    pub username: String,
    pub password: String,
    /// The one-time password of an account with a second factor.
    pub otp: Option<String>,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Customer {
    pub id: CustomerId,
    pub product_id: ProductId,
    /// Stored lower-cased, whatever was sent (reference §7).
    pub username: String,
    /// Shadow customers have none.
    pub password: Option<String>,
}

/// Whose an OAuth client or a webhook is. Mixing the two up is the most common mistake in setups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ClientHome {
    Account(UserId),
    Product(ProductId),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ClientKind {
    Installed,
    Web,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Client {
    pub id: String,
    /// In the order of their making.
    pub number: u64,
    pub name: String,
    pub kind: ClientKind,
    pub secret: String,
    pub redirect_uri: Option<String>,
    pub home: ClientHome,
    /// May create customers and nothing else.
    pub customers_only: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ApiUser {
    pub username: String,
    pub friendly_name: String,
    pub product_id: ProductId,
    pub scopes: BTreeSet<String>,
}

/// Who acts through a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Principal {
    User(UserId),
    ProductClient(ProductId),
    ApiUser(String),
    Customer(CustomerId),
}

impl Principal {
    pub(crate) fn credential_kind(&self) -> CredentialKind {
        match self {
            Self::User(_) => CredentialKind::User,
            Self::ProductClient(_) => CredentialKind::Product,
            Self::ApiUser(_) => CredentialKind::ApiUser,
            Self::Customer(_) => CredentialKind::Customer,
        }
    }

    /// Devices can belong to people and customers only.
    pub(crate) fn as_owner(&self) -> Option<Owner> {
        match self {
            Self::User(id) => Some(Owner::User(id.clone())),
            Self::Customer(id) => Some(Owner::Customer(id.clone())),
            Self::ProductClient(_) | Self::ApiUser(_) => None,
        }
    }
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Token {
    pub principal: Principal,
    pub client_id: String,
    /// None: never.
    pub expires_at: Option<i64>,
    pub refresh: Option<Refresh>,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Refresh {
    pub token: String,
    pub expires_at: i64,
}

/// How long a new token shall live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenLife {
    Seconds(i64),
    Forever,
}

/// A token as it is handed out, once.
pub(crate) struct MintedToken {
    pub access_token: String,
    pub life: TokenLife,
    pub refresh_token: Option<String>,
}

impl World {
    pub(crate) fn mint_token(&mut self, principal: Principal, client_id: &str, life: TokenLife) -> MintedToken {
        let now = self.now();
        let access_token = self.random_hex(40);
        let expires_at = match life {
            TokenLife::Seconds(seconds) => Some(now.saturating_add(seconds.saturating_mul(1000))),
            TokenLife::Forever => None,
        };
        let refresh = expires_at.map(|_| Refresh {
            token: self.random_hex(40),
            expires_at: now + REFRESH_LIFE_MS,
        });
        let refresh_token = refresh.as_ref().map(|refresh| refresh.token.clone());
        let token = Token {
            principal,
            client_id: client_id.to_owned(),
            expires_at,
            refresh,
        };
        self.registry.tokens.insert(access_token.clone(), token);
        MintedToken {
            access_token,
            life,
            refresh_token,
        }
    }

    /// Injected: everything that can expire has expired.
    pub(crate) fn expire_tokens(&mut self) {
        let now = self.now();
        for token in self.registry.tokens.values_mut() {
            if token.expires_at.is_some() {
                token.expires_at = Some(now);
            }
        }
    }

    pub(crate) fn revoke_tokens_of(&mut self, principal: &Principal) {
        self.registry.tokens.retain(|_, token| token.principal != *principal);
    }

    pub(crate) fn user_by_name(&self, username: &str) -> Option<&User> {
        self.registry
            .users
            .values()
            .find(|user| user.username.eq_ignore_ascii_case(username))
    }

    /// By name or id, as a customer scope allows.
    pub(crate) fn customer_by_name(&self, product: ProductId, name: &str) -> Option<&Customer> {
        let name = name.to_lowercase();
        self.registry
            .customers
            .values()
            .find(|one| one.product_id == product && (one.username == name || one.id.as_str() == name))
    }

    /// The id and name under which an owner appears in device objects.
    pub(crate) fn owner_name(&self, owner: &Owner) -> Option<&str> {
        match owner {
            Owner::User(id) => self.registry.users.get(id).map(|user| user.username.as_str()),
            Owner::Customer(id) => self.registry.customers.get(id).map(|one| one.username.as_str()),
        }
    }

    /// A new customer, or None if the name is taken.
    pub(crate) fn add_customer(
        &mut self,
        product_id: ProductId,
        name: &str,
        password: Option<String>,
    ) -> Option<CustomerId> {
        if self.customer_by_name(product_id, name).is_some() {
            return None;
        }
        let id = CustomerId::new(&self.random_hex(24));
        let customer = Customer {
            id: id.clone(),
            product_id,
            username: name.to_lowercase(),
            password,
        };
        self.registry.customers.insert(id.clone(), customer);
        Some(id)
    }

    /// Revokes its tokens and kills its pending claim codes; its devices become nobody's.
    pub(crate) fn remove_customer(&mut self, id: &CustomerId) {
        self.registry.customers.remove(id);
        self.revoke_tokens_of(&Principal::Customer(id.clone()));
        let owner = Owner::Customer(id.clone());
        self.registry.claim_codes.retain(|_, code| code.owner != owner);
        for device in self.registry.devices.values_mut() {
            if device.owner.as_ref() == Some(&owner) {
                device.owner = None;
            }
        }
    }

    pub(crate) fn add_client(&mut self, home: ClientHome, name: &str, kind: ClientKind) -> Client {
        let id = format!("{}-{}", slug(name), 1000 + self.random_below(9000));
        let newest = self.registry.clients.values().map(|client| client.number).max();
        let client = Client {
            id: id.clone(),
            number: newest.map_or(0, |newest| newest + 1),
            name: name.to_owned(),
            kind,
            secret: self.random_hex(40),
            redirect_uri: None,
            home,
            customers_only: false,
        };
        self.registry.clients.insert(id, client.clone());
        client
    }
}

/// Lower case, everything else than letters and digits becomes one hyphen.
pub(crate) fn slug(name: &str) -> String {
    let words: Vec<String> = name
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
        .collect();
    words.join("-")
}
