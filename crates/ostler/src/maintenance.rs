//! Commands that keep an installation in order: `migrate`, `backup`, `restore`, `audit`, and the
//! OpenAPI document for whoever builds against it.

mod audit;
mod backup;

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use ostler_core::port::Clock as _;
use ostler_server::config::Config;
use ostler_server::edge::{OsEntropy, SystemClock, environment};
use ostler_server::openapi;
use ostler_store::{MasterKeys, Store, StoreOptions};

use crate::commands::ConfigArgs;
use crate::keys;

pub use audit::run as audit;
pub use backup::{backup, restore};

pub async fn migrate(args: &ConfigArgs) -> anyhow::Result<ExitCode> {
    let config = configuration(args)?;
    let shown = config.database_url.masked();
    let before = standing(&config).await;
    let options = options(keys::read_master_key(&config.master_key_file)?);
    let store = Store::open(config.database_url.expose(), options, SystemClock.now())
        .await
        .with_context(|| format!("the database {shown} cannot be migrated"))?;
    store.close().await;
    match before {
        Some(outstanding) if outstanding.is_empty() => println!("{shown} is up to date; nothing was changed"),
        Some(outstanding) => println!("{shown} was brought up to date: {}", outstanding.join(", ")),
        None => println!("{shown} was made"),
    }
    Ok(ExitCode::SUCCESS)
}

/// What is outstanding before; `None` of a database that is not there.
async fn standing(config: &Config) -> Option<Vec<&'static str>> {
    let keys = keys::read_master_key(&config.master_key_file).ok()?;
    let store = look(config, keys).await.ok()?;
    let standing = store.schema_standing().await.ok();
    store.close().await;
    standing.map(|standing| standing.outstanding)
}

pub fn openapi() -> anyhow::Result<ExitCode> {
    let mut document = serde_json::to_vec_pretty(&openapi::openapi()).context("the document cannot be written")?;
    document.push(b'\n');
    io::stdout()
        .write_all(&document)
        .context("standard output cannot be written to")?;
    Ok(ExitCode::SUCCESS)
}

fn configuration(args: &ConfigArgs) -> anyhow::Result<Config> {
    let (config, _) = Config::load(args.config.as_deref(), &environment())?;
    Ok(config)
}

fn options(keys: MasterKeys) -> StoreOptions {
    StoreOptions::new(keys, Arc::new(OsEntropy))
}

/// Reads only, and beside a running server.
async fn look(config: &Config, keys: MasterKeys) -> anyhow::Result<Store> {
    Store::look(config.database_url.expose(), options(keys), SystemClock.now())
        .await
        .with_context(|| format!("the database {} cannot be read", config.database_url.masked()))
}
