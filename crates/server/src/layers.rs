//! The frame around every handler: what happens to each request before and after it, in order.
//!
//! A request gets an id, a client address, a span, a rate limit and a guarded body; an answer gets
//! its problem document, its header fields, a line in the log and its metrics. One middleware, so
//! that the order can be read here. Nothing in it knows what a request means.

pub mod address;
pub(crate) mod body;
mod cors;
mod deadline;
pub mod rate;
mod record;
mod request_id;
mod security;

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::extract::{MatchedPath, Request};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use tower::{Layer, Service};
use tracing::Instrument as _;

use crate::problem::{Code, Problem};
use crate::state::ServerState;
use address::ClientAddress;
use body::Oversized;
use cors::Cors;
use rate::RateSlot;
use record::Record;

pub use deadline::RequestDeadline;
pub use request_id::RequestId;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// How many header fields the frame adds, at most: room for them is made once.
const FIELDS_ADDED: usize = 9;

/// Wraps every route and the fallbacks. A service of its own, for `axum::middleware::from_fn` would
/// clone and box the handler's service once more for each request.
#[derive(Clone)]
pub struct Frame(pub ServerState);

impl<S> Layer<S> for Frame {
    type Service = Framed<S>;

    fn layer(&self, inner: S) -> Framed<S> {
        Framed {
            state: self.0.clone(),
            inner,
        }
    }
}

#[derive(Clone)]
pub struct Framed<S> {
    state: ServerState,
    inner: S,
}

impl<S> Service<Request> for Framed<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let framing = Framing::begin(&self.state, &mut request);
        let admitted = framing.admit(request);
        let handled = admitted.map(|request| self.inner.call(request));
        let span = framing.record.span();
        Box::pin(framing.end(handled).map(Ok).instrument(span))
    }
}

/// What the frame keeps of a request until it is answered.
struct Framing {
    state: ServerState,
    id: RequestId,
    address: ClientAddress,
    slot: RateSlot,
    cors: Cors,
    record: Record,
}

/// Why a request does not reach its handler.
enum Turned {
    Away(Problem),
    Preflight,
    Oversized(Oversized),
}

impl Framing {
    fn begin(state: &ServerState, request: &mut Request) -> Self {
        let id = RequestId::draw(&*state.frame().entropy);
        let address = ClientAddress::of(request, &state.frame().trusted_proxies);
        let slot = RateSlot::default();
        let extensions = request.extensions_mut();
        extensions.insert(address);
        extensions.insert(slot.clone());

        let route = request.extensions().get::<MatchedPath>().cloned();
        Self {
            record: Record::begin(state, &id, request.method(), route),
            cors: Cors::of(request),
            state: state.clone(),
            id,
            address,
            slot,
        }
    }

    fn admit(&self, request: Request) -> Result<Request, Turned> {
        // Callers who show a token are charged by the extractor that looks it up.
        if rate::is_anonymous(&request) {
            let charged = self.state.frame().rates.charge_address(self.address, &self.slot);
            charged.map_err(Turned::Away)?;
        }
        if self.cors.is_preflight() {
            return Err(Turned::Preflight);
        }
        body::guarded(request, self.state.limits()).map_err(Turned::Oversized)
    }

    async fn end<F>(self, handled: Result<F, Turned>) -> Response
    where
        F: Future<Output = Result<Response, Infallible>>,
    {
        let mut response = match handled {
            Ok(answer) => unless_it_panics(answer).await,
            Err(Turned::Away(problem)) => problem.into_response(),
            Err(Turned::Preflight) => http::StatusCode::NO_CONTENT.into_response(),
            Err(Turned::Oversized(body)) => body.discarded().await.into_response(),
        };
        let problem = render_problem(&mut response, &self.id);
        let headers = response.headers_mut();
        headers.reserve(FIELDS_ADDED);
        headers.insert(X_REQUEST_ID, self.id.header());
        self.slot.write_fields(headers);
        security::write_fields(headers, &self.state.frame().public_url);
        self.cors.write_fields(&self.state, headers).await;
        self.record.end(&self.state, response.status(), problem.as_deref());
        response
    }
}

/// A panic ends its request, not the process; the hook has written where it happened.
async fn unless_it_panics(answer: impl Future<Output = Result<Response, Infallible>>) -> Response {
    match AssertUnwindSafe(answer).catch_unwind().await {
        Ok(Ok(response)) => response,
        Err(_) => Problem::internal("the handler panicked").into_response(),
    }
}

fn render_problem(response: &mut Response, id: &RequestId) -> Option<Arc<Problem>> {
    let problem = response.extensions_mut().remove::<Arc<Problem>>()?;
    let bytes = problem.render(id.as_str());
    response.headers_mut().insert(CONTENT_TYPE, PROBLEM_JSON);
    *response.body_mut() = bytes.into();
    Some(problem)
}

/// No such route.
pub async fn not_found() -> Problem {
    Problem::not_found()
}

/// No such method; axum adds `Allow`.
pub async fn method_not_allowed() -> Problem {
    Problem::new(Code::MethodNotAllowed)
}
