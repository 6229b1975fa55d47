//! Appending what arrived: one statement per table for everything that one commit holds.
//!
//! The events' primary key says which are new; only the points of those are appended. A point whose
//! time was written before is replaced by what arrives later, so late and repeated ones find their
//! place.

use std::collections::{HashMap, HashSet};

use ostler_core::id::{DeviceId, EventId};
use ostler_core::mapping::TimeSource;
use ostler_core::name::TelemetryKey;
use ostler_core::time::Timestamp;

use super::arrival::{Arrivals, EventFate, NewEvent, NewPoint};
use super::points::StoredValue;
use super::rejected::write_rejections;
use crate::Store;
use crate::devices::{Heard, write_presence};
use crate::dialect::{Pair, json_rows};
use crate::error::StoreError;
use crate::tx::{Tx, execute, on};
use crate::value::Text;
use crate::writer::{Asked, Entry};

const INSERT_EVENTS: Pair = json_rows!(
    "INSERT INTO event (event_id, device_id, published_at, identity, time, time_source, received_at, door,
                        name, data, vendor_event_id)
     SELECT value->>0, value->>1, CAST(value->>2 AS BIGINT), value->>3, CAST(value->>4 AS BIGINT), value->>5,
            CAST(value->>6 AS BIGINT), value->>7, value->>8, value->>9, value->>10
       FROM ",
    " WHERE true ON CONFLICT (device_id, published_at, identity) DO NOTHING"
);
const WHICH_STORED: Pair = json_rows!(
    "SELECT event.event_id
       FROM ",
    " AS row
       JOIN event ON event.device_id = row.value->>1 AND event.published_at = CAST(row.value->>2 AS BIGINT)
                 AND event.identity = row.value->>3 AND event.event_id = row.value->>0"
);
const INSERT_POINTS: Pair = json_rows!(
    "INSERT INTO telemetry (device_id, key, time, received_at, number, other)
     SELECT value->>0, value->>1, CAST(value->>2 AS BIGINT), CAST(value->>3 AS BIGINT),
            CAST(value->>4 AS DOUBLE PRECISION), value->>5
       FROM ",
    " WHERE true
     ON CONFLICT (device_id, key, time) DO UPDATE
        SET received_at = excluded.received_at, number = excluded.number, other = excluded.other
      WHERE excluded.received_at >= telemetry.received_at"
);

/// The members stand in the order in which the statements count them.
#[derive(serde::Serialize)]
struct EventRow<'a>(
    EventId,
    DeviceId,
    i64,
    String,
    i64,
    &'static str,
    i64,
    &'static str,
    &'a str,
    Option<&'a str>,
    Option<&'a str>,
);

#[derive(serde::Serialize)]
struct PointRow<'a>(DeviceId, &'a TelemetryKey, i64, i64, Option<f64>, Option<String>);

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
    let events: Vec<&NewEvent> = asked.iter().flat_map(|asked| &asked.entry.events).collect();
    let fates = write_events(tx, &events).await?;
    let new = || events.iter().zip(&fates).filter(|(_, fate)| **fate == EventFate::Stored).map(|(event, _)| *event);
    write_points(tx, new()).await?;
    let heard: Vec<Heard> = new().filter_map(|event| event.heard).collect();
    write_presence(tx, &heard).await?;
    write_rejections(tx, asked.iter().flat_map(|asked| &asked.entry.rejections)).await?;
    let mut fates = fates.into_iter();
    Ok(asked.iter().map(|asked| fates.by_ref().take(asked.entry.events.len()).collect()).collect())
}

async fn write_events(tx: &mut Tx, events: &[&NewEvent]) -> Result<Vec<EventFate>, StoreError> {
    if events.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<EventRow<'_>> = events.iter().map(|event| EventRow::of(event)).collect();
    let rows = serde_json::to_string(&rows).expect("ids, text and numbers");
    let dialect = tx.link().dialect();
    let inserted = execute!(tx.link(), sqlx::query(INSERT_EVENTS.of(dialect)).bind(rows.as_str()));
    if inserted == events.len() as u64 {
        return Ok(vec![EventFate::Stored; events.len()]);
    }
    let sql = WHICH_STORED.of(dialect);
    let stored: Vec<(Text<EventId>,)> =
        on!(tx.link(), |db| sqlx::query_as(sql).bind(rows.as_str()).fetch_all(&mut *db).await?);
    let stored: HashSet<EventId> = stored.into_iter().map(|(Text(id),)| id).collect();
    let fate = |event: &&NewEvent| if stored.contains(&event.id) { EventFate::Stored } else { EventFate::KnownBefore };
    Ok(events.iter().map(fate).collect())
}

/// One statement may touch a row once (PostgreSQL insists), so of several points for one instant
/// the last to arrive is chosen here.
async fn write_points<'e>(tx: &mut Tx, events: impl Iterator<Item = &'e NewEvent>) -> Result<(), StoreError> {
    let mut chosen: HashMap<(DeviceId, &TelemetryKey, Timestamp), PointRow<'e>> = HashMap::new();
    for event in events {
        for new in &event.points {
            let row = PointRow::of(event, new);
            match chosen.entry((event.device_id, &new.point.key, new.time)) {
                std::collections::hash_map::Entry::Occupied(mut earlier) if earlier.get().3 <= row.3 => {
                    earlier.insert(row);
                }
                std::collections::hash_map::Entry::Occupied(_) => {}
                std::collections::hash_map::Entry::Vacant(vacant) => {
                    vacant.insert(row);
                }
            }
        }
    }
    if chosen.is_empty() {
        return Ok(());
    }
    let rows: Vec<PointRow<'_>> = chosen.into_values().collect();
    let rows = serde_json::to_string(&rows).expect("ids, text and finite numbers");
    let sql = INSERT_POINTS.of(tx.link().dialect());
    execute!(tx.link(), sqlx::query(sql).bind(rows.as_str()));
    Ok(())
}

impl<'a> EventRow<'a> {
    fn of(event: &'a NewEvent) -> Self {
        use base64::Engine as _;
        let identity = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(event.identity.as_bytes());
        let time_source = match event.time_source {
            TimeSource::Device => "device",
            TimeSource::Cloud => "cloud",
        };
        Self(
            event.id,
            event.device_id,
            event.published_at.millis(),
            identity,
            event.time.millis(),
            time_source,
            event.received_at.millis(),
            event.door.as_str(),
            &event.name,
            event.data.as_deref(),
            event.vendor_event_id.as_deref(),
        )
    }
}

impl<'a> PointRow<'a> {
    fn of(event: &NewEvent, new: &'a NewPoint) -> Self {
        let StoredValue { number, other } = StoredValue::from(&new.point.value);
        Self(event.device_id, &new.point.key, new.time.millis(), event.received_at.millis(), number, other)
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
