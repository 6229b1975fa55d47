//! The maker's set-up over the staff API (interface.md §5): a product with its cloud, devices, one customer who owns
//! them all, the customer's app.

use anyhow::{Context as _, ensure};
use reqwest::{Client, Method};
use serde_json::{Value, json};

use super::installation::{OWNER, PASSWORD};
use super::sign_in::REDIRECT_URI;
use crate::contestants::{DEVICES, cloud_id};

pub const CUSTOMER: &str = "customer@example.com";
pub const CUSTOMER_PASSWORD: &str = "another one for one run";
pub const SCOPES: &str = "devices:read devices:control history:read";

pub struct Fleet {
    pub devices: Vec<String>,
    pub client_id: String,
    pub ingest_url: String,
    pub ingest_secret: String,
}

pub async fn declare(base: &str, cloud: &str) -> anyhow::Result<Fleet> {
    let mut desk = Desk {
        client: Client::new(),
        base: base.to_owned(),
        token: None,
    };
    let session = desk
        .post("/admin/v1/session", &json!({"email": OWNER, "password": PASSWORD}))
        .await?;
    desk.token = Some(text(&session, "access_token")?);

    let product = text(&desk.post("/admin/v1/products", &product()).await?, "id")?;
    let connection = json!({
        "kind": "particle", "base_url": cloud, "product": "1", "client_id": "bench", "client_secret": "of-no-worth",
    });
    desk.send(Method::PUT, &format!("/admin/v1/products/{product}/cloud"), &connection)
        .await?;
    let secret = desk
        .post(&format!("/admin/v1/products/{product}/ingest-secret"), &json!({}))
        .await?;
    let devices = desk.import(&product).await?;

    let customer = json!({"email": CUSTOMER, "password": CUSTOMER_PASSWORD, "products": [product]});
    let customer = text(&desk.post("/admin/v1/customers", &customer).await?, "id")?;
    for device in &devices {
        let grant = json!({"customer_id": customer, "device_id": device, "source": "owner", "functions": null});
        desk.post("/admin/v1/grants", &grant).await?;
    }
    let app = json!({
        "name": "app", "kind": "public", "flows": ["authorization_code"], "redirect_uris": [REDIRECT_URI],
        "scopes": SCOPES.split(' ').collect::<Vec<_>>(), "refresh_policy": "none",
    });
    let app = desk.post("/admin/v1/clients", &app).await?;
    Ok(Fleet {
        devices,
        client_id: text(&app, "client_id")?,
        ingest_url: text(&secret, "ingest_url")?,
        ingest_secret: text(&secret, "ingest_secret")?,
    })
}

fn product() -> Value {
    json!({
        "slug": "thermostat", "name": "Thermostat", "time_zone": "Europe/Berlin", "access_mode": "fleet",
        "functions": [{"name": "setTarget", "argument": {"type": "integer", "min": 5, "max": 30}, "max_bytes": 2}],
        "telemetry": [{"event": "thermostat/state", "keys": [
            {"key": "temperature", "pointer": "/t", "type": "number", "unit": "Cel"},
        ]}],
    })
}

struct Desk {
    client: Client,
    base: String,
    token: Option<String>,
}

impl Desk {
    async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.send(Method::POST, path, body).await
    }

    async fn send(&self, method: Method, path: &str, body: &Value) -> anyhow::Result<Value> {
        let mut request = self
            .client
            .request(method.clone(), format!("{}{path}", self.base))
            .json(body);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let response = request.send().await?;
        let (status, answer) = (response.status(), response.text().await?);
        ensure!(status.is_success(), "{method} {path} was answered {status}: {answer}");
        serde_json::from_str(&answer).with_context(|| format!("{method} {path} was answered {answer}"))
    }

    async fn import(&self, product: &str) -> anyhow::Result<Vec<String>> {
        let devices: Vec<_> = (0..DEVICES)
            .map(|number| json!({"cloud_id": cloud_id(number)}))
            .collect();
        let imported = self
            .post("/admin/v1/devices", &json!({"product_id": product, "devices": devices}))
            .await?;
        let created = imported["created"].as_array().context("no devices were created")?;
        ensure!(
            created.len() as u64 == DEVICES,
            "not all devices were created: {imported}"
        );
        created.iter().map(|device| text(device, "id")).collect()
    }
}

pub fn text(object: &Value, member: &str) -> anyhow::Result<String> {
    let text = object[member]
        .as_str()
        .with_context(|| format!("the answer lacks {member}: {object}"))?;
    Ok(text.to_owned())
}
