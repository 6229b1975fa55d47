//! What devices said, in answers: the shapes that the operations on history share.
//!
//! The customer's operations and the maker's differ in their address and scope only.

use ostler_app::history::HistoryError;
use ostler_core::interval::{Interval, IntervalSet};
use ostler_core::mapping::PointValue;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{events, history, ingest, latest, registrations};
use crate::error::{Refusal, from_store};
use crate::problem::{Code, Problem, without_token_shapes};
use crate::state::ServerState;

pub fn router() -> OpenApiRouter<ServerState> {
    OpenApiRouter::new()
        .routes(routes!(ingest::ingest_particle))
        .routes(routes!(registrations::register_device))
        .routes(routes!(latest::get_latest))
        .routes(routes!(latest::get_fleet_latest))
        .routes(routes!(history::get_history))
        .routes(routes!(history::get_fleet_history))
        .routes(routes!(events::list_events))
        .routes(routes!(events::list_fleet_events))
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct IntervalResponse {
    #[schema(example = "2030-05-01T10:00:00.000Z")]
    from: String,
    /// Exclusive.
    #[schema(example = "2030-05-01T11:00:00.000Z")]
    to: String,
}

impl From<&Interval> for IntervalResponse {
    fn from(interval: &Interval) -> Self {
        Self {
            from: interval.from.to_string(),
            to: interval.to.to_string(),
        }
    }
}

pub(super) fn intervals(set: &IntervalSet) -> Vec<IntervalResponse> {
    set.as_slice().iter().map(IntervalResponse::from).collect()
}

/// A value as JSON.
pub(super) fn value(value: &PointValue) -> Value {
    match value {
        PointValue::Number(value) => number(*value),
        PointValue::Integer(value) => json!(value),
        PointValue::Boolean(value) => json!(value),
        PointValue::Text(value) => json!(without_token_shapes(value)),
        PointValue::Location { lat, lon } => json!({ "lat": lat, "lon": lon }),
    }
}

/// Whole numbers without a fraction: an integer reads as one whatever it was stored as.
pub(super) fn number(value: f64) -> Value {
    const EXACT_MAX: f64 = 9_007_199_254_740_991.0;
    if value.fract() == 0.0 && value.abs() <= EXACT_MAX {
        json!(value as i64)
    } else {
        json!(value)
    }
}

impl Refusal for HistoryError {
    fn problem(self) -> Problem {
        match self {
            Self::NotFound => Problem::not_found(),
            Self::KeyNotGranted => Problem::new(Code::FunctionNotGranted)
                .detail("The grant on this device does not contain the key, or the product does not declare it."),
            Self::EventsNotGranted => Problem::new(Code::FunctionNotGranted)
                .detail("Raw events hold everything that the device says; only a grant for all keys shows them."),
            Self::NotANumber => {
                Problem::invalid_parameter("bucket", "must be absent for a key that is neither number nor integer")
            }
            Self::Store(error) => from_store(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_as_they_were_declared() {
        for (stored, expected) in [
            (PointValue::Number(21.0), "21"),
            (PointValue::Number(21.5), "21.5"),
            (PointValue::Number(-0.25), "-0.25"),
            (PointValue::Number(1e290), "1e+290"),
            (PointValue::Boolean(true), "true"),
            (PointValue::Text("on".into()), "\"on\""),
            (
                PointValue::Location { lat: 47.5, lon: 8.0 },
                r#"{"lat":47.5,"lon":8.0}"#,
            ),
        ] {
            assert_eq!(value(&stored).to_string(), expected);
        }
    }
}
