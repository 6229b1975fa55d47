//! `/admin/v1/grants`: who may use which device, what of it, and until when.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::LOCATION;
use ostler_app::admin::{EndedGrant, GrantError, GrantRecord, GrantRequest, GrantVersionRecord, InvalidGrant};
use ostler_core::grant::{Allowance, GrantSource};
use ostler_core::id::{CustomerId, DeviceId, GrantId};
use ostler_core::time::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};

use super::access::{Reader, Writer};
use crate::error::{ApiError, Refusal, from_store};
use crate::extract::{Json, Path, Query};
use crate::list::{ListResponse, page};
use crate::problem::{Code, Place, Problem};
use crate::refusals::{Bearer, Conflicting, Input, Named};
use crate::state::ServerState;
use crate::text::Line;

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateGrantRequest {
    #[schema(value_type = String, example = "cus_01h455vb4pex5vsknk084sn02q")]
    customer_id: CustomerId,
    #[schema(value_type = String, example = "dev_01h455vb4pex5vsknk084sn02q")]
    device_id: DeviceId,
    /// `staff` if absent.
    #[serde(default = "by_staff")]
    source: SourceWord,
    /// Names that the product declares; `null` for all of them, also those it will declare later.
    #[serde(deserialize_with = "said_or_null")]
    #[schema(required, value_type = Option<Vec<String>>, example = json!(["setTarget"]))]
    functions: Option<Vec<String>>,
    /// Absent or `null`: all.
    #[schema(example = json!(["temperature"]))]
    variables: Option<Vec<String>>,
    /// Absent or `null`: all.
    #[schema(example = json!(["temperature"]))]
    keys: Option<Vec<String>>,
    /// From when on the device's past may be seen; from `starts_at` if absent.
    #[schema(value_type = Option<String>, format = DateTime)]
    history_from: Option<Timestamp>,
    /// From now if absent.
    #[schema(value_type = Option<String>, format = DateTime)]
    starts_at: Option<Timestamp>,
    /// The first instant at which it holds no longer; until it is ended if absent.
    #[schema(value_type = Option<String>, format = DateTime)]
    ends_at: Option<Timestamp>,
    /// Why; kept in the audit log.
    #[schema(value_type = Option<String>, max_length = 500)]
    reason: Option<Line<500>>,
}

#[derive(Debug, Clone, Copy, Deserialize, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = GrantSource)]
pub enum SourceWord {
    Owner,
    Share,
    Guest,
    Rental,
    Staff,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct GrantsQuery {
    #[param(value_type = Option<String>)]
    customer: Option<CustomerId>,
    #[param(value_type = Option<String>)]
    device: Option<DeviceId>,
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
    cursor: Option<String>,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EndGrantRequest {
    /// Why; kept in the audit log.
    #[schema(value_type = Option<String>, max_length = 500, example = "sold the device")]
    reason: Option<Line<500>>,
}

/// A grant in the version that counts.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = StaffGrant)]
pub struct GrantResponse {
    #[schema(example = "gra_01h455vb4pex5vsknk084sn02q")]
    id: String,
    #[schema(example = 1)]
    version: i64,
    #[schema(example = "cus_01h455vb4pex5vsknk084sn02q")]
    customer_id: String,
    #[schema(example = "dev_01h455vb4pex5vsknk084sn02q")]
    device_id: String,
    source: SourceWord,
    #[serde(flatten)]
    terms: TermsResponse,
    /// When it was ended by somebody; `null` if by nobody.
    #[schema(required, format = DateTime)]
    ended_at: Option<String>,
    #[schema(required)]
    reason: Option<String>,
}

/// What a version of a grant says.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = GrantTerms)]
pub struct TermsResponse {
    /// `null`: all that the product declares.
    #[schema(required, example = json!(["setTarget"]))]
    functions: Option<Vec<String>>,
    #[schema(required)]
    variables: Option<Vec<String>>,
    #[schema(required)]
    keys: Option<Vec<String>>,
    #[schema(format = DateTime)]
    history_from: String,
    #[schema(format = DateTime)]
    starts_at: String,
    #[schema(required, format = DateTime)]
    ends_at: Option<String>,
}

/// A grant with all that was ever said of it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct GrantDetailResponse {
    #[serde(flatten)]
    grant: GrantResponse,
    /// The first one first.
    versions: Vec<GrantVersionResponse>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = GrantVersion)]
pub struct GrantVersionResponse {
    #[schema(example = 1)]
    version: i64,
    #[serde(flatten)]
    terms: TermsResponse,
    #[schema(format = DateTime)]
    changed_at: String,
    #[schema(example = "stf_01h455vb4pex5vsknk084sn02q")]
    changed_by: String,
    #[schema(required)]
    reason: Option<String>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct EndedGrantResponse {
    #[schema(format = DateTime)]
    ended_at: String,
    /// Commands that had left before the end; nothing else will.
    #[schema(example = json!([]))]
    in_flight: Vec<String>,
}

impl From<SourceWord> for GrantSource {
    fn from(word: SourceWord) -> Self {
        match word {
            SourceWord::Owner => Self::Owner,
            SourceWord::Share => Self::Share,
            SourceWord::Guest => Self::Guest,
            SourceWord::Rental => Self::Rental,
            SourceWord::Staff => Self::Staff,
        }
    }
}

impl From<GrantSource> for SourceWord {
    fn from(source: GrantSource) -> Self {
        match source {
            GrantSource::Owner => Self::Owner,
            GrantSource::Share => Self::Share,
            GrantSource::Guest => Self::Guest,
            GrantSource::Rental => Self::Rental,
            GrantSource::Staff => Self::Staff,
        }
    }
}

impl From<CreateGrantRequest> for GrantRequest {
    fn from(request: CreateGrantRequest) -> Self {
        Self {
            customer_id: request.customer_id,
            device_id: request.device_id,
            source: request.source.into(),
            functions: request.functions,
            variables: request.variables,
            keys: request.keys,
            history_from: request.history_from,
            starts_at: request.starts_at,
            ends_at: request.ends_at,
            reason: request.reason.map(String::from),
        }
    }
}

impl From<&ostler_core::grant::Grant> for TermsResponse {
    fn from(grant: &ostler_core::grant::Grant) -> Self {
        Self {
            functions: names(&grant.functions),
            variables: names(&grant.variables),
            keys: names(&grant.keys),
            history_from: grant.history.from.to_string(),
            starts_at: grant.starts_at.to_string(),
            ends_at: grant.ends_at.map(|at| at.to_string()),
        }
    }
}

impl From<&GrantRecord> for GrantResponse {
    fn from(record: &GrantRecord) -> Self {
        let grant = &record.grant;
        Self {
            id: grant.id.to_string(),
            version: grant.version,
            customer_id: grant.customer_id.to_string(),
            device_id: grant.device_id.to_string(),
            source: grant.source.into(),
            terms: grant.into(),
            ended_at: record.closed_at.map(|at| at.to_string()),
            reason: record.reason.clone(),
        }
    }
}

impl From<&GrantVersionRecord> for GrantVersionResponse {
    fn from(record: &GrantVersionRecord) -> Self {
        Self {
            version: record.grant.version,
            terms: (&record.grant).into(),
            changed_at: record.changed_at.to_string(),
            changed_by: record.changed_by.clone(),
            reason: record.reason.clone(),
        }
    }
}

impl From<EndedGrant> for EndedGrantResponse {
    fn from(ended: EndedGrant) -> Self {
        Self {
            ended_at: ended.ended_at.to_string(),
            in_flight: ended.in_flight.iter().map(ToString::to_string).collect(),
        }
    }
}

fn names<T: Ord + ToString>(allowance: &Allowance<T>) -> Option<Vec<String>> {
    match allowance {
        Allowance::All => None,
        Allowance::Only(names) => Some(names.iter().map(ToString::to_string).collect()),
    }
}

fn by_staff() -> SourceWord {
    SourceWord::Staff
}

/// Null has to be said: a member that was forgotten must not grant everything.
fn said_or_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    Option::deserialize(deserializer)
}

/// Grants, of one customer or on one device; ended ones too.
#[utoipa::path(get, path = "/admin/v1/grants", tag = "grants", operation_id = "listGrants", params(GrantsQuery),
    responses((status = 200, description = "A page of grants", body = ListResponse<GrantResponse>), Bearer, Input),
    security(("bearer" = ["admin:read"])))]
pub async fn list_grants(
    State(state): State<ServerState>,
    reader: Reader,
    Query(query): Query<GrantsQuery>,
) -> Result<Json<ListResponse<GrantResponse>>, ApiError> {
    let page = page(query.limit, query.cursor.as_deref())?;
    let listed = reader
        .desk(state.app())
        .grants(query.customer, query.device, page)
        .await?;
    Ok(Json(ListResponse::of(
        &listed,
        |record| record.grant.id,
        GrantResponse::from,
    )))
}

/// Let a customer use a device.
#[utoipa::path(post, path = "/admin/v1/grants", tag = "grants", operation_id = "createGrant",
    request_body = CreateGrantRequest,
    responses((status = 201, description = "The grant", body = GrantResponse, headers(("Location" = String))), Bearer, Input, Named, Conflicting),
    security(("bearer" = ["admin:write"])))]
pub async fn create_grant(
    State(state): State<ServerState>,
    writer: Writer,
    Json(request): Json<CreateGrantRequest>,
) -> Result<Response, ApiError> {
    let record = writer.desk(state.app()).create_grant(request.into()).await?;
    let location = [(LOCATION, format!("/admin/v1/grants/{}", record.grant.id))];
    Ok((StatusCode::CREATED, location, Json(GrantResponse::from(&record))).into_response())
}

/// A grant, with all that was ever said of it.
#[utoipa::path(get, path = "/admin/v1/grants/{grant_id}", tag = "grants", operation_id = "getGrant",
    params(("grant_id" = String, Path, example = "gra_01h455vb4pex5vsknk084sn02q")),
    responses((status = 200, description = "The grant and its versions", body = GrantDetailResponse), Bearer, Named),
    security(("bearer" = ["admin:read"])))]
pub async fn get_grant(
    State(state): State<ServerState>,
    reader: Reader,
    Path(grant_id): Path<GrantId>,
) -> Result<Json<GrantDetailResponse>, ApiError> {
    let (record, versions) = reader.desk(state.app()).grant_with_versions(grant_id).await?;
    Ok(Json(GrantDetailResponse {
        grant: GrantResponse::from(&record),
        versions: versions.iter().map(GrantVersionResponse::from).collect(),
    }))
}

/// End a grant.
///
/// Once this has answered, no call by the grant leaves any more; those that had left are listed.
/// Ending it again answers alike.
#[utoipa::path(post, path = "/admin/v1/grants/{grant_id}/end", tag = "grants", operation_id = "endGrant",
    params(("grant_id" = String, Path, example = "gra_01h455vb4pex5vsknk084sn02q")),
    request_body = Option<EndGrantRequest>,
    responses((status = 200, description = "It has ended", body = EndedGrantResponse), Bearer, Input, Named),
    security(("bearer" = ["admin:write"])))]
pub async fn end_grant(
    State(state): State<ServerState>,
    writer: Writer,
    Path(grant_id): Path<GrantId>,
    request: Option<Json<EndGrantRequest>>,
) -> Result<Json<EndedGrantResponse>, ApiError> {
    let reason = request.and_then(|Json(request)| request.reason).map(String::from);
    Ok(Json(writer.desk(state.app()).end_grant(grant_id, reason).await?.into()))
}

impl Refusal for GrantError {
    fn problem(self) -> Problem {
        match self {
            Self::NotFound => Problem::not_found(),
            Self::NoSuchDevice => missing("/device_id", "must be a device within reach"),
            Self::NoSuchCustomer => missing("/customer_id", "must be a customer"),
            Self::OwnedAlready => Problem::new(Code::Conflict)
                .detail("The device has an owner already.")
                .hint("end the present owner's grant first"),
            Self::Invalid(faults) => invalid(faults),
            Self::Store(error) => from_store(error),
        }
    }
}

fn missing(pointer: &str, rule: &str) -> Problem {
    Problem::not_found().error(Place::Pointer(pointer.to_owned()), rule)
}

fn invalid(InvalidGrant(faults): InvalidGrant) -> Problem {
    let problem = Problem::new(Code::InvalidRequest);
    faults.into_iter().fold(problem, |problem, fault| {
        problem.error(Place::Pointer(fault.pointer), fault.rule)
    })
}
