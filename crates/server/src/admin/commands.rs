//! `/admin/v1/commands`: the ledger as staff see it.

use axum::extract::State;
use ostler_app::admin::{Command, LedgerError, LedgerFilter};
use ostler_core::command::CommandStatus;
use ostler_core::id::{CommandId, CustomerId, DeviceId, ProductId};
use serde::{Deserialize, Serialize};

use super::access::Reader;
use crate::api::command::CommandResponse;
use crate::error::{ApiError, Refusal, from_store};
use crate::extract::{Json, Path, Query};
use crate::list::{ListResponse, page};
use crate::problem::Problem;
use crate::refusals::{Bearer, Input, Named};
use crate::state::ServerState;

/// One entry of the ledger, with who asked and why.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = StaffCommand)]
pub struct StaffCommandResponse {
    #[serde(flatten)]
    command: CommandResponse,
    /// `null`: refused on a device that does not exist.
    #[schema(required, example = "prd_01h455vb4pex5vsknk084sn02q")]
    product_id: Option<String>,
    /// In whose name it was judged; `null` when the maker acted as the maker.
    #[schema(required, example = "cus_01h455vb4pex5vsknk084sn02q")]
    customer_id: Option<String>,
    #[schema(required, example = "cli_01h455vb4pex5vsknk084sn02q")]
    client_id: Option<String>,
    #[schema(required)]
    staff_id: Option<String>,
    /// The version of the grant that allowed it.
    #[schema(required, example = 1)]
    grant_version: Option<i64>,
    /// Why staff acted.
    #[schema(required)]
    reason: Option<String>,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct CommandsQuery {
    #[param(value_type = Option<String>)]
    product: Option<ProductId>,
    #[param(value_type = Option<String>)]
    device: Option<DeviceId>,
    #[param(value_type = Option<String>)]
    customer: Option<CustomerId>,
    #[param(inline)]
    status: Option<StatusWord>,
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
    cursor: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = CommandStatus)]
pub enum StatusWord {
    Accepted,
    Sent,
    Answered,
    Refused,
    Offline,
    Expired,
    Cancelled,
    Unknown,
}

impl From<StatusWord> for CommandStatus {
    fn from(word: StatusWord) -> Self {
        match word {
            StatusWord::Accepted => Self::Accepted,
            StatusWord::Sent => Self::Sent,
            StatusWord::Answered => Self::Answered,
            StatusWord::Refused => Self::Refused,
            StatusWord::Offline => Self::Offline,
            StatusWord::Expired => Self::Expired,
            StatusWord::Cancelled => Self::Cancelled,
            StatusWord::Unknown => Self::Unknown,
        }
    }
}

impl From<&Command> for StaffCommandResponse {
    fn from(command: &Command) -> Self {
        Self {
            command: CommandResponse::from(command.clone()),
            product_id: command.product_id.map(|id| id.to_string()),
            customer_id: command.customer_id.map(|id| id.to_string()),
            client_id: command.client_id.map(|id| id.to_string()),
            staff_id: command.staff_id.map(|id| id.to_string()),
            grant_version: command.grant_version,
            reason: command.reason.clone(),
        }
    }
}

/// Commands, the newest first.
#[utoipa::path(get, path = "/admin/v1/commands", tag = "ledger", operation_id = "listStaffCommands",
    params(CommandsQuery),
    responses((status = 200, description = "A page of commands", body = ListResponse<StaffCommandResponse>), Bearer, Input),
    security(("bearer" = ["admin:read"])))]
pub async fn list_commands(
    State(state): State<ServerState>,
    reader: Reader,
    Query(query): Query<CommandsQuery>,
) -> Result<Json<ListResponse<StaffCommandResponse>>, ApiError> {
    let filter = LedgerFilter {
        product_id: query.product,
        device_id: query.device,
        customer_id: query.customer,
        status: query.status.map(CommandStatus::from),
    };
    let page = page(query.limit, query.cursor.as_deref())?;
    let listed = reader.desk(state.app()).commands(filter, page).await?;
    Ok(Json(ListResponse::of(
        &listed,
        |command| command.id,
        StaffCommandResponse::from,
    )))
}

/// A command, with who asked and why.
#[utoipa::path(get, path = "/admin/v1/commands/{command_id}", tag = "ledger", operation_id = "getStaffCommand",
    params(("command_id" = String, Path, example = "cmd_01h455vb4pex5vsknk084sn02q")),
    responses((status = 200, description = "The command", body = StaffCommandResponse), Bearer, Named),
    security(("bearer" = ["admin:read"])))]
pub async fn get_command(
    State(state): State<ServerState>,
    reader: Reader,
    Path(command_id): Path<CommandId>,
) -> Result<Json<StaffCommandResponse>, ApiError> {
    let command = reader.desk(state.app()).command(command_id).await?;
    Ok(Json(StaffCommandResponse::from(&command)))
}

impl Refusal for LedgerError {
    fn problem(self) -> Problem {
        match self {
            Self::NotFound => Problem::not_found(),
            Self::Store(error) => from_store(error),
        }
    }
}
