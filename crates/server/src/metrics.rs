//! Metrics: one recorder for the process, written by the `metrics` macros anywhere, rendered at
//! `/metrics` for those who may look (Prometheus text format).

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use http::{Method, StatusCode};
use metrics::{Counter, Histogram, counter, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use crate::layers::address::ClientAddress;
use crate::problem::Problem;
use crate::state::ServerState;

const SECONDS_BUCKETS: &[f64] = &[
    0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
];

/// Proof that the recorder is installed.
#[derive(Clone)]
pub struct Metrics {
    handle: PrometheusHandle,
    requests: Arc<RequestSeries>,
}

impl Metrics {
    /// Installs the process's recorder, or finds the one that is installed (tests share a process).
    pub fn install() -> Self {
        static INSTALLED: OnceLock<Metrics> = OnceLock::new();
        INSTALLED
            .get_or_init(|| {
                let recorder = PrometheusBuilder::new()
                    .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), SECONDS_BUCKETS)
                    .expect("the list of buckets is not empty")
                    .build_recorder();
                let handle = recorder.handle();
                metrics::set_global_recorder(recorder).expect("nobody else installs a recorder");
                describe();
                Self {
                    handle,
                    requests: Arc::default(),
                }
            })
            .clone()
    }

    pub(crate) fn request(&self, method: &Method, route: &str, status: StatusCode, duration: Duration) {
        self.requests.record(method, route, status, duration);
    }

    /// Moves what was recorded into its buckets; without it, memory grows between two scrapes.
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
    }

    pub fn render(&self) -> String {
        self.handle.render()
    }
}

/// The series of requests that have been met. Registered once each: making up the names of a series
/// for every request would cost more than the frame's other work together. Bounded, for routes are
/// templates, methods are known ones and statuses ours.
#[derive(Default)]
struct RequestSeries(RwLock<HashMap<Box<str>, Vec<Series>>>);

struct Series {
    method: Method,
    status: StatusCode,
    total: Counter,
    seconds: Histogram,
}

impl RequestSeries {
    fn record(&self, method: &Method, route: &str, status: StatusCode, duration: Duration) {
        let is_met = |series: &&Series| series.method == *method && series.status == status;
        let met = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(series) = met.get(route).and_then(|all| all.iter().find(is_met)) {
            return series.add(duration);
        }
        drop(met);

        let series = Series::register(method, route, status);
        series.add(duration);
        let mut met = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let all = met.entry(route.into()).or_default();
        // Two may have met it at the same time; both wrote to the same series of the recorder.
        if !all.iter().any(|own| is_met(&own)) {
            all.push(series);
        }
    }
}

impl Series {
    fn register(method: &Method, route: &str, status: StatusCode) -> Self {
        let labels = [
            ("method", method.as_str().to_owned()),
            ("route", route.to_owned()),
            ("status", status.as_str().to_owned()),
        ];
        Self {
            method: method.clone(),
            status,
            total: counter!("ostler_http_requests_total", &labels),
            seconds: histogram!("ostler_http_request_seconds", &labels[..2]),
        }
    }

    fn add(&self, duration: Duration) {
        self.total.increment(1);
        self.seconds.record(duration);
    }
}

fn describe() {
    metrics::describe_counter!(
        "ostler_http_requests_total",
        "Requests answered, by method, route and status"
    );
    metrics::describe_histogram!(
        "ostler_http_request_seconds",
        metrics::Unit::Seconds,
        "Time from a request's head to its answer's head"
    );
    metrics::describe_gauge!("ostler_connections_open", "Connections open now");
    gauge!("ostler_connections_open").set(0.0);
}

/// `GET /metrics`, on the public addresses.
pub async fn metrics(
    State(state): State<ServerState>,
    Extension(address): Extension<ClientAddress>,
) -> Result<Response, Problem> {
    let frame = state.frame();
    if frame
        .metrics_allowed
        .iter()
        .any(|network| network.contains(address.ip()))
    {
        Ok(page(&frame.metrics))
    } else {
        Err(Problem::not_found())
    }
}

/// `GET /metrics`, on the operator's own address: who reaches it may look.
pub async fn metrics_for_operators(State(state): State<ServerState>) -> Response {
    page(&state.frame().metrics)
}

fn page(metrics: &Metrics) -> Response {
    (
        [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        metrics.render(),
    )
        .into_response()
}
