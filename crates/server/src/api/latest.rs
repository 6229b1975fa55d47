//! The newest value of each key of a device.

use axum::extract::State;
use ostler_app::history::LatestValue;
use ostler_core::caller::Caller;
use ostler_core::id::DeviceId;
use serde::Serialize;
use serde_json::Value;

use super::telemetry::value;
use crate::access::{FleetRead, HistoryRead, Scoped};
use crate::error::ApiError;
use crate::extract::{Json, Path};
use crate::refusals::{Bearer, Named};
use crate::state::ServerState;

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct LatestResponse {
    values: Vec<LatestEntry>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct LatestEntry {
    #[schema(example = "temperature")]
    key: String,
    /// A number, boolean, text, or `{"lat", "lon"}`, as the product declares the key.
    #[schema(value_type = Value, example = 21.5)]
    value: Value,
    /// UCUM.
    #[schema(example = "Cel")]
    unit: Option<String>,
    /// The device's own, where it names a plausible one; else the device cloud's.
    #[schema(example = "2030-05-01T10:00:00.123Z")]
    time: String,
    #[schema(example = "2030-05-01T10:00:00.456Z")]
    received_at: String,
}

impl From<&LatestValue> for LatestEntry {
    fn from(latest: &LatestValue) -> Self {
        let LatestValue { point, unit } = latest;
        Self {
            key: point.key.to_string(),
            value: value(&point.value),
            unit: unit.clone(),
            time: point.time.to_string(),
            received_at: point.received_at.to_string(),
        }
    }
}

/// Newest values of one of my devices.
///
/// One entry for each key that I may see and that has a value within the history I may see.
#[utoipa::path(get, path = "/v1/devices/{device_id}/latest", tag = "history", operation_id = "getLatest",
    params(("device_id" = String, Path, example = "dev_01h455vb4pex5vsknk084sn02q")),
    responses((status = 200, body = LatestResponse), Bearer, Named),
    security(("bearer" = ["history:read"])))]
pub async fn get_latest(
    State(state): State<ServerState>,
    caller: Scoped<HistoryRead>,
    Path(device_id): Path<DeviceId>,
) -> Result<Json<LatestResponse>, ApiError> {
    latest(&state, &caller, device_id).await
}

/// Newest values of a device of the maker's products.
#[utoipa::path(get, path = "/admin/v1/devices/{device_id}/latest", tag = "fleet", operation_id = "getFleetLatest",
    params(("device_id" = String, Path, example = "dev_01h455vb4pex5vsknk084sn02q")),
    responses((status = 200, body = LatestResponse), Bearer, Named),
    security(("bearer" = ["fleet:read"])))]
pub async fn get_fleet_latest(
    State(state): State<ServerState>,
    caller: Scoped<FleetRead>,
    Path(device_id): Path<DeviceId>,
) -> Result<Json<LatestResponse>, ApiError> {
    latest(&state, &caller, device_id).await
}

async fn latest(state: &ServerState, caller: &Caller, device_id: DeviceId) -> Result<Json<LatestResponse>, ApiError> {
    let values = state.app().latest_values(caller, device_id).await?;
    Ok(Json(LatestResponse {
        values: values.iter().map(LatestEntry::from).collect(),
    }))
}
