//! Device vitals, the least of them (reference §13): the last report, and asking for a new one.

use axum::extract::{Path, State};
use serde_json::{Value, json};

use super::{DevicePath, Shared};
use crate::clock::rfc3339;
use crate::http::{Answer, Call, Refusal, ok};
use crate::world::{Device, Scope, World};

pub(super) async fn last(State(cloud): Shared, Path(path): Path<DevicePath>, call: Call) -> Answer {
    let world = cloud.world();
    let (_, id) = world.device_at(&call, &path, Scope::DiagnosticsGet)?;
    let device = world.registry.devices.get(&id).ok_or(Refusal::PermissionDenied)?;
    ok(json!({
        "diagnostics": {
            "updated_at": device.last_heard_at.map(rfc3339),
            "deviceID": id,
            "payload": payload(&world, device),
        }
    }))
}

/// Answers at once; the report comes as an event.
pub(super) async fn update(State(cloud): Shared, Path(path): Path<DevicePath>, call: Call) -> Answer {
    let mut world = cloud.world();
    let (_, id) = world.device_at(&call, &path, Scope::DiagnosticsUpdate)?;
    let device = world.registry.devices.get(&id).ok_or(Refusal::PermissionDenied)?;
    if world.is_online(device) {
        let (report, now) = (payload(&world, device).to_string(), world.now());
        world.emit_from_device(&id, "spark/device/diagnostics/update", Some(report), now);
    }
    ok(json!({"ok": true}))
}

fn payload(world: &World, device: &Device) -> Value {
    json!({
        "device": {
            "network": {"signal": {"strength": 78.0, "quality": 71.0}},
            "system": {"uptime": device.last_handshake_at.map(|at| (world.now() - at).max(0) / 1000)},
        },
        "service": {"device": {"status": if world.is_online(device) { "ok" } else { "offline" }}},
    })
}
