//! Reads one request: where it came from, its fields, its credentials. What a route needs beyond
//! that it takes from the path.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequest, Request};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::request::Parts;
use http::{Method, header};

use super::front::ArrivedAt;
use super::{Fields, Refusal, multipart};
use crate::cloud::Cloud;

pub(super) const BODY_MAX: usize = 1 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Empty,
    Form,
    Json,
    Multipart,
    Other,
}

/// What the caller shows; who that is, is for the registry to say.
#[derive(Clone, Default)]
pub(crate) struct Credentials {
    pub tokens: Vec<String>,
    pub basic: Option<(String, String)>,
}

pub(crate) struct Call {
    pub source: IpAddr,
    pub arrived_at: i64,
    pub query: Fields,
    pub body: Fields,
    pub encoding: Encoding,
    pub credentials: Credentials,
}

impl FromRequest<Arc<Cloud>> for Call {
    type Rejection = Refusal;

    async fn from_request(request: Request, cloud: &Arc<Cloud>) -> Result<Self, Refusal> {
        let (parts, body) = request.into_parts();
        let arrived_at = parts
            .extensions
            .get()
            .map_or_else(|| cloud.clock.now_ms(), |ArrivedAt(at)| *at);
        let bytes = axum::body::to_bytes(body, BODY_MAX)
            .await
            .map_err(|_| Refusal::Unreadable)?;
        let encoding = if bytes.is_empty() {
            Encoding::Empty
        } else {
            encoding_of(&parts)
        };
        let body = match encoding {
            Encoding::Json => Fields::from_json(&bytes).ok_or(Refusal::Unreadable)?,
            Encoding::Form => Fields::from_form(&bytes),
            Encoding::Multipart => multipart::read(content_type(&parts), &bytes).ok_or(Refusal::Unreadable)?,
            Encoding::Empty | Encoding::Other => Fields::default(),
        };
        let query = Fields::from_form(parts.uri.query().unwrap_or_default().as_bytes());
        let credentials = credentials(&parts, &query, &body, encoding);
        Ok(Self {
            source: source_of(&parts),
            arrived_at,
            query,
            body,
            encoding,
            credentials,
        })
    }
}

pub(crate) fn source_of(parts: &Parts) -> IpAddr {
    parts
        .extensions
        .get::<ConnectInfo<SocketAddr>>()
        .map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |peer| peer.0.ip())
}

fn content_type(parts: &Parts) -> &str {
    parts
        .headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

fn encoding_of(parts: &Parts) -> Encoding {
    match content_type(parts).split(';').next().map(str::trim) {
        Some("application/json") => Encoding::Json,
        Some("application/x-www-form-urlencoded") => Encoding::Form,
        Some("multipart/form-data") => Encoding::Multipart,
        Some(_) | None => Encoding::Other,
    }
}

/// The three ways of sending a token (reference §2.1); the two deprecated ones still work.
fn credentials(parts: &Parts, query: &Fields, body: &Fields, encoding: Encoding) -> Credentials {
    let authorization = parts
        .headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let (scheme, rest) = authorization.and_then(|text| text.split_once(' ')).unwrap_or_default();
    let mut tokens = Vec::new();
    if scheme.eq_ignore_ascii_case("bearer") {
        tokens.push(rest.trim().to_owned());
    }
    if parts.method == Method::GET {
        tokens.extend(query.filled("access_token"));
    }
    if encoding == Encoding::Form && [Method::POST, Method::PUT].contains(&parts.method) {
        tokens.extend(body.filled("access_token"));
    }
    let basic = if scheme.eq_ignore_ascii_case("basic") {
        basic_pair(rest)
    } else {
        None
    };
    Credentials { tokens, basic }
}

fn basic_pair(encoded: &str) -> Option<(String, String)> {
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (name, secret) = decoded.split_once(':')?;
    Some((name.to_owned(), secret.to_owned()))
}
