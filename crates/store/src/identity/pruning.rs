//! Forgetting what has ended. Nothing depends on it but the size of the tables.

use ostler_core::time::Timestamp;

use crate::Store;
use crate::error::StoreError;
use crate::read_model::{Change, TokensOf};
use crate::tx::execute;
use crate::value::Millis;

const ACCESS_TOKENS: &str = "DELETE FROM access_token WHERE expires_at <= $1";
const SESSIONS: &str = "DELETE FROM login_session WHERE expires_at <= $1";
/// A used code is kept for a while: its second coming must still be recognised.
const CODES: &str = "DELETE FROM authorization_code WHERE expires_at <= $1";
const REFRESH_TOKENS: &str = "
    DELETE FROM refresh_token
     WHERE (expires_at IS NOT NULL AND expires_at <= $1)
        OR family_id IN (SELECT family_id FROM token_family WHERE ended_at <= $1)";
const FAMILIES: &str = "
    DELETE FROM token_family
     WHERE created_at <= $1
       AND NOT EXISTS (SELECT 1 FROM access_token t WHERE t.family_id = token_family.family_id)
       AND NOT EXISTS (SELECT 1 FROM refresh_token r WHERE r.family_id = token_family.family_id)";

impl Store {
    /// Removes what ran out by `now`, and by `kept_since` what is kept to recognise reuse.
    pub async fn prune_identity(&self, now: Timestamp, kept_since: Timestamp) -> Result<(), StoreError> {
        let mut tx = self.write(now).await?;
        for (sql, until) in [
            (ACCESS_TOKENS, now),
            (SESSIONS, now),
            (CODES, kept_since),
            (REFRESH_TOKENS, kept_since),
            (FAMILIES, kept_since),
        ] {
            execute!(tx.link(), sqlx::query(sql).bind(Millis(until)));
        }
        tx.change(Change::TokensEnded(TokensOf::ExpiredBy(now)));
        tx.commit().await
    }
}
