//! Bringing SQLite's log back into the database file, beside the writer and not in its way.
//!
//! By itself SQLite does it in the commit that finds the log long, and whoever waits for that commit
//! waits for some thousand pages. Here a connection of its own copies them while commits go on, on a
//! thread that makes way for all others. What they added meanwhile is little; the connection that writes
//! copies it while nobody commits, and then the log begins anew.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};
use tokio::runtime::Handle;
use tokio::sync::{Mutex, Notify, oneshot};
use tokio::task::JoinHandle;

use crate::db::Shared;
use crate::error::StoreError;

/// How often somebody looks how long the log is, in commits: each adds a few pages.
const LOOK_EVERY: u64 = 128;
/// Eight times what SQLite itself waits for: a page that changes often is copied once for all its changes,
/// and while pages are copied everybody is slower. It is 32 MiB, which a start after a crash has to read.
const PAGES: i64 = 8_000;

/// By how much the thread that copies is nicer than others (sched(7)): it gets a tenth of a busy core. On one core
/// it would else take turns of 3 ms with whoever answers requests. Not more, for a lock of SQLite's that it
/// holds at that moment is held for as long.
const NICER: i32 = 10;

/// Both answer whether somebody was in the way, how many pages the log has, and how many of them
/// stand in the database file.
const HOW_LONG: &str = "PRAGMA wal_checkpoint(NOOP)";
const COPY: &str = "PRAGMA wal_checkpoint(PASSIVE)";

pub(crate) struct Checkpoints {
    /// For a connection that nobody else uses, made when it is needed.
    options: SqliteConnectOptions,
    connection: Mutex<Option<SqliteConnection>>,
    /// Open for as long as SQLite has the database open: closing any descriptor of a file takes away
    /// the process's POSIX locks on it, SQLite's among them (sqlite.org/howtocorrupt.html, §2.2).
    database: Arc<File>,
    commits: AtomicU64,
    due: Notify,
}

impl Checkpoints {
    pub fn new(options: SqliteConnectOptions, database: &Path) -> io::Result<Self> {
        Ok(Self {
            options,
            connection: Mutex::default(),
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
        if let Some(connection) = self.connection.lock().await.take()
            && let Err(error) = connection.close().await
        {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "a connection to the database did not close cleanly");
        }
    }
}

/// A connection whose thread makes way for others. sqlx starts a thread for each connection, and a thread begins as
/// nice as the one that starts it (sched(7)): so one is started here that makes itself nicer, connects, and is gone.
async fn connect_in_background(options: &SqliteConnectOptions) -> Result<SqliteConnection, sqlx::Error> {
    let (options, runtime) = (options.clone(), Handle::current());
    let (opened, opening) = oneshot::channel();
    let connect = move || {
        if let Err(error) = rustix::process::nice(NICER) {
            tracing::debug!(%error, "the thread that copies SQLite's log stays as important as others");
        }
        drop(opened.send(runtime.block_on(options.connect())));
    };
    thread::Builder::new().name("ostler-nicer".to_owned()).spawn(connect)?;
    opening.await.unwrap_or(Err(sqlx::Error::WorkerCrashed))
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
    let mut place = checkpoints.connection.lock().await;
    let connection = match &mut *place {
        Some(connection) => connection,
        none => none.insert(connect_in_background(&checkpoints.options).await?),
    };
    let done = copy_over(connection, shared, checkpoints).await;
    if done.is_err() {
        // The next time begins with a new one, in case that this one is broken.
        *place = None;
    }
    done
}

async fn copy_over(
    connection: &mut SqliteConnection,
    shared: &Shared,
    checkpoints: &Checkpoints,
) -> Result<(), StoreError> {
    let (log, copied) = checkpoint(HOW_LONG, connection).await?;
    if log - copied < PAGES {
        return Ok(());
    }
    checkpoint(COPY, connection).await?;
    // SQLite syncs the database only once all of the log stands in it. Done by then, that takes no time.
    let database = Arc::clone(&checkpoints.database);
    let synced = tokio::task::spawn_blocking(move || database.sync_data()).await;
    synced.map_err(io::Error::other).flatten().map_err(sqlx::Error::Io)?;
    let mut nobody_commits = shared.hold_lane().await;
    let Some(writing) = shared.writing_connection(&mut nobody_commits).await? else {
        return Ok(());
    };
    let rest = checkpoint(COPY, writing).await;
    if rest.is_err() {
        nobody_commits.give_connection_back();
    }
    rest.map(drop)
}

async fn checkpoint(sql: &'static str, connection: &mut SqliteConnection) -> Result<(i64, i64), StoreError> {
    let (_busy, log, copied): (i64, i64, i64) = sqlx::query_as(sql).fetch_one(connection).await?;
    Ok((log, copied))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How nice each thread is that sqlx started (proc_pid_stat(5)).
    fn niceness() -> Vec<i32> {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        let stats = tasks.filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("stat")).ok());
        stats
            .filter(|stat| stat.contains("(sqlx-"))
            .map(|stat| {
                let (_, behind_name) = stat.rsplit_once(')').unwrap();
                let nice = behind_name.split_ascii_whitespace().nth(16);
                nice.unwrap().parse().unwrap()
            })
            .collect()
    }

    #[tokio::test]
    async fn the_thread_that_copies_makes_way_and_others_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let options = SqliteConnectOptions::new()
            .filename(folder.path().join("a.db"))
            .create_if_missing(true);
        let usual = SqliteConnection::connect_with(&options).await.unwrap();
        let before = niceness();
        let copying = connect_in_background(&options).await.unwrap();
        let meanwhile = niceness();
        let nicer = |threads: &[i32]| threads.iter().filter(|nice| **nice == NICER).count();
        assert_eq!((nicer(&before), nicer(&meanwhile)), (0, 1), "{before:?} {meanwhile:?}");
        assert!(meanwhile.len() > 1);
        copying.close().await.unwrap();
        usual.close().await.unwrap();
    }
}
