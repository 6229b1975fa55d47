//! One connection from its first byte to its last, over HTTP/1.1 or HTTP/2.

use std::convert::Infallible;
use std::fmt::Display;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use metrics::gauge;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;
use tower::Service as _;
use tracing::debug;

use super::Patience;
use super::activity::{Activity, Watched};
use crate::layers::address::Peer;

/// How long an HTTP/2 peer may take to answer a ping.
const PING_DEADLINE: Duration = Duration::from_secs(20);
/// For telling the peer that we close.
const FAREWELL: Duration = Duration::from_secs(1);

/// Counts open connections.
pub(super) struct Counted;

impl Counted {
    pub fn begin() -> Self {
        gauge!("ostler_connections_open").increment(1.0);
        Self
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        gauge!("ostler_connections_open").decrement(1.0);
    }
}

enum Ended {
    ByItself,
    Overdue,
}

/// How a connection is told that the server stops. One is watched at a time: each costs something
/// whenever the connection wakes.
pub(super) struct Ending<'t> {
    /// Finish what was begun.
    pub stopping: &'t CancellationToken,
    /// There is no time for that any more. Comes after the other.
    pub abandon: &'t CancellationToken,
}

pub(super) async fn serve<S>(stream: S, peer: SocketAddr, router: Router, patience: &Patience, ending: Ending<'_>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let activity = Activity::begin(patience);
    let io = TokioIo::new(Watched::new(stream, activity.clone()));
    let watched = activity.clone();
    let service = service_fn(move |request: http::Request<Incoming>| {
        let in_progress = watched.request_began(request.version());
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(Peer(peer));
        // A router is always ready.
        let answer = router.clone().call(request);
        async move { answer.await.map(|response| in_progress.until_end_of(response)) as Result<_, Infallible> }
    });

    let protocol = protocol();
    let mut connection = pin!(protocol.serve_connection(io, service));
    let mut alarm = pin!(tokio::time::sleep(patience.header_deadline));

    let attended = attend(connection.as_mut(), alarm.as_mut(), &activity);
    let ended = match ending.stopping.run_until_cancelled(attended).await {
        Some(ended) => Some(ended),
        None => {
            connection.as_mut().graceful_shutdown();
            let attended = attend(connection.as_mut(), alarm.as_mut(), &activity);
            ending.abandon.run_until_cancelled(attended).await
        }
    };
    match ended {
        Some(Ended::ByItself) | None => {}
        Some(Ended::Overdue) => {
            connection.as_mut().graceful_shutdown();
            // Whether the peer hears it or not, the connection ends here.
            let farewell = tokio::time::timeout(FAREWELL, connection);
            drop(ending.abandon.run_until_cancelled(farewell).await);
        }
    }
}

/// Drives the connection for as long as it keeps its deadlines.
async fn attend<C, E>(mut connection: Pin<&mut C>, mut alarm: Pin<&mut Sleep>, activity: &Activity) -> Ended
where
    C: Future<Output = Result<(), E>>,
    E: Display,
{
    poll_fn(|context| {
        if let Poll::Ready(result) = connection.as_mut().poll(context) {
            if let Err(error) = result {
                debug!("a connection broke: {error}");
            }
            return Poll::Ready(Ended::ByItself);
        }
        // Looked up after the connection was driven, for what it just did moves the deadline.
        let Some(overdue_at) = activity.overdue_at() else {
            return Poll::Pending;
        };
        // An alarm that rings too early is set again then. Most are put off by each request, and to set
        // one costs more than to look up when it is due.
        if overdue_at < alarm.deadline() {
            alarm.as_mut().reset(overdue_at);
        }
        while alarm.as_mut().poll(context).is_ready() {
            if overdue_at <= Instant::now() {
                return Poll::Ready(Ended::Overdue);
            }
            alarm.as_mut().reset(overdue_at);
        }
        Poll::Pending
    })
    .await
}

fn protocol() -> auto::Builder<TokioExecutor> {
    let mut protocol = auto::Builder::new(TokioExecutor::new());
    protocol
        .http1()
        // Answers are small: to copy a body behind its head costs less than to hand the kernel two pieces.
        .writev(false)
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .max_buf_size(64 * 1024);
    protocol
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(256)
        .max_header_list_size(32 * 1024)
        .keep_alive_interval(PING_DEADLINE)
        .keep_alive_timeout(PING_DEADLINE);
    protocol
}
