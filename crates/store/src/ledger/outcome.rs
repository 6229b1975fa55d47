//! Outcomes: what became of a command, written once.

use std::borrow::Cow;
use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use ostler_core::command::{CommandState, CommandStatus};
use ostler_core::id::CommandId;
use ostler_core::time::Timestamp;

use super::insert::CommandRow;
use super::state::StateColumns;
use crate::Store;
use crate::audit::{Act, Actor};
use crate::error::StoreError;
use crate::rows::ManyRows;
use crate::tx::{Link, Tx, on};
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
/// replaces "nobody can say". [`gives_way`] says the same of a command that waits in the journal.
static SETTLE: ManyRows = ManyRows::new(
    "UPDATE",
    "command
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

/// The columns that an outcome changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct OutcomeRow {
    command_id: CommandId,
    #[serde(with = "crate::value::spelled")]
    status: CommandStatus,
    cause: Option<Cow<'static, str>>,
    return_value: Option<i32>,
    sent_at: Option<i64>,
    settled_at: Option<i64>,
}

/// Whether a command that stands so can be settled so.
pub(crate) fn gives_way(standing: CommandStatus, to: CommandStatus) -> bool {
    match standing {
        CommandStatus::Accepted | CommandStatus::Sent => true,
        CommandStatus::Unknown => to == CommandStatus::Answered,
        CommandStatus::Answered
        | CommandStatus::Refused
        | CommandStatus::Offline
        | CommandStatus::Expired
        | CommandStatus::Cancelled => false,
    }
}

impl Settlement {
    pub(crate) fn row(&self) -> OutcomeRow {
        let columns = StateColumns::from(self.state);
        OutcomeRow {
            command_id: self.command_id,
            status: columns.status,
            cause: columns.cause.map(Cow::Borrowed),
            return_value: columns.return_value,
            sent_at: self.sent_at.map(Timestamp::millis),
            settled_at: columns.settled_at.map(Timestamp::millis),
        }
    }

    pub(crate) fn act(&self) -> Act {
        let return_value = StateColumns::from(self.state).return_value;
        Act::new("command.outcome", Actor::System)
            .about("command_id", self.command_id)
            .about("status", self.state.status().as_str())
            .about_maybe("return_value", return_value)
    }
}

impl OutcomeRow {
    pub fn command_id(&self) -> CommandId {
        self.command_id
    }
}

impl CommandRow {
    /// Does what `SETTLE` does, for a row that is not in its table yet.
    pub fn settle(&mut self, outcome: OutcomeRow) {
        if gives_way(self.status, outcome.status) {
            self.status = outcome.status;
            self.cause = outcome.cause;
            self.return_value = outcome.return_value;
            self.sent_at = outcome.sent_at.or(self.sent_at);
            self.settled_at = outcome.settled_at;
        }
    }
}

impl Store {
    /// Makes an outcome durable. Never refused for lack of room: the call has been made.
    pub async fn record_outcome(&self, settlement: Settlement) -> Result<OutcomeRecorded, StoreError> {
        self.writer.insist(Box::new(settlement), Entry::Outcome).await
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
        let (first, others) = first_of_each_command(waiting, |index| asked[*index].entry.command_id);
        let rows: Vec<_> = first.iter().map(|index| asked[*index].entry.row()).collect();
        let settled = settle(tx.link(), &rows).await?;
        for index in first {
            let settlement = &asked[index].entry;
            if settled.contains(&settlement.command_id) {
                tx.audit(settlement.act());
                answers[index] = OutcomeRecorded::Recorded;
            }
        }
        waiting = others;
    }
    Ok(answers)
}

/// Settles commands that are in their table, in the order in which it happened.
pub(crate) async fn settle_commands(mut link: Link<'_>, outcomes: &[OutcomeRow]) -> Result<(), StoreError> {
    let mut waiting = outcomes.to_vec();
    while !waiting.is_empty() {
        let (first, others) = first_of_each_command(waiting, OutcomeRow::command_id);
        settle(link.again(), &first).await?;
        waiting = others;
    }
    Ok(())
}

/// A statement may not touch a row twice: what is said of a command that was spoken of already
/// waits for the next one.
fn first_of_each_command<T>(waiting: Vec<T>, command_id: impl Fn(&T) -> CommandId) -> (Vec<T>, Vec<T>) {
    let mut seen = HashSet::with_capacity(waiting.len());
    waiting.into_iter().partition(|entry| seen.insert(command_id(entry)))
}

/// Says which commands were changed.
async fn settle(mut link: Link<'_>, outcomes: &[OutcomeRow]) -> Result<HashSet<CommandId>, StoreError> {
    let mut settled = HashSet::with_capacity(outcomes.len());
    for (sql, chunk) in SETTLE.statements(link.dialect(), outcomes) {
        let rows: Vec<(Text<CommandId>,)> = on!(link.again(), |db| {
            let mut query = sqlx::query_as(sql);
            for row in chunk {
                query = query
                    .bind(Text(row.command_id))
                    .bind(row.status.as_str())
                    .bind(row.cause.as_deref())
                    .bind(row.return_value.map(i64::from))
                    .bind(row.sent_at)
                    .bind(row.settled_at);
            }
            query.fetch_all(&mut *db).await?
        });
        settled.extend(rows.into_iter().map(|(Text(id),)| id));
    }
    Ok(settled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqlx::{Connection as _, SqliteConnection};

    const INSERT: &str = "
        INSERT INTO command (command_id, device_id, function, rule, status, created_at) VALUES ($1, 'd', 'f', 'r', $2, 0)";

    #[tokio::test]
    async fn the_statement_and_the_rule_for_what_waits_agree() {
        let mut db = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        sqlx::raw_sql(include_str!("../../migrations/0003_ledger.sql"))
            .execute(&mut db)
            .await
            .unwrap();
        let mut number = 0;
        for standing in CommandStatus::ALL {
            for to in CommandStatus::ALL {
                number += 1;
                let command_id: CommandId = format!("cmd_{number:026}").parse().unwrap();
                let insert = sqlx::query(INSERT).bind(Text(command_id)).bind(standing.as_str());
                insert.execute(&mut db).await.unwrap();
                let outcome = OutcomeRow {
                    command_id,
                    status: to,
                    cause: None,
                    return_value: None,
                    sent_at: None,
                    settled_at: Some(1),
                };
                let settled = settle(Link::Sqlite(&mut db), &[outcome]).await.unwrap();
                assert_eq!(
                    settled.contains(&command_id),
                    gives_way(standing, to),
                    "{standing} to {to}"
                );
            }
        }
    }
}
