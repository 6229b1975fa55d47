//! Points of one key over a range of time, as they are or in buckets.

use ostler_core::caller::Caller;
use ostler_core::history::BucketWidth;
use ostler_core::id::DeviceId;
use ostler_core::interval::{Interval, IntervalSet};
use ostler_core::mapping::ValueKind;
use ostler_core::name::TelemetryKey;
use ostler_core::time::Timestamp;
use ostler_store::{Bucket, Listed, Page, StoredPoint};

use super::HistoryError;
use crate::App;

/// `from` ≤ time < `to`, of one key.
#[derive(Debug, Clone, PartialEq)]
pub struct RangeQuestion {
    pub device_id: DeviceId,
    pub key: TelemetryKey,
    pub range: Interval,
}

#[derive(Debug, Clone)]
pub struct PointsPage {
    pub unit: Option<String>,
    pub points: Listed<StoredPoint>,
    pub complete: IntervalSet,
}

#[derive(Debug, Clone)]
pub struct Buckets {
    pub unit: Option<String>,
    pub buckets: Vec<Bucket>,
    pub complete: IntervalSet,
}

impl App {
    pub async fn points(
        &self,
        caller: &Caller,
        question: &RangeQuestion,
        page: Page<Timestamp>,
    ) -> Result<PointsPage, HistoryError> {
        let RangeQuestion { device_id, key, range } = question;
        let seen = self.see(caller, *device_id, self.clock.now()).await?;
        let unit = seen.key(key)?.unit.clone();
        let visible = seen.sight.history_of(key).clipped_to(range);
        let points = self.store.points(*device_id, key, &visible, page).await?;
        let complete = self.complete_within(seen.product.id, &visible, *range).await?;
        Ok(PointsPage { unit, points, complete })
    }

    /// The caller has checked that the width suits the range.
    pub async fn buckets(
        &self,
        caller: &Caller,
        question: &RangeQuestion,
        width: BucketWidth,
    ) -> Result<Buckets, HistoryError> {
        let RangeQuestion { device_id, key, range } = question;
        let seen = self.see(caller, *device_id, self.clock.now()).await?;
        let mapping = seen.key(key)?;
        match mapping.kind {
            ValueKind::Number | ValueKind::Integer => {}
            ValueKind::Boolean | ValueKind::Text | ValueKind::Location => return Err(HistoryError::NotANumber),
        }
        let visible = seen.sight.history_of(key).clipped_to(range);
        let buckets = self.store.buckets(*device_id, key, &visible, width).await?;
        let complete = self.complete_within(seen.product.id, &visible, *range).await?;
        Ok(Buckets {
            unit: mapping.unit.clone(),
            buckets,
            complete,
        })
    }
}
