//! The guard on a body: a size that is refused at once, and a time within which it must be there.
//!
//! The size of what arrives without a length is judged where the body is read (`extract`), for the
//! limit depends on the route; here only a length that is too large for every route.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http_body_util::BodyExt as _;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::config::Limits;
use crate::extract::too_large;
use crate::problem::Problem;

/// The body did not arrive in time.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the body did not arrive in time")]
pub struct BodyOverdue;

pub(super) fn guarded(request: Request, limits: &Limits) -> Result<Request, Oversized> {
    let bytes_max = limits.body_bytes.max(limits.ingest_body_bytes);
    let declared = request
        .headers()
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if let Some(bytes) = declared.filter(|bytes| *bytes > bytes_max as u64) {
        let discarded = bytes <= DISCARDED_BYTES_MAX;
        return Err(Oversized {
            bytes_max,
            body: discarded.then(|| Timed::new(request.into_body(), limits.body_deadline)),
        });
    }
    if request.body().is_end_stream() {
        return Ok(request);
    }
    let deadline = limits.body_deadline;
    Ok(request.map(|body| Body::new(Timed::new(body, deadline))))
}

/// A connection that is closed on what its client still sends is reset, and the answer may be lost
/// with it. So a body that is too large, but not absurdly so, is let through to nobody first.
const DISCARDED_BYTES_MAX: u64 = 16 * 1_048_576;

/// A body whose length is too large for every route.
pub(super) struct Oversized {
    bytes_max: usize,
    /// What is still to be let through.
    body: Option<Timed>,
}

impl Oversized {
    pub async fn discarded(self) -> Problem {
        if let Some(mut body) = self.body {
            discard(&mut body).await;
        }
        too_large(self.bytes_max)
    }
}

/// Lets through to nobody what is still to come.
pub(crate) async fn discard<B>(body: &mut B)
where
    B: HttpBody<Data = Bytes> + Unpin,
{
    let mut left = DISCARDED_BYTES_MAX;
    while let Some(Ok(frame)) = body.frame().await {
        let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
        match left.checked_sub(bytes) {
            Some(still_left) => left = still_left,
            None => return,
        }
    }
}

/// One deadline for the whole body: a byte now and then does not extend it.
struct Timed {
    body: Body,
    overdue_at: Instant,
    /// Set once something is waited for: most bodies are there with their head.
    overdue: Option<Pin<Box<Sleep>>>,
}

impl Timed {
    fn new(body: Body, deadline: Duration) -> Self {
        Self {
            body,
            overdue_at: Instant::now() + deadline,
            overdue: None,
        }
    }
}

impl HttpBody for Timed {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let overdue_at = self.overdue_at;
        self.overdue
            .get_or_insert_with(|| Box::pin(sleep_until(overdue_at)))
            .as_mut()
            .poll(context)
            .map(|()| Some(Err(BodyOverdue.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
