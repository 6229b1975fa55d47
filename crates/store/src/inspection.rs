//! What `ostler check` asks of a database: is it ours, whole, up to date, writable, and do its
//! sealed secrets open. It repairs nothing.

use std::str::FromStr as _;

use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, PgConnection, SqliteConnection};

use ostler_core::id::ProductId;

use crate::Store;
use crate::cloud_connections;
use crate::db::{OpenError, sqlite_path};
use crate::dialect::{Dialect, Pair};
use crate::error::StoreError;
use crate::ingest_secrets;
use crate::lock::{InstallationLock, LockError};
use crate::migrate::MIGRATIONS;
use crate::registration_keys;
use crate::sealed::{Place, UnsealError};
use crate::tx::on;
use crate::value::{Digest, Text};

/// The migrations of this program against those that the database remembers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SchemaStanding {
    pub outstanding: Vec<&'static str>,
    /// Applied with another text than this program knows.
    pub edited: Vec<&'static str>,
    /// Applied by a newer program; this one can work with them.
    pub newer: Vec<String>,
}

/// All sealed secrets, and those that do not open with this master key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedReport {
    pub total: usize,
    pub unopened: Vec<UnopenedSecret>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} of {product_id}: {why}")]
pub struct UnopenedSecret {
    pub what: &'static str,
    pub product_id: ProductId,
    pub why: UnsealError,
}

/// Whether this process could write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteProbe {
    Writable,
    /// A running server has the installation's lock; it can say more.
    InUse,
}

const HAS_RECORD: Pair = Pair {
    sqlite: "SELECT COUNT(*) FROM sqlite_schema WHERE type = 'table' AND name = 'schema_migration'",
    postgres: "SELECT COUNT(*) FROM pg_catalog.pg_class WHERE oid = to_regclass('schema_migration')",
};
const APPLIED: &str = "SELECT version, name, checksum FROM schema_migration ORDER BY version";
const QUICK_CHECK: &str = "PRAGMA quick_check(1)";
const CONNECTIONS: &str = "SELECT product_id, secret FROM cloud_connection ORDER BY product_id";
const REGISTRATION_KEYS: &str = "SELECT product_id, registration_key FROM product ORDER BY product_id";
const INGEST_SECRETS: &str =
    "SELECT product_id, digest, sealed FROM ingest_secret WHERE ends_at IS NULL ORDER BY product_id, digest";
const STAFF: &str = "SELECT COUNT(*) FROM staff";
const PROBE: &str = "CREATE TABLE write_probe (probe BIGINT)";

impl Store {
    pub async fn schema_standing(&self) -> Result<SchemaStanding, StoreError> {
        let mut conn = self.read().await?;
        let has_record = HAS_RECORD.of(conn.link().dialect());
        let (tables,): (i64,) = on!(conn.link(), |db| sqlx::query_as(has_record).fetch_one(&mut *db).await?);
        let applied: Vec<(i64, String, String)> = if tables == 0 {
            Vec::new()
        } else {
            on!(conn.link(), |db| sqlx::query_as(APPLIED).fetch_all(&mut *db).await?)
        };
        Ok(standing(applied))
    }

    /// What SQLite finds wrong with its pages and indexes; PostgreSQL watches over its own.
    pub async fn quick_check(&self) -> Result<Option<String>, StoreError> {
        match self.dialect() {
            Dialect::Postgres => Ok(None),
            Dialect::Sqlite => {
                let mut conn = self.read().await?;
                let (finding,): (String,) = on!(conn.link(), |db| sqlx::query_as(QUICK_CHECK)
                    .fetch_one(&mut *db)
                    .await?);
                Ok(Some(finding).filter(|finding| finding != "ok"))
            }
        }
    }

    /// Whether somebody may sign in as staff: what tells an installation from empty tables.
    pub async fn has_staff(&self) -> Result<bool, StoreError> {
        let mut conn = self.read().await?;
        let (staff,): (i64,) = on!(conn.link(), |db| sqlx::query_as(STAFF).fetch_one(&mut *db).await?);
        Ok(staff > 0)
    }

    /// Opens every sealed secret and forgets it again.
    pub async fn check_sealed(&self) -> Result<SealedReport, StoreError> {
        let mut conn = self.read().await?;
        let connections: Vec<(Text<ProductId>, Vec<u8>)> = on!(conn.link(), |db| sqlx::query_as(CONNECTIONS)
            .fetch_all(&mut *db)
            .await?);
        let keys: Vec<(Text<ProductId>, Vec<u8>)> = on!(conn.link(), |db| sqlx::query_as(REGISTRATION_KEYS)
            .fetch_all(&mut *db)
            .await?);
        let doors: Vec<(Text<ProductId>, Digest, Vec<u8>)> = on!(conn.link(), |db| sqlx::query_as(INGEST_SECRETS)
            .fetch_all(&mut *db)
            .await?);

        let mut report = SealedReport {
            total: 0,
            unopened: Vec::new(),
        };
        for (Text(product_id), sealed) in connections {
            let row = product_id.to_string();
            self.try_open(
                &mut report,
                "the cloud credential",
                product_id,
                cloud_connections::place(&row),
                &sealed,
            );
        }
        for (Text(product_id), sealed) in keys {
            let row = product_id.to_string();
            self.try_open(
                &mut report,
                "the registration key",
                product_id,
                registration_keys::key_place(&row),
                &sealed,
            );
        }
        for (Text(product_id), Digest(digest), sealed) in doors {
            let row = ingest_secrets::row_name(product_id, &digest);
            self.try_open(
                &mut report,
                "an ingest secret",
                product_id,
                ingest_secrets::place(&row),
                &sealed,
            );
        }
        Ok(report)
    }

    fn try_open(
        &self,
        report: &mut SealedReport,
        what: &'static str,
        product_id: ProductId,
        place: Place<'_>,
        sealed: &[u8],
    ) {
        report.total += 1;
        if let Err(why) = self.shared.keys.open(place, sealed) {
            report.unopened.push(UnopenedSecret { what, product_id, why });
        }
    }
}

fn standing(applied: Vec<(i64, String, String)>) -> SchemaStanding {
    let mut standing = SchemaStanding::default();
    for migration in MIGRATIONS {
        match applied.iter().find(|(version, _, _)| *version == migration.version) {
            None => standing.outstanding.push(migration.name),
            Some((_, _, checksum)) if *checksum != migration.checksum() => standing.edited.push(migration.name),
            Some(_) => {}
        }
    }
    let is_ours = |version: i64| MIGRATIONS.iter().any(|migration| migration.version == version);
    standing.newer = applied
        .into_iter()
        .filter(|(version, _, _)| !is_ours(*version))
        .map(|(_, name, _)| name)
        .collect();
    standing
}

/// Makes a table in a transaction and undoes it. Never creates a database.
pub async fn probe_writing(url: &str) -> Result<WriteProbe, OpenError> {
    match sqlite_path(url)? {
        Some(path) => {
            let _lock = match InstallationLock::take(&path) {
                Ok(lock) => lock,
                Err(LockError::Taken(_)) => return Ok(WriteProbe::InUse),
                Err(fault @ LockError::Failed { .. }) => return Err(fault.into()),
            };
            let options = SqliteConnectOptions::new().filename(&path).create_if_missing(false);
            let mut db = SqliteConnection::connect_with(&options)
                .await
                .map_err(OpenError::Connect)?;
            let mut tx = db.begin_with("BEGIN IMMEDIATE").await.map_err(OpenError::Connect)?;
            sqlx::query(PROBE).execute(&mut *tx).await.map_err(OpenError::Connect)?;
            tx.rollback().await.map_err(OpenError::Connect)?;
            db.close().await.map_err(OpenError::Connect)?;
        }
        None => {
            let options = PgConnectOptions::from_str(url).map_err(OpenError::Url)?;
            let mut db = PgConnection::connect_with(&options).await.map_err(OpenError::Connect)?;
            let mut tx = db.begin().await.map_err(OpenError::Connect)?;
            sqlx::query(PROBE).execute(&mut *tx).await.map_err(OpenError::Connect)?;
            tx.rollback().await.map_err(OpenError::Connect)?;
            db.close().await.map_err(OpenError::Connect)?;
        }
    }
    Ok(WriteProbe::Writable)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied() -> Vec<(i64, String, String)> {
        MIGRATIONS
            .iter()
            .map(|known| (known.version, known.name.to_owned(), known.checksum()))
            .collect()
    }

    #[test]
    fn a_schema_is_compared_migration_by_migration() {
        assert_eq!(standing(applied()), SchemaStanding::default());
        assert_eq!(standing(Vec::new()).outstanding.len(), MIGRATIONS.len());

        let mut edited = applied();
        edited[0].2 = "another".into();
        assert_eq!(standing(edited).edited, [MIGRATIONS[0].name]);

        let mut newer = applied();
        newer.push((9_999, "9999_later".into(), String::new()));
        assert_eq!(standing(newer).newer, ["9999_later"]);
    }
}
