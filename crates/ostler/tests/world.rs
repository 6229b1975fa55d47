//! An installation as its maker has it: the real binary on a database of its own, in front of a
//! simulated device cloud that runs in the test. Everything goes over HTTP.
//!
//! Defaults are sensible, so that a test shows only what matters to it. Nothing here knows a rule
//! of the product; what is said of an answer is the test's to say.

mod browser;
mod heard;
mod installation;
mod staff;

pub use browser::{sign_in, sign_in_over};
pub use heard::Heard;
pub use installation::{Installation, On};
pub use staff::{Customer, Fleet, REDIRECT_URI, THERMOSTAT, VEHICLE, product_file};

use reqwest::{Method, Response, StatusCode};
use serde_json::Value;

/// Runs one test on SQLite and on PostgreSQL, as two tests, each on a fresh installation.
macro_rules! on_both {
    ($(#[$doc:meta])* async fn $name:ident($installation:ident) $body:block) => {
        mod $name {
            use super::*;

            async fn scenario(mut $installation: Installation) {
                // Most only look.
                let _ = &mut $installation;
                $body
            }

            $(#[$doc])*
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_sqlite() {
                scenario(Installation::start(On::Sqlite).await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_postgres() {
                scenario(Installation::start(On::Postgres).await).await;
            }
        }
    };
}
pub(crate) use on_both;

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

impl Answer {
    pub async fn of(response: Response) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        Self {
            status,
            headers,
            text: response.text().await.expect("a body that can be read"),
        }
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// The member at an RFC 6901 pointer.
    pub fn at(&self, pointer: &str) -> Value {
        self.json()
            .pointer(pointer)
            .cloned()
            .unwrap_or_else(|| panic!("no {pointer} in {self:?}"))
    }

    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        self
    }

    /// A problem document with this status and code (RFC 9457).
    #[track_caller]
    pub fn expect_problem(self, status: u16, code: &str) -> Self {
        let answer = self.expect(status);
        assert_eq!(answer.headers["content-type"], "application/problem+json", "{answer:?}");
        assert_eq!(answer.at("/code"), code, "{answer:?}");
        assert_eq!(answer.at("/status"), u64::from(status), "{answer:?}");
        answer
    }
}

/// Somebody with a bearer token.
#[derive(Clone)]
pub struct Caller {
    base: String,
    http: reqwest::Client,
    token: Option<String>,
    heard: Heard,
}

impl Caller {
    pub fn new(base: &str, token: Option<String>) -> Self {
        Self::over(http(), base, token)
    }

    /// By another way than straight over loopback.
    pub fn over(http: reqwest::Client, base: &str, token: Option<String>) -> Self {
        Self {
            base: base.to_owned(),
            http,
            token,
            heard: Heard::default(),
        }
    }

    /// The same caller, whose answers are kept to be searched.
    pub fn heard_by(&self, heard: &Heard) -> Self {
        Self {
            heard: heard.clone(),
            ..self.clone()
        }
    }

    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::PUT, path).json(body)).await
    }

    pub async fn call(&self, device: &str, function: &str, argument: &str) -> Answer {
        let path = format!("/v1/devices/{device}/functions/{function}");
        self.post(&path, &serde_json::json!({"argument": argument})).await
    }

    pub async fn call_with_key(&self, device: &str, function: &str, argument: &str, key: &str) -> Answer {
        let path = format!("/v1/devices/{device}/functions/{function}");
        let body = serde_json::json!({"argument": argument});
        self.send(
            self.request(Method::POST, &path)
                .header("Idempotency-Key", key)
                .json(&body),
        )
        .await
    }

    pub async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let request = request.build().expect("a request");
        let asked = format!("{} {}", request.method(), request.url());
        let answer = Answer::of(self.http.execute(request).await.expect("the server answers")).await;
        self.heard.keep(asked, &answer);
        answer
    }
}

/// No redirects: a test looks at each; no proxies: everything is on loopback.
pub fn http() -> reqwest::Client {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .expect("a client without TLS settings")
}
