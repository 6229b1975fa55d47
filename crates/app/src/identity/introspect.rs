//! What a token is worth right now (RFC 7662), told to confidential clients only.

use ostler_core::caller::Principal;
use ostler_core::client::{Client, ClientKind};
use ostler_core::id::{ClientId, CustomerId, StaffId};
use ostler_core::scope::{Scope, ScopeSet};
use ostler_core::secret::SecretDigest;
use ostler_core::time::Timestamp;
use ostler_store::StoreError;

use crate::App;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Introspection {
    Active(Introspected),
    /// Unknown, expired, ended, or none of this client's business.
    Inactive,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Introspected {
    pub subject: Subject,
    /// `None` for a staff session.
    pub client_id: Option<ClientId>,
    pub scopes: ScopeSet,
    pub issued_at: Timestamp,
    /// `None` for a refresh token without an end.
    pub expires_at: Option<Timestamp>,
    pub is_access_token: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    Customer(CustomerId),
    Client(ClientId),
    Staff(StaffId),
}

impl App {
    /// A client may ask about its own tokens; a machine that may read everything, about all access
    /// tokens. `None` for a public client, which cannot show that it is the one who asks.
    pub async fn introspect(&self, client: &Client, token: &str) -> Result<Option<Introspection>, StoreError> {
        if client.kind != ClientKind::Confidential {
            return Ok(None);
        }
        let now = self.clock.now();
        let digest = SecretDigest::of(token);
        let access = self.store.token_facts(&digest, now).await?;
        if let Some(facts) = access.filter(|facts| may_ask(client, facts.caller.client_id)) {
            let client_id = facts.caller.client_id;
            let subject = match &facts.caller.who {
                Principal::Customer(customer_id) => Subject::Customer(*customer_id),
                Principal::Machine { .. } => Subject::Client(client_id),
                Principal::Staff { staff_id, .. } => Subject::Staff(*staff_id),
            };
            return Ok(Some(Introspection::Active(Introspected {
                subject,
                client_id: (client_id != ClientId::STAFF_SESSION).then_some(client_id),
                scopes: facts.caller.scopes,
                issued_at: facts.issued_at,
                expires_at: Some(facts.expires_at),
                is_access_token: true,
            })));
        }
        let refresh = self.store.refresh_record(&digest, client.id, now).await?;
        Ok(Some(refresh.map_or(Introspection::Inactive, |refresh| {
            Introspection::Active(Introspected {
                subject: Subject::Customer(refresh.customer_id),
                client_id: Some(client.id),
                scopes: refresh.scopes,
                issued_at: refresh.issued_at,
                expires_at: refresh.expires_at,
                is_access_token: false,
            })
        })))
    }
}

fn may_ask(client: &Client, about: ClientId) -> bool {
    client.id == about || client.scopes.contains(Scope::AdminRead)
}
