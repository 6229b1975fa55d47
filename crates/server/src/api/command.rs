//! How a command is told: its JSON, and the status that its state gives an HTTP answer.

use std::borrow::Cow;
use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use http::header::LOCATION;
use http::{HeaderValue, StatusCode};
use ostler_app::call_function::CallAnswer;
use ostler_app::commands::Command;
use ostler_core::command::{CommandState, RefusedBy, UpstreamCode};
use ostler_core::id::{CommandId, DeviceId, GrantId};
use ostler_core::name::FunctionName;
use ostler_core::time::Timestamp;
use serde::Serialize;
use serde_json::json;

use super::call_function::denied_problem;
use crate::error::ApiError;
use crate::extract::Json;
use crate::problem::{Code, Problem};

/// One entry of the ledger, as its caller may see it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct CommandResponse {
    #[schema(value_type = String, example = "cmd_01h455vb4pex5vsknk084sn02q")]
    command_id: CommandId,
    #[schema(value_type = String, example = "dev_01h455vb4pex5vsknk084sn02q")]
    device_id: DeviceId,
    #[schema(value_type = String, example = "setTarget")]
    function: FunctionName,
    /// Absent once it was erased.
    #[schema(value_type = Option<String>, example = "21")]
    argument: Option<Arc<str>>,
    /// What is proven: `accepted`, `sent`, `answered`, `refused`, `offline`, `expired`, `cancelled`
    /// or `unknown`.
    #[schema(example = "answered")]
    status: &'static str,
    /// The device's own; a negative one too.
    #[schema(example = 21)]
    return_value: Option<i32>,
    decision: DecisionResponse,
    /// What happened beyond us; `null` if nothing left.
    upstream: Option<UpstreamResponse>,
    #[schema(value_type = String)]
    created_at: Timestamp,
    #[schema(value_type = Option<String>)]
    sent_at: Option<Timestamp>,
    #[schema(value_type = Option<String>)]
    settled_at: Option<Timestamp>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct DecisionResponse {
    allowed: bool,
    /// The right by which it was allowed, or the rule by which it was refused.
    #[schema(value_type = String, example = "grant")]
    rule: Cow<'static, str>,
    #[schema(value_type = Option<String>, example = "gra_01h455vb4pex5vsknk084sn02q")]
    grant_id: Option<GrantId>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct UpstreamResponse {
    #[schema(example = "ok")]
    code: &'static str,
}

impl From<Command> for CommandResponse {
    fn from(command: Command) -> Self {
        let refused_by_us = matches!(
            command.state,
            CommandState::Refused {
                by: RefusedBy::Policy,
                ..
            }
        );
        Self {
            command_id: command.id,
            device_id: command.device_id,
            function: command.function,
            argument: command.argument,
            status: command.state.status().as_str(),
            return_value: return_value(&command.state),
            decision: DecisionResponse {
                allowed: !refused_by_us,
                rule: command.rule,
                grant_id: command.grant_id,
            },
            upstream: upstream(&command.state),
            created_at: command.created_at,
            sent_at: command.sent_at,
            settled_at: command.settled_at,
        }
    }
}

fn return_value(state: &CommandState) -> Option<i32> {
    match state {
        CommandState::Answered { return_value, .. } => *return_value,
        CommandState::Accepted
        | CommandState::Sent { .. }
        | CommandState::Refused { .. }
        | CommandState::Offline { .. }
        | CommandState::Expired { .. }
        | CommandState::Cancelled { .. }
        | CommandState::Unknown { .. } => None,
    }
}

fn upstream(state: &CommandState) -> Option<UpstreamResponse> {
    state
        .upstream_code()
        .map(UpstreamCode::as_str)
        .map(|code| UpstreamResponse { code })
}

/// The HTTP answer to a call: what is proven of the command decides the status (interface.md §4).
pub fn answer(answer: CallAnswer) -> Result<Response, ApiError> {
    let command = &answer.command;
    if let Some(denied) = &answer.denied {
        return Err(denied_problem(denied, Some(command.id), command.created_at).into());
    }
    let code = match command.state {
        CommandState::Answered { .. } => return Ok(Json(CommandResponse::from(*answer.command)).into_response()),
        CommandState::Accepted | CommandState::Sent { .. } => return Ok(accepted(*answer.command)),
        CommandState::Refused {
            by: RefusedBy::Policy, ..
        } => Code::FunctionNotGranted,
        CommandState::Refused {
            by: RefusedBy::Cloud(_),
            ..
        } => Code::CloudRefused,
        CommandState::Refused {
            by: RefusedBy::RateLimit | RefusedBy::NotSent(_),
            ..
        } => Code::CloudUnavailable,
        CommandState::Offline { .. } => Code::DeviceOffline,
        CommandState::Expired { .. } | CommandState::Cancelled { .. } => Code::Conflict,
        CommandState::Unknown { .. } => Code::OutcomeUnknown,
    };
    Err(problem(code, &answer).into())
}

fn accepted(command: Command) -> Response {
    let location = HeaderValue::from_str(&format!("/v1/commands/{}", command.id));
    let headers = [
        (LOCATION, location.expect("an id is visible ASCII")),
        (
            http::HeaderName::from_static("preference-applied"),
            HeaderValue::from_static("respond-async"),
        ),
    ];
    (StatusCode::ACCEPTED, headers, Json(CommandResponse::from(command))).into_response()
}

fn problem(code: Code, answer: &CallAnswer) -> Problem {
    let command = &answer.command;
    let upstream = upstream(&command.state).map(|upstream| json!({"code": upstream.code}));
    let problem = Problem::new(code)
        .extension("command_id", command.id.to_string())
        .extension("command_status", command.state.status().as_str())
        .extension("upstream", upstream);
    let problem = match command.state {
        CommandState::Unknown { .. } => problem
            .hint("the device may have acted; look at the command again later, and do not repeat the call blindly"),
        CommandState::Offline { .. } => problem.hint("the device was not connected and did not act"),
        CommandState::Accepted
        | CommandState::Sent { .. }
        | CommandState::Answered { .. }
        | CommandState::Refused { .. }
        | CommandState::Expired { .. }
        | CommandState::Cancelled { .. } => problem,
    };
    match answer.retry_after {
        Some(wait) => problem.retry_after(wait),
        None => problem,
    }
}

/// Reads one command by its id.
pub mod read {
    use axum::extract::State;
    use ostler_app::commands::CommandError;
    use ostler_core::id::CommandId;

    use super::CommandResponse;
    use crate::access::{DevicesControl, Scoped};
    use crate::error::{ApiError, Refusal};
    use crate::extract::{Json, Path};
    use crate::problem::Problem;
    use crate::state::ServerState;

    /// What became of a command?
    ///
    /// A command whose outcome was unknown may still be settled by a late answer.
    #[utoipa::path(get, path = "/v1/commands/{command_id}", tag = "devices", operation_id = "getCommand",
        params(("command_id" = String, Path, example = "cmd_01h455vb4pex5vsknk084sn02q")),
        responses((status = 200, body = CommandResponse),
            (status = 404, description = "Unknown, or somebody else's")),
        security(("bearer" = ["devices:control"])))]
    pub async fn get_command(
        State(state): State<ServerState>,
        caller: Scoped<DevicesControl>,
        Path(command_id): Path<CommandId>,
    ) -> Result<Json<CommandResponse>, ApiError> {
        let command = state.app().command(&caller, command_id).await?;
        Ok(Json(CommandResponse::from(command)))
    }

    impl Refusal for CommandError {
        fn problem(self) -> Problem {
            match self {
                Self::NotFound => Problem::not_found(),
                Self::Store(error) => crate::error::from_store(error),
            }
        }
    }
}
