//! Reading an authorization request, in the order in which its faults may be told.

use ostler_core::client::{Client, Flow, RefreshPolicy};
use ostler_core::scope::{Scope, ScopeSet};
use ostler_store::StoreError;

use super::AuthorizationRequest;
use crate::App;
use crate::identity::pkce::CodeChallenge;

/// As they came; an empty one counts as absent (RFC 6749 §3.1).
#[derive(Debug, Default, Clone)]
pub struct AuthorizationParameters {
    pub response_type: Option<String>,
    pub response_mode: Option<String>,
    pub client_id: Option<String>,
    pub redirect_uri: Option<String>,
    pub scope: Option<String>,
    pub state: Option<String>,
    pub code_challenge: Option<String>,
    pub code_challenge_method: Option<String>,
    pub prompt: Option<String>,
    pub request: Option<String>,
    pub request_uri: Option<String>,
}

/// OpenID Connect Core §3.1.2.1, as far as it has a meaning here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Prompt {
    /// Show no page: answer or refuse.
    pub none: bool,
    /// Sign in anew.
    pub login: bool,
    /// Ask for consent although it was given before.
    pub consent: bool,
}

/// Why nobody may be redirected: the person is told on a page of ours.
#[derive(Debug, thiserror::Error)]
pub enum Unredirectable {
    #[error("the client is not known")]
    UnknownClient,
    #[error("the redirect_uri is not registered for this client")]
    RedirectUri,
    #[error("the client could not be looked up")]
    Store(#[from] StoreError),
}

/// Why the client is told no, by redirect: RFC 6749 §4.1.2.1, OpenID Connect Core §3.1.2.6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthorizationFault {
    #[error("{0} {1}")]
    InvalidRequest(&'static str, &'static str),
    #[error("the client is not registered for the authorization code flow")]
    UnauthorizedClient,
    #[error("the customer said no")]
    AccessDenied,
    #[error("only response_type=code is supported")]
    UnsupportedResponseType,
    #[error("the scope is unknown, or the client may not ask for it")]
    InvalidScope,
    #[error("request objects are not supported")]
    RequestNotSupported,
    #[error("request objects by reference are not supported")]
    RequestUriNotSupported,
    #[error("nobody is signed in, and no page may be shown")]
    LoginRequired,
    #[error("consent is needed, and no page may be shown")]
    ConsentRequired,
}

/// Where a fault is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedirectTarget {
    pub redirect_uri: String,
    pub state: Option<String>,
}

/// A request judged.
pub type Judged = Result<AuthorizationRequest, (RedirectTarget, AuthorizationFault)>;

impl App {
    pub async fn read_authorization(&self, parameters: &AuthorizationParameters) -> Result<Judged, Unredirectable> {
        let client_id = parameters.client_id.as_deref().unwrap_or_default();
        let client = self
            .live_client(client_id)
            .await?
            .ok_or(Unredirectable::UnknownClient)?
            .client;
        let redirect_uri = redirect_uri(&client, parameters.redirect_uri.as_deref())?;
        let state = parameters.state.clone();
        Ok(match parameters.judge(&client) {
            Ok((scopes, code_challenge, prompt)) => Ok(AuthorizationRequest {
                client,
                redirect_uri,
                state,
                scopes,
                prompt,
                code_challenge,
                redirect_uri_named: parameters.redirect_uri.is_some(),
            }),
            Err(fault) => Err((RedirectTarget { redirect_uri, state }, fault)),
        })
    }
}

/// RFC 6749 §3.1.2.3: may be left out if exactly one is registered.
fn redirect_uri(client: &Client, named: Option<&str>) -> Result<String, Unredirectable> {
    match (named, client.redirect_uris.as_slice()) {
        (Some(named), _) if client.may_redirect_to(named) => Ok(named.to_owned()),
        (None, [only]) => Ok(only.to_string()),
        (Some(_) | None, _) => Err(Unredirectable::RedirectUri),
    }
}

impl AuthorizationParameters {
    fn judge(&self, client: &Client) -> Result<(ScopeSet, Option<CodeChallenge>, Prompt), AuthorizationFault> {
        if self.request.is_some() {
            return Err(AuthorizationFault::RequestNotSupported);
        }
        if self.request_uri.is_some() {
            return Err(AuthorizationFault::RequestUriNotSupported);
        }
        match self.response_type.as_deref() {
            Some("code") => {}
            Some(_) => return Err(AuthorizationFault::UnsupportedResponseType),
            None => return Err(AuthorizationFault::InvalidRequest("response_type", "is required")),
        }
        match self.response_mode.as_deref() {
            None | Some("query") => {}
            Some(_) => return Err(AuthorizationFault::InvalidRequest("response_mode", "must be query")),
        }
        if !client.flows.contains(Flow::AuthorizationCode) {
            return Err(AuthorizationFault::UnauthorizedClient);
        }
        Ok((self.scopes(client)?, self.code_challenge(client)?, self.prompt()?))
    }

    /// Machine scopes are never a customer's to give. `offline_access` means nothing to a client that
    /// gets no refresh tokens, and is left out rather than promised.
    fn scopes(&self, client: &Client) -> Result<ScopeSet, AuthorizationFault> {
        let scopes = match &self.scope {
            Some(text) => {
                let asked: ScopeSet = text.parse().map_err(|_| AuthorizationFault::InvalidScope)?;
                if asked.has_machine_scope() || !asked.is_subset_of(client.scopes) {
                    return Err(AuthorizationFault::InvalidScope);
                }
                asked
            }
            None => client
                .default_scopes
                .iter()
                .filter(|scope| !scope.is_machine())
                .collect(),
        };
        let scopes = match client.refresh_policy {
            RefreshPolicy::None => scopes.without(Scope::OfflineAccess),
            RefreshPolicy::Rotating | RefreshPolicy::Linking => scopes,
        };
        if scopes.is_empty() {
            Err(AuthorizationFault::InvalidScope)
        } else {
            Ok(scopes)
        }
    }

    fn code_challenge(&self, client: &Client) -> Result<Option<CodeChallenge>, AuthorizationFault> {
        match (&self.code_challenge, self.code_challenge_method.as_deref()) {
            (Some(challenge), Some("S256")) => challenge.parse().map(Some).map_err(|_| {
                AuthorizationFault::InvalidRequest("code_challenge", "must be the base64url of a SHA-256 digest")
            }),
            // Without a method it would be "plain" (RFC 7636 §4.3), which protects nothing.
            (Some(_), Some(_) | None) => Err(AuthorizationFault::InvalidRequest(
                "code_challenge_method",
                "must be S256",
            )),
            (None, _) if client.must_use_pkce() => Err(AuthorizationFault::InvalidRequest(
                "code_challenge",
                "is required (RFC 7636)",
            )),
            (None, _) => Ok(None),
        }
    }

    fn prompt(&self) -> Result<Prompt, AuthorizationFault> {
        let mut prompt = Prompt::default();
        for word in self
            .prompt
            .as_deref()
            .unwrap_or_default()
            .split(' ')
            .filter(|word| !word.is_empty())
        {
            match word {
                "none" => prompt.none = true,
                "login" | "select_account" => prompt.login = true,
                "consent" => prompt.consent = true,
                _ => {
                    let rule = "must be none, or some of login, consent and select_account";
                    return Err(AuthorizationFault::InvalidRequest("prompt", rule));
                }
            }
        }
        if prompt.none && (prompt.login || prompt.consent) {
            return Err(AuthorizationFault::InvalidRequest(
                "prompt",
                "must not join none with others",
            ));
        }
        Ok(prompt)
    }
}
