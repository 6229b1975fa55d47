//! Devices on the plain routes (reference §5.2), and the changes that both families share.

use axum::extract::{Path, State};
use serde_json::{Map, Value, json};

use super::{DevicePath, Shared};
use crate::clock::rfc3339;
use crate::http::{Answer, Call, Fields, Refusal, ok};
use crate::id::DeviceId;
use crate::world::{Device, DeviceView, Scope, World};

/// A bare array, newest handshake first, without pages.
pub(super) async fn list(State(cloud): Shared, call: Call) -> Answer {
    let world = cloud.world();
    let (_, owner) = world.enter_as_owner(&call.credentials)?;
    let mut devices: Vec<&Device> = world.devices_of(&owner).collect();
    devices.sort_by_key(|device| std::cmp::Reverse(device.last_handshake_at));
    let devices: Vec<Value> = devices
        .into_iter()
        .map(|device| world.device_wire(device, DeviceView::Plain))
        .collect();
    ok(json!(devices))
}

pub(super) async fn get(State(cloud): Shared, Path(id): Path<String>, call: Call) -> Answer {
    let world = cloud.world();
    let id = world.visible_device(&call.credentials, &id)?;
    ok(world.device_wire(&world.registry.devices[&id], DeviceView::Plain))
}

/// One route for every edit; the answer names what was changed.
pub(super) async fn update(State(cloud): Shared, Path(path): Path<DevicePath>, call: Call) -> Answer {
    let mut world = cloud.world();
    let (_, id) = world.device_at(&call, &path, Scope::DevicesUpdate)?;
    if call.body.has("file") {
        // A firmware file: it is taken and goes nowhere.
        return ok(json!({"id": id, "status": "Update started"}));
    }
    if let Some(signal) = call.body.text("signal") {
        return self::signal(&world, &id, signal == "1");
    }
    let updated_at = rfc3339(world.now());
    let device = world.registry.devices.get_mut(&id).ok_or(Refusal::PermissionDenied)?;
    let mut changed = edit(device, &call.body);
    if path.product.is_some() {
        changed.extend(edit_in_product(device, &call.body)?);
    }
    if changed.is_empty() {
        return Err(Refusal::Missing { field: "name" });
    }
    changed.insert("id".to_owned(), json!(id));
    changed.insert("updated_at".to_owned(), json!(updated_at));
    ok(Value::Object(changed))
}

fn edit(device: &mut Device, fields: &Fields) -> Map<String, Value> {
    let mut changed = Map::new();
    if let Some(name) = fields.filled("name") {
        changed.insert("name".to_owned(), json!(name));
        device.name = Some(name);
    }
    if fields.has("notes") {
        device.notes = fields.filled("notes");
        changed.insert("notes".to_owned(), json!(device.notes));
    }
    if fields.has("firmware_updates_forced") {
        device.firmware_updates_forced = fields.flag("firmware_updates_forced");
        changed.insert(
            "firmware_updates_forced".to_owned(),
            json!(device.firmware_updates_forced),
        );
    }
    changed
}

fn edit_in_product(device: &mut Device, fields: &Fields) -> Result<Map<String, Value>, Refusal> {
    let mut changed = Map::new();
    if fields.has("desired_firmware_version") {
        device.desired_firmware_version = desired_version(fields)?;
        changed.insert(
            "desired_firmware_version".to_owned(),
            json!(device.desired_firmware_version),
        );
    }
    if fields.has("development") {
        device.development = fields.flag("development");
        changed.insert("development".to_owned(), json!(device.development));
    }
    if let Some(groups) = fields.list("groups") {
        device.groups = groups;
        changed.insert("groups".to_owned(), json!(device.groups));
    }
    Ok(changed)
}

/// Null unlocks; a version is a uint16.
fn desired_version(fields: &Fields) -> Result<Option<u16>, Refusal> {
    match fields.filled("desired_firmware_version") {
        None => Ok(None),
        Some(text) if text == "null" => Ok(None),
        Some(text) => text.parse().map(Some).map_err(|_| Refusal::Missing {
            field: "desired_firmware_version",
        }),
    }
}

/// Rainbow colours on the status light; needs a connection.
fn signal(world: &World, id: &DeviceId, signaling: bool) -> Answer {
    let device = world.registry.devices.get(id).ok_or(Refusal::PermissionDenied)?;
    if !world.is_online(device) {
        return Err(Refusal::SignalTimedOut);
    }
    ok(json!({"id": id, "connected": true, "signaling": signaling}))
}
