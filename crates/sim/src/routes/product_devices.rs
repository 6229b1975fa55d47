//! Devices on the product routes: the paged list, import, groups, removal, quarantine (reference §5.2).

use axum::extract::{Path, State};
use serde_json::{Value, json};

use super::Shared;
use crate::http::{Answer, Call, Fields, Refusal, no_content, ok};
use crate::id::{DeviceId, ProductId};
use crate::world::{Device, DeviceView, Owner, Scope, Standing, World};

const PER_PAGE: usize = 25;

pub(super) async fn list(State(cloud): Shared, Path(product): Path<String>, call: Call) -> Answer {
    let world = cloud.world();
    let (_, product) = world.enter_product(&call.credentials, &product, Scope::DevicesList)?;
    let query = &call.query;
    let mut devices: Vec<&Device> = world
        .registry
        .devices
        .values()
        .filter(|device| device.product_id == Some(product) && device.standing != Standing::Denied)
        .filter(|device| matches_query(device, query))
        .collect();
    sort(&mut devices, query);
    let per_page = query
        .number("per_page")
        .or_else(|| query.number("perPage"))
        .unwrap_or(PER_PAGE)
        .clamp(1, 100);
    let page = query.number("page").unwrap_or(1_usize).max(1);
    let shown: Vec<&Device> = devices
        .iter()
        .skip((page - 1) * per_page)
        .take(per_page)
        .copied()
        .collect();
    ok(json!({
        "devices": shown.iter().map(|one| world.device_wire(one, DeviceView::Product)).collect::<Vec<_>>(),
        "customers": customers_of(&world, &shown),
        "meta": {"total_pages": devices.len().div_ceil(per_page).max(1)},
    }))
}

fn matches_query(device: &Device, query: &Fields) -> bool {
    let contains = |field: &str, value: &str| {
        query
            .filled(field)
            .is_none_or(|part| value.to_lowercase().contains(&part.to_lowercase()))
    };
    contains("deviceId", device.id.as_str())
        && contains("deviceName", device.name.as_deref().unwrap_or_default())
        && contains("serialNumber", &device.serial_number)
        && query
            .list("groups")
            .is_none_or(|groups| groups.iter().any(|one| device.groups.contains(one)))
        && (!query.has("quarantined") || query.flag("quarantined") == (device.standing == Standing::Quarantined))
}

/// By the last connection, newest first, unless the query says otherwise.
fn sort(devices: &mut [&Device], query: &Fields) {
    match query.text("sortAttr").as_deref() {
        Some("deviceId") => devices.sort_by(|a, b| b.id.cmp(&a.id)),
        Some("firmwareVersion") => devices.sort_by_key(|device| std::cmp::Reverse(device.firmware_version)),
        Some(_) | None => devices.sort_by_key(|device| std::cmp::Reverse(device.last_handshake_at)),
    }
    if query.text("sortDir").as_deref() == Some("asc") {
        devices.reverse();
    }
}

fn customers_of(world: &World, devices: &[&Device]) -> Vec<Value> {
    let mut ids: Vec<_> = devices
        .iter()
        .filter_map(|device| match &device.owner {
            Some(Owner::Customer(id)) => Some(id),
            Some(Owner::User(_)) | None => None,
        })
        .collect();
    ids.sort_unstable();
    ids.dedup();
    ids.into_iter()
        .filter_map(|id| world.registry.customers.get(id))
        .map(|one| json!({"id": one.id, "username": one.username}))
        .collect()
}

pub(super) async fn get(State(cloud): Shared, Path((product, id)): Path<(String, String)>, call: Call) -> Answer {
    let world = cloud.world();
    let (_, id) = world.product_device(&call.credentials, &product, &id, Scope::DevicesGet)?;
    ok(world.device_wire(&world.registry.devices[&id], DeviceView::Product))
}

/// What became of one imported identifier.
enum Imported {
    Updated(DeviceId),
    Existing(DeviceId),
    ElsewhereMember(DeviceId),
    Invalid(String),
}

/// Also approves what is in quarantine.
pub(super) async fn import(State(cloud): Shared, Path(product): Path<String>, call: Call) -> Answer {
    let mut world = cloud.world();
    let (_, product) = world.enter_product(&call.credentials, &product, Scope::DevicesImport)?;
    let identifiers = identifiers(&call.body).ok_or(Refusal::Missing { field: "ids" })?;
    let claimant = call
        .body
        .filled("claim_user")
        .and_then(|name| Some(world.user_by_name(&name)?.id.clone()));
    let (mut updated, mut existing, mut elsewhere, mut invalid) = (vec![], vec![], vec![], vec![]);
    for identifier in identifiers {
        match import_one(&mut world, product, &identifier) {
            Imported::Updated(id) => updated.push(id),
            Imported::Existing(id) => existing.push(id),
            Imported::ElsewhereMember(id) => elsewhere.push(id),
            Imported::Invalid(text) => invalid.push(text),
        }
    }
    if let Some(user) = claimant {
        for id in &updated {
            if let Some(device) = world.registry.devices.get_mut(id) {
                device.owner = Some(Owner::User(user.clone()));
            }
        }
    }
    ok(json!({
        "updated": updated.len(),
        "updatedDeviceIds": updated,
        "existingDeviceIds": existing,
        "nonmemberDeviceIds": elsewhere,
        "invalidDeviceIds": invalid,
    }))
}

/// One, many, or an uploaded file with one a line.
fn identifiers(fields: &Fields) -> Option<Vec<String>> {
    let from_file = || Some(fields.text("file")?.split_whitespace().map(str::to_owned).collect());
    let identifiers: Vec<String> = fields.list("ids").or_else(|| fields.list("id")).or_else(from_file)?;
    Some(identifiers).filter(|identifiers| !identifiers.is_empty())
}

fn import_one(world: &mut World, product: ProductId, identifier: &str) -> Imported {
    let id = DeviceId::new(identifier);
    let device = world
        .registry
        .devices
        .values_mut()
        .find(|device| device.id == id || device.serial_number.eq_ignore_ascii_case(identifier));
    let Some(device) = device else {
        return Imported::Invalid(identifier.to_owned());
    };
    let id = device.id.clone();
    match device.product_id {
        Some(other) if other != product => Imported::ElsewhereMember(id),
        Some(_) if device.standing == Standing::Approved => Imported::Existing(id),
        Some(_) | None => {
            device.product_id = Some(product);
            device.standing = Standing::Approved;
            Imported::Updated(id)
        }
    }
}

/// `{"action":"groups","devices":[..],"metadata":{"add":[..],"remove":[..]}}`
pub(super) async fn regroup(State(cloud): Shared, Path(product): Path<String>, call: Call) -> Answer {
    let mut world = cloud.world();
    let (_, product) = world.enter_product(&call.credentials, &product, Scope::DevicesUpdate)?;
    let ids = call.body.list("devices").ok_or(Refusal::Missing { field: "devices" })?;
    let metadata = call.body.get("metadata").cloned().unwrap_or_default();
    let names = |key: &str| -> Vec<String> {
        let list = metadata.get(key).and_then(Value::as_array).into_iter().flatten();
        list.filter_map(|name| name.as_str().map(str::to_owned)).collect()
    };
    let (add, remove) = (names("add"), names("remove"));
    for id in ids {
        let device = world.registry.devices.get_mut(&DeviceId::new(&id));
        let Some(device) = device.filter(|device| device.product_id == Some(product)) else {
            continue;
        };
        device.groups.retain(|group| !remove.contains(group));
        device.groups.extend(
            add.iter()
                .filter(|group| !device.groups.contains(group))
                .cloned()
                .collect::<Vec<_>>(),
        );
    }
    ok(json!({"ok": true}))
}

/// Out of the product, and unclaimed if a customer owns it; or onto the deny list.
pub(super) async fn remove(State(cloud): Shared, Path((product, id)): Path<(String, String)>, call: Call) -> Answer {
    let mut world = cloud.world();
    let (_, id) = world.product_device(&call.credentials, &product, &id, Scope::DevicesRemove)?;
    let device = world.registry.devices.get_mut(&id).ok_or(Refusal::NotInProduct)?;
    if call.body.flag("deny") {
        device.standing = Standing::Denied;
    } else {
        device.product_id = None;
        device.standing = Standing::Approved;
    }
    if matches!(device.owner, Some(Owner::Customer(_))) {
        device.owner = None;
    }
    no_content()
}

/// Unclaims only.
pub(super) async fn release(State(cloud): Shared, Path((product, id)): Path<(String, String)>, call: Call) -> Answer {
    let mut world = cloud.world();
    let (_, id) = world.product_device(&call.credentials, &product, &id, Scope::DevicesRelease)?;
    world.registry.devices.get_mut(&id).ok_or(Refusal::NotInProduct)?.owner = None;
    ok(json!({"ok": true}))
}
