//! The wire: how a request is read and how an answer is written, the same for every route.

mod call;
mod fields;
mod front;
mod multipart;
mod refusal;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::Value;

pub(crate) use call::{Call, Credentials, Encoding};
pub(crate) use fields::Fields;
pub(crate) use front::front;
pub(crate) use refusal::{Primitive, Refusal};

pub(crate) type Answer = Result<Response, Refusal>;

/// Compact JSON with the content type of the reference (§1).
pub(crate) fn json_response(status: StatusCode, body: &Value) -> Response {
    let content_type = HeaderValue::from_static("application/json; charset=utf-8");
    (status, [(header::CONTENT_TYPE, content_type)], body.to_string()).into_response()
}

/// 200 with a JSON body; taken by value so that `json!` reads well at the call.
#[expect(clippy::needless_pass_by_value, reason = "every caller builds the value in place")]
pub(crate) fn ok(body: Value) -> Answer {
    Ok(json_response(StatusCode::OK, &body))
}

#[expect(clippy::needless_pass_by_value, reason = "every caller builds the value in place")]
pub(crate) fn created(body: Value) -> Answer {
    Ok(json_response(StatusCode::CREATED, &body))
}

/// Only 204 may be empty: the vendor's JavaScript client parses every other body (reference §1).
pub(crate) fn no_content() -> Answer {
    Ok(StatusCode::NO_CONTENT.into_response())
}
