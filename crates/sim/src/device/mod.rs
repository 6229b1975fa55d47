//! What runs on a simulated device: its functions, its variables, what it publishes and when. The
//! firmware knows nothing of accounts, tokens or HTTP; the cloud around it decides who may call.

mod custom;
pub(crate) mod noise;
mod thermostat;
mod track;
mod vehicle;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use custom::Custom;
pub(crate) use thermostat::Thermostat;
pub(crate) use vehicle::Vehicle;

/// The program of one device.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Firmware {
    Thermostat(Thermostat),
    Vehicle(Vehicle),
    Custom(Custom),
}

/// One event as the device hands it to its cloud library.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Publication {
    pub name: String,
    pub data: String,
    /// Kept in the device's store while there is no connection, and sent on return.
    pub stored_offline: bool,
}

/// The moment at which firmware runs, and where it puts what it publishes.
#[derive(Debug)]
pub(crate) struct Loop<'a> {
    pub now_ms: i64,
    pub seed: u64,
    pub published: &'a mut Vec<Publication>,
}

impl Loop<'_> {
    fn publish(&mut self, name: &str, data: &Value) {
        self.push(name, data, false);
    }

    fn publish_or_store(&mut self, name: &str, data: &Value) {
        self.push(name, data, true);
    }

    fn push(&mut self, name: &str, data: &Value, stored_offline: bool) {
        self.published.push(Publication {
            name: name.to_owned(),
            data: data.to_string(),
            stored_offline,
        });
    }

    fn unix_s(&self) -> i64 {
        self.now_ms.div_euclid(1000)
    }
}

impl Firmware {
    pub(crate) fn functions(&self) -> Vec<&str> {
        match self {
            Self::Thermostat(_) => Thermostat::FUNCTIONS.to_vec(),
            Self::Vehicle(_) => Vehicle::FUNCTIONS.to_vec(),
            Self::Custom(custom) => custom.functions.keys().map(String::as_str).collect(),
        }
    }

    /// Names and the cloud's words for their types.
    pub(crate) fn variables(&self) -> Vec<(&str, &'static str)> {
        match self {
            Self::Thermostat(_) => Thermostat::VARIABLES.to_vec(),
            Self::Vehicle(_) => Vehicle::VARIABLES.to_vec(),
            Self::Custom(custom) => custom.variable_types(),
        }
    }

    /// Runs a function; the caller has checked that it exists. An unknown name fails as firmware
    /// fails, with -1.
    pub(crate) fn call(&mut self, function: &str, argument: &str, at: &mut Loop<'_>) -> i32 {
        match self {
            Self::Thermostat(thermostat) => thermostat.call(function, argument, at),
            Self::Vehicle(vehicle) => vehicle.call(function, argument, at),
            Self::Custom(custom) => custom.functions.get(function).copied().unwrap_or(-1),
        }
    }

    pub(crate) fn read(&self, variable: &str) -> Option<Value> {
        match self {
            Self::Thermostat(thermostat) => thermostat.read(variable),
            Self::Vehicle(vehicle) => vehicle.read(variable),
            Self::Custom(custom) => custom.variables.get(variable).cloned(),
        }
    }

    /// One turn of the firmware's loop; returns when it wants the next.
    pub(crate) fn tick(&mut self, at: &mut Loop<'_>) -> i64 {
        match self {
            Self::Thermostat(thermostat) => thermostat.tick(at),
            Self::Vehicle(vehicle) => vehicle.tick(at),
            Self::Custom(_) => at.now_ms + 3_600_000,
        }
    }

    /// Whether the device has coverage where it now is.
    pub(crate) fn has_coverage(&self, now_ms: i64, seed: u64) -> bool {
        match self {
            Self::Vehicle(vehicle) => vehicle.has_coverage(now_ms, seed),
            Self::Thermostat(_) | Self::Custom(_) => true,
        }
    }

    /// Longitude and latitude of a device that knows where it is, in GeoJSON's order.
    pub(crate) fn position(&self) -> Option<[f64; 2]> {
        match self {
            Self::Vehicle(vehicle) => Some(vehicle.position()),
            Self::Thermostat(_) | Self::Custom(_) => None,
        }
    }

    /// Platform 32 (Photon 2) speaks Wi-Fi, 26 (Tracker) and 13 (Boron) cellular.
    pub(crate) fn platform_id(&self) -> u16 {
        match self {
            Self::Thermostat(_) => 32,
            Self::Vehicle(_) => 26,
            Self::Custom(_) => 13,
        }
    }
}
