//! The listener: accepts connections, bounds their number and their patience, and stops so that no
//! request in flight is lost.
//!
//! Our own loop, because `axum::serve` has no deadline for a request's head, no bound on connections
//! and no end to a graceful stop.

mod activity;
mod connection;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::config;
use crate::tls::{CurrentCertificate, TlsError};

/// What the listener takes from the configuration.
#[derive(Debug, Clone)]
pub struct Patience {
    pub connections: usize,
    pub header_deadline: Duration,
    pub write_deadline: Duration,
    pub idle_deadline: Duration,
    pub stop_deadline: Duration,
}

impl From<&config::Limits> for Patience {
    fn from(limits: &config::Limits) -> Self {
        Self {
            connections: limits.connections,
            header_deadline: limits.header_deadline,
            write_deadline: limits.write_deadline,
            idle_deadline: limits.idle_deadline,
            stop_deadline: limits.stop_deadline,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error("cannot listen on {address}")]
    Bind { address: SocketAddr, source: io::Error },
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// Bound addresses, not yet serving: the addresses are known before the first request.
pub struct Listener {
    sockets: Vec<TcpListener>,
    certificate: Option<(Arc<CurrentCertificate>, TlsAcceptor)>,
    patience: Patience,
}

impl Listener {
    pub async fn bind(
        addresses: &[SocketAddr],
        tls: Option<&config::Tls>,
        patience: Patience,
    ) -> Result<Self, ListenError> {
        let certificate = match tls {
            Some(files) => {
                let certificate = CurrentCertificate::load(files)?;
                let acceptor = certificate.acceptor()?;
                Some((certificate, acceptor))
            }
            None => None,
        };
        let mut sockets = Vec::with_capacity(addresses.len());
        for &address in addresses {
            let bound = TcpListener::bind(address).await;
            sockets.push(bound.map_err(|source| ListenError::Bind { address, source })?);
        }
        Ok(Self {
            sockets,
            certificate,
            patience,
        })
    }

    /// With the port that the system chose where 0 was asked for.
    pub fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        self.sockets.iter().map(TcpListener::local_addr).collect()
    }

    /// Serves until `stopping` is cancelled; then takes no more connections, finishes the requests in
    /// flight and returns, at the latest after the stop deadline.
    pub async fn serve(self, router: Router, stopping: CancellationToken) {
        let connections = TaskTracker::new();
        let loops = TaskTracker::new();
        let abandon = CancellationToken::new();
        let door = Arc::new(Door {
            router,
            acceptor: self.certificate.as_ref().map(|(_, acceptor)| acceptor.clone()),
            room: Arc::new(Semaphore::new(self.patience.connections.min(Semaphore::MAX_PERMITS))),
            patience: self.patience,
            connections: connections.clone(),
            stopping: stopping.clone(),
            abandon: abandon.clone(),
        });
        if let Some((certificate, _)) = self.certificate {
            loops.spawn(certificate.follow_files(stopping.clone()));
        }
        for socket in self.sockets {
            loops.spawn(door.clone().accept_loop(socket));
        }
        loops.close();
        loops.wait().await;

        connections.close();
        info!(
            connections = connections.len(),
            "no more connections are taken; finishing the requests in flight"
        );
        if tokio::time::timeout(door.patience.stop_deadline, connections.wait())
            .await
            .is_err()
        {
            warn!(
                connections = connections.len(),
                "requests in flight did not finish in time and are cut off"
            );
            abandon.cancel();
            connections.wait().await;
        }
    }
}

/// What all connections of a listener share.
struct Door {
    router: Router,
    acceptor: Option<TlsAcceptor>,
    room: Arc<Semaphore>,
    patience: Patience,
    connections: TaskTracker,
    stopping: CancellationToken,
    /// Cancelled when the stop deadline has passed.
    abandon: CancellationToken,
}

impl Door {
    async fn accept_loop(self: Arc<Self>, socket: TcpListener) {
        while let Some((stream, peer, room)) = self.stopping.run_until_cancelled(self.accept(&socket)).await {
            let door = self.clone();
            self.connections.spawn(async move {
                door.attend(stream, peer).await;
                drop(room);
            });
        }
    }

    /// Room first, then the connection: who must wait, waits in the system's queue and costs nothing.
    async fn accept(&self, socket: &TcpListener) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
        loop {
            let room = self
                .room
                .clone()
                .acquire_owned()
                .await
                .expect("the semaphore is never closed");
            match socket.accept().await {
                Ok((stream, peer)) => return (stream, peer, room),
                Err(error) if concerns_one_connection(&error) => {}
                Err(error) => {
                    // Out of file descriptors, most likely. Others will close; trying at once would spin.
                    warn!(error = %error, "cannot accept a connection: {error}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    async fn attend(&self, stream: TcpStream, peer: SocketAddr) {
        let _open = connection::Counted::begin();
        if stream.set_nodelay(true).is_err() {
            return; // It is gone already.
        }
        match &self.acceptor {
            None => self.talk(stream, peer).await,
            // A failed or slow handshake is the stranger's own business: nothing to report.
            Some(acceptor) => {
                let shaking = tokio::time::timeout(self.patience.header_deadline, acceptor.accept(stream));
                if let Some(Ok(Ok(stream))) = self.abandon.run_until_cancelled(shaking).await {
                    self.talk(stream, peer).await;
                }
            }
        }
    }

    async fn talk<S>(&self, stream: S, peer: SocketAddr)
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let ending = connection::Ending {
            stopping: &self.stopping,
            abandon: &self.abandon,
        };
        connection::serve(stream, peer, self.router.clone(), &self.patience, ending).await;
    }
}

fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    )
}
