//! A refresh token for new tokens (RFC 6749 §6), as the client's policy says.

use ostler_core::caller::Principal;
use ostler_core::client::{Client, RefreshPolicy};
use ostler_core::port::random_bytes;
use ostler_core::scope::ScopeSet;
use ostler_core::secret::RefreshToken;
use ostler_core::time::Timestamp;
use ostler_store::{RefreshRecord, Refreshed, Rotation};

use super::{For, IssuedTokens, Minted, TokenError};
use crate::App;
use crate::permits::Ended;

impl App {
    /// `scope` may ask for fewer than were granted, never for more.
    pub async fn refresh_tokens(
        &self,
        client: &Client,
        token: &RefreshToken,
        scope: Option<ScopeSet>,
    ) -> Result<IssuedTokens, TokenError> {
        match client.refresh_policy {
            RefreshPolicy::None => Err(TokenError::UnauthorizedClient),
            RefreshPolicy::Rotating => self.rotate(client, token, scope).await,
            RefreshPolicy::Linking => self.refresh_link(client, token, scope).await,
        }
    }

    async fn rotate(
        &self,
        client: &Client,
        token: &RefreshToken,
        scope: Option<ScopeSet>,
    ) -> Result<IssuedTokens, TokenError> {
        let now = self.clock.now();
        let rotation = Rotation {
            now,
            tolerated_since: now - self.settings.refresh_tolerance,
            salt: random_bytes(&*self.entropy),
        };
        let mut minted = Err(TokenError::InvalidGrant);
        let refreshed = self
            .store
            .rotate_refresh(&token.digest(), client.id, rotation, |record, salt| {
                minted = self.mint_refreshed(client, record, scope, Some((token, salt)), now);
                minted.as_ref().ok().map(|minted| minted.stored.clone())
            })
            .await?;
        self.refreshed(refreshed, minted).await
    }

    async fn refresh_link(
        &self,
        client: &Client,
        token: &RefreshToken,
        scope: Option<ScopeSet>,
    ) -> Result<IssuedTokens, TokenError> {
        let now = self.clock.now();
        let mut minted = Err(TokenError::InvalidGrant);
        let refreshed = self
            .store
            .use_refresh(&token.digest(), client.id, now, |record| {
                minted = self.mint_refreshed(client, record, scope, None, now);
                minted.as_ref().ok().map(|minted| minted.stored.clone())
            })
            .await?;
        self.refreshed(refreshed, minted).await
    }

    fn mint_refreshed(
        &self,
        client: &Client,
        record: &RefreshRecord,
        asked: Option<ScopeSet>,
        replaces: Option<(&RefreshToken, &[u8; 32])>,
        now: Timestamp,
    ) -> Result<Minted, TokenError> {
        let asked = asked.unwrap_or(record.scopes);
        if !asked.is_subset_of(record.scopes) {
            return Err(TokenError::InvalidScope);
        }
        let holder = For {
            who: Principal::Customer(record.customer_id),
            family_id: record.family_id,
            // What the client has lost since is not granted again.
            scopes: asked.intersection(client.scopes),
            confirms: replaces.map(|(token, _)| token.digest()),
        };
        let successor = replaces.map(|(token, salt)| token.successor(salt));
        Ok(self.mint(client, holder, successor, now))
    }

    async fn refreshed(
        &self,
        refreshed: Refreshed,
        minted: Result<Minted, TokenError>,
    ) -> Result<IssuedTokens, TokenError> {
        match refreshed {
            Refreshed::Issued => minted.map(|minted| self.answer(minted)),
            Refreshed::Refused => Err(minted.err().unwrap_or(TokenError::InvalidGrant)),
            Refreshed::Reused(family_id) => {
                self.rights_ended(Ended::TokenFamily(family_id)).await;
                Err(TokenError::InvalidGrant)
            }
        }
    }
}
