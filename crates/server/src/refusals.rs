//! The refusals that operations share, for the OpenAPI document.
//!
//! A status says little; the codes that come with it are named. What each means is said once, where a
//! problem's `type` leads (`/problems/<code>`).

use std::collections::BTreeMap;

use http::StatusCode;
use utoipa::IntoResponses;
use utoipa::openapi::{Content, ContentBuilder, Ref, RefOr, Response, ResponseBuilder};

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

/// Of an operation that some grants on a device cover and others do not.
pub struct Granted;

/// Of an operation at whose door a secret is shown that is no access token.
pub struct Door;

/// Of an operation that checks a password.
pub struct SignIn;

/// Of the OAuth endpoints, which answer their own way when the request is at fault.
pub struct OAuthEndpoint;

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
    SignIn: Unauthenticated, RateLimited, Internal, Overloaded;
    OAuthEndpoint: RequestTimeout, TooLarge, RateLimited, Internal, Overloaded;
    Granted: InsufficientScope, FunctionNotGranted;
    Door: InvalidRequest, Unauthenticated, RequestTimeout, TooLarge, RateLimited, Internal, Overloaded;
}

/// One response for each status, which names its codes.
pub fn responses(codes: &[Code]) -> BTreeMap<String, RefOr<Response>> {
    let mut by_status: BTreeMap<StatusCode, Vec<Code>> = BTreeMap::new();
    for code in codes {
        by_status.entry(code.status()).or_default().push(*code);
    }
    by_status
        .iter()
        .map(|(status, codes)| (status.as_str().to_owned(), response(codes).into()))
        .collect()
}

fn response(codes: &[Code]) -> Response {
    let names: Vec<String> = codes.iter().map(|code| format!("`{}`", code.as_str())).collect();
    ResponseBuilder::new()
        .description(names.join(", "))
        .content("application/problem+json", problem_content())
        .build()
}

/// The body of every refusal.
pub fn problem_content() -> Content {
    ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("Problem")))
        .build()
}
