//! The secrets by which a product's events and devices are let in. Each is told once, in the answer
//! that makes it.

use axum::extract::State;
use http::StatusCode;
use http::header::{CACHE_CONTROL, HeaderName};
use ostler_app::admin::{NewIngestSecret, SecretError};
use ostler_core::id::ProductId;
use serde::Serialize;

use super::access::Writer;
use crate::error::{ApiError, Refusal, from_store};
use crate::extract::{Json, Path};
use crate::problem::Problem;
use crate::refusals::{Bearer, Named};
use crate::state::ServerState;

const NO_STORE: [(HeaderName, &str); 1] = [(CACHE_CONTROL, "no-store")];

#[derive(Serialize, utoipa::ToSchema)]
pub struct IngestSecretResponse {
    /// Where the cloud's hook delivers to.
    #[schema(example = "https://api.example.com/ingest/particle/thermostat")]
    ingest_url: String,
    /// What the hook sends as its bearer token.
    #[schema(example = "ost_in_…")]
    ingest_secret: String,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct RegistrationKeyResponse {
    /// 32 bytes in base64url. A device's credential is base64url of HMAC-SHA256(key, its cloud id).
    registration_key: String,
}

impl From<NewIngestSecret> for IngestSecretResponse {
    fn from(made: NewIngestSecret) -> Self {
        Self {
            ingest_url: made.ingest_url,
            ingest_secret: made.secret.reveal().to_owned(),
        }
    }
}

/// Make a new ingest secret; the one before stays good until it is ended.
///
/// At most two are good at once: with two, the older ends now.
#[utoipa::path(post, path = "/admin/v1/products/{product_id}/ingest-secret", tag = "products",
    operation_id = "rotateIngestSecret",
    params(("product_id" = String, Path, example = "prd_01h455vb4pex5vsknk084sn02q")),
    responses((status = 201, description = "The secret, told once", body = IngestSecretResponse), Bearer, Named),
    security(("bearer" = ["admin:write"])))]
pub async fn rotate_ingest_secret(
    State(state): State<ServerState>,
    writer: Writer,
    Path(product_id): Path<ProductId>,
) -> Result<(StatusCode, [(HeaderName, &'static str); 1], Json<IngestSecretResponse>), ApiError> {
    let made = writer.desk(state.app()).rotate_ingest_secret(product_id).await?;
    Ok((StatusCode::CREATED, NO_STORE, Json(made.into())))
}

/// End all ingest secrets but the newest.
#[utoipa::path(delete, path = "/admin/v1/products/{product_id}/ingest-secret", tag = "products",
    operation_id = "endFormerIngestSecrets",
    params(("product_id" = String, Path, example = "prd_01h455vb4pex5vsknk084sn02q")),
    responses((status = 204, description = "Only the newest is good now"), Bearer, Named),
    security(("bearer" = ["admin:write"])))]
pub async fn end_former_ingest_secrets(
    State(state): State<ServerState>,
    writer: Writer,
    Path(product_id): Path<ProductId>,
) -> Result<StatusCode, ApiError> {
    writer.desk(state.app()).end_former_ingest_secrets(product_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Make a new registration key, for the factory.
///
/// Credentials made from the key before no longer register a device; devices that are registered
/// stay so.
#[utoipa::path(post, path = "/admin/v1/products/{product_id}/registration-key", tag = "products",
    operation_id = "rotateRegistrationKey",
    params(("product_id" = String, Path, example = "prd_01h455vb4pex5vsknk084sn02q")),
    responses((status = 201, description = "The key, told once", body = RegistrationKeyResponse), Bearer, Named),
    security(("bearer" = ["admin:write"])))]
pub async fn rotate_registration_key(
    State(state): State<ServerState>,
    writer: Writer,
    Path(product_id): Path<ProductId>,
) -> Result<
    (
        StatusCode,
        [(HeaderName, &'static str); 1],
        Json<RegistrationKeyResponse>,
    ),
    ApiError,
> {
    let registration_key = writer.desk(state.app()).rotate_registration_key(product_id).await?;
    Ok((
        StatusCode::CREATED,
        NO_STORE,
        Json(RegistrationKeyResponse { registration_key }),
    ))
}

impl Refusal for SecretError {
    fn problem(self) -> Problem {
        match self {
            Self::NotFound => Problem::not_found(),
            Self::Store(error) => from_store(error),
        }
    }
}
