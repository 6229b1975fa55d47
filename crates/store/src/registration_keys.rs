//! What the devices of a product prove themselves with at their first start (S5).
//!
//! One key per product, drawn with it and kept sealed: the factory derives each device's credential
//! from it, and so does the door at which devices register.

use ostler_core::id::ProductId;
use ostler_core::port::random_bytes;
use ostler_core::registration::RegistrationKey;
use ostler_core::time::Timestamp;

use crate::Store;
use crate::audit::{Act, Actor};
use crate::error::StoreError;
use crate::sealed::Place;
use crate::tx::{execute, on};
use crate::value::Text;

const NEW_KEY: &str = "UPDATE product SET registration_key = $2 WHERE product_id = $1";
const REGISTRATION_KEY: &str = "SELECT registration_key FROM product WHERE product_id = $1";

impl Store {
    /// `None` if there is no such product.
    pub async fn registration_key(&self, id: ProductId) -> Result<Option<RegistrationKey>, StoreError> {
        let mut conn = self.read().await?;
        let sealed: Option<(Vec<u8>,)> = on!(conn.link(), |db| sqlx::query_as(REGISTRATION_KEY)
            .bind(Text(id))
            .fetch_optional(&mut *db)
            .await?);
        let Some((sealed,)) = sealed else { return Ok(None) };
        let row = id.to_string();
        let key = self.shared.keys.open(key_place(&row), &sealed)?;
        let key: [u8; 32] = key
            .as_slice()
            .try_into()
            .map_err(|error| StoreError::unreadable("a registration key", error))?;
        Ok(Some(RegistrationKey::from_bytes(key)))
    }

    /// Draws a new registration key. Credentials derived from the former one no longer register a
    /// device; those registered already stay so. `None` if there is no such product.
    pub async fn rotate_registration_key(
        &self,
        id: ProductId,
        by: Actor,
        now: Timestamp,
    ) -> Result<Option<RegistrationKey>, StoreError> {
        let mut tx = self.write(now).await?;
        let key = RegistrationKey::from_bytes(random_bytes(tx.entropy()));
        let row = id.to_string();
        let sealed = self.shared.keys.seal(key_place(&row), key.as_bytes(), tx.entropy());
        let changed = execute!(tx.link(), sqlx::query(NEW_KEY).bind(Text(id)).bind(sealed.as_slice()));
        if changed == 0 {
            return Ok(None);
        }
        tx.audit(Act::new("registration_key.rotate", by).about("product_id", id));
        tx.commit().await?;
        Ok(Some(key))
    }
}

pub(crate) fn key_place(product_id: &str) -> Place<'_> {
    Place {
        table: "product.registration_key",
        row: product_id,
    }
}
