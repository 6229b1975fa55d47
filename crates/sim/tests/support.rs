//! A started cloud with a client that speaks to it. Each test starts its own.

use std::time::Duration;

use ostler_sim::{DeviceId, ProductFacts, Sim, SimConfig, SimHandle};
use serde_json::Value;

pub struct Cloud {
    pub sim: Sim,
    pub handle: SimHandle,
    pub http: reqwest::Client,
}

pub struct Reply {
    pub status: u16,
    pub text: String,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }
}

/// Quick, small, without lives of their own: nothing moves but what the test moves.
pub fn quiet() -> SimConfig {
    SimConfig {
        time: ostler_sim::TimeSource::Simulated {
            start_ms: 1_900_000_000_000,
        },
        thermostats: 3,
        vehicles: 3,
        unregistered: 1,
        ..SimConfig::default()
    }
}

impl Cloud {
    pub async fn start() -> Self {
        Self::with(quiet()).await
    }

    pub async fn with(config: SimConfig) -> Self {
        let sim = Sim::start(config).await.unwrap();
        let handle = sim.handle();
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(20))
            .build()
            .unwrap();
        Self { sim, handle, http }
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.sim.base_url())
    }

    pub fn product(&self, slug: &str) -> ProductFacts {
        self.handle
            .facts()
            .products
            .into_iter()
            .find(|product| product.slug == slug)
            .unwrap()
    }

    pub fn product_token(&self, slug: &str) -> String {
        self.handle.product_token(self.product(slug).id)
    }

    /// The first registered device of a product.
    pub fn device(&self, slug: &str) -> DeviceId {
        let product = self.product(slug).id;
        let mut devices: Vec<_> = self
            .handle
            .facts()
            .devices
            .into_iter()
            .filter(|one| one.product_id == Some(product) && one.in_service)
            .collect();
        devices.sort_by(|a, b| a.name.cmp(&b.name));
        devices.swap_remove(0).cloud_id
    }

    pub async fn get(&self, token: &str, path: &str) -> Reply {
        reply(self.http.get(self.url(path)).bearer_auth(token)).await
    }

    pub async fn post(&self, token: &str, path: &str, body: Value) -> Reply {
        reply(self.http.post(self.url(path)).bearer_auth(token).json(&body)).await
    }

    pub async fn put(&self, token: &str, path: &str, body: Value) -> Reply {
        reply(self.http.put(self.url(path)).bearer_auth(token).json(&body)).await
    }

    pub async fn delete(&self, token: &str, path: &str) -> Reply {
        reply(self.http.delete(self.url(path)).bearer_auth(token)).await
    }

    /// `POST /oauth/token` with fields as a form.
    pub async fn token(&self, fields: &[(&str, &str)]) -> Reply {
        reply(self.http.post(self.url("/oauth/token")).form(fields)).await
    }
}

pub async fn reply(request: reqwest::RequestBuilder) -> Reply {
    let response = request.send().await.unwrap();
    Reply {
        status: response.status().as_u16(),
        text: response.text().await.unwrap(),
    }
}

/// Reads a body as it arrives, until some text has been seen.
pub struct Incoming {
    response: reqwest::Response,
    seen: String,
}

impl Incoming {
    pub async fn open(request: reqwest::RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let mut incoming = Self {
            response,
            seen: String::new(),
        };
        incoming.until(":ok\n\n").await;
        incoming
    }

    pub async fn until(&mut self, text: &str) -> String {
        while !self.seen.contains(text) {
            match self.next().await {
                Some(piece) => self.seen.push_str(&piece),
                None => panic!("the stream ended before {text:?}; it said {:?}", self.seen),
            }
        }
        let end = self.seen.find(text).unwrap() + text.len();
        self.seen.drain(..end).collect()
    }

    async fn next(&mut self) -> Option<String> {
        let piece = tokio::time::timeout(Duration::from_secs(10), self.response.chunk()).await;
        let piece = piece.expect("the stream says something within ten seconds").ok()??;
        Some(String::from_utf8(piece.to_vec()).unwrap())
    }

    /// All that still comes, to the end.
    pub async fn rest(mut self) -> String {
        while let Some(piece) = self.next().await {
            self.seen.push_str(&piece);
        }
        self.seen
    }
}
