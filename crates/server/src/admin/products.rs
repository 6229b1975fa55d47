//! `/admin/v1/products`: products as files.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CONTENT_TYPE, LOCATION};
use ostler_app::admin::{
    ChangeKind, ProductChange, ProductError, ProductOutcome, ProductRecord, ProductSubmission, ProductVersionRecord,
};
use ostler_core::id::ProductId;
use ostler_core::product_file::{InvalidProductFile, ProductFile};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::access::{Reader, Writer};
use super::effect::EffectQuery;
use super::product_schema::{ProductFileSchema, ProductRequest};
use crate::error::{ApiError, Refusal, from_store};
use crate::extract::{Json, Path, Query};
use crate::list::{ListQuery, ListResponse};
use crate::problem::{Code, Place, Problem};
use crate::refusals::{Bearer, Conflicting, Input, Named};
use crate::state::ServerState;

/// A product: its file, and where that stands. What is not of the file is ignored when it is sent
/// back.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ProductResponse {
    #[schema(example = "prd_01h455vb4pex5vsknk084sn02q")]
    id: String,
    #[schema(example = 3)]
    version: i64,
    #[schema(format = DateTime)]
    created_at: String,
    /// When this version was applied, and by whom.
    #[schema(format = DateTime)]
    applied_at: String,
    #[schema(example = "stf_01h455vb4pex5vsknk084sn02q")]
    applied_by: String,
    #[serde(flatten)]
    #[schema(value_type = ProductFileSchema)]
    file: ProductFile,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ProductVersionResponse {
    #[schema(example = 2)]
    version: i64,
    #[schema(format = DateTime)]
    applied_at: String,
    applied_by: String,
}

/// What applying a file did, or would do.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct SubmissionResponse {
    /// `null`: it does not exist yet.
    #[schema(required, example = "prd_01h455vb4pex5vsknk084sn02q")]
    id: Option<String>,
    #[schema(example = "thermostat")]
    slug: String,
    #[schema(example = 3)]
    version: i64,
    outcome: OutcomeWord,
    changes: Vec<ChangeResponse>,
}

#[derive(Debug, Clone, Copy, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OutcomeWord {
    WouldCreate,
    Created,
    WouldApply,
    Applied,
    Unchanged,
}

/// One difference between the file and the product.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ChangeResponse {
    /// Members; in a list of named entries the entry's name.
    #[schema(example = "/functions/setTarget/argument/max")]
    path: String,
    change: ChangeWord,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Value>, example = 30)]
    before: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Value>, example = 32)]
    after: Option<Value>,
}

#[derive(Debug, Clone, Copy, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeWord {
    Added,
    Removed,
    Changed,
    Reordered,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RevertRequest {
    /// The version whose file shall count again.
    #[schema(example = 2, minimum = 1)]
    version: i64,
}

impl From<&ProductRecord> for ProductResponse {
    fn from(record: &ProductRecord) -> Self {
        Self {
            id: record.id.to_string(),
            version: record.version,
            created_at: record.created_at.to_string(),
            applied_at: record.applied_at.to_string(),
            applied_by: record.applied_by.clone(),
            file: record.file.clone(),
        }
    }
}

impl From<&ProductVersionRecord> for ProductVersionResponse {
    fn from(record: &ProductVersionRecord) -> Self {
        Self {
            version: record.version,
            applied_at: record.applied_at.to_string(),
            applied_by: record.applied_by.clone(),
        }
    }
}

impl From<ProductSubmission> for SubmissionResponse {
    fn from(submission: ProductSubmission) -> Self {
        Self {
            id: submission.id.map(|id| id.to_string()),
            slug: submission.slug,
            version: submission.version,
            outcome: submission.outcome.into(),
            changes: submission.changes.into_iter().map(ChangeResponse::from).collect(),
        }
    }
}

impl From<ProductOutcome> for OutcomeWord {
    fn from(outcome: ProductOutcome) -> Self {
        match outcome {
            ProductOutcome::WouldCreate => Self::WouldCreate,
            ProductOutcome::Created => Self::Created,
            ProductOutcome::WouldApply => Self::WouldApply,
            ProductOutcome::Applied => Self::Applied,
            ProductOutcome::Unchanged => Self::Unchanged,
        }
    }
}

impl From<ProductChange> for ChangeResponse {
    fn from(ProductChange { path, kind }: ProductChange) -> Self {
        let (change, before, after) = match kind {
            ChangeKind::Added { after } => (ChangeWord::Added, None, Some(after)),
            ChangeKind::Removed { before } => (ChangeWord::Removed, Some(before), None),
            ChangeKind::Changed { before, after } => (ChangeWord::Changed, Some(before), Some(after)),
            ChangeKind::Reordered => (ChangeWord::Reordered, None, None),
        };
        Self {
            path,
            change,
            before,
            after,
        }
    }
}

/// Products.
#[utoipa::path(get, path = "/admin/v1/products", tag = "products", operation_id = "listProducts",
    params(ListQuery), responses((status = 200, description = "A page of products", body = ListResponse<ProductResponse>), Bearer, Input),
    security(("bearer" = ["admin:read"])))]
pub async fn list_products(
    State(state): State<ServerState>,
    reader: Reader,
    Query(query): Query<ListQuery>,
) -> Result<Json<ListResponse<ProductResponse>>, ApiError> {
    let listed = reader.desk(state.app()).products(query.page()?).await?;
    Ok(Json(ListResponse::of(
        &listed,
        |product| product.id,
        ProductResponse::from,
    )))
}

/// Create the product that a file declares.
///
/// Its cloud connection is set apart, so that one file serves staging and production.
#[utoipa::path(post, path = "/admin/v1/products", tag = "products", operation_id = "createProduct",
    params(EffectQuery), request_body = ProductRequest,
    responses(
        (status = 201, description = "What the file changed, or would change", body = SubmissionResponse, headers(("Location" = String))),
        (status = 200, description = "Dry run: what would be created", body = SubmissionResponse),
        Bearer, Input, Conflicting),
    security(("bearer" = ["admin:write"])))]
pub async fn create_product(
    State(state): State<ServerState>,
    writer: Writer,
    Query(query): Query<EffectQuery>,
    Json(request): Json<ProductRequest>,
) -> Result<Response, ApiError> {
    let submission = writer
        .desk(state.app())
        .create_product(&request.into_file(), query.effect())
        .await?;
    let location = submission.id.map(|id| [(LOCATION, format!("/admin/v1/products/{id}"))]);
    let status = if location.is_some() {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok((status, location, Json(SubmissionResponse::from(submission))).into_response())
}

/// A product, as its file declares it now.
#[utoipa::path(get, path = "/admin/v1/products/{product_id}", tag = "products", operation_id = "getProduct",
    params(("product_id" = String, Path, example = "prd_01h455vb4pex5vsknk084sn02q")),
    responses((status = 200, description = "The product", body = ProductResponse), Bearer, Named),
    security(("bearer" = ["admin:read"])))]
pub async fn get_product(
    State(state): State<ServerState>,
    reader: Reader,
    Path(product_id): Path<ProductId>,
) -> Result<Json<ProductResponse>, ApiError> {
    let product = reader.desk(state.app()).product(product_id).await?;
    Ok(Json(ProductResponse::from(&product)))
}

/// Make a product what a file says, whole or not at all.
///
/// A file that says what is there already makes no new version.
#[utoipa::path(put, path = "/admin/v1/products/{product_id}", tag = "products", operation_id = "changeProduct",
    params(("product_id" = String, Path, example = "prd_01h455vb4pex5vsknk084sn02q"), EffectQuery),
    request_body = ProductRequest,
    responses((status = 200, description = "What the file changed, or would change", body = SubmissionResponse), Bearer, Input, Named),
    security(("bearer" = ["admin:write"])))]
pub async fn change_product(
    State(state): State<ServerState>,
    writer: Writer,
    Path(product_id): Path<ProductId>,
    Query(query): Query<EffectQuery>,
    Json(request): Json<ProductRequest>,
) -> Result<Json<SubmissionResponse>, ApiError> {
    let desk = writer.desk(state.app());
    Ok(Json(
        desk.change_product(product_id, &request.into_file(), query.effect())
            .await?
            .into(),
    ))
}

/// All versions of a product, the newest first.
#[utoipa::path(get, path = "/admin/v1/products/{product_id}/versions", tag = "products",
    operation_id = "listProductVersions",
    params(("product_id" = String, Path, example = "prd_01h455vb4pex5vsknk084sn02q"), ListQuery),
    responses((status = 200, description = "A page of versions", body = ListResponse<ProductVersionResponse>), Bearer, Input, Named),
    security(("bearer" = ["admin:read"])))]
pub async fn list_versions(
    State(state): State<ServerState>,
    reader: Reader,
    Path(product_id): Path<ProductId>,
    Query(query): Query<ListQuery>,
) -> Result<Json<ListResponse<ProductVersionResponse>>, ApiError> {
    let listed = reader
        .desk(state.app())
        .product_versions(product_id, query.page()?)
        .await?;
    Ok(Json(ListResponse::of(
        &listed,
        |version| version.version,
        ProductVersionResponse::from,
    )))
}

/// Let a former version count again, as a new one.
#[utoipa::path(post, path = "/admin/v1/products/{product_id}/revert", tag = "products",
    operation_id = "revertProduct",
    params(("product_id" = String, Path, example = "prd_01h455vb4pex5vsknk084sn02q"), EffectQuery),
    request_body = RevertRequest,
    responses((status = 200, description = "What the file changed, or would change", body = SubmissionResponse), Bearer, Input, Named),
    security(("bearer" = ["admin:write"])))]
pub async fn revert_product(
    State(state): State<ServerState>,
    writer: Writer,
    Path(product_id): Path<ProductId>,
    Query(query): Query<EffectQuery>,
    Json(request): Json<RevertRequest>,
) -> Result<Json<SubmissionResponse>, ApiError> {
    let desk = writer.desk(state.app());
    Ok(Json(
        desk.revert_product(product_id, request.version, query.effect())
            .await?
            .into(),
    ))
}

/// A product's file as TOML, to be kept under version control.
#[utoipa::path(get, path = "/admin/v1/products/{product_id}/export", tag = "products",
    operation_id = "exportProduct",
    params(("product_id" = String, Path, example = "prd_01h455vb4pex5vsknk084sn02q")),
    responses((status = 200, description = "The product file", body = String, content_type = "application/toml",
        example = "slug = \"thermostat\"\nname = \"Thermostat\"\n"), Bearer, Named),
    security(("bearer" = ["admin:read"])))]
pub async fn export_product(
    State(state): State<ServerState>,
    reader: Reader,
    Path(product_id): Path<ProductId>,
) -> Result<Response, ApiError> {
    let product = reader.desk(state.app()).product(product_id).await?;
    Ok(([(CONTENT_TYPE, "application/toml")], product.file.to_toml()).into_response())
}

impl Refusal for ProductError {
    fn problem(self) -> Problem {
        match self {
            Self::NotFound => Problem::not_found(),
            Self::OutOfReach => Problem::new(Code::InsufficientScope)
                .detail("Only a client that is not bound to named products may create one."),
            Self::SlugTaken => Problem::new(Code::Conflict)
                .detail("A product with this slug exists already.")
                .hint("PUT the file to that product to change it"),
            Self::NoSuchVersion => Problem::invalid_pointer("/version", "must be a version of this product"),
            Self::Invalid(faults) => invalid_file(faults),
            Self::Store(error) => from_store(error),
        }
    }
}

fn invalid_file(InvalidProductFile(faults): InvalidProductFile) -> Problem {
    let problem = Problem::new(Code::InvalidRequest).detail("The product file has faults. Nothing was changed.");
    faults.into_iter().fold(problem, |problem, fault| {
        problem.error(Place::Pointer(fault.pointer), fault.rule)
    })
}
