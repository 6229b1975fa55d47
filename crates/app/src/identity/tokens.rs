//! What the token endpoint hands out: by authorization code, by refresh token, by client
//! credentials.
//!
//! A refresh token is issued if and only if `offline_access` was granted, and that is never granted
//! to a client whose policy is to have none.

mod exchange_code;
mod machine;
mod refresh;

use std::sync::Arc;
use std::time::Duration;

use ostler_core::caller::{Caller, Principal};
use ostler_core::client::{Client, RefreshPolicy};
use ostler_core::id::TokenFamilyId;
use ostler_core::scope::{Scope, ScopeSet};
use ostler_core::secret::{AccessToken, RefreshToken, SecretDigest};
use ostler_core::time::Timestamp;
use ostler_store::{NewRefresh, NewTokens, StoreError, TokenFacts};

use crate::App;

pub use exchange_code::CodeExchange;

/// A successful answer (RFC 6749 §5.1).
#[derive(Debug)]
pub struct IssuedTokens {
    pub access_token: AccessToken,
    pub refresh_token: Option<RefreshToken>,
    pub expires_in: Duration,
    pub scopes: ScopeSet,
}

/// RFC 6749 §5.2, as far as a use case decides it.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("the code or refresh token is not valid for this client, or was used before")]
    InvalidGrant,
    #[error("the scope is not one that this client may be granted")]
    InvalidScope,
    #[error("the client may not use this flow")]
    UnauthorizedClient,
    #[error("the tokens could not be stored")]
    Store(#[from] StoreError),
}

/// Tokens in clear with what is stored of them.
struct Minted {
    access_token: AccessToken,
    refresh_token: Option<RefreshToken>,
    stored: NewTokens,
}

/// For whom tokens are minted.
struct For {
    who: Principal,
    family_id: TokenFamilyId,
    scopes: ScopeSet,
    /// The refresh token that they answer.
    confirms: Option<SecretDigest>,
}

impl App {
    fn mint(&self, client: &Client, holder: For, refresh_token: Option<RefreshToken>, now: Timestamp) -> Minted {
        let access_token = AccessToken::draw(&*self.entropy);
        let caller = Caller {
            who: holder.who,
            client_id: client.id,
            family_id: holder.family_id,
            scopes: holder.scopes,
            token: access_token.digest(),
        };
        let expires_at = now + self.settings.access_token_lifetime;
        let facts = TokenFacts {
            caller,
            issued_at: now,
            expires_at,
            confirms: holder.confirms,
        };
        let refresh = refresh_token.as_ref().map(|token| NewRefresh {
            digest: token.digest(),
            expires_at: self.refresh_expires_at(client.refresh_policy, now),
        });
        Minted {
            access_token,
            refresh_token,
            stored: NewTokens {
                facts: Arc::new(facts),
                refresh,
            },
        }
    }

    fn refresh_expires_at(&self, policy: RefreshPolicy, now: Timestamp) -> Option<Timestamp> {
        match policy {
            RefreshPolicy::None | RefreshPolicy::Rotating => Some(now + self.settings.refresh_token_lifetime),
            RefreshPolicy::Linking => None,
        }
    }

    fn first_refresh_token(&self, client: &Client, scopes: ScopeSet) -> Option<RefreshToken> {
        let asked = scopes.contains(Scope::OfflineAccess) && client.refresh_policy != RefreshPolicy::None;
        asked.then(|| RefreshToken::draw(&*self.entropy))
    }

    fn answer(&self, minted: Minted) -> IssuedTokens {
        IssuedTokens {
            access_token: minted.access_token,
            refresh_token: minted.refresh_token,
            expires_in: self.settings.access_token_lifetime,
            scopes: minted.stored.facts.caller.scopes,
        }
    }
}
