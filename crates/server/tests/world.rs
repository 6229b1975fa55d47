//! A small server of its own for each test: the real frame and listener around routes that show
//! what the frame does.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Extension;
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Router, extract::State};
use futures_util::FutureExt as _;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use ostler_core::id::DeviceId;
use ostler_server::config::{Config, Limits, Tls};
use ostler_server::edge::{OsEntropy, SystemClock};
use ostler_server::error::ApiError;
use ostler_server::extract::{Form, Json, Path, Query};
use ostler_server::health::Readiness;
use ostler_server::layers::address::ClientAddress;
use ostler_server::layers::rate::RateLimits;
use ostler_server::listen::Listener;
use ostler_server::metrics::Metrics;
use ostler_server::openapi;
use ostler_server::problem::Problem;
use ostler_server::state::{Frame, ServerState};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::house::idle_app;

pub fn limits() -> Limits {
    Config::load(None, &std::collections::BTreeMap::new()).unwrap().0.limits
}

/// What a test may choose.
pub struct World {
    pub limits: Limits,
    pub trusted_proxies: &'static [&'static str],
    pub readiness: Readiness,
    /// Told by `/hold` when a request has arrived there.
    pub arrived: Arc<Notify>,
    /// Lets the request at `/hold` go on.
    pub release: Arc<Notify>,
    pub stopping: CancellationToken,
}

pub fn world() -> World {
    World {
        limits: limits(),
        trusted_proxies: &[],
        readiness: Readiness::default(),
        arrived: Arc::default(),
        release: Arc::default(),
        stopping: CancellationToken::new(),
    }
}

impl World {
    pub fn state(&self) -> ServerState {
        ServerState::new(self.frame(), idle_app())
    }

    pub fn frame(&self) -> Frame {
        Frame {
            public_url: "https://api.example.com".parse().unwrap(),
            trusted_proxies: self.trusted_proxies.iter().map(|text| text.parse().unwrap()).collect(),
            rates: RateLimits::new(&self.limits),
            limits: self.limits.clone(),
            metrics: Metrics::install(),
            metrics_allowed: vec!["127.0.0.0/8".parse().unwrap()],
            readiness: self.readiness.clone(),
            origin_registered: Arc::new(|origin| async move { origin == "https://app.example.com" }.boxed()),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(OsEntropy),
            stopping: self.stopping.clone(),
        }
    }

    pub fn router(self) -> Router {
        let state = self.state();
        let (arrived, release) = (self.arrived, self.release);
        let hold = get(async move || {
            arrived.notify_one();
            release.notified().await;
            "held"
        });
        let routes = Router::new()
            .route("/v1/echo", post(echo))
            .route("/v1/form", post(form))
            .route("/v1/query", get(query))
            .route("/v1/things/{id}", get(thing))
            .route("/v1/address", get(address))
            .route(
                "/v1/panic",
                get(async || -> &'static str { panic!("secret of the house") }),
            )
            .route(
                "/v1/fault",
                get(async || -> Result<(), ApiError> { Err(Problem::internal("secret cause").into()) }),
            )
            .route("/large", get(async || "x".repeat(64 << 20)))
            .route("/hold", hold)
            .merge(openapi::routes(&state));
        openapi::framed(routes, state)
    }

    /// On a free port of loopback.
    pub async fn listening(self) -> Served {
        self.serving(None).await
    }

    pub async fn serving(self, tls: Option<&Tls>) -> Served {
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = Listener::bind(&[anywhere], tls, (&self.limits).into()).await.unwrap();
        let address = listener.addresses().unwrap()[0];
        let stopping = self.stopping.clone();
        let (arrived, release) = (self.arrived.clone(), self.release.clone());
        let task = tokio::spawn(listener.serve(self.router(), stopping.clone()));
        Served {
            address,
            arrived,
            release,
            stopping,
            task,
        }
    }
}

pub struct Served {
    pub address: SocketAddr,
    pub arrived: Arc<Notify>,
    pub release: Arc<Notify>,
    pub stopping: CancellationToken,
    pub task: JoinHandle<()>,
}

/// An answer, read whole.
pub struct Answer {
    pub status: StatusCode,
    pub headers: http::HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("{}", self.text))
    }

    /// The parts of a problem document that do not change from run to run.
    pub fn problem(&self) -> String {
        assert_eq!(
            self.headers["content-type"], "application/problem+json",
            "{}",
            self.text
        );
        let document = self.json();
        assert_eq!(document["status"], self.status.as_u16());
        assert_eq!(document["request_id"], self.headers["x-request-id"].to_str().unwrap());
        let errors = document["errors"].as_array().into_iter().flatten();
        let errors: String = errors
            .map(|error| {
                let place = error["pointer"].as_str().or(error["parameter"].as_str()).unwrap();
                format!(" [{place}: {}]", error["rule"].as_str().unwrap())
            })
            .collect();
        format!(
            "{} {}{errors}",
            self.status.as_u16(),
            document["code"].as_str().unwrap()
        )
    }
}

pub async fn ask(router: &Router, request: Request<Body>) -> Answer {
    let response: Response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    Answer {
        status: parts.status,
        headers: parts.headers,
        text: String::from_utf8(bytes.to_vec()).unwrap(),
    }
}

pub async fn get_path(router: &Router, path: &str) -> Answer {
    ask(router, Request::get(path).body(Body::empty()).unwrap()).await
}

/// Long enough for a slow machine, short enough for a test that fails.
pub async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future)
        .await
        .expect("it happens soon")
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Echo {
    argument: String,
    count: Option<u8>,
}

async fn echo(Json(echo): Json<Echo>) -> Json<Echo> {
    Json(echo)
}

async fn form(Form(echo): Form<Echo>) -> Json<Echo> {
    Json(echo)
}

async fn query(Query(echo): Query<Echo>) -> Json<Echo> {
    Json(echo)
}

async fn thing(State(_): State<ServerState>, Path(_): Path<DeviceId>) -> Problem {
    Problem::not_found()
}

async fn address(Extension(address): Extension<ClientAddress>) -> Json<[IpAddr; 2]> {
    Json([address.ip(), address.counted()])
}
