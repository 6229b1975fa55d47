//! Extending this instance's chain, one entry per commit.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use ostler_core::audit::ChainHash;
use ostler_core::id::ChainId;
use ostler_core::port::Entropy;
use ostler_core::time::Timestamp;

use super::act::{Act, Salted, written};
use crate::db::Shared;
use crate::dialect::json_rows;
use crate::error::StoreError;
use crate::tx::{Link, execute, on, row};
use crate::value::{Millis, Text};

/// The last entry of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChainHead {
    pub seq: i64,
    pub hash: ChainHash,
}

const CHAINS: &str = "SELECT chain_id FROM audit_chain ORDER BY created_at, chain_id";
const NEW_CHAIN: &str = "INSERT INTO audit_chain (chain_id, created_at) VALUES ($1, $2)";
const HEAD: &str = "
    SELECT seq, hash FROM audit_entry WHERE chain_id = $1 ORDER BY seq DESC LIMIT 1";
/// Also of a chain that has no entry yet. By its key, so that it costs the same however long a chain is.
const HEADS: &str = "
    SELECT c.chain_id, e.seq, e.hash
      FROM audit_chain c
      LEFT JOIN audit_entry e ON e.chain_id = c.chain_id
       AND e.seq = (SELECT MAX(l.seq) FROM audit_entry l WHERE l.chain_id = c.chain_id)
     ORDER BY c.created_at, c.chain_id";
const EXTEND: &str = "
    INSERT INTO audit_entry (chain_id, seq, at, prev_hash, hash, body)
    VALUES ($1, $2, $3, $4, $5, $6)";
const DETAILS: crate::dialect::Pair = json_rows!(
    "INSERT INTO audit_detail (chain_id, seq, position, subject, salt, detail)
     SELECT $2, $3, CAST(value->>0 AS BIGINT), value->>1, value->>2, value->>3
       FROM ",
    ""
);

row! {
    struct HeadRow { chain_id: Text<ChainId>, seq: Option<i64>, hash: Option<Vec<u8>> }
}

pub(crate) async fn chains(link: Link<'_>) -> Result<Vec<ChainId>, StoreError> {
    let rows: Vec<(Text<ChainId>,)> = on!(link, |db| sqlx::query_as(CHAINS).fetch_all(&mut *db).await?);
    Ok(rows.into_iter().map(|(Text(chain_id),)| chain_id).collect())
}

pub(crate) async fn begin_chain(link: Link<'_>, chain_id: ChainId, now: Timestamp) -> Result<(), StoreError> {
    execute!(link, sqlx::query(NEW_CHAIN).bind(Text(chain_id)).bind(Millis(now)));
    Ok(())
}

/// The oldest chain, for a database that only one process extends; a first one if there is none.
pub(crate) async fn adopt_chain(
    mut link: Link<'_>,
    entropy: &dyn Entropy,
    now: Timestamp,
) -> Result<ChainId, StoreError> {
    if let Some(chain_id) = chains(link.again()).await?.first() {
        return Ok(*chain_id);
    }
    let chain_id = ChainId::draw(now, entropy);
    begin_chain(link, chain_id, now).await?;
    Ok(chain_id)
}

/// The entry that follows a head.
pub(crate) struct ChainEntry {
    pub previous: ChainHash,
    /// The chain's head, once this is committed.
    pub head: ChainHead,
    pub at: Timestamp,
    pub body: String,
}

impl ChainEntry {
    /// With acts that have no details (see [`Act::with_detail`]); none without acts.
    pub fn follow(head: &ChainHead, chain_id: ChainId, acts: &[Act], at: Timestamp) -> Option<Self> {
        (!acts.is_empty()).then(|| Self::after(head, chain_id, acts, at))
    }

    fn after(head: &ChainHead, chain_id: ChainId, acts: &[Act], at: Timestamp) -> Self {
        let body = written(acts);
        let seq = head.seq + 1;
        let hash = head.hash.extend(chain_id, seq, at, &body);
        Self {
            previous: head.hash,
            head: ChainHead { seq, hash },
            at,
            body,
        }
    }
}

/// Adds one entry with these acts and returns the new head, which counts once the commit has.
pub(crate) async fn append(
    mut link: Link<'_>,
    shared: &Shared,
    known: Option<ChainHead>,
    acts: Vec<Act>,
    now: Timestamp,
) -> Result<ChainHead, StoreError> {
    let head = match known {
        Some(head) => head,
        None => read_head(link.again(), shared.chain_id).await?,
    };
    let (acts, details) = split(acts, &*shared.entropy);
    let entry = ChainEntry::after(&head, shared.chain_id, &acts, now);
    execute!(
        link.again(),
        sqlx::query(EXTEND)
            .bind(Text(shared.chain_id))
            .bind(entry.head.seq)
            .bind(Millis(now))
            .bind(entry.previous.0.to_vec())
            .bind(entry.head.hash.0.to_vec())
            .bind(entry.body)
    );
    if !details.is_empty() {
        write_details(link, shared.chain_id, entry.head.seq, &details).await?;
    }
    Ok(entry.head)
}

pub(crate) async fn read_head(link: Link<'_>, chain_id: ChainId) -> Result<ChainHead, StoreError> {
    let last: Option<(i64, Vec<u8>)> = on!(link, |db| sqlx::query_as(HEAD)
        .bind(Text(chain_id))
        .fetch_optional(&mut *db)
        .await?);
    match last {
        Some((seq, hash)) => Ok(ChainHead {
            seq,
            hash: chain_hash(&hash)?,
        }),
        None => Ok(ChainHead {
            seq: 0,
            hash: ChainHash::GENESIS,
        }),
    }
}

/// Where each chain of the installation ends, by one statement: at one instant.
pub(super) async fn heads(link: Link<'_>) -> Result<Vec<(ChainId, ChainHead)>, StoreError> {
    let rows: Vec<HeadRow> = on!(link, |db| sqlx::query_as(HEADS).fetch_all(&mut *db).await?);
    rows.into_iter()
        .map(|HeadRow { chain_id, seq, hash }| {
            let hash = hash.map_or(Ok(ChainHash::GENESIS), |hash| chain_hash(&hash))?;
            let seq = seq.unwrap_or(0);
            Ok((chain_id.0, ChainHead { seq, hash }))
        })
        .collect()
}

pub(super) fn chain_hash(bytes: &[u8]) -> Result<ChainHash, StoreError> {
    bytes
        .try_into()
        .map(ChainHash)
        .map_err(|error| StoreError::unreadable("the hash of an audit entry", error))
}

fn split(acts: Vec<Act>, entropy: &dyn Entropy) -> (Vec<Act>, Vec<(usize, Salted)>) {
    let mut details = Vec::new();
    let acts = acts
        .into_iter()
        .enumerate()
        .map(|(position, act)| {
            let (act, salted) = act.split(entropy);
            details.extend(salted.map(|salted| (position, salted)));
            act
        })
        .collect();
    (acts, details)
}

async fn write_details(
    link: Link<'_>,
    chain_id: ChainId,
    seq: i64,
    details: &[(usize, Salted)],
) -> Result<(), StoreError> {
    let rows: Vec<_> = details
        .iter()
        .map(|(position, Salted { detail, salt })| {
            (position, detail.subject, URL_SAFE_NO_PAD.encode(salt), &detail.text)
        })
        .collect();
    let rows = serde_json::to_string(&rows).expect("a detail is text");
    let sql = DETAILS.of(link.dialect());
    execute!(link, sqlx::query(sql).bind(rows).bind(Text(chain_id)).bind(seq));
    Ok(())
}
