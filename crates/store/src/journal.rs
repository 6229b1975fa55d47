//! On SQLite: what hot commits bring is durable as one row each, and is filed in its own tables
//! later, many commits at once.
//!
//! SQLite's log takes whole pages. An event or a command touches some pages that nothing else in its
//! commit touches: written at once, they cost more than all the rest of a request; filed hundreds
//! together, they are shared. What waits is in memory, too (the [`Tail`]), and has been filed before
//! anybody reads or begins a transaction, so nobody sees a difference. Nothing is journaled that a
//! statement has to judge, or that changes what the read model says.

use std::collections::HashMap;
use std::sync::Arc;

use ostler_core::id::CommandId;
use ostler_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::audit::{Act, ChainEntry};
use crate::db::{Lane, Shared};
use crate::error::StoreError;
use crate::faults::{FaultPoint, pass};
use crate::ledger::{CommandRow, OutcomeRow, insert_commands, settle_commands};
use crate::telemetry::{EventRow, write_events};
use crate::tx::{Link, Tx, execute, on};
use crate::value::{Millis, Text};

/// So many rows are filed at once under load: enough that pages are shared, few enough that a commit
/// which files them keeps nobody waiting for long.
const FILED_AT_ONCE: usize = 256;
/// With so many, a moment in which nobody waits is used.
pub(crate) const FILED_IN_PASSING: usize = 32;

/// A statement alone is a transaction of its own: one hop to SQLite's thread, where each further
/// statement, `BEGIN` and `COMMIT` too, would cost a switch of threads.
const JOT: &str = "
    INSERT INTO journal (seq, body, chain_id, entry_seq, at, prev_hash, hash, acts)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
const FILE_ACTS: &str = "
    INSERT INTO audit_entry (chain_id, seq, at, prev_hash, hash, body)
    SELECT chain_id, entry_seq, at, prev_hash, hash, acts FROM journal WHERE acts IS NOT NULL ORDER BY seq";
const FIRST: &str = "INSERT INTO journal (seq, body) VALUES (1, $1)";
const JOURNAL: &str = "SELECT body FROM journal ORDER BY seq";
const CLEAR: &str = "DELETE FROM journal";

/// What the journal holds, as far as this process knows. Guarded by the lane.
#[derive(Debug)]
pub(crate) enum Tail {
    /// PostgreSQL, or a database that is only looked at.
    Unused,
    /// Only the journal itself can say: at the start, after a commit whose answer was lost, and
    /// while a transaction files it.
    InDoubt,
    Known(Waiting),
}

/// What is durable and not filed.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    jots: i64,
    commands: Vec<CommandRow<'static>>,
    places: HashMap<CommandId, usize>,
    /// Of commands that have been filed.
    outcomes: Vec<OutcomeRow<'static>>,
    events: Vec<EventRow<'static>>,
}

/// What one commit brings; as JSON, the body of its row.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Jot<'a> {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<CommandRow<'a>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outcomes: Vec<OutcomeRow<'a>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<EventRow<'a>>,
}

impl Tail {
    pub fn nothing() -> Self {
        Self::Known(Waiting::default())
    }

    /// What to file. Until that is committed, only the journal can say.
    pub fn take(&mut self) -> Self {
        match self {
            Self::Unused => Self::Unused,
            Self::Known(waiting) if waiting.is_empty() => Self::nothing(),
            Self::InDoubt | Self::Known(_) => std::mem::replace(self, Self::InDoubt),
        }
    }

    /// All of it was filed.
    pub fn filed(&mut self) {
        if !matches!(self, Self::Unused) {
            *self = Self::nothing();
        }
    }

    pub fn doubt(&mut self) {
        if !matches!(self, Self::Unused) {
            *self = Self::InDoubt;
        }
    }

    pub fn is_filed(&self) -> bool {
        match self {
            Self::Unused => true,
            Self::InDoubt => false,
            Self::Known(waiting) => waiting.is_empty(),
        }
    }

    pub fn is_used(&self) -> bool {
        !matches!(self, Self::Unused)
    }

    pub fn has_room_for(&self, jot: &Jot<'_>) -> bool {
        match self {
            Self::Unused | Self::InDoubt => false,
            Self::Known(waiting) => waiting.rows() + jot.rows() <= FILED_AT_ONCE,
        }
    }

    pub fn rows(&self) -> usize {
        match self {
            Self::Unused => 0,
            Self::InDoubt => 1,
            Self::Known(waiting) => waiting.rows(),
        }
    }

    /// It is durable now.
    pub fn add(&mut self, jot: Jot<'_>) {
        match self {
            Self::Unused | Self::InDoubt => {}
            Self::Known(waiting) => waiting.add(jot),
        }
    }
}

impl Jot<'_> {
    fn rows(&self) -> usize {
        self.commands.len() + self.outcomes.len() + self.events.len()
    }

    fn into_owned(self) -> Jot<'static> {
        Jot {
            commands: self.commands.into_iter().map(CommandRow::into_owned).collect(),
            outcomes: self.outcomes.into_iter().map(OutcomeRow::into_owned).collect(),
            events: self.events.into_iter().map(EventRow::into_owned).collect(),
        }
    }

    fn body(&self) -> String {
        serde_json::to_string(self).expect("rows are text and numbers")
    }
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.jots == 0
    }

    fn rows(&self) -> usize {
        // A jot without rows counts, too: it has to be cleared away.
        (self.commands.len() + self.outcomes.len() + self.events.len()).max(self.jots.min(1) as usize)
    }

    fn add(&mut self, jot: Jot<'_>) {
        self.jots += 1;
        let Jot {
            commands,
            outcomes,
            events,
        } = jot.into_owned();
        for command in commands {
            self.places.insert(command.id(), self.commands.len());
            self.commands.push(command);
        }
        for outcome in outcomes {
            match self.places.get(&outcome.command_id()) {
                Some(place) => self.commands[*place].settle(outcome),
                None => self.outcomes.push(outcome),
            }
        }
        self.events.extend(events);
    }
}

/// Makes a jot and its acts durable. The caller holds the lane and knows its chain's head.
pub(crate) async fn jot(
    shared: &Shared,
    lane: &mut Lane,
    jot: Jot<'_>,
    acts: &[Act],
    now: Timestamp,
) -> Result<(), StoreError> {
    let (Tail::Known(waiting), Some(mut connection)) = (&mut lane.tail, shared.writing_connection().await?) else {
        return Err(StoreError::inconsistent("a jot without a journal"));
    };
    let entry = lane
        .head
        .as_ref()
        .filter(|_| !acts.is_empty())
        .map(|head| ChainEntry::after(head, shared.chain_id, acts, now));
    pass(&*shared.faults, FaultPoint::BeforeCommit)?;
    let written = sqlx::query(JOT)
        .bind(waiting.jots + 1)
        .bind(jot.body())
        .bind(entry.as_ref().map(|_| Text(shared.chain_id)))
        .bind(entry.as_ref().map(|entry| entry.head.seq))
        .bind(entry.as_ref().map(|entry| Millis(entry.at)))
        .bind(entry.as_ref().map(|entry| entry.previous.0.to_vec()))
        .bind(entry.as_ref().map(|entry| entry.head.hash.0.to_vec()))
        .bind(entry.as_ref().map(|entry| entry.body.as_str()))
        .execute(&mut *connection)
        .await;
    let lost = written.is_ok() && shared.faults.strikes(FaultPoint::CommitLost);
    match written {
        Ok(_) if !lost => {
            waiting.add(jot);
            if let Some(entry) = entry {
                lane.head = Some(entry.head);
            }
            shared.say_what_waits(&lane.tail);
            Ok(())
        }
        // The statement is the commit, so its error does not tell whether something is durable.
        uncertain => {
            lane.head = None;
            lane.tail.doubt();
            shared.say_what_waits(&lane.tail);
            Err(StoreError::CommitUnknown(uncertain.err().map(Arc::new)))
        }
    }
}

/// The journal's first row, in a transaction that has filed those before.
pub(crate) async fn write_jot(link: Link<'_>, jot: &Jot<'_>) -> Result<Jot<'static>, StoreError> {
    execute!(link, sqlx::query(FIRST).bind(jot.body()));
    Ok(jot.clone().into_owned())
}

/// Moves what waits to its tables. It has moved when the transaction commits.
pub(crate) async fn file(tx: &mut Tx, tail: Tail) -> Result<(), StoreError> {
    let waiting = match tail {
        Tail::Unused => return Ok(()),
        Tail::InDoubt => read(tx).await?,
        Tail::Known(waiting) => waiting,
    };
    if waiting.is_empty() {
        return Ok(());
    }
    metrics::histogram!("ostler_journal_filed_rows").record(waiting.rows() as f64);
    insert_commands(tx.link(), &waiting.commands).await?;
    settle_commands(tx.link(), &waiting.outcomes).await?;
    write_events(tx, &waiting.events).await?;
    execute!(tx.link(), sqlx::query(FILE_ACTS));
    execute!(tx.link(), sqlx::query(CLEAR));
    Ok(())
}

async fn read(tx: &mut Tx) -> Result<Waiting, StoreError> {
    let bodies: Vec<(String,)> = on!(tx.link(), |db| sqlx::query_as(JOURNAL).fetch_all(&mut *db).await?);
    let mut waiting = Waiting::default();
    for (body,) in bodies {
        let jot = serde_json::from_str(&body).map_err(|error| StoreError::unreadable("the journal", error))?;
        waiting.add(jot);
    }
    Ok(waiting)
}
