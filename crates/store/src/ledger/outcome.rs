//! Outcomes: what became of a command, written once.

use ostler_core::command::CommandState;
use ostler_core::id::CommandId;
use ostler_core::time::Timestamp;

use super::state::StateColumns;
use crate::Store;
use crate::audit::{Act, Actor};
use crate::dialect::{Pair, json_rows};
use crate::error::StoreError;
use crate::tx::{Tx, on};
use crate::value::Text;
use crate::writer::{Asked, Entry};

/// What is known about a command now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    pub command_id: CommandId,
    /// A settled state, or [`CommandState::Sent`].
    pub state: CommandState,
    /// When the request left; `None` if it did not.
    pub sent_at: Option<Timestamp>,
    pub at: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutcomeRecorded {
    Recorded,
    /// It had been settled before, by a late answer or by the job that gives up; that stands.
    SettledBefore,
}

/// The statement settles races: what is settled stays, except that an answer which came late
/// replaces "nobody can say".
const SETTLE: Pair = json_rows!(
    "UPDATE command
        SET status = news.status, cause = news.cause, return_value = news.return_value,
            sent_at = COALESCE(news.sent_at, command.sent_at), settled_at = news.settled_at
       FROM (SELECT value->>'command_id' AS command_id, value->>'status' AS status,
                    value->>'cause' AS cause,
                    CAST(value->>'return_value' AS BIGINT) AS return_value,
                    CAST(value->>'sent_at' AS BIGINT) AS sent_at,
                    CAST(value->>'settled_at' AS BIGINT) AS settled_at
               FROM ",
    ") AS news
      WHERE command.command_id = news.command_id
        AND (command.status IN ('accepted', 'sent')
             OR (command.status = 'unknown' AND news.status = 'answered'))
  RETURNING command.command_id"
);

#[derive(serde::Serialize)]
struct SettlementRow {
    command_id: CommandId,
    status: &'static str,
    cause: Option<&'static str>,
    return_value: Option<i32>,
    sent_at: Option<i64>,
    settled_at: Option<i64>,
}

impl From<&Settlement> for SettlementRow {
    fn from(settlement: &Settlement) -> Self {
        let columns = StateColumns::from(settlement.state);
        Self {
            command_id: settlement.command_id,
            status: columns.status.as_str(),
            cause: columns.cause,
            return_value: columns.return_value,
            sent_at: settlement.sent_at.map(Timestamp::millis),
            settled_at: columns.settled_at.map(Timestamp::millis),
        }
    }
}

impl Store {
    /// Makes an outcome durable. Never refused for lack of room: the call has been made.
    pub async fn record_outcome(&self, settlement: Settlement) -> Result<OutcomeRecorded, StoreError> {
        self.writer.insist(settlement, Entry::Outcome).await
    }
}

pub(crate) async fn write_outcomes(
    tx: &mut Tx,
    asked: &[Asked<Settlement, OutcomeRecorded>],
) -> Result<Vec<OutcomeRecorded>, StoreError> {
    if asked.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<SettlementRow> = asked.iter().map(|asked| SettlementRow::from(&*asked.entry)).collect();
    let rows = serde_json::to_string(&rows).expect("ids, words and numbers");
    let sql = SETTLE.of(tx.link().dialect());
    let settled: Vec<(Text<CommandId>,)> = on!(tx.link(), |db| sqlx::query_as(sql)
        .bind(rows)
        .fetch_all(&mut *db)
        .await?);
    let mut settled: std::collections::HashSet<_> = settled.into_iter().map(|(Text(id),)| id).collect();
    let mut answers = Vec::with_capacity(asked.len());
    for asked in asked {
        // Removed, so that of two outcomes for one command in one batch only one is told yes.
        if settled.remove(&asked.entry.command_id) {
            tx.audit(act(&asked.entry));
            answers.push(OutcomeRecorded::Recorded);
        } else {
            answers.push(OutcomeRecorded::SettledBefore);
        }
    }
    Ok(answers)
}

fn act(settlement: &Settlement) -> Act {
    let return_value = StateColumns::from(settlement.state).return_value;
    Act::new("command.outcome", Actor::System)
        .about("command_id", settlement.command_id)
        .about("status", settlement.state.status().as_str())
        .about_maybe("return_value", return_value)
}
