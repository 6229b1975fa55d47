//! Opening a database, and the two ways in: [`Store::read`] and [`Store::write`].
//!
//! SQLite: one connection writes, several read; WAL, synchronous=FULL; an exclusive lock keeps
//! other writing processes out. PostgreSQL: one pool, synchronous_commit=on. On both, the write
//! transactions of one instance follow each other in one lane: that is what keeps the read model
//! and the audit chain exact. Every fault that tests inject strikes here, or at a commit (`tx`,
//! `journal`).

mod look;
mod postgres;
mod sqlite;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{PgPool, Sqlite, SqliteConnection, SqlitePool};
use tokio::sync::{Mutex, OwnedMutexGuard};

use ostler_core::id::{ChainId, DeviceId};
use ostler_core::port::Entropy;
use ostler_core::time::Timestamp;

use crate::audit::ChainHead;
use crate::checkpoint::{Checkpointing, Checkpoints};
use crate::devices::Heard;
use crate::dialect::Dialect;
use crate::error::StoreError;
use crate::faults::{FaultPlan, FaultPoint, NoFaults, pass};
use crate::journal::{Counts, Filing, Tail, file};
use crate::lock::{InstallationLock, LockError};
use crate::migrate::{MIGRATIONS, MigrateError, Migration};
use crate::product_cache::ProductCache;
use crate::read_model::{Change, Model, ReadModel, load_products};
use crate::sealed::MasterKeys;
use crate::tx::{Conn, Held, Link, Tx, Work};
use crate::writer::Writer;

/// What a store needs besides its URL.
pub struct StoreOptions {
    pub master_keys: MasterKeys,
    pub entropy: Arc<dyn Entropy>,
    pub faults: Arc<dyn FaultPlan>,
    /// Connections that only read (SQLite), or all connections of this instance (PostgreSQL).
    pub connections: u32,
    /// How many entries may wait for the writer before callers are told to come back later.
    pub queue: usize,
    /// How long the journal may hold what nobody asks for, when there is time to file it.
    pub file_after: Duration,
    /// Applied when the store is opened; tests of upgrades open with fewer.
    pub migrations: &'static [Migration],
}

impl StoreOptions {
    pub fn new(master_keys: MasterKeys, entropy: Arc<dyn Entropy>) -> Self {
        Self {
            master_keys,
            entropy,
            faults: Arc::new(NoFaults),
            connections: 8,
            queue: 4096,
            file_after: Duration::from_secs(1),
            migrations: MIGRATIONS,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the database URL must begin with sqlite: or postgres:")]
    UnknownScheme,
    #[error("an SQLite database in memory would lose everything; name a file")]
    InMemory,
    #[error("the database URL cannot be read")]
    Url(#[source] sqlx::Error),
    #[error(transparent)]
    Locked(#[from] LockError),
    #[error("the database cannot be opened")]
    Connect(#[source] sqlx::Error),
    #[error("the database could not be brought to this version's schema")]
    Migrate(#[from] MigrateError),
    #[error("the database could not be read when it was opened")]
    Load(#[from] StoreError),
}

/// The database of one installation.
pub struct Store {
    pub(crate) shared: Arc<Shared>,
    pub(crate) writer: Writer,
    /// While it runs, SQLite's log is copied.
    checkpointing: Checkpointing,
}

/// What transactions and the writer task need, too.
pub(crate) struct Shared {
    db: Db,
    pub faults: Arc<dyn FaultPlan>,
    pub keys: MasterKeys,
    pub entropy: Arc<dyn Entropy>,
    pub chain_id: ChainId,
    pub products: ProductCache,
    lane: Arc<Mutex<Lane>>,
    /// How much the lane's tail holds, for those who do not hold the lane.
    waiting: WaitingCounts,
    model: Option<Model>,
    /// `None` where there is no log to copy.
    pub checkpoints: Option<Checkpoints>,
    claim: Mutex<Option<Claim>>,
}

/// Held by one write transaction at a time.
pub(crate) struct Lane {
    /// The last entry of this instance's audit chain; `None` until read, or when in doubt.
    pub head: Option<ChainHead>,
    pub tail: Tail,
    /// SQLite's one connection that writes, from jot to jot. A pool asks each connection that comes back
    /// whether it lives, which takes as long as a jot's statement.
    writing: Option<PoolConnection<Sqlite>>,
}

impl Lane {
    fn new(tail: Tail) -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(Self {
            head: None,
            tail,
            writing: None,
        }))
    }

    /// To a transaction, which takes it from the pool; or because it may be broken, which the pool finds out.
    pub fn give_connection_back(&mut self) {
        self.writing = None;
    }
}

/// A tail that is in doubt counts as holding something.
pub(crate) struct WaitingCounts {
    ledger: AtomicUsize,
    events: AtomicUsize,
}

impl WaitingCounts {
    fn of(tail: &Tail) -> Self {
        let Counts { ledger, events } = tail.counts();
        Self {
            ledger: AtomicUsize::new(ledger),
            events: AtomicUsize::new(events),
        }
    }

    fn set(&self, counts: Counts) {
        self.ledger.store(counts.ledger, Ordering::Release);
        self.events.store(counts.events, Ordering::Release);
    }

    fn get(&self) -> Counts {
        Counts {
            ledger: self.ledger.load(Ordering::Acquire),
            events: self.events.load(Ordering::Acquire),
        }
    }
}

enum Db {
    Sqlite { write: SqlitePool, read: SqlitePool },
    Pg(PgPool),
}

/// What keeps others from doing what only one process may do.
enum Claim {
    Sqlite(InstallationLock),
    Pg(Box<postgres::ChainClaim>),
}

impl Claim {
    async fn release(self) {
        match self {
            Self::Sqlite(lock) => drop(lock),
            Self::Pg(chain) => chain.release().await,
        }
    }
}

impl Store {
    /// Opens a database, creating it if it is a file that does not exist, and brings it up to date.
    pub async fn open(url: &str, options: StoreOptions, now: Timestamp) -> Result<Self, OpenError> {
        let (queue, file_after) = (options.queue, options.file_after);
        let shared = Arc::new(match scheme(url)? {
            Dialect::Sqlite => sqlite::open(url, options, now).await?,
            Dialect::Postgres => postgres::open(url, options, now).await?,
        });
        shared.have_filed(Filing::Everything).await?;
        shared.rebuild_model(&mut *shared.hold_lane().await).await?;
        shared.warm_products().await?;
        let writer = Writer::start(Arc::clone(&shared), queue, file_after);
        let checkpointing = Checkpointing::start(Arc::clone(&shared));
        Ok(Self {
            shared,
            writer,
            checkpointing,
        })
    }

    /// A connection for reading, which sees everything that anybody was told is durable, but for what
    /// devices said: events, points and when a device was last heard of ([`Self::read_events_of`]). On
    /// SQLite never the writer's: readers do not wait for writers.
    ///
    /// Boxed, as in [`Self::write`]: waiting for a connection is a future of 14 KiB (PostgreSQL's
    /// handshake is in it), and whoever might ask the database carried it along, the hot path too,
    /// which does not ask.
    pub async fn read(&self) -> Result<Conn, StoreError> {
        self.read_after(Filing::Ledger).await
    }

    /// The same, and it also sees all that these devices said.
    pub(crate) async fn read_events_of(&self, devices: &[DeviceId]) -> Result<Conn, StoreError> {
        self.read_after(Filing::Devices(devices)).await
    }

    async fn read_after(&self, filing: Filing<'_>) -> Result<Conn, StoreError> {
        Box::pin(async {
            self.shared.have_filed(filing).await?;
            self.shared.read().await
        })
        .await
    }

    /// The same for rows that never wait in the journal.
    pub(crate) async fn read_filed(&self) -> Result<Conn, StoreError> {
        Box::pin(self.shared.read()).await
    }

    /// Begins a write transaction. `now` becomes the time of its audit entry.
    pub async fn write(&self, now: Timestamp) -> Result<Tx, StoreError> {
        Box::pin(self.shared.write(now, Filing::Ledger)).await
    }

    /// The same for one that judges by what these devices said.
    pub(crate) async fn write_about(&self, devices: &[DeviceId], now: Timestamp) -> Result<Tx, StoreError> {
        Box::pin(self.shared.write(now, Filing::Devices(devices))).await
    }

    /// Waits until everything that was queued is durable, then closes all connections and lets
    /// other processes in.
    pub async fn close(&self) {
        self.writer.stop().await;
        self.checkpointing.stop();
        if let Some(checkpoints) = &self.shared.checkpoints {
            checkpoints.close().await;
        }
        self.shared.hold_lane().await.give_connection_back();
        self.shared.db.close().await;
        if let Some(claim) = self.shared.claim.lock().await.take() {
            claim.release().await;
        }
    }

    pub fn dialect(&self) -> Dialect {
        self.shared.dialect()
    }

    /// The audit chain that this instance extends.
    pub fn chain_id(&self) -> ChainId {
        self.shared.chain_id
    }
}

impl Shared {
    pub async fn read(&self) -> Result<Conn, StoreError> {
        pass(&*self.faults, FaultPoint::Read)?;
        Ok(Conn(match &self.db {
            Db::Sqlite { read, .. } => Held::Sqlite(read.acquire().await?),
            Db::Pg(pool) => Held::Pg(pool.acquire().await?),
        }))
    }

    async fn write(self: &Arc<Self>, now: Timestamp, filing: Filing<'_>) -> Result<Tx, StoreError> {
        self.begin(self.enter_lane().await?, now, filing).await
    }

    /// Nobody writes while this is held.
    pub async fn hold_lane(&self) -> OwnedMutexGuard<Lane> {
        Arc::clone(&self.lane).lock_owned().await
    }

    /// The same for whoever means to write.
    pub async fn enter_lane(&self) -> Result<OwnedMutexGuard<Lane>, StoreError> {
        let mut lane = self.hold_lane().await;
        self.admit(&mut lane).await?;
        Ok(lane)
    }

    /// The caller means to write.
    async fn admit(&self, lane: &mut Lane) -> Result<(), StoreError> {
        pass(&*self.faults, FaultPoint::Begin)?;
        self.trust_model(lane).await
    }

    /// What of that waits in the journal is filed first, as part of the transaction.
    pub async fn begin(
        self: &Arc<Self>,
        mut lane: OwnedMutexGuard<Lane>,
        now: Timestamp,
        filing: Filing<'_>,
    ) -> Result<Tx, StoreError> {
        lane.give_connection_back();
        let work = match &self.db {
            Db::Sqlite { write, .. } => Work::Sqlite(write.begin_with("BEGIN IMMEDIATE").await?),
            Db::Pg(pool) => Work::Pg(pool.begin().await?),
        };
        let mut tx = Tx::new(work, lane, Arc::clone(self), now);
        let filed = file(&mut tx, filing).await?;
        tx.remember_filed(filed);
        Ok(tx)
    }

    /// Has filed what of that waited when this was called. What a device said in a flood goes part by
    /// part, so that others commit in between.
    pub async fn have_filed(self: &Arc<Self>, filing: Filing<'_>) -> Result<(), StoreError> {
        if let Filing::Devices(devices) = filing {
            while self.file_waiting(Filing::MostOf(devices)).await? {}
        }
        self.file_waiting(filing).await.map(drop)
    }

    /// Whether any of that waited.
    async fn file_waiting(self: &Arc<Self>, filing: Filing<'_>) -> Result<bool, StoreError> {
        if !self.may_wait(filing) {
            return Ok(false);
        }
        let mut lane = self.hold_lane().await;
        if lane.tail.has_filed(filing) {
            return Ok(false);
        }
        self.admit(&mut lane).await?;
        // Filing is no act, so no entry of the audit chain takes its time from here.
        self.begin(lane, Timestamp::MIN, filing).await?.commit().await?;
        Ok(true)
    }

    fn may_wait(&self, filing: Filing<'_>) -> bool {
        let Counts { ledger, events } = self.waiting();
        let of_events = match filing {
            Filing::Ledger => 0,
            Filing::Devices(_) | Filing::MostOf(_) | Filing::Oldest(_) | Filing::Everything => events,
        };
        ledger > 0 || of_events > 0
    }

    pub fn waiting(&self) -> Counts {
        self.waiting.get()
    }

    /// The caller holds the lane. To be said before anybody is told that something is durable.
    pub fn say_what_waits(&self, tail: &Tail) {
        self.waiting.set(tail.counts());
    }

    /// Something has been committed.
    pub fn count_commit(&self) {
        if let Some(checkpoints) = &self.checkpoints {
            checkpoints.count_commit();
        }
    }

    /// SQLite's one connection that writes.
    pub async fn writing_connection<'l>(
        &self,
        lane: &'l mut Lane,
    ) -> Result<Option<&'l mut SqliteConnection>, StoreError> {
        let Db::Sqlite { write, .. } = &self.db else {
            return Ok(None);
        };
        let connection = match lane.writing.take() {
            Some(connection) => connection,
            // Boxed: this is rare, and waiting for a connection is a large future.
            None => Box::pin(write.acquire()).await?,
        };
        Ok(Some(lane.writing.insert(connection)))
    }

    /// Whether these news say of each device what is known already.
    pub fn is_known(&self, mut heard: impl Iterator<Item = Heard>) -> bool {
        self.model.as_ref().is_some_and(|model| {
            model.ask(|model| heard.all(|news| model.presence(news.device_id) == Some(news.presence)))
        })
    }

    pub fn dialect(&self) -> Dialect {
        match &self.db {
            Db::Sqlite { .. } => Dialect::Sqlite,
            Db::Pg(_) => Dialect::Postgres,
        }
    }

    /// Answers from memory, or `None` where the database itself must be asked (PostgreSQL).
    pub async fn recall<T>(&self, ask: impl FnOnce(&ReadModel) -> T) -> Result<Option<T>, StoreError> {
        let Some(model) = &self.model else { return Ok(None) };
        pass(&*self.faults, FaultPoint::Read)?;
        if model.is_distrusted() {
            let mut lane = self.lane.lock().await;
            Box::pin(self.trust_model(&mut lane)).await?;
        }
        Ok(Some(model.ask(ask)))
    }

    /// With the lane, so that no commit slips in between.
    async fn trust_model(&self, lane: &mut Lane) -> Result<(), StoreError> {
        match &self.model {
            Some(model) if model.is_distrusted() => self.rebuild_model(lane).await,
            Some(_) | None => Ok(()),
        }
    }

    pub fn apply(&self, changes: Vec<Change>) {
        if let Some(model) = &self.model {
            model.apply(changes);
        }
    }

    pub fn distrust_model(&self) {
        if let Some(model) = &self.model {
            model.distrust();
        }
    }

    pub async fn model_agrees(&self) -> Result<bool, StoreError> {
        let Some(model) = &self.model else {
            return Ok(true);
        };
        let mut lane = self.lane.lock().await;
        self.trust_model(&mut lane).await?;
        let Some(writing) = self.writing_connection(&mut lane).await? else {
            return Ok(true);
        };
        let read = ReadModel::load(Link::Sqlite(writing), &self.products).await?;
        Ok(model.ask(|model| *model == read))
    }

    /// Where there is no model, the products are parsed at the start all the same: the first who asks
    /// for a device that is known need not wait for it.
    async fn warm_products(&self) -> Result<(), StoreError> {
        if let Db::Pg(pool) = &self.db {
            let mut connection = Conn(Held::Pg(pool.acquire().await?));
            load_products(connection.link(), &self.products).await?;
        }
        Ok(())
    }

    /// Reads the model anew, through the connection that writes: what it committed last, it sees.
    pub async fn rebuild_model(&self, lane: &mut Lane) -> Result<(), StoreError> {
        let Some(model) = &self.model else {
            return Ok(());
        };
        pass(&*self.faults, FaultPoint::Read)?;
        let Some(writing) = self.writing_connection(lane).await? else {
            return Ok(());
        };
        let read = ReadModel::load(Link::Sqlite(writing), &self.products).await;
        if read.is_err() {
            lane.give_connection_back();
        }
        model.replace(read?);
        Ok(())
    }
}

impl Db {
    async fn close(&self) {
        match self {
            Self::Sqlite { write, read } => {
                read.close().await;
                write.close().await;
            }
            Self::Pg(pool) => pool.close().await,
        }
    }
}

fn scheme(url: &str) -> Result<Dialect, OpenError> {
    match url.split_once(':').map(|(scheme, _)| scheme) {
        Some("sqlite") => Ok(Dialect::Sqlite),
        Some("postgres" | "postgresql") => Ok(Dialect::Postgres),
        Some(_) | None => Err(OpenError::UnknownScheme),
    }
}

/// The file behind an SQLite URL; `None` for PostgreSQL. For backup, restore and the lock.
pub fn sqlite_path(url: &str) -> Result<Option<PathBuf>, OpenError> {
    match scheme(url)? {
        Dialect::Sqlite => sqlite::path(url).map(Some),
        Dialect::Postgres => Ok(None),
    }
}
