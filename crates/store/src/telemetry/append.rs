//! Appending what arrived: a few statements for everything that one commit holds.
//!
//! The events' primary key says which are new; only the points of those are appended. A point whose
//! time was written before is replaced by what arrives later, so late and repeated ones find their
//! place.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use ostler_core::id::{DeviceId, EventId};
use ostler_core::mapping::TimeSource;
use ostler_core::name::TelemetryKey;
use ostler_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::arrival::{Arrivals, Door, EventFate, NewEvent, NewPoint, Rejection};
use super::device_no::{DeviceNumbers, device_numbers};
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
    "INTO event (event_id, device_no, published_at, identity, time, time_source, received_at, door,
                        name, data, vendor_event_id)
     VALUES ",
    11,
    " ON CONFLICT (device_no, published_at, identity) DO NOTHING",
);
const WHICH_STORED: Pair = json_rows!(
    "SELECT event.event_id
       FROM ",
    " AS row
       JOIN event ON event.device_no = CAST(row.value->>0 AS BIGINT)
                 AND event.published_at = CAST(row.value->>1 AS BIGINT) AND event.event_id = row.value->>2"
);
static INSERT_POINTS: ManyRows = ManyRows::new(
    "INSERT",
    "INTO telemetry (device_no, key, time, received_at, number, other) VALUES ",
    6,
    " ON CONFLICT (device_no, key, time) DO UPDATE
        SET received_at = excluded.received_at, number = excluded.number, other = excluded.other
      WHERE excluded.received_at >= telemetry.received_at",
);

/// An event as a row, with the points that were read out of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct EventRow {
    event_id: EventId,
    device_id: DeviceId,
    published_at: i64,
    #[serde(with = "serde_bytes")]
    identity: [u8; 32],
    time: i64,
    #[serde(with = "time_source")]
    time_source: TimeSource,
    received_at: i64,
    #[serde(with = "crate::value::spelled")]
    door: Door,
    name: String,
    data: Option<String>,
    vendor_event_id: Option<String>,
    points: Vec<PointRow>,
    pub(crate) heard: Option<Heard>,
}

/// A delivery on its way to the writer.
#[derive(Debug)]
pub(crate) struct ArrivedRows {
    /// Shared with what waits in the journal.
    pub events: Vec<Arc<EventRow>>,
    pub rejections: Vec<Rejection>,
    pub fates_matter: bool,
}

/// Of its event's device, received with its event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct PointRow {
    key: TelemetryKey,
    time: i64,
    #[serde(with = "crate::value::exact")]
    number: Option<f64>,
    other: Option<String>,
}

impl Store {
    /// Makes a delivery durable in the writer's next commit. May be refused as overloaded: the
    /// sender repeats it.
    pub async fn record_arrivals(&self, arrivals: Arrivals) -> Result<Vec<EventFate>, StoreError> {
        self.writer.ask(Box::new(arrivals.into()), Entry::Arrivals).await
    }

    /// The same for a door whose sender does not repeat: waits for a place in the queue, and so
    /// slows the reading down.
    pub async fn record_streamed(&self, arrivals: Arrivals) -> Result<Vec<EventFate>, StoreError> {
        self.writer.insist(Box::new(arrivals.into()), Entry::Arrivals).await
    }
}

/// Writes the deliveries of one commit. Answers one list of fates for each.
pub(crate) async fn write_arrivals(
    tx: &mut Tx,
    asked: &[Asked<ArrivedRows, Vec<EventFate>>],
) -> Result<Vec<Vec<EventFate>>, StoreError> {
    let events: Vec<Arc<EventRow>> = asked
        .iter()
        .flat_map(|asked| &asked.entry.events)
        .map(Arc::clone)
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
pub(crate) async fn write_events(tx: &mut Tx, events: &[Arc<EventRow>]) -> Result<Vec<EventFate>, StoreError> {
    if events.is_empty() {
        return Ok(Vec::new());
    }
    let devices = events.iter().map(|event| event.device_id).collect();
    let numbers = device_numbers(tx, &devices).await?;
    let fates = insert_or_know(tx, events, &numbers).await?;
    let new = || {
        events
            .iter()
            .zip(&fates)
            .filter(|(_, fate)| **fate == EventFate::Stored)
            .map(|(event, _)| event)
    };
    count(events, &fates);
    write_points(tx, new(), &numbers).await?;
    let heard: Vec<Heard> = new().filter_map(|event| event.heard).collect();
    write_presence(tx, &heard).await?;
    Ok(fates)
}

/// Looking a series up costs more than counting in it.
fn count(events: &[Arc<EventRow>], fates: &[EventFate]) {
    let mut counts: BTreeMap<(&'static str, &'static str), u64> = BTreeMap::new();
    for (event, fate) in events.iter().zip(fates) {
        let fate = match fate {
            EventFate::Stored | EventFate::Journaled => "stored",
            EventFate::KnownBefore => "duplicate",
        };
        *counts.entry((event.door.as_str(), fate)).or_default() += 1;
    }
    for ((door, fate), count) in counts {
        metrics::counter!("ostler_events_total", "door" => door, "fate" => fate).increment(count);
    }
}

async fn insert_or_know(
    tx: &mut Tx,
    events: &[Arc<EventRow>],
    numbers: &DeviceNumbers,
) -> Result<Vec<EventFate>, StoreError> {
    if insert_events(tx, events, numbers).await? == events.len() as u64 {
        return Ok(vec![EventFate::Stored; events.len()]);
    }
    let stored = which_stored(tx, events, numbers).await?;
    let fate = |event: &Arc<EventRow>| {
        if stored.contains(&event.event_id) {
            EventFate::Stored
        } else {
            EventFate::KnownBefore
        }
    };
    Ok(events.iter().map(fate).collect())
}

/// Returns how many were new.
async fn insert_events(tx: &mut Tx, events: &[Arc<EventRow>], numbers: &DeviceNumbers) -> Result<u64, StoreError> {
    let mut inserted = 0;
    for (sql, chunk) in INSERT_EVENTS.statements(tx.link().dialect(), events) {
        inserted += on!(tx.link(), |db| {
            let mut query = sqlx::query(sql);
            for event in chunk {
                query = query
                    .bind(Text(event.event_id))
                    .bind(numbers[&event.device_id])
                    .bind(event.published_at)
                    .bind(event.identity.as_slice())
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
async fn which_stored(
    tx: &mut Tx,
    events: &[Arc<EventRow>],
    numbers: &DeviceNumbers,
) -> Result<HashSet<EventId>, StoreError> {
    let rows: Vec<_> = events
        .iter()
        .map(|event| (numbers[&event.device_id], event.published_at, event.event_id))
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
async fn write_points<'e>(
    tx: &mut Tx,
    events: impl Iterator<Item = &'e Arc<EventRow>>,
    numbers: &DeviceNumbers,
) -> Result<(), StoreError> {
    let mut chosen: BTreeMap<(i64, &str, i64), (i64, &PointRow)> = BTreeMap::new();
    for event in events {
        for point in &event.points {
            let earlier = chosen
                .entry((numbers[&event.device_id], point.key.as_str(), point.time))
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
            for ((device_no, key, time), (received_at, point)) in chunk {
                query = query
                    .bind(*device_no)
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

impl From<Arrivals> for ArrivedRows {
    fn from(arrivals: Arrivals) -> Self {
        let events = arrivals.events.into_iter();
        Self {
            events: events.map(|event| Arc::new(EventRow::from(event))).collect(),
            rejections: arrivals.rejections,
            fates_matter: arrivals.fates_matter,
        }
    }
}

impl ArrivedRows {
    /// When the last of it arrived.
    pub fn received_at(&self) -> Option<Timestamp> {
        let events = self
            .events
            .iter()
            .map(|event| Timestamp::from_millis(event.received_at));
        events
            .chain(self.rejections.iter().map(|rejection| rejection.received_at))
            .max()
    }
}

impl From<NewEvent> for EventRow {
    fn from(event: NewEvent) -> Self {
        Self {
            event_id: event.id,
            device_id: event.device_id,
            published_at: event.published_at.millis(),
            identity: *event.identity.as_bytes(),
            time: event.time.millis(),
            time_source: event.time_source,
            received_at: event.received_at.millis(),
            door: event.door,
            name: event.name,
            data: event.data,
            vendor_event_id: event.vendor_event_id,
            points: event.points.into_iter().map(PointRow::from).collect(),
            heard: event.heard,
        }
    }
}

impl From<NewPoint> for PointRow {
    fn from(new: NewPoint) -> Self {
        let StoredValue { number, other } = StoredValue::from(&new.point.value);
        Self {
            key: new.point.key,
            time: new.time.millis(),
            number,
            other,
        }
    }
}

impl EventRow {
    pub fn device_id(&self) -> DeviceId {
        self.device_id
    }

    /// What it takes of the memory, nearly.
    pub fn bytes(&self) -> usize {
        let texts = [self.data.as_ref(), self.vendor_event_id.as_ref()];
        let others = self.points.iter().filter_map(|point| point.other.as_ref());
        let texts = texts.into_iter().flatten().chain(others);
        size_of::<Self>()
            + self.name.len()
            + self.points.len() * size_of::<PointRow>()
            + texts.map(String::len).sum::<usize>()
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
