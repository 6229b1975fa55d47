//! `/admin/v1/session`: staff sign in, and out.

use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CACHE_CONTROL, HeaderValue, WWW_AUTHENTICATE};
use ostler_app::identity::{Password, RevokeError, SignInError};
use ostler_core::caller::Caller;
use serde::{Deserialize, Serialize};

use crate::error::{ApiError, Refusal, from_store};
use crate::extract::Json;
use crate::layers::address::ClientAddress;
use crate::problem::{Code, Problem};
use crate::refusals::{Bearer, Input, SignIn};
use crate::state::ServerState;
use crate::text::Line;

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StartSessionRequest {
    #[schema(value_type = String, max_length = 254, example = "operator@example.com")]
    email: Line<254>,
    #[schema(value_type = String, max_length = 1024, example = "correct horse battery staple")]
    password: Line<1024>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct SessionResponse {
    #[schema(example = "ost_at_VmFsaWQgZm9yIG9uZSBob3VyLCBvcGFxdWUgZm9yIGFsbA")]
    access_token: String,
    #[schema(example = "Bearer")]
    token_type: &'static str,
    #[schema(example = 43200)]
    expires_in: u64,
}

/// Sign in as a member of staff.
///
/// The token carries what the role may: owners and admins everything, support and viewers the reading
/// scopes. Customers' accounts do not open anything here.
#[utoipa::path(post, path = "/admin/v1/session", tag = "staff", operation_id = "startStaffSession",
    request_body = StartSessionRequest,
    responses((status = 200, description = "A bearer token", body = SessionResponse),
        SignIn, Input), security(()))]
pub async fn start_session(
    State(state): State<ServerState>,
    Extension(address): Extension<ClientAddress>,
    Json(StartSessionRequest { email, password }): Json<StartSessionRequest>,
) -> Result<Response, ApiError> {
    let (email, password) = (String::from(email), Password::presented(password.into()));
    let session = state
        .app()
        .start_staff_session(&email, password, address.counted())
        .await?;
    let answer = SessionResponse {
        access_token: session.access_token.reveal().to_owned(),
        token_type: "Bearer",
        expires_in: session.expires_in.as_secs(),
    };
    Ok(([(CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}

/// Sign out: the token with which this is asked ends.
///
/// Once this has answered, nothing acts by it any more.
#[utoipa::path(delete, path = "/admin/v1/session", tag = "staff", operation_id = "endStaffSession",
    responses((status = 204, description = "It has ended"), Bearer), security(("bearer" = [])))]
pub async fn end_session(State(state): State<ServerState>, caller: Caller) -> Result<StatusCode, ApiError> {
    if caller.staff_id().is_none() {
        return Err(Problem::new(Code::InsufficientScope)
            .detail("This is not a staff session.")
            .into());
    }
    state.app().end_staff_session(&caller).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl Refusal for SignInError {
    fn problem(self) -> Problem {
        match self {
            Self::Wrong => Problem::new(Code::Unauthenticated)
                .detail("The e-mail address or the password is not right.")
                .header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")),
            Self::Wait(pause) => Problem::new(Code::RateLimited)
                .detail("That was tried too often for this account or from this address.")
                .retry_after(pause),
            Self::Overloaded(error) => Problem::new(Code::Overloaded)
                .caused_by(error)
                .retry_after(std::time::Duration::from_secs(2)),
            Self::Store(error) => from_store(error),
        }
    }
}

impl Refusal for RevokeError {
    fn problem(self) -> Problem {
        match self {
            Self::AnotherClients => Problem::not_found(),
            Self::Store(error) => from_store(error),
        }
    }
}
