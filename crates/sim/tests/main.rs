//! The simulated cloud from outside: over HTTP, as any client sees it.

mod calls;
mod fixtures;
mod javascript_client;
mod streams;
mod support;
mod tokens;
mod webhooks;
