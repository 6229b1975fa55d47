//! `GET /.well-known/oauth-authorization-server` (RFC 8414): what there is, and nothing more.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::CACHE_CONTROL;
use ostler_core::scope::Scope;
use serde::Serialize;

use crate::state::ServerState;

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct MetadataResponse {
    #[schema(example = "https://api.example.com")]
    issuer: String,
    #[schema(example = "https://api.example.com/oauth/authorize")]
    authorization_endpoint: String,
    #[schema(example = "https://api.example.com/oauth/token")]
    token_endpoint: String,
    revocation_endpoint: String,
    introspection_endpoint: String,
    scopes_supported: Vec<&'static str>,
    response_types_supported: [&'static str; 1],
    response_modes_supported: [&'static str; 1],
    grant_types_supported: [&'static str; 3],
    token_endpoint_auth_methods_supported: [&'static str; 3],
    revocation_endpoint_auth_methods_supported: [&'static str; 3],
    introspection_endpoint_auth_methods_supported: [&'static str; 2],
    code_challenge_methods_supported: [&'static str; 1],
    /// RFC 9207
    authorization_response_iss_parameter_supported: bool,
    service_documentation: String,
}

const OF_ALL_CLIENTS: [&str; 3] = ["client_secret_basic", "client_secret_post", "none"];
const OF_CONFIDENTIAL_CLIENTS: [&str; 2] = ["client_secret_basic", "client_secret_post"];

/// How to sign in here, for programs (RFC 8414).
#[utoipa::path(get, path = "/.well-known/oauth-authorization-server", tag = "oauth", operation_id = "metadata",
    responses((status = 200, description = "The authorization server's metadata", body = MetadataResponse)))]
pub async fn metadata(State(state): State<ServerState>) -> Response {
    let issuer = state.issuer();
    let at = |path: &str| format!("{issuer}{path}");
    let metadata = MetadataResponse {
        authorization_endpoint: at("/oauth/authorize"),
        token_endpoint: at("/oauth/token"),
        revocation_endpoint: at("/oauth/revoke"),
        introspection_endpoint: at("/oauth/introspect"),
        scopes_supported: Scope::ALL.iter().map(|scope| scope.as_str()).collect(),
        response_types_supported: ["code"],
        response_modes_supported: ["query"],
        grant_types_supported: ["authorization_code", "refresh_token", "client_credentials"],
        token_endpoint_auth_methods_supported: OF_ALL_CLIENTS,
        revocation_endpoint_auth_methods_supported: OF_ALL_CLIENTS,
        introspection_endpoint_auth_methods_supported: OF_CONFIDENTIAL_CLIENTS,
        code_challenge_methods_supported: ["S256"],
        authorization_response_iss_parameter_supported: true,
        service_documentation: at("/docs"),
        issuer,
    };
    ([(CACHE_CONTROL, "public, max-age=300")], Json(metadata)).into_response()
}
