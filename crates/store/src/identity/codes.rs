//! Authorization codes: issued once, redeemed once.

use ostler_core::id::{ClientId, CustomerId, TokenFamilyId};
use ostler_core::scope::ScopeSet;
use ostler_core::secret::SecretDigest;
use ostler_core::time::Timestamp;

use super::ending::EndReason;
use super::tokens::{NewTokens, end_family, start_family};
use crate::Store;
use crate::audit::{Act, Actor};
use crate::error::StoreError;
use crate::tx::{execute, on, row};
use crate::value::{Digest, Millis, Text};

/// What a code was issued for, and what whoever redeems it must match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeRecord {
    pub client_id: ClientId,
    pub customer_id: CustomerId,
    /// As the authorization request named it, if it did (RFC 6749 §4.1.3).
    pub redirect_uri: Option<String>,
    /// RFC 7636 §4.3, by the method S256.
    pub code_challenge: Option<String>,
    pub scopes: ScopeSet,
    pub expires_at: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeRedeemed {
    Issued,
    /// Unknown, expired, another client's, or shown without what it was bound to.
    Refused,
    /// It was redeemed before: what was issued then has ended now.
    Reused(Option<TokenFamilyId>),
}

const INSERT: &str = "
    INSERT INTO authorization_code
           (digest, client_id, customer_id, redirect_uri, code_challenge, scopes, expires_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7)";
const FOUND: &str = "
    SELECT a.client_id, a.customer_id, a.redirect_uri, a.code_challenge, a.scopes, a.expires_at, a.used_at, a.family_id
      FROM authorization_code a
      JOIN customer c ON c.customer_id = a.customer_id
     WHERE a.digest = $1 AND a.client_id = $2 AND c.locked_at IS NULL AND c.closed_at IS NULL";
const USE: &str = "
    UPDATE authorization_code SET used_at = $2, family_id = $3
     WHERE digest = $1 AND used_at IS NULL AND expires_at > $2";
const FAMILY: &str = "SELECT family_id FROM authorization_code WHERE digest = $1";

row! {
    struct CodeRow {
        client_id: Text<ClientId>,
        customer_id: Text<CustomerId>,
        redirect_uri: Option<String>,
        code_challenge: Option<String>,
        scopes: Text<ScopeSet>,
        expires_at: Millis,
        used_at: Option<Millis>,
        family_id: Option<Text<TokenFamilyId>>,
    }
}

impl Store {
    pub async fn store_code(&self, digest: SecretDigest, code: &CodeRecord, now: Timestamp) -> Result<(), StoreError> {
        let mut tx = self.write(now).await?;
        execute!(
            tx.link(),
            sqlx::query(INSERT)
                .bind(Digest(digest))
                .bind(Text(code.client_id))
                .bind(Text(code.customer_id))
                .bind(&code.redirect_uri)
                .bind(&code.code_challenge)
                .bind(Text(code.scopes))
                .bind(Millis(code.expires_at))
        );
        tx.commit().await
    }

    /// Exchanges a code for the tokens that `judge` makes of what it was issued for, or refuses by
    /// returning `None`. `judge` decides from its argument alone.
    pub async fn redeem_code(
        &self,
        digest: &SecretDigest,
        client_id: ClientId,
        now: Timestamp,
        judge: impl FnOnce(&CodeRecord) -> Option<NewTokens>,
    ) -> Result<CodeRedeemed, StoreError> {
        let mut tx = self.write(now).await?;
        let found: Option<CodeRow> = on!(tx.link(), |db| sqlx::query_as(FOUND)
            .bind(Digest(*digest))
            .bind(Text(client_id))
            .fetch_optional(&mut *db)
            .await?);
        let Some(row) = found else {
            return Ok(CodeRedeemed::Refused);
        };
        let by = Actor::Customer(row.customer_id.0);
        let (used_at, family_id) = (row.used_at, row.family_id);
        if used_at.is_none() {
            let code = row_into_record(row);
            let Some(tokens) = judge(&code).filter(|_| now < code.expires_at) else {
                return Ok(CodeRedeemed::Refused);
            };
            let family_id = tokens.facts.caller.family_id;
            // Whoever takes the code first has it: on PostgreSQL another instance may have read it, too.
            let taken = execute!(
                tx.link(),
                sqlx::query(USE)
                    .bind(Digest(*digest))
                    .bind(Millis(now))
                    .bind(Text(family_id))
            );
            if taken == 1 {
                start_family(&mut tx, &tokens).await?;
                let act = Act::new("authorization.redeem", by).about("client_id", client_id);
                tx.audit(act.about("family_id", family_id).about("scopes", code.scopes));
                tx.commit().await?;
                return Ok(CodeRedeemed::Issued);
            }
        }
        let issued = match family_id {
            Some(Text(family_id)) => Some(family_id),
            None => {
                let taken: Option<(Option<Text<TokenFamilyId>>,)> = on!(tx.link(), |db| sqlx::query_as(FAMILY)
                    .bind(Digest(*digest))
                    .fetch_optional(&mut *db)
                    .await?);
                taken
                    .and_then(|(family_id,)| family_id)
                    .map(|Text(family_id)| family_id)
            }
        };
        if let Some(family_id) = issued {
            end_family(&mut tx, family_id, EndReason::CodeReused, by, now).await?;
            tx.commit().await?;
        }
        Ok(CodeRedeemed::Reused(issued))
    }
}

fn row_into_record(row: CodeRow) -> CodeRecord {
    CodeRecord {
        client_id: row.client_id.0,
        customer_id: row.customer_id.0,
        redirect_uri: row.redirect_uri,
        code_challenge: row.code_challenge,
        scopes: row.scopes.0,
        expires_at: row.expires_at.0,
    }
}
