//! Who there is and who is signed in: customers, clients, staff; sessions, consents, codes, tokens.
//!
//! Secrets come in as digests. What a right to sign in is, and which scopes are granted, is decided
//! by the use cases; here races are settled, by the statement that takes or ends something.

mod clients;
mod codes;
mod consents;
mod customers;
mod ending;
mod pruning;
mod refresh;
mod sessions;
mod staff;
mod tokens;

pub use clients::RegisteredClient;
pub use codes::{CodeRecord, CodeRedeemed};
pub use customers::{CustomerCredentials, CustomerRecord, NewCustomer};
pub use ending::EndReason;
pub use refresh::{RefreshRecord, Refreshed, Rotation};
pub use sessions::LoginSession;
pub use staff::{NewStaff, StaffRecord};
pub(crate) use tokens::load_tokens;
pub use tokens::{NewRefresh, NewTokens};

/// Whether something that must be unique could be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    Created,
    /// Somebody has that e-mail address.
    Taken,
}
