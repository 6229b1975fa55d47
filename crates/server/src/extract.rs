//! From bytes to values: extractors whose refusals are problem documents that name the place and
//! the rule.
//!
//! They stand in for axum's own, which answer in plain text. What they refuse never reaches a
//! handler, so no handler checks for malformed input.

mod body;
mod parameters;

use std::convert::Infallible;

use axum::extract::{FromRequest, FromRequestParts, OptionalFromRequest, Request};
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use ostler_core::id::{ClientId, CommandId, CustomerId, DeviceId, GrantId, ProductId};
use ostler_core::name::Declared;
use serde::de::DeserializeOwned;
use serde::{Deserialize as _, Deserializer, Serialize};

pub use body::read_body;
pub(crate) use body::too_large;
pub use parameters::{ParameterFault, Parameters, Unknown};

use crate::error::ApiError;
use crate::problem::{Code, Problem};
use crate::state::ServerState;

/// A JSON body, of a request or an answer.
#[derive(Debug)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned> FromRequest<ServerState> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &ServerState) -> Result<Self, ApiError> {
        if !is_json(request.headers()) {
            return Err(not_json().into());
        }
        let bytes = read_body(request.into_body(), state.limits().body_bytes).await?;
        Ok(Self(body::from_json(&bytes)?))
    }
}

/// A body that may be left out. One without a single byte is left out, whatever its type is said to
/// be; any other is judged in full.
impl<T: DeserializeOwned> OptionalFromRequest<ServerState> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &ServerState) -> Result<Option<Self>, ApiError> {
        let is_json = is_json(request.headers());
        let bytes = read_body(request.into_body(), state.limits().body_bytes).await?;
        match (bytes.is_empty(), is_json) {
            (true, _) => Ok(None),
            (false, true) => Ok(Some(Self(body::from_json(&bytes)?))),
            (false, false) => Err(not_json().into()),
        }
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        // A vector with room for most answers; axum's buffer begins with 128 bytes and is dearer to write to.
        let mut bytes = Vec::with_capacity(1000);
        if let Err(error) = serde_json::to_writer(&mut bytes, &self.0) {
            return Problem::internal(error).into_response();
        }
        let mut response = Response::new(bytes.into());
        let headers = response.headers_mut();
        // The frame adds its own.
        headers.reserve(12);
        headers.insert(CONTENT_TYPE, APPLICATION_JSON);
        response
    }
}

const APPLICATION_JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A form body (`application/x-www-form-urlencoded`). Members that the form does not know are
/// refused; the OAuth endpoints read theirs with [`Parameters`] instead.
#[derive(Debug)]
pub struct Form<T>(pub T);

impl<T: DeserializeOwned> FromRequest<ServerState> for Form<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &ServerState) -> Result<Self, ApiError> {
        let parameters = read_form(request, state.limits().body_bytes).await?;
        Ok(Self(parameters.read(Unknown::Refused).map_err(Problem::from)?))
    }
}

/// The pairs of a form body, for those who judge them by other rules (RFC 6749 §3.2).
pub async fn read_form(request: Request, body_bytes_max: usize) -> Result<Parameters, Problem> {
    if essence(request.headers())
        .is_none_or(|essence| !essence.eq_ignore_ascii_case("application/x-www-form-urlencoded"))
    {
        let hint = "send Content-Type: application/x-www-form-urlencoded";
        return Err(Problem::new(Code::UnsupportedMediaType).hint(hint));
    }
    let bytes = read_body(request.into_body(), body_bytes_max).await?;
    let text = std::str::from_utf8(&bytes).map_err(|_| Problem::invalid_pointer("", "must be UTF-8"))?;
    Ok(Parameters::parse(text)?)
}

/// The query. Unknown and repeated parameters are refused: a misspelt filter must not widen a list.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        let parameters = Parameters::parse(parts.uri.query().unwrap_or_default()).map_err(Problem::from)?;
        Ok(Self(parameters.read(Unknown::Refused).map_err(Problem::from)?))
    }
}

/// What the path holds. One that cannot be read names what nobody has: so it is refused where and as
/// that is, after the same looks at the query, the body and the database (P8).
#[derive(Debug)]
pub struct Path<T>(pub T);

pub trait Named: DeserializeOwned + Send {
    fn nobodys() -> Self;
}

/// A name that no product could declare is refused like one that none declares.
pub fn declared<'de, D, N>(deserializer: D) -> Result<N, D::Error>
where
    D: Deserializer<'de>,
    N: Declared,
{
    let text = String::deserialize(deserializer)?;
    Ok(text.parse().unwrap_or_else(|_| N::undeclared()))
}

macro_rules! ids {
    ($($id:ty),+) => {
        $(impl Named for $id {
            fn nobodys() -> Self {
                Self::NOBODYS
            }
        })+
    };
}
ids!(ClientId, CommandId, CustomerId, DeviceId, GrantId, ProductId);

/// Slugs and the like, which nobody declares without a letter.
impl Named for String {
    fn nobodys() -> Self {
        Self::new()
    }
}

impl<T: Named, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let read = axum::extract::Path::from_request_parts(parts, state).await;
        Ok(Self(
            read.map_or_else(|_| T::nobodys(), |axum::extract::Path(value)| value),
        ))
    }
}

fn not_json() -> Problem {
    Problem::new(Code::UnsupportedMediaType).hint("send Content-Type: application/json")
}

/// The media type without its parameters, in any case.
fn essence(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let essence = text.split(';').next().unwrap_or_default();
    Some(essence.trim())
}

fn is_json(headers: &HeaderMap) -> bool {
    essence(headers).is_some_and(|essence| {
        let (kind, subtype) = essence.split_once('/').unwrap_or_default();
        let suffix = subtype
            .len()
            .checked_sub("+json".len())
            .and_then(|at| subtype.get(at..));
        kind.eq_ignore_ascii_case("application")
            && (subtype.eq_ignore_ascii_case("json")
                || suffix.is_some_and(|suffix| suffix.eq_ignore_ascii_case("+json")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_known_in_every_spelling() {
        for (text, expected) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/problem+json", true),
            ("application/vnd.a.b+JSON", true),
            ("application/jsonp", false),
            ("application/x/json", false),
            ("text/json", false),
            ("json", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, text.parse().unwrap())]);
            assert_eq!(is_json(&headers), expected, "{text:?}");
        }
    }
}
