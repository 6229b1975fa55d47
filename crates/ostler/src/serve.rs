//! `ostler serve`: the server, by its configuration.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use ostler_server::config::Config;
use ostler_server::edge::{OsEntropy, SystemClock, environment};
use ostler_server::log;
use ostler_server::systemd::ServiceManager;

use crate::commands::ConfigArgs;
use crate::house::{House, Outside};
use crate::{keys, terminal};

pub async fn run(args: &ConfigArgs) -> anyhow::Result<ExitCode> {
    let environment = environment();
    let (config, _) = Config::load(args.config.as_deref(), &environment)?;
    log::install(&config.log)?;
    let stopping = terminal::stop_on_signal()?;
    let manager = ServiceManager::from_environment(&environment).context("NOTIFY_SOCKET cannot be understood")?;
    let outside = Outside {
        clock: Arc::new(SystemClock),
        entropy: Arc::new(OsEntropy),
        master_keys: keys::read_master_key(&config.master_key_file)?,
    };
    let (listener, addresses) = House::bind(&config).await?;
    let house = House::open(&config, listener, outside, &stopping).await?;
    let orphans = house
        .app
        .settle_orphaned_commands()
        .await
        .context("commands of the last run cannot be settled")?;
    if orphans > 0 {
        tracing::warn!(
            commands = orphans,
            "{orphans} commands had no outcome when the last run ended: they are unknown"
        );
    }
    house
        .app
        .connect_clouds()
        .await
        .context("the cloud connections cannot be read")?;
    for address in addresses {
        tracing::info!(%address, "listening on {address}");
    }
    manager.ready();
    let watched = async {
        manager.keep_watchdog_quiet(&stopping).await;
        stopping.cancelled().await;
        manager.stopping();
    };
    let (ran, ()) = tokio::join!(house.run(stopping.clone()), watched);
    ran?;
    Ok(ExitCode::SUCCESS)
}
