//! The OAuth core as clients, browsers and staff meet it, on both databases.

mod authorize;
mod bearer;
mod clients_and_customers;
mod door;
mod errors;
mod machines;
mod refresh;
mod revoke;
mod staff;
