//! Who is at the door: which products take deliveries with which secrets, and which device of ours
//! an event comes from.

use std::collections::HashMap;
use std::sync::Arc;

use ostler_core::id::{CloudDeviceId, DeviceId, ProductId};
use ostler_core::name::Slug;
use ostler_core::product::Product;
use ostler_core::secret::SecretDigest;
use ostler_core::time::Timestamp;

use crate::Store;
use crate::error::StoreError;
use crate::tx::{on, row};
use crate::value::{Digest, Millis, Text};

/// A product's door for deliveries, with the secrets that open it at the time it was read.
#[derive(Debug, Clone)]
pub struct IngestDoor {
    pub product_id: ProductId,
    pub secrets: Vec<SecretDigest>,
}

/// The device of ours that a cloud id means, and its product as declared now.
#[derive(Debug, Clone)]
pub struct EventSource {
    pub device_id: DeviceId,
    pub product: Arc<Product>,
}

const DOORS: &str = "
    SELECT p.slug, p.product_id, s.digest
      FROM product p
      LEFT JOIN ingest_secret s ON s.product_id = p.product_id AND (s.ends_at IS NULL OR s.ends_at > $1)";
const SOURCE: &str = "
    SELECT d.device_id, d.product_id, p.version
      FROM device d
      JOIN product p ON p.product_id = d.product_id
     WHERE d.cloud_device_id = $1";

row! {
    struct DoorRow { slug: Text<Slug>, product_id: Text<ProductId>, digest: Option<Digest> }
}

impl Store {
    /// Every product's door, by the slug in its address.
    pub async fn ingest_doors(&self, now: Timestamp) -> Result<HashMap<Slug, IngestDoor>, StoreError> {
        let mut conn = self.read().await?;
        let rows: Vec<DoorRow> = on!(conn.link(), |db| sqlx::query_as(DOORS)
            .bind(Millis(now))
            .fetch_all(&mut *db)
            .await?);
        let mut doors: HashMap<Slug, IngestDoor> = HashMap::new();
        for DoorRow {
            slug: Text(slug),
            product_id: Text(product_id),
            digest,
        } in rows
        {
            let door = doors.entry(slug).or_insert_with(|| IngestDoor {
                product_id,
                secrets: Vec::new(),
            });
            door.secrets.extend(digest.map(|Digest(digest)| digest));
        }
        Ok(doors)
    }

    /// Which device of ours the cloud means; on SQLite from memory.
    pub async fn event_source(&self, cloud_device_id: &CloudDeviceId) -> Result<Option<EventSource>, StoreError> {
        let recalled = self.shared.recall(|model| {
            let facts = model.device_by_cloud_id(cloud_device_id)?;
            Some(EventSource {
                device_id: facts.id,
                product: facts.product,
            })
        });
        match recalled.await? {
            Some(source) => Ok(source),
            None => Box::pin(self.read_event_source(cloud_device_id)).await,
        }
    }

    async fn read_event_source(&self, cloud_device_id: &CloudDeviceId) -> Result<Option<EventSource>, StoreError> {
        let found: Option<(Text<DeviceId>, Text<ProductId>, i64)> = {
            let mut conn = self.read().await?;
            on!(conn.link(), |db| sqlx::query_as(SOURCE)
                .bind(Text(cloud_device_id))
                .fetch_optional(&mut *db)
                .await?)
        };
        let Some((Text(device_id), Text(product_id), version)) = found else {
            return Ok(None);
        };
        let product = self.product_version(product_id, version).await?;
        Ok(Some(EventSource { device_id, product }))
    }
}
