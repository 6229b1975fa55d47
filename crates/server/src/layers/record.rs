//! One request in the log and in the metrics: method, route template, status, duration. Never the
//! query, a body, a token or an address.

use std::time::Instant;

use axum::extract::MatchedPath;
use http::{Method, StatusCode};
use tracing::{Span, debug, error, info_span, warn};

use super::RequestId;
use crate::problem::Problem;
use crate::state::ServerState;

pub(super) struct Record {
    method: Method,
    route: Option<MatchedPath>,
    began: Instant,
    span: Span,
}

impl Record {
    pub fn begin(state: &ServerState, id: &RequestId, method: &Method, route: Option<MatchedPath>) -> Self {
        let span = info_span!("request", request.id = id.as_str(), http.method = %method, http.route = template(route.as_ref()));
        Self {
            method: known(method),
            route,
            began: state.frame().clock.instant(),
            span,
        }
    }

    pub fn span(&self) -> Span {
        self.span.clone()
    }

    /// The one place where a failed request is logged, within its span.
    pub fn end(self, state: &ServerState, status: StatusCode, problem: Option<&Problem>) {
        let duration = state.frame().clock.instant().saturating_duration_since(self.began);
        state
            .frame()
            .metrics
            .request(&self.method, template(self.route.as_ref()), status, duration);

        let (method, route) = (&self.method, template(self.route.as_ref()));
        let duration_ms = duration.as_secs_f64() * 1_000.0;
        let status = status.as_u16();
        let code = problem.map(|problem| problem.code().as_str());
        let cause = problem.and_then(Problem::cause_chain);
        match status {
            500 => error!(status, duration_ms, code, cause, "{method} {route} failed"),
            501.. => warn!(status, duration_ms, code, cause, "{method} {route} could not be done"),
            _ => debug!(status, duration_ms, code, cause, "{method} {route} answered {status}"),
        }
    }
}

/// What was asked for in words that do not grow with what callers make up.
fn template(route: Option<&MatchedPath>) -> &str {
    route.map_or("(no route)", MatchedPath::as_str)
}

/// A method is free text: whoever invents one must not grow our metrics.
fn known(method: &Method) -> Method {
    match *method {
        Method::GET | Method::HEAD | Method::POST | Method::PUT | Method::PATCH | Method::DELETE | Method::OPTIONS => {
            method.clone()
        }
        _ => Method::from_bytes(b"OTHER").expect("OTHER is a token"),
    }
}
