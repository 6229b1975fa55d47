//! Reading points: a range of one key, and the newest of each key.

use ostler_core::id::DeviceId;
use ostler_core::interval::{Interval, IntervalSet};
use ostler_core::mapping::PointValue;
use ostler_core::name::TelemetryKey;
use ostler_core::time::Timestamp;
use serde_json::{Value, json};

use super::device_no::device_no;
use crate::Store;
use crate::dialect::{Pair, json_rows};
use crate::error::StoreError;
use crate::page::{Listed, Page};
use crate::tx::{on, row};
use crate::value::{Millis, Text};

/// A point as it is read back. A number is a number, whether it was declared as an integer or not.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredPoint {
    pub time: Timestamp,
    pub value: PointValue,
}

/// The newest point of one key.
#[derive(Debug, Clone, PartialEq)]
pub struct LatestPoint {
    pub key: TelemetryKey,
    pub time: Timestamp,
    pub received_at: Timestamp,
    pub value: PointValue,
}

const RANGE: &str = concat!(
    "SELECT time, number, other
      FROM telemetry
     WHERE device_no = ",
    device_no!("$1"),
    " AND key = $2 AND time >= $3 AND time < $4
     ORDER BY time
     LIMIT $5"
);
/// For each row (key, from, to) the newest point within. Questions in the list of columns, and
/// `MATERIALIZED`, because joined, both planners may read the device's whole past; so the primary key
/// finds each point at once.
const LATEST: Pair = json_rows!(
    concat!(
        "WITH newest AS MATERIALIZED (
         SELECT value->>0 AS key,
                (SELECT seen.time FROM telemetry AS seen
                  WHERE seen.device_no = ",
        device_no!("$2"),
        " AND seen.key = value->>0
                    AND seen.time >= CAST(value->>1 AS BIGINT) AND seen.time < CAST(value->>2 AS BIGINT)
                  ORDER BY seen.time DESC
                  LIMIT 1) AS time
           FROM "
    ),
    concat!(
        ")
     SELECT newest.key, newest.time,
            (SELECT seen.received_at FROM telemetry AS seen
              WHERE seen.device_no = ",
        device_no!("$2"),
        " AND seen.key = newest.key AND seen.time = newest.time) AS received_at,
            (SELECT seen.number FROM telemetry AS seen
              WHERE seen.device_no = ",
        device_no!("$2"),
        " AND seen.key = newest.key AND seen.time = newest.time) AS number,
            (SELECT seen.other FROM telemetry AS seen
              WHERE seen.device_no = ",
        device_no!("$2"),
        " AND seen.key = newest.key AND seen.time = newest.time) AS other
       FROM newest
      WHERE newest.time IS NOT NULL"
    )
);

row! {
    struct PointRow { time: Millis, number: Option<f64>, other: Option<String> }
}
row! {
    struct LatestRow {
        key: Text<TelemetryKey>,
        time: Millis,
        received_at: Millis,
        number: Option<f64>,
        other: Option<String>,
    }
}

impl Store {
    /// Points of one key in the order of their time, within the intervals that may be seen.
    pub async fn points(
        &self,
        device_id: DeviceId,
        key: &TelemetryKey,
        visible: &IntervalSet,
        page: Page<Timestamp>,
    ) -> Result<Listed<StoredPoint>, StoreError> {
        let mut conn = self.read_events_of(&[device_id]).await?;
        let mut points = Vec::new();
        for interval in after(visible, page.after).as_slice() {
            let wanted = page.rows() - i64::try_from(points.len()).unwrap_or(i64::MAX);
            if wanted <= 0 {
                break;
            }
            let rows: Vec<PointRow> = on!(conn.link(), |db| sqlx::query_as(RANGE)
                .bind(Text(device_id))
                .bind(Text(key))
                .bind(Millis(interval.from))
                .bind(Millis(interval.to))
                .bind(wanted)
                .fetch_all(&mut *db)
                .await?);
            for row in rows {
                points.push(row.into_point()?);
            }
        }
        Ok(Listed::cut(points, &page))
    }

    /// The newest point of each key within what may be seen of it, in the order asked.
    pub async fn latest_points(
        &self,
        device_id: DeviceId,
        visible: &[(TelemetryKey, IntervalSet)],
    ) -> Result<Vec<LatestPoint>, StoreError> {
        let rows: Vec<_> = visible
            .iter()
            .flat_map(|(key, set)| {
                set.as_slice()
                    .iter()
                    .map(move |window| (key, window.from.millis(), window.to.millis()))
            })
            .collect();
        let rows = serde_json::to_string(&rows).expect("keys and numbers");
        let mut conn = self.read_events_of(&[device_id]).await?;
        let sql = LATEST.of(conn.link().dialect());
        let found: Vec<LatestRow> = on!(conn.link(), |db| sqlx::query_as(sql)
            .bind(rows)
            .bind(Text(device_id))
            .fetch_all(&mut *db)
            .await?);
        let mut latest: Vec<LatestPoint> = Vec::with_capacity(found.len());
        for (key, _) in visible {
            let newest = found
                .iter()
                .filter(|row| row.key.0 == *key)
                .max_by_key(|row| row.time.0);
            latest.extend(newest.map(LatestRow::to_point).transpose()?);
        }
        Ok(latest)
    }
}

/// What of the intervals lies after the last one read.
pub(super) fn after(visible: &IntervalSet, last: Option<Timestamp>) -> IntervalSet {
    match last {
        Some(last) => {
            let next = Timestamp::from_millis(last.millis().saturating_add(1));
            visible.clipped_to(&Interval::new(next, Timestamp::MAX))
        }
        None => visible.clone(),
    }
}

impl PointRow {
    fn into_point(self) -> Result<StoredPoint, StoreError> {
        let value = StoredValue {
            number: self.number,
            other: self.other,
        }
        .read()?;
        Ok(StoredPoint {
            time: self.time.0,
            value,
        })
    }
}

impl LatestRow {
    fn to_point(&self) -> Result<LatestPoint, StoreError> {
        Ok(LatestPoint {
            key: self.key.0.clone(),
            time: self.time.0,
            received_at: self.received_at.0,
            value: StoredValue {
                number: self.number,
                other: self.other.clone(),
            }
            .read()?,
        })
    }
}

/// How a value stands in its row: numbers so that SQL can aggregate them, the rest as JSON.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct StoredValue {
    pub number: Option<f64>,
    pub other: Option<String>,
}

impl From<&PointValue> for StoredValue {
    fn from(value: &PointValue) -> Self {
        let other = |json: Value| Self {
            number: None,
            other: Some(json.to_string()),
        };
        match value {
            PointValue::Number(number) => Self {
                number: Some(*number),
                other: None,
            },
            // Exact: integers are read within ±2^53 (core's mapping).
            PointValue::Integer(integer) => Self {
                number: Some(*integer as f64),
                other: None,
            },
            PointValue::Boolean(boolean) => other(json!(boolean)),
            PointValue::Text(text) => other(json!(text)),
            PointValue::Location { lat, lon } => other(json!({ "lat": lat, "lon": lon })),
        }
    }
}

impl StoredValue {
    pub fn read(self) -> Result<PointValue, StoreError> {
        match (self.number, self.other) {
            (Some(number), _) => Ok(PointValue::Number(number)),
            (None, Some(other)) => read_other(&other),
            (None, None) => Err(StoreError::inconsistent("a point without a value")),
        }
    }
}

fn read_other(text: &str) -> Result<PointValue, StoreError> {
    let json: Value = serde_json::from_str(text).map_err(|error| StoreError::unreadable("a point's value", error))?;
    let coordinate = |member: &str| json.get(member).and_then(Value::as_f64);
    match (&json, coordinate("lat"), coordinate("lon")) {
        (Value::Bool(boolean), _, _) => Ok(PointValue::Boolean(*boolean)),
        (Value::String(text), _, _) => Ok(PointValue::Text(text.clone())),
        (Value::Object(_), Some(lat), Some(lon)) => Ok(PointValue::Location { lat, lon }),
        _ => Err(StoreError::inconsistent("a point's value")),
    }
}
