//! A product's event stream (§8.1), kept open until nobody reads it any more.
//!
//! The cloud replays nothing: what passes while the stream is down is lost, so the reader is told
//! exactly when it is up. A slow reader stops the reading of the socket; nothing is dropped here.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use http_body_util::BodyExt;
use ostler_app::device_cloud::StreamItem;
use ostler_core::id::ProductId;
use ostler_core::port::Entropy;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::{debug, info, warn};

use crate::connection::{Connection, Renewal, Unready};
use crate::links::Links;
use crate::options::StreamOptions;
use crate::pool::Stream;
use crate::request::{CloudRequest, Purpose};
use crate::sse::{SseItem, SseReader};

pub(crate) struct Follower {
    product_id: ProductId,
    links: Arc<Links>,
    entropy: Arc<dyn Entropy>,
    options: StreamOptions,
    sink: mpsc::Sender<StreamItem>,
    /// What the reader was told last.
    told_connected: bool,
}

/// Why a stream is not, or no longer, there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Down {
    #[error("nobody reads the stream any more")]
    ReaderGone,
    #[error("the stream cannot be opened")]
    NotReady(Unready),
    #[error("the device cloud refused to open the stream ({0})")]
    Refused(StatusCode),
    #[error("the token was renewed")]
    TokenRenewed,
    #[error("the connection was lost")]
    Lost,
    #[error("the device cloud closed the stream")]
    Closed,
    #[error("the stream fell silent")]
    Silent,
}

impl Down {
    const fn cause(self) -> &'static str {
        match self {
            Self::ReaderGone => "reader-gone",
            Self::NotReady(_) => "not-ready",
            Self::Refused(_) => "refused",
            Self::TokenRenewed => "token-renewed",
            Self::Lost => "connection-lost",
            Self::Closed => "closed",
            Self::Silent => "silent",
        }
    }
}

/// A stream that held this long was a good one; the next failure is the first again.
const GOOD_AFTER: Duration = Duration::from_secs(60);

impl Follower {
    pub(crate) fn new(
        product_id: ProductId,
        links: Arc<Links>,
        entropy: Arc<dyn Entropy>,
        options: StreamOptions,
        sink: mpsc::Sender<StreamItem>,
    ) -> Self {
        Self {
            product_id,
            links,
            entropy,
            options,
            sink,
            told_connected: false,
        }
    }

    pub(crate) async fn follow(mut self) {
        let sink = self.sink.clone();
        tokio::select! {
            () = self.follow_always() => {}
            () = sink.closed() => {}
        }
        gauge(self.product_id, 0.0);
    }

    /// Over the product's present connection, and over another one when the maker connects anew.
    async fn follow_always(&mut self) {
        let (links, product_id) = (Arc::clone(&self.links), self.product_id);
        let mut present: Option<Arc<Connection>> = None;
        loop {
            present = links.other_than(product_id, present.as_ref()).await;
            let Some(connection) = &present else { continue };
            tokio::select! {
                () = self.follow_connection(connection) => return,
                _ = links.other_than(product_id, Some(connection)) => {}
            }
            self.tell_down("connected-anew").await;
        }
    }

    /// Opens the stream over one connection again and again. Returns when nobody reads.
    async fn follow_connection(&mut self, connection: &Arc<Connection>) {
        let mut failures = 0;
        loop {
            let opened_at = Instant::now();
            let down = match self.stream_once(connection).await {
                Err(Down::ReaderGone) => return,
                Err(down) => down,
                Ok(never) => match never {},
            };
            if opened_at.elapsed() >= GOOD_AFTER {
                failures = 0;
            }
            failures += 1;
            let pause = self.pause(failures, down);
            self.report(down, failures, pause);
            self.tell_down(down.cause()).await;
            sleep(pause).await;
        }
    }

    fn pause(&self, failures: u32, down: Down) -> Duration {
        let jittered = self.options.reconnect.jittered(failures, &*self.entropy);
        let spaced = if failures > 1 {
            self.options.open_spacing
        } else {
            Duration::ZERO
        };
        let asked = match down {
            Down::NotReady(Unready::Limited { retry_after }) => retry_after.unwrap_or_default(),
            Down::NotReady(Unready::CircuitOpen | Unready::CredentialRejected | Unready::ConnectionFailed)
            | Down::ReaderGone
            | Down::Refused(_)
            | Down::TokenRenewed
            | Down::Lost
            | Down::Closed
            | Down::Silent => Duration::ZERO,
        };
        jittered.max(spaced).max(asked)
    }

    fn report(&self, down: Down, failures: u32, pause: Duration) {
        let product_id = self.product_id;
        metrics::counter!("ostler_cloud_stream_ends_total", "cause" => down.cause()).increment(1);
        let pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        // A stream that is closed now and then is the cloud's habit (§8.1).
        if failures > 1 {
            warn!(product.id = %product_id, cause = %down, failures, pause_ms, "the event stream of {product_id} is down");
        } else {
            debug!(product.id = %product_id, cause = %down, pause_ms, "the event stream of {product_id} is down");
        }
    }

    async fn tell_down(&mut self, cause: &'static str) {
        gauge(self.product_id, 0.0);
        let told = std::mem::take(&mut self.told_connected);
        if told && self.tell(StreamItem::Disconnected { cause }).await.is_err() {
            debug!(product.id = %self.product_id, "nobody reads the event stream any more");
        }
    }

    async fn tell(&self, item: StreamItem) -> Result<(), Down> {
        self.sink.send(item).await.map_err(|_| Down::ReaderGone)
    }

    async fn stream_once(&mut self, connection: &Arc<Connection>) -> Result<std::convert::Infallible, Down> {
        let mut stream = open(connection).await?;
        let mut reader = SseReader::new();
        loop {
            let frame = timeout(self.options.idle_timeout, stream.response.body_mut().frame()).await;
            let frame = match frame {
                Err(_) => return Err(Down::Silent),
                Ok(None) => return Err(Down::Closed),
                Ok(Some(Err(_))) => return Err(Down::Lost),
                Ok(Some(Ok(frame))) => frame,
            };
            let Some(bytes) = frame.data_ref() else { continue };
            // The first bytes, `:ok`, say that the cloud has begun to listen for us.
            if !self.told_connected {
                self.told_connected = true;
                gauge(self.product_id, 1.0);
                info!(product.id = %self.product_id, "the event stream of {} is up", self.product_id);
                self.tell(StreamItem::Connected).await?;
            }
            for item in reader.push(bytes) {
                self.pass_on(item).await?;
            }
        }
    }

    async fn pass_on(&self, item: SseItem) -> Result<(), Down> {
        let event = match item {
            SseItem::Beat => return self.tell(StreamItem::Heartbeat).await,
            SseItem::Oversized => {
                count_event("oversized");
                return Ok(());
            }
            SseItem::Event(event) => event,
        };
        match crate::event::from_stream(event) {
            Ok(event) => {
                count_event("read");
                self.tell(StreamItem::Event(event)).await
            }
            Err(fault) => {
                count_event("unreadable");
                debug!(product.id = %self.product_id, %fault, "an event of the stream could not be read");
                Ok(())
            }
        }
    }
}

async fn open(connection: &Arc<Connection>) -> Result<Stream, Down> {
    let request = CloudRequest::get(Purpose::Stream, connection.product.path().segment("events"));
    let expiry = Instant::now() + connection.request_timeout;
    let ready = timeout_at(expiry, connection.ready(Purpose::Stream)).await;
    let ready = ready
        .unwrap_or(Err(Unready::ConnectionFailed))
        .map_err(Down::NotReady)?;
    let token = Arc::clone(&ready.token);
    let stream = connection
        .open_stream(ready, &request, expiry)
        .await
        .map_err(|_| Down::Lost)?;
    match stream.response.status() {
        StatusCode::OK => Ok(stream),
        StatusCode::UNAUTHORIZED => match connection.renew(&token).await {
            Renewal::Renewed => Err(Down::TokenRenewed),
            Renewal::Failed(unready) => Err(Down::NotReady(unready)),
        },
        status => match connection.limit_remaining() {
            Some(retry_after) => Err(Down::NotReady(Unready::Limited {
                retry_after: Some(retry_after),
            })),
            None => Err(Down::Refused(status)),
        },
    }
}

fn gauge(product_id: ProductId, value: f64) {
    metrics::gauge!("ostler_cloud_stream_up", "product" => product_id.to_string()).set(value);
}

fn count_event(result: &'static str) {
    metrics::counter!("ostler_cloud_stream_events_total", "result" => result).increment(1);
}
