//! Reading raw events of one device, in the order of their time.

use std::str::FromStr;

use ostler_core::id::{DeviceId, EventId};
use ostler_core::interval::{Interval, IntervalSet};
use ostler_core::time::Timestamp;

use super::device_no::device_no;
use crate::Store;
use crate::error::StoreError;
use crate::page::{Listed, Page};
use crate::tx::{on, row};
use crate::value::{Millis, Text};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    pub id: EventId,
    pub name: String,
    pub data: Option<String>,
    pub time: Timestamp,
    pub published_at: Timestamp,
    pub received_at: Timestamp,
}

/// Where a page of events ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventCursor {
    pub time: Timestamp,
    pub id: EventId,
}

/// Pages go on within one instant by the id: `time > $3` or the same time and a later id.
const RANGE: &str = concat!(
    "SELECT event_id, name, data, time, published_at, received_at
      FROM event
     WHERE device_no = ",
    device_no!("$1"),
    " AND time >= $2 AND time < $3 AND (time > $2 OR event_id > $4)
     ORDER BY time, event_id
     LIMIT $5"
);
/// Read along the primary key. One function's confirmation is looked for in a short time, so the
/// limit is for a device that runs wild.
const NAMED: &str = concat!(
    "SELECT event_id, name, data, time, published_at, received_at
      FROM event
     WHERE device_no = ",
    device_no!("$1"),
    " AND published_at >= $2 AND published_at < $3 AND name = $4
     ORDER BY published_at, identity
     LIMIT 1000"
);

row! {
    struct EventRow {
        event_id: Text<EventId>,
        name: String,
        data: Option<String>,
        time: Millis,
        published_at: Millis,
        received_at: Millis,
    }
}

impl From<EventRow> for StoredEvent {
    fn from(row: EventRow) -> Self {
        Self {
            id: row.event_id.0,
            name: row.name,
            data: row.data,
            time: row.time.0,
            published_at: row.published_at.0,
            received_at: row.received_at.0,
        }
    }
}

impl StoredEvent {
    pub fn cursor(&self) -> EventCursor {
        EventCursor {
            time: self.time,
            id: self.id,
        }
    }
}

impl Store {
    /// What a device published under one name in that time, by the cloud's clock.
    pub async fn events_named(
        &self,
        device_id: DeviceId,
        name: &str,
        published: Interval,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let mut conn = self.read_events_of(&[device_id]).await?;
        let rows: Vec<EventRow> = on!(conn.link(), |db| sqlx::query_as(NAMED)
            .bind(Text(device_id))
            .bind(Millis(published.from))
            .bind(Millis(published.to))
            .bind(name)
            .fetch_all(&mut *db)
            .await?);
        Ok(rows.into_iter().map(StoredEvent::from).collect())
    }

    /// Events in the order of their time, within the intervals that may be seen.
    pub async fn events(
        &self,
        device_id: DeviceId,
        visible: &IntervalSet,
        page: Page<EventCursor>,
    ) -> Result<Listed<StoredEvent>, StoreError> {
        let mut conn = self.read_events_of(&[device_id]).await?;
        let mut events: Vec<StoredEvent> = Vec::new();
        let begin = page.after.map_or(Timestamp::MIN, |cursor| cursor.time);
        for interval in visible.clipped_to(&Interval::new(begin, Timestamp::MAX)).as_slice() {
            let wanted = page.rows() - i64::try_from(events.len()).unwrap_or(i64::MAX);
            if wanted <= 0 {
                break;
            }
            // Only the interval in which the last page ended begins behind an id.
            let after_id = page
                .after
                .filter(|cursor| cursor.time == interval.from)
                .map(|cursor| cursor.id.to_string());
            let rows: Vec<EventRow> = on!(conn.link(), |db| sqlx::query_as(RANGE)
                .bind(Text(device_id))
                .bind(Millis(interval.from))
                .bind(Millis(interval.to))
                .bind(after_id.as_deref().unwrap_or_default())
                .bind(wanted)
                .fetch_all(&mut *db)
                .await?);
            events.extend(rows.into_iter().map(StoredEvent::from));
        }
        Ok(Listed::cut(events, &page))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a cursor from a former answer")]
pub struct InvalidCursor;

impl std::fmt::Display for EventCursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.time.millis(), self.id)
    }
}

impl FromStr for EventCursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let (millis, id) = text.split_once('.').ok_or(InvalidCursor)?;
        let millis = millis.parse().map_err(|_| InvalidCursor)?;
        Ok(Self {
            time: Timestamp::from_millis(millis),
            id: id.parse().map_err(|_| InvalidCursor)?,
        })
    }
}
