//! `POST /oauth/token` (RFC 6749 §3.2)

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use ostler_app::identity::{CodeExchange, IssuedTokens};
use ostler_core::scope::ScopeSet;
use ostler_core::secret::{AuthorizationCode, RefreshToken};
use serde::Serialize;

use super::client_authentication::ClientForm;
use super::error::{ErrorCode, OAuthError, OAuthErrorDocument, forbid_storing};
use super::form::OAuthForm;
use crate::refusals::OAuthEndpoint;
use crate::state::ServerState;

/// RFC 6749 §5.1
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct TokenResponse {
    #[schema(example = "ost_at_VmFsaWQgZm9yIG9uZSBob3VyLCBvcGFxdWUgZm9yIGFsbA")]
    access_token: String,
    #[schema(example = "Bearer")]
    token_type: &'static str,
    #[schema(example = 3600)]
    expires_in: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    #[schema(example = "devices:read devices:control")]
    scope: String,
}

/// For the OpenAPI document; read by hand, as the RFC asks.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "describes a form that is read member by member")]
pub struct TokenRequest {
    /// `authorization_code`, `refresh_token` or `client_credentials`
    #[schema(example = "client_credentials")]
    grant_type: String,
    code: Option<String>,
    redirect_uri: Option<String>,
    code_verifier: Option<String>,
    refresh_token: Option<String>,
    #[schema(example = "fleet:read")]
    scope: Option<String>,
    client_id: Option<String>,
    client_secret: Option<String>,
}

impl From<IssuedTokens> for TokenResponse {
    fn from(tokens: IssuedTokens) -> Self {
        Self {
            access_token: tokens.access_token.reveal().to_owned(),
            token_type: "Bearer",
            expires_in: tokens.expires_in.as_secs(),
            refresh_token: tokens.refresh_token.map(|token| token.reveal().to_owned()),
            scope: tokens.scopes.to_string(),
        }
    }
}

/// Get tokens (RFC 6749).
///
/// For an authorization code with its PKCE verifier, for a refresh token, or by client
/// credentials. The client authenticates by HTTP Basic, by `client_id` and `client_secret` in the
/// form, or, if it is public, names its `client_id`.
#[utoipa::path(post, path = "/oauth/token", tag = "oauth", operation_id = "token",
    request_body(content = TokenRequest, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "Tokens", body = TokenResponse),
        (status = 400, description = "RFC 6749 §5.2", body = OAuthErrorDocument),
        (status = 401, description = "`invalid_client`", body = OAuthErrorDocument), OAuthEndpoint))]
pub async fn token(
    State(state): State<ServerState>,
    ClientForm { client, form }: ClientForm,
) -> Result<Response, OAuthError> {
    let app = state.app();
    let tokens = match form.required("grant_type", "grant_type is required.")? {
        "authorization_code" => {
            let code = form.required("code", "code is required.")?;
            let exchange = CodeExchange {
                code: AuthorizationCode::presented(code.to_owned()),
                redirect_uri: form.get("redirect_uri").map(str::to_owned),
                code_verifier: form.get("code_verifier").map(str::to_owned),
            };
            app.exchange_code(&client, &exchange).await?
        }
        "refresh_token" => {
            let token = form.required("refresh_token", "refresh_token is required.")?;
            app.refresh_tokens(&client, &RefreshToken::presented(token.to_owned()), scope(&form)?)
                .await?
        }
        "client_credentials" => app.machine_tokens(&client, scope(&form)?).await?,
        _ => {
            let description = "grant_type must be authorization_code, refresh_token or client_credentials.";
            return Err(OAuthError::refused(ErrorCode::UnsupportedGrantType, description));
        }
    };
    let mut response = axum::Json(TokenResponse::from(tokens)).into_response();
    forbid_storing(&mut response);
    Ok(response)
}

fn scope(form: &OAuthForm) -> Result<Option<ScopeSet>, OAuthError> {
    let unknown = OAuthError::refused(
        ErrorCode::InvalidScope,
        "The scope names something that this server does not know.",
    );
    form.get("scope").map(str::parse).transpose().map_err(|_| unknown)
}
