//! The frame around every handler: what happens to each request before and after it, in order.
//!
//! A request gets an id, a client address, a span, a rate limit and a guarded body; an answer gets
//! its problem document, its header fields, a line in the log and its metrics. One middleware, so
//! that the order can be read here. Nothing in it knows what a request means.

pub mod address;
pub(crate) mod body;
mod cors;
pub mod rate;
mod record;
mod security;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt as _;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use ostler_core::port::random_bytes;
use tracing::Instrument as _;

use crate::problem::{Code, Problem};
use crate::state::ServerState;
use address::ClientAddress;
use rate::RateSlot;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// Names one request in its answer and in the log.
#[derive(Debug, Clone)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// 128 random bits: an id in time order would tell how busy we are.
    fn draw(state: &ServerState) -> Self {
        let bits = u128::from_be_bytes(random_bytes(&*state.frame().entropy));
        let letters = b"0123456789abcdefghjkmnpqrstvwxyz";
        let suffix = (0..26)
            .rev()
            .map(|index| char::from(letters[(bits >> (5 * index)) as usize & 31]));
        Self("req_".chars().chain(suffix).collect::<String>().into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Wraps every route and the fallbacks.
pub async fn frame(State(state): State<ServerState>, mut request: Request, next: Next) -> Response {
    let id = RequestId::draw(&state);
    let address = ClientAddress::of(&request, &state.frame().trusted_proxies);
    let slot = RateSlot::default();
    request.extensions_mut().insert(id.clone());
    request.extensions_mut().insert(address);
    request.extensions_mut().insert(slot.clone());

    let route = request.extensions().get::<MatchedPath>().cloned();
    let record = record::Record::begin(&state, &id, request.method(), route);
    let cors = cors::Cors::of(&request);

    let answer = answer(&state, request, next, address, &slot, &cors)
        .instrument(record.span())
        .await;
    let mut response = answer.unwrap_or_else(IntoResponse::into_response);

    let problem = render_problem(&mut response, &id);
    let headers = response.headers_mut();
    headers.insert(
        X_REQUEST_ID,
        HeaderValue::from_str(id.as_str()).expect("an id is ASCII"),
    );
    slot.write_fields(headers);
    security::write_fields(headers, &state.frame().public_url);
    cors.write_fields(&state, headers).await;
    record.end(&state, response.status(), problem.as_deref());
    response
}

async fn answer(
    state: &ServerState,
    request: Request,
    next: Next,
    address: ClientAddress,
    slot: &RateSlot,
    cors: &cors::Cors,
) -> Result<Response, Problem> {
    // Callers who show a token are charged by the extractor that looks it up.
    if rate::is_anonymous(&request) {
        state.frame().rates.charge_address(address, slot)?;
    }
    if cors.is_preflight() {
        return Ok(http::StatusCode::NO_CONTENT.into_response());
    }
    let request = body::guarded(request, state.limits()).await?;
    // A panic ends its request, not the process; the hook has written where it happened.
    AssertUnwindSafe(next.run(request))
        .catch_unwind()
        .await
        .map_err(|_| Problem::internal("the handler panicked"))
}

fn render_problem(response: &mut Response, id: &RequestId) -> Option<Arc<Problem>> {
    let problem = response.extensions_mut().remove::<Arc<Problem>>()?;
    let bytes = problem.render(id.as_str());
    response.headers_mut().insert(CONTENT_TYPE, PROBLEM_JSON);
    *response.body_mut() = bytes.into();
    Some(problem)
}

/// Ends a handler that found no answer in time. For all routes but those that call devices, which
/// keep a deadline of their own. A stream is not cut: the deadline is for the head of the answer.
pub async fn request_deadline(State(state): State<ServerState>, request: Request, next: Next) -> Response {
    let deadline = state.limits().request_deadline;
    match tokio::time::timeout(deadline, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::new(Code::Overloaded)
            .retry_after(std::time::Duration::from_secs(1))
            .into_response(),
    }
}

/// No such route.
pub async fn not_found() -> Problem {
    Problem::not_found()
}

/// No such method; axum adds `Allow`.
pub async fn method_not_allowed() -> Problem {
    Problem::new(Code::MethodNotAllowed)
}
