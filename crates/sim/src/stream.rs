//! Server-sent events on the wire (reference §8.1): `:ok`, a newline in silence, no ids, no replay.
//! Which events a stream may show is decided in `event`.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::IntoResponse;
use bytes::Bytes;
use futures_util::stream;
use http::header;
use tokio::sync::mpsc;
use tokio::time::{Sleep, sleep};
use tokio_util::sync::CancellationToken;

use crate::cloud::Cloud;
use crate::event::{Event, View};
use crate::faults::FaultKind;
use crate::http::{Answer, Call, Refusal};
use crate::limits::{Counted, StreamFamily};

/// What a family of routes has found out about a request for a stream.
#[derive(Debug)]
pub(crate) struct Opening {
    pub view: View,
    pub prefix: String,
    pub family: StreamFamily,
}

pub(crate) fn open(cloud: &Arc<Cloud>, call: &Call, opening: Opening) -> Answer {
    let stream = {
        let mut world = cloud.world();
        let limits = world.config.limits;
        let now = world.now();
        let too_many = Refusal::RateLimited {
            status: world.config.inference.stream_limit_status,
        };
        if !world
            .limits
            .admit(Counted::StreamOpening(call.source, opening.family), &limits, now)
        {
            return Err(too_many);
        }
        if limits.enabled && world.bus.open_from(call.source) >= limits.open_streams {
            return Err(too_many);
        }
        let dropped = world.faults.strike(FaultKind::DropStream, opening.view.device());
        let (id, events) = world
            .bus
            .subscribe(opening.view.clone(), &opening.prefix, Some(call.source));
        OpenStream {
            cloud: Arc::clone(cloud),
            stopping: cloud.stopping.clone(),
            id,
            events,
            view: opening.view,
            greeted: false,
            cut: dropped.map(|fault| Box::pin(sleep(Duration::from_millis(fault.ms.unwrap_or(0))))),
        }
    };
    let pieces = stream::unfold(stream, |mut stream| async move {
        let piece = stream.next_piece().await?;
        Some((Ok::<_, std::convert::Infallible>(piece), stream))
    });
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    Ok((headers, Body::from_stream(pieces)).into_response())
}

struct OpenStream {
    cloud: Arc<Cloud>,
    stopping: CancellationToken,
    id: u64,
    events: mpsc::Receiver<Arc<Event>>,
    view: View,
    greeted: bool,
    /// An injected end.
    cut: Option<std::pin::Pin<Box<Sleep>>>,
}

impl OpenStream {
    async fn next_piece(&mut self) -> Option<Bytes> {
        if !self.greeted {
            self.greeted = true;
            return Some(Bytes::from_static(b":ok\n\n"));
        }
        let heartbeat = Duration::from_millis(self.cloud.config.heartbeat_ms);
        loop {
            let next = tokio::select! {
                () = self.stopping.cancelled() => return None,
                () = cut_off(self.cut.as_mut()) => return None,
                next = tokio::time::timeout(heartbeat, self.events.recv()) => next,
            };
            match next {
                Ok(None) => return None,
                Ok(Some(event)) if !self.swallows_an_event() => return Some(self.written(&event)),
                Err(_quiet) if !self.is_deaf() => return Some(Bytes::from_static(b"\n")),
                Ok(Some(_)) | Err(_) => {}
            }
        }
    }

    fn swallows_an_event(&self) -> bool {
        self.cloud
            .world()
            .faults
            .strike(FaultKind::DeafStream, self.view.device())
            .is_some()
    }

    fn is_deaf(&self) -> bool {
        self.cloud
            .world()
            .faults
            .stands(FaultKind::DeafStream, self.view.device())
    }

    fn written(&self, event: &Event) -> Bytes {
        let data = event.to_wire(&self.view, self.cloud.config.inference.numeric_ttl);
        Bytes::from(format!("event: {}\ndata: {data}\n\n", event.name))
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.cloud.world().bus.unsubscribe(self.id);
    }
}

async fn cut_off(cut: Option<&mut std::pin::Pin<Box<Sleep>>>) {
    match cut {
        Some(cut) => cut.await,
        None => std::future::pending().await,
    }
}
