//! Appending what arrived: a few statements for everything that one commit holds.
//!
//! The events' primary key says which are new; only the points of those are appended. A point whose
//! time was written before is replaced by what arrives later, so late and repeated ones find their
//! place.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use ostler_core::id::{DeviceId, EventId};
use ostler_core::mapping::TimeSource;
use serde::{Deserialize, Serialize};

use super::arrival::{Arrivals, Door, EventFate, NewEvent, NewPoint};
use super::points::StoredValue;
use super::rejected::write_rejections;
use crate::Store;
use crate::devices::{Heard, write_presence};
use crate::dialect::{Pair, json_rows};
use crate::error::StoreError;
use crate::rows::ManyRows;
use crate::tx::{Tx, on};
use crate::value::Text;
use crate::writer::{Asked, Entry};

static INSERT_EVENTS: ManyRows = ManyRows::new(
    "INSERT",
    "INTO event (event_id, device_id, published_at, identity, time, time_source, received_at, door,
                        name, data, vendor_event_id)
     VALUES ",
    11,
    " ON CONFLICT (device_id, published_at, identity) DO NOTHING",
);
const WHICH_STORED: Pair = json_rows!(
    "SELECT event.event_id
       FROM ",
    " AS row
       JOIN event ON event.device_id = row.value->>0 AND event.published_at = CAST(row.value->>1 AS BIGINT)
                 AND event.identity = row.value->>2 AND event.event_id = row.value->>3"
);
static INSERT_POINTS: ManyRows = ManyRows::new(
    "INSERT",
    "INTO telemetry (device_id, key, time, received_at, number, other) VALUES ",
    6,
    " ON CONFLICT (device_id, key, time) DO UPDATE
        SET received_at = excluded.received_at, number = excluded.number, other = excluded.other
      WHERE excluded.received_at >= telemetry.received_at",
);

/// An event as a row, with the points that were read out of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct EventRow<'a> {
    event_id: EventId,
    device_id: DeviceId,
    published_at: i64,
    identity: String,
    time: i64,
    #[serde(with = "time_source")]
    time_source: TimeSource,
    received_at: i64,
    #[serde(with = "crate::value::spelled")]
    door: Door,
    name: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    vendor_event_id: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    points: Vec<PointRow<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    heard: Option<Heard>,
}

/// Of its event's device, received with its event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct PointRow<'a> {
    key: Cow<'a, str>,
    time: i64,
    #[serde(default, with = "crate::value::exact", skip_serializing_if = "Option::is_none")]
    number: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    other: Option<String>,
}

impl Store {
    /// Makes a delivery durable in the writer's next commit. May be refused as overloaded: the
    /// sender repeats it.
    pub async fn record_arrivals(&self, arrivals: Arrivals) -> Result<Vec<EventFate>, StoreError> {
        self.writer.ask(arrivals, Entry::Arrivals).await
    }

    /// The same for a door whose sender does not repeat: waits for a place in the queue, and so
    /// slows the reading down.
    pub async fn record_streamed(&self, arrivals: Arrivals) -> Result<Vec<EventFate>, StoreError> {
        self.writer.insist(arrivals, Entry::Arrivals).await
    }
}

/// Writes the deliveries of one commit. Answers one list of fates for each.
pub(crate) async fn write_arrivals(
    tx: &mut Tx,
    asked: &[Asked<Arrivals, Vec<EventFate>>],
) -> Result<Vec<Vec<EventFate>>, StoreError> {
    let events: Vec<EventRow<'_>> = asked
        .iter()
        .flat_map(|asked| &asked.entry.events)
        .map(EventRow::from)
        .collect();
    let fates = write_events(tx, &events).await?;
    write_rejections(tx, asked.iter().flat_map(|asked| &asked.entry.rejections)).await?;
    let mut fates = fates.into_iter();
    Ok(asked
        .iter()
        .map(|asked| fates.by_ref().take(asked.entry.events.len()).collect())
        .collect())
}

/// Stores what is new, and only of that the points and what it says about presence.
pub(crate) async fn write_events(tx: &mut Tx, events: &[EventRow<'_>]) -> Result<Vec<EventFate>, StoreError> {
    if events.is_empty() {
        return Ok(Vec::new());
    }
    let fates = insert_or_know(tx, events).await?;
    let new = || {
        events
            .iter()
            .zip(&fates)
            .filter(|(_, fate)| **fate == EventFate::Stored)
            .map(|(event, _)| event)
    };
    count(events, &fates);
    write_points(tx, new()).await?;
    let heard: Vec<Heard> = new().filter_map(|event| event.heard).collect();
    write_presence(tx, &heard).await?;
    Ok(fates)
}

fn count(events: &[EventRow<'_>], fates: &[EventFate]) {
    for (event, fate) in events.iter().zip(fates) {
        let fate = match fate {
            EventFate::Stored | EventFate::Journaled => "stored",
            EventFate::KnownBefore => "duplicate",
        };
        metrics::counter!("ostler_events_total", "door" => event.door.as_str(), "fate" => fate).increment(1);
    }
}

async fn insert_or_know(tx: &mut Tx, events: &[EventRow<'_>]) -> Result<Vec<EventFate>, StoreError> {
    if insert_events(tx, events).await? == events.len() as u64 {
        return Ok(vec![EventFate::Stored; events.len()]);
    }
    let stored = which_stored(tx, events).await?;
    let fate = |event: &EventRow<'_>| {
        if stored.contains(&event.event_id) {
            EventFate::Stored
        } else {
            EventFate::KnownBefore
        }
    };
    Ok(events.iter().map(fate).collect())
}

/// Returns how many were new.
async fn insert_events(tx: &mut Tx, events: &[EventRow<'_>]) -> Result<u64, StoreError> {
    let mut inserted = 0;
    for (sql, chunk) in INSERT_EVENTS.statements(tx.link().dialect(), events) {
        inserted += on!(tx.link(), |db| {
            let mut query = sqlx::query(sql);
            for event in chunk {
                query = query
                    .bind(Text(event.event_id))
                    .bind(Text(event.device_id))
                    .bind(event.published_at)
                    .bind(event.identity.as_str())
                    .bind(event.time)
                    .bind(time_source::word(event.time_source))
                    .bind(event.received_at)
                    .bind(event.door.as_str())
                    .bind(&*event.name)
                    .bind(event.data.as_deref())
                    .bind(event.vendor_event_id.as_deref());
            }
            query.execute(&mut *db).await?.rows_affected()
        });
    }
    Ok(inserted)
}

/// Of each event there is a row, but perhaps of an earlier delivery: the id tells.
async fn which_stored(tx: &mut Tx, events: &[EventRow<'_>]) -> Result<HashSet<EventId>, StoreError> {
    let rows: Vec<_> = events
        .iter()
        .map(|event| (event.device_id, event.published_at, &event.identity, event.event_id))
        .collect();
    let rows = serde_json::to_string(&rows).expect("ids, text and numbers");
    let sql = WHICH_STORED.of(tx.link().dialect());
    let stored: Vec<(Text<EventId>,)> = on!(tx.link(), |db| sqlx::query_as(sql)
        .bind(rows)
        .fetch_all(&mut *db)
        .await?);
    Ok(stored.into_iter().map(|(Text(id),)| id).collect())
}

/// One statement may touch a row once (PostgreSQL insists), so of several points for one instant
/// the last to arrive is chosen here.
async fn write_points<'e>(tx: &mut Tx, events: impl Iterator<Item = &'e EventRow<'e>>) -> Result<(), StoreError> {
    let mut chosen: BTreeMap<(DeviceId, &str, i64), (i64, &PointRow<'_>)> = BTreeMap::new();
    for event in events {
        for point in &event.points {
            let earlier = chosen
                .entry((event.device_id, &point.key, point.time))
                .or_insert((event.received_at, point));
            if earlier.0 <= event.received_at {
                *earlier = (event.received_at, point);
            }
        }
    }
    let rows: Vec<_> = chosen.into_iter().collect();
    for (sql, chunk) in INSERT_POINTS.statements(tx.link().dialect(), &rows) {
        on!(tx.link(), |db| {
            let mut query = sqlx::query(sql);
            for ((device_id, key, time), (received_at, point)) in chunk {
                query = query
                    .bind(Text(*device_id))
                    .bind(*key)
                    .bind(*time)
                    .bind(*received_at)
                    .bind(point.number)
                    .bind(point.other.as_deref());
            }
            query.execute(&mut *db).await?;
        });
    }
    Ok(())
}

impl<'a> From<&'a NewEvent> for EventRow<'a> {
    fn from(event: &'a NewEvent) -> Self {
        Self {
            event_id: event.id,
            device_id: event.device_id,
            published_at: event.published_at.millis(),
            identity: URL_SAFE_NO_PAD.encode(event.identity.as_bytes()),
            time: event.time.millis(),
            time_source: event.time_source,
            received_at: event.received_at.millis(),
            door: event.door,
            name: Cow::Borrowed(&event.name),
            data: event.data.as_deref().map(Cow::Borrowed),
            vendor_event_id: event.vendor_event_id.as_deref().map(Cow::Borrowed),
            points: event.points.iter().map(PointRow::from).collect(),
            heard: event.heard,
        }
    }
}

impl<'a> From<&'a NewPoint> for PointRow<'a> {
    fn from(new: &'a NewPoint) -> Self {
        let StoredValue { number, other } = StoredValue::from(&new.point.value);
        Self {
            key: Cow::Borrowed(new.point.key.as_str()),
            time: new.time.millis(),
            number,
            other,
        }
    }
}

impl EventRow<'_> {
    /// The same row, for keeping.
    pub fn into_owned(self) -> EventRow<'static> {
        let owned = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        let point = |point: PointRow<'_>| PointRow {
            key: owned(point.key),
            time: point.time,
            number: point.number,
            other: point.other,
        };
        EventRow {
            event_id: self.event_id,
            device_id: self.device_id,
            published_at: self.published_at,
            identity: self.identity,
            time: self.time,
            time_source: self.time_source,
            received_at: self.received_at,
            door: self.door,
            name: owned(self.name),
            data: self.data.map(owned),
            vendor_event_id: self.vendor_event_id.map(owned),
            points: self.points.into_iter().map(point).collect(),
            heard: self.heard,
        }
    }
}

mod time_source {
    use ostler_core::mapping::TimeSource;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub const fn word(source: TimeSource) -> &'static str {
        match source {
            TimeSource::Device => "device",
            TimeSource::Cloud => "cloud",
        }
    }

    pub fn serialize<S: Serializer>(source: &TimeSource, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(word(*source))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TimeSource, D::Error> {
        let text = String::deserialize(deserializer)?;
        [TimeSource::Device, TimeSource::Cloud]
            .into_iter()
            .find(|source| word(*source) == text)
            .ok_or_else(|| D::Error::custom("names no clock"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ostler_core::mapping::PointValue;

    #[test]
    fn numbers_and_others_stand_in_their_own_columns() {
        let integer = StoredValue::from(&PointValue::Integer(3));
        assert_eq!((integer.number, integer.other), (Some(3.0), None));
        let text = StoredValue::from(&PointValue::Text("3".into()));
        assert_eq!((text.number, text.other.as_deref()), (None, Some("\"3\"")));
    }
}
