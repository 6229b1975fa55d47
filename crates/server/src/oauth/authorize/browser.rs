//! The browser at the other end: its cookie, and whether a form really came from our page.
//!
//! One cookie holds a random secret. Before a sign-in it only binds forms to the browser; a sign-in
//! draws a new one, so that nobody can plant theirs beforehand (session fixation).

use std::time::Duration;

use axum::response::Response;
use axum_extra::extract::CookieJar;
use http::HeaderMap;
use http::header::{HeaderValue, ORIGIN, SET_COOKIE};
use ostler_app::App;
use ostler_core::id::CustomerId;
use ostler_core::secret::SessionSecret;
use ostler_store::StoreError;

use super::Stop;
use super::pages::Notice;
use crate::oauth::form::OAuthForm;
use crate::state::ServerState;

pub(super) struct Browser {
    secret: Option<SessionSecret>,
    is_secure: bool,
}

/// Long enough for somebody to look up a password.
const SIGNING_IN: Duration = Duration::from_secs(60 * 60);

impl Browser {
    pub fn of(headers: &HeaderMap, state: &ServerState) -> Self {
        let is_secure = state.frame().public_url.scheme() == "https";
        let jar = CookieJar::from_headers(headers);
        let secret = jar
            .get(cookie_name(is_secure))
            .map(|cookie| SessionSecret::presented(cookie.value().to_owned()));
        Self { secret, is_secure }
    }

    pub fn secret(&self) -> Option<&SessionSecret> {
        self.secret.as_ref()
    }

    pub async fn signed_in(&self, app: &App) -> Result<Option<CustomerId>, StoreError> {
        match &self.secret {
            Some(secret) => Ok(app.session(secret).await?.map(|session| session.customer_id)),
            None => Ok(None),
        }
    }

    /// A form counts only if this browser was shown it, by us, for this very request.
    pub fn check_form(
        &self,
        state: &ServerState,
        headers: &HeaderMap,
        query: &str,
        form: &OAuthForm,
    ) -> Result<(), Stop> {
        let Some(secret) = &self.secret else {
            return Err(Stop::Page(Notice::NoCookie));
        };
        let is_ours = form
            .get("form_token")
            .is_some_and(|token| secret.verifies_form(query, token));
        if is_ours && is_same_origin(headers, state) {
            Ok(())
        } else {
            Err(Stop::Page(Notice::FormNotOurs))
        }
    }

    /// The secret that forms are bound to; a new one for a browser that comes for the first time.
    pub fn with_secret(self, state: &ServerState) -> (Self, SessionSecret) {
        let secret = self
            .secret
            .clone()
            .unwrap_or_else(|| SessionSecret::draw(&*state.frame().entropy));
        (self, secret)
    }

    /// Sets the cookie if the browser has none yet.
    pub fn keep(&self, response: Response, secret: &SessionSecret) -> Response {
        match self.secret {
            Some(_) => response,
            None => self.remember(response, secret, SIGNING_IN),
        }
    }

    pub fn remember(&self, response: Response, secret: &SessionSecret, lifetime: Duration) -> Response {
        self.set(response, secret.reveal(), lifetime)
    }

    pub fn forget(&self, response: Response) -> Response {
        self.set(response, "", Duration::ZERO)
    }

    /// `Lax`: the cookie must come along when an app's page leads here. `__Host-` (RFC 6265bis §4.1.3.2)
    /// keeps other hosts of the same domain from setting it; browsers take it with `Secure` only.
    fn set(&self, mut response: Response, value: &str, lifetime: Duration) -> Response {
        let name = cookie_name(self.is_secure);
        let seconds = lifetime.as_secs();
        let secure = if self.is_secure { "; Secure" } else { "" };
        let cookie = format!("{name}={value}; Max-Age={seconds}; Path=/; HttpOnly; SameSite=Lax{secure}");
        let field = HeaderValue::try_from(cookie).expect("a secret of ours is ASCII");
        response.headers_mut().append(SET_COOKIE, field);
        response
    }
}

const fn cookie_name(is_secure: bool) -> &'static str {
    if is_secure {
        "__Host-ostler_session"
    } else {
        "ostler_session"
    }
}

/// Browsers name the origin with every POST. A missing one is not a browser's cross-site form; the form's
/// token still has to be right.
fn is_same_origin(headers: &HeaderMap, state: &ServerState) -> bool {
    let ours = state.frame().public_url.origin().ascii_serialization();
    headers
        .get(ORIGIN)
        .is_none_or(|origin| origin.as_bytes() == ours.as_bytes())
}
