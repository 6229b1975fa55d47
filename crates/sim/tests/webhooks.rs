//! Webhooks, from declaration to delivery (reference §9), against a listener in the test.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use ostler_sim::{Fault, FaultKind, HookTiming, SimConfig};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::support::{Cloud, quiet};

struct Arrived {
    content_type: String,
    authorization: String,
    user_agent: String,
    body: String,
}

/// Answers with the given statuses in turn, the last one for ever.
struct Listener {
    url: String,
    arrived: mpsc::Receiver<Arrived>,
}

impl Listener {
    async fn answering(statuses: &[u16]) -> Self {
        let (sender, arrived) = mpsc::channel(100);
        let statuses: Arc<std::sync::Mutex<Vec<u16>>> =
            Arc::new(std::sync::Mutex::new(statuses.iter().rev().copied().collect()));
        let app = Router::new().fallback(take).with_state((sender, statuses));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/h", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, arrived }
    }

    async fn next(&mut self) -> Arrived {
        let next = tokio::time::timeout(Duration::from_secs(10), self.arrived.recv()).await;
        next.expect("a webhook arrives within ten seconds").unwrap()
    }
}

type Taken = (mpsc::Sender<Arrived>, Arc<std::sync::Mutex<Vec<u16>>>);

async fn take(State((sender, statuses)): State<Taken>, request: Request) -> (StatusCode, &'static str) {
    let (parts, body) = request.into_parts();
    let header = |name: &str| {
        parts
            .headers
            .get(name)
            .map(|value| value.to_str().unwrap().to_owned())
            .unwrap_or_default()
    };
    let (content_type, authorization, user_agent) =
        (header("content-type"), header("authorization"), header("user-agent"));
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let body = String::from_utf8(body.to_vec()).unwrap();
    sender
        .send(Arrived {
            content_type,
            authorization,
            user_agent,
            body,
        })
        .await
        .unwrap();
    let mut statuses = statuses.lock().unwrap();
    let status = if statuses.len() > 1 {
        statuses.pop().unwrap()
    } else {
        statuses[0]
    };
    (StatusCode::from_u16(status).unwrap(), "thanks")
}

async fn declare(cloud: &Cloud, fields: Value) -> Value {
    let token = cloud.product_token("thermostat");
    let created = cloud.post(&token, "/v1/products/thermostat/integrations", fields).await;
    assert_eq!(created.status, 201, "{}", created.text);
    created.json()
}

#[tokio::test]
async fn the_default_body_is_a_form_with_four_keys() {
    let cloud = Cloud::start().await;
    let mut listener = Listener::answering(&[200]).await;
    declare(
        &cloud,
        json!({"integration_type": "Webhook", "event": "temp", "url": listener.url}),
    )
    .await;
    let device = cloud.device("thermostat");
    cloud.handle.publish_as(&device, "temp", Some("21.5"));
    let arrived = listener.next().await;
    assert_eq!(arrived.content_type, "application/x-www-form-urlencoded");
    assert!(arrived.user_agent.starts_with("ParticleBot/1.1"));
    assert_eq!(
        arrived.body,
        format!("event=temp&data=21.5&published_at=2030-03-17T17%3A46%3A40.000Z&coreid={device}")
    );
}

#[tokio::test]
async fn a_json_hook_renders_its_templates() {
    let cloud = Cloud::start().await;
    let mut listener = Listener::answering(&[204]).await;
    let fields = json!({
        "event": "t/", "url": listener.url, "requestType": "POST", "noDefaults": true,
        "headers": {"Authorization": "Bearer shared-secret", "Content-Type": "application/json"},
        "json": {"event": "{{{PARTICLE_EVENT_NAME}}}", "data": "{{{PARTICLE_EVENT_VALUE}}}", "escaped": "{{PARTICLE_EVENT_VALUE}}",
                 "coreid": "{{{PARTICLE_DEVICE_ID}}}", "product": "{{{PRODUCT_ID}}}", "inner": "{{{a.b}}}", "id": "{{{PARTICLE_EVENT_ID}}}"},
    });
    declare(&cloud, fields).await;
    let device = cloud.device("thermostat");
    cloud.handle.publish_as(&device, "other", Some("not wanted"));
    cloud.handle.publish_as(&device, "t/1", Some(r#"{"a":{"b":3}}"#));
    let arrived = listener.next().await;
    assert_eq!(
        (arrived.content_type.as_str(), arrived.authorization.as_str()),
        ("application/json", "Bearer shared-secret")
    );
    let body: Value = serde_json::from_str(&arrived.body).unwrap();
    assert_eq!(
        (&body["event"], &body["data"], &body["inner"]),
        (&json!("t/1"), &json!(r#"{"a":{"b":3}}"#), &json!("3"))
    );
    assert_eq!(body["escaped"], "{&quot;a&quot;:{&quot;b&quot;:3}}");
    assert_eq!(
        (&body["coreid"], &body["product"]),
        (&json!(device), &json!(cloud.product("thermostat").id.to_string()))
    );
    assert!(!body["id"].as_str().unwrap().is_empty() && body.get("published_at").is_none());
}

#[tokio::test]
async fn a_failed_delivery_is_tried_twice_more_and_then_dropped() {
    let hooks = HookTiming {
        retry_after_ms: vec![20, 40],
        ..HookTiming::default()
    };
    let cloud = Cloud::with(SimConfig { hooks, ..quiet() }).await;
    let mut listener = Listener::answering(&[500, 500, 500, 200]).await;
    declare(&cloud, json!({"event": "temp", "url": listener.url})).await;
    let mut events = cloud.handle.subscribe();
    cloud.handle.publish_as(&cloud.device("thermostat"), "temp", Some("1"));
    for _ in 0..3 {
        assert!(listener.next().await.body.contains("data=1&"));
    }
    cloud.handle.publish_as(&cloud.device("thermostat"), "temp", Some("2"));
    assert!(listener.next().await.body.contains("data=2&"));
    let mut errors = 0;
    while let Some(event) = events.recv().await {
        if event.name.contains("/hook-error/temp/") {
            assert_eq!(event.data.as_deref(), Some("error status 500 from 127.0.0.1"));
            errors += 1;
        }
        if event.name == "hook-sent/temp" {
            break;
        }
    }
    assert_eq!(errors, 3);
}

#[tokio::test]
async fn the_answer_goes_back_to_the_device() {
    let cloud = Cloud::start().await;
    let listener = Listener::answering(&[200]).await;
    declare(&cloud, json!({"event": "temp", "url": listener.url})).await;
    let (device, mut events) = (cloud.device("thermostat"), cloud.handle.subscribe());
    cloud.handle.publish_as(&device, "temp", Some("1"));
    let mut names = Vec::new();
    while names.len() < 3 {
        let event = events.recv().await.unwrap();
        names.push((event.name.clone(), event.coreid.clone(), event.data.clone().unwrap()));
    }
    let cloud_made = |name: String, data: &str| (name, "particle-internal".to_owned(), data.to_owned());
    assert_eq!(names[1], cloud_made("hook-sent/temp".to_owned(), "undefined"));
    assert_eq!(names[2], cloud_made(format!("{device}/hook-response/temp/0"), "thanks"));
}

#[tokio::test]
async fn injected_duplicates_arrive_twice() {
    let cloud = Cloud::start().await;
    let mut listener = Listener::answering(&[200]).await;
    declare(&cloud, json!({"event": "temp", "url": listener.url})).await;
    cloud.handle.add_fault(Fault::new(FaultKind::DuplicateHooks).times(1));
    cloud.handle.publish_as(&cloud.device("thermostat"), "temp", Some("1"));
    assert_eq!(listener.next().await.body, listener.next().await.body);
}

#[tokio::test]
async fn an_injected_reordering_lets_a_later_one_overtake() {
    let cloud = Cloud::start().await;
    let mut listener = Listener::answering(&[200]).await;
    declare(&cloud, json!({"event": "temp", "url": listener.url})).await;
    cloud
        .handle
        .add_fault(Fault::new(FaultKind::ReorderHooks).for_ms(1_000).times(1));
    for data in ["1", "2"] {
        cloud.handle.publish_as(&cloud.device("thermostat"), "temp", Some(data));
    }
    assert!(listener.next().await.body.contains("data=2&"));
    assert!(listener.next().await.body.contains("data=1&"));
}

#[tokio::test]
async fn hooks_are_managed_under_both_spellings() {
    let cloud = Cloud::start().await;
    let token = cloud.product_token("thermostat");
    let (old, new) = (
        "/v1/products/thermostat/webhooks",
        "/v1/products/thermostat/integrations",
    );
    let created = declare(&cloud, json!({"event": "temp", "url": "http://127.0.0.1:9/h"})).await;
    let id = created["id"].as_str().unwrap();
    assert_eq!(
        created["hookUrl"],
        json!(format!("https://api.particle.io/v1/webhooks/{id}"))
    );
    assert_eq!(cloud.get(&token, old).await.json()[0]["id"], json!(id));
    assert_eq!(
        cloud.get(&token, &format!("{old}/{id}")).await.json()["webhook"]["event"],
        "temp"
    );
    assert_eq!(
        cloud.get(&token, &format!("{new}/{id}")).await.json()["integration"]["event"],
        "temp"
    );
    let disabled = cloud
        .put(&token, &format!("{new}/{id}"), json!({"disabled": true}))
        .await;
    assert_eq!(disabled.json()["disabled"], true);
    assert_eq!(cloud.delete(&token, &format!("{new}/{id}")).await.status, 204);
    let gone = cloud.get(&token, &format!("{old}/{id}")).await;
    assert_eq!(
        (gone.status, gone.json()),
        (404, json!({"ok": false, "error": "Webhook not found"}))
    );
    let refused = cloud
        .post(&token, new, json!({"event": "temp", "url": "ftp://x"}))
        .await;
    assert_eq!(refused.status, 400);
}

#[tokio::test]
async fn a_host_that_only_fails_is_left_alone_for_a_while() {
    let hooks = HookTiming {
        retry_after_ms: Vec::new(),
        host_sleep_ms: 60_000,
        ..HookTiming::default()
    };
    let cloud = Cloud::with(SimConfig { hooks, ..quiet() }).await;
    let mut listener = Listener::answering(&[500]).await;
    declare(&cloud, json!({"event": "temp", "url": listener.url})).await;
    let (device, mut events) = (cloud.device("thermostat"), cloud.handle.subscribe());
    let mut last_error = String::new();
    for n in 0..7 {
        cloud.handle.publish_as(&device, "temp", Some(&n.to_string()));
        last_error = loop {
            let event = events.recv().await.unwrap();
            if event.name.contains("/hook-error/") {
                break event.data.clone().unwrap();
            }
        };
    }
    assert_eq!(last_error, "Sleeping, too many errors, please wait and try again");
    for _ in 0..6 {
        listener.next().await;
    }
    assert!(listener.arrived.try_recv().is_err(), "the seventh was not sent");
}
