//! The customer's devices: list, look, name.

use axum::extract::State;
use ostler_app::devices::{DeviceChange, DeviceError, DeviceView};
use ostler_core::contract::{ArgumentContract, FunctionContract};
use ostler_core::id::DeviceId;
use ostler_core::policy::Presence;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::access::{DevicesControl, DevicesRead, Scoped};
use crate::error::{ApiError, Refusal};
use crate::extract::{Json, Path, Query};
use crate::list::{ListQuery, ListResponse};
use crate::problem::Problem;
use crate::state::ServerState;

/// A device: just what I may use of it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct DeviceResponse {
    #[schema(example = "dev_01h455vb4pex5vsknk084sn02q")]
    id: String,
    #[schema(example = "Living room")]
    name: Option<String>,
    notes: Option<String>,
    /// The product's slug.
    #[schema(example = "thermostat")]
    product: String,
    /// `null` while presence cannot be known.
    online: Option<bool>,
    last_heard: Option<String>,
    functions: Vec<FunctionResponse>,
    variables: Vec<VariableEntry>,
    keys: Vec<KeyEntry>,
    grants: Vec<GrantEntry>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct FunctionResponse {
    #[schema(example = "setTarget")]
    name: String,
    #[schema(example = "Set point")]
    title: Option<String>,
    #[schema(value_type = Object, example = json!({"type": "integer", "min": 5, "max": 30}))]
    argument: Value,
    #[schema(example = "20")]
    example: Option<String>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct VariableEntry {
    #[schema(example = "temperature")]
    name: String,
    #[schema(example = "double")]
    r#type: &'static str,
    #[schema(example = "Cel")]
    unit: Option<String>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct KeyEntry {
    #[schema(example = "temperature")]
    key: String,
    #[schema(example = "number")]
    r#type: &'static str,
    #[schema(example = "Cel")]
    unit: Option<String>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct GrantEntry {
    #[schema(example = "gra_01h455vb4pex5vsknk084sn02q")]
    id: String,
    #[schema(example = "owner")]
    source: &'static str,
    starts_at: String,
    ends_at: Option<String>,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeDeviceRequest {
    #[serde(default)]
    #[schema(example = "Living room")]
    name: Option<String>,
    #[serde(default)]
    notes: Option<String>,
}

impl From<&DeviceView> for DeviceResponse {
    fn from(device: &DeviceView) -> Self {
        Self {
            id: device.id.to_string(),
            name: device.name.clone(),
            notes: device.notes.clone(),
            product: device.product().declaration.slug.to_string(),
            online: online(device.presence),
            last_heard: device.last_heard.map(|at| at.to_string()),
            functions: device.functions().map(FunctionResponse::from).collect(),
            variables: device
                .variables()
                .map(|variable| VariableEntry {
                    name: variable.name.to_string(),
                    r#type: variable.kind.as_str(),
                    unit: variable.unit.clone(),
                })
                .collect(),
            keys: device
                .keys()
                .map(|mapping| KeyEntry {
                    key: mapping.key.to_string(),
                    r#type: mapping.kind.as_str(),
                    unit: mapping.unit.clone(),
                })
                .collect(),
            grants: device
                .grants()
                .iter()
                .map(|grant| GrantEntry {
                    id: grant.id.to_string(),
                    source: grant.source.as_str(),
                    starts_at: grant.starts_at.to_string(),
                    ends_at: grant.ends_at.map(|at| at.to_string()),
                })
                .collect(),
        }
    }
}

impl From<&FunctionContract> for FunctionResponse {
    fn from(contract: &FunctionContract) -> Self {
        Self {
            name: contract.name.to_string(),
            title: contract.title.clone(),
            argument: argument(&contract.argument),
            example: contract.example.clone(),
        }
    }
}

/// The argument as the product file says it, so that an app can build its form from it.
fn argument(contract: &ArgumentContract) -> Value {
    let kind = contract.kind();
    match contract {
        ArgumentContract::None | ArgumentContract::JsonSchema(_) => json!({"type": kind}),
        ArgumentContract::Enum(values) => json!({"type": kind, "values": values}),
        ArgumentContract::Integer { min, max } => json!({"type": kind, "min": min, "max": max}),
        ArgumentContract::Number { min, max } => json!({"type": kind, "min": min, "max": max}),
        ArgumentContract::Pattern(pattern) => json!({"type": kind, "pattern": pattern.as_str()}),
    }
}

fn online(presence: Presence) -> Option<bool> {
    match presence {
        Presence::Unknown => None,
        Presence::Online => Some(true),
        Presence::Offline => Some(false),
    }
}

/// My devices.
#[utoipa::path(get, path = "/v1/devices", tag = "devices", operation_id = "listDevices", params(ListQuery),
    responses((status = 200, body = ListResponse<DeviceResponse>)),
    security(("bearer" = ["devices:read"])))]
pub async fn list_devices(
    State(state): State<ServerState>,
    caller: Scoped<DevicesRead>,
    Query(query): Query<ListQuery>,
) -> Result<Json<ListResponse<DeviceResponse>>, ApiError> {
    let listed = state.app().devices(&caller, query.page()?).await?;
    Ok(Json(ListResponse::of(
        &listed,
        |device| device.id,
        DeviceResponse::from,
    )))
}

/// One of my devices.
#[utoipa::path(get, path = "/v1/devices/{device_id}", tag = "devices", operation_id = "getDevice",
    params(("device_id" = String, Path, example = "dev_01h455vb4pex5vsknk084sn02q")),
    responses((status = 200, body = DeviceResponse), (status = 404, description = "No grant on such a device")),
    security(("bearer" = ["devices:read"])))]
pub async fn get_device(
    State(state): State<ServerState>,
    caller: Scoped<DevicesRead>,
    Path(device_id): Path<DeviceId>,
) -> Result<Json<DeviceResponse>, ApiError> {
    let device = state.app().device(&caller, device_id).await?;
    Ok(Json(DeviceResponse::from(&device)))
}

/// Name one of my devices, or write a note to it.
///
/// For owners. An empty text takes the name or the note away; an absent member leaves it.
#[utoipa::path(patch, path = "/v1/devices/{device_id}", tag = "devices", operation_id = "changeDevice",
    request_body = ChangeDeviceRequest,
    params(("device_id" = String, Path, example = "dev_01h455vb4pex5vsknk084sn02q")),
    responses((status = 200, body = DeviceResponse), (status = 400, description = "A name or note that is too long"),
        (status = 403, description = "Held by another grant than ownership"),
        (status = 404, description = "No grant on such a device")),
    security(("bearer" = ["devices:control"])))]
pub async fn change_device(
    State(state): State<ServerState>,
    caller: Scoped<DevicesControl>,
    Path(device_id): Path<DeviceId>,
    Json(request): Json<ChangeDeviceRequest>,
) -> Result<Json<DeviceResponse>, ApiError> {
    let change = DeviceChange {
        name: request.name,
        notes: request.notes,
    };
    let device = state.app().change_device(&caller, device_id, change).await?;
    Ok(Json(DeviceResponse::from(&device)))
}

impl Refusal for DeviceError {
    fn problem(self) -> Problem {
        match self {
            Self::NotFound => Problem::not_found(),
            Self::NotTheOwner => {
                Problem::new(crate::problem::Code::FunctionNotGranted).detail("Only the owner may name a device.")
            }
            Self::TooLong { member, max } => Problem::invalid_pointer(
                format!("/{member}"),
                format!("must be at most {max} bytes without control characters"),
            ),
            Self::Store(error) => crate::error::from_store(error),
        }
    }
}
