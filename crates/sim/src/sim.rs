//! Starts and stops a simulated cloud: listener, living devices, webhooks, state file.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::clock::SimClock;
use crate::cloud::Cloud;
use crate::config::SimConfig;
use crate::handle::SimHandle;
use crate::world::World;
use crate::{edge, hooks, persist, routes};

/// How often due devices are looked for, in real time.
const HEARTBEAT: Duration = Duration::from_millis(250);
/// State that no request has changed (positions, temperatures) is kept this often.
const KEEP_EVERY_BEATS: u32 = 20;
/// Requests that still run at the end are cut off; this is for closing sockets.
const STOP_WITHIN: Duration = Duration::from_secs(2);
const HOOK_QUEUE: usize = 20_000;

#[derive(Debug, Error)]
pub enum SimError {
    #[error("the simulated cloud listens on loopback only, not on {0}")]
    NotLoopback(SocketAddr),
    #[error("cannot listen on {address}")]
    Listen {
        address: SocketAddr,
        source: std::io::Error,
    },
    #[error("cannot read the state file {}", path.display())]
    StateFile {
        path: std::path::PathBuf,
        source: std::io::Error,
    },
    #[error("cannot make the HTTP client that delivers webhooks")]
    HookClient(#[source] reqwest::Error),
}

/// A running simulated cloud. Dropping it stops it without waiting.
pub struct Sim {
    address: SocketAddr,
    cloud: Arc<Cloud>,
    server: JoinHandle<()>,
}

impl Sim {
    pub async fn start(config: SimConfig) -> Result<Self, SimError> {
        let listener = listen(config.listen).await?;
        let address = listener.local_addr().map_err(|source| SimError::Listen {
            address: config.listen,
            source,
        })?;
        let found = persist::find(config.state_file.as_deref()).map_err(|source| SimError::StateFile {
            path: config.state_file.clone().unwrap_or_default(),
            source,
        })?;
        let deliverer = hooks::Deliverer::new(&config.hooks).map_err(SimError::HookClient)?;
        let (hook_jobs, queue) = mpsc::channel(HOOK_QUEUE);
        let keeper = config.state_file.clone().map(persist::keeper);
        let clock = SimClock::new(config.time, found.skipped_ms);
        let world = World::new(Arc::new(config), clock, found, hook_jobs, edge::unforeseeable());
        let (keeper, keeping) = keeper.unzip();
        let cloud = Arc::new(Cloud::new(world, keeper));

        if let Some(keeping) = keeping {
            cloud.tasks.spawn(keeping.run(Arc::clone(&cloud)));
        }
        cloud.kept().await;
        cloud.tasks.spawn(hooks::dispatch(Arc::clone(&cloud), deliverer, queue));
        if !cloud.clock.is_simulated() {
            cloud.tasks.spawn(live(Arc::clone(&cloud)));
        }
        let server = tokio::spawn(serve(listener, routes::router(&cloud), Arc::clone(&cloud)));
        Ok(Self { address, cloud, server })
    }

    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn clock(&self) -> SimClock {
        self.cloud.clock.clone()
    }

    /// Control from inside the process; cheap to clone.
    pub fn handle(&self) -> SimHandle {
        SimHandle::new(Arc::clone(&self.cloud))
    }

    /// Ends streams, calls and deliveries, writes the state file once more, closes the listener.
    pub async fn shutdown(mut self) {
        self.cloud.stopping.cancel();
        self.cloud.tasks.close();
        let ended = tokio::time::timeout(STOP_WITHIN, async {
            self.cloud.tasks.wait().await;
            if let Err(error) = (&mut self.server).await {
                tracing::error!(%error, "the simulated cloud's server ended badly");
            }
        });
        if ended.await.is_err() {
            self.server.abort();
        }
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        self.cloud.stopping.cancel();
        self.server.abort();
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, SimError> {
    if !address.ip().is_loopback() {
        return Err(SimError::NotLoopback(address));
    }
    TcpListener::bind(address)
        .await
        .map_err(|source| SimError::Listen { address, source })
}

async fn serve(listener: TcpListener, router: Router, cloud: Arc<Cloud>) {
    use axum::serve::ListenerExt;
    // Small answers must not wait for an acknowledgement.
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY refused");
        }
    });
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let stopping = cloud.stopping.clone();
    let served = axum::serve(listener, service)
        .with_graceful_shutdown(stopping.cancelled_owned())
        .await;
    if let Err(error) = served {
        tracing::error!(%error, "the simulated cloud's listener failed");
    }
}

/// Lets devices live by the machine's clock.
async fn live(cloud: Arc<Cloud>) {
    let mut beats = 0_u32;
    loop {
        tokio::select! {
            () = cloud.stopping.cancelled() => return,
            () = tokio::time::sleep(HEARTBEAT) => {}
        }
        cloud.world().run_due();
        beats = beats.wrapping_add(1);
        if beats.is_multiple_of(KEEP_EVERY_BEATS) {
            cloud.keep_soon();
        }
    }
}
