//! What a customer has agreed that a client may ask for.

use ostler_core::id::{ClientId, CustomerId};
use ostler_core::scope::ScopeSet;
use ostler_core::time::Timestamp;

use crate::Store;
use crate::audit::{Act, Actor};
use crate::error::StoreError;
use crate::tx::{execute, on};
use crate::value::{Millis, Text};

const GIVEN: &str = "SELECT scopes FROM consent WHERE customer_id = $1 AND client_id = $2";
const GIVE: &str = "
    INSERT INTO consent (customer_id, client_id, scopes, given_at)
    VALUES ($1, $2, $3, $4)
    ON CONFLICT (customer_id, client_id) DO UPDATE SET scopes = excluded.scopes, given_at = excluded.given_at";

impl Store {
    pub async fn consent(&self, customer_id: CustomerId, client_id: ClientId) -> Result<ScopeSet, StoreError> {
        let mut conn = self.read().await?;
        let given: Option<(Text<ScopeSet>,)> = on!(conn.link(), |db| sqlx::query_as(GIVEN)
            .bind(Text(customer_id))
            .bind(Text(client_id))
            .fetch_optional(&mut *db)
            .await?);
        Ok(given.map_or(ScopeSet::EMPTY, |(Text(scopes),)| scopes))
    }

    /// `scopes` is all that is agreed to from now on.
    pub async fn remember_consent(
        &self,
        customer_id: CustomerId,
        client_id: ClientId,
        scopes: ScopeSet,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.write(now).await?;
        execute!(
            tx.link(),
            sqlx::query(GIVE)
                .bind(Text(customer_id))
                .bind(Text(client_id))
                .bind(Text(scopes))
                .bind(Millis(now))
        );
        let act = Act::new("consent.give", Actor::Customer(customer_id));
        tx.audit(act.about("client_id", client_id).about("scopes", scopes));
        tx.commit().await
    }
}
