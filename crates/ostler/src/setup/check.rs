//! `ostler check`: one verdict on each thing that an installation depends on. It changes nothing,
//! and works beside a running server as well as without one.

mod certificate;
mod clock;
mod cloud;
mod database;
mod files;
mod public_url;
mod server;
mod verdict;

use std::path::Path;
use std::process::ExitCode;

use ostler_core::port::Clock as _;
use ostler_server::config::Config;
use ostler_server::edge::{SystemClock, environment};
use ostler_store::StoredConnection;

use crate::commands::CheckArgs;
use crate::exit::FAILED;
use database::Database;
use verdict::{Report, Verdict};

/// What may be behind each name, in the order in which it is looked at.
pub(in crate::setup::check) mod what {
    pub const CONFIGURATION: &str = "configuration";
    pub const MASTER_KEY: &str = "master key";
    pub const DISK: &str = "disk space";
    pub const DATABASE: &str = "database";
    pub const SECRETS: &str = "secrets";
    pub const CLOUD: &str = "device cloud";
    pub const HOOK: &str = "webhook";
    pub const CLOCK: &str = "clock";
    pub const PUBLIC_URL: &str = "public URL";
    pub const CERTIFICATE: &str = "certificate";
}

pub async fn run(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let report = Report::of(look(args.config.config.as_deref()).await);
    if args.json {
        println!("{:#}", report.json());
    } else {
        print!("{}", report.table());
    }
    Ok(if report.holds() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(FAILED)
    })
}

async fn look(file: Option<&Path>) -> Vec<Verdict> {
    let config = match Config::load(file, &environment()) {
        Ok((config, _)) => config,
        // Where everything else is, the configuration says.
        Err(faults) => return vec![files::configuration_faults(file, &faults)],
    };
    let (master_key, keys) = files::master_key(&config.master_key_file);
    let mut verdicts = vec![files::configuration(file), master_key, files::disk(&config)];

    let mut database = Database::look(&config, keys).await;
    let products = database.connected_products().await;
    verdicts.extend(database.into_verdicts().await);
    verdicts.extend(cloud::look(&config, &products).await);

    let base_urls = products.iter().map(|product| product.connection.base_url.as_str());
    verdicts.push(clock::look(&SystemClock, base_urls).await);
    verdicts.push(public_url::look(&config.public_url).await);
    verdicts.push(certificate::look(&config, SystemClock.now()));
    verdicts
}

/// A product that has a device cloud, with all that is needed to look at it there.
pub(in crate::setup::check) struct ConnectedProduct {
    pub id: ostler_core::id::ProductId,
    pub declaration: ostler_core::product::Declaration,
    pub connection: StoredConnection,
    pub hook_secret: Option<secrecy::SecretString>,
}
