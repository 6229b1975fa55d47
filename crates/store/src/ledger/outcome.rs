//! Outcomes: what became of a command, written once.

use std::collections::HashSet;

use ostler_core::command::CommandState;
use ostler_core::id::CommandId;
use ostler_core::time::Timestamp;

use super::state::StateColumns;
use crate::Store;
use crate::audit::{Act, Actor};
use crate::error::StoreError;
use crate::rows::ManyRows;
use crate::tx::{Link, Tx, on};
use crate::value::{Millis, Text};
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
static SETTLE: ManyRows = ManyRows::new(
    "UPDATE command
        SET status = news.column2, cause = news.column3, return_value = news.column4,
            sent_at = COALESCE(news.column5, command.sent_at), settled_at = news.column6
       FROM (VALUES ",
    6,
    ") AS news
      WHERE command.command_id = news.column1
        AND (command.status IN ('accepted', 'sent')
             OR (command.status = 'unknown' AND news.column2 = 'answered'))
  RETURNING command.command_id",
);

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
    let mut answers = vec![OutcomeRecorded::SettledBefore; asked.len()];
    let mut waiting: Vec<usize> = (0..asked.len()).collect();
    while !waiting.is_empty() {
        let (first, others) = first_of_each_command(asked, waiting);
        let settlements: Vec<&Settlement> = first.iter().map(|index| &*asked[*index].entry).collect();
        let settled = settle(tx.link(), &settlements).await?;
        for (index, settlement) in first.into_iter().zip(settlements) {
            if settled.contains(&settlement.command_id) {
                tx.audit(act(settlement));
                answers[index] = OutcomeRecorded::Recorded;
            }
        }
        waiting = others;
    }
    Ok(answers)
}

/// A statement may not touch a row twice: what is said of a command that was spoken of already
/// waits for the next one.
fn first_of_each_command(
    asked: &[Asked<Settlement, OutcomeRecorded>],
    waiting: Vec<usize>,
) -> (Vec<usize>, Vec<usize>) {
    let mut seen = HashSet::with_capacity(waiting.len());
    waiting
        .into_iter()
        .partition(|index| seen.insert(asked[*index].entry.command_id))
}

/// Says which commands were changed.
async fn settle(mut link: Link<'_>, settlements: &[&Settlement]) -> Result<HashSet<CommandId>, StoreError> {
    let mut settled = HashSet::with_capacity(settlements.len());
    for (sql, chunk) in SETTLE.statements(link.dialect(), settlements) {
        let rows: Vec<(Text<CommandId>,)> = on!(link.again(), |db| {
            let mut query = sqlx::query_as(sql);
            for settlement in chunk {
                let columns = StateColumns::from(settlement.state);
                query = query
                    .bind(Text(settlement.command_id))
                    .bind(columns.status.as_str())
                    .bind(columns.cause)
                    .bind(columns.return_value.map(i64::from))
                    .bind(settlement.sent_at.map(Millis))
                    .bind(columns.settled_at.map(Millis));
            }
            query.fetch_all(&mut *db).await?
        });
        settled.extend(rows.into_iter().map(|(Text(id),)| id));
    }
    Ok(settled)
}

fn act(settlement: &Settlement) -> Act {
    let return_value = StateColumns::from(settlement.state).return_value;
    Act::new("command.outcome", Actor::System)
        .about("command_id", settlement.command_id)
        .about("status", settlement.state.status().as_str())
        .about_maybe("return_value", return_value)
}
