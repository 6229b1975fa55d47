//! Answers by redirect: RFC 6749 §4.1.2, with `iss` as RFC 9207 asks.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{HeaderValue, LOCATION};
use ostler_app::identity::{AuthorizationFault, RedirectTarget};
use ostler_core::secret::AuthorizationCode;
use url::form_urlencoded;

use crate::problem::Problem;
use crate::state::ServerState;

pub(super) enum Answer<'a> {
    Code(&'a AuthorizationCode),
    Fault(AuthorizationFault),
}

/// RFC 6749 §4.1.2.1, OpenID Connect Core §3.1.2.6.
const fn error_code(fault: AuthorizationFault) -> &'static str {
    match fault {
        AuthorizationFault::InvalidRequest(..) => "invalid_request",
        AuthorizationFault::UnauthorizedClient => "unauthorized_client",
        AuthorizationFault::AccessDenied => "access_denied",
        AuthorizationFault::UnsupportedResponseType => "unsupported_response_type",
        AuthorizationFault::InvalidScope => "invalid_scope",
        AuthorizationFault::RequestNotSupported => "request_not_supported",
        AuthorizationFault::RequestUriNotSupported => "request_uri_not_supported",
        AuthorizationFault::LoginRequired => "login_required",
        AuthorizationFault::ConsentRequired => "consent_required",
    }
}

pub(super) fn redirect(state: &ServerState, target: &RedirectTarget, answer: &Answer<'_>) -> Response {
    see_other(&location(&state.issuer(), target, answer))
}

fn location(issuer: &str, RedirectTarget { redirect_uri, state }: &RedirectTarget, answer: &Answer<'_>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    match answer {
        Answer::Code(code) => query.append_pair("code", code.reveal()),
        Answer::Fault(fault) => query
            .append_pair("error", error_code(*fault))
            .append_pair("error_description", &fault.to_string()),
    };
    if let Some(state) = state {
        query.append_pair("state", state);
    }
    query.append_pair("iss", issuer);
    let joint = if redirect_uri.contains('?') { '&' } else { '?' };
    format!("{redirect_uri}{joint}{}", query.finish())
}

/// Back to the first step of the same request. `prompt` has had its effect; left in place it would ask
/// for the sign-in over and over.
pub(super) fn again(query: &str) -> Response {
    let rest: Vec<_> = query.split('&').filter(|pair| !pair.starts_with("prompt=")).collect();
    see_other(&format!("/oauth/authorize?{}", rest.join("&")))
}

/// 303: whatever the method was, the browser goes on with GET, and never sends a password along
/// (RFC 9700 §4.12).
fn see_other(location: &str) -> Response {
    match HeaderValue::try_from(location) {
        Ok(location) => (StatusCode::SEE_OTHER, [(LOCATION, location)]).into_response(),
        Err(error) => Problem::internal(error).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(redirect_uri: &str, state: Option<&str>, fault: AuthorizationFault) -> String {
        let target = RedirectTarget {
            redirect_uri: redirect_uri.into(),
            state: state.map(str::to_owned),
        };
        location("https://api.example.com", &target, &Answer::Fault(fault))
    }

    #[test]
    fn the_answer_joins_what_the_address_already_asks() {
        let fault = AuthorizationFault::AccessDenied;
        let rest = "error=access_denied&error_description=the+customer+said+no";
        let iss = "iss=https%3A%2F%2Fapi.example.com";
        assert_eq!(
            to("https://a.example/cb", None, fault),
            format!("https://a.example/cb?{rest}&{iss}")
        );
        assert_eq!(
            to("https://a.example/cb?x=1", Some("a&b #\u{e9}"), fault),
            format!("https://a.example/cb?x=1&{rest}&state=a%26b+%23%C3%A9&{iss}")
        );
    }

    #[test]
    fn every_fault_has_its_code_and_a_description_that_may_be_sent() {
        for (fault, code) in [
            (
                AuthorizationFault::InvalidRequest("prompt", "must be none"),
                "invalid_request",
            ),
            (AuthorizationFault::UnauthorizedClient, "unauthorized_client"),
            (AuthorizationFault::AccessDenied, "access_denied"),
            (AuthorizationFault::UnsupportedResponseType, "unsupported_response_type"),
            (AuthorizationFault::InvalidScope, "invalid_scope"),
            (AuthorizationFault::RequestNotSupported, "request_not_supported"),
            (AuthorizationFault::RequestUriNotSupported, "request_uri_not_supported"),
            (AuthorizationFault::LoginRequired, "login_required"),
            (AuthorizationFault::ConsentRequired, "consent_required"),
        ] {
            assert_eq!(error_code(fault), code);
            // RFC 6749 §4.1.2.1: neither quotes nor backslashes.
            let description = fault.to_string();
            assert!(
                description
                    .bytes()
                    .all(|byte| matches!(byte, 0x20..=0x7e) && byte != b'"' && byte != b'\\')
            );
        }
    }

    #[test]
    fn a_prompt_asks_once() {
        let response = again("client_id=a&prompt=login&state=b");
        assert_eq!(response.headers()[LOCATION], "/oauth/authorize?client_id=a&state=b");
    }
}
