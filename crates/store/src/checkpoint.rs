//! Bringing SQLite's log back into the database file, beside the writer and not in its way.
//!
//! By itself SQLite does it in the commit that finds the log long, and whoever waits for that commit
//! waits for some thousand pages. Here a connection of its own copies them while commits go on. What
//! they added meanwhile is little; it is copied while nobody commits, and then the log begins anew.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sqlx::{SqliteConnection, SqlitePool};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::db::Shared;
use crate::error::StoreError;

/// How often somebody looks how long the log is, in commits: each adds a few pages.
const LOOK_EVERY: u64 = 128;
/// Eight times what SQLite itself waits for: a page that changes often is copied once for all its changes,
/// and while pages are copied everybody is slower. It is 32 MiB, which a start after a crash has to read.
const PAGES: i64 = 8_000;

/// Both answer whether somebody was in the way, how many pages the log has, and how many of them
/// stand in the database file.
const HOW_LONG: &str = "PRAGMA wal_checkpoint(NOOP)";
const COPY: &str = "PRAGMA wal_checkpoint(PASSIVE)";

pub(crate) struct Checkpoints {
    connection: SqlitePool,
    /// Open for as long as SQLite has the database open: closing any descriptor of a file takes away
    /// the process's POSIX locks on it, SQLite's among them (sqlite.org/howtocorrupt.html, §2.2).
    database: Arc<File>,
    commits: AtomicU64,
    due: Notify,
}

impl Checkpoints {
    /// `connection`: one that nobody else uses, made when it is needed.
    pub fn new(connection: SqlitePool, database: &Path) -> io::Result<Self> {
        Ok(Self {
            connection,
            database: Arc::new(File::open(database)?),
            commits: AtomicU64::new(0),
            due: Notify::new(),
        })
    }

    pub fn count_commit(&self) {
        if self.commits.fetch_add(1, Ordering::Relaxed) % LOOK_EVERY == LOOK_EVERY - 1 {
            self.due.notify_one();
        }
    }

    pub async fn close(&self) {
        self.connection.close().await;
    }
}

/// Copying goes on for as long as this is held. It may be interrupted at whatever moment.
pub(crate) struct Checkpointing(JoinHandle<()>);

impl Checkpointing {
    /// Ends at once where there is no log to copy.
    pub fn start(shared: Arc<Shared>) -> Self {
        Self(tokio::spawn(async move {
            while let Some(checkpoints) = &shared.checkpoints {
                checkpoints.due.notified().await;
                if let Err(error) = copy(&shared, checkpoints).await {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(
                        error,
                        "SQLite's log could not be copied into the database; it grows meanwhile"
                    );
                }
            }
        }))
    }

    pub fn stop(&self) {
        self.0.abort();
    }
}

impl Drop for Checkpointing {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn copy(shared: &Shared, checkpoints: &Checkpoints) -> Result<(), StoreError> {
    let mut connection = checkpoints.connection.acquire().await?;
    let (log, copied) = checkpoint(HOW_LONG, &mut connection).await?;
    if log - copied < PAGES {
        return Ok(());
    }
    checkpoint(COPY, &mut connection).await?;
    // SQLite syncs the database only once all of the log stands in it. Done by then, that takes no time.
    let database = Arc::clone(&checkpoints.database);
    let synced = tokio::task::spawn_blocking(move || database.sync_data()).await;
    synced.map_err(io::Error::other).flatten().map_err(sqlx::Error::Io)?;
    let _nobody_commits = shared.hold_lane().await;
    checkpoint(COPY, &mut connection).await?;
    Ok(())
}

async fn checkpoint(sql: &'static str, connection: &mut SqliteConnection) -> Result<(i64, i64), StoreError> {
    let (_busy, log, copied): (i64, i64, i64) = sqlx::query_as(sql).fetch_one(connection).await?;
    Ok((log, copied))
}
