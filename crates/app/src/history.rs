//! What a device said, for whoever may see it: newest values, ranges of points, aggregates, raw
//! events, and for which times the record is complete.
//!
//! Every question first asks policy how far its asker may see; what lies outside is not read. Both
//! the customer's and the maker's questions take this way.

mod complete;
mod events;
mod latest;
mod range;

use std::sync::Arc;

use ostler_core::caller::Caller;
use ostler_core::id::DeviceId;
use ostler_core::mapping::KeyMapping;
use ostler_core::name::TelemetryKey;
use ostler_core::policy::{Denied, DeviceSight, Title, authorize_sight};
use ostler_core::product::Product;
use ostler_core::time::Timestamp;
use ostler_store::StoreError;

use crate::App;

pub use latest::LatestValue;
pub use ostler_store::{Bucket, EventCursor, StoredEvent, StoredPoint};
pub use range::{Buckets, PointsPage, RangeQuestion};

#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// No grant on such a device, or no such device.
    #[error("there is no such device for this caller")]
    NotFound,
    /// The product does not declare the key, or no grant covers it.
    #[error("the key is not among those granted")]
    KeyNotGranted,
    /// No grant covers everything that the device says.
    #[error("raw events are seen only by a grant for all keys")]
    EventsNotGranted,
    #[error("only numbers can be aggregated")]
    NotANumber,
    #[error("history could not be read")]
    Store(#[from] StoreError),
}

impl From<Denied> for HistoryError {
    /// Sight is denied for one reason only.
    fn from(_: Denied) -> Self {
        Self::NotFound
    }
}

/// A device, and how far the asker sees it.
struct Seen {
    product: Arc<Product>,
    sight: DeviceSight,
}

impl App {
    /// One look at the facts, whether the device exists or not.
    async fn see(&self, caller: &Caller, device_id: DeviceId, now: Timestamp) -> Result<Seen, HistoryError> {
        let facts = self
            .store
            .facts(caller.customer_id(), device_id, None, self.clock.instant())
            .await?;
        let sight = authorize_sight(caller, Title::of(caller, None), &facts, now)?;
        let device = facts.device.ok_or(HistoryError::NotFound)?;
        Ok(Seen {
            product: device.product,
            sight,
        })
    }
}

impl Seen {
    /// The declaration of a key that may be seen; undeclared and not granted are one answer.
    fn key(&self, key: &TelemetryKey) -> Result<&KeyMapping, HistoryError> {
        let declared = self
            .product
            .declaration
            .key(key)
            .filter(|_| self.sight.may_see_key(key));
        declared.ok_or(HistoryError::KeyNotGranted)
    }
}
