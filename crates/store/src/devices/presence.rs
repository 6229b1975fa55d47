//! What the cloud last said about devices' connections, and when they were last heard of.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use ostler_core::id::DeviceId;
use ostler_core::policy::Presence;
use ostler_core::time::Timestamp;

use crate::Store;
use crate::dialect::{Pair, json_rows};
use crate::error::StoreError;
use crate::read_model::Change;
use crate::tx::{Tx, on};
use crate::value::Text;

/// How presence stands in its column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PresenceWord(pub Presence);

#[derive(Debug, thiserror::Error)]
#[error("is no presence of a device")]
pub(crate) struct InvalidPresence;

const WORDS: [(&str, Presence); 3] = [
    ("unknown", Presence::Unknown),
    ("online", Presence::Online),
    ("offline", Presence::Offline),
];

impl fmt::Display for PresenceWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Presence::Unknown => "unknown",
            Presence::Online => "online",
            Presence::Offline => "offline",
        })
    }
}

impl FromStr for PresenceWord {
    type Err = InvalidPresence;

    fn from_str(text: &str) -> Result<Self, InvalidPresence> {
        let known = WORDS.iter().find(|(word, _)| *word == text);
        known.map(|(_, presence)| Self(*presence)).ok_or(InvalidPresence)
    }
}

/// That a device was heard of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "HeardRow", from = "HeardRow")]
pub struct Heard {
    pub device_id: DeviceId,
    /// What it was said to be, and as of when.
    pub presence: Presence,
    pub at: Timestamp,
    /// When the device itself last spoke; `None` if only the cloud spoke of it.
    pub last_heard_at: Option<Timestamp>,
}

/// News that is older than what is known moves nothing back: events arrive out of order.
const HEARD: Pair = json_rows!(
    "INSERT INTO device_presence (device_id, state, state_at, last_heard_at)
     SELECT value->>'device_id', value->>'state', CAST(value->>'at' AS BIGINT),
            CAST(value->>'last_heard_at' AS BIGINT)
       FROM ",
    " WHERE true
     ON CONFLICT (device_id) DO UPDATE
        SET state = CASE WHEN excluded.state_at >= device_presence.state_at
                         THEN excluded.state ELSE device_presence.state END,
            state_at = CASE WHEN excluded.state_at >= device_presence.state_at
                            THEN excluded.state_at ELSE device_presence.state_at END,
            last_heard_at = CASE WHEN device_presence.last_heard_at IS NULL
                                   OR excluded.last_heard_at > device_presence.last_heard_at
                                 THEN excluded.last_heard_at ELSE device_presence.last_heard_at END
  RETURNING device_id, state"
);

#[derive(Serialize, Deserialize)]
struct HeardRow {
    device_id: DeviceId,
    #[serde(with = "crate::value::spelled")]
    state: PresenceWord,
    at: i64,
    last_heard_at: Option<i64>,
}

impl Store {
    pub async fn record_presence(&self, heard: &[Heard], now: Timestamp) -> Result<(), StoreError> {
        let devices: Vec<DeviceId> = heard.iter().map(|news| news.device_id).collect();
        let mut tx = self.write_about(&devices, now).await?;
        write_presence(&mut tx, heard).await?;
        tx.commit().await
    }
}

/// All news of one commit in one statement. Devices must exist.
pub(crate) async fn write_presence(tx: &mut Tx, heard: &[Heard]) -> Result<(), StoreError> {
    if heard.is_empty() {
        return Ok(());
    }
    let rows: Vec<HeardRow> = latest(heard).into_iter().map(HeardRow::from).collect();
    let rows = serde_json::to_string(&rows).expect("ids, words and numbers");
    let sql = HEARD.of(tx.link().dialect());
    let known: Vec<(Text<DeviceId>, Text<PresenceWord>)> = on!(tx.link(), |db| sqlx::query_as(sql)
        .bind(rows)
        .fetch_all(&mut *db)
        .await?);
    for (Text(device_id), Text(PresenceWord(presence))) in known {
        tx.change(Change::Presence { device_id, presence });
    }
    Ok(())
}

/// One piece of news for each device: a statement may not touch a row twice.
fn latest(heard: &[Heard]) -> Vec<Heard> {
    let mut latest: HashMap<DeviceId, Heard> = HashMap::new();
    for news in heard {
        latest
            .entry(news.device_id)
            .and_modify(|known| {
                known.last_heard_at = known.last_heard_at.max(news.last_heard_at);
                if news.at >= known.at {
                    (known.presence, known.at) = (news.presence, news.at);
                }
            })
            .or_insert(*news);
    }
    latest.into_values().collect()
}

impl From<Heard> for HeardRow {
    fn from(heard: Heard) -> Self {
        Self {
            device_id: heard.device_id,
            state: PresenceWord(heard.presence),
            at: heard.at.millis(),
            last_heard_at: heard.last_heard_at.map(Timestamp::millis),
        }
    }
}

impl From<HeardRow> for Heard {
    fn from(row: HeardRow) -> Self {
        Self {
            device_id: row.device_id,
            presence: row.state.0,
            at: Timestamp::from_millis(row.at),
            last_heard_at: row.last_heard_at.map(Timestamp::from_millis),
        }
    }
}
