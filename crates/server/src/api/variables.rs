//! Reading a device's variable.

use std::time::Duration;

use axum::extract::State;
use ostler_app::variables::{ReadVariableError, Reading};
use ostler_core::id::DeviceId;
use ostler_core::name::{Declared as _, VariableName};
use serde::{Deserialize, Serialize};

use super::call_function::denied_problem;
use crate::access::{DevicesRead, Scoped};
use crate::error::{ApiError, Refusal};
use crate::extract::{Json, Named, Path, Query, declared};
use crate::problem::{Code, Problem};
use crate::state::ServerState;

#[derive(Debug, Deserialize)]
pub struct VariablePath {
    device_id: DeviceId,
    #[serde(deserialize_with = "declared")]
    variable: VariableName,
}

impl Named for VariablePath {
    fn nobodys() -> Self {
        Self {
            device_id: DeviceId::NOBODYS,
            variable: VariableName::undeclared(),
        }
    }
}

#[derive(Debug, Deserialize)]
pub struct VariableQuery {
    max_age: Option<u32>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct VariableResponse {
    #[schema(example = 21.5)]
    value: serde_json::Value,
    observed_at: String,
}

impl From<Reading> for VariableResponse {
    fn from(reading: Reading) -> Self {
        Self {
            value: reading.value,
            observed_at: reading.observed_at.to_string(),
        }
    }
}

/// Read a variable from the device.
///
/// With `max_age` the last reading is answered if it is not older than so many seconds; the
/// device is asked otherwise.
#[utoipa::path(get, path = "/v1/devices/{device_id}/variables/{variable}", tag = "devices",
    operation_id = "readVariable",
    params(("device_id" = String, Path, example = "dev_01h455vb4pex5vsknk084sn02q"),
        ("variable" = String, Path, example = "temperature"),
        ("max_age" = Option<u32>, Query, example = 60)),
    responses((status = 200, body = VariableResponse),
        (status = 403, description = "The variable is not granted"),
        (status = 404, description = "No grant on such a device"),
        (status = 503, description = "The device is offline, or the device cloud cannot be reached"),
        (status = 504, description = "The device did not answer")),
    security(("bearer" = ["devices:read"])))]
pub async fn read_variable(
    State(state): State<ServerState>,
    caller: Scoped<DevicesRead>,
    Path(VariablePath { device_id, variable }): Path<VariablePath>,
    Query(VariableQuery { max_age }): Query<VariableQuery>,
) -> Result<Json<VariableResponse>, ApiError> {
    let max_age = max_age.map(|seconds| Duration::from_secs(seconds.into()));
    let reading = state
        .app()
        .read_variable(&caller, device_id, &variable, max_age)
        .await?;
    Ok(Json(reading.into()))
}

impl Refusal for ReadVariableError {
    fn problem(self) -> Problem {
        match self {
            Self::Denied { denied, at } => denied_problem(&denied, None, at),
            Self::DeviceOffline => Problem::new(Code::DeviceOffline),
            Self::NoAnswer => Problem::new(Code::OutcomeUnknown).detail("The device did not answer in time."),
            Self::Refused => Problem::new(Code::CloudRefused),
            Self::CloudUnavailable {
                retry_after: Some(wait),
            } => Problem::new(Code::CloudUnavailable).retry_after(wait),
            Self::CloudUnavailable { retry_after: None } => Problem::new(Code::CloudUnavailable),
            Self::Store(error) => crate::error::from_store(error),
        }
    }
}
