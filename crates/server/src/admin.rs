//! The staff API (`/admin/v1`): products, cloud connections, devices, grants, commands, audit.
//!
//! Each handler opens the desk of whoever asks, calls one use case and shapes one answer. Whether
//! a thing is within reach is decided at the desk; here only the scope is.

mod access;
mod audit;
mod clients;
mod cloud;
mod commands;
mod customers;
mod device_import;
mod devices;
mod effect;
mod grants;
mod ingest;
mod product_schema;
mod products;
mod rejected_events;
mod session;
mod webhook;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::ServerState;

pub fn router() -> OpenApiRouter<ServerState> {
    OpenApiRouter::new()
        .routes(routes!(products::list_products, products::create_product))
        .routes(routes!(products::get_product, products::change_product))
        .routes(routes!(products::list_versions))
        .routes(routes!(products::revert_product))
        .routes(routes!(products::export_product))
        .routes(routes!(
            cloud::get_connection,
            cloud::set_connection,
            cloud::end_connection
        ))
        .routes(routes!(ingest::rotate_ingest_secret, ingest::end_former_ingest_secrets))
        .routes(routes!(ingest::rotate_registration_key))
        .routes(routes!(webhook::ensure_hooks))
        .routes(routes!(devices::list_devices, device_import::import_devices))
        .routes(routes!(device_import::import_from_cloud))
        .routes(routes!(devices::get_device, devices::change_device))
        .routes(routes!(devices::quarantine_device, devices::release_device))
        .routes(routes!(grants::list_grants, grants::create_grant))
        .routes(routes!(grants::get_grant))
        .routes(routes!(grants::end_grant))
        .routes(routes!(commands::list_commands))
        .routes(routes!(commands::get_command))
        .routes(routes!(session::start_session, session::end_session))
        .routes(routes!(customers::list_customers, customers::create_customer))
        .routes(routes!(customers::get_customer))
        .routes(routes!(customers::close_customer))
        .routes(routes!(clients::list_clients, clients::create_client))
        .routes(routes!(clients::get_client, clients::change_client))
        .routes(routes!(clients::replace_secret))
        .routes(routes!(clients::end_client))
        .routes(routes!(rejected_events::list_rejected_events))
        .routes(routes!(audit::list_entries))
        .routes(routes!(audit::get_head))
}
