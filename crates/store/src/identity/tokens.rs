//! Access tokens and the families they belong to.
//!
//! The look-up at every request is answered by the read model on SQLite and by one statement on
//! PostgreSQL. The statement joins all that a token's life depends on, so a token never outlives
//! its family, account, client or staff member, whatever was committed beside it.

use std::collections::BTreeSet;
use std::sync::Arc;

use ostler_core::caller::{Caller, Principal};
use ostler_core::id::{ClientId, CustomerId, ProductId, StaffId, TokenFamilyId};
use ostler_core::scope::ScopeSet;
use ostler_core::secret::SecretDigest;
use ostler_core::time::Timestamp;

use super::clients::reach;
use super::ending::{EndReason, Of, end_families};
use crate::Store;
use crate::audit::{Act, Actor};
use crate::error::StoreError;
use crate::read_model::{Change, TokenFacts, TokensOf};
use crate::tx::{Link, Tx, execute, on, row};
use crate::value::{AsJson, Digest, Millis, Text};

/// What one authorization yields.
#[derive(Debug, Clone)]
pub struct NewTokens {
    pub facts: Arc<TokenFacts>,
    pub refresh: Option<NewRefresh>,
}

#[derive(Debug, Clone, Copy)]
pub struct NewRefresh {
    pub digest: SecretDigest,
    /// Linking clients' refresh tokens know no end.
    pub expires_at: Option<Timestamp>,
}

macro_rules! live_tokens {
    () => {
        "SELECT t.digest, t.scopes, t.issued_at, t.expires_at, t.confirms, f.family_id, f.client_id,
                f.customer_id, f.staff_id, c.products AS client_products, s.products AS staff_products
           FROM access_token t
           JOIN token_family f ON f.family_id = t.family_id
           LEFT JOIN client c ON c.client_id = f.client_id
           LEFT JOIN customer u ON u.customer_id = f.customer_id
           LEFT JOIN staff s ON s.staff_id = f.staff_id
          WHERE f.ended_at IS NULL AND c.ended_at IS NULL AND s.ended_at IS NULL
            AND u.closed_at IS NULL AND u.locked_at IS NULL"
    };
}

const ALL: &str = live_tokens!();
const ONE: &str = concat!(live_tokens!(), " AND t.digest = $1 AND t.expires_at > $2");
const INSERT_FAMILY: &str = "
    INSERT INTO token_family (family_id, client_id, customer_id, staff_id, scopes, created_at)
    VALUES ($1, $2, $3, $4, $5, $6)";
const INSERT_ACCESS: &str = "
    INSERT INTO access_token (digest, family_id, scopes, issued_at, expires_at, confirms)
    VALUES ($1, $2, $3, $4, $5, $6)";
const INSERT_REFRESH: &str = "
    INSERT INTO refresh_token (digest, family_id, parent, issued_at, expires_at)
    VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (digest) DO NOTHING";
const END_ACCESS: &str = "DELETE FROM access_token WHERE digest = $1";
const CONFIRM: &str = "
    UPDATE refresh_token SET confirmed_at = $2, successor_salt = NULL
     WHERE digest = $1 AND confirmed_at IS NULL";
const CONFIRMED: &str = "UPDATE access_token SET confirms = NULL WHERE digest = $1";

row! {
    struct TokenRow {
        digest: Digest,
        scopes: Text<ScopeSet>,
        issued_at: Millis,
        expires_at: Millis,
        confirms: Option<Digest>,
        family_id: Text<TokenFamilyId>,
        client_id: Option<Text<ClientId>>,
        customer_id: Option<Text<CustomerId>>,
        staff_id: Option<Text<StaffId>>,
        client_products: Option<AsJson<BTreeSet<ProductId>>>,
        staff_products: Option<AsJson<BTreeSet<ProductId>>>,
    }
}

impl TokenRow {
    fn into_facts(self) -> Arc<TokenFacts> {
        let who = match (self.customer_id, self.staff_id) {
            (Some(Text(customer_id)), _) => Principal::Customer(customer_id),
            (None, Some(Text(staff_id))) => Principal::Staff {
                staff_id,
                products: reach(self.staff_products),
            },
            (None, None) => Principal::Machine {
                products: reach(self.client_products),
            },
        };
        let client_id = self
            .client_id
            .map_or(ClientId::STAFF_SESSION, |Text(client_id)| client_id);
        Arc::new(TokenFacts {
            caller: Caller {
                who,
                client_id,
                family_id: self.family_id.0,
                scopes: self.scopes.0,
                token: self.digest.0,
            },
            issued_at: self.issued_at.0,
            expires_at: self.expires_at.0,
            confirms: self.confirms.map(|Digest(digest)| digest),
        })
    }
}

/// Fills the read model.
pub(crate) async fn load_tokens(link: Link<'_>) -> Result<Vec<Arc<TokenFacts>>, StoreError> {
    let rows: Vec<TokenRow> = on!(link, |db| sqlx::query_as(ALL).fetch_all(&mut *db).await?);
    Ok(rows.into_iter().map(TokenRow::into_facts).collect())
}

impl Store {
    /// Who shows this token; `None` if it is unknown, ended or expired.
    pub async fn token_facts(
        &self,
        digest: &SecretDigest,
        now: Timestamp,
    ) -> Result<Option<Arc<TokenFacts>>, StoreError> {
        match self.shared.recall(|model| model.token(digest, now).cloned()).await? {
            Some(recalled) => Ok(recalled),
            None => Box::pin(self.token_facts_from_database(digest, now)).await,
        }
    }

    /// The same question asked of the database itself, on either.
    pub async fn token_facts_from_database(
        &self,
        digest: &SecretDigest,
        now: Timestamp,
    ) -> Result<Option<Arc<TokenFacts>>, StoreError> {
        let mut conn = self.read().await?;
        let row: Option<TokenRow> = on!(conn.link(), |db| sqlx::query_as(ONE)
            .bind(Digest(*digest))
            .bind(Millis(now))
            .fetch_optional(&mut *db)
            .await?);
        Ok(row.map(TokenRow::into_facts))
    }

    /// Tokens that no code and no refresh token stands for: of a machine or of a staff session.
    pub async fn issue_tokens(&self, tokens: &NewTokens, now: Timestamp) -> Result<(), StoreError> {
        let mut tx = self.write(now).await?;
        start_family(&mut tx, tokens).await?;
        if let Principal::Staff { staff_id, .. } = &tokens.facts.caller.who {
            let family_id = tokens.facts.caller.family_id;
            tx.audit(Act::new("staff.sign-in", Actor::Staff(*staff_id)).about("family_id", family_id));
        }
        tx.commit().await
    }

    /// The first use of an access token that answered a refresh: that answer has arrived.
    pub async fn confirm_refresh(
        &self,
        refresh: &SecretDigest,
        access: &SecretDigest,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.write(now).await?;
        confirm(tx.link(), refresh, now).await?;
        execute!(tx.link(), sqlx::query(CONFIRMED).bind(Digest(*access)));
        tx.change(Change::TokenConfirmed(*access));
        tx.commit().await
    }

    /// Ends one access token (RFC 7009 §2).
    pub async fn end_access_token(&self, digest: &SecretDigest, by: Actor, now: Timestamp) -> Result<(), StoreError> {
        let mut tx = self.write(now).await?;
        if execute!(tx.link(), sqlx::query(END_ACCESS).bind(Digest(*digest))) == 1 {
            tx.change(Change::TokensEnded(TokensOf::Digest(*digest)));
            tx.audit(Act::new("token.end", by));
        }
        tx.commit().await
    }

    /// Ends all that descends from one authorization. Ending it again changes nothing.
    pub async fn end_family(
        &self,
        family_id: TokenFamilyId,
        reason: EndReason,
        by: Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.write(now).await?;
        end_family(&mut tx, family_id, reason, by, now).await?;
        tx.commit().await
    }
}

pub(super) async fn start_family(tx: &mut Tx, tokens: &NewTokens) -> Result<(), StoreError> {
    let Caller {
        who,
        client_id,
        family_id,
        scopes,
        token: _,
    } = &tokens.facts.caller;
    let client_id = (*client_id != ClientId::STAFF_SESSION).then_some(*client_id);
    let staff_id = match who {
        Principal::Staff { staff_id, .. } => Some(*staff_id),
        Principal::Customer(_) | Principal::Machine { .. } => None,
    };
    execute!(
        tx.link(),
        sqlx::query(INSERT_FAMILY)
            .bind(Text(*family_id))
            .bind(client_id.map(Text))
            .bind(tokens.facts.caller.customer_id().map(Text))
            .bind(staff_id.map(Text))
            .bind(Text(*scopes))
            .bind(Millis(tokens.facts.issued_at))
    );
    insert_access(tx, &tokens.facts).await?;
    if let Some(refresh) = &tokens.refresh {
        insert_refresh(tx, *family_id, None, refresh, tokens.facts.issued_at).await?;
    }
    Ok(())
}

pub(super) async fn insert_access(tx: &mut Tx, facts: &Arc<TokenFacts>) -> Result<(), StoreError> {
    execute!(
        tx.link(),
        sqlx::query(INSERT_ACCESS)
            .bind(Digest(facts.caller.token))
            .bind(Text(facts.caller.family_id))
            .bind(Text(facts.caller.scopes))
            .bind(Millis(facts.issued_at))
            .bind(Millis(facts.expires_at))
            .bind(facts.confirms.map(Digest))
    );
    tx.change(Change::TokenIssued(Arc::clone(facts)));
    Ok(())
}

/// A successor that is there already was derived by an earlier try of the same request.
pub(super) async fn insert_refresh(
    tx: &mut Tx,
    family_id: TokenFamilyId,
    parent: Option<SecretDigest>,
    refresh: &NewRefresh,
    now: Timestamp,
) -> Result<(), StoreError> {
    execute!(
        tx.link(),
        sqlx::query(INSERT_REFRESH)
            .bind(Digest(refresh.digest))
            .bind(Text(family_id))
            .bind(parent.map(Digest))
            .bind(Millis(now))
            .bind(refresh.expires_at.map(Millis))
    );
    Ok(())
}

pub(super) async fn confirm(link: Link<'_>, refresh: &SecretDigest, now: Timestamp) -> Result<(), StoreError> {
    execute!(link, sqlx::query(CONFIRM).bind(Digest(*refresh)).bind(Millis(now)));
    Ok(())
}

pub(super) async fn end_family(
    tx: &mut Tx,
    family_id: TokenFamilyId,
    reason: EndReason,
    by: Actor,
    now: Timestamp,
) -> Result<(), StoreError> {
    if end_families(tx.link(), Of::Family(family_id), reason, now).await? == 1 {
        tx.change(Change::TokensEnded(TokensOf::Family(family_id)));
        tx.audit(
            Act::new("token-family.end", by)
                .about("family_id", family_id)
                .about("reason", reason),
        );
    }
    Ok(())
}
