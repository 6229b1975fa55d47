//! Who may deliver: the cloud's hook shows the product's ingest secret.
//!
//! Every delivery asks this, so the doors of all products are kept in memory for a moment. A secret
//! that is not found there is looked for once more in the database: a new one works at once, an
//! ended one for at most [`MEMORY`] longer.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use ostler_core::id::ProductId;
use ostler_core::name::Slug;
use ostler_core::secret::{IngestSecret, SecretDigest};
use ostler_store::{IngestDoor, StoreError};
use tokio::sync::Mutex;

use crate::App;

const MEMORY: Duration = Duration::from_secs(1);

/// Proof that somebody knew a secret of this product's door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenDoor {
    pub(super) product_id: ProductId,
}

#[derive(Debug, thiserror::Error)]
pub enum DoorClosed {
    /// Unknown product, wrong secret or none: nobody learns which.
    #[error("no such door opens with that secret")]
    Refused,
    #[error("the doors could not be read")]
    Store(#[from] StoreError),
}

type Known = Arc<HashMap<Slug, IngestDoor>>;

#[derive(Default)]
pub(super) struct Doors {
    known: RwLock<Option<(Instant, Known)>>,
    /// Held while the database is asked, so that many misses ask once.
    asking: Mutex<()>,
}

impl Doors {
    /// What was read after `moment`.
    fn read_after(&self, moment: Instant) -> Option<Known> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known
            .as_ref()
            .filter(|(read_at, _)| moment < *read_at)
            .map(|(_, doors)| Arc::clone(doors))
    }

    fn remember(&self, read_at: Instant, doors: &Known) {
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Some((read_at, Arc::clone(doors)));
    }
}

impl App {
    /// Opens the door of the product that `slug` names.
    pub async fn open_ingest_door(&self, slug: &str, secret: &IngestSecret) -> Result<OpenDoor, DoorClosed> {
        let asked_at = self.clock.instant();
        let digest = secret.digest();
        let fresh_enough = asked_at.checked_sub(MEMORY).unwrap_or(asked_at);
        if let Some(door) = opens(&*self.doors(fresh_enough).await?, slug, &digest) {
            return Ok(door);
        }
        // Perhaps it was made a moment ago.
        opens(&*self.doors(asked_at).await?, slug, &digest).ok_or(DoorClosed::Refused)
    }

    /// The product whose door `slug` names, whoever asks. For registrations, which bring a
    /// credential of their own.
    pub(super) async fn product_of_door(&self, slug: &str) -> Result<Option<ProductId>, StoreError> {
        let doors = self.doors(self.clock.instant()).await?;
        Ok(doors.get(slug).map(|door| door.product_id))
    }

    /// The doors as the database had them at some time after `moment`.
    async fn doors(&self, moment: Instant) -> Result<Known, StoreError> {
        if let Some(known) = self.ingest.doors.read_after(moment) {
            return Ok(known);
        }
        let _asking = self.ingest.doors.asking.lock().await;
        if let Some(known) = self.ingest.doors.read_after(moment) {
            return Ok(known);
        }
        let read_at = self.clock.instant();
        let doors = Arc::new(self.store.ingest_doors(self.clock.now()).await?);
        self.ingest.doors.remember(read_at, &doors);
        Ok(doors)
    }
}

/// Compares with every secret of the door in constant time, and with one that nothing matches
/// where there is no such door.
fn opens(doors: &HashMap<Slug, IngestDoor>, slug: &str, presented: &SecretDigest) -> Option<OpenDoor> {
    let door = doors.get(slug);
    let nothing = [SecretDigest::from_bytes([0; 32])];
    let secrets = door.map_or(nothing.as_slice(), |door| &door.secrets);
    let matched = secrets
        .iter()
        .fold(false, |matched, secret| matched | presented.matches(secret));
    door.filter(|_| matched).map(|door| OpenDoor {
        product_id: door.product_id,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_secret_of_that_product_opens_its_door() {
        let door = |product: &str, secrets: &[&str]| IngestDoor {
            product_id: product.parse().unwrap(),
            secrets: secrets.iter().map(|secret| SecretDigest::of(secret)).collect(),
        };
        let doors = HashMap::from([
            (
                "one".parse().unwrap(),
                door("prd_01h455vb4pex5vsknk084sn02q", &["old", "new"]),
            ),
            (
                "two".parse().unwrap(),
                door("prd_01h455vb4pex5vsknk084sn02r", &["other"]),
            ),
            ("shut".parse().unwrap(), door("prd_01h455vb4pex5vsknk084sn02s", &[])),
        ]);
        let opened = |slug: &str, secret: &str| opens(&doors, slug, &SecretDigest::of(secret)).is_some();
        assert!(opened("one", "old") && opened("one", "new") && opened("two", "other"));
        for (slug, secret) in [
            ("one", "other"),
            ("two", "new"),
            ("none", "old"),
            ("shut", ""),
            ("", ""),
            ("ONE", "old"),
        ] {
            assert!(!opened(slug, secret), "{slug} {secret}");
        }
    }
}
