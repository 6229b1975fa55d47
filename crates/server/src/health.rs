//! Two questions that supervisors and load balancers ask: is the process up (`/healthz`), and should
//! it get requests (`/readyz`). Why a check failed is logged, not told.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use futures_util::future::{BoxFuture, join_all};
use http::StatusCode;
use serde::Serialize;
use tokio::time::timeout;
use tracing::warn;

use crate::state::ServerState;

/// A part that must work for requests to make sense; the error is for the log.
pub type Check = Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

const CHECK_DEADLINE: Duration = Duration::from_secs(2);

/// The parts that `/readyz` asks.
#[derive(Clone, Default)]
pub struct Readiness {
    checks: Vec<(&'static str, Check)>,
}

impl Readiness {
    #[must_use]
    pub fn with(mut self, part: &'static str, check: Check) -> Self {
        self.checks.push((part, check));
        self
    }

    async fn ask(&self) -> Vec<PartHealth> {
        join_all(self.checks.iter().map(|(part, check)| async move {
            let verdict = timeout(CHECK_DEADLINE, check())
                .await
                .unwrap_or_else(|_| Err("no answer in time".to_owned()));
            if let Err(reason) = &verdict {
                warn!(part, reason, "{part} is not ready: {reason}");
            }
            PartHealth {
                part,
                ok: verdict.is_ok(),
            }
        }))
        .await
    }
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct HealthResponse {
    status: HealthStatus,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    parts: Vec<PartHealth>,
}

#[derive(Debug, Clone, Copy, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
enum HealthStatus {
    Ok,
    NotReady,
    Stopping,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct PartHealth {
    part: &'static str,
    ok: bool,
}

/// Is the process up?
///
/// Says nothing about the database or the device cloud: restarting us would not help them.
#[utoipa::path(get, path = "/healthz", tag = "operation", security(()),
    responses((status = 200, description = "It is", body = HealthResponse, example = json!({"status": "ok"}))))]
pub async fn healthz() -> Json<HealthResponse> {
    Json(HealthResponse {
        status: HealthStatus::Ok,
        parts: Vec::new(),
    })
}

/// Should requests be sent here?
#[utoipa::path(get, path = "/readyz", tag = "operation", security(()),
    responses(
        (status = 200, description = "Yes", body = HealthResponse, example = json!({"status": "ok", "parts": [{"part": "store", "ok": true}]})),
        (status = 503, description = "Stopping, or a part does not work", body = HealthResponse)))]
pub async fn readyz(State(state): State<ServerState>) -> Response {
    let parts = state.frame().readiness.ask().await;
    let status = if state.frame().stopping.is_cancelled() {
        HealthStatus::Stopping
    } else if parts.iter().all(|part| part.ok) {
        HealthStatus::Ok
    } else {
        HealthStatus::NotReady
    };
    let code = match status {
        HealthStatus::Ok => StatusCode::OK,
        HealthStatus::NotReady | HealthStatus::Stopping => StatusCode::SERVICE_UNAVAILABLE,
    };
    (code, Json(HealthResponse { status, parts })).into_response()
}
