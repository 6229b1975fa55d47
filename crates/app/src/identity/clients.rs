//! OAuth clients, as the maker registers, changes and ends them.

use std::collections::BTreeSet;

use ostler_core::client::RefreshPolicy;
use ostler_core::client::{Client, ClientKind, ClientRegistration, RegistrationFault};
use ostler_core::id::{ClientId, ProductId};
use ostler_core::secret::ClientSecret;
use ostler_store::{Actor, Listed, Page, RegisteredClient, StoreError};

use crate::App;

/// A new client's secret, told once.
#[derive(Debug)]
pub enum NewClientSecret {
    /// A public client has none.
    None,
    Drawn(ClientSecret),
}

/// What is to be changed; `None` leaves a member as it is. A client's kind never changes.
#[derive(Debug, Default)]
pub struct ClientPatch {
    pub name: Option<String>,
    pub flows: Option<Vec<String>>,
    pub redirect_uris: Option<Vec<String>>,
    pub scopes: Option<Vec<String>>,
    pub default_scopes: Option<Vec<String>>,
    pub refresh_policy: Option<RefreshPolicy>,
    pub cors_origins: Option<Vec<String>>,
    pub products: Option<Option<BTreeSet<ProductId>>>,
}

#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("the registration breaks {} rule(s)", .0.len())]
    Invalid(Vec<RegistrationFault>),
    #[error("there is no such client, or it has ended")]
    NotFound,
    #[error("the client could not be read or written")]
    Store(#[from] StoreError),
}

impl App {
    /// `secret` is given where it must be known beforehand (a demo that goes on after a restart);
    /// otherwise one is drawn.
    pub async fn create_client(
        &self,
        registration: ClientRegistration,
        secret: Option<ClientSecret>,
        by: Actor,
    ) -> Result<(Client, NewClientSecret), ClientError> {
        let now = self.clock.now();
        let id = ClientId::draw(now, &*self.entropy);
        let client = registration.check(id, now).map_err(ClientError::Invalid)?;
        let secret = match client.kind {
            ClientKind::Public => None,
            ClientKind::Confidential => Some(secret.unwrap_or_else(|| ClientSecret::draw(&*self.entropy))),
        };
        let secret_digest = secret.as_ref().map(ClientSecret::digest);
        let registered = RegisteredClient { client, secret_digest };
        self.store.create_client(&registered, by, now).await?;
        self.identity.origins.forget();
        Ok((
            registered.client,
            secret.map_or(NewClientSecret::None, NewClientSecret::Drawn),
        ))
    }

    pub async fn client(&self, id: ClientId) -> Result<Client, ClientError> {
        Ok(self.store.client(id).await?.ok_or(ClientError::NotFound)?.client)
    }

    pub async fn clients(&self, page: Page<ClientId>) -> Result<Listed<Client>, ClientError> {
        Ok(self.store.clients(page).await?)
    }

    pub async fn change_client(&self, id: ClientId, patch: ClientPatch, by: Actor) -> Result<Client, ClientError> {
        let known = self.client(id).await?;
        let patched = patch.onto(ClientRegistration::of(&known));
        let client = patched.check(id, known.created_at).map_err(ClientError::Invalid)?;
        if !self.store.change_client(&client, by, self.clock.now()).await? {
            return Err(ClientError::NotFound);
        }
        self.identity.origins.forget();
        self.permits.settle(&*self.clock).await;
        Ok(client)
    }

    /// The former secret is worth nothing from now on.
    pub async fn replace_client_secret(&self, id: ClientId, by: Actor) -> Result<ClientSecret, ClientError> {
        let secret = ClientSecret::draw(&*self.entropy);
        let replaced = self
            .store
            .replace_client_secret(id, secret.digest(), by, self.clock.now())
            .await?;
        replaced.then_some(secret).ok_or(ClientError::NotFound)
    }

    /// Ends a client and all its tokens. When this returns, nothing acts by them (P1).
    pub async fn end_client(&self, id: ClientId, by: Actor) -> Result<Client, ClientError> {
        if !self.store.end_client(id, by, self.clock.now()).await? {
            return Err(ClientError::NotFound);
        }
        self.identity.origins.forget();
        self.permits.settle(&*self.clock).await;
        self.client(id).await
    }
}

impl ClientPatch {
    fn onto(self, known: ClientRegistration) -> ClientRegistration {
        ClientRegistration {
            name: self.name.unwrap_or(known.name),
            kind: known.kind,
            flows: self.flows.unwrap_or(known.flows),
            redirect_uris: self.redirect_uris.unwrap_or(known.redirect_uris),
            scopes: self.scopes.unwrap_or(known.scopes),
            default_scopes: self.default_scopes.or(known.default_scopes),
            refresh_policy: self.refresh_policy.unwrap_or(known.refresh_policy),
            cors_origins: self.cors_origins.unwrap_or(known.cors_origins),
            products: self.products.unwrap_or(known.products),
        }
    }
}
