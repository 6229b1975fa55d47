//! The secrets by which a product's hook and its devices are let in, made and changed over.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ostler_core::id::ProductId;
use ostler_core::secret::IngestSecret;
use ostler_store::{ProductRecord, StoreError};

use super::Desk;

/// Told once, to be put into the hook.
pub struct NewIngestSecret {
    pub ingest_url: String,
    pub secret: IngestSecret,
}

#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("there is no such product within reach")]
    NotFound,
    #[error("the secret could not be written")]
    Store(#[from] StoreError),
}

impl Desk<'_> {
    /// Makes a new one. The one before stays good, so that the hook can be changed over in peace.
    pub async fn rotate_ingest_secret(&self, product_id: ProductId) -> Result<NewIngestSecret, SecretError> {
        let product = self.product_with_secrets(product_id).await?;
        let secret = self
            .app
            .store
            .rotate_ingest_secret(product_id, self.by, self.app.clock.now())
            .await?;
        Ok(NewIngestSecret {
            ingest_url: self.app.ingest_url(&product.file.slug),
            secret,
        })
    }

    /// Ends all but the newest.
    pub async fn end_former_ingest_secrets(&self, product_id: ProductId) -> Result<(), SecretError> {
        self.product_with_secrets(product_id).await?;
        self.app
            .store
            .end_former_ingest_secrets(product_id, self.by, self.app.clock.now())
            .await?;
        Ok(())
    }

    /// In base64url, for the factory. From now on only credentials made from it register devices.
    pub async fn rotate_registration_key(&self, product_id: ProductId) -> Result<String, SecretError> {
        self.product_with_secrets(product_id).await?;
        let key = self
            .app
            .store
            .rotate_registration_key(product_id, self.by, self.app.clock.now())
            .await?;
        let key = key.ok_or(SecretError::NotFound)?;
        Ok(URL_SAFE_NO_PAD.encode(key.as_bytes()))
    }

    async fn product_with_secrets(&self, product_id: ProductId) -> Result<ProductRecord, SecretError> {
        let product = if self.reaches(product_id) {
            self.app.store.product(product_id).await?
        } else {
            None
        };
        product.ok_or(SecretError::NotFound)
    }
}

impl crate::App {
    /// Where the cloud's hook delivers a product's events to.
    pub fn ingest_url(&self, slug: &str) -> String {
        format!(
            "{}/ingest/particle/{slug}",
            self.settings.public_url.trim_end_matches('/')
        )
    }
}
