//! Functions, variables, ping: what devices do and what the cloud says when they do not (reference §5).

use std::time::Duration;

use ostler_sim::{CallTiming, CredentialKind, Fault, FaultKind, SimConfig};
use serde_json::json;
use tokio::time::Instant;

use crate::support::{Cloud, quiet};

#[tokio::test]
async fn a_called_device_acts_and_the_journal_says_so() {
    let cloud = Cloud::start().await;
    let (token, device) = (cloud.product_token("thermostat"), cloud.device("thermostat"));
    let path = format!("/v1/products/thermostat/devices/{device}");
    let reply = cloud
        .post(&token, &format!("{path}/setTarget"), json!({"arg": "23"}))
        .await;
    assert_eq!(reply.status, 200);
    assert_eq!(
        reply.json(),
        json!({"id": device, "name": "thermostat-01", "connected": true, "return_value": 23})
    );
    // The JavaScript client's spelling of the same field.
    let reply = cloud
        .post(&token, &format!("{path}/setTarget"), json!({"args": "99"}))
        .await;
    assert_eq!(reply.json()["return_value"], -1);
    let acts = cloud.handle.acts(0);
    let seen: Vec<_> = acts
        .iter()
        .map(|act| (act.seq, act.argument.as_str(), act.return_value))
        .collect();
    assert_eq!(seen, [(1, "23", 23), (2, "99", -1)]);
    assert_eq!(acts[0].credential, CredentialKind::Product);
    let target = cloud.get(&token, &format!("{path}/target")).await.json();
    assert_eq!((&target["name"], &target["result"]), (&json!("target"), &json!(23)));
    assert_eq!(cloud.get(&token, &format!("{path}/mode?format=raw")).await.text, "heat");
}

#[tokio::test]
async fn unknown_names_are_told_apart() {
    let cloud = Cloud::start().await;
    let (token, device) = (cloud.product_token("thermostat"), cloud.device("thermostat"));
    let path = format!("/v1/products/thermostat/devices/{device}");
    let reply = cloud.post(&token, &format!("{path}/blink"), json!({})).await;
    assert_eq!(
        (reply.status, reply.json()["error"].clone()),
        (404, json!("Function blink not found"))
    );
    let reply = cloud.get(&token, &format!("{path}/volts")).await;
    assert_eq!(
        (reply.status, reply.json()["error"].clone()),
        (404, json!("Unknown Variable: volts"))
    );
    let stranger = "/v1/products/thermostat/devices/ffffffffffffffffffffffff/setTarget";
    assert_eq!(cloud.post(&token, stranger, json!({})).await.status, 404);
    let elsewhere = cloud.device("vehicle");
    let reply = cloud
        .post(
            &token,
            &format!("/v1/products/thermostat/devices/{elsewhere}/lock"),
            json!({}),
        )
        .await;
    assert_eq!(reply.status, 404);
    assert!(cloud.handle.acts(0).is_empty());
}

#[tokio::test]
async fn a_device_known_to_be_offline_answers_408_at_once() {
    let cloud = Cloud::start().await;
    let (token, device) = (cloud.product_token("thermostat"), cloud.device("thermostat"));
    let path = format!("/v1/products/thermostat/devices/{device}");
    assert!(cloud.handle.set_online(&device, false));
    let reply = cloud
        .post(&token, &format!("{path}/setTarget"), json!({"arg": "20"}))
        .await;
    assert_eq!(
        (reply.status, reply.json()),
        (408, json!({"ok": false, "error": "timed out"}))
    );
    assert_eq!(cloud.get(&token, &format!("{path}/target")).await.status, 408);
    let ping = cloud.put(&token, &format!("{path}/ping"), json!({})).await;
    assert_eq!((ping.status, ping.json()), (200, json!({"online": false, "ok": true})));
    let object = cloud.get(&token, &path).await.json();
    assert_eq!(
        (&object["online"], &object["connected"]),
        (&json!(false), &json!(false))
    );
    assert!(cloud.handle.acts(0).is_empty());
}

#[tokio::test]
async fn a_silent_device_costs_the_clouds_patience_and_does_not_act() {
    let calls = CallTiming {
        delay_ms: 0,
        silent_after_ms: 200,
    };
    let cloud = Cloud::with(SimConfig { calls, ..quiet() }).await;
    let (token, device) = (cloud.product_token("thermostat"), cloud.device("thermostat"));
    cloud
        .handle
        .add_fault(Fault::new(FaultKind::Stale).on(&device).times(1));
    let path = format!("/v1/products/thermostat/devices/{device}");
    let before = Instant::now();
    let reply = cloud
        .post(&token, &format!("{path}/setTarget"), json!({"arg": "20"}))
        .await;
    assert_eq!(reply.status, 408);
    assert!(before.elapsed() >= Duration::from_millis(200));
    assert!(cloud.handle.acts(0).is_empty());
    assert_eq!(cloud.get(&token, &path).await.json()["online"], true);
}

#[tokio::test]
async fn a_lost_answer_is_a_408_although_the_device_acted() {
    let cloud = Cloud::start().await;
    let (token, device) = (cloud.product_token("thermostat"), cloud.device("thermostat"));
    cloud.handle.add_fault(
        Fault::new(FaultKind::ExecuteThenTimeout)
            .on(&device)
            .for_ms(10)
            .times(1),
    );
    let path = format!("/v1/products/thermostat/devices/{device}/setTarget");
    assert_eq!(cloud.post(&token, &path, json!({"arg": "20"})).await.status, 408);
    assert_eq!(cloud.handle.acts(0).len(), 1);
    assert_eq!(cloud.post(&token, &path, json!({"arg": "21"})).await.status, 200);
}

/// The caller gives up after 50 ms; the device acts all the same, for a request of before.
async fn acts_although_the_caller_hung_up(cloud: &Cloud) {
    let (token, device) = (cloud.product_token("thermostat"), cloud.device("thermostat"));
    let url = cloud.url(&format!("/v1/products/thermostat/devices/{device}/setTarget"));
    let request = cloud.http.post(url).bearer_auth(token).json(&json!({"arg": "20"}));
    let hung_up = request.timeout(Duration::from_millis(50)).send().await;
    assert!(hung_up.unwrap_err().is_timeout());
    let request_at = cloud.handle.now_ms();
    assert!(cloud.handle.acts(0).is_empty());
    cloud.handle.advance_ms(1);
    let deadline = Instant::now() + Duration::from_secs(5);
    while cloud.handle.acts(0).is_empty() {
        assert!(Instant::now() < deadline, "the device never acted");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(cloud.handle.acts(0)[0].request_at, request_at);
    assert_eq!(
        cloud.handle.requests(0)[0].status,
        None,
        "nobody was there to take the answer"
    );
}

#[tokio::test]
async fn a_command_on_its_way_arrives_although_the_caller_hung_up() {
    let calls = CallTiming {
        delay_ms: 1_500,
        silent_after_ms: 30_000,
    };
    acts_although_the_caller_hung_up(&Cloud::with(SimConfig { calls, ..quiet() }).await).await;
}

#[tokio::test]
async fn so_does_one_that_is_late_in_the_cloud() {
    let cloud = Cloud::start().await;
    cloud
        .handle
        .add_fault(Fault::new(FaultKind::Latency).for_ms(1_500).times(1));
    acts_although_the_caller_hung_up(&cloud).await;
}

#[tokio::test]
async fn injected_faults_answer_for_the_cloud() {
    let cloud = Cloud::start().await;
    let token = cloud.product_token("thermostat");
    let list = "/v1/products/thermostat/devices";
    cloud
        .handle
        .add_fault(Fault::new(FaultKind::Status).with_status(503).times(1));
    cloud.handle.add_fault(Fault::new(FaultKind::RateLimit).times(1));
    cloud.handle.add_fault(Fault::new(FaultKind::EdgeError).times(1));
    assert_eq!(cloud.get(&token, list).await.status, 429);
    assert_eq!(cloud.get(&token, list).await.status, 503);
    let edge = cloud.get(&token, list).await;
    assert_eq!(edge.status, 502);
    assert!(edge.text.starts_with("<html>"));
    assert_eq!(cloud.get(&token, list).await.status, 200);
}
