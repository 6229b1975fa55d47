//! Raw events of a device, as it published them.

use axum::extract::State;
use ostler_app::history::{EventCursor, StoredEvent};
use ostler_core::caller::Caller;
use ostler_core::id::DeviceId;
use ostler_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::history::checked_range;
use crate::access::{FleetRead, HistoryRead, Scoped};
use crate::error::ApiError;
use crate::extract::{Json, Path, Query};
use crate::list::{ListResponse, page};
use crate::problem::without_token_shapes;
use crate::refusals::{Bearer, Granted, Input, Named};
use crate::state::ServerState;

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct EventsQuery {
    /// RFC 3339; if absent, from the first event on.
    #[param(value_type = Option<String>, example = "2030-05-01T10:00:00Z")]
    from: Option<Timestamp>,
    /// RFC 3339, exclusive; if absent, up to the last event.
    #[param(value_type = Option<String>, example = "2030-05-01T11:00:00Z")]
    to: Option<Timestamp>,
    /// 1 to 500, 100 if absent.
    #[param(minimum = 1, maximum = 500, example = 100)]
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct EventResponse {
    #[schema(example = "evt_01h455vb4pex5vsknk084sn02q")]
    id: String,
    #[schema(example = "thermostat/state")]
    name: String,
    /// What was published, JSON or not.
    #[schema(example = "{\"t\":21.5}")]
    data: Option<String>,
    /// By which the list is sorted: the device's own time, where it names a plausible one.
    #[schema(example = "2030-05-01T10:00:00.000Z")]
    time: String,
    #[schema(example = "2030-05-01T10:00:00.123Z")]
    published_at: String,
    #[schema(example = "2030-05-01T10:00:00.456Z")]
    received_at: String,
}

impl From<&StoredEvent> for EventResponse {
    fn from(event: &StoredEvent) -> Self {
        Self {
            id: event.id.to_string(),
            name: without_token_shapes(&event.name),
            data: event.data.as_deref().map(without_token_shapes),
            time: event.time.to_string(),
            published_at: event.published_at.to_string(),
            received_at: event.received_at.to_string(),
        }
    }
}

/// Events of one of my devices.
///
/// In the order of their time. An event holds everything that the device said, so only a grant for
/// all keys shows them; without one it is `function-not-granted`.
#[utoipa::path(get, path = "/v1/devices/{device_id}/events", tag = "history", operation_id = "listEvents",
    params(("device_id" = String, Path, example = "dev_01h455vb4pex5vsknk084sn02q"), EventsQuery),
    responses((status = 200, body = ListResponse<EventResponse>), Bearer, Granted, Named, Input),
    security(("bearer" = ["history:read"])))]
pub async fn list_events(
    State(state): State<ServerState>,
    caller: Scoped<HistoryRead>,
    Path(device_id): Path<DeviceId>,
    Query(query): Query<EventsQuery>,
) -> Result<Json<ListResponse<EventResponse>>, ApiError> {
    events(&state, &caller, device_id, &query).await
}

/// Events of a device of the maker's products.
#[utoipa::path(get, path = "/admin/v1/devices/{device_id}/events", tag = "fleet", operation_id = "listFleetEvents",
    params(("device_id" = String, Path, example = "dev_01h455vb4pex5vsknk084sn02q"), EventsQuery),
    responses((status = 200, body = ListResponse<EventResponse>), Bearer, Named, Input),
    security(("bearer" = ["fleet:read"])))]
pub async fn list_fleet_events(
    State(state): State<ServerState>,
    caller: Scoped<FleetRead>,
    Path(device_id): Path<DeviceId>,
    Query(query): Query<EventsQuery>,
) -> Result<Json<ListResponse<EventResponse>>, ApiError> {
    events(&state, &caller, device_id, &query).await
}

async fn events(
    state: &ServerState,
    caller: &Caller,
    device_id: DeviceId,
    query: &EventsQuery,
) -> Result<Json<ListResponse<EventResponse>>, ApiError> {
    let range = checked_range(query.from.unwrap_or(Timestamp::MIN), query.to.unwrap_or(Timestamp::MAX))?;
    let page = page(query.limit, query.cursor.as_deref())?;
    let listed = state.app().events(caller, device_id, range, page).await?;
    let key = |event: &StoredEvent| -> EventCursor { event.cursor() };
    Ok(Json(ListResponse::of(&listed, key, EventResponse::from)))
}
