//! The OAuth endpoints. They answer as their RFCs say, to the letter: errors are JSON members and
//! redirects here, not problem documents. What is granted to whom is decided by the use cases.

mod authorize;
mod client_authentication;
mod error;
mod form;
mod introspect;
mod metadata;
mod revoke;
mod token;

use axum::routing::get;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::ServerState;

/// For programs: described in the OpenAPI document.
pub fn router() -> OpenApiRouter<ServerState> {
    OpenApiRouter::new()
        .routes(routes!(token::token))
        .routes(routes!(revoke::revoke))
        .routes(routes!(introspect::introspect))
        .routes(routes!(metadata::metadata))
}

/// For people, in a browser.
pub fn pages() -> axum::Router<ServerState> {
    axum::Router::new().route("/oauth/authorize", get(authorize::show).post(authorize::submit))
}
