//! Event streams on the wire (reference §8.1).

use std::time::Duration;

use ostler_sim::{Fault, FaultKind, SimConfig};
use serde_json::{Value, json};

use crate::support::{Cloud, Incoming, quiet};

fn stream(cloud: &Cloud, token: &str, path: &str) -> reqwest::RequestBuilder {
    cloud.http.get(cloud.url(path)).bearer_auth(token)
}

/// The object in one `data:` line.
fn data(text: &str) -> Value {
    let line = text.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
    serde_json::from_str(line).unwrap()
}

#[tokio::test]
async fn a_products_stream_shows_its_devices_and_only_the_prefix() {
    let cloud = Cloud::start().await;
    let (token, device) = (cloud.product_token("thermostat"), cloud.device("thermostat"));
    let mut incoming = Incoming::open(stream(&cloud, &token, "/v1/products/thermostat/events/temp%2Fbarn")).await;
    cloud
        .handle
        .publish_as(&cloud.device("vehicle"), "temp/barn", Some("other product"));
    cloud.handle.publish_as(&device, "temp/attic", Some("other name"));
    cloud.handle.publish_as(&device, "temp/barn-2", Some("21.5"));
    let event = incoming.until("\n\n").await;
    assert!(event.starts_with("event: temp/barn-2\ndata: {"), "{event}");
    let data = data(&event);
    assert_eq!(
        (&data["data"], &data["coreid"], &data["ttl"]),
        (&json!("21.5"), &json!(device), &json!("60"))
    );
    assert_eq!(data["productID"], json!(cloud.product("thermostat").id));
    assert!(data["published_at"].as_str().unwrap().ends_with('Z'));
}

#[tokio::test]
async fn what_passed_before_is_not_replayed() {
    let cloud = Cloud::start().await;
    let (token, device) = (cloud.product_token("thermostat"), cloud.device("thermostat"));
    cloud.handle.publish_as(&device, "a", Some("early"));
    let mut incoming = Incoming::open(stream(&cloud, &token, "/v1/products/thermostat/events")).await;
    cloud.handle.publish_as(&device, "a", Some("late"));
    assert_eq!(data(&incoming.until("\n\n").await)["data"], "late");
}

#[tokio::test]
async fn a_quiet_stream_beats() {
    let cloud = Cloud::with(SimConfig {
        heartbeat_ms: 20,
        ..quiet()
    })
    .await;
    let token = cloud.product_token("thermostat");
    let mut incoming = Incoming::open(stream(&cloud, &token, "/v1/products/thermostat/events")).await;
    incoming.until("\n").await;
    incoming.until("\n").await;
}

#[tokio::test]
async fn presence_is_published() {
    let cloud = Cloud::start().await;
    let (token, device) = (cloud.product_token("thermostat"), cloud.device("thermostat"));
    let path = format!("/v1/products/thermostat/devices/{device}/events/spark");
    let mut incoming = Incoming::open(stream(&cloud, &token, &path)).await;
    cloud.handle.set_online(&device, false);
    let event = incoming.until("\n\n").await;
    assert!(event.starts_with("event: spark/status\n"));
    assert_eq!(data(&event)["data"], "offline");
    cloud.handle.set_online(&device, true);
    assert_eq!(data(&incoming.until("\n\n").await)["data"], "online");
}

#[tokio::test]
async fn a_dropped_stream_ends_and_the_next_one_lives() {
    let cloud = Cloud::start().await;
    let token = cloud.product_token("thermostat");
    let incoming = Incoming::open(stream(&cloud, &token, "/v1/products/thermostat/events")).await;
    cloud.handle.add_fault(Fault::new(FaultKind::DropStream).times(1));
    assert_eq!(incoming.rest().await, "");
    let mut again = Incoming::open(stream(&cloud, &token, "/v1/products/thermostat/events")).await;
    cloud.handle.publish_as(&cloud.device("thermostat"), "a", None);
    assert_eq!(data(&again.until("\n\n").await)["data"], Value::Null);
}

#[tokio::test]
async fn a_deaf_stream_stays_open_and_says_nothing() {
    let cloud = Cloud::with(SimConfig {
        heartbeat_ms: 10,
        ..quiet()
    })
    .await;
    let (token, device) = (cloud.product_token("thermostat"), cloud.device("thermostat"));
    let fault = cloud.handle.add_fault(Fault::new(FaultKind::DeafStream));
    let mut incoming = Incoming::open(stream(&cloud, &token, "/v1/products/thermostat/events")).await;
    cloud.handle.publish_as(&device, "a", Some("unheard"));
    let silence = tokio::time::timeout(Duration::from_millis(100), incoming.until("\n")).await;
    assert!(silence.is_err());
    assert!(cloud.handle.clear_fault(fault));
    cloud.handle.publish_as(&device, "a", Some("heard"));
    assert!(incoming.until("\n\n").await.contains("heard"));
}

#[tokio::test]
async fn shutting_down_ends_open_streams_at_once() {
    let cloud = Cloud::start().await;
    let token = cloud.product_token("thermostat");
    let incoming = Incoming::open(stream(&cloud, &token, "/v1/products/thermostat/events")).await;
    let stopped = tokio::time::timeout(Duration::from_secs(2), cloud.sim.shutdown());
    stopped.await.expect("the cloud stops fast");
    assert_eq!(incoming.rest().await, "");
}

#[tokio::test]
async fn the_hundred_and_first_stream_is_refused() {
    let mut config = quiet();
    config.limits.open_streams = 2;
    let cloud = Cloud::with(config).await;
    let token = cloud.product_token("thermostat");
    let path = "/v1/products/thermostat/events";
    let _first = Incoming::open(stream(&cloud, &token, path)).await;
    let second = Incoming::open(stream(&cloud, &token, path)).await;
    let refused = cloud.get(&token, path).await;
    assert_eq!(
        (refused.status, refused.json()["error"].clone()),
        (429, json!("too_many_requests"))
    );
    drop(second);
}
