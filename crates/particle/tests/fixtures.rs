//! Every hand-written answer to a function call or variable read means what this table says. The
//! stub serves the fixture's answer; a fixture that the table does not know fails.

use std::path::Path;

use ostler_app::device_cloud::{DeviceCloud, ReadOutcome, StreamItem};
use ostler_core::command::{CallOutcome, CloudRefusal, NotSent};
use serde_json::{Value, json};

use crate::permits::{BARN_3, call_permit, read_permit};
use crate::stub::{Stub, Told};
use crate::support::{Adapter, DEADLINE, client};

pub fn fixture(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fixtures/particle")
        .join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap()
}

/// What the adapter itself would ask: product routes with a product's token, in JSON.
fn of_primitives(method: &str) -> Vec<Value> {
    let prefix = format!("/v1/products/40123/devices/{BARN_3}/");
    let exchanges = ["calls.json", "errors.json"].map(|name| fixture(name)["exchanges"].as_array().unwrap().clone());
    let mut exchanges = exchanges.concat();
    exchanges.retain(|exchange| {
        let request = &exchange["request"];
        let path = request["path"].as_str().unwrap();
        request["method"] == method && path.starts_with(&prefix) && !path.contains('?') && request.get("form").is_none()
    });
    exchanges
}

/// Serves `exchange` to the call or read, and the device as the fixtures show it to whoever looks.
async fn stub_of(exchange: &Value) -> Stub {
    let devices = fixture("devices.json")["exchanges"].as_array().unwrap().clone();
    let offline = exchange["given"]["device"] == "offline";
    let device = devices.into_iter().find(|device| {
        let wanted = if offline {
            json!({"device": "offline"})
        } else {
            Value::Null
        };
        device["given"] == wanted && device["request"]["path"] == format!("/v1/products/40123/devices/{BARN_3}")
    });
    let device = device.unwrap()["response"]["json"].clone();
    let response = exchange["response"].clone();
    let device_path = format!("/v1/products/40123/devices/{BARN_3}");
    // The device was heard just when it is; a minute later the call comes.
    let now = "Wed, 01 May 2030 10:01:00 GMT";
    Stub::minting(move |asked| {
        let status = u16::try_from(response["status"].as_u64().unwrap()).unwrap();
        if asked.path == device_path {
            Told::json(200, &device)
        } else {
            Told::json(status, &response["json"]).with("date", now)
        }
    })
    .await
}

#[tokio::test]
async fn every_answer_to_a_call_means_what_it_proves() {
    let table = [
        ("a function, as the documentation calls it", CallOutcome::Returned(1)),
        (
            "an unknown function",
            CallOutcome::Refused(CloudRefusal::FunctionUnknown),
        ),
        ("a function of an offline device", CallOutcome::DeviceOffline),
        ("a function of an offline device, years ago", CallOutcome::DeviceOffline),
        ("a ghost: believed online, silent", CallOutcome::Unknown),
    ];
    for exchange in of_primitives("POST") {
        let name = exchange["name"].as_str().unwrap();
        let row = table.iter().find(|(known, _)| *known == name);
        let (_, expected) = row.unwrap_or_else(|| panic!("the table does not know {name:?}: {exchange}"));
        let stub = stub_of(&exchange).await;
        let adapter = Adapter::new(&stub.base_url, client("secret"));
        let function = exchange["request"]["path"]
            .as_str()
            .unwrap()
            .rsplit('/')
            .next()
            .unwrap();
        let argument = exchange["request"]["json"]["arg"].as_str().unwrap_or_default();
        let permit = call_permit(adapter.product_id, BARN_3, function, argument, &*adapter.clock);
        let outcome = adapter.particle.call_function(&permit, DEADLINE).await;
        assert_eq!(outcome, *expected, "{name}");
        assert_eq!(stub.calls().len(), 1, "{name}");
    }
}

#[tokio::test]
async fn every_answer_to_a_read_means_what_it_says() {
    let table = [
        ("a variable", ReadOutcome::Value(json!(3.91))),
        ("an unknown variable", ReadOutcome::VariableUnknown),
        ("an unknown variable, years ago", ReadOutcome::VariableUnknown),
        ("a variable of an offline device", ReadOutcome::DeviceOffline),
        ("a variable of an offline device, years ago", ReadOutcome::DeviceOffline),
    ];
    for exchange in of_primitives("GET") {
        let name = exchange["name"].as_str().unwrap();
        let row = table.iter().find(|(known, _)| *known == name);
        let (_, expected) = row.unwrap_or_else(|| panic!("the table does not know {name:?}: {exchange}"));
        let stub = stub_of(&exchange).await;
        let adapter = Adapter::new(&stub.base_url, client("secret"));
        let variable = exchange["request"]["path"]
            .as_str()
            .unwrap()
            .rsplit('/')
            .next()
            .unwrap();
        let permit = read_permit(adapter.product_id, BARN_3, variable, &*adapter.clock);
        let outcome = adapter.particle.read_variable(&permit, DEADLINE).await;
        assert_eq!(outcome, *expected, "{name}");
    }
}

/// Refusals that no call of ours should meet, but may: they are served to one all the same.
#[tokio::test]
async fn every_refusal_is_understood_wherever_it_comes() {
    let table = [
        ("no token", CallOutcome::Refused(CloudRefusal::RequestRejected)),
        (
            "a device that is unknown or somebody else's",
            CallOutcome::Refused(CloudRefusal::DeviceUnknown),
        ),
    ];
    let exchanges = fixture("errors.json")["exchanges"].as_array().unwrap().clone();
    for (name, expected) in table {
        let exchange = exchanges.iter().find(|exchange| exchange["name"] == name).unwrap();
        let stub = stub_of(exchange).await;
        let adapter = Adapter::new(&stub.base_url, client("secret"));
        assert_eq!(adapter.call().await, expected, "{name}");
    }
}

#[tokio::test]
async fn hooked_events_are_read_as_the_fixtures_deliver_them() {
    let deliveries = fixture("webhooks.json")["deliveries"].as_array().unwrap().clone();
    let mut read = 0;
    for delivery in deliveries {
        let request = &delivery["request"];
        let (event, name) = (&delivery["event"], delivery["name"].as_str().unwrap());
        let body = match (&request["body"], request.get("json")) {
            (Value::String(body), _) if body.starts_with("event=") => body.clone(),
            (_, Some(json)) if json.get("event").is_some() => json.to_string(),
            // The maker's own templates are not ours to understand.
            _ => continue,
        };
        let content_type = request["headers"]["content-type"].as_str();
        let events = ostler_particle::webhook::parse(content_type, body.as_bytes()).unwrap();
        assert_eq!(events.len(), 1, "{name}");
        assert_eq!(events[0].name, event["name"].as_str().unwrap(), "{name}");
        assert_eq!(events[0].data.as_deref(), event["data"].as_str(), "{name}");
        assert_eq!(events[0].source.as_ref().unwrap().as_str(), event["coreid"], "{name}");
        assert_eq!(
            events[0].published_at,
            "2030-05-01T10:00:00.123Z".parse().unwrap(),
            "{name}"
        );
        read += 1;
    }
    assert!(read >= 4, "only {read} deliveries were tried");
}

#[tokio::test]
async fn the_stream_is_read_as_the_fixture_writes_it() {
    let fixture = fixture("stream.json");
    let pieces = fixture["wire"].as_array().unwrap().iter();
    let wire: String = pieces.map(|piece| piece.as_str().unwrap()).collect();
    let stub = Stub::minting(move |_| Told::text(200, &wire)).await;
    let adapter = Adapter::new(&stub.base_url, client("secret"));
    let mut items = adapter.particle.events(adapter.product_id);
    assert!(matches!(items.recv().await, Some(StreamItem::Connected)));
    for expected in fixture["published"].as_array().unwrap() {
        let event = loop {
            match items.recv().await.unwrap() {
                StreamItem::Event(event) => break event,
                StreamItem::Heartbeat => {}
                other @ (StreamItem::Connected | StreamItem::Disconnected { .. }) => panic!("{other:?}"),
            }
        };
        assert_eq!(event.name, expected["name"].as_str().unwrap());
        assert_eq!(event.data.as_deref(), expected["data"].as_str());
        assert_eq!(event.source.unwrap().as_str(), expected["coreid"]);
        assert_eq!(event.published_at, "2030-05-01T10:00:00.123Z".parse().unwrap());
    }
    let asked = stub.asked();
    assert_eq!(
        (asked[1].method.as_str(), asked[1].path.as_str()),
        ("GET", "/v1/products/40123/events")
    );
}

#[tokio::test]
async fn the_token_endpoint_is_understood_as_the_fixture_writes_it() {
    let table = [
        ("a product client gets a product token", true),
        ("a lifetime may be asked for", true),
        ("a wrong client secret", false),
        ("no grant type", false),
    ];
    let exchanges = fixture("tokens.json")["exchanges"].as_array().unwrap().clone();
    for (name, accepted) in table {
        let exchange = exchanges.iter().find(|exchange| exchange["name"] == name).unwrap();
        let response = exchange["response"].clone();
        let stub = Stub::start(move |asked| {
            let status = u16::try_from(response["status"].as_u64().unwrap()).unwrap();
            if asked.is_mint() {
                Told::json(status, &response["json"])
            } else {
                Told::text(200, r#"{"return_value":1}"#)
            }
        })
        .await;
        let adapter = Adapter::new(&stub.base_url, client("secret"));
        let expected = match accepted {
            true => CallOutcome::Returned(1),
            false => CallOutcome::NotSent(NotSent::CredentialRejected),
        };
        assert_eq!(adapter.call().await, expected, "{name}");
    }
}
