//! The use cases of Ostler, one file each, and the port to the device cloud.
//!
//! A use case reads the clock once, loads facts, asks policy, makes the intent durable, acts and
//! writes down what came of it. Nothing here knows HTTP or SQL.

pub mod device_cloud;
mod settings;

use std::sync::Arc;

use ostler_core::port::{Clock, Entropy};
use ostler_store::Store;

use crate::device_cloud::DeviceCloud;

pub use settings::Settings;

/// Everything that the use cases work with. Each use case is an `impl App` in a file of its own.
pub struct App {
    pub(crate) store: Arc<Store>,
    pub(crate) cloud: Arc<dyn DeviceCloud>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) settings: Settings,
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
        Arc::new(Self {
            store,
            cloud,
            clock,
            entropy,
            settings,
        })
    }
}
