//! Connections and transactions on either database, and the two macros that let SQL be written
//! once.
//!
//! `on!` expands a body for both drivers; `row!` declares a struct that reads itself from a row by
//! column names. Neither knows any table. A [`Tx`] holds the writer lane from its beginning until
//! its changes stand in the read model, so the model and the database never disagree.

use std::sync::Arc;

use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, Postgres, Sqlite, SqliteConnection, Transaction};
use tokio::sync::OwnedMutexGuard;

use ostler_core::port::Entropy;
use ostler_core::time::Timestamp;

use crate::audit::{Act, ChainEntry, ChainHead, append, read_head};
use crate::db::{Lane, Shared};
use crate::dialect::Dialect;
use crate::error::StoreError;
use crate::faults::{FaultPoint, pass};
use crate::journal::{Filed, Jot, Tail, write_jot};
use crate::read_model::Change;

/// A connection of one of the two drivers, borrowed for one statement or a few.
pub enum Link<'a> {
    Sqlite(&'a mut SqliteConnection),
    Pg(&'a mut PgConnection),
}

impl Link<'_> {
    pub const fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(_) => Dialect::Sqlite,
            Self::Pg(_) => Dialect::Postgres,
        }
    }

    /// Lends the connection on, so that one function can call several that take a `Link`.
    pub fn again(&mut self) -> Link<'_> {
        match self {
            Self::Sqlite(connection) => Link::Sqlite(connection),
            Self::Pg(connection) => Link::Pg(connection),
        }
    }
}

/// Runs one body against whichever driver is behind `$link`: `on!(tx.link(), |db| …)`. Inside, `db`
/// is the driver's connection: `sqlx::query(SQL).bind(x).execute(&mut *db).await?`.
macro_rules! on {
    ($link:expr, |$db:ident| $body:expr) => {
        match $link {
            $crate::tx::Link::Sqlite($db) => $body,
            $crate::tx::Link::Pg($db) => $body,
        }
    };
}

/// Executes one statement and says how many rows it touched: `execute!(tx.link(), sqlx::query(SQL).bind(x))`.
macro_rules! execute {
    ($link:expr, $query:expr) => {
        $crate::tx::on!($link, |db| $query.execute(&mut *db).await?.rows_affected())
    };
}

/// Declares a struct whose fields are the columns of a query, read by name from either driver.
macro_rules! row {
    ($(#[$meta:meta])* $vis:vis struct $name:ident { $($(#[$note:meta])* $field:ident: $type:ty),* $(,)? }) => {
        $(#[$meta])*
        $vis struct $name { $($(#[$note])* pub $field: $type),* }

        impl<'r, R: sqlx::Row> sqlx::FromRow<'r, R> for $name
        where
            &'static str: sqlx::ColumnIndex<R>,
            $($type: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>),*
        {
            fn from_row(row: &'r R) -> Result<Self, sqlx::Error> {
                Ok(Self { $($field: row.try_get(stringify!($field))?),* })
            }
        }
    };
}

pub(crate) use {execute, on, row};

/// A connection for reading. It sees what was committed before it was taken.
pub struct Conn(pub(crate) Held);

pub(crate) enum Held {
    Sqlite(PoolConnection<Sqlite>),
    Pg(PoolConnection<Postgres>),
}

impl Conn {
    pub fn link(&mut self) -> Link<'_> {
        match &mut self.0 {
            Held::Sqlite(connection) => Link::Sqlite(connection),
            Held::Pg(connection) => Link::Pg(connection),
        }
    }
}

pub(crate) enum Work {
    Sqlite(Transaction<'static, Sqlite>),
    Pg(Transaction<'static, Postgres>),
}

impl Work {
    async fn commit(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(transaction) => transaction.commit().await,
            Self::Pg(transaction) => transaction.commit().await,
        }
    }

    async fn rollback(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(transaction) => transaction.rollback().await,
            Self::Pg(transaction) => transaction.rollback().await,
        }
    }
}

/// A write transaction. Dropping it undoes everything.
///
/// What it changes in tables that the read model mirrors it also says by [`Tx::change`]; what a
/// person or machine did it says by [`Tx::audit`]. Both take effect with the commit or not at all.
pub struct Tx {
    // Dropped in this order: the transaction is undone before the lane is free.
    work: Work,
    lane: OwnedMutexGuard<Lane>,
    shared: Arc<Shared>,
    now: Timestamp,
    changes: Vec<Change>,
    acts: Vec<Act>,
    /// What of the journal stands in its tables once this commits.
    filed: Filed,
    /// What waits in the journal from then on.
    jotted: Option<Jotted>,
}

struct Jotted {
    jot: Jot,
    /// The chain's head, if the jot has acts.
    head: Option<ChainHead>,
}

impl Tx {
    pub(crate) fn new(work: Work, lane: OwnedMutexGuard<Lane>, shared: Arc<Shared>, now: Timestamp) -> Self {
        Self {
            work,
            lane,
            shared,
            now,
            changes: Vec::new(),
            acts: Vec::new(),
            filed: Filed::Nothing,
            jotted: None,
        }
    }

    pub fn link(&mut self) -> Link<'_> {
        match &mut self.work {
            Work::Sqlite(transaction) => Link::Sqlite(transaction),
            Work::Pg(transaction) => Link::Pg(transaction),
        }
    }

    pub(crate) fn entropy(&self) -> &dyn Entropy {
        &*self.shared.entropy
    }

    /// Takes effect in the read model directly after the commit, before anybody is answered.
    pub fn change(&mut self, change: Change) {
        self.changes.push(change);
    }

    /// Becomes part of this instance's audit chain with the commit.
    pub fn audit(&mut self, act: Act) {
        self.acts.push(act);
    }

    pub(crate) fn tail(&self) -> &Tail {
        &self.lane.tail
    }

    pub(crate) fn remember_filed(&mut self, filed: Filed) {
        self.filed = filed;
    }

    /// What waits in the journal from this commit on, with its acts. Once in a transaction, which has
    /// filed what waited of the ledger, and audits nothing else.
    pub(crate) async fn jot(&mut self, jot: Jot, acts: &[Act]) -> Result<(), StoreError> {
        let (chain_id, now) = (self.shared.chain_id, self.now);
        let head = match self.lane.head.clone() {
            Some(head) => head,
            None => read_head(self.link(), chain_id).await?,
        };
        let entry = ChainEntry::follow(&head, chain_id, acts, now);
        let row = self.filed.row_after(&self.lane.tail);
        write_jot(self.link(), row, &jot, chain_id, entry.as_ref()).await?;
        self.jotted = Some(Jotted {
            jot,
            head: entry.map(|entry| entry.head),
        });
        Ok(())
    }

    /// Commits, and answers only when the read model agrees.
    ///
    /// Runs in a task of its own: a caller who goes away cannot leave a commit without its change
    /// to the model.
    pub async fn commit(self) -> Result<(), StoreError> {
        let shared = Arc::clone(&self.shared);
        match tokio::spawn(self.settle()).await {
            Ok(result) => result,
            Err(_panicked_or_shut_down) => {
                shared.distrust_model();
                Err(StoreError::CommitUnknown(None))
            }
        }
    }

    /// The commit itself, for callers that nobody cancels.
    pub(crate) async fn settle(mut self) -> Result<(), StoreError> {
        let head = self.extend_chain().await?;
        let Self {
            work,
            mut lane,
            shared,
            changes,
            filed,
            jotted,
            ..
        } = self;
        if let Err(fault) = pass(&*shared.faults, FaultPoint::BeforeCommit) {
            work.rollback().await?;
            return Err(fault);
        }
        let committed = work.commit().await;
        let lost = committed.is_ok() && shared.faults.strikes(FaultPoint::CommitLost);
        match committed {
            Ok(()) if !lost => {
                shared.count_commit();
                lane.tail.take(filed);
                let jotted_head = jotted.and_then(|jotted| {
                    lane.tail.add(jotted.jot);
                    jotted.head
                });
                if let Some(head) = head.or(jotted_head) {
                    lane.head = Some(head);
                }
                shared.say_what_waits(&lane.tail);
                shared.apply(changes);
                Ok(())
            }
            uncertain => {
                lane.head = None;
                lane.tail.doubt();
                shared.distrust_model();
                // While the lane is still ours, so that nobody is answered from an old model. If
                // even this fails, the next reader of the model tries again before it reads.
                if let Err(error) = shared.rebuild_model(&mut lane).await {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "the read model could not be rebuilt"
                    );
                }
                Err(StoreError::CommitUnknown(uncertain.err().map(Arc::new)))
            }
        }
    }

    /// The new head of the chain, if there were acts.
    async fn extend_chain(&mut self) -> Result<Option<ChainHead>, StoreError> {
        let acts = std::mem::take(&mut self.acts);
        if acts.is_empty() {
            return Ok(None);
        }
        let (shared, now) = (Arc::clone(&self.shared), self.now);
        // Taken: should this fail, the next entry follows what it then reads.
        let known = self.lane.head.take();
        let head = append(self.link(), &shared, known.clone(), acts, now).await?;
        self.lane.head = known;
        Ok(Some(head))
    }
}
