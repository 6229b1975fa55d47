//! The control API, `/_sim` (interface §9).

use serde_json::json;

use crate::support::{Cloud, reply};

async fn control(cloud: &Cloud, method: &str, path: &str, body: serde_json::Value) -> crate::support::Reply {
    reply(cloud.http.request(method.parse().unwrap(), cloud.url(path)).json(&body)).await
}

#[tokio::test]
async fn acts_and_requests_are_listed_after_a_number() {
    let cloud = Cloud::start().await;
    let (token, device) = (cloud.product_token("thermostat"), cloud.device("thermostat"));
    let path = format!("/v1/products/thermostat/devices/{device}/setTarget");
    for target in ["20", "21"] {
        cloud.post(&token, &path, json!({"arg": target})).await;
    }
    let acts = cloud.get("", "/_sim/acts?after=1").await.json();
    assert_eq!(acts["last_seq"], 2);
    assert_eq!(
        acts["acts"],
        json!([{
            "seq": 2, "at": "2030-03-17T17:46:40.000Z", "request_at": "2030-03-17T17:46:40.000Z", "device_id": device,
            "function": "setTarget", "argument": "21", "return_value": 21, "credential": "product",
        }])
    );
    let requests = cloud.get("", "/_sim/requests?after=0").await.json();
    assert_eq!(requests["last_seq"], 2, "its own requests are not counted");
    assert_eq!(
        requests["requests"][0],
        json!({"seq": 1, "at": "2030-03-17T17:46:40.000Z", "method": "POST", "path": path, "status": 200})
    );
}

#[tokio::test]
async fn faults_are_set_and_taken_back() {
    let cloud = Cloud::start().await;
    let (token, device) = (cloud.product_token("thermostat"), cloud.device("thermostat"));
    let path = format!("/v1/products/thermostat/devices/{device}");
    let set = control(
        &cloud,
        "POST",
        "/_sim/faults",
        json!({"fault": "offline", "cloud_id": device}),
    )
    .await;
    assert_eq!(set.status, 201);
    assert_eq!(cloud.get(&token, &path).await.json()["online"], false);
    let id = set.json()["id"].as_u64().unwrap();
    assert_eq!(
        control(&cloud, "DELETE", &format!("/_sim/faults/{id}"), json!({}))
            .await
            .status,
        204
    );
    assert_eq!(
        control(&cloud, "DELETE", &format!("/_sim/faults/{id}"), json!({}))
            .await
            .status,
        404
    );
    assert_eq!(cloud.get(&token, &path).await.json()["online"], true);

    control(
        &cloud,
        "POST",
        "/_sim/faults",
        json!({"fault": "status", "status": 418}),
    )
    .await;
    assert_eq!(cloud.get(&token, &path).await.status, 418);
    assert_eq!(control(&cloud, "DELETE", "/_sim/faults", json!({})).await.status, 204);
    assert_eq!(cloud.get(&token, &path).await.status, 200);
    assert_eq!(
        control(&cloud, "POST", "/_sim/faults", json!({"fault": "gremlins"}))
            .await
            .status,
        400
    );
}

#[tokio::test]
async fn every_fault_of_the_interface_is_known() {
    let cloud = Cloud::start().await;
    let faults = "latency offline stale execute_then_timeout status edge_error deaf_stream drop_stream duplicate_hooks \
                  reorder_hooks expire_tokens rate_limit";
    for fault in faults.split_whitespace() {
        assert_eq!(
            control(&cloud, "POST", "/_sim/faults", json!({"fault": fault}))
                .await
                .status,
            201,
            "{fault}"
        );
    }
}

#[tokio::test]
async fn devices_are_switched_and_made_to_speak() {
    let cloud = Cloud::start().await;
    let (device, mut events) = (cloud.device("thermostat"), cloud.handle.subscribe());
    let path = format!("/_sim/devices/{device}");
    assert_eq!(
        control(&cloud, "PUT", &path, json!({"online": false})).await.status,
        200
    );
    assert!(!cloud.handle.device(&device).unwrap().online);
    assert_eq!(events.recv().await.unwrap().name, "spark/status");
    let said = control(
        &cloud,
        "POST",
        &format!("{path}/publish"),
        json!({"name": "a", "data": "{\"b\":1}"}),
    )
    .await;
    assert_eq!(said.status, 200);
    assert_eq!(events.recv().await.unwrap().data.as_deref(), Some("{\"b\":1}"));
    let nobody = "/_sim/devices/ffffffffffffffffffffffff";
    assert_eq!(
        control(&cloud, "PUT", nobody, json!({"online": false})).await.status,
        404
    );
}

#[tokio::test]
async fn the_clock_is_moved_forward_only() {
    let cloud = Cloud::start().await;
    let before = cloud.handle.now_ms();
    let moved = control(&cloud, "POST", "/_sim/clock", json!({"advance_ms": 90_000})).await;
    assert_eq!(
        (moved.status, moved.json()["now_ms"].clone()),
        (200, json!(before + 90_000))
    );
    assert_eq!(
        control(&cloud, "POST", "/_sim/clock", json!({"advance_ms": -1}))
            .await
            .status,
        400
    );
    assert_eq!(cloud.sim.clock().now_ms(), before + 90_000);
}

#[tokio::test]
async fn expired_tokens_are_told_apart_from_unknown_ones() {
    let cloud = Cloud::start().await;
    let product = cloud.product("thermostat");
    let minted = cloud
        .token(&[
            ("grant_type", "client_credentials"),
            ("client_id", &product.client_id),
            ("client_secret", &product.client_secret),
        ])
        .await;
    let token = minted.json()["access_token"].as_str().unwrap().to_owned();
    control(&cloud, "POST", "/_sim/faults", json!({"fault": "expire_tokens"})).await;
    let refused = cloud.get(&token, "/v1/access_tokens/current").await;
    assert_eq!(
        refused.json()["error_description"],
        "The access token provided has expired."
    );
}

#[tokio::test]
async fn a_foreign_page_gets_nothing() {
    let cloud = Cloud::start().await;
    let get = |name: &'static str, value: &'static str| {
        let request = cloud.http.get(cloud.url("/_sim/acts")).header(name, value);
        async move { request.send().await.unwrap() }
    };
    assert_eq!(get("host", "rebound.example").await.status(), 403);
    assert_eq!(get("origin", "https://evil.example").await.status(), 403);
    let allowed = get("origin", "http://localhost:3000").await;
    assert_eq!(allowed.status(), 200);
    assert!(allowed.headers().get("access-control-allow-origin").is_none());
}
