//! Puts the house together from its parts: database, device cloud, use cases, HTTP.
//!
//! `serve` and `demo` differ in their settings and their clock, not in what they run.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use ostler_app::device_cloud::DeviceCloud;
use ostler_app::{App, Parts, PasswordCost, Settings};
use ostler_core::port::{Clock, Entropy};
use ostler_particle::{Particle, ParticleOptions};
use ostler_server::config::Config;
use ostler_server::health::Readiness;
use ostler_server::layers::rate::RateLimits;
use ostler_server::listen::Listener;
use ostler_server::metrics::Metrics;
use ostler_server::openapi::{operator_router, router};
use ostler_server::state::{Frame, OriginRegistered, ServerState};
use ostler_server::upkeep::upkeep;
use ostler_store::{MasterKeys, Store, StoreOptions};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long what runs in the background may take to end.
const BACKGROUND_STOPS_WITHIN: Duration = Duration::from_secs(10);

/// What comes from outside: time, chance, keys.
pub struct Outside {
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub master_keys: MasterKeys,
}

/// A house that is open for visitors once [`House::run`] is awaited.
pub struct House {
    pub app: Arc<App>,
    pub store: Arc<Store>,
    state: ServerState,
    listener: Listener,
    operators: Option<Listener>,
}

impl House {
    /// Binds the addresses first: they are known before anything is told to anybody.
    pub async fn bind(config: &Config) -> anyhow::Result<(Listener, Vec<SocketAddr>)> {
        let patience = (&config.limits).into();
        let listener = Listener::bind(&config.listen, config.tls.as_ref(), patience).await?;
        let addresses = listener.addresses().context("the listener has no address")?;
        Ok((listener, addresses))
    }

    pub async fn open(
        config: &Config,
        listener: Listener,
        outside: Outside,
        stopping: &CancellationToken,
    ) -> anyhow::Result<Self> {
        let Outside {
            clock,
            entropy,
            master_keys,
        } = outside;
        let options = StoreOptions::new(master_keys, Arc::clone(&entropy));
        let store = Store::open(config.database_url.expose(), options, clock.now())
            .await
            .with_context(|| format!("the database {} cannot be opened", config.database_url.masked()))?;
        let store = Arc::new(store);
        let cloud: Arc<dyn DeviceCloud> = Arc::new(Particle::new(
            ParticleOptions::default(),
            Arc::clone(&clock),
            Arc::clone(&entropy),
        ));
        let app = App::new(Parts {
            store: Arc::clone(&store),
            cloud,
            clock: Arc::clone(&clock),
            entropy: Arc::clone(&entropy),
            settings: settings(config),
        });
        let frame = Frame {
            public_url: config.public_url.clone(),
            trusted_proxies: config.trusted_proxies.clone(),
            limits: config.limits.clone(),
            metrics: Metrics::install(),
            metrics_allowed: config.metrics.allowed.clone(),
            readiness: readiness(&app),
            rates: RateLimits::new(&config.limits),
            origin_registered: origin_registered(&app),
            clock,
            entropy,
            stopping: stopping.clone(),
        };
        let state = ServerState::new(frame, Arc::clone(&app));
        let operators = match config.metrics.listen {
            Some(address) => Some(Listener::bind(&[address], None, (&config.limits).into()).await?),
            None => None,
        };
        Ok(Self {
            app,
            store,
            state,
            listener,
            operators,
        })
    }

    /// Serves until `stopping` is cancelled, then finishes what was begun and closes the database.
    pub async fn run(self, stopping: CancellationToken) -> anyhow::Result<()> {
        let Self {
            app,
            store,
            state,
            listener,
            operators,
        } = self;
        let background = TaskTracker::new();
        background.spawn(Arc::clone(&app).run_in_background(stopping.clone()));
        background.spawn(upkeep(state.clone(), stopping.clone()));
        if let Some(operators) = operators {
            background.spawn(operators.serve(operator_router(state.clone()), stopping.clone()));
        }
        listener.serve(router(state), stopping).await;

        // Nobody asks any more. What calls are still attached may write their outcomes.
        background.close();
        if tokio::time::timeout(BACKGROUND_STOPS_WITHIN, background.wait())
            .await
            .is_err()
        {
            tracing::warn!("background work did not end in time");
        }
        app.finish().await;
        store.close().await;
        Ok(())
    }
}

pub fn settings(config: &Config) -> Settings {
    Settings {
        public_url: config.public_url.as_str().trim_end_matches('/').to_owned(),
        call_deadline: config.calls.deadline,
        call_attached: config.calls.attach,
        access_token_lifetime: config.tokens.access_token,
        refresh_token_lifetime: config.tokens.refresh_idle,
        refresh_tolerance: config.tokens.refresh_tolerance,
        authorization_code_lifetime: config.tokens.authorization_code,
        session_lifetime: config.tokens.session,
        password_workers: config.passwords.workers,
        password_queue: config.passwords.waiting_max,
        password_cost: PasswordCost {
            memory_kib: config.passwords.memory_kib,
            iterations: config.passwords.iterations,
            parallelism: config.passwords.parallelism,
        },
    }
}

fn readiness(app: &Arc<App>) -> Readiness {
    let app = Arc::clone(app);
    Readiness::default().with(
        "store",
        Arc::new(move || {
            let app = Arc::clone(&app);
            Box::pin(async move { app.ping_store().await.map_err(|error| error.to_string()) })
        }),
    )
}

fn origin_registered(app: &Arc<App>) -> OriginRegistered {
    let app = Arc::clone(app);
    Arc::new(move |origin| {
        let app = Arc::clone(&app);
        Box::pin(async move { app.is_registered_origin(&origin).await })
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn what_the_tests_of_the_use_cases_assume_is_what_ships() {
        let (shipped, _) = Config::load(None, &BTreeMap::new()).unwrap();
        assert_eq!(settings(&shipped), Settings::default());
    }
}
