//! All routes, and the OpenAPI document that is written from them.
//!
//! A route with an operation comes in through `routes!`, so that it cannot be served without being
//! described; pages and machine-read text, which are no operations, are added to the plain router.

mod completion;
mod examples;

use std::sync::LazyLock;

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder};
use utoipa::{PartialSchema as _, ToSchema as _};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::problem::ProblemDocument;
use crate::state::ServerState;
use crate::{admin, api, health, home, layers, metrics, oauth};

static DOCUMENT: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut document = serde_json::to_value(openapi()).expect("the document has text keys only");
    examples::fill(&mut document);
    let mut text = serde_json::to_vec_pretty(&document).expect("it was a value just now");
    text.push(b'\n');
    text
});

/// The whole server as one service.
pub fn router(state: ServerState) -> Router {
    framed(routes(&state), state)
}

/// Every route, without the frame.
pub fn routes(state: &ServerState) -> Router<ServerState> {
    let (operations, _) = prompt_operations()
        .layer(layers::RequestDeadline(state.limits().request_deadline))
        .merge(patient_operations())
        .split_for_parts();
    operations.merge(pages())
}

/// What the operator's own address (`metrics.listen`) serves.
pub fn operator_router(state: ServerState) -> Router {
    let routes = Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(metrics::metrics_for_operators));
    framed(routes, state)
}

/// Puts the frame around routes.
pub fn framed(routes: Router<ServerState>, state: ServerState) -> Router {
    routes
        .fallback(layers::not_found)
        .method_not_allowed_fallback(layers::method_not_allowed)
        .layer(layers::Frame(state.clone()))
        .with_state(state)
}

/// The document without its examples, which [`document`] adds.
pub fn openapi() -> OpenApi {
    let (_, mut document) = OpenApiRouter::with_openapi(described())
        .merge(prompt_operations())
        .merge(patient_operations())
        .split_for_parts();
    let components = document.components.get_or_insert_default();
    let mut schemas = vec![(ProblemDocument::name().into_owned(), ProblemDocument::schema())];
    ProblemDocument::schemas(&mut schemas);
    components.schemas.extend(schemas);
    let bearer = Http::builder()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("An access token (RFC 6750)"))
        .build();
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    let ingest = Http::builder()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("A product's ingest secret"))
        .build();
    components.add_security_scheme("ingest", SecurityScheme::Http(ingest));
    completion::complete(&mut document);
    document
}

/// The document, as `/openapi.json` and `ostler openapi` give it.
pub fn document() -> &'static [u8] {
    &DOCUMENT
}

/// Operations that answer within the request deadline.
fn prompt_operations() -> OpenApiRouter<ServerState> {
    OpenApiRouter::new()
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .merge(api::prompt())
        .merge(admin::router())
        .merge(oauth::router())
}

/// Operations that wait for a device, with a deadline of their own.
fn patient_operations() -> OpenApiRouter<ServerState> {
    api::patient()
}

fn pages() -> Router<ServerState> {
    Router::new()
        .route("/", get(home::home))
        .route("/docs", get(home::docs))
        .route("/problems/{code}", get(home::problem))
        .route(home::STYLE_PATH, get(home::style))
        .route("/openapi.json", get(openapi_json))
        .route("/metrics", get(metrics::metrics))
        .merge(oauth::pages())
}

async fn openapi_json() -> Response {
    let headers = [
        (CONTENT_TYPE, "application/json"),
        (CACHE_CONTROL, "public, max-age=60"),
    ];
    (headers, document()).into_response()
}

fn described() -> OpenApi {
    let info = InfoBuilder::new()
        .title("Ostler")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "The customer-facing API of a connected product: devices, function calls under policy, and history. \
             Refusals are problem documents (RFC 9457).",
        ))
        .license(Some(
            LicenseBuilder::new()
                .name("Apache-2.0")
                .identifier(Some("Apache-2.0"))
                .build(),
        ))
        .build();
    OpenApiBuilder::new().info(info).build()
}
