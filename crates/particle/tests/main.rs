//! The adapter against hand-written answers, against a stub that misbehaves on purpose, and against
//! the simulated cloud with its faults.

#![expect(
    clippy::unwrap_used,
    reason = "a broken assumption should end its test; helpers are tests too"
)]

mod calls;
mod fixtures;
mod hooks;
mod permits;
mod secrets;
mod setup;
mod sim_faults;
mod simulated;
mod stream;
mod stub;
mod support;
mod tokens;
