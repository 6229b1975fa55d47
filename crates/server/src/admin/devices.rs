//! `/admin/v1/devices`: devices as staff see them.

use axum::extract::State;
use ostler_app::admin::{Renamed, StaffDevice, StaffDeviceError};
use ostler_core::id::{DeviceId, ProductId};
use ostler_core::policy::Presence;
use serde::{Deserialize, Serialize};

use super::access::{Reader, Writer};
use crate::error::{ApiError, Refusal, from_store};
use crate::extract::{Json, Path, Query};
use crate::list::{ListResponse, page};
use crate::problem::Problem;
use crate::refusals::{Bearer, Input, Named};
use crate::state::ServerState;
use crate::text::{Line, Prose};

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = StaffDevice)]
pub struct StaffDeviceResponse {
    #[schema(example = "dev_01h455vb4pex5vsknk084sn02q")]
    id: String,
    #[schema(example = "prd_01h455vb4pex5vsknk084sn02q")]
    product_id: String,
    /// The device cloud's own id; customers never see it.
    #[schema(example = "e00fce68a1b2c3d4e5f60718")]
    cloud_id: String,
    #[schema(required, example = "Living room")]
    name: Option<String>,
    #[schema(required)]
    notes: Option<String>,
    /// `null`: the product's.
    #[schema(required, example = "Europe/Berlin")]
    time_zone: Option<String>,
    /// `null` while presence cannot be known.
    #[schema(required)]
    online: Option<bool>,
    #[schema(required, format = DateTime)]
    last_heard: Option<String>,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(required, format = DateTime)]
    imported_at: Option<String>,
    /// When it first reported its credential.
    #[schema(required, format = DateTime)]
    registered_at: Option<String>,
    /// Since when no call reaches it; `null` if calls do.
    #[schema(required, format = DateTime)]
    quarantined_at: Option<String>,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DevicesQuery {
    /// Only this product's.
    #[param(value_type = Option<String>)]
    product: Option<ProductId>,
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
    cursor: Option<String>,
}

/// An absent member leaves what is there; an empty text removes it.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ChangeStaffDeviceRequest)]
pub struct ChangeDeviceRequest {
    #[schema(value_type = Option<String>, max_length = 100, example = "Living room")]
    name: Option<Line<100>>,
    #[schema(value_type = Option<String>, max_length = 2000)]
    notes: Option<Prose<2000>>,
    /// Of the IANA database.
    #[schema(example = "Europe/Berlin")]
    time_zone: Option<String>,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QuarantineRequest {
    /// Why; kept in the audit log.
    #[schema(value_type = String, max_length = 500, example = "reported stolen, ticket 4711")]
    reason: Line<500>,
}

impl From<&StaffDevice> for StaffDeviceResponse {
    fn from(StaffDevice { record, presence }: &StaffDevice) -> Self {
        Self {
            id: record.id.to_string(),
            product_id: record.product_id.to_string(),
            cloud_id: record.cloud_device_id.to_string(),
            name: record.name.clone(),
            notes: record.notes.clone(),
            time_zone: record.time_zone.clone(),
            online: match presence {
                Presence::Unknown => None,
                Presence::Online => Some(true),
                Presence::Offline => Some(false),
            },
            last_heard: record.last_heard_at.map(|at| at.to_string()),
            created_at: record.created_at.to_string(),
            imported_at: record.imported_at.map(|at| at.to_string()),
            registered_at: record.registered_at.map(|at| at.to_string()),
            quarantined_at: record.quarantined_at.map(|at| at.to_string()),
        }
    }
}

/// Devices, of one product or all.
#[utoipa::path(get, path = "/admin/v1/devices", tag = "fleet", operation_id = "listStaffDevices",
    params(DevicesQuery),
    responses((status = 200, description = "A page of devices", body = ListResponse<StaffDeviceResponse>), Bearer, Input),
    security(("bearer" = ["admin:read"])))]
pub async fn list_devices(
    State(state): State<ServerState>,
    reader: Reader,
    Query(query): Query<DevicesQuery>,
) -> Result<Json<ListResponse<StaffDeviceResponse>>, ApiError> {
    let page = page(query.limit, query.cursor.as_deref())?;
    let listed = reader.desk(state.app()).devices(query.product, page).await?;
    Ok(Json(ListResponse::of(
        &listed,
        |device| device.record.id,
        StaffDeviceResponse::from,
    )))
}

/// A device.
#[utoipa::path(get, path = "/admin/v1/devices/{device_id}", tag = "fleet", operation_id = "getStaffDevice",
    params(("device_id" = String, Path, example = "dev_01h455vb4pex5vsknk084sn02q")),
    responses((status = 200, description = "The device", body = StaffDeviceResponse), Bearer, Named),
    security(("bearer" = ["admin:read"])))]
pub async fn get_device(
    State(state): State<ServerState>,
    reader: Reader,
    Path(device_id): Path<DeviceId>,
) -> Result<Json<StaffDeviceResponse>, ApiError> {
    let device = reader.desk(state.app()).device(device_id).await?;
    Ok(Json(StaffDeviceResponse::from(&device)))
}

/// Name a device, write a note to it, or set its time zone.
#[utoipa::path(patch, path = "/admin/v1/devices/{device_id}", tag = "fleet", operation_id = "changeStaffDevice",
    params(("device_id" = String, Path, example = "dev_01h455vb4pex5vsknk084sn02q")),
    request_body = ChangeDeviceRequest,
    responses((status = 200, description = "The device", body = StaffDeviceResponse), Bearer, Input, Named),
    security(("bearer" = ["admin:write"])))]
pub async fn change_device(
    State(state): State<ServerState>,
    writer: Writer,
    Path(device_id): Path<DeviceId>,
    Json(request): Json<ChangeDeviceRequest>,
) -> Result<Json<StaffDeviceResponse>, ApiError> {
    let renamed = Renamed {
        name: request.name.map(String::from),
        notes: request.notes.map(String::from),
        time_zone: request.time_zone,
    };
    let device = writer.desk(state.app()).rename_device(device_id, &renamed).await?;
    Ok(Json(StaffDeviceResponse::from(&device)))
}

/// Keep all calls from a device, whoever asks.
///
/// Its events are stored as before. Repeating it changes nothing.
#[utoipa::path(post, path = "/admin/v1/devices/{device_id}/quarantine", tag = "fleet",
    operation_id = "quarantineDevice",
    params(("device_id" = String, Path, example = "dev_01h455vb4pex5vsknk084sn02q")),
    request_body = QuarantineRequest,
    responses((status = 200, description = "The device", body = StaffDeviceResponse), Bearer, Input, Named),
    security(("bearer" = ["admin:write"])))]
pub async fn quarantine_device(
    State(state): State<ServerState>,
    writer: Writer,
    Path(device_id): Path<DeviceId>,
    Json(request): Json<QuarantineRequest>,
) -> Result<Json<StaffDeviceResponse>, ApiError> {
    let device = writer
        .desk(state.app())
        .quarantine_device(device_id, request.reason.into())
        .await?;
    Ok(Json(StaffDeviceResponse::from(&device)))
}

/// Let calls reach a device again.
#[utoipa::path(delete, path = "/admin/v1/devices/{device_id}/quarantine", tag = "fleet",
    operation_id = "releaseDevice",
    params(("device_id" = String, Path, example = "dev_01h455vb4pex5vsknk084sn02q")),
    responses((status = 200, description = "The device", body = StaffDeviceResponse), Bearer, Named),
    security(("bearer" = ["admin:write"])))]
pub async fn release_device(
    State(state): State<ServerState>,
    writer: Writer,
    Path(device_id): Path<DeviceId>,
) -> Result<Json<StaffDeviceResponse>, ApiError> {
    let device = writer.desk(state.app()).release_device(device_id).await?;
    Ok(Json(StaffDeviceResponse::from(&device)))
}

impl Refusal for StaffDeviceError {
    fn problem(self) -> Problem {
        match self {
            Self::NotFound => Problem::not_found(),
            Self::UnknownTimeZone => Problem::invalid_pointer(
                "/time_zone",
                "must be a time zone of the IANA database, such as Europe/Berlin",
            ),
            Self::Store(error) => from_store(error),
        }
    }
}
