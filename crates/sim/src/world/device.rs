//! A device as the cloud keeps it: names, ownership, connection. What runs on it is `crate::device`.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::World;
use crate::clock::rfc3339;
use crate::device::{Firmware, Publication};
use crate::id::{CustomerId, DeviceId, ProductId, UserId};

/// `store.quota` of the tracker's default configuration (reference §11.3); the oldest goes first.
const STORED_MAX: usize = 64;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Owner {
    User(UserId),
    Customer(CustomerId),
}

impl Owner {
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::User(id) => id.as_str(),
            Self::Customer(id) => id.as_str(),
        }
    }
}

/// How the product treats the device (reference §5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Standing {
    Approved,
    Quarantined,
    Denied,
}

/// The connection fails for either of two independent reasons.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Link {
    pub switched_off: bool,
    pub out_of_coverage: bool,
}

impl Link {
    pub(crate) fn is_up(self) -> bool {
        !self.switched_off && !self.out_of_coverage
    }
}

/// Whether the firmware's loop runs: a device fresh from the factory waits for its registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Commissioning {
    FactoryFresh,
    InService,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Device {
    pub id: DeviceId,
    /// In the order of their making.
    pub number: usize,
    pub name: Option<String>,
    pub serial_number: String,
    pub product_id: Option<ProductId>,
    pub owner: Option<Owner>,
    pub notes: Option<String>,
    pub groups: Vec<String>,
    pub development: bool,
    pub desired_firmware_version: Option<u16>,
    pub firmware_version: u16,
    pub firmware_updates_forced: bool,
    pub standing: Standing,
    pub link: Link,
    pub last_heard_at: Option<i64>,
    pub last_handshake_at: Option<i64>,
    pub commissioning: Commissioning,
    /// Left the factory unknown to the maker's back end, and reports itself.
    pub reports_itself: bool,
    /// What it publishes as `ostler/register`: opaque to the cloud.
    pub credential: Option<String>,
    /// A claim code it will present at its next handshake.
    pub claim_code: Option<String>,
    pub seed: u64,
    pub next_turn_at: i64,
    pub stored: VecDeque<Publication>,
    pub firmware: Firmware,
}

/// Which of the two families of routes shows the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeviceView {
    Plain,
    Product,
}

impl Device {
    pub(crate) fn store(&mut self, publication: Publication) {
        self.stored.push_back(publication);
        if self.stored.len() > STORED_MAX {
            self.stored.pop_front();
        }
    }
}

impl World {
    /// The device object of reference §5.1. Both `online` and `connected` occur; they are equal.
    pub(crate) fn device_wire(&self, device: &Device, view: DeviceView) -> Value {
        let online = self.is_online(device);
        let platform_id = device.firmware.platform_id();
        let variables: serde_json::Map<String, Value> = device
            .firmware
            .variables()
            .into_iter()
            .map(|(name, kind)| (name.to_owned(), json!(kind)))
            .collect();
        let mut wire = json!({
            "id": device.id,
            "name": device.name,
            "owner": device.owner.as_ref().and_then(|owner| self.owner_name(owner)),
            "last_ip_address": "127.0.0.1",
            "last_heard": device.last_heard_at.map(rfc3339),
            "last_handshake_at": device.last_handshake_at.map(rfc3339),
            "product_id": device.product_id.map_or(u32::from(platform_id), |id| id.0),
            "platform_id": platform_id,
            "online": online,
            "connected": online,
            "cellular": matches!(platform_id, 10 | 13 | 15 | 23 | 25 | 26 | 28 | 35 | 37),
            "notes": device.notes,
            "functions": device.firmware.functions(),
            "variables": variables,
            "status": "normal",
            "serial_number": device.serial_number,
            "system_firmware_version": "6.3.2",
            "current_build_target": "6.3.2",
            "default_build_target": "6.3.2",
            "pinned_build_target": null,
            "firmware_updates_enabled": true,
            "firmware_updates_forced": device.firmware_updates_forced,
        });
        if view == DeviceView::Product {
            self.add_product_members(&mut wire, device);
        }
        wire
    }

    fn add_product_members(&self, wire: &mut Value, device: &Device) {
        wire["firmware_product_id"] = json!(device.product_id);
        wire["firmware_version"] = json!(device.firmware_version);
        wire["desired_firmware_version"] = json!(device.desired_firmware_version);
        wire["targeted_firmware_release_version"] = json!(device.firmware_version);
        wire["development"] = json!(device.development);
        wire["quarantined"] = json!(device.standing == Standing::Quarantined);
        wire["denied"] = json!(device.standing == Standing::Denied);
        wire["groups"] = json!(device.groups);
        match &device.owner {
            Some(Owner::User(id)) => wire["user_id"] = json!(id),
            Some(Owner::Customer(id)) => wire["customer_id"] = json!(id),
            None => {}
        }
    }
}
