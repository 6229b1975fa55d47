//! Walking the chains: that every entry follows the one before, and that no detail was changed.
//!
//! What this alone cannot see is an end that was cut off, or a chain rewritten from somewhere on by
//! whoever owns the database. A signed head, kept elsewhere, does (`head`).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use ostler_core::audit::ChainHash;
use ostler_core::id::ChainId;
use ostler_core::time::Timestamp;

use super::act::digest_text;
use super::chain::{chain_hash, chains};
use crate::Store;
use crate::error::StoreError;
use crate::tx::{Link, on, row};
use crate::value::{AsJson, Millis, Text};

/// A chain that verifies, and where it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainReport {
    pub chain_id: ChainId,
    pub entries: i64,
    pub head: ChainHash,
}

/// The first thing that is wrong with a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("entry {seq} of chain {chain_id} {kind}")]
pub struct AuditFault {
    pub chain_id: ChainId,
    pub seq: i64,
    pub kind: FaultKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FaultKind {
    #[error("is missing")]
    Missing,
    #[error("does not follow the entry before it")]
    Unlinked,
    #[error("does not say what its hash says")]
    Rewritten,
    #[error("has a detail that its digest does not cover")]
    DetailChanged,
    #[error("is not the one that was signed")]
    NotAsSigned,
}

const STEP: i64 = 1000;
const ENTRIES: &str = "
    SELECT seq, at, prev_hash, hash, body FROM audit_entry
     WHERE chain_id = $1 AND seq > $2 ORDER BY seq LIMIT $3";
const DETAILS: &str = "
    SELECT d.seq, d.position, d.salt, d.detail, e.body
      FROM audit_detail d
      JOIN audit_entry e ON e.chain_id = d.chain_id AND e.seq = d.seq
     WHERE d.chain_id = $1 AND d.seq > $2 AND d.seq <= $3
     ORDER BY d.seq, d.position";

row! {
    struct LinkRow { seq: i64, at: Millis, prev_hash: Vec<u8>, hash: Vec<u8>, body: String }
}

row! {
    struct DetailRow {
        seq: i64,
        position: i64,
        salt: String,
        detail: String,
        body: AsJson<Vec<Map<String, Value>>>,
    }
}

impl Store {
    /// Walks every chain of the installation.
    pub async fn verify_audit(&self) -> Result<Result<Vec<ChainReport>, AuditFault>, StoreError> {
        verify_all(self.read().await?.link()).await
    }
}

pub(crate) async fn verify_all(mut link: Link<'_>) -> Result<Result<Vec<ChainReport>, AuditFault>, StoreError> {
    let mut reports = Vec::new();
    for chain_id in chains(link.again()).await? {
        match verify_chain(link.again(), chain_id).await? {
            Ok(report) => reports.push(report),
            Err(fault) => return Ok(Err(fault)),
        }
    }
    Ok(Ok(reports))
}

async fn verify_chain(mut link: Link<'_>, chain_id: ChainId) -> Result<Result<ChainReport, AuditFault>, StoreError> {
    let mut report = ChainReport {
        chain_id,
        entries: 0,
        head: ChainHash::GENESIS,
    };
    loop {
        let from = report.entries;
        let rows: Vec<LinkRow> = on!(link.again(), |db| sqlx::query_as(ENTRIES)
            .bind(Text(chain_id))
            .bind(from)
            .bind(STEP)
            .fetch_all(&mut *db)
            .await?);
        if rows.is_empty() {
            return Ok(Ok(report));
        }
        for row in rows {
            if let Err(kind) = step(&mut report, &row)? {
                return Ok(Err(AuditFault {
                    chain_id,
                    seq: report.entries + 1,
                    kind,
                }));
            }
        }
        if let Some(seq) = changed_detail(link.again(), chain_id, from, report.entries).await? {
            return Ok(Err(AuditFault {
                chain_id,
                seq,
                kind: FaultKind::DetailChanged,
            }));
        }
    }
}

/// Moves the report one entry on, if that entry is the next.
fn step(report: &mut ChainReport, row: &LinkRow) -> Result<Result<(), FaultKind>, StoreError> {
    let at: Timestamp = row.at.0;
    if row.seq != report.entries + 1 {
        return Ok(Err(FaultKind::Missing));
    }
    if chain_hash(&row.prev_hash)? != report.head {
        return Ok(Err(FaultKind::Unlinked));
    }
    let hash = report.head.extend(report.chain_id, row.seq, at, &row.body);
    if chain_hash(&row.hash)? != hash {
        return Ok(Err(FaultKind::Rewritten));
    }
    (report.entries, report.head) = (row.seq, hash);
    Ok(Ok(()))
}

/// The first entry in the range whose detail is there, but is not what the act's digest covers.
async fn changed_detail(link: Link<'_>, chain_id: ChainId, from: i64, to: i64) -> Result<Option<i64>, StoreError> {
    let rows: Vec<DetailRow> = on!(link, |db| sqlx::query_as(DETAILS)
        .bind(Text(chain_id))
        .bind(from)
        .bind(to)
        .fetch_all(&mut *db)
        .await?);
    Ok(rows.iter().find(|row| !row.is_covered()).map(|row| row.seq))
}

impl DetailRow {
    fn is_covered(&self) -> bool {
        let act = usize::try_from(self.position)
            .ok()
            .and_then(|position| self.body.0.get(position));
        let digest = act.and_then(|act| act.get("detail")).and_then(Value::as_str);
        let salt = URL_SAFE_NO_PAD
            .decode(&self.salt)
            .ok()
            .and_then(|salt| salt.try_into().ok());
        match (digest, salt) {
            (Some(digest), Some(salt)) => digest_text(&salt, &self.detail) == digest,
            (Some(_) | None, _) => false,
        }
    }
}
