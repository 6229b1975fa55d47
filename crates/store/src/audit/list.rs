//! Reading the chain: what was done, with what has not been erased of it.

use std::collections::HashMap;

use serde_json::{Map, Value};

use ostler_core::id::{ChainId, CustomerId};
use ostler_core::time::Timestamp;

use crate::Store;
use crate::dialect::{Pair, json_rows};
use crate::error::StoreError;
use crate::page::{Listed, Page};
use crate::tx::{execute, on, row};
use crate::value::{AsJson, Millis, Text};

use super::{Act, Actor};

/// Where an entry stands among those of all chains: by time, then chain, then number. On SQLite there is one
/// chain, whose numbers say the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditCursor {
    pub at: Timestamp,
    pub chain_id: ChainId,
    pub seq: i64,
}

/// One commit's acts.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEntry {
    pub at: Timestamp,
    pub chain_id: ChainId,
    pub seq: i64,
    pub acts: Vec<RecordedAct>,
}

impl AuditEntry {
    pub const fn cursor(&self) -> AuditCursor {
        AuditCursor {
            at: self.at,
            chain_id: self.chain_id,
            seq: self.seq,
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct RecordedAct {
    /// `act`, `actor`, and what it was about.
    pub members: Map<String, Value>,
    /// What lies beside the chain; `None` if there never was any, or it has been erased.
    pub detail: Option<Value>,
}

/// The oldest first.
const ENTRIES: Pair = Pair {
    sqlite: "
    SELECT chain_id, seq, at, body FROM audit_entry WHERE seq > COALESCE($1, 0) ORDER BY seq LIMIT $2",
    postgres: "
    SELECT chain_id, seq, at, body FROM audit_entry
     WHERE $1 IS NULL OR (at, chain_id, seq) > ($3, $4, $1)
     ORDER BY at, chain_id, seq LIMIT $2",
};
const DETAILS: Pair = json_rows!(
    "SELECT d.chain_id, d.seq, d.position, d.detail
       FROM audit_detail d
       JOIN (SELECT value->>0 AS chain_id, CAST(value->>1 AS BIGINT) AS seq FROM ",
    ") AS wanted ON wanted.chain_id = d.chain_id AND wanted.seq = d.seq"
);
const ERASE: &str = "DELETE FROM audit_detail WHERE subject = $1";

row! {
    struct EntryRow {
        chain_id: Text<ChainId>,
        seq: i64,
        at: Millis,
        body: AsJson<Vec<Map<String, Value>>>,
    }
}

row! {
    struct DetailRow { chain_id: Text<ChainId>, seq: i64, position: i64, detail: AsJson<Value> }
}

impl Store {
    pub async fn audit_entries(&self, page: Page<AuditCursor>) -> Result<Listed<AuditEntry>, StoreError> {
        let mut conn = self.read().await?;
        let sql = ENTRIES.of(conn.link().dialect());
        let rows: Vec<EntryRow> = on!(conn.link(), |db| sqlx::query_as(sql)
            .bind(page.after.map(|cursor| cursor.seq))
            .bind(page.rows())
            .bind(page.after.map(|cursor| Millis(cursor.at)))
            .bind(page.after.map(|cursor| Text(cursor.chain_id)))
            .fetch_all(&mut *db)
            .await?);
        let wanted: Vec<_> = rows.iter().map(|row| (row.chain_id.0, row.seq)).collect();
        let sql = DETAILS.of(conn.link().dialect());
        let details: Vec<DetailRow> = on!(conn.link(), |db| sqlx::query_as(sql)
            .bind(AsJson(&wanted))
            .fetch_all(&mut *db)
            .await?);
        let mut details: HashMap<_, _> = details
            .into_iter()
            .map(|row| ((row.chain_id.0, row.seq, row.position), row.detail.0))
            .collect();
        let entries = rows.into_iter().map(|row| row.into_entry(&mut details)).collect();
        Ok(Listed::cut(entries, &page))
    }

    /// Erases what the chain knows of a customer beside ids. The chain stays verifiable; that it
    /// was done is itself an act. Says how many details there were.
    pub async fn erase_audit_details(
        &self,
        customer_id: CustomerId,
        by: Actor,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let mut tx = self.write(now).await?;
        let erased = execute!(tx.link(), sqlx::query(ERASE).bind(Text(customer_id)));
        tx.audit(
            Act::new("audit.erase", by)
                .about("customer_id", customer_id)
                .about("details", erased),
        );
        tx.commit().await?;
        Ok(erased)
    }
}

impl EntryRow {
    fn into_entry(self, details: &mut HashMap<(ChainId, i64, i64), Value>) -> AuditEntry {
        let (chain_id, seq) = (self.chain_id.0, self.seq);
        let acts = (0..)
            .zip(self.body.0)
            .map(|(position, members)| RecordedAct {
                members,
                detail: details.remove(&(chain_id, seq, position)),
            })
            .collect();
        AuditEntry {
            at: self.at.0,
            chain_id,
            seq,
            acts,
        }
    }
}
