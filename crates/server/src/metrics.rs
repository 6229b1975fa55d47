//! Metrics: one recorder for the process, written by the `metrics` macros anywhere, rendered at
//! `/metrics` for those who may look (Prometheus text format).

use std::sync::OnceLock;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use http::{Method, StatusCode};
use metrics::{counter, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use crate::layers::address::ClientAddress;
use crate::problem::Problem;
use crate::state::ServerState;

const SECONDS_BUCKETS: &[f64] = &[
    0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
];

/// Proof that the recorder is installed.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

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
                Self(handle)
            })
            .clone()
    }

    pub(crate) fn request(&self, method: &Method, route: &str, status: StatusCode, duration: Duration) {
        let labels = [
            ("method", method.as_str().to_owned()),
            ("route", route.to_owned()),
            ("status", status.as_str().to_owned()),
        ];
        counter!("ostler_http_requests_total", &labels).increment(1);
        histogram!("ostler_http_request_seconds", &labels[..2]).record(duration);
    }

    /// Moves what was recorded into its buckets; without it, memory grows between two scrapes.
    pub fn upkeep(&self) {
        self.0.run_upkeep();
    }

    pub fn render(&self) -> String {
        self.0.render()
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
