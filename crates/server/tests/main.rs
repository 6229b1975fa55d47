//! The frame as a client meets it. One binary, for each further one is another link.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod admin;
mod contract;
mod documents;
mod frame;
mod house;
mod listener;
mod oauth;
mod telemetry;
mod tls;
mod world;
