//! An authorization request (RFC 6749 §4.1.1): read, judged, and in the end granted or not.
//!
//! First client and redirection address: if either is wrong, nobody may be redirected, for the
//! address may be an attacker's. Whatever else is wrong is told to the client by redirect (§4.1.2.1).

mod request;

use ostler_core::client::{Client, ClientKind};
use ostler_core::id::CustomerId;
use ostler_core::scope::ScopeSet;
use ostler_core::secret::AuthorizationCode;
use ostler_store::{CodeRecord, StoreError};

use super::pkce::CodeChallenge;
use crate::App;

pub use request::{AuthorizationFault, AuthorizationParameters, Judged, Prompt, RedirectTarget, Unredirectable};

/// A request that may be granted, if the customer agrees.
#[derive(Debug)]
pub struct AuthorizationRequest {
    pub client: Client,
    /// Where the answer goes.
    pub redirect_uri: String,
    pub state: Option<String>,
    pub scopes: ScopeSet,
    pub prompt: Prompt,
    code_challenge: Option<CodeChallenge>,
    /// Whether the request named the address itself; then the token request must, too.
    redirect_uri_named: bool,
}

impl AuthorizationRequest {
    /// Where its answer goes.
    pub fn target(&self) -> RedirectTarget {
        RedirectTarget {
            redirect_uri: self.redirect_uri.clone(),
            state: self.state.clone(),
        }
    }

    /// A native app's redirect proves nothing about who will receive the code: any program may listen
    /// on loopback or claim a scheme. So a remembered consent is not enough (RFC 8252 §8.6).
    fn client_is_assured(&self) -> bool {
        self.client.kind == ClientKind::Confidential || self.redirect_uri.starts_with("https://")
    }
}

impl App {
    /// Whether the customer has agreed to all this before, and need not be asked again.
    pub async fn has_consented(
        &self,
        request: &AuthorizationRequest,
        customer_id: CustomerId,
    ) -> Result<bool, StoreError> {
        let given = self.store.consent(customer_id, request.client.id).await?;
        Ok(request.client_is_assured() && request.scopes.is_subset_of(given))
    }

    pub async fn give_consent(
        &self,
        request: &AuthorizationRequest,
        customer_id: CustomerId,
    ) -> Result<(), StoreError> {
        let given = self.store.consent(customer_id, request.client.id).await?;
        if request.scopes.is_subset_of(given) {
            return Ok(());
        }
        let scopes = given.iter().chain(request.scopes.iter()).collect();
        self.store
            .remember_consent(customer_id, request.client.id, scopes, self.clock.now())
            .await
    }

    /// The customer has agreed, now or before.
    pub async fn issue_code(
        &self,
        request: &AuthorizationRequest,
        customer_id: CustomerId,
    ) -> Result<AuthorizationCode, StoreError> {
        let now = self.clock.now();
        let code = AuthorizationCode::draw(&*self.entropy);
        let record = CodeRecord {
            client_id: request.client.id,
            customer_id,
            redirect_uri: request.redirect_uri_named.then(|| request.redirect_uri.clone()),
            code_challenge: request
                .code_challenge
                .as_ref()
                .map(|challenge| challenge.as_str().to_owned()),
            scopes: request.scopes,
            expires_at: now + self.settings.authorization_code_lifetime,
        };
        self.store.store_code(code.digest(), &record, now).await?;
        Ok(code)
    }
}
