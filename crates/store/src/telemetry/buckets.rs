//! Aggregates of a range, computed by the database.

use ostler_core::history::BucketWidth;
use ostler_core::id::DeviceId;
use ostler_core::interval::IntervalSet;
use ostler_core::name::TelemetryKey;
use ostler_core::time::Timestamp;

use super::device_no::device_no;
use crate::Store;
use crate::dialect::{Pair, json_rows};
use crate::error::StoreError;
use crate::tx::{on, row};
use crate::value::{Millis, Text};

/// The numbers of one bucket. A bucket without points does not appear.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    pub start: Timestamp,
    pub count: i64,
    pub min: f64,
    pub max: f64,
    pub sum: f64,
    /// The value whose time is the latest.
    pub last: f64,
}

impl Bucket {
    pub fn mean(&self) -> f64 {
        self.sum / self.count as f64
    }
}

/// The intervals are the rows; being disjoint, they count no point twice. The remainder is taken
/// twice because SQL's has the sign of the dividend, and there are times before 1970.
const BUCKETS: Pair = json_rows!(
    concat!(
        "SELECT bucket.start, bucket.count, bucket.min, bucket.max, bucket.sum,
            (SELECT newest.number FROM telemetry AS newest
              WHERE newest.device_no = ",
        device_no!("$2"),
        " AND newest.key = $3 AND newest.time = bucket.last_time) AS last
       FROM (SELECT point.time - (point.time % $4 + $4) % $4 AS start, COUNT(*) AS count,
                    MIN(point.number) AS min, MAX(point.number) AS max, SUM(point.number) AS sum,
                    MAX(point.time) AS last_time
               FROM "
    ),
    concat!(
        " AS visible
               JOIN telemetry AS point
                 ON point.device_no = ",
        device_no!("$2"),
        " AND point.key = $3
                AND point.time >= CAST(visible.value->>0 AS BIGINT)
                AND point.time < CAST(visible.value->>1 AS BIGINT)
              WHERE point.number IS NOT NULL
              GROUP BY 1) AS bucket
      ORDER BY bucket.start"
    )
);

row! {
    struct BucketRow { start: Millis, count: i64, min: f64, max: f64, sum: f64, last: f64 }
}

impl From<BucketRow> for Bucket {
    fn from(row: BucketRow) -> Self {
        let BucketRow {
            start: Millis(start),
            count,
            min,
            max,
            sum,
            last,
        } = row;
        Self {
            start,
            count,
            min,
            max,
            sum,
            last,
        }
    }
}

impl Store {
    /// Buckets of one key over what may be seen. The caller has bounded their number.
    pub async fn buckets(
        &self,
        device_id: DeviceId,
        key: &TelemetryKey,
        visible: &IntervalSet,
        width: BucketWidth,
    ) -> Result<Vec<Bucket>, StoreError> {
        let intervals: Vec<[i64; 2]> = visible
            .as_slice()
            .iter()
            .map(|interval| [interval.from.millis(), interval.to.millis()])
            .collect();
        let intervals = serde_json::to_string(&intervals).expect("numbers");
        let mut conn = self.read_events_of(&[device_id]).await?;
        let sql = BUCKETS.of(conn.link().dialect());
        let rows: Vec<BucketRow> = on!(conn.link(), |db| sqlx::query_as(sql)
            .bind(intervals)
            .bind(Text(device_id))
            .bind(Text(key))
            .bind(width.millis())
            .fetch_all(&mut *db)
            .await?);
        Ok(rows.into_iter().map(Bucket::from).collect())
    }
}
