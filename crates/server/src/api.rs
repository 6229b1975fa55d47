//! The customer API (`/v1`), and the maker's function calls, which are the same use case.
//!
//! One file per endpoint or resource. `prompt` operations answer within the request deadline;
//! `patient` ones wait for a device, with a deadline of their own.

pub mod call_function;
pub mod command;
pub mod devices;
mod events;
mod history;
mod ingest;
mod latest;
pub mod me;
mod registrations;
mod telemetry;
pub mod variables;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::ServerState;

pub fn prompt() -> OpenApiRouter<ServerState> {
    OpenApiRouter::new()
        .routes(routes!(me::get_me))
        .routes(routes!(devices::list_devices))
        .routes(routes!(devices::get_device, devices::change_device))
        .routes(routes!(command::read::get_command))
        .merge(telemetry::router())
}

pub fn patient() -> OpenApiRouter<ServerState> {
    OpenApiRouter::new()
        .routes(routes!(call_function::call_function))
        .routes(routes!(call_function::staff_call_function))
        .routes(routes!(variables::read_variable))
}
