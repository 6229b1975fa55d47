//! The simulated cloud against the hand-written fixtures that bind it and the adapter alike; their
//! README explains the format and the world they speak of.

use std::path::Path;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use ostler_sim::{
    AccountConfig, Custom, CustomerId, DeviceId, Fault, FaultKind, NewDevice, ProductId, Profile, SimConfig, TimeSource,
};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

use crate::support::{Cloud, Incoming};

const BARN_3: &str = "e00fce68a1b2c3d4e5f60718";
const BARN_4: &str = "e00fce68a1b2c3d4e5f60719";
const CUSTOMER: &str = "lamp-owner@example.com";

fn fixture(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fixtures/particle")
        .join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap()
}

/// The world of the fixtures' README.
struct Barn {
    cloud: Cloud,
    product: ProductId,
    client: (String, String),
    customer: CustomerId,
}

impl Barn {
    async fn build(profile: Profile) -> Self {
        let cloud = Cloud::with(SimConfig {
            time: TimeSource::Simulated {
                start_ms: 1_903_860_000_123,
            },
            thermostats: 0,
            vehicles: 0,
            unregistered: 0,
            heartbeat_ms: 60_000,
            account: AccountConfig {
                username: "ops@example.com".to_owned(),
                password: Some("pw".to_owned()),
            },
            profile,
            ..SimConfig::default()
        })
        .await;
        let handle = &cloud.handle;
        let product = handle.add_product(40_123, "barn-v1");
        let client = handle.add_client(product, "backend");
        let customer = handle.add_customer(product, CUSTOMER, None).unwrap();
        for (id, name) in [(BARN_3, "barn-3"), (BARN_4, "barn-4")] {
            handle.add_device(NewDevice {
                id: Some(DeviceId::new(id)),
                name: Some(name.to_owned()),
                product_id: Some(product),
                firmware: Custom {
                    functions: [("setValve".to_owned(), 1)].into(),
                    variables: [("volts".to_owned(), json!(3.91))].into(),
                },
                quarantined: false,
            });
        }
        let stranger = handle.add_user("stranger@example.com", "pw");
        handle.give_to_user(&DeviceId::new(BARN_4), &stranger);
        Self {
            cloud,
            product,
            client,
            customer,
        }
    }

    async fn given(exchange: &Value) -> Self {
        let given = &exchange["given"];
        let barn = Self::build(match given["profile"].as_str() {
            Some("2015") => Profile::Y2015,
            Some("2018") => Profile::Y2018,
            Some(other) => panic!("profile {other}"),
            None => Profile::Current,
        })
        .await;
        let (handle, device) = (&barn.cloud.handle, DeviceId::new(BARN_3));
        match given["device"].as_str() {
            Some("offline") => assert!(handle.set_online(&device, false)),
            Some("silent") => {
                handle.add_fault(Fault::new(FaultKind::Stale).on(&device).for_ms(20));
            }
            Some(other) => panic!("device {other}"),
            None => {}
        }
        match given["owner"].as_str() {
            Some("user") => assert!(handle.give_to_user(&device, &handle.maker())),
            Some("customer") => assert!(handle.give_to_customer(&device, &barn.customer)),
            Some(other) => panic!("owner {other}"),
            None => {}
        }
        barn
    }

    async fn token(&self, whose: &str) -> Option<String> {
        let handle = &self.cloud.handle;
        match whose {
            "product" => Some(handle.product_token(self.product)),
            "user" => Some(handle.user_token(&handle.maker())),
            "customer" => Some(handle.customer_token(&self.customer)),
            "unknown" => Some("f".repeat(40)),
            "expired" => Some(self.expired_token().await),
            "nobody" => None,
            other => panic!("token of {other}"),
        }
    }

    async fn expired_token(&self) -> String {
        let (id, secret) = &self.client;
        let minted = self
            .cloud
            .token(&[
                ("grant_type", "client_credentials"),
                ("client_id", id),
                ("client_secret", secret),
            ])
            .await;
        self.cloud.handle.add_fault(Fault::new(FaultKind::ExpireTokens));
        minted.json()["access_token"].as_str().unwrap().to_owned()
    }

    async fn request(&self, request: &Value) -> reqwest::RequestBuilder {
        let method = request["method"].as_str().unwrap().parse().unwrap();
        let url = self.cloud.url(request["path"].as_str().unwrap());
        let mut builder = self.cloud.http.request(method, url);
        if let Some(pair) = request["basic"].as_array() {
            let real = |text: &Value| match text.as_str().unwrap() {
                "backend-4711" => self.client.0.clone(),
                "<secret>" => self.client.1.clone(),
                other => other.to_owned(),
            };
            builder = builder.basic_auth(real(&pair[0]), Some(real(&pair[1])));
        }
        if let Some(whose) = request["as"].as_str()
            && let Some(token) = self.token(whose).await
        {
            builder = builder.bearer_auth(token);
        }
        if let Some(form) = request["form"].as_object() {
            let fields = form
                .iter()
                .map(|(key, value)| (key.clone(), value.as_str().unwrap().replace("<password>", "pw")));
            builder = builder.form(&fields.collect::<Vec<_>>());
        }
        if let Some(json) = request.get("json") {
            builder = builder.json(json);
        }
        builder
    }
}

async fn check_exchanges(file: &str) {
    let fixture = fixture(file);
    assert!(fixture["reference"].as_str().unwrap().starts_with('§'));
    for exchange in fixture["exchanges"].as_array().unwrap() {
        let name = exchange["name"].as_str().unwrap();
        let barn = Barn::given(exchange).await;
        let response = barn.request(&exchange["request"]).await.send().await.unwrap();
        let expected = &exchange["response"];
        let status = response.status().as_u16();
        let content_type = response
            .headers()
            .get("content-type")
            .map(|one| one.to_str().unwrap().to_owned());
        let text = response.text().await.unwrap();
        assert_eq!(json!(status), expected["status"], "{file}: {name}: {text}");
        if status == 204 {
            assert_eq!(text, "", "{file}: {name}");
            continue;
        }
        assert_eq!(
            content_type.as_deref(),
            Some("application/json; charset=utf-8"),
            "{file}: {name}"
        );
        if let Some(bare) = expected["text"].as_str() {
            assert_eq!(text, bare, "{file}: {name}");
            continue;
        }
        let actual: Value = serde_json::from_str(&text).unwrap();
        if let Some(json) = expected.get("json") {
            check_within(
                json,
                &actual,
                "",
                &varying(expected),
                &format!("{file}: {name}: {text}"),
            );
        }
    }
}

fn varying(expected: &Value) -> Vec<&str> {
    expected["varies"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|pointer| pointer.as_str().unwrap())
        .collect()
}

/// Every member that the fixture lists is there, with its value or, where it varies, its kind.
fn check_within(expected: &Value, actual: &Value, pointer: &str, varies: &[&str], context: &str) {
    if varies.contains(&pointer) {
        let same_kind = match (expected, actual) {
            (Value::String(expected), Value::String(actual)) => {
                let is_hex = |text: &str| text.bytes().all(|b| b.is_ascii_hexdigit());
                !is_hex(expected) || (is_hex(actual) && actual.len() == expected.len())
            }
            (expected, actual) => std::mem::discriminant(expected) == std::mem::discriminant(actual),
        };
        assert!(same_kind, "{pointer} should be of the kind of {expected}; {context}");
        return;
    }
    match (expected, actual) {
        (Value::Object(expected), Value::Object(actual)) => {
            for (key, value) in expected {
                let pointer = format!("{pointer}/{key}");
                let actual = actual
                    .get(key)
                    .unwrap_or_else(|| panic!("{pointer} is missing; {context}"));
                check_within(value, actual, &pointer, varies, context);
            }
        }
        (Value::Array(expected), Value::Array(actual)) => {
            assert_eq!(expected.len(), actual.len(), "length of {pointer}; {context}");
            for (n, (expected, actual)) in expected.iter().zip(actual).enumerate() {
                check_within(expected, actual, &format!("{pointer}/{n}"), varies, context);
            }
        }
        (expected, actual) => assert_eq!(expected, actual, "{pointer}; {context}"),
    }
}

macro_rules! exchanges {
    ($($test:ident: $file:literal),* $(,)?) => {
        $(#[tokio::test]
        async fn $test() {
            check_exchanges($file).await;
        })*
    };
}

exchanges! {
    tokens_are_as_written: "tokens.json",
    errors_are_as_written: "errors.json",
    devices_are_as_written: "devices.json",
    calls_are_as_written: "calls.json",
    claims_are_as_written: "claims.json",
    customers_are_as_written: "customers.json",
    hooks_are_as_written: "hooks.json",
}

#[tokio::test]
async fn the_stream_is_as_written() {
    let fixture = fixture("stream.json");
    let barn = Barn::build(Profile::Current).await;
    let token = barn.token("product").await.unwrap();
    let request = barn
        .cloud
        .http
        .get(barn.cloud.url("/v1/products/40123/events"))
        .bearer_auth(token);
    let mut incoming = Incoming::open(request).await;
    for event in fixture["published"].as_array().unwrap() {
        let (device, name) = (event["coreid"].as_str().unwrap(), event["name"].as_str().unwrap());
        assert!(
            barn.cloud
                .handle
                .publish_as(&DeviceId::new(device), name, event["data"].as_str())
        );
    }
    // The greeting has been read, and heartbeats come in silence only.
    let pieces = fixture["wire"]
        .as_array()
        .unwrap()
        .iter()
        .map(|piece| piece.as_str().unwrap());
    for piece in pieces.filter(|piece| piece.starts_with("event:")) {
        let actual = incoming.until("\n\n").await;
        let (expected_name, expected_data) = split_event(piece);
        let (name, data) = split_event(&actual);
        assert_eq!(name, expected_name);
        check_within(&expected_data, &data, "", &[], &actual);
    }
}

fn split_event(text: &str) -> (String, Value) {
    let (name, data) = text.strip_suffix("\n\n").unwrap().split_once("\ndata: ").unwrap();
    (name.to_owned(), serde_json::from_str(data).unwrap())
}

struct Arrived {
    method: String,
    query: String,
    headers: axum::http::HeaderMap,
    body: String,
}

async fn take(State(sender): State<mpsc::Sender<Arrived>>, request: Request) {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let arrived = Arrived {
        method: parts.method.to_string(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    };
    sender.send(arrived).await.unwrap();
}

#[tokio::test]
async fn webhooks_are_delivered_as_written() {
    let (sender, mut arrived) = mpsc::channel(10);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/h", listener.local_addr().unwrap());
    let app = Router::new().fallback(take).with_state(sender);
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });

    for delivery in fixture("webhooks.json")["deliveries"].as_array().unwrap() {
        let name = delivery["name"].as_str().unwrap();
        let barn = Barn::build(Profile::Current).await;
        let token = barn.token("product").await.unwrap();
        let mut hook = delivery["hook"].clone();
        hook["url"] = json!(url);
        assert_eq!(
            barn.cloud
                .post(&token, "/v1/products/40123/integrations", hook)
                .await
                .status,
            201,
            "{name}"
        );
        let event = &delivery["event"];
        let device = DeviceId::new(event["coreid"].as_str().unwrap());
        barn.cloud
            .handle
            .publish_as(&device, event["name"].as_str().unwrap(), event["data"].as_str());
        let request = tokio::time::timeout(Duration::from_secs(10), arrived.recv())
            .await
            .unwrap()
            .unwrap();
        check_delivery(&delivery["request"], &request, name);
    }
}

fn check_delivery(expected: &Value, actual: &Arrived, name: &str) {
    assert_eq!(expected["method"], json!(actual.method), "{name}");
    for (header, value) in expected["headers"].as_object().into_iter().flatten() {
        let actual = actual.headers.get(header).map(|value| value.to_str().unwrap());
        assert_eq!(value.as_str(), actual, "{name}: {header}");
    }
    if let Some(body) = expected["body"].as_str() {
        assert_eq!(actual.body, body, "{name}");
    }
    if let Some(json) = expected.get("json") {
        let actual: Value = serde_json::from_str(&actual.body).unwrap();
        check_within(json, &actual, "", &varying(expected), name);
        assert_eq!(
            json.as_object().unwrap().len(),
            actual.as_object().unwrap().len(),
            "{name}: no more members"
        );
    }
    for (part, text) in [("form", &actual.body), ("query", &actual.query)] {
        if let Some(fields) = expected.get(part) {
            assert_eq!(*fields, Value::Object(form(text)), "{name}");
        }
    }
}

fn form(text: &str) -> Map<String, Value> {
    url::form_urlencoded::parse(text.as_bytes())
        .map(|(key, value)| (key.into_owned(), json!(value)))
        .collect()
}
