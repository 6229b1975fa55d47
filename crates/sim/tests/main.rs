//! The simulated cloud from outside: over HTTP, as any client sees it.

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
