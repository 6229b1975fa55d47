//! `ostler demo`: Ostler on SQLite, a simulated device cloud and a living fleet in one process, on
//! loopback, with no account anywhere.
//!
//! Everything it needs to go on after a restart, or a kill, lies in its data directory; seeding
//! looks for what is there before it makes anything.

mod clock;
mod facts;
mod secrets;
mod seeding;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use ostler_core::port::Entropy;
use ostler_server::config::Config;
use ostler_server::edge::OsEntropy;
use ostler_server::log;
use ostler_sim::{AccountConfig, LockoutScope, Sim, SimConfig};

use crate::commands::DemoArgs;
use crate::house::{House, Outside};
use crate::{keys, terminal};
use clock::SharedClock;
use secrets::Secrets;

/// How many devices wait to register themselves.
const UNREGISTERED: usize = 2;

pub async fn run(args: DemoArgs) -> anyhow::Result<ExitCode> {
    ensure!(
        args.listen.ip().is_loopback(),
        "the demo listens on loopback only, not on {}",
        args.listen
    );
    let data = DataDirectory::open(args.data_dir.as_deref())?;
    let entropy: Arc<dyn Entropy> = Arc::new(OsEntropy);
    let secrets = Secrets::load_or_draw(&data.file("demo.json"), &*entropy)?;
    let mut config = configuration(&args, &data)?;
    log::install(&config.log)?;
    let stopping = terminal::stop_on_signal()?;

    let sim = Sim::start(simulation(&args, &secrets, &data))
        .await
        .context("the simulated cloud cannot start")?;
    let (listener, addresses) = House::bind(&config).await?;
    let base_url = format!("http://{}", addresses.first().context("the listener has no address")?);
    config.public_url = base_url.parse().context("the listener's address is no URL")?;
    let outside = Outside {
        clock: Arc::new(SharedClock(sim.clock())),
        entropy: Arc::clone(&entropy),
        master_keys: data.master_keys(&*entropy)?,
    };
    let house = House::open(&config, listener, outside, &stopping).await?;
    house.app.settle_orphaned_commands().await?;

    let seeded = seeding::seed(&house.app, &house.store, &sim, &secrets, &args.redirect_uri).await?;
    let facts = seeded.facts(base_url, &sim, secrets);
    let told = facts.tell();
    let running = tokio::spawn(house.run(stopping.clone()));
    if let Some(path) = &args.facts {
        facts.write(path)?;
    }
    println!("{told}");
    running.await.context("the server ended badly")??;
    sim.shutdown().await;
    Ok(ExitCode::SUCCESS)
}

/// A directory of the user's, to go on with, or a temporary one that goes when the demo ends.
struct DataDirectory {
    path: PathBuf,
    _temporary: Option<tempfile::TempDir>,
}

impl DataDirectory {
    fn open(path: Option<&Path>) -> anyhow::Result<Self> {
        match path {
            Some(path) => {
                std::fs::create_dir_all(path).with_context(|| format!("{} cannot be made", path.display()))?;
                Ok(Self {
                    path: path.to_owned(),
                    _temporary: None,
                })
            }
            None => {
                let temporary = tempfile::Builder::new().prefix("ostler-demo-").tempdir();
                let temporary = temporary.context("a temporary directory cannot be made")?;
                Ok(Self {
                    path: temporary.path().to_owned(),
                    _temporary: Some(temporary),
                })
            }
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    fn master_keys(&self, entropy: &dyn Entropy) -> anyhow::Result<ostler_store::MasterKeys> {
        let path = self.file("master.key");
        if !path.exists() {
            keys::make_master_key(&path, entropy)?;
        }
        keys::read_master_key(&path)
    }
}

/// The defaults, but for what a demo on one loopback address must have otherwise. The environment
/// plays no part: a demo is the same everywhere.
fn configuration(args: &DemoArgs, data: &DataDirectory) -> anyhow::Result<Config> {
    let settings = [
        ("OSTLER_LISTEN", args.listen.to_string()),
        (
            "OSTLER_DATABASE_URL",
            format!("sqlite:{}", data.file("ostler.db").display()),
        ),
        ("OSTLER_MASTER_KEY_FILE", data.file("master.key").display().to_string()),
        // All clients share one address here.
        ("OSTLER_LIMITS_REQUESTS_PER_MINUTE_PER_ADDRESS", "0".to_owned()),
        ("OSTLER_LIMITS_REQUESTS_PER_MINUTE_PER_CALLER", "0".to_owned()),
        ("OSTLER_LOG_LEVEL", "warn".to_owned()),
    ];
    let settings: BTreeMap<_, _> = settings.map(|(name, value)| (name.to_owned(), value)).into();
    let (config, _) = Config::load(None, &settings)?;
    Ok(config)
}

fn simulation(args: &DemoArgs, secrets: &Secrets, data: &DataDirectory) -> SimConfig {
    SimConfig {
        listen: args.sim_listen,
        seed: args.seed,
        thermostats: args.devices.into(),
        vehicles: args.vehicles.into(),
        unregistered: UNREGISTERED,
        state_file: Some(data.file("sim.json")),
        account: AccountConfig {
            password: Some(secrets.particle_password.clone()),
            ..AccountConfig::default()
        },
        lockout: LockoutScope::PerClient,
        ..SimConfig::default()
    }
}
