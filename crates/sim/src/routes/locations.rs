//! The product's last known locations (reference §11.2). Tracks over time are not kept: that history
//! is what a back end is for.

use axum::extract::{Path, State};
use serde_json::{Value, json};

use super::{DevicePath, Shared};
use crate::clock::rfc3339;
use crate::http::{Answer, Call, Fields, Refusal, ok};
use crate::world::{Device, Scope, World};

const PER_PAGE: usize = 20;

pub(super) async fn list(State(cloud): Shared, Path(product): Path<String>, call: Call) -> Answer {
    let world = cloud.world();
    let (_, product) = world.enter_product(&call.credentials, &product, Scope::LocationsGet)?;
    let query = &call.query;
    let found: Vec<Value> = world
        .registry
        .devices
        .values()
        .filter(|device| device.product_id == Some(product) && matches_query(device, query))
        .filter_map(|device| wire(&world, device))
        .collect();
    let per_page = query.number("per_page").unwrap_or(PER_PAGE).clamp(1, 100);
    let page = query.number("page").unwrap_or(1_usize).max(1);
    let shown: Vec<&Value> = found.iter().skip((page - 1) * per_page).take(per_page).collect();
    ok(json!({
        "locations": shown,
        "meta": {
            "page": page,
            "per_page": per_page,
            "total_pages": found.len().div_ceil(per_page).max(1),
            "devices_found": found.len(),
        },
    }))
}

/// Device ids are matched by their beginning; the rectangle comes as lat,lon, unlike GeoJSON.
fn matches_query(device: &Device, query: &Fields) -> bool {
    let in_rectangle = || {
        let Some((low, high)) = corner(query, "rect_bl").zip(corner(query, "rect_tr")) else {
            return true;
        };
        let Some([longitude, latitude]) = device.firmware.position() else {
            return false;
        };
        (low[0]..=high[0]).contains(&latitude) && (low[1]..=high[1]).contains(&longitude)
    };
    query
        .filled("device_id")
        .is_none_or(|prefix| device.id.as_str().starts_with(&prefix.to_ascii_lowercase()))
        && query
            .filled("device_name")
            .is_none_or(|name| device.name.as_deref() == Some(name.as_str()))
        && query
            .list("groups")
            .is_none_or(|groups| groups.iter().any(|one| device.groups.contains(one)))
        && in_rectangle()
}

fn corner(query: &Fields, key: &str) -> Option<[f64; 2]> {
    let text = query.filled(key)?;
    let (latitude, longitude) = text.split_once(',')?;
    Some([latitude.trim().parse().ok()?, longitude.trim().parse().ok()?])
}

pub(super) async fn get(State(cloud): Shared, Path(path): Path<DevicePath>, call: Call) -> Answer {
    let world = cloud.world();
    let (_, id) = world.device_at(&call, &path, Scope::LocationsGet)?;
    let device = world.registry.devices.get(&id).ok_or(Refusal::NotInProduct)?;
    let mut location = wire(&world, device).ok_or(Refusal::NoSuchThing { what: "Location" })?;
    location["properties"] = json!([]);
    ok(json!({"location": location, "meta": {}}))
}

fn wire(world: &World, device: &Device) -> Option<Value> {
    let coordinates = device.firmware.position()?;
    Some(json!({
        "device_id": device.id,
        "product_id": device.product_id,
        "device_name": device.name,
        "groups": device.groups,
        "gps_lock": true,
        "last_heard": device.last_heard_at.map(rfc3339),
        "timestamps": [device.last_heard_at.map(rfc3339)],
        "online": world.is_online(device),
        "geometry": {"type": "Point", "coordinates": coordinates},
    }))
}
