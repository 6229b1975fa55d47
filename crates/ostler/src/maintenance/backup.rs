//! `ostler backup` and `ostler restore`: an SQLite installation as one verified file. The copying
//! and verifying is the store's; which master key belongs to it is said here.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail, ensure};
use ostler_core::port::Clock as _;
use ostler_server::config::Config;
use ostler_server::edge::SystemClock;
use ostler_store::{BackupSummary, Store, sqlite_path, verify_backup};

use super::{configuration, options};
use crate::commands::{BackupArgs, RestoreArgs};
use crate::keys;

const MIB: f64 = 1024.0 * 1024.0;

pub async fn backup(args: &BackupArgs) -> anyhow::Result<ExitCode> {
    let config = configuration(&args.config)?;
    refuse_postgres(&config)?;
    let summary = ostler_store::backup(config.database_url.expose(), &args.to)
        .await
        .context("no backup was made")?;
    println!("{} holds {}, and verifies", args.to.display(), describe(&summary));
    println!("{}", about_master_key(&config));
    Ok(ExitCode::SUCCESS)
}

pub async fn restore(args: &RestoreArgs) -> anyhow::Result<ExitCode> {
    let config = configuration(&args.config)?;
    let target = refuse_postgres(&config)?;
    ensure!(
        !target.exists(),
        "nothing was restored: {} is there; move it away first, with its -wal and -shm files",
        target.display()
    );
    warn_of_another_master_key(&config, &args.from).await;
    if args.dry_run {
        let summary = verify_backup(&args.from)
            .await
            .context("the backup cannot be restored")?;
        println!("{} holds {}, and verifies", args.from.display(), describe(&summary));
        println!("It would become {}. Nothing was changed.", target.display());
    } else {
        let restored = ostler_store::restore(&args.from, config.database_url.expose()).await;
        let summary = restored.context("nothing was restored")?;
        println!("{} was restored: {}", target.display(), describe(&summary));
    }
    println!("{}", about_master_key(&config));
    Ok(ExitCode::SUCCESS)
}

/// The file of an SQLite installation.
fn refuse_postgres(config: &Config) -> anyhow::Result<PathBuf> {
    match sqlite_path(config.database_url.expose())? {
        Some(path) => Ok(path),
        None => bail!(
            "{} is PostgreSQL: back it up with pg_dump or a base backup, and restore it with pg_restore",
            config.database_url.masked()
        ),
    }
}

/// Only a warning: history and rights are worth having without the cloud credentials, too.
async fn warn_of_another_master_key(config: &Config, backup: &Path) {
    let Ok(keys) = keys::read_master_key(&config.master_key_file) else {
        return;
    };
    let url = format!("sqlite:{}", backup.display());
    let Ok(store) = Store::look(&url, options(keys), SystemClock.now()).await else {
        return;
    };
    if let Ok(report) = store.check_sealed().await
        && !report.unopened.is_empty()
    {
        eprintln!(
            "ostler: {} of the backup's {} secrets do not open with {}; their products must be connected anew",
            report.unopened.len(),
            report.total,
            config.master_key_file.display()
        );
    }
    store.close().await;
}

fn describe(summary: &BackupSummary) -> String {
    let size = summary.bytes as f64 / MIB;
    match summary.newest_act_at {
        Some(at) => format!("{size:.1} MiB, {} audit entries until {at}", summary.audit_entries),
        None => format!("{size:.1} MiB, no audit entries"),
    }
}

fn about_master_key(config: &Config) -> String {
    let file = config.master_key_file.display();
    match keys::read_master_key(&config.master_key_file) {
        Ok(keys) => format!(
            "The master key {} is NOT in it; keep {file} apart from it",
            keys.current().id()
        ),
        Err(_) => format!("The master key is NOT in it, and {file} cannot be read"),
    }
}
