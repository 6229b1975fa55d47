//! SQLite: how its connections are set, and that only one process writes.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection as _, SqliteConnection};
use tokio::sync::Mutex;

use ostler_core::time::Timestamp;

use super::{Claim, Db, Lane, OpenError, Shared, StoreOptions, WaitingCounts};
use crate::audit::adopt_chain;
use crate::checkpoint::Checkpoints;
use crate::journal::{JOT_TARGET, Tail};
use crate::lock::InstallationLock;
use crate::migrate::migrate_sqlite;
use crate::product_cache::ProductCache;
use crate::read_model::Model;
use crate::tx::Link;

/// Longer than any commit takes; shorter than a caller's patience.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) fn path(url: &str) -> Result<PathBuf, OpenError> {
    let path = options(url)?.get_filename().to_owned();
    if path.as_os_str().is_empty() || path.as_os_str() == ":memory:" || path.to_string_lossy().starts_with("file:") {
        return Err(OpenError::InMemory);
    }
    Ok(path)
}

fn options(url: &str) -> Result<SqliteConnectOptions, OpenError> {
    let options = SqliteConnectOptions::from_str(url).map_err(OpenError::Url)?;
    Ok(options
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT)
        .foreign_keys(true)
        .statement_cache_capacity(256)
        // Else a statement of many rows writes what it could undo into a file of its own.
        .pragma("temp_store", "MEMORY")
        // After a burst the write-ahead log gives its disk space back.
        .pragma("journal_size_limit", "67108864"))
}

pub(super) async fn open(url: &str, options_given: StoreOptions, now: Timestamp) -> Result<Shared, OpenError> {
    let lock = InstallationLock::take(&path(url)?)?;
    let options = options(url)?;
    let mut first = SqliteConnection::connect_with(&options)
        .await
        .map_err(OpenError::Connect)?;
    migrate_sqlite(&mut first, options_given.migrations, now).await?;
    let chain_id = adopt_chain(Link::Sqlite(&mut first), &*options_given.entropy, now).await?;
    first.close().await.map_err(OpenError::Connect)?;

    // One connection, never retired: its statements stay prepared.
    let forever = || {
        SqlitePoolOptions::new()
            .max_lifetime(None)
            .idle_timeout(None)
            .test_before_acquire(false)
            .acquire_timeout(ACQUIRE_TIMEOUT)
    };
    let write = forever()
        .max_connections(1)
        .after_connect(|connection, _| {
            Box::pin(async move { sqlx::raw_sql(JOT_TARGET).execute(connection).await.map(drop) })
        })
        // 16 MiB: pages that a bulk commit dirties stay until it commits, else they are written twice.
        // The log is copied by another connection (`checkpoint`).
        .connect_with(
            options
                .clone()
                .pragma("cache_size", "-16384")
                .pragma("wal_autocheckpoint", "0"),
        )
        .await
        .map_err(OpenError::Connect)?;
    let checkpoints =
        Checkpoints::new(options.clone(), &path(url)?).map_err(|error| OpenError::Connect(error.into()))?;
    let read = forever()
        .max_connections(options_given.connections)
        .connect_lazy_with(options.pragma("query_only", "ON"));
    Ok(Shared {
        db: Db::Sqlite { write, read },
        faults: options_given.faults,
        keys: options_given.master_keys,
        entropy: options_given.entropy,
        chain_id,
        products: ProductCache::default(),
        lane: Lane::new(Tail::InDoubt),
        waiting: WaitingCounts::of(&Tail::InDoubt),
        model: Some(Model::untrusted()),
        checkpoints: Some(checkpoints),
        claim: Mutex::new(Some(Claim::Sqlite(lock))),
    })
}
