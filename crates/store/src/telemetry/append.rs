//! Appending what arrived: a few statements for everything that one commit holds.
//!
//! The events' primary key says which are new; only the points of those are appended. A point whose
//! time was written before is replaced by what arrives later, so late and repeated ones find their
//! place.

use std::collections::{HashMap, HashSet};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

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
use crate::rows::ManyRows;
use crate::tx::{Tx, on};
use crate::value::{Millis, Text};
use crate::writer::{Asked, Entry};

static INSERT_EVENTS: ManyRows = ManyRows::new(
    "INSERT INTO event (event_id, device_id, published_at, identity, time, time_source, received_at, door,
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
    "INSERT INTO telemetry (device_id, key, time, received_at, number, other) VALUES ",
    6,
    " ON CONFLICT (device_id, key, time) DO UPDATE
        SET received_at = excluded.received_at, number = excluded.number, other = excluded.other
      WHERE excluded.received_at >= telemetry.received_at",
);

struct PointRow<'a> {
    device_id: DeviceId,
    key: &'a TelemetryKey,
    time: Timestamp,
    received_at: Timestamp,
    value: StoredValue,
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
    let events: Vec<&NewEvent> = asked.iter().flat_map(|asked| &asked.entry.events).collect();
    let fates = write_events(tx, &events).await?;
    let new = || {
        events
            .iter()
            .zip(&fates)
            .filter(|(_, fate)| **fate == EventFate::Stored)
            .map(|(event, _)| *event)
    };
    write_points(tx, new()).await?;
    let heard: Vec<Heard> = new().filter_map(|event| event.heard).collect();
    write_presence(tx, &heard).await?;
    write_rejections(tx, asked.iter().flat_map(|asked| &asked.entry.rejections)).await?;
    let mut fates = fates.into_iter();
    Ok(asked
        .iter()
        .map(|asked| fates.by_ref().take(asked.entry.events.len()).collect())
        .collect())
}

async fn write_events(tx: &mut Tx, events: &[&NewEvent]) -> Result<Vec<EventFate>, StoreError> {
    if events.is_empty() {
        return Ok(Vec::new());
    }
    if insert_events(tx, events).await? == events.len() as u64 {
        return Ok(vec![EventFate::Stored; events.len()]);
    }
    let stored = which_stored(tx, events).await?;
    let fate = |event: &&NewEvent| {
        if stored.contains(&event.id) {
            EventFate::Stored
        } else {
            EventFate::KnownBefore
        }
    };
    Ok(events.iter().map(fate).collect())
}

/// Returns how many were new.
async fn insert_events(tx: &mut Tx, events: &[&NewEvent]) -> Result<u64, StoreError> {
    let mut inserted = 0;
    for (sql, chunk) in INSERT_EVENTS.statements(tx.link().dialect(), events) {
        inserted += on!(tx.link(), |db| {
            let mut query = sqlx::query(sql);
            for event in chunk {
                query = query
                    .bind(Text(event.id))
                    .bind(Text(event.device_id))
                    .bind(Millis(event.published_at))
                    .bind(identity_text(event))
                    .bind(Millis(event.time))
                    .bind(time_source_word(event.time_source))
                    .bind(Millis(event.received_at))
                    .bind(event.door.as_str())
                    .bind(event.name.as_str())
                    .bind(event.data.as_deref())
                    .bind(event.vendor_event_id.as_deref());
            }
            query.execute(&mut *db).await?.rows_affected()
        });
    }
    Ok(inserted)
}

/// Of each event there is a row, but perhaps of an earlier delivery: the id tells.
async fn which_stored(tx: &mut Tx, events: &[&NewEvent]) -> Result<HashSet<EventId>, StoreError> {
    let rows: Vec<_> = events
        .iter()
        .map(|event| {
            (
                event.device_id,
                event.published_at.millis(),
                identity_text(event),
                event.id,
            )
        })
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
async fn write_points<'e>(tx: &mut Tx, events: impl Iterator<Item = &'e NewEvent>) -> Result<(), StoreError> {
    let mut chosen: HashMap<(DeviceId, &TelemetryKey, Timestamp), PointRow<'e>> = HashMap::new();
    for event in events {
        for new in &event.points {
            let row = PointRow::of(event, new);
            match chosen.entry((event.device_id, &new.point.key, new.time)) {
                std::collections::hash_map::Entry::Occupied(mut earlier)
                    if earlier.get().received_at <= row.received_at =>
                {
                    earlier.insert(row);
                }
                std::collections::hash_map::Entry::Occupied(_) => {}
                std::collections::hash_map::Entry::Vacant(vacant) => {
                    vacant.insert(row);
                }
            }
        }
    }
    let rows: Vec<PointRow<'_>> = chosen.into_values().collect();
    for (sql, chunk) in INSERT_POINTS.statements(tx.link().dialect(), &rows) {
        on!(tx.link(), |db| {
            let mut query = sqlx::query(sql);
            for row in chunk {
                query = query
                    .bind(Text(row.device_id))
                    .bind(row.key.as_str())
                    .bind(Millis(row.time))
                    .bind(Millis(row.received_at))
                    .bind(row.value.number)
                    .bind(row.value.other.as_deref());
            }
            query.execute(&mut *db).await?;
        });
    }
    Ok(())
}

fn identity_text(event: &NewEvent) -> String {
    URL_SAFE_NO_PAD.encode(event.identity.as_bytes())
}

const fn time_source_word(source: TimeSource) -> &'static str {
    match source {
        TimeSource::Device => "device",
        TimeSource::Cloud => "cloud",
    }
}

impl<'a> PointRow<'a> {
    fn of(event: &NewEvent, new: &'a NewPoint) -> Self {
        Self {
            device_id: event.device_id,
            key: &new.point.key,
            time: new.time,
            received_at: event.received_at,
            value: StoredValue::from(&new.point.value),
        }
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
