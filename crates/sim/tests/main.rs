//! The simulated cloud from outside: over HTTP, as any client sees it.

#![expect(
    clippy::unwrap_used,
    reason = "a broken assumption should end its test; helpers are tests too"
)]

mod calls;
mod control;
mod fixtures;
mod fleet;
mod javascript_client;
mod products;
mod restart;
mod streams;
mod support;
mod tokens;
mod webhooks;
