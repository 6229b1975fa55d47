//! Who shows this bearer token. The hottest look-up of all: one digest, one map on SQLite.

use ostler_core::caller::Caller;
use ostler_core::secret::{AccessToken, SecretDigest};
use ostler_store::StoreError;

use crate::App;

#[derive(Debug, thiserror::Error)]
pub enum AuthenticateError {
    /// Malformed, unknown, expired or ended: all the same to whoever shows it.
    #[error("the access token is not valid")]
    NotRecognised,
    #[error("the access token could not be looked up")]
    Store(#[from] StoreError),
}

/// The prefix and 256 bits in base64url.
const TOKEN_LEN: usize = AccessToken::PREFIX.len() + 43;

impl App {
    pub async fn authenticate(&self, access_token: &str) -> Result<Caller, AuthenticateError> {
        if access_token.len() != TOKEN_LEN || !access_token.starts_with(AccessToken::PREFIX) {
            return Err(AuthenticateError::NotRecognised);
        }
        let now = self.clock.now();
        let digest = SecretDigest::of(access_token);
        let token = self.store.token_facts(&digest, now).await?.ok_or(AuthenticateError::NotRecognised)?;
        if let Some(refresh) = &token.confirms {
            self.store.confirm_refresh(refresh, &digest, now).await?;
        }
        Ok(token.caller.clone())
    }

    /// Asked once more where rights are judged, after the permit's slot was opened: whoever ends a
    /// token waits for all slots that are open, and this sees what was ended before (P1).
    pub async fn is_still_authenticated(&self, caller: &Caller) -> Result<bool, StoreError> {
        Ok(self.store.token_facts(&caller.token, self.clock.now()).await?.is_some())
    }
}
