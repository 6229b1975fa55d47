//! The use cases of Ostler, one file each, and the port to the device cloud.
//!
//! A use case reads the clock once, loads facts, asks policy, makes the intent durable, acts and
//! writes down what came of it. Nothing here knows HTTP or SQL.

pub mod admin;
mod background;
pub mod call_function;
pub mod commands;
pub mod device_cloud;
pub mod devices;
pub mod history;
pub mod idempotency;
pub mod identity;
pub mod ingest;
mod liveness;
pub mod permits;
mod settings;
mod settle;
pub mod variables;

use std::sync::{Arc, Weak};

use ostler_core::caller::{Caller, Principal};
use ostler_core::port::{Clock, Entropy};
use ostler_store::{Actor, Dialect, Store};

use crate::background::Tasks;
use crate::device_cloud::DeviceCloud;
use crate::identity::Identity;
use crate::ingest::Ingest;
use crate::liveness::Liveness;
use crate::permits::{Permits, Reach};
use crate::variables::Readings;

pub use settings::{PasswordCost, Settings};

/// Everything that the use cases work with. Each use case is an `impl App` in a file of its own.
pub struct App {
    pub(crate) store: Arc<Store>,
    pub(crate) cloud: Arc<dyn DeviceCloud>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) settings: Settings,
    /// Who ends a right waits for these.
    pub(crate) permits: Arc<Permits>,
    /// For which products presence is known; the event streams keep it.
    pub(crate) liveness: Liveness,
    pub(crate) readings: Readings,
    pub(crate) ingest: Ingest,
    pub(crate) tasks: Tasks,
    pub(crate) identity: Identity,
    this: Weak<Self>,
}

/// What a program hands in once, at its start.
pub struct Parts {
    pub store: Arc<Store>,
    pub cloud: Arc<dyn DeviceCloud>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub settings: Settings,
}

impl App {
    pub fn new(parts: Parts) -> Arc<Self> {
        let Parts {
            store,
            cloud,
            clock,
            entropy,
            settings,
        } = parts;
        let reach = match store.dialect() {
            Dialect::Sqlite => Reach::ThisProcess,
            Dialect::Postgres => Reach::OtherInstances,
        };
        Arc::new_cyclic(|this| Self {
            identity: Identity::new(&settings),
            store,
            cloud,
            clock,
            entropy,
            settings,
            permits: Arc::new(Permits::new(reach)),
            liveness: Liveness::default(),
            readings: Readings::default(),
            ingest: Ingest::default(),
            tasks: Tasks::default(),
            this: Weak::clone(this),
        })
    }

    /// For tasks that outlive the borrow by which a use case was called.
    pub(crate) fn shared(&self) -> Arc<Self> {
        self.this.upgrade().expect("whoever calls holds it")
    }
}

/// Who acts, as the audit chain names them.
pub(crate) fn actor(caller: &Caller) -> Actor {
    match &caller.who {
        Principal::Customer(customer_id) => Actor::Customer(*customer_id),
        Principal::Machine { .. } => Actor::Client(caller.client_id),
        Principal::Staff { staff_id, .. } => Actor::Staff(*staff_id),
    }
}
