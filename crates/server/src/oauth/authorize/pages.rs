//! The pages of signing in. Plain forms that need no script, with header fields of their own.

use std::time::Duration;

use askama::Template;
use axum::response::{Html, IntoResponse, Response};
use http::StatusCode;
use http::header::{CONTENT_SECURITY_POLICY, HeaderValue, REFERRER_POLICY, RETRY_AFTER};
use ostler_app::identity::AuthorizationRequest;
use ostler_core::client::RedirectUri;
use ostler_core::scope::{Scope, ScopeSet};

use crate::problem::{Problem, whole_seconds};

#[derive(Template)]
#[template(path = "oauth/sign_in.html")]
struct SignInPage {
    client_name: String,
    form_token: String,
    notice: Option<&'static str>,
}

#[derive(Template)]
#[template(path = "oauth/consent.html")]
struct ConsentPage {
    client_name: String,
    form_token: String,
    email: Option<String>,
    permissions: Vec<&'static str>,
}

#[derive(Template)]
#[template(path = "oauth/error.html")]
struct ErrorPage {
    notice: Notice,
}

/// What a person is told when there is nobody else to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Notice {
    Unreadable,
    UnknownClient,
    UnknownRedirect,
    NoCookie,
    FormNotOurs,
}

impl Notice {
    fn what(self) -> &'static str {
        match self {
            Self::Unreadable => "The address that led here cannot be read.",
            Self::UnknownClient => "The app that led here is not registered (client_id).",
            Self::UnknownRedirect => {
                "The app that led here asked to be answered at an address that is not registered for it (redirect_uri)."
            }
            Self::NoCookie => "Your browser did not send back the cookie of this page.",
            Self::FormNotOurs => "This form is too old, or did not come from the page that was shown to you.",
        }
    }

    fn advice(self) -> &'static str {
        match self {
            Self::Unreadable | Self::UnknownClient | Self::UnknownRedirect => {
                "Nothing was shared with it. Please tell whoever makes the app."
            }
            Self::NoCookie => "Please allow cookies for this address, go back to the app and start again.",
            Self::FormNotOurs => "Nothing was done. Please go back to the app and start again.",
        }
    }
}

pub(super) fn sign_in(
    request: &AuthorizationRequest,
    form_token: &str,
    notice: Option<&'static str>,
) -> impl Template + use<> {
    SignInPage {
        client_name: request.client.name.clone(),
        form_token: form_token.to_owned(),
        notice,
    }
}

pub(super) fn consent(
    request: &AuthorizationRequest,
    form_token: &str,
    email: Option<String>,
) -> impl Template + use<> {
    ConsentPage {
        client_name: request.client.name.clone(),
        form_token: form_token.to_owned(),
        email,
        permissions: permissions(request.scopes),
    }
}

fn permissions(scopes: ScopeSet) -> Vec<&'static str> {
    scopes.iter().map(in_plain_words).collect()
}

const fn in_plain_words(scope: Scope) -> &'static str {
    match scope {
        Scope::OpenId => "recognise you when you come back",
        Scope::Profile => "see your name",
        Scope::Email => "see your e-mail address",
        Scope::OfflineAccess => "stay connected also while you are not using it",
        Scope::DevicesRead => "see your devices and how they are doing",
        Scope::DevicesControl => "control your devices",
        Scope::HistoryRead => "see what your devices have recorded",
        Scope::Rentals => "rent vehicles in your name",
        Scope::Account => "see and change your account",
        // Never a customer's to give; named all the same, so that none could slip in unseen.
        Scope::FleetRead => "see all devices of the maker",
        Scope::FleetControl => "control all devices of the maker",
        Scope::AdminRead => "see everything the maker's staff sees",
        Scope::AdminWrite => "do everything the maker's staff does",
    }
}

pub(super) fn respond(status: StatusCode, page: impl Template, redirect_uri: &str) -> Response {
    let html = match page.render() {
        Ok(html) => html,
        Err(error) => return Problem::internal(error).into_response(),
    };
    let mut response = (status, Html(html)).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, content_security_policy(redirect_uri));
    // With `no-referrer` browsers send `Origin: null` along with our own forms (Fetch §3.2).
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}

pub(super) fn error_page(notice: Notice) -> Response {
    respond(StatusCode::BAD_REQUEST, ErrorPage { notice }, "")
}

pub(super) fn retry_after(mut response: Response, wait: Duration) -> Response {
    response
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from(whole_seconds(wait)));
    response
}

/// Browsers hold `form-action` against the redirect that follows a form as well, so the client's
/// address is named.
fn content_security_policy(redirect_uri: &str) -> HeaderValue {
    let policy = format!(
        "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'{}; frame-ancestors 'none'; base-uri 'none'",
        form_target(redirect_uri).unwrap_or_default()
    );
    HeaderValue::try_from(policy).expect("the target was checked to be plain ASCII")
}

fn form_target(redirect_uri: &str) -> Option<String> {
    let target = match RedirectUri::web_origin(redirect_uri) {
        Some(origin) => origin,
        None => format!("{}:", redirect_uri.split_once(':')?.0),
    };
    let is_plain = target
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b".:-+/[]".contains(&byte));
    is_plain.then(|| format!(" {target}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_may_lead_to_the_client_and_nowhere_else() {
        for (redirect_uri, expected) in [
            ("https://app.example.com/cb?x=1", Some(" https://app.example.com")),
            ("http://127.0.0.1:50123/cb", Some(" http://127.0.0.1:50123")),
            ("http://[::1]:50123/cb", Some(" http://[::1]:50123")),
            ("com.example.app:/cb", Some(" com.example.app:")),
            ("", None),
            ("x; script-src *:", None),
        ] {
            assert_eq!(form_target(redirect_uri).as_deref(), expected, "{redirect_uri}");
        }
    }

    #[test]
    fn every_scope_is_named_in_plain_words() {
        let mut words: Vec<_> = Scope::ALL.iter().map(|scope| in_plain_words(*scope)).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), Scope::ALL.len());
    }
}
