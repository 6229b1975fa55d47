//! What survives the end of the process: ids, credentials, ownership, webhooks, targets, the clock.

use ostler_sim::{SimConfig, TimeSource};
use serde_json::json;

use crate::support::{Cloud, quiet};

#[tokio::test]
async fn a_restart_on_the_same_file_goes_on_with_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let config = || SimConfig {
        state_file: Some(folder.path().join("sim.json")),
        ..quiet()
    };
    let cloud = Cloud::with(config()).await;
    let token = cloud.product_token("thermostat");
    let device = cloud.device("thermostat");
    let path = format!("/v1/products/thermostat/devices/{device}");
    assert_eq!(
        cloud
            .post(&token, &format!("{path}/setTarget"), json!({"arg": "27"}))
            .await
            .status,
        200
    );
    assert_eq!(cloud.put(&token, &path, json!({"name": "parlour"})).await.status, 200);
    let hook = json!({"event": "t", "url": "http://127.0.0.1:9/"});
    assert_eq!(
        cloud
            .post(&token, "/v1/products/thermostat/integrations", hook)
            .await
            .status,
        201
    );
    let customer = cloud
        .handle
        .add_customer(cloud.product("thermostat").id, "a@example.com", Some("pw"))
        .unwrap();
    cloud.handle.give_to_customer(&device, &customer);
    cloud.handle.set_online(&cloud.device("vehicle"), false);
    cloud.handle.advance_ms(86_400_000);
    cloud.handle.kept().await;
    let (before, now, hooks) = (cloud.handle.facts(), cloud.handle.now_ms(), cloud.handle.hooks());
    // Dropped, not shut down: as after a crash.
    drop(cloud);

    let cloud = Cloud::with(config()).await;
    let after = cloud.handle.facts();
    assert_eq!((after.username, after.password), (before.username, before.password));
    let clients = |products: &[ostler_sim::ProductFacts]| -> Vec<_> {
        products
            .iter()
            .map(|one| (one.id, one.client_id.clone(), one.client_secret.clone()))
            .collect()
    };
    assert_eq!(clients(&after.products), clients(&before.products));
    let devices = |devices: &[ostler_sim::DeviceFacts]| -> Vec<_> {
        devices
            .iter()
            .map(|one| (one.cloud_id.clone(), one.name.clone(), one.online, one.in_service))
            .collect()
    };
    assert_eq!(devices(&after.devices), devices(&before.devices));
    assert_eq!((cloud.handle.now_ms(), cloud.handle.hooks()), (now, hooks));
    let acts = cloud.handle.acts(0);
    assert_eq!(acts.iter().map(|act| act.argument.as_str()).collect::<Vec<_>>(), ["27"]);
    let object = cloud.get(&token, &path).await.json();
    assert_eq!(
        (&object["name"], &object["owner"]),
        (&json!("parlour"), &json!("a@example.com"))
    );
    assert_eq!(cloud.handle.variable(&device, "target"), Some(json!(27)));
}

#[tokio::test]
async fn an_answered_change_is_in_the_file_already() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sim.json");
    let cloud = Cloud::with(SimConfig {
        state_file: Some(file.clone()),
        ..quiet()
    })
    .await;
    let product = cloud.product("thermostat");
    let minted = cloud
        .token(&[
            ("grant_type", "client_credentials"),
            ("client_id", &product.client_id),
            ("client_secret", &product.client_secret),
        ])
        .await;
    let token = minted.json()["access_token"].as_str().unwrap().to_owned();
    assert!(std::fs::read_to_string(&file).unwrap().contains(&token));
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn after_a_long_stop_devices_do_not_make_up_for_lost_time() {
    let folder = tempfile::tempdir().unwrap();
    let config = || SimConfig {
        time: TimeSource::Real,
        state_file: Some(folder.path().join("sim.json")),
        vehicles: 0,
        ..quiet()
    };
    let cloud = Cloud::with(config()).await;
    let (facts, device) = (cloud.handle.facts(), cloud.device("thermostat"));
    cloud.sim.shutdown().await;
    let text = std::fs::read_to_string(folder.path().join("sim.json")).unwrap();
    let mut state: serde_json::Value = serde_json::from_str(&text).unwrap();
    // As if the process had stood still for a day.
    for one in facts.devices {
        let due = &mut state["registry"]["devices"][one.cloud_id.as_str()]["next_turn_at"];
        *due = json!(due.as_i64().unwrap() - 86_400_000);
    }
    std::fs::write(folder.path().join("sim.json"), state.to_string()).unwrap();

    let cloud = Cloud::with(config()).await;
    let mut events = cloud.handle.subscribe();
    let first = loop {
        let event = tokio::time::timeout(std::time::Duration::from_secs(10), events.recv())
            .await
            .unwrap()
            .unwrap();
        if event.coreid == device.as_str() {
            break event;
        }
    };
    assert!(cloud.handle.now_ms() - first.published_at < 5_000);
    let others = std::iter::from_fn(|| events.try_recv().ok())
        .filter(|one| one.coreid == device.as_str())
        .count();
    assert_eq!(others, 0);
}

#[tokio::test]
async fn a_state_file_that_cannot_be_read_is_an_error_not_a_fresh_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sim.json");
    std::fs::write(&file, "{\"half\":").unwrap();
    let started = ostler_sim::Sim::start(SimConfig {
        state_file: Some(file),
        ..quiet()
    })
    .await;
    assert!(matches!(started, Err(ostler_sim::SimError::StateFile { .. })));
}

#[tokio::test]
async fn only_loopback_addresses_are_listened_on() {
    let started = ostler_sim::Sim::start(SimConfig {
        listen: "0.0.0.0:0".parse().unwrap(),
        ..quiet()
    })
    .await;
    assert!(matches!(started, Err(ostler_sim::SimError::NotLoopback(_))));
}
