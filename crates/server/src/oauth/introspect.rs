//! `POST /oauth/introspect` (RFC 7662)

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use ostler_app::identity::{Introspected, Introspection, Subject};
use serde::Serialize;

use super::client_authentication::ClientForm;
use super::error::{OAuthError, OAuthErrorDocument, forbid_storing};
use crate::refusals::OAuthEndpoint;
use crate::state::ServerState;

/// RFC 7662 §2.2. Of an inactive token nothing but that is told.
#[derive(Debug, Default, Serialize, utoipa::ToSchema)]
pub struct IntrospectionResponse {
    #[schema(example = true)]
    active: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "devices:read")]
    scope: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "cli_01h455vb4pex5vsknk084sn02q")]
    client_id: Option<String>,
    /// `Bearer`, or absent for a refresh token.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "Bearer")]
    token_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 1_900_003_600)]
    exp: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 1_900_000_000)]
    iat: Option<i64>,
    /// The customer, the member of staff or, for a machine, the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "cus_01h455vb4pex5vsknk084sn02q")]
    sub: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "https://api.example.com")]
    iss: Option<String>,
}

/// For the OpenAPI document; read by hand, as the RFC asks.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "describes a form that is read member by member")]
pub struct IntrospectionRequest {
    #[schema(example = "ost_at_VmFsaWQgZm9yIG9uZSBob3VyLCBvcGFxdWUgZm9yIGFsbA")]
    token: String,
    token_type_hint: Option<String>,
    client_id: Option<String>,
    client_secret: Option<String>,
}

impl IntrospectionResponse {
    fn active(token: &Introspected, issuer: String) -> Self {
        let subject = match token.subject {
            Subject::Customer(id) => id.to_string(),
            Subject::Client(id) => id.to_string(),
            Subject::Staff(id) => id.to_string(),
        };
        Self {
            active: true,
            scope: Some(token.scopes.to_string()),
            client_id: token.client_id.map(|id| id.to_string()),
            token_type: token.is_access_token.then_some("Bearer"),
            exp: token.expires_at.map(|at| at.millis().div_euclid(1_000)),
            iat: Some(token.issued_at.millis().div_euclid(1_000)),
            sub: Some(subject),
            iss: Some(issuer),
        }
    }
}

/// Ask what a token is worth now (RFC 7662).
///
/// For confidential clients: about their own tokens, or, with the scope `admin:read`, about all
/// access tokens. Everything else is `{"active": false}`.
#[utoipa::path(post, path = "/oauth/introspect", tag = "oauth", operation_id = "introspect",
    request_body(content = IntrospectionRequest, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "What it is worth", body = IntrospectionResponse),
        (status = 400, description = "RFC 6749 §5.2", body = OAuthErrorDocument),
        (status = 401, description = "`invalid_client`", body = OAuthErrorDocument), OAuthEndpoint))]
pub async fn introspect(
    State(state): State<ServerState>,
    ClientForm { client, form }: ClientForm,
) -> Result<Response, OAuthError> {
    let token = form.required("token", "token is required.")?;
    let answer = match state.app().introspect(&client, token).await? {
        Some(Introspection::Active(token)) => IntrospectionResponse::active(&token, state.issuer()),
        Some(Introspection::Inactive) => IntrospectionResponse::default(),
        // RFC 7662 §2.1: whoever asks must show who they are.
        None => return Err(OAuthError::InvalidClient { by_header: false }),
    };
    let mut response = axum::Json(answer).into_response();
    forbid_storing(&mut response);
    Ok(response)
}
