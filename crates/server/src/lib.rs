//! Ostler over HTTP: the listener, the frame around every request, and one file per endpoint.
//!
//! Statuses, header fields and JSON shapes are decided here and nowhere else. Rights, SQL and the
//! device cloud are not: handlers call one use case each.

pub mod access;
pub mod admin;
pub mod api;
pub mod config;
pub mod edge;
pub mod error;
pub mod extract;
pub mod health;
pub mod home;
pub mod layers;
pub mod list;
pub mod listen;
pub mod log;
pub mod metrics;
pub mod network;
pub mod oauth;
pub mod openapi;
pub mod problem;
pub mod refusals;
pub mod state;
pub mod systemd;
pub mod text;
pub mod tls;
pub mod upkeep;
