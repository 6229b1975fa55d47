//! How each product is reached at its device cloud, as staff set it.
//!
//! Secrets go in and never come out: what is shown is where, and as whom.

use ostler_core::id::ProductId;
use ostler_store::{StoreError, StoredConnection, StoredCredential};
use secrecy::{ExposeSecret as _, SecretString};

use super::Desk;

/// The one kind of cloud there is an adapter for.
const PARTICLE: &str = "particle";

const ADDRESS_BYTES_MAX: usize = 200;
const NAME_BYTES_MAX: usize = 100;
const SECRET_BYTES_MAX: usize = 512;

/// A connection as it was asked for: either `client_id` with `client_secret`, or `access_token`.
#[derive(Debug)]
pub struct ConnectionRequest {
    pub base_url: String,
    pub cloud_product: String,
    pub client_id: Option<String>,
    pub client_secret: Option<SecretString>,
    pub access_token: Option<SecretString>,
}

/// What is shown of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionRecord {
    pub base_url: String,
    pub cloud_product: String,
    pub credential: CredentialKind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialKind {
    Client { client_id: String },
    Token,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConnectionFault {
    #[error(
        "must be an address that begins with https://, or http:// on this machine itself, without query or fragment"
    )]
    BaseUrl,
    #[error("must be 1 to {NAME_BYTES_MAX} letters, digits, `_`, `.` or `-`")]
    Product,
    #[error("must be 1 to {NAME_BYTES_MAX} visible characters")]
    ClientId,
    #[error("must be 1 to {SECRET_BYTES_MAX} visible characters")]
    ClientSecret,
    #[error("must be 1 to {SECRET_BYTES_MAX} visible characters")]
    AccessToken,
    #[error("must have either `client_id` and `client_secret`, or `access_token`")]
    Credential,
}

#[derive(Debug, thiserror::Error)]
pub enum CloudConnectionError {
    #[error("there is no such connection within reach")]
    NotFound,
    #[error("{0}")]
    Invalid(ConnectionFault),
    #[error("the connection could not be read or written")]
    Store(#[from] StoreError),
}

impl Desk<'_> {
    pub async fn cloud_connection(&self, product_id: ProductId) -> Result<ConnectionRecord, CloudConnectionError> {
        if !self.reaches(product_id) {
            return Err(CloudConnectionError::NotFound);
        }
        let connection = self.app.store.cloud_connection(product_id).await?;
        connection
            .as_ref()
            .map(ConnectionRecord::from)
            .ok_or(CloudConnectionError::NotFound)
    }

    /// Counts from the next call on; the event stream starts anew.
    pub async fn set_cloud_connection(
        &self,
        product_id: ProductId,
        request: ConnectionRequest,
    ) -> Result<ConnectionRecord, CloudConnectionError> {
        if !self.reaches(product_id) {
            return Err(CloudConnectionError::NotFound);
        }
        let connection = request.checked().map_err(CloudConnectionError::Invalid)?;
        let now = self.app.clock.now();
        if !self
            .app
            .store
            .set_cloud_connection(product_id, &connection, self.by, now)
            .await?
        {
            return Err(CloudConnectionError::NotFound);
        }
        self.app.cloud_changed(product_id).await?;
        Ok(ConnectionRecord::from(&connection))
    }

    /// Forgets the connection and its secret. Calls find no way to the devices from now on.
    pub async fn end_cloud_connection(&self, product_id: ProductId) -> Result<(), CloudConnectionError> {
        if !self.reaches(product_id) {
            return Err(CloudConnectionError::NotFound);
        }
        if !self
            .app
            .store
            .remove_cloud_connection(product_id, self.by, self.app.clock.now())
            .await?
        {
            return Err(CloudConnectionError::NotFound);
        }
        Ok(self.app.cloud_changed(product_id).await?)
    }
}

impl ConnectionRequest {
    fn checked(self) -> Result<StoredConnection, ConnectionFault> {
        if !is_cloud_address(&self.base_url) {
            return Err(ConnectionFault::BaseUrl);
        }
        if !is_path_word(&self.cloud_product) {
            return Err(ConnectionFault::Product);
        }
        let credential = match (self.client_id, self.client_secret, self.access_token) {
            (Some(client_id), Some(client_secret), None) => client_credential(client_id, client_secret)?,
            (None, None, Some(token)) => {
                StoredCredential::Token(visible_secret(token).ok_or(ConnectionFault::AccessToken)?)
            }
            (Some(_) | None, Some(_) | None, Some(_) | None) => return Err(ConnectionFault::Credential),
        };
        Ok(StoredConnection {
            kind: PARTICLE.to_owned(),
            base_url: self.base_url,
            cloud_product: self.cloud_product,
            credential,
        })
    }
}

impl From<&StoredConnection> for ConnectionRecord {
    fn from(connection: &StoredConnection) -> Self {
        let credential = match &connection.credential {
            StoredCredential::Client { client_id, .. } => CredentialKind::Client {
                client_id: client_id.clone(),
            },
            StoredCredential::Token(_) => CredentialKind::Token,
        };
        Self {
            base_url: connection.base_url.clone(),
            cloud_product: connection.cloud_product.clone(),
            credential,
        }
    }
}

fn client_credential(client_id: String, client_secret: SecretString) -> Result<StoredCredential, ConnectionFault> {
    if !is_visible(&client_id, NAME_BYTES_MAX) {
        return Err(ConnectionFault::ClientId);
    }
    let client_secret = visible_secret(client_secret).ok_or(ConnectionFault::ClientSecret)?;
    Ok(StoredCredential::Client {
        client_id,
        client_secret,
    })
}

fn visible_secret(secret: SecretString) -> Option<SecretString> {
    is_visible(secret.expose_secret(), SECRET_BYTES_MAX).then_some(secret)
}

fn is_visible(text: &str, bytes_max: usize) -> bool {
    (1..=bytes_max).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// It stands in the path of every request to the cloud.
fn is_path_word(text: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    (1..=NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(is_word) && !text.starts_with('.')
}

/// The secret goes there with every request: in clear only to this machine itself.
fn is_cloud_address(text: &str) -> bool {
    let Ok(url) = url::Url::parse(text) else { return false };
    let is_loopback = match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    };
    let is_private_enough = url.scheme() == "https" || (url.scheme() == "http" && is_loopback);
    let is_plain =
        url.query().is_none() && url.fragment().is_none() && url.username().is_empty() && url.password().is_none();
    text.len() <= ADDRESS_BYTES_MAX && url.has_host() && is_private_enough && is_plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> ConnectionRequest {
        ConnectionRequest {
            base_url: "https://api.particle.io".into(),
            cloud_product: "12345".into(),
            client_id: Some("ostler-1".into()),
            client_secret: Some("hush".to_owned().into()),
            access_token: None,
        }
    }

    fn fault(request: ConnectionRequest) -> Option<ConnectionFault> {
        request.checked().err()
    }

    #[test]
    fn a_secret_is_spoken_only_over_tls_or_at_home() {
        for base_url in [
            "https://api.particle.io",
            "http://127.0.0.1:8081",
            "http://[::1]:1",
            "http://localhost:8081/x",
        ] {
            assert_eq!(
                fault(ConnectionRequest {
                    base_url: base_url.into(),
                    ..request()
                }),
                None,
                "{base_url}"
            );
        }
        for base_url in [
            "",
            "api.particle.io",
            "http://api.particle.io",
            "ftp://127.0.0.1",
            "https://u:p@h",
            "https://h/?a=b",
            "https://h/#a",
            "http://localhost.evil.example",
        ] {
            let fault = fault(ConnectionRequest {
                base_url: base_url.into(),
                ..request()
            });
            assert_eq!(fault, Some(ConnectionFault::BaseUrl), "{base_url}");
        }
    }

    #[test]
    fn a_product_is_one_segment_of_a_path() {
        for cloud_product in ["", "..", "a/b", "a b", "ä", "%2f"] {
            let fault = fault(ConnectionRequest {
                cloud_product: cloud_product.into(),
                ..request()
            });
            assert_eq!(fault, Some(ConnectionFault::Product), "{cloud_product}");
        }
    }

    #[test]
    fn there_is_exactly_one_credential() {
        assert_eq!(fault(request()), None);
        let token = Some(SecretString::from("token".to_owned()));
        let only_token = ConnectionRequest {
            client_id: None,
            client_secret: None,
            access_token: token.clone(),
            ..request()
        };
        assert_eq!(fault(only_token), None);
        for wrong in [
            ConnectionRequest {
                access_token: token,
                ..request()
            },
            ConnectionRequest {
                client_secret: None,
                ..request()
            },
            ConnectionRequest {
                client_id: None,
                client_secret: None,
                ..request()
            },
        ] {
            assert_eq!(fault(wrong), Some(ConnectionFault::Credential));
        }
    }

    #[test]
    fn an_empty_or_broken_secret_is_refused() {
        let broken = ConnectionRequest {
            client_secret: Some("a\nb".to_owned().into()),
            ..request()
        };
        assert_eq!(fault(broken), Some(ConnectionFault::ClientSecret));
        let empty = ConnectionRequest {
            client_id: Some(String::new()),
            ..request()
        };
        assert_eq!(fault(empty), Some(ConnectionFault::ClientId));
    }
}
