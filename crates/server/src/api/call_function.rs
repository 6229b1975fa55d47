//! Calling a device's function, by a customer and by the maker. One use case, one ledger, one
//! audit chain; they differ in whose rights are judged.

use std::sync::Arc;

use axum::extract::{FromRequestParts, State};
use axum::response::Response;
use http::request::Parts;
use ostler_app::call_function::{CallFunctionError, CallRequest, Wait};
use ostler_app::idempotency::IdempotencyKey;
use ostler_core::id::{CommandId, CustomerId, DeviceId};
use ostler_core::name::{Declared as _, FunctionName};
use ostler_core::policy::{Denied, FunctionCall};
use ostler_core::time::Timestamp;
use serde::Deserialize;

use super::command::{CommandResponse, answer};
use crate::access::{DevicesControl, FleetControl, Scoped};
use crate::error::{ApiError, Refusal};
use crate::extract::{Json, Named, Path, declared};
use crate::problem::{Code, Place, Problem};
use crate::state::ServerState;

#[derive(Debug, Deserialize)]
pub struct CallPath {
    device_id: DeviceId,
    #[serde(deserialize_with = "declared")]
    function: FunctionName,
}

impl Named for CallPath {
    fn nobodys() -> Self {
        Self {
            device_id: DeviceId::NOBODYS,
            function: FunctionName::undeclared(),
        }
    }
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CallFunctionRequest {
    /// As the function's contract allows; absent means empty.
    #[serde(default)]
    #[schema(example = "21")]
    argument: String,
    /// Until when a queueable function may wait for the device.
    #[serde(default)]
    deliver_before: Option<String>,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StaffCallRequest {
    #[serde(default)]
    #[schema(example = "")]
    argument: String,
    /// Why; logged, and shown to the customer.
    #[serde(default)]
    #[schema(example = "customer locked out, ticket 4711")]
    reason: Option<String>,
    /// Judge the call as this customer's.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "cus_01h455vb4pex5vsknk084sn02q")]
    customer_id: Option<CustomerId>,
}

/// What the headers say about how to call: `Idempotency-Key` (draft 07) and `Prefer` (RFC 7240).
#[derive(Debug)]
pub struct CallHeaders {
    idempotency_key: Option<IdempotencyKey>,
    wait: Wait,
}

impl<S: Sync> FromRequestParts<S> for CallHeaders {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        let key = parts.headers.get("idempotency-key").map(|value| {
            let text = value.to_str().unwrap_or_default();
            text.parse()
                .map_err(|rule: ostler_app::idempotency::InvalidIdempotencyKey| {
                    Problem::invalid_parameter("Idempotency-Key", rule.to_string())
                })
        });
        let prefers_async = parts
            .headers
            .get_all("prefer")
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|preference| preference.trim().eq_ignore_ascii_case("respond-async"));
        let wait = if prefers_async {
            Wait::ForAcceptance
        } else {
            Wait::ForOutcome
        };
        Ok(Self {
            idempotency_key: key.transpose()?,
            wait,
        })
    }
}

/// Call a function of a device.
///
/// The intent is durable before anything leaves; the answer says what is proven. Waits for the
/// device unless `Prefer: respond-async` is sent. With an `Idempotency-Key` a repeated request
/// tells what became of the first and never calls again.
#[utoipa::path(post, path = "/v1/devices/{device_id}/functions/{function}", tag = "devices",
    operation_id = "callFunction", request_body = CallFunctionRequest,
    params(("device_id" = String, Path, example = "dev_01h455vb4pex5vsknk084sn02q"),
        ("function" = String, Path, example = "setTarget"),
        ("Idempotency-Key" = Option<String>, Header, description = "At most one call to the device per key, for 24 hours"),
        ("Prefer" = Option<String>, Header, description = "`respond-async`: answer 202 once the intent is durable")),
    responses((status = 200, description = "`answered`", body = CommandResponse),
        (status = 202, description = "`accepted`", body = CommandResponse),
        (status = 403, description = "Refused by a rule that is named"),
        (status = 404, description = "No grant on such a device"),
        (status = 409, description = "The call that the key names is still running"),
        (status = 422, description = "The key was used for another call"),
        (status = 502, description = "The device cloud refused"),
        (status = 503, description = "The device is offline, or the device cloud cannot be reached; it did not act"),
        (status = 504, description = "It left, and nobody can say whether the device acted")),
    security(("bearer" = ["devices:control"])))]
pub async fn call_function(
    State(state): State<ServerState>,
    caller: Scoped<DevicesControl>,
    Path(CallPath { device_id, function }): Path<CallPath>,
    headers: CallHeaders,
    Json(request): Json<CallFunctionRequest>,
) -> Result<Response, ApiError> {
    let argument = request.argument_to_send_now()?;
    let request = CallRequest {
        call: FunctionCall {
            device_id,
            function,
            argument,
        },
        on_behalf_of: None,
        reason: None,
        idempotency_key: headers.idempotency_key,
        wait: headers.wait,
    };
    answer(state.app().call_function(&caller, request).await?)
}

/// Call a function as the maker, or as one of its customers.
///
/// The same contracts, ledger and audit as a customer's call. With `customer_id` the call is
/// judged by that customer's rights.
#[utoipa::path(post, path = "/admin/v1/devices/{device_id}/functions/{function}", tag = "staff",
    operation_id = "staffCallFunction", request_body = StaffCallRequest,
    params(("device_id" = String, Path, example = "dev_01h455vb4pex5vsknk084sn02q"),
        ("function" = String, Path, example = "unlock"),
        ("Idempotency-Key" = Option<String>, Header), ("Prefer" = Option<String>, Header)),
    responses((status = 200, description = "`answered`", body = CommandResponse),
        (status = 202, description = "`accepted`", body = CommandResponse),
        (status = 403, description = "Refused by a rule that is named"),
        (status = 404, description = "No such device within the caller's products"),
        (status = 502, description = "The device cloud refused"),
        (status = 503, description = "Offline or unreachable; the device did not act"),
        (status = 504, description = "Nobody can say whether the device acted")),
    security(("bearer" = ["fleet:control"])))]
pub async fn staff_call_function(
    State(state): State<ServerState>,
    caller: Scoped<FleetControl>,
    Path(CallPath { device_id, function }): Path<CallPath>,
    headers: CallHeaders,
    Json(request): Json<StaffCallRequest>,
) -> Result<Response, ApiError> {
    let request = CallRequest {
        call: FunctionCall {
            device_id,
            function,
            argument: request.argument.into(),
        },
        on_behalf_of: request.customer_id,
        reason: request.reason.map(reason).transpose()?,
        idempotency_key: headers.idempotency_key,
        wait: headers.wait,
    };
    answer(state.app().call_function(&caller, request).await?)
}

const REASON_BYTES_MAX: usize = 500;

fn reason(text: String) -> Result<String, Problem> {
    if text.len() > REASON_BYTES_MAX || text.chars().any(char::is_control) {
        let rule = format!("must be at most {REASON_BYTES_MAX} bytes without control characters");
        return Err(Problem::invalid_pointer("/reason", rule));
    }
    Ok(text)
}

impl CallFunctionRequest {
    /// No function waits in a queue yet: whoever asks for that is told, rather than surprised.
    fn argument_to_send_now(self) -> Result<Arc<str>, Problem> {
        match self.deliver_before {
            None => Ok(self.argument.into()),
            Some(_) => Err(Problem::invalid_pointer(
                "/deliver_before",
                "must be absent: the function may not be queued",
            )),
        }
    }
}

impl Refusal for CallFunctionError {
    fn problem(self) -> Problem {
        match self {
            Self::Denied { denied, command_id, at } => denied_problem(&denied, command_id, at),
            Self::KeyReused => Problem::new(Code::IdempotencyKeyReused),
            Self::KeyInFlight { command_id } => {
                Problem::new(Code::IdempotencyKeyInFlight).extension("command_id", command_id.to_string())
            }
            Self::Store(error) => crate::error::from_store(error),
        }
    }
}

/// A refusal by policy. Without a grant it is the same 404 as for no device at all.
pub(super) fn denied_problem(denied: &Denied, command_id: Option<CommandId>, at: Timestamp) -> Problem {
    let problem = match denied {
        Denied::NoGrant => return Problem::not_found(),
        Denied::FunctionNotGranted | Denied::VariableNotGranted => Problem::new(Code::FunctionNotGranted),
        Denied::Quarantined => Problem::new(Code::ConditionNotMet),
        Denied::ArgumentNotAllowed(fault) => {
            Problem::new(Code::ArgumentNotAllowed).error(Place::Pointer("/argument".into()), fault.to_string())
        }
        Denied::CoolingDown { until } => Problem::new(Code::CoolingDown)
            .hint("the product lets this function through once in a while, for all who may use the device together")
            .extension("until", until.to_string())
            .retry_after(until.since(at)),
    };
    let problem = problem.detail(sentence(denied));
    match command_id {
        Some(id) => problem
            .extension("command_id", id.to_string())
            .extension("command_status", "refused")
            .extension("upstream", serde_json::Value::Null),
        None => problem,
    }
}

fn sentence(denied: &Denied) -> String {
    let text = denied.to_string();
    let mut characters = text.chars();
    let first = characters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(characters).chain(['.']).collect()
}
