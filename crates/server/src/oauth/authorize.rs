//! `/oauth/authorize` (RFC 6749 §3.1): where a customer signs in and agrees.
//!
//! The request stays in the address the whole time and is judged anew at each step, so there is no
//! state on our side that could be mixed up between two tabs. A page's form carries a token bound to
//! the browser's cookie and to that very request.

mod browser;
mod pages;
mod redirect;

use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use ostler_app::identity::{
    AuthorizationFault, AuthorizationParameters, AuthorizationRequest, Password, SignInError, Unredirectable,
};
use ostler_core::id::CustomerId;

use self::browser::Browser;
use self::pages::{Notice, error_page};
use self::redirect::{Answer, again, redirect};
use super::form::OAuthForm;
use crate::error::from_store;
use crate::extract::Parameters;
use crate::layers::address::ClientAddress;
use crate::problem::Problem;
use crate::state::ServerState;

/// `GET /oauth/authorize`
pub async fn show(State(state): State<ServerState>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let answer = async { Visit::begin(&state, query, &headers).await?.show().await };
    answer.await.unwrap_or_else(Stop::into_response)
}

/// `POST /oauth/authorize`
pub async fn submit(
    State(state): State<ServerState>,
    Extension(address): Extension<ClientAddress>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    form: OAuthForm,
) -> Response {
    let answer = async {
        let visit = Visit::begin(&state, query, &headers).await?;
        visit.browser.check_form(&state, &headers, &visit.query, &form)?;
        match form.get("action") {
            Some("sign-in") => visit.sign_in(&form, address).await,
            Some("allow") => visit.allow().await,
            Some("deny") => Ok(visit.refuse(AuthorizationFault::AccessDenied)),
            Some("switch") => visit.sign_out().await,
            // A form sent by a script need not name a button. Signing in has only one.
            None if form.get("email").is_some() => visit.sign_in(&form, address).await,
            Some(_) | None => Err(Stop::Page(Notice::FormNotOurs)),
        }
    };
    answer.await.unwrap_or_else(Stop::into_response)
}

/// Why a visit ends before anything is granted.
enum Stop {
    /// Told to the person: there is no client that could be told.
    Page(Notice),
    /// Told to the client.
    Redirect(Box<Response>),
    Ours(Box<Problem>),
}

impl From<ostler_store::StoreError> for Stop {
    fn from(error: ostler_store::StoreError) -> Self {
        Self::Ours(Box::new(from_store(error)))
    }
}

impl IntoResponse for Stop {
    fn into_response(self) -> Response {
        match self {
            Self::Page(notice) => error_page(notice),
            Self::Redirect(response) => *response,
            Self::Ours(problem) => problem.into_response(),
        }
    }
}

/// One request of a browser that may lead to a grant.
struct Visit<'a> {
    state: &'a ServerState,
    query: String,
    browser: Browser,
    request: AuthorizationRequest,
}

impl<'a> Visit<'a> {
    async fn begin(state: &'a ServerState, query: Option<String>, headers: &HeaderMap) -> Result<Self, Stop> {
        let query = query.unwrap_or_default();
        let parameters = Parameters::parse(&query).map_err(|_| Stop::Page(Notice::Unreadable))?;
        let request = match state.app().read_authorization(&named(&parameters)).await {
            Ok(Ok(request)) => request,
            Ok(Err((target, fault))) => {
                return Err(Stop::Redirect(Box::new(redirect(
                    state,
                    &target,
                    &Answer::Fault(fault),
                ))));
            }
            Err(Unredirectable::UnknownClient) => return Err(Stop::Page(Notice::UnknownClient)),
            Err(Unredirectable::RedirectUri) => return Err(Stop::Page(Notice::UnknownRedirect)),
            Err(Unredirectable::Store(error)) => return Err(error.into()),
        };
        Ok(Self {
            state,
            query,
            browser: Browser::of(headers, state),
            request,
        })
    }

    /// Whichever page comes next; a code, if none is needed.
    async fn show(self) -> Result<Response, Stop> {
        let app = self.state.app();
        let prompt = self.request.prompt;
        let customer_id = self.browser.signed_in(app).await?;
        let consented = match customer_id {
            Some(customer_id) => !prompt.consent && app.has_consented(&self.request, customer_id).await?,
            None => false,
        };
        match customer_id {
            Some(customer_id) if consented && !prompt.login => self.grant(customer_id).await,
            Some(_) if prompt.none => Ok(self.refuse(AuthorizationFault::ConsentRequired)),
            None if prompt.none => Ok(self.refuse(AuthorizationFault::LoginRequired)),
            Some(customer_id) if !prompt.login => self.consent_page(customer_id).await,
            Some(_) | None => Ok(self.sign_in_page(StatusCode::OK, None)),
        }
    }

    async fn sign_in(self, form: &OAuthForm, address: ClientAddress) -> Result<Response, Stop> {
        let email = form.get("email").unwrap_or_default();
        let password = Password::presented(form.get("password").unwrap_or_default().to_owned());
        let signing_in = self
            .state
            .app()
            .sign_in(email, password, address.counted(), self.browser.secret());
        match signing_in.await {
            Ok(signed_in) => {
                let response = again(&self.query);
                Ok(self.browser.remember(response, &signed_in.secret, signed_in.lifetime))
            }
            Err(SignInError::Wrong) => Ok(self.sign_in_page(
                StatusCode::FORBIDDEN,
                Some("The e-mail address or the password is not right."),
            )),
            Err(SignInError::Wait(pause)) => {
                let notice = "That was tried too often. Please wait a little, then try again.";
                Ok(pages::retry_after(
                    self.sign_in_page(StatusCode::TOO_MANY_REQUESTS, Some(notice)),
                    pause,
                ))
            }
            Err(SignInError::Overloaded(_)) => {
                let notice = "Many people are signing in right now. Please try again in a moment.";
                let page = self.sign_in_page(StatusCode::SERVICE_UNAVAILABLE, Some(notice));
                Ok(pages::retry_after(page, std::time::Duration::from_secs(2)))
            }
            Err(SignInError::Store(error)) => Err(error.into()),
        }
    }

    async fn allow(self) -> Result<Response, Stop> {
        let app = self.state.app();
        match self.browser.signed_in(app).await? {
            Some(customer_id) => {
                app.give_consent(&self.request, customer_id).await?;
                self.grant(customer_id).await
            }
            None => Ok(self.sign_in_page(StatusCode::OK, None)),
        }
    }

    async fn sign_out(self) -> Result<Response, Stop> {
        if let Some(secret) = self.browser.secret() {
            self.state.app().sign_out(secret).await?;
        }
        Ok(self.browser.forget(again(&self.query)))
    }

    async fn grant(self, customer_id: CustomerId) -> Result<Response, Stop> {
        let code = self.state.app().issue_code(&self.request, customer_id).await?;
        Ok(redirect(self.state, &self.request.target(), &Answer::Code(&code)))
    }

    fn refuse(&self, fault: AuthorizationFault) -> Response {
        redirect(self.state, &self.request.target(), &Answer::Fault(fault))
    }

    fn sign_in_page(self, status: StatusCode, notice: Option<&'static str>) -> Response {
        let (browser, secret) = self.browser.with_secret(self.state);
        let page = pages::sign_in(&self.request, &secret.form_token(&self.query), notice);
        browser.keep(pages::respond(status, page, &self.request.redirect_uri), &secret)
    }

    async fn consent_page(self, customer_id: CustomerId) -> Result<Response, Stop> {
        let account = self.state.app().customer(customer_id).await.ok();
        let email = account
            .as_ref()
            .and_then(|account| account.email.as_ref())
            .map(ToString::to_string);
        let (browser, secret) = self.browser.with_secret(self.state);
        let page = pages::consent(&self.request, &secret.form_token(&self.query), email);
        Ok(browser.keep(
            pages::respond(StatusCode::OK, page, &self.request.redirect_uri),
            &secret,
        ))
    }
}

/// An empty parameter counts as absent (RFC 6749 §3.1).
fn named(parameters: &Parameters) -> AuthorizationParameters {
    let get = |name| {
        parameters
            .get(name)
            .filter(|value| !value.is_empty())
            .map(str::to_owned)
    };
    AuthorizationParameters {
        response_type: get("response_type"),
        response_mode: get("response_mode"),
        client_id: get("client_id"),
        redirect_uri: get("redirect_uri"),
        scope: get("scope"),
        state: get("state"),
        code_challenge: get("code_challenge"),
        code_challenge_method: get("code_challenge_method"),
        prompt: get("prompt"),
        request: get("request"),
        request_uri: get("request_uri"),
    }
}
