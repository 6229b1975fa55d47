//! Knowing for which times nothing was missed, door by door.
//!
//! The stream proves it by being connected. The hook proves it by heartbeats: events that we
//! publish into the product ourselves and that come back as deliveries. Between two of them, not
//! too far apart and with no delivery refused in between, the door was open.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ostler_core::id::ProductId;
use ostler_core::interval::Interval;
use ostler_core::time::Timestamp;
use ostler_store::Door;

use crate::App;

/// The event by which we see whether the way back is open. Published by nobody's device.
pub const HEARTBEAT_EVENT: &str = "ostler/heartbeat";

const BEAT_EVERY: Duration = Duration::from_secs(60);
/// The vendor repeats a skipped delivery after 30 s and after 1 min (particle-cloud-api.md §9.3), so
/// a beat may come that late.
const BEATS_APART_MAX: Duration = Duration::from_secs(150);

/// Since when each product's hook door has been open without interruption.
#[derive(Default)]
pub(super) struct HookHours(Mutex<HashMap<ProductId, HookHour>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct HookHour {
    open: Option<Open>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Open {
    from: Timestamp,
    last_beat: Timestamp,
}

impl HookHours {
    /// A heartbeat came through; the interval that it proves, if it follows another.
    fn beat(&self, product_id: ProductId, at: Timestamp) -> Option<Interval> {
        let mut hours = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let hour = hours.entry(product_id).or_insert(HookHour { open: None });
        let open = match hour.open {
            Some(open) if at.since(open.last_beat) <= BEATS_APART_MAX => Open {
                last_beat: open.last_beat.max(at),
                ..open
            },
            Some(_) | None => Open {
                from: at,
                last_beat: at,
            },
        };
        hour.open = Some(open);
        Some(Interval::new(open.from, open.last_beat)).filter(|interval| !interval.is_empty())
    }

    /// Something came through: the hook exists, so beating is worth its price.
    fn delivered(&self, product_id: ProductId) {
        let mut hours = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        hours.entry(product_id).or_insert(HookHour { open: None });
    }

    /// A delivery was refused: until the next heartbeat nothing is proven.
    fn interrupted(&self, product_id: ProductId) {
        let mut hours = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(hour) = hours.get_mut(&product_id) {
            hour.open = None;
        }
    }

    fn products(&self) -> Vec<ProductId> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .keys()
            .copied()
            .collect()
    }
}

impl App {
    pub(super) async fn hook_delivered(&self, product_id: ProductId, heartbeat: bool, at: Timestamp) {
        if !heartbeat {
            self.ingest.hook_hours.delivered(product_id);
        } else if let Some(interval) = self.ingest.hook_hours.beat(product_id, at) {
            Box::pin(self.extend_complete(product_id, Door::Hook, interval, at)).await;
        }
    }

    pub(super) fn hook_failed(&self, product_id: ProductId) {
        self.ingest.hook_hours.interrupted(product_id);
    }

    /// What could not be recorded as complete is not claimed to be: nobody has to fail for it.
    pub(super) async fn extend_complete(&self, product_id: ProductId, door: Door, interval: Interval, now: Timestamp) {
        if let Err(error) = self.store.extend_complete(product_id, door, interval, now).await {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, product.id = %product_id, "a complete interval could not be recorded");
        }
    }

    /// Publishes a heartbeat into each product whose hook has delivered something. Runs until it is
    /// dropped.
    pub async fn keep_hooks_beating(&self) {
        loop {
            tokio::time::sleep(BEAT_EVERY).await;
            for product_id in self.ingest.hook_hours.products() {
                if let Err(error) = self.cloud.publish(product_id, HEARTBEAT_EVENT, "").await {
                    let error = &error as &dyn std::error::Error;
                    tracing::debug!(error, product.id = %product_id, "a heartbeat could not be published");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_beats_in_time_prove_what_lies_between() {
        let product: ProductId = "prd_01h455vb4pex5vsknk084sn02q".parse().unwrap();
        let at = |seconds: i64| Timestamp::from_millis(seconds * 1000);
        let hours = HookHours::default();
        assert_eq!(hours.beat(product, at(0)), None);
        assert_eq!(hours.beat(product, at(60)), Some(Interval::new(at(0), at(60))));
        assert_eq!(hours.beat(product, at(200)), Some(Interval::new(at(0), at(200))));
        assert_eq!(hours.beat(product, at(400)), None, "too far apart");
        hours.interrupted(product);
        assert_eq!(hours.beat(product, at(410)), None, "a delivery was refused in between");
        assert_eq!(hours.beat(product, at(470)), Some(Interval::new(at(410), at(470))));
    }
}
