//! Signed-in browsers.

use ostler_core::id::{CustomerId, SessionId};
use ostler_core::secret::SecretDigest;
use ostler_core::time::Timestamp;

use crate::Store;
use crate::audit::{Act, Actor};
use crate::error::StoreError;
use crate::tx::{execute, on, row};
use crate::value::{Digest, Millis, Text};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoginSession {
    pub id: SessionId,
    pub customer_id: CustomerId,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}

const INSERT: &str = "
    INSERT INTO login_session (digest, session_id, customer_id, created_at, expires_at)
    VALUES ($1, $2, $3, $4, $5)";
const LIVE: &str = "
    SELECT s.session_id, s.customer_id, s.created_at, s.expires_at
      FROM login_session s
      JOIN customer c ON c.customer_id = s.customer_id
     WHERE s.digest = $1 AND s.expires_at > $2 AND c.locked_at IS NULL AND c.closed_at IS NULL";
const END: &str = "DELETE FROM login_session WHERE digest = $1";

row! {
    struct SessionRow {
        session_id: Text<SessionId>,
        customer_id: Text<CustomerId>,
        created_at: Millis,
        expires_at: Millis,
    }
}

impl Store {
    /// A new sign-in. The session that the browser had before, if any, ends with it: nobody can
    /// have planted it in the hope that it becomes somebody's (session fixation).
    pub async fn start_session(
        &self,
        digest: SecretDigest,
        session: &LoginSession,
        replaces: Option<SecretDigest>,
    ) -> Result<(), StoreError> {
        let mut tx = self.write(session.created_at).await?;
        if let Some(former) = replaces {
            execute!(tx.link(), sqlx::query(END).bind(Digest(former)));
        }
        execute!(
            tx.link(),
            sqlx::query(INSERT)
                .bind(Digest(digest))
                .bind(Text(session.id))
                .bind(Text(session.customer_id))
                .bind(Millis(session.created_at))
                .bind(Millis(session.expires_at))
        );
        let by = Actor::Customer(session.customer_id);
        tx.audit(Act::new("customer.sign-in", by).about("session_id", session.id));
        tx.commit().await
    }

    pub async fn session(&self, digest: &SecretDigest, now: Timestamp) -> Result<Option<LoginSession>, StoreError> {
        let mut conn = self.read().await?;
        let row: Option<SessionRow> = on!(conn.link(), |db| sqlx::query_as(LIVE)
            .bind(Digest(*digest))
            .bind(Millis(now))
            .fetch_optional(&mut *db)
            .await?);
        Ok(row.map(|row| LoginSession {
            id: row.session_id.0,
            customer_id: row.customer_id.0,
            created_at: row.created_at.0,
            expires_at: row.expires_at.0,
        }))
    }

    pub async fn end_session(&self, digest: &SecretDigest, now: Timestamp) -> Result<(), StoreError> {
        let mut tx = self.write(now).await?;
        execute!(tx.link(), sqlx::query(END).bind(Digest(*digest)));
        tx.commit().await
    }
}
