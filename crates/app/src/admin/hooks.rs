//! The hooks by which the cloud delivers a product's events to us: made, recognised, repaired.

use ostler_core::id::ProductId;
use ostler_core::secret::IngestSecret;
use ostler_store::StoreError;
use secrecy::SecretString;

use super::{Desk, Effect, hook_prefixes};
use crate::device_cloud::{CloudError, HookRequest, HookStep};

#[derive(Debug, thiserror::Error)]
pub enum HookError {
    #[error("there is no such product within reach")]
    NotFound,
    #[error("the device cloud did not set up the hooks")]
    Cloud(#[from] CloudError),
    #[error("the product or its ingest secret could not be read or written")]
    Store(#[from] StoreError),
}

impl Desk<'_> {
    /// Lists first: creating twice would make two hooks that both fire. With nothing to do, nothing
    /// is done.
    pub async fn ensure_hooks(&self, product_id: ProductId, effect: Effect) -> Result<Vec<HookStep>, HookError> {
        let product = if self.reaches(product_id) {
            self.app.store.product(product_id).await?
        } else {
            None
        };
        let product = product.ok_or(HookError::NotFound)?.to_product()?;
        let request = HookRequest {
            url: self.app.ingest_url(product.declaration.slug.as_str()),
            secret: self.hook_secret(product_id, effect).await?,
            event_prefixes: hook_prefixes(&product.declaration),
        };
        let dry_run = match effect {
            Effect::DryRun => true,
            Effect::Apply => false,
        };
        Ok(self.app.cloud.ensure_hooks(product_id, &request, dry_run).await?)
    }

    /// The newest that is good, so that a hook that is right stays as it is.
    async fn hook_secret(&self, product_id: ProductId, effect: Effect) -> Result<SecretString, StoreError> {
        let now = self.app.clock.now();
        match effect {
            Effect::Apply => self.app.store.hook_secret(product_id, self.by, now).await,
            Effect::DryRun => match self.app.store.live_hook_secret(product_id, now).await? {
                Some(secret) => Ok(secret),
                // No hook can have this one: whatever is there would be repaired.
                None => Ok(IngestSecret::draw(&*self.app.entropy).reveal().to_owned().into()),
            },
        }
    }
}
