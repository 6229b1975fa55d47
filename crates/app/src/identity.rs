//! Who is at the door: clients, customers and staff, how they prove it, and what they are handed.
//!
//! One use case per file. The words on the wire (RFC 6749's error codes, forms, cookies) are the HTTP
//! crate's business; races are settled by the store.

mod accounts;
mod authenticate;
mod authorize;
mod client_authentication;
mod clients;
mod introspect;
mod origins;
mod passwords;
mod pkce;
mod revoke;
mod sign_in;
mod staff_session;
mod throttle;
mod tokens;

use ostler_core::time::Timestamp;
use ostler_store::StoreError;

use crate::App;
use crate::permits::Ended;
use crate::settings::Settings;

pub use accounts::{AccountError, CustomerRequest, StaffRequest};
pub use authenticate::AuthenticateError;
pub use authorize::{
    AuthorizationFault, AuthorizationParameters, AuthorizationRequest, Judged, Prompt, RedirectTarget, Unredirectable,
};
pub use client_authentication::{ClientAuthenticationError, PresentedClient};
pub use clients::{ClientError, ClientPatch, NewClientSecret};
pub use introspect::{Introspected, Introspection, Subject};
pub use passwords::{Overloaded, Password};
pub use pkce::{CodeChallenge, InvalidCodeChallenge};
pub use revoke::RevokeError;
pub use sign_in::{SignInError, SignedIn};
pub use staff_session::StaffSession;
pub use tokens::{CodeExchange, IssuedTokens, TokenError};

/// What the use cases of identity keep in memory.
pub(crate) struct Identity {
    passwords: passwords::Passwords,
    throttle: throttle::Throttle,
    origins: origins::OriginCache,
}

impl Identity {
    pub fn new(settings: &Settings) -> Self {
        Self {
            passwords: passwords::Passwords::new(settings),
            throttle: throttle::Throttle::default(),
            origins: origins::OriginCache::default(),
        }
    }
}

impl App {
    /// To be called after the commit that ended a right, before anybody is told so: nothing that was
    /// judged on older facts departs after this (P1).
    pub(crate) async fn rights_ended(&self, ended: Ended) {
        self.permits.drain(ended, &*self.clock).await;
    }

    /// Forgets what ran out; the periodic job.
    pub async fn prune_identity(&self, now: Timestamp) -> Result<(), StoreError> {
        self.identity.throttle.forget_idle(now);
        // A code that comes twice, or a refresh token that was replaced, must still be recognised.
        let kept_since = now - self.settings.access_token_lifetime.max(self.settings.refresh_tolerance);
        self.store.prune_identity(now, kept_since).await
    }
}
