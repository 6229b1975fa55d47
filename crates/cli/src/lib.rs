//! The commands for people at a terminal: clients of Ostler's public API like any other.
//!
//! This library knows the wire and nothing else of Ostler, so that whatever it can do, anybody's
//! program can do. Results go to the writer that is handed in, messages are the caller's to print.

pub mod connection;
mod edge;
pub mod failure;
pub mod problem;
pub mod product;
pub mod staff_api;
