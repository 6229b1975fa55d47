//! How an OAuth client shows who it is (RFC 6749 §2.3).

use ostler_core::client::{Client, ClientKind};
use ostler_core::id::ClientId;
use ostler_core::secret::{ClientSecret, SecretDigest};
use ostler_store::{RegisteredClient, StoreError};

use crate::App;

/// What a request to the token endpoint brought.
#[derive(Debug)]
pub struct PresentedClient {
    pub client_id: String,
    /// `None` for a public client.
    pub secret: Option<ClientSecret>,
}

#[derive(Debug, thiserror::Error)]
pub enum ClientAuthenticationError {
    /// Unknown, ended, no or a wrong secret: RFC 6749 §5.2 has one code for all.
    #[error("the client could not be authenticated")]
    Failed,
    #[error("the client could not be looked up")]
    Store(#[from] StoreError),
}

/// No secret has this digest; an unknown client is compared with it.
const NOBODYS: SecretDigest = SecretDigest::from_bytes([0; 32]);

impl App {
    pub async fn authenticate_client(&self, presented: &PresentedClient) -> Result<Client, ClientAuthenticationError> {
        let registered = self.live_client(&presented.client_id).await?;
        let expected = registered.as_ref().and_then(|registered| registered.secret_digest);
        let shown = presented.secret.as_ref().map(ClientSecret::digest);
        let matches = shown.is_some_and(|shown| shown.matches(&expected.unwrap_or(NOBODYS)));
        match registered {
            Some(RegisteredClient { client, .. }) => match client.kind {
                ClientKind::Confidential if matches => Ok(client),
                ClientKind::Public if presented.secret.is_none() => Ok(client),
                ClientKind::Confidential | ClientKind::Public => Err(ClientAuthenticationError::Failed),
            },
            None => Err(ClientAuthenticationError::Failed),
        }
    }

    /// A text that is no id names no client.
    pub(super) async fn live_client(&self, client_id: &str) -> Result<Option<RegisteredClient>, StoreError> {
        match client_id.parse::<ClientId>() {
            Ok(id) => Ok(self
                .store
                .client(id)
                .await?
                .filter(|registered| registered.client.is_live())),
            Err(_) => Ok(None),
        }
    }
}
