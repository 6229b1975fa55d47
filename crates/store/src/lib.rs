//! SQL over two databases: what Ostler remembers.
//!
//! One text of SQL serves SQLite and PostgreSQL; the URL chooses at run time. [`Store`] is concrete,
//! for one implementation over two databases is no port; tests inject faults at its two choke
//! points, reads and commits ([`FaultPlan`]). Nothing here decides who may do what, and nothing
//! outside this crate speaks SQL.
//!
//! # Writing a method
//!
//! Reads take a connection from [`Store::read`], writes a transaction from [`Store::write`]. Whoever
//! asks for events, points or when a device was last heard of reads by `Store::read_events_of`:
//! on SQLite these may still wait in the `journal`. A statement is a `const &str` with `$1`, `$2`; `on!` runs one body on whichever driver is behind
//! the link; `row!` declares a struct that reads itself by column names; the coats of `value` let
//! domain types be bound and read (`Text` for ids and names, `Millis` for times, `Digest`, `AsJson`):
//!
//! ```ignore
//! const END_SESSION: &str = "
//!     UPDATE session SET ended_at = $2 WHERE session_id = $1 AND ended_at IS NULL";
//!
//! impl Store {
//!     /// `false` if it had ended before.
//!     pub async fn end_session(&self, id: SessionId, by: Actor, now: Timestamp) -> Result<bool, StoreError> {
//!         let mut tx = self.write(now).await?;
//!         let ended = execute!(tx.link(), sqlx::query(END_SESSION).bind(Text(id)).bind(Millis(now)));
//!         if ended == 1 {
//!             tx.audit(Act::new("session.end", by).about("session_id", id));
//!             tx.change(Change::TokensEnded(…)); // what the read model mirrors
//!         }
//!         tx.commit().await?;
//!         Ok(ended == 1)
//!     }
//! }
//! ```
//!
//! `execute!` is `on!` for the many statements of which only the number of rows touched is asked:
//! `let n = on!(tx.link(), |db| sqlx::query(SQL).bind(x).execute(&mut *db).await?.rows_affected());`
//!
//! A race is settled by the statement (`WHERE … IS NULL`, `ON CONFLICT DO NOTHING`, unique keys), never
//! by reading first. What the read model answers on the hot path goes through `Shared::recall`,
//! with the same question as SQL for PostgreSQL beside it. While a [`Tx`] is held, nothing else of
//! the store may be awaited: it holds the lane. Many rows at once are handed over as one JSON
//! array (`json_rows!`), the hottest are bound (`ManyRows`). Hot writes become an entry of the
//! `writer`, which shares its commits.

mod audit;
mod backup;
mod checkpoint;
mod cloud_connections;
mod db;
mod devices;
mod dialect;
mod error;
mod facts;
mod faults;
mod grants;
mod id_map;
mod identity;
mod ingest_secrets;
mod inspection;
mod journal;
mod ledger;
mod lock;
mod migrate;
mod page;
mod product_cache;
mod products;
mod read_model;
mod registration_keys;
mod rows;
mod sealed;
mod telemetry;
mod tx;
mod value;
mod writer;

pub use audit::{
    Act, Actor, AuditCursor, AuditEntry, AuditFault, AuditKey, ChainPoint, ChainReport, Detail, FaultKind, HeadFault,
    RecordedAct, SignedHead,
};
pub use backup::{BackupError, BackupSummary, backup, restore, verify as verify_backup};
pub use cloud_connections::{StoredConnection, StoredCredential};
pub use db::{OpenError, Store, StoreOptions, sqlite_path};
pub use devices::{DeviceImported, DeviceRecord, DeviceRegistered, Heard, NewDevice, Renamed};
pub use dialect::Dialect;
pub use error::StoreError;
pub use faults::{FaultPlan, FaultPoint, NoFaults};
pub use grants::{GrantChanged, GrantCreated, GrantEnded, GrantFilter, GrantRecord, GrantVersionRecord, Said};
pub use identity::{
    CodeRecord, CodeRedeemed, Created, CustomerCredentials, CustomerRecord, EndReason, LoginSession, NewCustomer,
    NewRefresh, NewStaff, NewTokens, RefreshRecord, Refreshed, RegisteredClient, Rotation, StaffRecord,
};
pub use inspection::{SchemaStanding, SealedReport, UnopenedSecret, WriteProbe, probe_writing};
pub use ledger::{
    By, Command, CommandFilter, Idempotency, IntentRecorded, KEY_LIFETIME, KeyScope, NewCommand, OutcomeRecorded,
    Refusal, Settlement,
};
pub use lock::{InstallationLock, LockError};
pub use migrate::{MIGRATIONS, MigrateError, Migration};
pub use page::{LIMIT_MAX, Listed, Page};
pub use products::{Applied, ApplyError, ProductRecord, ProductVersionRecord};
pub use read_model::{Change, DeviceChange, ReadModel, TokenFacts, TokensOf};
pub use sealed::{MasterKey, MasterKeys, UnsealError};
pub use telemetry::{
    Arrivals, Bucket, Door, EventCursor, EventFate, EventSource, IngestDoor, LatestPoint, NewEvent, NewPoint,
    REJECTED_EVENTS_MAX, RejectedEvent, Rejection, RejectionReason, StoredEvent, StoredPoint,
};
pub use tx::{Conn, Link, Tx};
