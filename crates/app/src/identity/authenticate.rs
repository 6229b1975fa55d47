//! Who shows this bearer token. The hottest look-up of all: one digest, one map on SQLite.

use std::time::Instant;

use ostler_core::caller::Caller;
use ostler_core::id::{CustomerId, DeviceId};
use ostler_core::name::FunctionName;
use ostler_core::policy::Facts;
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
        let token = self
            .store
            .token_facts(&digest, now)
            .await?
            .ok_or(AuthenticateError::NotRecognised)?;
        if let Some(refresh) = &token.confirms {
            Box::pin(self.store.confirm_refresh(refresh, &digest, now)).await?;
        }
        Ok(token.caller.clone())
    }

    /// The facts by which a call of this caller is judged, to be read after the permit's slot was
    /// opened. A token that ended between the door and here has none: whoever ended it waits for the
    /// slots that were open then, and this look-up sees what was ended before (P1).
    pub(crate) async fn facts_for(
        &self,
        caller: &Caller,
        judged: Option<CustomerId>,
        device_id: DeviceId,
        function: Option<&FunctionName>,
        read_after: Instant,
    ) -> Result<Facts, StoreError> {
        let token = self.store.token_facts(&caller.token, self.clock.now()).await?;
        let facts = self.store.facts(judged, device_id, function, read_after).await?;
        Ok(match token {
            Some(_) => facts,
            None => Facts {
                device: None,
                grants: Vec::new(),
                last_called_at: None,
                read_after,
            },
        })
    }
}
