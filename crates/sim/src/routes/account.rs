//! The account itself, and what is looked up across products.

use axum::extract::{Path, State};
use serde_json::json;

use super::Shared;
use crate::http::{Answer, Call, Refusal, ok};
use crate::limits::Counted;

pub(super) async fn user(State(cloud): Shared, call: Call) -> Answer {
    let world = cloud.world();
    let id = world.enter_account(&call.credentials)?;
    let user = world.registry.users.get(&id).ok_or(Refusal::UnknownToken)?;
    ok(json!({
        "username": user.username,
        "account_info": {},
        "mfa": {"enabled": user.otp.is_some()},
        "scim_provisioned": false,
        "no_password": false,
        "wifi_device_count": 0,
        "cellular_device_count": 0,
    }))
}

/// The simulated maker works without an organisation.
pub(super) async fn organizations(State(cloud): Shared, call: Call) -> Answer {
    cloud.world().enter_account(&call.credentials)?;
    ok(json!({"organizations": []}))
}

pub(super) async fn serial_number(State(cloud): Shared, Path(serial): Path<String>, call: Call) -> Answer {
    let mut world = cloud.world();
    let account = world.enter_account(&call.credentials)?;
    let (limits, now) = (world.config.limits, world.now());
    if !world
        .limits
        .admit(Counted::SerialNumberLookup(account.to_string()), &limits, now)
    {
        return Err(Refusal::RateLimited { status: 429 });
    }
    let device = world
        .registry
        .devices
        .values()
        .find(|one| one.serial_number.eq_ignore_ascii_case(&serial));
    let device = device.ok_or(Refusal::NoSuchThing { what: "Serial number" })?;
    ok(json!({"ok": true, "deviceID": device.id, "device_id": device.id, "platform_id": device.firmware.platform_id()}))
}
