//! An authorization code for tokens (RFC 6749 §4.1.3, RFC 7636 §4.5).

use ostler_core::caller::Principal;
use ostler_core::client::{Client, Flow};
use ostler_core::id::TokenFamilyId;
use ostler_core::secret::AuthorizationCode;
use ostler_store::{CodeRecord, CodeRedeemed};

use super::{For, IssuedTokens, TokenError};
use crate::App;
use crate::identity::pkce::CodeChallenge;
use crate::permits::Ended;

/// What the client shows.
#[derive(Debug)]
pub struct CodeExchange {
    pub code: AuthorizationCode,
    pub redirect_uri: Option<String>,
    pub code_verifier: Option<String>,
}

impl App {
    pub async fn exchange_code(&self, client: &Client, exchange: &CodeExchange) -> Result<IssuedTokens, TokenError> {
        if !client.flows.contains(Flow::AuthorizationCode) {
            return Err(TokenError::UnauthorizedClient);
        }
        let now = self.clock.now();
        let family_id = TokenFamilyId::draw(now, &*self.entropy);
        let mut minted = None;
        let judge = |code: &CodeRecord| {
            if !exchange.matches(client, code) {
                return None;
            }
            let holder = For {
                who: Principal::Customer(code.customer_id),
                family_id,
                scopes: code.scopes.intersection(client.scopes),
                confirms: None,
            };
            let refresh_token = self.first_refresh_token(client, code.scopes);
            let minted = minted.insert(self.mint(client, holder, refresh_token, now));
            Some(minted.stored.clone())
        };
        match self
            .store
            .redeem_code(&exchange.code.digest(), client.id, now, judge)
            .await?
        {
            CodeRedeemed::Issued => Ok(self.answer(minted.expect("what was stored was minted"))),
            CodeRedeemed::Refused => Err(TokenError::InvalidGrant),
            CodeRedeemed::Reused(family_id) => {
                if let Some(family_id) = family_id {
                    self.rights_ended(Ended::TokenFamily(family_id)).await;
                }
                Err(TokenError::InvalidGrant)
            }
        }
    }
}

impl CodeExchange {
    /// A failed proof leaves the code as it is: only whoever can redeem it may use it up.
    fn matches(&self, client: &Client, code: &CodeRecord) -> bool {
        self.matches_redirect_uri(client, code) && self.meets_challenge(code)
    }

    fn matches_redirect_uri(&self, client: &Client, code: &CodeRecord) -> bool {
        match (&code.redirect_uri, &self.redirect_uri) {
            (Some(named), Some(shown)) => named == shown,
            // RFC 6749 §4.1.3: required if it was named before.
            (Some(_), None) => false,
            (None, Some(shown)) => client.redirect_uris.iter().any(|only| only.as_str() == shown),
            (None, None) => true,
        }
    }

    /// A verifier without a challenge is refused as well: somebody may have stripped the challenge
    /// off the authorization request (RFC 9700 §2.1.1).
    fn meets_challenge(&self, code: &CodeRecord) -> bool {
        match (&code.code_challenge, &self.code_verifier) {
            (Some(challenge), Some(verifier)) => challenge
                .parse::<CodeChallenge>()
                .is_ok_and(|challenge| challenge.is_met_by(verifier)),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        }
    }
}
