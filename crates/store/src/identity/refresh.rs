//! Refresh tokens: rotated by one atomic statement, or used again and again by linking clients.
//!
//! A rotated token's successor is derived, by the use case, from the token itself and a salt that is
//! kept here until the successor, or an access token that came with it, was used. So a client whose
//! answer was lost asks again and gets the very same successor: there is one line of tokens, never
//! two. Once something was used, showing the old token proves that two parties have it, and the
//! family ends (RFC 9700 §4.14.2).

use ostler_core::id::{ClientId, CustomerId, TokenFamilyId};
use ostler_core::scope::ScopeSet;
use ostler_core::secret::SecretDigest;
use ostler_core::time::Timestamp;

use super::ending::EndReason;
use super::tokens::{NewTokens, confirm, end_family, insert_access, insert_refresh};
use crate::Store;
use crate::audit::Actor;
use crate::error::StoreError;
use crate::tx::{Tx, on, row};
use crate::value::{Digest, Millis, Text};

/// What a refresh token stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefreshRecord {
    pub family_id: TokenFamilyId,
    pub customer_id: CustomerId,
    /// As the customer granted them; an access token may have fewer (RFC 6749 §6).
    pub scopes: ScopeSet,
    pub issued_at: Timestamp,
    pub expires_at: Option<Timestamp>,
}

/// How to rotate.
#[derive(Debug, Clone, Copy)]
pub struct Rotation {
    pub now: Timestamp,
    /// A token first exchanged at or after this is still taken, for its answer may have been lost.
    pub tolerated_since: Timestamp,
    /// Used if this is the first exchange; a repetition finds the one of the first.
    pub salt: [u8; 32],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refreshed {
    Issued,
    /// Unknown, expired, ended, or another client's.
    Refused,
    /// Its successor was used, or it was replaced too long ago: the family has ended now.
    Reused(TokenFamilyId),
}

const ROTATE: &str = "
    UPDATE refresh_token
       SET replaced_at = COALESCE(replaced_at, $2), successor_salt = COALESCE(successor_salt, $3)
     WHERE digest = $1 AND confirmed_at IS NULL
       AND (replaced_at IS NULL OR replaced_at >= $4)
       AND (expires_at IS NULL OR expires_at > $2)
       AND EXISTS (SELECT 1 FROM token_family f
                    WHERE f.family_id = refresh_token.family_id AND f.client_id = $5 AND f.ended_at IS NULL)
    RETURNING successor_salt";
const FOUND: &str = "
    SELECT r.family_id, r.parent, r.issued_at, r.expires_at, r.replaced_at, f.customer_id, f.scopes
      FROM refresh_token r
      JOIN token_family f ON f.family_id = r.family_id
      JOIN customer c ON c.customer_id = f.customer_id
     WHERE r.digest = $1 AND f.client_id = $2 AND f.ended_at IS NULL
       AND c.locked_at IS NULL AND c.closed_at IS NULL";

row! {
    struct RefreshRow {
        family_id: Text<TokenFamilyId>,
        parent: Option<Digest>,
        issued_at: Millis,
        expires_at: Option<Millis>,
        replaced_at: Option<Millis>,
        customer_id: Text<CustomerId>,
        scopes: Text<ScopeSet>,
    }
}

impl RefreshRow {
    fn record(&self) -> RefreshRecord {
        RefreshRecord {
            family_id: self.family_id.0,
            customer_id: self.customer_id.0,
            scopes: self.scopes.0,
            issued_at: self.issued_at.0,
            expires_at: self.expires_at.map(|Millis(at)| at),
        }
    }

    fn has_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|Millis(at)| at <= now)
    }
}

impl Store {
    /// Exchanges a refresh token for the tokens that `issue` makes of it and of the salt, or leaves
    /// it untouched if `issue` returns `None`. `issue` decides from its arguments alone.
    pub async fn rotate_refresh(
        &self,
        digest: &SecretDigest,
        client_id: ClientId,
        rotation: Rotation,
        issue: impl FnOnce(&RefreshRecord, &[u8; 32]) -> Option<NewTokens>,
    ) -> Result<Refreshed, StoreError> {
        let now = rotation.now;
        let mut tx = self.write(now).await?;
        let salt: Option<(Vec<u8>,)> = on!(tx.link(), |db| sqlx::query_as(ROTATE)
            .bind(Digest(*digest))
            .bind(Millis(now))
            .bind(rotation.salt.to_vec())
            .bind(Millis(rotation.tolerated_since))
            .bind(Text(client_id))
            .fetch_optional(&mut *db)
            .await?);
        let Some(row) = found(&mut tx, digest, client_id).await? else {
            return Ok(Refreshed::Refused);
        };
        let Some((salt,)) = salt else {
            return refuse(tx, &row, now).await;
        };
        let salt: [u8; 32] = salt
            .try_into()
            .map_err(|_| StoreError::inconsistent("a refresh token's salt"))?;
        let Some(tokens) = issue(&row.record(), &salt) else {
            return Ok(Refreshed::Refused);
        };
        insert_access(&mut tx, &tokens.facts).await?;
        if let Some(successor) = &tokens.refresh {
            insert_refresh(&mut tx, row.family_id.0, Some(*digest), successor, now).await?;
        }
        if let Some(Digest(parent)) = &row.parent {
            confirm(tx.link(), parent, now).await?;
        }
        tx.commit().await?;
        Ok(Refreshed::Issued)
    }

    /// A linking client's exchange: its refresh token stays as it is.
    pub async fn use_refresh(
        &self,
        digest: &SecretDigest,
        client_id: ClientId,
        now: Timestamp,
        issue: impl FnOnce(&RefreshRecord) -> Option<NewTokens>,
    ) -> Result<Refreshed, StoreError> {
        let mut tx = self.write(now).await?;
        let row = found(&mut tx, digest, client_id).await?;
        let live = row.filter(|row| row.replaced_at.is_none() && !row.has_expired(now));
        let Some(tokens) = live.and_then(|row| issue(&row.record())) else {
            return Ok(Refreshed::Refused);
        };
        insert_access(&mut tx, &tokens.facts).await?;
        tx.commit().await?;
        Ok(Refreshed::Issued)
    }

    /// What a live refresh token of this client stands for.
    pub async fn refresh_record(
        &self,
        digest: &SecretDigest,
        client_id: ClientId,
        now: Timestamp,
    ) -> Result<Option<RefreshRecord>, StoreError> {
        let mut conn = self.read().await?;
        let row: Option<RefreshRow> = on!(conn.link(), |db| sqlx::query_as(FOUND)
            .bind(Digest(*digest))
            .bind(Text(client_id))
            .fetch_optional(&mut *db)
            .await?);
        Ok(row.filter(|row| !row.has_expired(now)).map(|row| row.record()))
    }
}

async fn found(tx: &mut Tx, digest: &SecretDigest, client_id: ClientId) -> Result<Option<RefreshRow>, StoreError> {
    Ok(on!(tx.link(), |db| sqlx::query_as(FOUND)
        .bind(Digest(*digest))
        .bind(Text(client_id))
        .fetch_optional(&mut *db)
        .await?))
}

/// Why the statement took nothing: the time has run out, or the token was replaced for good.
async fn refuse(mut tx: Tx, row: &RefreshRow, now: Timestamp) -> Result<Refreshed, StoreError> {
    if row.replaced_at.is_none() {
        return Ok(Refreshed::Refused);
    }
    let by = Actor::Customer(row.customer_id.0);
    end_family(&mut tx, row.family_id.0, EndReason::RefreshReused, by, now).await?;
    tx.commit().await?;
    Ok(Refreshed::Reused(row.family_id.0))
}
