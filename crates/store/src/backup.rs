//! Backup and restore of an SQLite installation.
//!
//! A backup is taken online: one read transaction, while others write. It is verified before it
//! gets its name. Restoring refuses to run beside a server, and to put an older state over a newer
//! one. PostgreSQL brings its own tools (`pg_dump`, base backups); those are the right ones there.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, SqliteConnection};

use ostler_core::time::Timestamp;

use crate::audit::{AuditFault, verify_all};
use crate::db::{OpenError, sqlite_path};
use crate::error::StoreError;
use crate::lock::{InstallationLock, LockError};
use crate::tx::Link;
use crate::value::Millis;

#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error(transparent)]
    Url(#[from] OpenError),
    #[error("this is a backup for SQLite; use pg_dump or a base backup with PostgreSQL")]
    NotSqlite,
    #[error("{} does not exist", .0.display())]
    Missing(PathBuf),
    #[error("{} is there already", .0.display())]
    Exists(PathBuf),
    #[error("{} could not be written or moved", path.display())]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the database could not be copied or read")]
    Database(#[from] sqlx::Error),
    #[error("the copy is damaged: {0}")]
    Damaged(String),
    #[error("the audit chain of the copy does not verify")]
    Audit(#[from] AuditFault),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Running(#[from] LockError),
    #[error("the installation at {} has gone on since this backup (until {newest}); move it away first", path.display())]
    Newer { path: PathBuf, newest: Timestamp },
}

/// What is in a backup that verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupSummary {
    pub bytes: u64,
    pub audit_entries: i64,
    /// When the last act in it happened; `None` if nothing ever did.
    pub newest_act_at: Option<Timestamp>,
}

const INTEGRITY: &str = "PRAGMA integrity_check";
const FOREIGN_KEYS: &str = "PRAGMA foreign_key_check";
const COPY: &str = "VACUUM INTO $1";
const NEWEST_ACT: &str = "SELECT MAX(at) FROM audit_entry";

/// Copies a running or stopped installation to `to`, which must not exist.
pub async fn backup(url: &str, to: &Path) -> Result<BackupSummary, BackupError> {
    let from = sqlite_path(url)?.ok_or(BackupError::NotSqlite)?;
    if !from.exists() {
        return Err(BackupError::Missing(from));
    }
    if to.exists() {
        return Err(BackupError::Exists(to.to_owned()));
    }
    let draft = with_suffix(to, ".partial");
    remove_if_there(&draft)?;
    create_private(&draft)?;
    let mut source = SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(&from)).await?;
    sqlx::query(COPY)
        .bind(draft.to_string_lossy().into_owned())
        .execute(&mut source)
        .await?;
    source.close().await?;
    let summary = verify(&draft).await?;
    sync(&draft)?;
    fs::rename(&draft, to).map_err(file_error(to))?;
    sync_folder(to)?;
    Ok(summary)
}

/// Reads a copy from end to end: pages, foreign keys, audit chains.
pub async fn verify(copy: &Path) -> Result<BackupSummary, BackupError> {
    let bytes = fs::metadata(copy).map_err(file_error(copy))?.len();
    let mut db = read_only(copy).await?;
    let findings: Vec<(String,)> = sqlx::query_as(INTEGRITY).fetch_all(&mut db).await?;
    if let Some((finding,)) = findings.first().filter(|(finding,)| finding != "ok") {
        return Err(BackupError::Damaged(finding.clone()));
    }
    let orphans = sqlx::query(FOREIGN_KEYS).fetch_all(&mut db).await?;
    if !orphans.is_empty() {
        return Err(BackupError::Damaged(format!("{} rows point at nothing", orphans.len())));
    }
    let reports = verify_all(Link::Sqlite(&mut db)).await??;
    let newest_act_at = newest_act(&mut db).await?;
    db.close().await?;
    Ok(BackupSummary {
        bytes,
        audit_entries: reports.iter().map(|report| report.entries).sum(),
        newest_act_at,
    })
}

/// Puts a verified backup in the place that the URL names. What stood there, if anything and not
/// newer, is kept beside it with the ending `.replaced`.
pub async fn restore(copy: &Path, url: &str) -> Result<BackupSummary, BackupError> {
    let target = sqlite_path(url)?.ok_or(BackupError::NotSqlite)?;
    let summary = verify(copy).await?;
    let _lock = InstallationLock::take(&target)?;
    if target.exists() {
        refuse_newer(&target, &summary).await?;
    }
    let draft = with_suffix(&target, ".restoring");
    fs::copy(copy, &draft).map_err(file_error(&draft))?;
    sync(&draft)?;
    set_aside(&target)?;
    fs::rename(&draft, &target).map_err(file_error(&target))?;
    sync_folder(&target)?;
    Ok(summary)
}

async fn refuse_newer(target: &Path, summary: &BackupSummary) -> Result<(), BackupError> {
    // Opened for writing, and closed: so what stands in the write-ahead log comes into the file.
    let mut db = SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(target)).await?;
    let newest = newest_act(&mut db).await?;
    db.close().await?;
    match newest {
        Some(newest) if summary.newest_act_at.is_none_or(|backed_up| backed_up < newest) => Err(BackupError::Newer {
            path: target.to_owned(),
            newest,
        }),
        Some(_) | None => Ok(()),
    }
}

/// The file and what may belong to it: a log left behind would be applied to the restored file.
fn set_aside(target: &Path) -> Result<(), BackupError> {
    for suffix in ["-wal", "-shm", ""] {
        let file = with_suffix(target, suffix);
        if file.exists() {
            let aside = with_suffix(&with_suffix(target, ".replaced"), suffix);
            fs::rename(&file, &aside).map_err(file_error(&file))?;
        }
    }
    Ok(())
}

async fn read_only(path: &Path) -> Result<SqliteConnection, sqlx::Error> {
    SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(path).read_only(true)).await
}

async fn newest_act(db: &mut SqliteConnection) -> Result<Option<Timestamp>, sqlx::Error> {
    let (newest,): (Option<Millis>,) = sqlx::query_as(NEWEST_ACT).fetch_one(db).await?;
    Ok(newest.map(|Millis(at)| at))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn remove_if_there(path: &Path) -> Result<(), BackupError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(file_error(path)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Made empty beforehand, which SQLite takes: what a backup holds is nobody else's to read.
fn create_private(path: &Path) -> Result<(), BackupError> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let made = File::options().write(true).create_new(true).mode(0o600).open(path);
    made.map(drop).map_err(file_error(path))
}

fn sync(path: &Path) -> Result<(), BackupError> {
    File::open(path)
        .and_then(|file| file.sync_all())
        .map_err(file_error(path))
}

/// Makes a rename durable.
fn sync_folder(path: &Path) -> Result<(), BackupError> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    sync(folder)
}

fn file_error(path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::File { path, source }
}
