//! Connections to one origin, kept for reuse.
//!
//! A connection is leased *before* a permit departs, so that nothing slow lies between the last
//! look at the clock and the first byte: that is why this is not a client that connects when it
//! sends. A request that never left its connection is told apart from one that may have; nothing
//! is ever sent twice here.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, timeout};
use tower::Service;
use tracing::debug;

use crate::address::CloudAddress;
use crate::answer::{Answer, Lost};
use crate::options::ParticleOptions;

/// The end of a connection by which requests go in.
type Sender = SendRequest<Full<Bytes>>;

pub(crate) type Connector = HttpsConnector<HttpConnector>;

/// TLS with Mozilla's roots through aws-lc-rs; the address decides whether plain HTTP is meant.
pub(crate) fn connector() -> Connector {
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_keepalive(Some(Duration::from_secs(30)));
    HttpsConnectorBuilder::new()
        .with_provider_and_webpki_roots(rustls::crypto::aws_lc_rs::default_provider())
        .expect("aws-lc-rs supports the TLS versions that rustls thinks safe")
        .https_or_http()
        .enable_http1()
        .wrap_connector(http)
}

pub(crate) struct Pool {
    address: CloudAddress,
    host: HeaderValue,
    connector: Connector,
    connect_timeout: Duration,
    idle_timeout: Duration,
    idle_max: usize,
    /// The most recently used last: the rest may grow old and be closed.
    idle: Mutex<Vec<Idle>>,
    /// Wakes one who waits when a connection comes back.
    returned: Notify,
}

struct Idle {
    sender: Sender,
    since: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no connection to the device cloud")]
pub(crate) struct NoConnection;

impl Pool {
    pub(crate) fn new(address: CloudAddress, connector: Connector, options: &ParticleOptions) -> Self {
        let host = HeaderValue::from_str(address.authority().as_str()).expect("an authority is visible ASCII");
        Self {
            address,
            host,
            connector,
            connect_timeout: options.connect_timeout,
            idle_timeout: options.pool_idle_timeout,
            idle_max: options.pool_idle_max,
            idle: Mutex::default(),
            returned: Notify::new(),
        }
    }

    /// A connection that can take a request at once: an idle one, a new one, or one that comes back
    /// before the new one is open.
    pub(crate) async fn lease(self: &Arc<Self>) -> Result<Lease, NoConnection> {
        if let Some(lease) = self.idle_lease().await {
            return Ok(lease);
        }
        let mut opening = self.open_in_background();
        loop {
            tokio::select! {
                opened = &mut opening => {
                    let sender = opened.unwrap_or(Err(NoConnection))?;
                    return Ok(self.lent(sender, false));
                }
                () = self.returned.notified() => {
                    if let Some(lease) = self.idle_lease().await {
                        return Ok(lease);
                    }
                }
            }
        }
    }

    /// A connection that is no longer wanted when it is open waits in the pool for the next.
    fn open_in_background(self: &Arc<Self>) -> oneshot::Receiver<Result<Sender, NoConnection>> {
        let (opened, opening) = oneshot::channel();
        let pool = Arc::clone(self);
        tokio::spawn(async move {
            if let Err(Ok(unwanted)) = opened.send(pool.connect().await) {
                pool.give_back(unwanted);
            }
        });
        opening
    }

    async fn idle_lease(self: &Arc<Self>) -> Option<Lease> {
        while let Some(mut idle) = self.take_idle() {
            if idle.sender.ready().await.is_ok() {
                return Some(self.lent(idle.sender, true));
            }
        }
        None
    }

    fn lent(self: &Arc<Self>, sender: Sender, reused: bool) -> Lease {
        Lease {
            pool: Arc::clone(self),
            sender: Some(sender),
            reused,
        }
    }

    fn take_idle(&self) -> Option<Idle> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let last = idle.pop()?;
        if last.since.elapsed() < self.idle_timeout && !last.sender.is_closed() {
            return Some(last);
        }
        // Everything below it has been idle for longer.
        idle.retain(|one| one.since.elapsed() < self.idle_timeout && !one.sender.is_closed());
        idle.pop()
    }

    fn give_back(&self, sender: Sender) {
        if sender.is_closed() {
            return;
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < self.idle_max {
            idle.push(Idle {
                sender,
                since: Instant::now(),
            });
            drop(idle);
            self.returned.notify_one();
        }
    }

    async fn connect(&self) -> Result<Sender, NoConnection> {
        let opened = timeout(self.connect_timeout, self.open()).await;
        opened.unwrap_or_else(|_| {
            debug!(cloud = %self.address, "connecting to the device cloud took too long");
            Err(NoConnection)
        })
    }

    async fn open(&self) -> Result<Sender, NoConnection> {
        let io = self.connector.clone().call(self.address.uri()).await.map_err(|cause| {
            debug!(cloud = %self.address, %cause, "could not connect to the device cloud");
            NoConnection
        })?;
        // Requests are small: head and body in one piece cost the kernel less than two.
        let mut protocol = http1::Builder::new();
        protocol.writev(false);
        let (sender, connection) = protocol.handshake(io).await.map_err(|_| NoConnection)?;
        // It ends by itself when the sender is dropped or the peer closes.
        tokio::spawn(async move {
            if let Err(cause) = connection.await {
                debug!(%cause, "a connection to the device cloud broke");
            }
        });
        Ok(sender)
    }
}

/// A connection for one request. Given up unused, it goes back: connecting may take longer than a
/// permit lasts, and the next permit shall find it.
pub(crate) struct Lease {
    pool: Arc<Pool>,
    sender: Option<Sender>,
    /// It waited in the pool, where the peer may have closed it unnoticed.
    pub reused: bool,
}

impl Lease {
    /// Sends, reads the whole answer (bounded) and gives the connection back.
    pub(crate) async fn send(self, request: Request<Full<Bytes>>) -> Result<Answer, Lost> {
        let pool = Arc::clone(&self.pool);
        let Stream { response, sender } = self.open_stream(request).await?;
        let answer = Answer::read(response).await?;
        pool.give_back(sender);
        Ok(answer)
    }

    /// Sends and hands over the answer while it is still coming.
    pub(crate) async fn open_stream(mut self, mut request: Request<Full<Bytes>>) -> Result<Stream, Lost> {
        let mut sender = self.sender.take().ok_or(Lost::NeverLeft)?;
        request.headers_mut().insert(http::header::HOST, self.pool.host.clone());
        match sender.try_send_request(request).await {
            Ok(response) => Ok(Stream { response, sender }),
            // hyper hands the request back if and only if no byte of it was written.
            Err(fault) if fault.message().is_some() => Err(Lost::NeverLeft),
            Err(_) => Err(Lost::AfterDeparture),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(sender) = self.sender.take() {
            self.pool.give_back(sender);
        }
    }
}

/// An answer that goes on. While the sender lives, so does the connection.
pub(crate) struct Stream {
    pub(crate) response: http::Response<Incoming>,
    sender: Sender,
}
