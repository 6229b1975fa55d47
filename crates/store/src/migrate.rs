//! Brings a database to the schema that this program speaks.
//!
//! Forward only; one number for both databases; each file applied at most once and remembered with
//! the checksum of its text. All outstanding files run in one transaction: an upgrade happens
//! whole or not at all. A newer schema is left alone, for old programs must run on it (expand,
//! move, contract).

use sha2::{Digest, Sha256};
use sqlx::{Connection, PgConnection, SqliteConnection};

use ostler_core::time::Timestamp;

use crate::dialect::{Dialect, schema};

pub struct Migration {
    pub version: i64,
    pub name: &'static str,
    pub sql: &'static str,
}

macro_rules! migrations {
    ($($version:literal $name:literal),+ $(,)?) => {
        &[$(Migration {
            version: $version,
            name: $name,
            sql: include_str!(concat!("../migrations/", $name, ".sql")),
        }),+]
    };
}

/// Never edit one that was released; add the next.
pub const MIGRATIONS: &[Migration] = migrations![
    1 "0001_registry",
    2 "0002_identity",
    3 "0003_ledger",
    4 "0004_journal",
    5 "0005_history",
];

#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    #[error("migration {name} was applied with another text; was a released file edited?")]
    Edited { name: &'static str },
    #[error("migration {name} failed")]
    Failed {
        name: &'static str,
        #[source]
        source: sqlx::Error,
    },
    #[error("the record of migrations cannot be read or written")]
    Record(#[from] sqlx::Error),
}

const CREATE_RECORD: &str = "
    CREATE TABLE IF NOT EXISTS schema_migration (
        version    BIGINT PRIMARY KEY,
        name       TEXT   NOT NULL,
        checksum   TEXT   NOT NULL,
        applied_at BIGINT NOT NULL
    )";
const APPLIED: &str = "SELECT version, checksum FROM schema_migration";
const REMEMBER: &str = "INSERT INTO schema_migration (version, name, checksum, applied_at) VALUES ($1, $2, $3, $4)";
/// Two instances that start together: the second waits until the first has migrated.
const ONE_AT_A_TIME: &str = "SELECT pg_advisory_xact_lock(7816374152)";

impl Migration {
    pub fn checksum(&self) -> String {
        let digest = Sha256::digest(self.sql.as_bytes());
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Runs the outstanding ones of `list` inside the transaction `$tx`. A macro, for the two drivers
/// share no trait that sqlx would let us name without its whole bestiary of bounds.
macro_rules! run_outstanding {
    ($tx:ident, $dialect:expr, $list:expr, $now:expr) => {{
        sqlx::query(CREATE_RECORD).execute(&mut *$tx).await?;
        let applied: Vec<(i64, String)> = sqlx::query_as(APPLIED).fetch_all(&mut *$tx).await?;
        let mut done = Vec::new();
        for migration in $list {
            let checksum = migration.checksum();
            match applied.iter().find(|(version, _)| *version == migration.version) {
                Some((_, known)) if *known == checksum => continue,
                Some(_) => return Err(MigrateError::Edited { name: migration.name }),
                None => {}
            }
            sqlx::raw_sql(schema(migration.sql, $dialect))
                .execute(&mut *$tx)
                .await
                .map_err(|source| MigrateError::Failed {
                    name: migration.name,
                    source,
                })?;
            sqlx::query(REMEMBER)
                .bind(migration.version)
                .bind(migration.name)
                .bind(checksum)
                .bind($now.millis())
                .execute(&mut *$tx)
                .await?;
            done.push(migration.name);
        }
        done
    }};
}

/// Returns the names of those that were applied now.
pub(crate) async fn migrate_sqlite(
    connection: &mut SqliteConnection,
    list: &'static [Migration],
    now: Timestamp,
) -> Result<Vec<&'static str>, MigrateError> {
    let mut tx = connection.begin_with("BEGIN IMMEDIATE").await?;
    let done = run_outstanding!(tx, Dialect::Sqlite, list, now);
    tx.commit().await?;
    Ok(done)
}

pub(crate) async fn migrate_postgres(
    connection: &mut PgConnection,
    list: &'static [Migration],
    now: Timestamp,
) -> Result<Vec<&'static str>, MigrateError> {
    let mut tx = connection.begin().await?;
    sqlx::query(ONE_AT_A_TIME).execute(&mut *tx).await?;
    let done = run_outstanding!(tx, Dialect::Postgres, list, now);
    tx.commit().await?;
    Ok(done)
}
