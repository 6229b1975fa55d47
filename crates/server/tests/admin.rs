//! The staff API over the real router and store.

mod audit;
mod cloud;
mod commands;
mod devices;
mod ending;
mod grants;
mod products;
mod reach;

use serde_json::{Value, json};

use crate::house::Visitor;

/// A product file with one of everything.
pub fn thermostat() -> Value {
    json!({
        "slug": "thermostat", "name": "Thermostat", "time_zone": "Europe/Berlin", "access_mode": "fleet",
        "functions": [
            {"name": "setTarget", "title": "Set point", "argument": {"type": "integer", "min": 5, "max": 30},
             "max_bytes": 64, "example": "20", "cool_down_ms": 1000, "queueable": true, "callers": ["owner", "staff"],
             "confirmed_by": {"event": "t/state", "pointer": "/target", "equals": 20, "within_ms": 30000}},
            {"name": "setMode", "argument": {"type": "enum", "values": ["heat", "off"]}},
        ],
        "variables": [{"name": "temperature", "type": "double", "unit": "Cel"}],
        "telemetry": [{"event": "t/state", "time": {"pointer": "/time", "unit": "s"},
                       "keys": [{"key": "temperature", "pointer": "/t", "type": "number", "unit": "Cel"}]}],
    })
}

pub async fn created_product(staff: &Visitor<'_>) -> String {
    product_from(staff, thermostat()).await
}

pub async fn product_from(staff: &Visitor<'_>, file: Value) -> String {
    let answer = staff.post("/admin/v1/products", file).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    answer.json()["id"].as_str().unwrap().to_owned()
}

/// The id of a new device with this cloud id.
pub async fn imported_device(staff: &Visitor<'_>, product_id: &str, cloud_id: &str) -> String {
    let body = json!({"product_id": product_id, "devices": [{"cloud_id": cloud_id, "name": "Hall"}]});
    let answer = staff.post("/admin/v1/devices", body).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()["created"][0]["id"].as_str().unwrap().to_owned()
}

pub const CLOUD_ID: &str = "e00fce68a1b2c3d4e5f60718";
pub const OTHER_CLOUD_ID: &str = "e00fce68a1b2c3d4e5f60719";

/// An id that nobody has.
pub const NOBODY: &str = "00000000000000000000000000";
