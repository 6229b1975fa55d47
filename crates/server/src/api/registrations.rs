//! A device registers itself at its first start (S5).

use axum::extract::State;
use http::StatusCode;
use ostler_app::ingest::{Registered, RegistrationError};
use ostler_core::id::CloudDeviceId;
use serde::{Deserialize, Serialize};

use super::ingest::refused;
use crate::error::{ApiError, Refusal, from_store};
use crate::extract::{Json, Path};
use crate::problem::{Code, Problem};
use crate::refusals::{Conflicting, Door, Input};
use crate::state::ServerState;

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RegistrationRequest {
    #[schema(example = "e00fce68a1b2c3d4e5f60718")]
    cloud_id: String,
    /// base64url of HMAC-SHA256(product registration key, cloud id), or one imported for the device.
    #[schema(example = "q8X3Yb1mHc0v4vT3J1kq2bXn9o7d5f1QeS0wUuYx2aE")]
    credential: String,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct RegistrationResponse {
    #[schema(example = "dev_01h455vb4pex5vsknk084sn02q")]
    device_id: String,
}

/// Register a device.
///
/// For the device itself, with the credential that it got in the factory. The first report
/// registers it; every later one changes nothing and gets the same body. 401 does not tell an unknown
/// product from a wrong credential; 409 means that the device belongs to another product.
#[utoipa::path(post, path = "/ingest/registrations/{slug}", tag = "ingest", operation_id = "registerDevice",
    params(("slug" = String, Path, description = "The product's slug", example = "thermostat")),
    request_body = RegistrationRequest,
    responses((status = 201, body = RegistrationResponse, description = "Registered now"),
        (status = 200, body = RegistrationResponse, description = "Registered before; nothing was changed"),
        Door, Input, Conflicting),
    security(()))]
pub async fn register_device(
    State(state): State<ServerState>,
    Path(slug): Path<String>,
    Json(request): Json<RegistrationRequest>,
) -> Result<(StatusCode, Json<RegistrationResponse>), ApiError> {
    let cloud_device_id: CloudDeviceId = request
        .cloud_id
        .parse()
        .map_err(|_| Problem::invalid_pointer("/cloud_id", "must be 24 hexadecimal digits"))?;
    let (status, device_id) = match state
        .app()
        .register_device(&slug, &cloud_device_id, &request.credential)
        .await?
    {
        Registered::First(device_id) => (StatusCode::CREATED, device_id),
        Registered::Again(device_id) => (StatusCode::OK, device_id),
    };
    Ok((
        status,
        Json(RegistrationResponse {
            device_id: device_id.to_string(),
        }),
    ))
}

impl Refusal for RegistrationError {
    fn problem(self) -> Problem {
        match self {
            Self::Refused => refused(),
            Self::TooManyFailures { retry_after } => Problem::new(Code::RateLimited)
                .detail("Too many registrations of this product have failed.")
                .retry_after(retry_after),
            Self::Elsewhere => Problem::new(Code::Conflict).detail("The device belongs to another product."),
            Self::Store(error) => from_store(error),
        }
    }
}
