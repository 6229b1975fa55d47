//! The refusals that operations share, for the OpenAPI document.
//!
//! A status says little; the codes that come with it are named, from the one list of codes.

use std::collections::BTreeMap;

use http::StatusCode;
use utoipa::IntoResponses;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};

use crate::problem::Code;

/// Of every operation that wants an access token.
pub struct Bearer;

/// Of an operation that reads a query or a body.
pub struct Input;

/// Of an operation that names something, in its path or body.
pub struct Named;

/// Of an operation that may meet another state than its caller saw.
pub struct Conflicting;

/// Of an operation that asks the device cloud, and answers whatever comes of it.
pub struct Cloud;

macro_rules! refusals {
    ($($kind:ident: $($code:ident),+;)+) => {
        $(impl IntoResponses for $kind {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                responses(&[$(Code::$code),+])
            }
        })+
    };
}

refusals! {
    Bearer: Unauthenticated, InsufficientScope, RateLimited, Internal, Overloaded;
    Input: InvalidRequest, RequestTimeout, TooLarge, UnsupportedMediaType;
    Named: NotFound;
    Conflicting: Conflict;
    Cloud: CloudRefused, CloudUnavailable;
}

/// One response for each status, which names its codes.
pub fn responses(codes: &[Code]) -> BTreeMap<String, RefOr<Response>> {
    let mut by_status: BTreeMap<StatusCode, Vec<Code>> = BTreeMap::new();
    for code in codes {
        by_status.entry(code.status()).or_default().push(*code);
    }
    by_status.iter().map(|(status, codes)| (status.as_str().to_owned(), response(codes).into())).collect()
}

fn response(codes: &[Code]) -> Response {
    let sentences: Vec<String> = codes.iter().map(|code| format!("`{}`: {}", code.as_str(), code.meaning())).collect();
    let problem = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    ResponseBuilder::new().description(sentences.join(" ")).content("application/problem+json", problem).build()
}
