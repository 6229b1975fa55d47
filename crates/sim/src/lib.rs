//! A simulated Particle cloud: the HTTP API, event streams and webhooks that a product back end
//! touches, with living devices behind them. It knows only the wire, so that it can be used without
//! Ostler and cannot share a misreading with Ostler's adapter. It does not compile firmware, manage
//! SIMs or keep history, and it is no security boundary: it binds loopback only.

mod clock;
mod cloud;
mod config;
mod control;
mod device;
mod edge;
mod event;
mod faults;
mod fleet;
mod handle;
mod hooks;
mod http;
mod id;
mod journal;
mod limits;
mod persist;
mod routes;
mod sim;
mod stream;
mod world;

pub use clock::SimClock;
pub use config::{
    AccountConfig, CallTiming, HookTiming, Inference, LimitConfig, LockoutScope, Profile, SimConfig, TimeSource,
};
pub use device::{Custom, Firmware};
pub use event::Event;
pub use faults::{Fault, FaultKind};
pub use handle::{DeviceFacts, Facts, NewDevice, ProductFacts, SimHandle};
pub use id::{CustomerId, DeviceId, HookId, ProductId, UserId};
pub use journal::{Act, CredentialKind, RequestRecord};
pub use sim::{Sim, SimError};
