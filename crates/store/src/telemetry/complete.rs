//! For which times nothing was missed.
//!
//! Each open door extends its own interval; what was not extended was not seen, so after a crash
//! an interval ends where it was last known to hold.

use ostler_core::id::ProductId;
use ostler_core::interval::{Interval, IntervalSet};
use ostler_core::time::Timestamp;

use super::arrival::Door;
use crate::Store;
use crate::error::StoreError;
use crate::tx::{execute, on};
use crate::value::{Millis, Text};

const EXTEND: &str = "
    INSERT INTO complete_interval (product_id, door, from_at, to_at) VALUES ($1, $2, $3, $4)
    ON CONFLICT (product_id, door, from_at) DO UPDATE SET to_at = excluded.to_at
     WHERE excluded.to_at > complete_interval.to_at";
const OVERLAPPING: &str = "
    SELECT from_at, to_at FROM complete_interval
     WHERE product_id = $1 AND from_at < $3 AND to_at > $2
     ORDER BY from_at";

impl Store {
    /// Nothing was missed at this door in this interval; one with the same beginning grows.
    pub async fn extend_complete(
        &self,
        product_id: ProductId,
        door: Door,
        interval: Interval,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if interval.is_empty() {
            return Ok(());
        }
        let mut tx = self.write(now).await?;
        execute!(
            tx.link(),
            sqlx::query(EXTEND)
                .bind(Text(product_id))
                .bind(Text(door))
                .bind(Millis(interval.from))
                .bind(Millis(interval.to))
        );
        tx.commit().await
    }

    /// The times within `range` for which one door or another missed nothing.
    pub async fn complete_intervals(&self, product_id: ProductId, range: Interval) -> Result<IntervalSet, StoreError> {
        let mut conn = self.read().await?;
        let rows: Vec<(Millis, Millis)> = on!(conn.link(), |db| sqlx::query_as(OVERLAPPING)
            .bind(Text(product_id))
            .bind(Millis(range.from))
            .bind(Millis(range.to))
            .fetch_all(&mut *db)
            .await?);
        let set: IntervalSet = rows
            .into_iter()
            .map(|(Millis(from), Millis(to))| Interval::new(from, to))
            .collect();
        Ok(set.clipped_to(&range))
    }
}
