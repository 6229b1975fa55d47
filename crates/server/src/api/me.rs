//! `GET /v1/me`: whose token this is.

use axum::extract::State;
use ostler_core::caller::Caller;
use ostler_core::email::EmailAddress;
use serde::Serialize;

use crate::error::ApiError;
use crate::extract::Json;
use crate::refusals::{Bearer, Named};
use crate::state::ServerState;

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct MeResponse {
    #[schema(example = "cus_01h455vb4pex5vsknk084sn02q")]
    id: String,
    #[schema(example = "ada@example.com")]
    email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "Ada")]
    name: Option<String>,
}

/// My account.
///
/// With any scope: whoever holds a token may know whose it is. Staff and machines have no customer's
/// account.
#[utoipa::path(get, path = "/v1/me", tag = "account", operation_id = "getMe",
    responses((status = 200, description = "The account", body = MeResponse), Bearer, Named),
    security(("bearer" = [])))]
pub async fn get_me(State(state): State<ServerState>, caller: Caller) -> Result<Json<MeResponse>, ApiError> {
    let account = state.app().own_account(&caller).await?;
    Ok(Json(MeResponse {
        id: account.id.to_string(),
        email: account.email.as_ref().map(EmailAddress::to_string),
        name: account.name,
    }))
}
