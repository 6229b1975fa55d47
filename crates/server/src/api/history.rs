//! Points of one key over a range of time: as they are, page by page, or in buckets.

use axum::extract::State;
use ostler_app::history::{Bucket, RangeQuestion, StoredPoint};
use ostler_core::caller::Caller;
use ostler_core::history::{BucketWidth, InvalidRange};
use ostler_core::id::DeviceId;
use ostler_core::interval::{Interval, IntervalSet};
use ostler_core::name::TelemetryKey;
use ostler_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::telemetry::{IntervalResponse, intervals, number, value};
use crate::access::{FleetRead, HistoryRead, Scoped};
use crate::error::ApiError;
use crate::extract::{Json, Path, Query};
use crate::list::page;
use crate::problem::Problem;
use crate::refusals::{Bearer, Granted, Input, Named};
use crate::state::ServerState;

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct HistoryQuery {
    /// A key that the product declares.
    #[param(value_type = String, example = "temperature")]
    key: TelemetryKey,
    /// RFC 3339; the first instant of the range.
    #[param(value_type = String, example = "2030-05-01T10:00:00Z")]
    from: Timestamp,
    /// RFC 3339; the first instant behind the range.
    #[param(value_type = String, example = "2030-05-01T11:00:00Z")]
    to: Timestamp,
    /// Aggregate into buckets of this width, an ISO 8601 duration in weeks, days, hours, minutes
    /// or seconds. At most 10,000 buckets.
    #[param(example = "PT5M")]
    bucket: Option<String>,
    /// Points or buckets on one page: 1 to 500. If absent, 100 points, or all buckets.
    #[param(minimum = 1, maximum = 500, example = 100)]
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct HistoryResponse {
    #[schema(example = "dev_01h455vb4pex5vsknk084sn02q")]
    device_id: String,
    #[schema(example = "temperature")]
    key: String,
    /// UCUM.
    #[schema(example = "Cel")]
    unit: Option<String>,
    #[serde(flatten)]
    series: Series,
    /// For which parts of the range nothing was missed. What lies outside may have gaps.
    complete: Vec<IntervalResponse>,
    /// `null` on the last page.
    next_cursor: Option<String>,
}

/// Ascending in time. A bucket without points is absent.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Series {
    Points(Vec<PointResponse>),
    Buckets(Vec<BucketResponse>),
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct PointResponse {
    #[schema(example = "2030-05-01T10:00:00.123Z")]
    time: String,
    #[schema(value_type = Value, example = 21.5)]
    value: Value,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct BucketResponse {
    /// Buckets are aligned to 1970 in UTC; the first may begin before `from`, and holds only points
    /// of the range all the same.
    #[schema(example = "2030-05-01T10:00:00.000Z")]
    start: String,
    #[schema(example = 12)]
    count: i64,
    #[schema(value_type = f64, example = 20.5)]
    min: Value,
    #[schema(value_type = f64, example = 22.0)]
    max: Value,
    #[schema(value_type = f64, example = 21.25)]
    mean: Value,
    #[schema(value_type = f64, example = 255.0)]
    sum: Value,
    /// The value at the latest time.
    #[schema(value_type = f64, example = 21.0)]
    last: Value,
}

impl From<&StoredPoint> for PointResponse {
    fn from(point: &StoredPoint) -> Self {
        Self {
            time: point.time.to_string(),
            value: value(&point.value),
        }
    }
}

impl From<&Bucket> for BucketResponse {
    fn from(bucket: &Bucket) -> Self {
        Self {
            start: bucket.start.to_string(),
            count: bucket.count,
            min: number(bucket.min),
            max: number(bucket.max),
            mean: number(bucket.mean()),
            sum: number(bucket.sum),
            last: number(bucket.last),
        }
    }
}

/// History of one key of one of my devices.
///
/// Points with `from` ≤ time < `to`, ascending; with `bucket`, their aggregates. Only what my
/// grants show of the past. A key that is not granted, or not declared, is `function-not-granted`.
#[utoipa::path(get, path = "/v1/devices/{device_id}/history", tag = "history", operation_id = "getHistory",
    params(("device_id" = String, Path, example = "dev_01h455vb4pex5vsknk084sn02q"), HistoryQuery),
    responses((status = 200, body = HistoryResponse), Bearer, Granted, Named, Input),
    security(("bearer" = ["history:read"])))]
pub async fn get_history(
    State(state): State<ServerState>,
    caller: Scoped<HistoryRead>,
    Path(device_id): Path<DeviceId>,
    Query(query): Query<HistoryQuery>,
) -> Result<Json<HistoryResponse>, ApiError> {
    history(&state, &caller, device_id, query).await
}

/// History of one key of a device of the maker's products.
#[utoipa::path(get, path = "/admin/v1/devices/{device_id}/history", tag = "fleet", operation_id = "getFleetHistory",
    params(("device_id" = String, Path, example = "dev_01h455vb4pex5vsknk084sn02q"), HistoryQuery),
    responses((status = 200, body = HistoryResponse), Bearer, Granted, Named, Input),
    security(("bearer" = ["fleet:read"])))]
pub async fn get_fleet_history(
    State(state): State<ServerState>,
    caller: Scoped<FleetRead>,
    Path(device_id): Path<DeviceId>,
    Query(query): Query<HistoryQuery>,
) -> Result<Json<HistoryResponse>, ApiError> {
    history(&state, &caller, device_id, query).await
}

async fn history(
    state: &ServerState,
    caller: &Caller,
    device_id: DeviceId,
    query: HistoryQuery,
) -> Result<Json<HistoryResponse>, ApiError> {
    let range = checked_range(query.from, query.to)?;
    let question = RangeQuestion {
        device_id,
        key: query.key,
        range,
    };
    match query.bucket.as_deref().map(|text| width(text, &range)).transpose()? {
        Some(width) => in_buckets(state, caller, &question, width, query.limit, query.cursor.as_deref()).await,
        None => as_points(state, caller, &question, query.limit, query.cursor.as_deref()).await,
    }
}

async fn as_points(
    state: &ServerState,
    caller: &Caller,
    question: &RangeQuestion,
    limit: Option<u32>,
    cursor: Option<&str>,
) -> Result<Json<HistoryResponse>, ApiError> {
    let answer = state.app().points(caller, question, page(limit, cursor)?).await?;
    let next = answer
        .points
        .items
        .last()
        .filter(|_| answer.points.more)
        .map(|last| last.time);
    let series = Series::Points(answer.points.items.iter().map(PointResponse::from).collect());
    Ok(Json(response(question, answer.unit, series, &answer.complete, next)))
}

/// The work is bounded by the number of buckets, so a page is cut out of the answer.
async fn in_buckets(
    state: &ServerState,
    caller: &Caller,
    question: &RangeQuestion,
    width: BucketWidth,
    limit: Option<u32>,
    cursor: Option<&str>,
) -> Result<Json<HistoryResponse>, ApiError> {
    let after = page::<Timestamp>(limit, cursor)?.after;
    let answer = state.app().buckets(caller, question, width).await?;
    let rest: Vec<&Bucket> = answer
        .buckets
        .iter()
        .filter(|bucket| after.is_none_or(|after| after < bucket.start))
        .collect();
    let shown = limit.map_or(rest.len(), |limit| {
        rest.len().min(usize::try_from(limit).unwrap_or(usize::MAX))
    });
    let next = (shown < rest.len()).then(|| rest[shown - 1].start);
    let series = Series::Buckets(
        rest[..shown]
            .iter()
            .map(|bucket| BucketResponse::from(*bucket))
            .collect(),
    );
    Ok(Json(response(question, answer.unit, series, &answer.complete, next)))
}

fn response(
    question: &RangeQuestion,
    unit: Option<String>,
    series: Series,
    complete: &IntervalSet,
    next: Option<Timestamp>,
) -> HistoryResponse {
    HistoryResponse {
        device_id: question.device_id.to_string(),
        key: question.key.to_string(),
        unit,
        series,
        complete: intervals(complete),
        next_cursor: next.map(|time| time.to_string()),
    }
}

pub(super) fn checked_range(from: Timestamp, to: Timestamp) -> Result<Interval, Problem> {
    if from < to {
        Ok(Interval::new(from, to))
    } else {
        Err(Problem::invalid_parameter("to", "must be after `from`"))
    }
}

fn width(text: &str, range: &Interval) -> Result<BucketWidth, Problem> {
    let width: BucketWidth = text
        .parse()
        .map_err(|rule| Problem::invalid_parameter("bucket", format!("{rule}")))?;
    match width.check(range) {
        Ok(()) => Ok(width),
        Err(rule @ (InvalidRange::Reversed | InvalidRange::TooManyBuckets)) => {
            Err(Problem::invalid_parameter("bucket", rule.to_string()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extract::{Parameters, Unknown};
    use proptest::prelude::*;

    fn asked(text: &str) -> Option<(HistoryQuery, Interval)> {
        let query: HistoryQuery = Parameters::parse(text).ok()?.read(Unknown::Refused).ok()?;
        let range = checked_range(query.from, query.to).ok()?;
        Some((query, range))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn property_no_question_escapes_its_bounds(
            from in "(2030-05-[0-9]{2}T10:00:00(Z|%2B01:00)|\\PC{0,12})",
            to in "(20[0-9]{2}-05-01T10:00:00Z|9999-12-31T23:59:59Z|\\PC{0,12})",
            bucket in prop_oneof![Just(None), "(P[0-9]{0,3}[DWM]|PT[0-9]{1,9}[HMS]|\\PC{0,9})".prop_map(Some)],
            limit in prop_oneof![Just(None), "[0-9-]{0,6}".prop_map(Some)],
            cursor in prop_oneof![Just(None), "(2030-05-01T10:00:00Z|\\PC{0,9})".prop_map(Some)],
        ) {
            let mut text = format!("key=t&from={from}&to={to}");
            for (name, value) in [("bucket", &bucket), ("limit", &limit), ("cursor", &cursor)] {
                if let Some(value) = value {
                    text += &format!("&{name}={value}");
                }
            }
            let Some((query, range)) = asked(&text) else { return Ok(()) };
            prop_assert!(range.from < range.to);
            if let Ok(page) = page::<Timestamp>(query.limit, query.cursor.as_deref()) {
                prop_assert!((1..=500).contains(&page.limit));
            }
            if let Some(width) = query.bucket.as_deref().and_then(|text| width(text, &range).ok()) {
                let count = (range.to.millis() - width.start_of(range.from).millis()) / width.millis();
                prop_assert!(count <= ostler_core::history::BUCKETS_MAX);
            }
        }

        #[test]
        fn property_a_cursor_is_read_as_it_was_written(millis in -62_135_596_800_000..253_402_300_799_999_i64) {
            let time = Timestamp::from_millis(millis);
            let read = page::<Timestamp>(None, Some(&time.to_string())).map(|page| page.after);
            prop_assert_eq!(read.ok(), Some(Some(time)));
        }
    }
}
