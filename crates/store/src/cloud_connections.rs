//! How each product is reached at its device cloud. The secret is sealed under the master key and
//! leaves this crate only towards the adapter.

use secrecy::{ExposeSecret as _, SecretString};

use ostler_core::id::ProductId;
use ostler_core::time::Timestamp;

use crate::Store;
use crate::audit::{Act, Actor};
use crate::error::StoreError;
use crate::sealed::{MasterKeys, Place};
use crate::tx::{execute, on, row};
use crate::value::{Millis, Text};

/// A product's connection, as staff set it.
#[derive(Debug, Clone)]
pub struct StoredConnection {
    /// Which adapter speaks to it.
    pub kind: String,
    pub base_url: String,
    pub cloud_product: String,
    pub credential: StoredCredential,
}

#[derive(Debug, Clone)]
pub enum StoredCredential {
    Client {
        client_id: String,
        client_secret: SecretString,
    },
    Token(SecretString),
}

const PUT: &str = "
    INSERT INTO cloud_connection (product_id, kind, base_url, cloud_product, client_id, secret, changed_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (product_id) DO UPDATE
       SET kind = excluded.kind, base_url = excluded.base_url, cloud_product = excluded.cloud_product,
           client_id = excluded.client_id, secret = excluded.secret, changed_at = excluded.changed_at";
const ONE: &str = "
    SELECT product_id, kind, base_url, cloud_product, client_id, secret
      FROM cloud_connection WHERE product_id = $1";
const ALL: &str = "
    SELECT product_id, kind, base_url, cloud_product, client_id, secret
      FROM cloud_connection ORDER BY product_id";
const REMOVE: &str = "DELETE FROM cloud_connection WHERE product_id = $1";

row! {
    struct ConnectionRow {
        product_id: Text<ProductId>,
        kind: String,
        base_url: String,
        cloud_product: String,
        client_id: Option<String>,
        secret: Vec<u8>,
    }
}

impl Store {
    /// `false` if there is no such product.
    pub async fn set_cloud_connection(
        &self,
        product_id: ProductId,
        connection: &StoredConnection,
        by: Actor,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let (client_id, secret) = match &connection.credential {
            StoredCredential::Client {
                client_id,
                client_secret,
            } => (Some(client_id.as_str()), client_secret),
            StoredCredential::Token(token) => (None, token),
        };
        let row = product_id.to_string();
        let entropy = &*self.shared.entropy;
        let sealed = self
            .shared
            .keys
            .seal(place(&row), secret.expose_secret().as_bytes(), entropy);
        let mut tx = self.write(now).await?;
        let put = async {
            Ok(execute!(
                tx.link(),
                sqlx::query(PUT)
                    .bind(Text(product_id))
                    .bind(connection.kind.as_str())
                    .bind(connection.base_url.as_str())
                    .bind(connection.cloud_product.as_str())
                    .bind(client_id)
                    .bind(sealed.as_slice())
                    .bind(Millis(now))
            ))
        };
        match put.await {
            Ok(_) => {}
            Err(error) if StoreError::is_foreign_key_violation(&error) => return Ok(false),
            Err(error) => return Err(error),
        }
        tx.audit(
            Act::new("cloud_connection.set", by)
                .about("product_id", product_id)
                .about("kind", &connection.kind)
                .about("base_url", &connection.base_url),
        );
        tx.commit().await?;
        Ok(true)
    }

    /// `false` if there was none.
    pub async fn remove_cloud_connection(
        &self,
        product_id: ProductId,
        by: Actor,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut tx = self.write(now).await?;
        let removed = execute!(tx.link(), sqlx::query(REMOVE).bind(Text(product_id)));
        if removed == 1 {
            tx.audit(Act::new("cloud_connection.remove", by).about("product_id", product_id));
            tx.commit().await?;
        }
        Ok(removed == 1)
    }

    pub async fn cloud_connection(&self, product_id: ProductId) -> Result<Option<StoredConnection>, StoreError> {
        let mut conn = self.read().await?;
        let row: Option<ConnectionRow> = on!(conn.link(), |db| sqlx::query_as(ONE)
            .bind(Text(product_id))
            .fetch_optional(&mut *db)
            .await?);
        row.map(|row| row.open(&self.shared.keys)).transpose()
    }

    /// All connections, for the start of the server.
    pub async fn cloud_connections(&self) -> Result<Vec<(ProductId, StoredConnection)>, StoreError> {
        let mut conn = self.read().await?;
        let rows: Vec<ConnectionRow> = on!(conn.link(), |db| sqlx::query_as(ALL).fetch_all(&mut *db).await?);
        rows.into_iter()
            .map(|row| Ok((row.product_id.0, row.open(&self.shared.keys)?)))
            .collect()
    }
}

pub(crate) fn place(product_id: &str) -> Place<'_> {
    Place {
        table: "cloud_connection",
        row: product_id,
    }
}

impl ConnectionRow {
    fn open(self, keys: &MasterKeys) -> Result<StoredConnection, StoreError> {
        let secret = keys.open_text(place(&self.product_id.0.to_string()), &self.secret)?;
        Ok(StoredConnection {
            kind: self.kind,
            base_url: self.base_url,
            cloud_product: self.cloud_product,
            credential: match self.client_id {
                Some(client_id) => StoredCredential::Client {
                    client_id,
                    client_secret: secret,
                },
                None => StoredCredential::Token(secret),
            },
        })
    }
}
