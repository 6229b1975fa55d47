//! Every way in which the cloud says no, with the status and body of the reference. One table, so
//! that a reader can hold it against §2.1, §2.2, §2.3 and §3.3 at a glance.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::{Value, json};

use super::json_response;
use crate::config::Profile;

/// The device primitives whose errors have differed over the years.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Primitive {
    Function,
    Variable,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    // §2.1: the token
    NoToken,
    UnknownToken,
    ExpiredToken,
    TokenSentTwice,
    ApiUsersNotAllowed,
    MissingScope { status: u16 },
    // §2.2: the token endpoint
    WrongUser,
    MfaRequired { mfa_token: String },
    WrongOtp,
    WrongClient { status: u16 },
    WrongRefreshToken,
    NoGrantType,
    NotAForm,
    UnknownCustomer { status: u16 },
    // §2.3: Basic authentication with the account's password
    BasicUnknownUser,
    BasicWrongPassword,
    // §3.3: devices and products
    PermissionDenied,
    WrongRoute,
    FunctionNotFound { function: String },
    VariableNotFound { variable: String, profile: Profile },
    TimedOut { primitive: Primitive, profile: Profile },
    SignalTimedOut,
    ProductNotFound,
    NotInProduct,
    WebhookNotFound,
    ClaimUnknown,
    ClaimOffline,
    ClaimForeign { status: u16 },
    ClaimWithoutId,
    // §7
    CustomerExists { status: u16 },
    // the rest
    RateLimited { status: u16 },
    Missing { field: &'static str },
    Unreadable,
    NoSuchThing { what: &'static str },
    Injected { status: u16 },
}

impl Refusal {
    fn parts(&self) -> (u16, Value) {
        match self {
            Self::NoToken => oauth(400, "invalid_request", "The access token was not found"),
            Self::UnknownToken => oauth(401, "invalid_token", "The access token provided is invalid."),
            Self::ExpiredToken => oauth(401, "invalid_token", "The access token provided has expired."),
            Self::TokenSentTwice => oauth(
                400,
                "invalid_request",
                "Only one method may be used to authenticate at a time (Auth header, GET or POST).",
            ),
            Self::ApiUsersNotAllowed => oauth(400, "unauthorized", "API users are not allowed to call this endpoint"),
            Self::MissingScope { status } => oauth(
                *status,
                "unauthorized",
                "The access token lacks the scope for this endpoint",
            ),
            Self::WrongUser => oauth(400, "invalid_grant", "User credentials are invalid"),
            Self::MfaRequired { mfa_token } => {
                let (status, mut body) = oauth(403, "mfa_required", "Multifactor authentication required");
                body["mfa_token"] = json!(mfa_token);
                (status, body)
            }
            Self::WrongOtp => oauth(400, "invalid_grant", "OTP expired"),
            Self::WrongClient { status } => oauth(*status, "invalid_client", "Client credentials are invalid"),
            Self::WrongRefreshToken => oauth(400, "invalid_grant", "Invalid refresh token"),
            Self::NoGrantType => oauth(400, "invalid_request", "Invalid or missing grant_type parameter"),
            Self::NotAForm => oauth(
                400,
                "invalid_request",
                "Method must be POST with application/x-www-form-urlencoded encoding",
            ),
            Self::UnknownCustomer { status } => oauth(*status, "invalid_grant", "Customer not found"),
            Self::BasicUnknownUser => (400, json!({"ok": false, "errors": ["Unknown user"]})),
            Self::BasicWrongPassword => (401, json!({"ok": false, "errors": ["Bad password"]})),
            Self::PermissionDenied => (
                403,
                json!({
                    "error": "Permission Denied",
                    "info": "I didn't recognize that device name or ID, try opening \
                             https://api.particle.io/v1/devices?access_token=undefined",
                }),
            ),
            Self::WrongRoute => (403, json!({"ok": false, "error": "Permission denied"})),
            Self::FunctionNotFound { function } => (
                404,
                json!({"ok": false, "error": format!("Function {function} not found")}),
            ),
            Self::VariableNotFound { variable, profile } => match profile {
                Profile::Current | Profile::Y2018 => (
                    404,
                    json!({"ok": false, "error": format!("Unknown Variable: {variable}")}),
                ),
                Profile::Y2015 => (404, json!({"ok": false, "error": "Variable not found"})),
            },
            Self::TimedOut { primitive, profile } => timed_out(*primitive, *profile),
            Self::SignalTimedOut => (
                500,
                json!({"ok": false, "code": 500,
                       "errors": [{"error": "Timed out, didn't hear back from device service"}]}),
            ),
            Self::ProductNotFound => (404, json!({"ok": false, "error": "Product not found."})),
            Self::NotInProduct => (404, json!({"ok": false, "error": "Device not found for this product"})),
            Self::WebhookNotFound => (404, json!({"ok": false, "error": "Webhook not found"})),
            Self::ClaimUnknown => (404, json!({"ok": false, "errors": ["device does not exist"]})),
            Self::ClaimOffline => (404, json!({"ok": false, "errors": [["Core isn't online", 404]]})),
            Self::ClaimForeign { status } => (
                *status,
                json!({"ok": false, "errors": ["That belongs to someone else."]}),
            ),
            Self::ClaimWithoutId => (400, json!({"ok": false, "errors": ["arg.deviceID is empty"]})),
            Self::CustomerExists { status } => {
                oauth(*status, "invalid_request", "A customer with that name already exists")
            }
            Self::RateLimited { status } => oauth(
                *status,
                "too_many_requests",
                "You have made too many requests, please slow down",
            ),
            Self::Missing { field } => (
                400,
                json!({"ok": false, "error": format!("{field} is missing or not valid")}),
            ),
            Self::Unreadable => oauth(400, "invalid_request", "The body could not be read"),
            Self::NoSuchThing { what } => (404, json!({"ok": false, "error": format!("{what} not found")})),
            Self::Injected { status } => (
                *status,
                json!({"ok": false, "code": status, "errors": [{"error": "Something went wrong"}]}),
            ),
        }
    }
}

fn oauth(status: u16, error: &str, description: &str) -> (u16, Value) {
    (status, json!({"error": error, "error_description": description}))
}

/// §3.3, rows "device offline".
fn timed_out(primitive: Primitive, profile: Profile) -> (u16, Value) {
    match (profile, primitive) {
        (Profile::Current | Profile::Y2018, Primitive::Function | Primitive::Variable) => {
            (408, json!({"ok": false, "error": "timed out"}))
        }
        (Profile::Y2015, Primitive::Function) => (400, json!({"ok": false, "error": "Timed out."})),
        (Profile::Y2015, Primitive::Variable) => (408, json!({"error": "Timed out."})),
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, body) = self.parts();
        // A status that a test has injected may be none of HTTP's.
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        json_response(status, &body)
    }
}
