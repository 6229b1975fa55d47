//! The life of devices: the same from the same seed, offline and back with what was missed, and the
//! first report of a device fresh from the factory.

use std::sync::Arc;

use ostler_sim::{DeviceId, Event, SimConfig};
use serde_json::Value;
use tokio::sync::mpsc;

use crate::support::{Cloud, quiet};

fn all(events: &mut mpsc::Receiver<Arc<Event>>) -> Vec<Arc<Event>> {
    std::iter::from_fn(|| events.try_recv().ok()).collect()
}

async fn ten_minutes(seed: u64) -> Vec<(String, String, Option<String>, i64)> {
    let cloud = Cloud::with(SimConfig {
        seed,
        vehicle_outages: true,
        ..quiet()
    })
    .await;
    let mut events = cloud.handle.subscribe();
    for _ in 0..10 {
        cloud.handle.advance_ms(60_000);
    }
    all(&mut events)
        .iter()
        .map(|one| (one.coreid.clone(), one.name.clone(), one.data.clone(), one.published_at))
        .collect()
}

#[tokio::test]
async fn the_same_seed_gives_the_same_run() {
    let (one, again, other) = (ten_minutes(7).await, ten_minutes(7).await, ten_minutes(8).await);
    assert!(one.len() > 300, "{}", one.len());
    assert_eq!(one, again);
    assert_ne!(one, other);
    // Time never runs backwards.
    assert!(one.windows(2).all(|pair| pair[0].3 <= pair[1].3));
}

#[tokio::test]
async fn a_thermostat_reports_every_five_seconds() {
    let cloud = Cloud::start().await;
    let (device, mut events) = (cloud.device("thermostat"), cloud.handle.subscribe());
    cloud.handle.advance_ms(60_000);
    let events = all(&mut events);
    let own: Vec<_> = events.iter().filter(|one| one.coreid == device.as_str()).collect();
    assert_eq!(own.len(), 12);
    let state: Value = serde_json::from_str(own[0].data.as_deref().unwrap()).unwrap();
    assert!(state["t"].is_number() && state["heating"].is_boolean());
    assert_eq!(state["time"].as_i64().unwrap(), own[0].published_at.div_euclid(1000));
}

#[tokio::test]
async fn a_vehicle_replays_what_it_could_not_send_with_its_old_time() {
    let cloud = Cloud::start().await;
    let (device, mut events) = (cloud.device("vehicle"), cloud.handle.subscribe());
    let online_at = cloud.handle.now_ms();
    cloud.handle.set_online(&device, false);
    cloud.handle.advance_ms(300_000);
    let silence = all(&mut events);
    let from_it = |events: &[Arc<Event>]| -> Vec<Arc<Event>> {
        events
            .iter()
            .filter(|one| one.coreid == device.as_str())
            .cloned()
            .collect()
    };
    let names: Vec<_> = from_it(&silence).iter().map(|one| one.name.clone()).collect();
    assert_eq!(names, ["spark/status"]);

    cloud.handle.set_online(&device, true);
    let back = from_it(&all(&mut events));
    assert_eq!(back[0].data.as_deref(), Some("online"));
    let replayed: Vec<Value> = back
        .iter()
        .filter(|one| one.name == "loc")
        .map(|one| serde_json::from_str(one.data.as_deref().unwrap()).unwrap())
        .collect();
    assert!(replayed.len() >= 5, "{}", replayed.len());
    let times: Vec<i64> = replayed.iter().map(|loc| loc["time"].as_i64().unwrap()).collect();
    assert!(times.is_sorted() && times[0] * 1000 < online_at + 60_000);
    let published: Vec<i64> = back
        .iter()
        .filter(|one| one.name == "loc")
        .map(|one| one.published_at)
        .collect();
    assert!(published[0] >= cloud.handle.now_ms(), "the cloud dates them now");
    assert!(published.windows(2).all(|pair| pair[0] < pair[1]), "each for itself");
}

#[tokio::test]
async fn a_device_fresh_from_the_factory_waits_until_it_has_reported_itself() {
    let cloud = Cloud::start().await;
    let facts = cloud.handle.facts();
    let fresh: Vec<DeviceId> = facts
        .devices
        .into_iter()
        .filter(|one| one.reports_itself)
        .map(|one| one.cloud_id)
        .collect();
    let [fresh] = fresh.as_slice() else {
        panic!("one unregistered device: {fresh:?}")
    };
    let mut events = cloud.handle.subscribe();
    cloud.handle.advance_ms(60_000);
    let of_it = |events: Vec<Arc<Event>>| -> Vec<Arc<Event>> {
        events.into_iter().filter(|one| one.coreid == fresh.as_str()).collect()
    };
    assert!(of_it(all(&mut events)).is_empty());
    assert!(!cloud.handle.register(fresh), "it has no credential yet");

    assert!(cloud.handle.set_credential(fresh, "opaque".to_owned()));
    assert!(cloud.handle.register(fresh));
    let report = of_it(all(&mut events));
    assert_eq!(
        (report[0].name.as_str(), report[0].data.as_deref()),
        ("ostler/register", Some("opaque"))
    );
    cloud.handle.advance_ms(60_000);
    assert!(of_it(all(&mut events)).iter().any(|one| one.name == "thermostat/state"));

    // At every later start it reports itself again.
    cloud.handle.set_online(fresh, false);
    cloud.handle.set_online(fresh, true);
    assert!(of_it(all(&mut events)).iter().any(|one| one.name == "ostler/register"));
}

#[tokio::test]
async fn a_device_presents_its_claim_code_at_its_next_handshake() {
    let cloud = Cloud::start().await;
    let product = cloud.product("thermostat").id;
    let customer = cloud.handle.add_customer(product, "a@example.com", None).unwrap();
    let token = cloud.handle.customer_token(&customer);
    let claim_code = async || {
        let reply = cloud
            .post(&token, "/v1/products/thermostat/device_claims", serde_json::json!({}))
            .await;
        assert_eq!(reply.status, 200);
        reply.json()["claim_code"].as_str().unwrap().to_owned()
    };
    let device = cloud.device("thermostat");
    let restart = || {
        cloud.handle.set_online(&device, false);
        cloud.handle.set_online(&device, true);
    };
    let owner = || cloud.handle.device_wire(&device).unwrap()["owner"].clone();

    let too_late = claim_code().await;
    cloud.handle.advance_ms(3_600_000);
    cloud.handle.give_claim_code(&device, too_late);
    restart();
    assert_eq!(owner(), Value::Null);

    let in_time = claim_code().await;
    assert_eq!(in_time.len(), 63);
    cloud.handle.give_claim_code(&device, in_time);
    restart();
    assert_eq!(owner(), "a@example.com");
}
