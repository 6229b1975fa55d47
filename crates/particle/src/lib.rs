//! The adapter to Particle's cloud: it implements `ostler_app::device_cloud::DeviceCloud` over
//! Particle's HTTP API and event stream.
//!
//! Particle's JSON is spelled as Particle spells it, in [`wire`] and nowhere else. What a status
//! and a body prove is decided in one table, [`classify`]; nothing in here decides who may do what,
//! and nothing repeats a request that may have acted. References to sections mean
//! `particle-cloud-api.md`.

mod adapter;
mod address;
mod answer;
mod breaker;
mod call;
mod check;
mod classify;
mod cloud_clock;
mod connection;
mod devices;
mod event;
mod exchange;
mod hooks;
mod links;
mod lockout;
mod mint;
mod options;
mod pool;
mod publish;
mod rate_gate;
mod read;
mod request;
pub mod setup;
pub mod sse;
mod stream;
mod token;
pub mod webhook;
mod wire;

pub use adapter::Particle;
pub use address::{CloudAddress, CloudProduct, InvalidAddress};
pub use options::{Backoff, ParticleOptions, StreamOptions};
