//! `/admin/v1/audit`: every act of staff, customers and machines, in the order in which it was done.

use std::fmt;
use std::str::FromStr;

use axum::extract::State;
use ostler_app::admin::{AuditCursor, AuditEntry, AuditError, ChainPoint, Page, RecordedAct, SignedHead};
use ostler_core::time::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

use super::access::Reader;
use crate::error::{ApiError, Refusal, from_store};
use crate::extract::{Json, Query};
use crate::list::{ListQuery, ListResponse};
use crate::problem::{Code, Problem};
use crate::refusals::{Bearer, Input};
use crate::state::ServerState;

/// One commit's acts, bound into a chain of hashes.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = AuditEntry)]
pub struct AuditEntryResponse {
    #[schema(example = "chn_01h455vb4pex5vsknk084sn02q")]
    chain_id: String,
    #[schema(example = 17)]
    seq: i64,
    #[schema(format = DateTime)]
    at: String,
    acts: Vec<ActResponse>,
}

/// Who did what, with the ids of what it was about.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = AuditAct)]
pub struct ActResponse {
    /// `act`, `actor`, and ids.
    #[serde(flatten)]
    #[schema(example = json!({"act": "grant.create", "actor": "stf_01h455vb4pex5vsknk084sn02q"}))]
    members: Map<String, Value>,
    /// What is kept beside the chain; absent if there is none, or it was erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    said: Option<Value>,
}

/// Where each chain ended at a time, signed with a key that is not in the database.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = AuditHead)]
pub struct HeadResponse {
    #[schema(example = "ostler-audit-head-1")]
    format: String,
    #[schema(format = DateTime)]
    at: String,
    chains: Vec<PointResponse>,
    /// Ed25519 (RFC 8032), base64url.
    public_key: String,
    signature: String,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = AuditChainPoint)]
pub struct PointResponse {
    chain_id: String,
    seq: i64,
    /// base64url.
    hash: String,
}

impl From<&AuditEntry> for AuditEntryResponse {
    fn from(entry: &AuditEntry) -> Self {
        Self {
            chain_id: entry.chain_id.to_string(),
            seq: entry.seq,
            at: entry.at.to_string(),
            acts: entry.acts.iter().map(ActResponse::from).collect(),
        }
    }
}

impl From<&RecordedAct> for ActResponse {
    fn from(act: &RecordedAct) -> Self {
        Self {
            members: act.members.clone(),
            said: act.detail.clone(),
        }
    }
}

impl From<SignedHead> for HeadResponse {
    fn from(head: SignedHead) -> Self {
        Self {
            format: head.format,
            at: head.at.to_string(),
            chains: head.chains.into_iter().map(PointResponse::from).collect(),
            public_key: head.public_key,
            signature: head.signature,
        }
    }
}

impl From<ChainPoint> for PointResponse {
    fn from(point: ChainPoint) -> Self {
        Self {
            chain_id: point.chain_id.to_string(),
            seq: point.seq,
            hash: point.hash,
        }
    }
}

/// An entry's place in the list, as a cursor writes it: `<ms>.<chain>.<seq>`.
struct Place(AuditCursor);

#[derive(Debug)]
struct NoPlace;

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(AuditCursor { at, chain_id, seq }) = self;
        write!(f, "{}.{chain_id}.{seq}", at.millis())
    }
}

impl FromStr for Place {
    type Err = NoPlace;

    fn from_str(text: &str) -> Result<Self, NoPlace> {
        let (at, rest) = text.split_once('.').ok_or(NoPlace)?;
        let (chain_id, seq) = rest.split_once('.').ok_or(NoPlace)?;
        Ok(Self(AuditCursor {
            at: Timestamp::from_millis(at.parse().map_err(|_| NoPlace)?),
            chain_id: chain_id.parse().map_err(|_| NoPlace)?,
            seq: seq.parse().map_err(|_| NoPlace)?,
        }))
    }
}

/// The audit log, the newest last.
///
/// For those who reach all products: the chain covers them all.
#[utoipa::path(get, path = "/admin/v1/audit", tag = "audit", operation_id = "listAuditEntries", params(ListQuery),
    responses((status = 200, description = "A page of entries", body = ListResponse<AuditEntryResponse>), Bearer, Input),
    security(("bearer" = ["admin:read"])))]
pub async fn list_entries(
    State(state): State<ServerState>,
    reader: Reader,
    Query(query): Query<ListQuery>,
) -> Result<Json<ListResponse<AuditEntryResponse>>, ApiError> {
    let Page { after, limit } = query.page::<Place>()?;
    let page = Page {
        after: after.map(|Place(cursor)| cursor),
        limit,
    };
    let listed = reader.desk(state.app()).audit_entries(page).await?;
    Ok(Json(ListResponse::of(
        &listed,
        |entry| Place(entry.cursor()),
        AuditEntryResponse::from,
    )))
}

/// Where the audit chains end now, signed.
///
/// Kept elsewhere, `ostler audit verify --head` proves by it that nothing before was cut off or
/// rewritten. The chains are not walked for it: that is what verifying does.
#[utoipa::path(get, path = "/admin/v1/audit/head", tag = "audit", operation_id = "getAuditHead",
    responses((status = 200, description = "The signed head", body = HeadResponse), Bearer),
    security(("bearer" = ["admin:read"])))]
pub async fn get_head(State(state): State<ServerState>, reader: Reader) -> Result<Json<HeadResponse>, ApiError> {
    Ok(Json(reader.desk(state.app()).audit_head().await?.into()))
}

impl Refusal for AuditError {
    fn problem(self) -> Problem {
        match self {
            Self::OutOfReach => Problem::new(Code::InsufficientScope)
                .detail("Only a caller who is not bound to named products may read the audit log."),
            Self::Store(error) => from_store(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_is_written() {
        let text = "1900000000000.chn_01h455vb4pex5vsknk084sn02q.17";
        assert_eq!(text.parse::<Place>().unwrap().to_string(), text);
        for text in [
            "",
            "1",
            "1.chn_x.2",
            "x.chn_01h455vb4pex5vsknk084sn02q.1",
            "1.chn_01h455vb4pex5vsknk084sn02q.",
        ] {
            assert!(text.parse::<Place>().is_err(), "{text}");
        }
    }
}
