//! Client credentials (RFC 6749 §4.4): a machine of the maker in its own name.

use ostler_core::caller::Principal;
use ostler_core::client::{Client, ClientKind, Flow};
use ostler_core::id::TokenFamilyId;
use ostler_core::scope::{Scope, ScopeSet};

use super::{For, IssuedTokens, TokenError};
use crate::App;

impl App {
    /// `scope` is what was asked for; the registered default if nothing was.
    pub async fn machine_tokens(&self, client: &Client, scope: Option<ScopeSet>) -> Result<IssuedTokens, TokenError> {
        if client.kind != ClientKind::Confidential || !client.flows.contains(Flow::ClientCredentials) {
            return Err(TokenError::UnauthorizedClient);
        }
        let scopes = machine_scopes(client, scope)?;
        let now = self.clock.now();
        let holder = For {
            who: Principal::Machine {
                products: client.products.clone(),
            },
            family_id: TokenFamilyId::draw(now, &*self.entropy),
            scopes,
            confirms: None,
        };
        let minted = self.mint(client, holder, None, now);
        self.store.issue_tokens(&minted.stored, now).await?;
        Ok(self.answer(minted))
    }
}

/// Scopes of customers mean nothing where nobody is signed in: asked for they are refused, in a
/// default they are left out.
fn machine_scopes(client: &Client, asked: Option<ScopeSet>) -> Result<ScopeSet, TokenError> {
    let scopes = match asked {
        Some(asked) if asked.iter().all(Scope::is_machine) => asked,
        Some(_) => return Err(TokenError::InvalidScope),
        None => client
            .default_scopes
            .iter()
            .filter(|scope| scope.is_machine())
            .collect(),
    };
    if scopes.is_empty() || !scopes.is_subset_of(client.scopes) {
        return Err(TokenError::InvalidScope);
    }
    Ok(scopes)
}
