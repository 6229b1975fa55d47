//! What the doors turned away, for staff to look at.

use axum::extract::State;
use ostler_core::id::{CloudDeviceId, ProductId, RejectedEventId};
use ostler_store::RejectedEvent;
use serde::{Deserialize, Serialize};

use super::access::Reader;
use crate::error::{ApiError, from_store};
use crate::extract::{Json, Query};
use crate::list::{ListResponse, page};
use crate::problem::without_token_shapes;
use crate::refusals::{Bearer, Input};
use crate::state::ServerState;

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RejectedEventsQuery {
    /// Only this product's.
    #[param(value_type = Option<String>)]
    product: Option<ProductId>,
    /// 1 to 500, 100 if absent.
    #[param(minimum = 1, maximum = 500, example = 100)]
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct RejectedEventResponse {
    #[schema(example = "rej_01h455vb4pex5vsknk084sn02q")]
    id: String,
    #[schema(example = "prd_01h455vb4pex5vsknk084sn02q")]
    product_id: String,
    #[schema(example = "hook")]
    door: &'static str,
    /// `malformed`, `no-device`, `unknown-device` or `wrong-credential`.
    #[schema(example = "unknown-device")]
    reason: &'static str,
    #[schema(example = "e00fce68a1b2c3d4e5f60718")]
    cloud_id: Option<String>,
    #[schema(example = "thermostat/state")]
    name: Option<String>,
    /// The event's data, or the beginning of a body that could not be read. Never a credential.
    body: Option<String>,
    #[schema(example = "2030-05-01T10:00:00.456Z")]
    received_at: String,
}

impl From<&RejectedEvent> for RejectedEventResponse {
    fn from(rejected: &RejectedEvent) -> Self {
        Self {
            id: rejected.id.to_string(),
            product_id: rejected.product_id.to_string(),
            door: rejected.door.as_str(),
            reason: rejected.reason.as_str(),
            cloud_id: rejected.cloud_device_id.as_ref().map(CloudDeviceId::to_string),
            name: rejected.name.as_deref().map(without_token_shapes),
            body: rejected.body.as_deref().map(without_token_shapes),
            received_at: rejected.received_at.to_string(),
        }
    }
}

/// Events that were turned away, of one product or all.
///
/// The newest first; the last thousand of each product are kept.
#[utoipa::path(get, path = "/admin/v1/rejected-events", tag = "products", operation_id = "listRejectedEvents",
    params(RejectedEventsQuery),
    responses((status = 200, body = ListResponse<RejectedEventResponse>), Bearer, Input),
    security(("bearer" = ["admin:read"])))]
pub async fn list_rejected_events(
    State(state): State<ServerState>,
    reader: Reader,
    Query(query): Query<RejectedEventsQuery>,
) -> Result<Json<ListResponse<RejectedEventResponse>>, ApiError> {
    let page = page::<RejectedEventId>(query.limit, query.cursor.as_deref())?;
    let listed = reader
        .desk(state.app())
        .rejected_events(query.product, page)
        .await
        .map_err(from_store)?;
    Ok(Json(ListResponse::of(
        &listed,
        |rejected| rejected.id,
        RejectedEventResponse::from,
    )))
}
