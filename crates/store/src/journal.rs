//! On SQLite: what hot commits bring is durable as one row each, and is filed in its own tables
//! later, many commits at once.
//!
//! SQLite's log takes whole pages. An event or a command touches some pages that nothing else in its
//! commit touches: written at once, they cost more than all the rest of a request; filed many
//! together, they are shared. What waits is in memory, too (the [`Tail`]), and a transaction or a
//! reader has had filed what it may ask about ([`Filing`]) before it begins, so nobody sees a
//! difference. Nothing is journaled that a statement has to judge, or that changes what the read
//! model says.

mod waiting;

use std::sync::Arc;

use ostler_core::id::{ChainId, DeviceId};
use serde::{Deserialize, Serialize};

use crate::audit::ChainEntry;
use crate::db::{Lane, Shared};
use crate::error::StoreError;
use crate::faults::{FaultPoint, pass};
use crate::ledger::{CommandRow, OutcomeRow, insert_commands, settle_commands};
use crate::telemetry::{EventRow, write_events};
use crate::tx::{Link, Tx, execute, on};
use crate::value::{Millis, Text};
use waiting::{Portion, Waiting};

pub(crate) use waiting::Counts;

/// What [`JOT`] writes to, on the connection that writes. A statement alone is a transaction of its own:
/// one hop to SQLite's thread, where each further statement, `BEGIN` and `COMMIT` too, would cost a switch
/// of threads. So one statement writes both rows.
pub(crate) const JOT_TARGET: &str = "
    CREATE TEMP VIEW jot (seq, body, chain_id, entry_seq, at, prev_hash, hash, acts)
        AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
    CREATE TEMP TRIGGER jot_is_journaled_and_audited INSTEAD OF INSERT ON jot BEGIN
        INSERT INTO journal (seq, body) VALUES (NEW.seq, NEW.body);
        INSERT INTO audit_entry (chain_id, seq, at, prev_hash, hash, body)
        SELECT NEW.chain_id, NEW.entry_seq, NEW.at, NEW.prev_hash, NEW.hash, NEW.acts
         WHERE NEW.acts IS NOT NULL;
    END";
const JOT: &str = "
    INSERT INTO jot (seq, body, chain_id, entry_seq, at, prev_hash, hash, acts)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
const JOURNAL: &str = "SELECT body FROM journal ORDER BY seq";
const CLEAR: &str = "DELETE FROM journal WHERE seq < $1";

/// What a row takes in a jot's body, usually: room is made once.
const ROW_BYTES: usize = 256;

/// What the journal holds, as far as this process knows. Guarded by the lane.
#[derive(Debug)]
pub(crate) enum Tail {
    /// PostgreSQL, or a database that is only looked at.
    Unused,
    /// Only the journal itself can say: at the start, and after a commit whose answer was lost.
    InDoubt,
    Known(Waiting),
}

/// How much is to be filed: what has to stand in the tables before somebody looks there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Filing<'d> {
    /// Commands and outcomes. What no jot holds is always there.
    Ledger,
    /// And all that these devices said.
    Devices(&'d [DeviceId]),
    /// And one part of what they said, as long as more than a part waits.
    MostOf(&'d [DeviceId]),
    /// And what has waited longest: a slice, but at least so many events.
    Oldest(usize),
    Everything,
}

/// What one commit brings; as MessagePack the body of its row. There a structure is an array of its members
/// in their order, without names: a new member goes to the end, with a default for the rows of before.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Jot {
    pub commands: Vec<CommandRow>,
    pub outcomes: Vec<OutcomeRow>,
    pub events: Vec<Arc<EventRow>>,
}

/// What a transaction has filed, to be taken from the tail when it has committed.
#[derive(Debug, Default)]
pub(crate) enum Filed {
    #[default]
    Nothing,
    Portion(Portion),
    Everything,
}

impl Filed {
    /// The number of the journal's next row.
    pub fn row_after(&self, tail: &Tail) -> i64 {
        match self {
            Self::Everything => 1,
            Self::Nothing | Self::Portion(_) => tail.next_row(),
        }
    }
}

impl Tail {
    pub fn nothing() -> Self {
        Self::Known(Waiting::default())
    }

    pub fn doubt(&mut self) {
        if !matches!(self, Self::Unused) {
            *self = Self::InDoubt;
        }
    }

    pub fn is_used(&self) -> bool {
        !matches!(self, Self::Unused)
    }

    /// Whether nothing of that waits.
    pub fn has_filed(&self, filing: Filing<'_>) -> bool {
        match self {
            Self::Unused => true,
            Self::InDoubt => false,
            Self::Known(waiting) => waiting.has_filed(filing),
        }
    }

    /// What has to be filed first, if a jot cannot be added as things are.
    pub fn filing_that_makes_room_for(&self, jot: &Jot) -> Option<Filing<'static>> {
        match self {
            Self::Unused | Self::InDoubt => Some(Filing::Everything),
            Self::Known(waiting) => waiting.filing_that_makes_room_for(jot),
        }
    }

    pub fn counts(&self) -> Counts {
        match self {
            Self::Unused => Counts::default(),
            Self::InDoubt => Counts { ledger: 1, events: 1 },
            Self::Known(waiting) => waiting.counts(),
        }
    }

    /// The transaction that filed it has committed.
    pub fn take(&mut self, filed: Filed) {
        match (filed, &mut *self) {
            (Filed::Portion(portion), Self::Known(waiting)) => waiting.take(&portion),
            (Filed::Everything, Self::InDoubt | Self::Known(_)) => *self = Self::nothing(),
            // The lane is held from the filing to the commit: what is in doubt was in doubt before.
            (Filed::Portion(_), Self::InDoubt) | (Filed::Nothing, _) | (_, Self::Unused) => {}
        }
    }

    /// It is durable now.
    pub fn add(&mut self, jot: Jot) {
        match self {
            Self::Unused | Self::InDoubt => {}
            Self::Known(waiting) => waiting.add(jot),
        }
    }

    pub fn next_row(&self) -> i64 {
        match self {
            Self::Unused | Self::InDoubt => 1,
            Self::Known(waiting) => waiting.next_row(),
        }
    }
}

impl Jot {
    /// Nothing of it has to be made durable.
    pub fn is_empty(&self) -> bool {
        self.commands.is_empty() && self.outcomes.is_empty() && self.events.is_empty()
    }

    fn body(&self) -> Vec<u8> {
        let rows = self.commands.len() + self.outcomes.len() + self.events.len();
        let mut body = Vec::with_capacity(rows * ROW_BYTES);
        rmp_serde::encode::write(&mut body, self).expect("rows are text and numbers");
        body
    }
}

/// Makes a jot and its acts durable. The caller holds the lane.
pub(crate) async fn jot(
    shared: &Shared,
    lane: &mut Lane,
    jot: Jot,
    entry: Option<ChainEntry>,
) -> Result<(), StoreError> {
    let row = lane.tail.next_row();
    let Some(connection) = shared.writing_connection(lane).await? else {
        return Err(StoreError::inconsistent("a jot without a journal"));
    };
    pass(&*shared.faults, FaultPoint::BeforeCommit)?;
    let written = write_jot(Link::Sqlite(connection), row, &jot, shared.chain_id, entry.as_ref()).await;
    let lost = written.is_ok() && shared.faults.strikes(FaultPoint::CommitLost);
    match written {
        Ok(()) if !lost => {
            shared.count_commit();
            lane.tail.add(jot);
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
            lane.give_connection_back();
            shared.say_what_waits(&lane.tail);
            Err(StoreError::CommitUnknown(uncertain.err().map(Arc::new)))
        }
    }
}

/// The journal's next row. A transaction of its own, unless one is open.
pub(crate) async fn write_jot(
    link: Link<'_>,
    row: i64,
    jot: &Jot,
    chain_id: ChainId,
    entry: Option<&ChainEntry>,
) -> Result<(), sqlx::Error> {
    execute!(
        link,
        sqlx::query(JOT)
            .bind(row)
            .bind(jot.body())
            .bind(entry.map(|_| Text(chain_id)))
            .bind(entry.map(|entry| entry.head.seq))
            .bind(entry.map(|entry| Millis(entry.at)))
            .bind(entry.map(|entry| entry.previous.0.to_vec()))
            .bind(entry.map(|entry| entry.head.hash.0.to_vec()))
            .bind(entry.map(|entry| entry.body.as_str()))
    );
    Ok(())
}

/// Moves what of that waits to its tables. It has moved when the transaction commits.
pub(crate) async fn file(tx: &mut Tx, filing: Filing<'_>) -> Result<Filed, StoreError> {
    match tx.tail() {
        Tail::Unused => Ok(Filed::Nothing),
        Tail::InDoubt => {
            let portion = Portion::of_journal(read(tx).await?);
            file_portion(tx, &portion).await?;
            Ok(Filed::Everything)
        }
        Tail::Known(waiting) => {
            let portion = waiting.portion(filing);
            if portion.is_empty() {
                return Ok(Filed::Nothing);
            }
            file_portion(tx, &portion).await?;
            Ok(Filed::Portion(portion))
        }
    }
}

async fn file_portion(tx: &mut Tx, portion: &Portion) -> Result<(), StoreError> {
    metrics::histogram!("ostler_journal_filed_rows").record(portion.rows() as f64);
    if let Some(ledger) = &portion.ledger {
        insert_commands(tx.link(), &ledger.commands).await?;
        settle_commands(tx.link(), &ledger.outcomes).await?;
    }
    write_events(tx, &portion.events).await?;
    execute!(tx.link(), sqlx::query(CLEAR).bind(portion.clears_before));
    Ok(())
}

/// All jots of which something may have to be filed, the oldest first.
async fn read(tx: &mut Tx) -> Result<Vec<Jot>, StoreError> {
    let rows: Vec<(Vec<u8>,)> = on!(tx.link(), |db| sqlx::query_as(JOURNAL).fetch_all(&mut *db).await?);
    let jots = rows.iter().map(|(body,)| rmp_serde::from_slice(body));
    jots.collect::<Result<_, _>>()
        .map_err(|error| StoreError::unreadable("the journal", error))
}
