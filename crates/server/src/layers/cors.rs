//! Cross-origin requests (Fetch standard, "CORS protocol"): a browser app may call the API from the
//! origins that are registered on some client.
//!
//! Credentials are bearer tokens, never cookies, so `Access-Control-Allow-Credentials` is absent.
//! Pages for people (login, consent) are not meant for other origins and get nothing here.

use axum::extract::Request;
use http::Method;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderValue,
    ORIGIN, VARY,
};

use crate::state::ServerState;

const SHARED_PREFIXES: &[&str] = &["/v1/", "/oauth/", "/.well-known/"];
const ALLOW_METHODS: HeaderValue = HeaderValue::from_static("GET, POST, PUT, PATCH, DELETE");
const ALLOW_HEADERS: HeaderValue =
    HeaderValue::from_static("authorization, content-type, idempotency-key, last-event-id, prefer");
const EXPOSE_HEADERS: HeaderValue =
    HeaderValue::from_static("location, ratelimit, ratelimit-policy, retry-after, www-authenticate, x-request-id");
const MAX_AGE: HeaderValue = HeaderValue::from_static("7200");

/// How one request stands to the CORS protocol.
pub(super) enum Cors {
    /// Not from a browser's script, or not to a shared address.
    None,
    Preflight(HeaderValue),
    Request(HeaderValue),
}

impl Cors {
    pub fn of(request: &Request) -> Self {
        let shared = SHARED_PREFIXES
            .iter()
            .any(|prefix| request.uri().path().starts_with(prefix));
        let Some(origin) = request.headers().get(ORIGIN).filter(|_| shared).cloned() else {
            return Self::None;
        };
        let asks_first =
            request.method() == Method::OPTIONS && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        if asks_first {
            Self::Preflight(origin)
        } else {
            Self::Request(origin)
        }
    }

    pub fn is_preflight(&self) -> bool {
        matches!(self, Self::Preflight(_))
    }

    pub async fn write_fields(self, state: &ServerState, headers: &mut HeaderMap) {
        let (origin, is_preflight) = match self {
            Self::None => return,
            Self::Preflight(origin) => (origin, true),
            Self::Request(origin) => (origin, false),
        };
        headers.append(VARY, HeaderValue::from_static("origin"));
        let Ok(text) = origin.to_str().map(str::to_owned) else {
            return;
        };
        if !(state.frame().origin_registered)(text).await {
            return;
        }
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        if is_preflight {
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, ALLOW_METHODS);
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, ALLOW_HEADERS);
            headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
        } else {
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSE_HEADERS);
        }
    }
}
