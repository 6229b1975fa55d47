//! A client gives a token back (RFC 7009).

use ostler_core::client::Client;
use ostler_core::secret::SecretDigest;
use ostler_store::{Actor, EndReason, StoreError};

use crate::App;
use crate::actor;
use crate::permits::Ended;

#[derive(Debug, thiserror::Error)]
pub enum RevokeError {
    /// RFC 7009 §2.1: such a request is refused.
    #[error("the token was issued to another client")]
    AnotherClients,
    #[error("the token could not be ended")]
    Store(#[from] StoreError),
}

impl App {
    /// Ends an access token, or with a refresh token its whole family. A token that is not there has
    /// ended already. When this returns, nothing acts by it any more (P1).
    pub async fn revoke(&self, client: &Client, token: &str) -> Result<(), RevokeError> {
        let now = self.clock.now();
        let digest = SecretDigest::of(token);
        if let Some(facts) = self.store.token_facts(&digest, now).await? {
            if facts.caller.client_id != client.id {
                return Err(RevokeError::AnotherClients);
            }
            self.store.end_access_token(&digest, actor(&facts.caller), now).await?;
            self.rights_ended(Ended::TokenFamily(facts.caller.family_id)).await;
        } else if let Some(refresh) = self.store.refresh_record(&digest, client.id, now).await? {
            let by = Actor::Customer(refresh.customer_id);
            self.store
                .end_family(refresh.family_id, EndReason::Revoked, by, now)
                .await?;
            self.rights_ended(Ended::TokenFamily(refresh.family_id)).await;
        } else {
            // It may have ended a moment ago, by a request whose answer was lost.
            self.permits.settle(&*self.clock).await;
        }
        Ok(())
    }
}
