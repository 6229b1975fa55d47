//! Opening a database only to look at it, also beside a running server: for `ostler check`, for
//! verifying the audit chains, for what a backup holds.
//!
//! Takes no lock, migrates nothing, claims no audit chain. The connections are read-only, so that a
//! write fails by the database itself and not by care.

use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use tokio::sync::Mutex;

use ostler_core::id::ChainId;
use ostler_core::time::Timestamp;

use super::{Db, Lane, OpenError, Shared, Store, StoreOptions, WaitingCounts, scheme, sqlite};
use crate::checkpoint::Checkpointing;
use crate::dialect::Dialect;
use crate::journal::Tail;
use crate::product_cache::ProductCache;
use crate::writer::Writer;

const PATIENCE: Duration = Duration::from_secs(5);
const SETTINGS: [(&str, &str); 3] = [
    ("default_transaction_read_only", "on"),
    ("timezone", "UTC"),
    ("statement_timeout", "60s"),
];

impl Store {
    /// Opens what is there as it is: an older schema stays old, and what it lacks cannot be read.
    pub async fn look(url: &str, options: StoreOptions, now: Timestamp) -> Result<Self, OpenError> {
        let db = match scheme(url)? {
            Dialect::Sqlite => look_at_file(url).await?,
            Dialect::Postgres => look_at_server(url).await?,
        };
        let (queue, file_after) = (options.queue, options.file_after);
        let shared = Arc::new(Shared {
            db,
            faults: options.faults,
            keys: options.master_keys,
            // Nothing is ever appended to it.
            chain_id: ChainId::draw(now, &*options.entropy),
            entropy: options.entropy,
            products: ProductCache::default(),
            lane: Lane::new(Tail::Unused),
            waiting: WaitingCounts::of(&Tail::Unused),
            model: None,
            checkpoints: None,
            claim: Mutex::new(None),
        });
        let writer = Writer::start(Arc::clone(&shared), queue, file_after);
        let checkpointing = Checkpointing::start(Arc::clone(&shared));
        Ok(Self {
            shared,
            writer,
            checkpointing,
        })
    }
}

async fn look_at_file(url: &str) -> Result<Db, OpenError> {
    let options = SqliteConnectOptions::new()
        .filename(sqlite::path(url)?)
        .read_only(true)
        .busy_timeout(PATIENCE);
    let pool = SqlitePoolOptions::new()
        .max_connections(2)
        .acquire_timeout(PATIENCE)
        .connect_with(options)
        .await;
    let read = pool.map_err(OpenError::Connect)?;
    Ok(Db::Sqlite {
        write: read.clone(),
        read,
    })
}

async fn look_at_server(url: &str) -> Result<Db, OpenError> {
    let options = PgConnectOptions::from_str(url)
        .map_err(OpenError::Url)?
        .application_name("ostler")
        .options(SETTINGS);
    let pool = PgPoolOptions::new()
        .max_connections(2)
        .acquire_timeout(PATIENCE)
        .connect_with(options)
        .await;
    Ok(Db::Pg(pool.map_err(OpenError::Connect)?))
}
