//! `/admin/v1/products/{product_id}/cloud`: how a product is reached at its device cloud. Secrets
//! go in and never come out.

use axum::extract::State;
use http::StatusCode;
use ostler_app::admin::{CloudConnectionError, ConnectionFault, ConnectionRecord, ConnectionRequest, CredentialKind};
use ostler_core::id::ProductId;
use serde::{Deserialize, Serialize};

use super::access::{Reader, Writer};
use crate::error::{ApiError, Refusal, from_store};
use crate::extract::{Json, Path};
use crate::problem::Problem;
use crate::refusals::{Bearer, Input, Named};
use crate::state::ServerState;
use crate::text::Secret;

/// Either `client_id` with `client_secret`, or `access_token`.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetConnectionRequest {
    kind: CloudKind,
    /// https; plain http only to this machine itself.
    #[schema(example = "https://api.particle.io")]
    base_url: String,
    /// The cloud's own name for the product: its number or slug.
    #[schema(example = "12345")]
    product: String,
    /// An OAuth client of the product.
    #[schema(example = "ostler-4711")]
    client_id: Option<String>,
    #[schema(value_type = Option<String>, write_only, example = "…")]
    client_secret: Option<Secret>,
    /// The one token of an API user.
    #[schema(value_type = Option<String>, write_only)]
    access_token: Option<Secret>,
}

#[derive(Debug, Clone, Copy, Deserialize, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum CloudKind {
    Particle,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ConnectionResponse {
    kind: CloudKind,
    #[schema(example = "https://api.particle.io")]
    base_url: String,
    #[schema(example = "12345")]
    product: String,
    credential: CredentialWord,
    /// `null` where the credential is an access token.
    #[schema(required, example = "ostler-4711")]
    client_id: Option<String>,
}

#[derive(Debug, Clone, Copy, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CredentialWord {
    Client,
    AccessToken,
}

impl From<ConnectionRecord> for ConnectionResponse {
    fn from(record: ConnectionRecord) -> Self {
        let (credential, client_id) = match record.credential {
            CredentialKind::Client { client_id } => (CredentialWord::Client, Some(client_id)),
            CredentialKind::Token => (CredentialWord::AccessToken, None),
        };
        Self {
            kind: CloudKind::Particle,
            base_url: record.base_url,
            product: record.cloud_product,
            credential,
            client_id,
        }
    }
}

/// How the product is reached, without the secret.
#[utoipa::path(get, path = "/admin/v1/products/{product_id}/cloud", tag = "products",
    operation_id = "getCloudConnection",
    params(("product_id" = String, Path, example = "prd_01h455vb4pex5vsknk084sn02q")),
    responses((status = 200, description = "The connection, without its secret", body = ConnectionResponse), Bearer, Named),
    security(("bearer" = ["admin:read"])))]
pub async fn get_connection(
    State(state): State<ServerState>,
    reader: Reader,
    Path(product_id): Path<ProductId>,
) -> Result<Json<ConnectionResponse>, ApiError> {
    Ok(Json(
        reader.desk(state.app()).cloud_connection(product_id).await?.into(),
    ))
}

/// Set how the product is reached. Counts from the next call on.
#[utoipa::path(put, path = "/admin/v1/products/{product_id}/cloud", tag = "products",
    operation_id = "setCloudConnection",
    params(("product_id" = String, Path, example = "prd_01h455vb4pex5vsknk084sn02q")),
    request_body = SetConnectionRequest,
    responses((status = 200, description = "The connection, without its secret", body = ConnectionResponse), Bearer, Input, Named),
    security(("bearer" = ["admin:write"])))]
pub async fn set_connection(
    State(state): State<ServerState>,
    writer: Writer,
    Path(product_id): Path<ProductId>,
    Json(request): Json<SetConnectionRequest>,
) -> Result<Json<ConnectionResponse>, ApiError> {
    let CloudKind::Particle = request.kind;
    let request = ConnectionRequest {
        base_url: request.base_url,
        cloud_product: request.product,
        client_id: request.client_id,
        client_secret: request.client_secret.map(Into::into),
        access_token: request.access_token.map(Into::into),
    };
    Ok(Json(
        writer
            .desk(state.app())
            .set_cloud_connection(product_id, request)
            .await?
            .into(),
    ))
}

/// Forget how the product is reached, and the secret with it.
#[utoipa::path(delete, path = "/admin/v1/products/{product_id}/cloud", tag = "products",
    operation_id = "endCloudConnection",
    params(("product_id" = String, Path, example = "prd_01h455vb4pex5vsknk084sn02q")),
    responses((status = 204, description = "Forgotten"), Bearer, Named),
    security(("bearer" = ["admin:write"])))]
pub async fn end_connection(
    State(state): State<ServerState>,
    writer: Writer,
    Path(product_id): Path<ProductId>,
) -> Result<StatusCode, ApiError> {
    writer.desk(state.app()).end_cloud_connection(product_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl Refusal for CloudConnectionError {
    fn problem(self) -> Problem {
        match self {
            Self::NotFound => Problem::not_found(),
            Self::Invalid(fault) => Problem::invalid_pointer(pointer(fault), fault.to_string()),
            Self::Store(error) => from_store(error),
        }
    }
}

const fn pointer(fault: ConnectionFault) -> &'static str {
    match fault {
        ConnectionFault::BaseUrl => "/base_url",
        ConnectionFault::Product => "/product",
        ConnectionFault::ClientId => "/client_id",
        ConnectionFault::ClientSecret => "/client_secret",
        ConnectionFault::AccessToken => "/access_token",
        ConnectionFault::Credential => "",
    }
}
