//! `POST /oauth/revoke` (RFC 7009)

use axum::extract::State;
use http::StatusCode;

use super::client_authentication::ClientForm;
use super::error::{OAuthError, OAuthErrorDocument};
use crate::refusals::OAuthEndpoint;
use crate::state::ServerState;

/// For the OpenAPI document; read by hand, as the RFC asks.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "describes a form that is read member by member")]
pub struct RevokeRequest {
    #[schema(example = "ost_rt_T25lIHRva2VuIGxlc3MgaW4gdGhlIHdvcmxkLCBhdCBsYXN0")]
    token: String,
    /// Not needed: a token says what it is.
    token_type_hint: Option<String>,
    client_id: Option<String>,
    client_secret: Option<String>,
}

/// End a token (RFC 7009).
///
/// A refresh token ends with all that descends from the same authorization. After the answer nothing
/// acts by it. A token that is unknown has ended already: also 200.
#[utoipa::path(post, path = "/oauth/revoke", tag = "oauth", operation_id = "revoke",
    request_body(content = RevokeRequest, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "It has ended"),
        (status = 400, description = "RFC 6749 §5.2", body = OAuthErrorDocument),
        (status = 401, description = "`invalid_client`", body = OAuthErrorDocument), OAuthEndpoint))]
pub async fn revoke(
    State(state): State<ServerState>,
    ClientForm { client, form }: ClientForm,
) -> Result<StatusCode, OAuthError> {
    state
        .app()
        .revoke(&client, form.required("token", "token is required.")?)
        .await?;
    Ok(StatusCode::OK)
}
