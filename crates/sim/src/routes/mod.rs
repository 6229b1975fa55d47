//! Every route of the API and the handler that serves it. The plain and the product family of a route
//! share one handler wherever they differ only in who may enter.

mod access_tokens;
mod account;
mod claims;
mod clients;
mod customers;
mod devices;
mod diagnostics;
mod locations;
mod oauth;
mod primitives;
mod product_devices;
mod products;
mod streams;
mod team;
mod webhooks;

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{delete, get, post, put};
use serde::Deserialize;

use crate::cloud::Cloud;
use crate::control;
use crate::http::{Answer, Call, Refusal, front};
use crate::id::DeviceId;
use crate::world::{Caller, Scope, World};

type Shared = axum::extract::State<Arc<Cloud>>;

/// A device, on the plain routes or on those of a product; with the last segment, if there is one.
#[derive(Debug, Deserialize)]
struct DevicePath {
    #[serde(default)]
    product: Option<String>,
    id: String,
    #[serde(default)]
    name: String,
}

/// Something that an account or a product has.
#[derive(Debug, Deserialize)]
struct HomePath {
    #[serde(default)]
    product: Option<String>,
    #[serde(default)]
    id: String,
}

impl World {
    fn device_at(&self, call: &Call, path: &DevicePath, scope: Scope) -> Result<(Caller, DeviceId), Refusal> {
        match &path.product {
            Some(product) => self.product_device(&call.credentials, product, &path.id, scope),
            None => self.owned_device(&call.credentials, &path.id),
        }
    }
}

pub(crate) fn router(cloud: &Arc<Cloud>) -> Router {
    let api = Router::new()
        .merge(accounts())
        .merge(plain_devices())
        .merge(products())
        .merge(hooks_and_clients("/v1"))
        .merge(hooks_and_clients("/v1/products/{product}"))
        .merge(control::routes())
        .fallback(nowhere)
        .method_not_allowed_fallback(nowhere)
        .with_state(Arc::clone(cloud));
    // As a fallback service, so that `front` can rewrite the path before it is routed.
    Router::new()
        .fallback_service(api)
        .layer(from_fn_with_state(Arc::clone(cloud), front))
}

fn accounts() -> Router<Arc<Cloud>> {
    Router::new()
        .route("/oauth/token", post(oauth::token))
        .route(
            "/v1/access_tokens",
            get(access_tokens::list).delete(access_tokens::delete_all),
        )
        .route(
            "/v1/access_tokens/current",
            get(access_tokens::current).delete(access_tokens::delete_current),
        )
        .route("/v1/access_tokens/{token}", delete(access_tokens::delete_one))
        .route("/v1/user", get(account::user))
        .route("/v1/orgs", get(account::organizations))
        .route("/v1/serial_numbers/{serial_number}", get(account::serial_number))
}

fn plain_devices() -> Router<Arc<Cloud>> {
    Router::new()
        .route("/v1/devices", get(devices::list).post(claims::claim))
        .route("/v1/devices/events", get(streams::mine).post(primitives::publish))
        .route("/v1/devices/events/{*prefix}", get(streams::mine))
        .route("/v1/events", get(streams::without_prefix))
        .route("/v1/events/{*prefix}", get(streams::all))
        .route("/v1/device_claims", post(claims::claim_code))
        .route(
            "/v1/devices/{id}",
            get(devices::get).put(devices::update).delete(claims::unclaim),
        )
        .merge(device_routes("/v1/devices/{id}"))
        .merge(diagnostics_routes("/v1"))
}

fn products() -> Router<Arc<Cloud>> {
    const P: &str = "/v1/products/{product}";
    Router::new()
        .route("/v1/products", get(products::list))
        .route(P, get(products::get))
        .route(&format!("{P}/team"), get(team::list).post(team::create))
        .route(&format!("{P}/team/{{id}}"), put(team::update).delete(team::delete))
        .route(&format!("{P}/customers"), get(customers::list).post(customers::create))
        .route(
            &format!("{P}/customers/{{id}}"),
            put(customers::update).delete(customers::delete),
        )
        .route(&format!("{P}/device_claims"), post(claims::product_claim_code))
        .route(
            &format!("{P}/events"),
            get(streams::product).post(primitives::product_publish),
        )
        .route(&format!("{P}/events/{{*prefix}}"), get(streams::product))
        .route(
            &format!("{P}/devices"),
            get(product_devices::list)
                .post(product_devices::import)
                .put(product_devices::regroup),
        )
        .route(
            &format!("{P}/devices/{{id}}"),
            get(product_devices::get)
                .put(devices::update)
                .delete(product_devices::remove),
        )
        .route(&format!("{P}/devices/{{id}}/owner"), delete(product_devices::release))
        .route(&format!("{P}/locations"), get(locations::list))
        .route(&format!("{P}/locations/{{id}}"), get(locations::get))
        .merge(device_routes(&format!("{P}/devices/{{id}}")))
        .merge(diagnostics_routes(P))
}

/// What can be asked of one device. `events` and `ping` are reserved; every other last segment names
/// a variable or a function (reference §5.4).
fn device_routes(device: &str) -> Router<Arc<Cloud>> {
    Router::new()
        .route(&format!("{device}/events"), get(streams::device))
        .route(&format!("{device}/events/{{*prefix}}"), get(streams::device))
        .route(&format!("{device}/ping"), put(primitives::ping))
        .route(
            &format!("{device}/{{name}}"),
            get(primitives::variable).post(primitives::function),
        )
}

fn diagnostics_routes(home: &str) -> Router<Arc<Cloud>> {
    Router::new()
        .route(&format!("{home}/diagnostics/{{id}}/last"), get(diagnostics::last))
        .route(&format!("{home}/diagnostics/{{id}}/update"), post(diagnostics::update))
}

fn hooks_and_clients(home: &str) -> Router<Arc<Cloud>> {
    Router::new()
        .route(&format!("{home}/clients"), get(clients::list).post(clients::create))
        .route(
            &format!("{home}/clients/{{id}}"),
            put(clients::update).delete(clients::delete),
        )
        .route(
            &format!("{home}/integrations"),
            get(webhooks::list).post(webhooks::create),
        )
        .route(
            &format!("{home}/integrations/{{id}}"),
            get(webhooks::get_integration)
                .put(webhooks::update)
                .delete(webhooks::delete),
        )
        .route(&format!("{home}/integrations/{{id}}/test"), post(webhooks::test))
        .route(&format!("{home}/webhooks"), get(webhooks::list).post(webhooks::create))
        .route(
            &format!("{home}/webhooks/{{id}}"),
            get(webhooks::get_webhook)
                .put(webhooks::update)
                .delete(webhooks::delete),
        )
        .route(&format!("{home}/webhooks/{{id}}/test"), post(webhooks::test))
}

async fn nowhere() -> Answer {
    Err(Refusal::NoSuchThing { what: "Route" })
}
