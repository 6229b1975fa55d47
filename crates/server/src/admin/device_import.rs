//! Taking over devices: those named in the body, or all that the cloud lists.

use axum::extract::State;
use ostler_app::admin::{ImportError, ImportRequest, Imported, InvalidDevice};
use ostler_core::id::{CloudDeviceId, DeviceId, ProductId};
use serde::{Deserialize, Serialize};

use super::access::Writer;
use super::effect::EffectQuery;
use super::webhook::cloud_problem;
use crate::error::{ApiError, Refusal, from_store};
use crate::extract::{Json, Path, Query};
use crate::problem::{Place, Problem};
use crate::refusals::{Bearer, Cloud, Conflicting, Input, Named};
use crate::state::ServerState;
use crate::text::Line;

const DEVICES_MAX: usize = 5_000;

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportDevicesRequest {
    #[schema(value_type = String, example = "prd_01h455vb4pex5vsknk084sn02q")]
    product_id: ProductId,
    #[schema(max_items = 5000)]
    devices: Vec<ImportDeviceEntry>,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportDeviceEntry {
    /// The device cloud's own id, 24 hexadecimal digits.
    #[schema(value_type = String, example = "e00fce68a1b2c3d4e5f60718")]
    cloud_id: Line<100>,
    #[schema(value_type = Option<String>, max_length = 100, example = "Living room")]
    name: Option<Line<100>>,
    /// What this device alone will register with; kept as a digest.
    #[schema(value_type = Option<String>, max_length = 256, write_only)]
    credential: Option<Line<256>>,
}

/// What became of each device, or in a dry run would.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ImportResponse {
    created: Vec<ImportedEntry>,
    /// Known before; nothing was changed.
    existing: Vec<ImportedEntry>,
    invalid: Vec<InvalidEntry>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ImportedEntry {
    #[schema(example = "e00fce68a1b2c3d4e5f60718")]
    cloud_id: String,
    /// `null` in a dry run: it has none yet.
    #[schema(required, example = "dev_01h455vb4pex5vsknk084sn02q")]
    id: Option<String>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct InvalidEntry {
    #[schema(example = "e00fce68")]
    cloud_id: String,
    #[schema(example = "must be 24 hexadecimal digits")]
    rule: String,
}

impl ImportedEntry {
    fn new(cloud_id: &CloudDeviceId, id: Option<DeviceId>) -> Self {
        Self {
            cloud_id: cloud_id.to_string(),
            id: id.map(|id| id.to_string()),
        }
    }
}

impl From<InvalidDevice> for InvalidEntry {
    fn from(InvalidDevice { cloud_id, rule }: InvalidDevice) -> Self {
        Self {
            cloud_id,
            rule: rule.to_string(),
        }
    }
}

impl From<Imported> for ImportResponse {
    fn from(imported: Imported) -> Self {
        Self {
            created: imported
                .created
                .iter()
                .map(|(cloud_id, id)| ImportedEntry::new(cloud_id, *id))
                .collect(),
            existing: imported
                .existing
                .iter()
                .map(|(cloud_id, id)| ImportedEntry::new(cloud_id, Some(*id)))
                .collect(),
            invalid: imported.invalid.into_iter().map(InvalidEntry::from).collect(),
        }
    }
}

impl From<ImportDeviceEntry> for ImportRequest {
    fn from(entry: ImportDeviceEntry) -> Self {
        Self {
            cloud_id: entry.cloud_id.into(),
            name: entry.name.map(String::from),
            credential: entry.credential.map(String::from),
        }
    }
}

/// Import devices by their cloud ids. Importing again changes nothing.
#[utoipa::path(post, path = "/admin/v1/devices", tag = "fleet", operation_id = "importDevices",
    params(EffectQuery), request_body = ImportDevicesRequest,
    responses((status = 200, description = "What became of each device", body = ImportResponse), Bearer, Input, Named),
    security(("bearer" = ["admin:write"])))]
pub async fn import_devices(
    State(state): State<ServerState>,
    writer: Writer,
    Query(query): Query<EffectQuery>,
    Json(ImportDevicesRequest { product_id, devices }): Json<ImportDevicesRequest>,
) -> Result<Json<ImportResponse>, ApiError> {
    if devices.len() > DEVICES_MAX {
        return Err(Problem::invalid_pointer("/devices", format!("must be at most {DEVICES_MAX}")).into());
    }
    let requests = devices.into_iter().map(ImportRequest::from).collect();
    let imported = writer
        .desk(state.app())
        .import_devices(product_id, requests, query.effect())
        .await;
    let imported = imported.map_err(|error| match error {
        ImportError::NotFound => Problem::not_found().error(
            Place::Pointer("/product_id".to_owned()),
            "must be a product within reach",
        ),
        ImportError::Cloud(_) | ImportError::Store(_) => error.problem(),
    })?;
    Ok(Json(imported.into()))
}

/// Import all devices that the product has at its cloud.
#[utoipa::path(post, path = "/admin/v1/products/{product_id}/devices/import", tag = "fleet",
    operation_id = "importDevicesFromCloud",
    params(("product_id" = String, Path, example = "prd_01h455vb4pex5vsknk084sn02q"), EffectQuery),
    responses((status = 200, description = "What became of each device", body = ImportResponse), Bearer, Input, Named, Conflicting, Cloud),
    security(("bearer" = ["admin:write"])))]
pub async fn import_from_cloud(
    State(state): State<ServerState>,
    writer: Writer,
    Path(product_id): Path<ProductId>,
    Query(query): Query<EffectQuery>,
) -> Result<Json<ImportResponse>, ApiError> {
    Ok(Json(
        writer
            .desk(state.app())
            .import_from_cloud(product_id, query.effect())
            .await?
            .into(),
    ))
}

impl Refusal for ImportError {
    fn problem(self) -> Problem {
        match self {
            Self::NotFound => Problem::not_found(),
            Self::Cloud(error) => cloud_problem(error),
            Self::Store(error) => from_store(error),
        }
    }
}
