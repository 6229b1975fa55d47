//! What a connection is doing, and until when it may go on doing it.
//!
//! hyper's own timer for a request's head also runs while a connection rests between requests, and
//! does not run while it is undecided which HTTP is spoken. So we watch for ourselves: bytes that
//! arrive, requests that begin, answers that end and bytes that nobody takes up.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::Version;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::Patience;

#[derive(Clone)]
pub(super) struct Activity(Arc<Mutex<State>>);

struct State {
    phase: Phase,
    /// Frames that carry no request arrive at any time.
    is_multiplexed: bool,
    /// Since when the peer has taken up nothing of what waits to be written.
    blocked_since: Option<Instant>,
    patience: Patience,
}

enum Phase {
    /// The head of a request is expected, or part of it has arrived.
    Head { since: Instant },
    /// Requests are being answered.
    Busy { requests: usize },
    /// All is answered, and nothing has come since.
    Idle { since: Instant },
}

impl Activity {
    /// A new connection owes the head of its first request.
    pub fn begin(patience: &Patience) -> Self {
        let phase = Phase::Head { since: Instant::now() };
        let patience = patience.clone();
        Self(Arc::new(Mutex::new(State {
            phase,
            is_multiplexed: false,
            blocked_since: None,
            patience,
        })))
    }

    /// When the connection is overdue. While it is answered, only a peer that does not read can be.
    pub fn overdue_at(&self) -> Option<Instant> {
        let state = self.lock();
        let in_phase = match state.phase {
            Phase::Head { since } => Some(since + state.patience.header_deadline),
            Phase::Idle { since } => Some(since + state.patience.idle_deadline),
            Phase::Busy { .. } => None,
        };
        let in_writing = state.blocked_since.map(|since| since + state.patience.write_deadline);
        in_phase.into_iter().chain(in_writing).min()
    }

    fn written(&self, polled: &Poll<std::io::Result<usize>>) {
        let mut state = self.lock();
        state.blocked_since = match polled {
            Poll::Pending => state.blocked_since.or_else(|| Some(Instant::now())),
            Poll::Ready(_) => None,
        };
    }

    fn bytes_arrived(&self) {
        let mut state = self.lock();
        if matches!(state.phase, Phase::Idle { .. }) && !state.is_multiplexed {
            state.phase = Phase::Head { since: Instant::now() };
        }
    }

    pub fn request_began(&self, version: Version) -> InProgress {
        let mut state = self.lock();
        state.is_multiplexed |= version == Version::HTTP_2;
        state.phase = match state.phase {
            Phase::Busy { requests } => Phase::Busy { requests: requests + 1 },
            Phase::Head { .. } | Phase::Idle { .. } => Phase::Busy { requests: 1 },
        };
        InProgress(self.clone())
    }

    fn request_ended(&self) {
        let mut state = self.lock();
        state.phase = match state.phase {
            Phase::Busy { requests } if requests > 1 => Phase::Busy { requests: requests - 1 },
            Phase::Busy { .. } | Phase::Head { .. } | Phase::Idle { .. } => Phase::Idle { since: Instant::now() },
        };
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One request, from its head to the last byte of its answer, or until either side gives up.
pub(super) struct InProgress(Activity);

impl InProgress {
    pub fn until_end_of(self, response: Response) -> Response {
        response.map(|body| {
            Body::new(TrackedBody {
                body,
                _in_progress: self,
            })
        })
    }
}

impl Drop for InProgress {
    fn drop(&mut self) {
        self.0.request_ended();
    }
}

struct TrackedBody {
    body: Body,
    _in_progress: InProgress,
}

impl HttpBody for TrackedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A stream that reports what arrives and what is not taken up.
pub(super) struct Watched<S> {
    stream: S,
    activity: Activity,
}

impl<S> Watched<S> {
    pub fn new(stream: S, activity: Activity) -> Self {
        Self { stream, activity }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.activity.bytes_arrived();
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.activity.written(&polled);
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.activity.written(&polled);
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const HEAD: Duration = Duration::from_secs(10);
    const WRITE: Duration = Duration::from_secs(30);
    const IDLE: Duration = Duration::from_secs(75);

    fn begun() -> Activity {
        Activity::begin(&Patience {
            connections: 1,
            header_deadline: HEAD,
            write_deadline: WRITE,
            idle_deadline: IDLE,
            stop_deadline: Duration::ZERO,
        })
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_owes_heads_promptly_and_may_rest_longer() {
        let activity = begun();
        let in_time = |patience| Some(Instant::now() + patience);
        assert_eq!(activity.overdue_at(), in_time(HEAD));

        let first = activity.request_began(Version::HTTP_11);
        let second = activity.request_began(Version::HTTP_11);
        drop(first);
        assert_eq!(activity.overdue_at(), None);
        drop(second);
        assert_eq!(activity.overdue_at(), in_time(IDLE));

        tokio::time::advance(Duration::from_secs(60)).await;
        activity.bytes_arrived();
        assert_eq!(activity.overdue_at(), in_time(HEAD));
        tokio::time::advance(Duration::from_secs(5)).await;
        activity.bytes_arrived();
        assert_eq!(
            activity.overdue_at(),
            in_time(HEAD - Duration::from_secs(5)),
            "a byte now and then does not help"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn frames_between_the_requests_of_http_2_are_no_head() {
        let activity = begun();
        drop(activity.request_began(Version::HTTP_2));
        activity.bytes_arrived();
        assert_eq!(activity.overdue_at(), Some(Instant::now() + IDLE));
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_takes_up_nothing_is_overdue_even_while_it_is_answered() {
        let activity = begun();
        let _answering = activity.request_began(Version::HTTP_11);
        activity.written(&Poll::Pending);
        let overdue_at = Some(Instant::now() + WRITE);
        tokio::time::advance(Duration::from_secs(5)).await;
        activity.written(&Poll::Pending);
        assert_eq!(activity.overdue_at(), overdue_at);
        activity.written(&Poll::Ready(Ok(1)));
        assert_eq!(activity.overdue_at(), None);
    }
}
