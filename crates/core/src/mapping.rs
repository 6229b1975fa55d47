//! How a product's events become telemetry: event name → keys, types, units, and whose clock.

use std::time::Duration;

use serde_json::Value;

use crate::event::CloudEvent;
use crate::name::TelemetryKey;
use crate::time::Timestamp;

#[derive(Debug, Clone)]
pub struct EventMapping {
    pub event: EventMatcher,
    pub time: Option<TimeMapping>,
    pub keys: Vec<KeyMapping>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventMatcher {
    Exact(String),
    Prefix(String),
}

impl EventMatcher {
    pub fn matches(&self, name: &str) -> bool {
        match self {
            Self::Exact(exact) => name == exact,
            Self::Prefix(prefix) => name.starts_with(prefix.as_str()),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeMapping {
    pub pointer: String,
    pub unit: TimeUnit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeUnit {
    Seconds,
    Milliseconds,
    Rfc3339,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyMapping {
    pub key: TelemetryKey,
    pub pointer: String,
    pub kind: ValueKind,
    pub unit: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueKind {
    Number,
    Integer,
    Boolean,
    Text,
    Location,
}

impl ValueKind {
    pub const ALL: [Self; 5] = [Self::Number, Self::Integer, Self::Boolean, Self::Text, Self::Location];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Integer => "integer",
            Self::Boolean => "boolean",
            Self::Text => "text",
            Self::Location => "location",
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum PointValue {
    Number(f64),
    Integer(i64),
    Boolean(bool),
    Text(String),
    Location { lat: f64, lon: f64 },
}

#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    pub key: TelemetryKey,
    pub value: PointValue,
}

/// Whose clock named the time of an event's points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeSource {
    Device,
    Cloud,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Mapped {
    pub time: Timestamp,
    pub time_source: TimeSource,
    pub points: Vec<Point>,
}

/// A device's clock is believed within these bounds around arrival (design.md §6).
const BEHIND_MAX: Duration = Duration::from_secs(90 * 24 * 60 * 60);
const AHEAD_MAX: Duration = Duration::from_secs(5 * 60);

/// The longest text that becomes a point.
const TEXT_BYTES_MAX: usize = 1024;

impl EventMapping {
    /// Turns one event into points. What a pointer does not find, or finds with another type,
    /// yields no point: the raw event is kept either way.
    pub fn map(&self, event: &CloudEvent, received_at: Timestamp) -> Mapped {
        let data = event.json();
        let device_time = self
            .time
            .as_ref()
            .and_then(|mapping| mapping.read(&data))
            .filter(|time| received_at - BEHIND_MAX <= *time && *time <= received_at + AHEAD_MAX);
        let (time, time_source) = match device_time {
            Some(time) => (time, TimeSource::Device),
            None => (event.published_at, TimeSource::Cloud),
        };
        let points = self.keys.iter().filter_map(|mapping| mapping.read(&data)).collect();
        Mapped {
            time,
            time_source,
            points,
        }
    }
}

impl TimeMapping {
    fn read(&self, data: &Value) -> Option<Timestamp> {
        let value = data.pointer(&self.pointer)?;
        let millis = match self.unit {
            TimeUnit::Rfc3339 => return value.as_str()?.parse().ok(),
            TimeUnit::Seconds => value.as_f64()? * 1000.0,
            TimeUnit::Milliseconds => value.as_f64()?,
        };
        let in_range = millis.is_finite() && millis.abs() < 1e15;
        in_range.then(|| Timestamp::from_millis(millis.round() as i64))
    }
}

impl KeyMapping {
    fn read(&self, data: &Value) -> Option<Point> {
        let value = self.kind.read(data.pointer(&self.pointer)?)?;
        Some(Point {
            key: self.key.clone(),
            value,
        })
    }
}

impl ValueKind {
    fn read(self, value: &Value) -> Option<PointValue> {
        match self {
            Self::Number => number(value).map(PointValue::Number),
            Self::Integer => integer(value).map(PointValue::Integer),
            Self::Boolean => boolean(value).map(PointValue::Boolean),
            Self::Text => text(value).map(PointValue::Text),
            Self::Location => location(value),
        }
    }
}

/// No measurement is larger, and no sum of so many points leaves what a double can hold (PostgreSQL
/// refuses to add beyond).
const NUMBER_MAX: f64 = 1e290;

/// Firmware often sends numbers as text: particle's `data` is a string to begin with.
fn number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    number.filter(|number: &f64| number.abs() <= NUMBER_MAX)
}

/// The integers that a JSON number, and the chart that draws it, hold exactly.
const INTEGER_MAX: f64 = 9_007_199_254_740_991.0;

fn integer(value: &Value) -> Option<i64> {
    let number = number(value)?;
    (number.fract() == 0.0 && number.abs() <= INTEGER_MAX).then_some(number as i64)
}

fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(value) => Some(*value),
        Value::String(text) => match text.as_str() {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        },
        Value::Number(number) => match number.as_i64() {
            Some(1) => Some(true),
            Some(0) => Some(false),
            Some(_) | None => None,
        },
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn text(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(value) => value.to_string(),
        Value::Null | Value::Array(_) | Value::Object(_) => return None,
    };
    (text.len() <= TEXT_BYTES_MAX).then_some(text)
}

/// An object with `lat` and `lon`, as Particle's tracker publishes it (§11.1 of the reference).
/// Without a fix both are missing.
fn location(value: &Value) -> Option<PointValue> {
    let lat = number(value.get("lat")?)?;
    let lon = number(value.get("lon")?)?;
    let on_earth = (-90.0..=90.0).contains(&lat) && (-180.0..=180.0).contains(&lon);
    on_earth.then_some(PointValue::Location { lat, lon })
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECEIVED: Timestamp = Timestamp::from_millis(1_900_000_010_000);
    const PUBLISHED: Timestamp = Timestamp::from_millis(1_900_000_009_000);

    fn event(data: &str) -> CloudEvent {
        CloudEvent {
            source: Some("e00fce68a1b2c3d4e5f60718".parse().unwrap()),
            name: "loc".into(),
            data: Some(data.into()),
            published_at: PUBLISHED,
            vendor_event_id: None,
        }
    }

    fn key(key: &str, pointer: &str, kind: ValueKind) -> KeyMapping {
        KeyMapping {
            key: key.parse().unwrap(),
            pointer: pointer.into(),
            kind,
            unit: None,
        }
    }

    fn mapping(keys: Vec<KeyMapping>) -> EventMapping {
        EventMapping {
            event: EventMatcher::Exact("loc".into()),
            time: Some(TimeMapping {
                pointer: "/time".into(),
                unit: TimeUnit::Seconds,
            }),
            keys,
        }
    }

    #[test]
    fn a_location_event_becomes_points_at_the_devices_time() {
        let mapped = mapping(vec![
            key("position", "/loc", ValueKind::Location),
            key("speed", "/loc/spd", ValueKind::Number),
            key("battery", "/loc/batt", ValueKind::Integer),
        ])
        .map(
            &event(r#"{"time":1900000000,"loc":{"lat":47.5,"lon":8.5,"spd":3.25,"batt":87.5}}"#),
            RECEIVED,
        );
        assert_eq!(mapped.time, Timestamp::from_millis(1_900_000_000_000));
        assert_eq!(mapped.time_source, TimeSource::Device);
        let values: Vec<_> = mapped.points.into_iter().map(|point| point.value).collect();
        assert_eq!(
            values,
            [PointValue::Location { lat: 47.5, lon: 8.5 }, PointValue::Number(3.25)]
        );
    }

    #[test]
    fn an_absurd_device_time_gives_way_to_the_clouds() {
        for time in ["0", "1900000400", "1892000000", "null", "\"x\"", "1e300"] {
            let mapped = mapping(vec![]).map(&event(&format!("{{\"time\":{time}}}")), RECEIVED);
            assert_eq!(
                (mapped.time, mapped.time_source),
                (PUBLISHED, TimeSource::Cloud),
                "{time}"
            );
        }
    }

    #[test]
    fn plain_text_is_the_whole_value() {
        let mapped = mapping(vec![
            key("temperature", "", ValueKind::Number),
            key("text", "", ValueKind::Text),
            key("open", "", ValueKind::Boolean),
        ])
        .map(&event("21.5"), RECEIVED);
        let values: Vec<_> = mapped.points.into_iter().map(|point| point.value).collect();
        assert_eq!(values, [PointValue::Number(21.5), PointValue::Text("21.5".into())]);
    }

    #[test]
    fn what_is_no_measurement_is_no_number() {
        let mapping = mapping(vec![key("temperature", "", ValueKind::Number)]);
        for (data, count) in [
            ("1e290", 1),
            ("1e291", 0),
            ("-1e291", 0),
            ("\"inf\"", 0),
            ("\"NaN\"", 0),
        ] {
            assert_eq!(mapping.map(&event(data), RECEIVED).points.len(), count, "{data}");
        }
    }

    #[test]
    fn a_prefix_matches_what_begins_with_it() {
        let prefix = EventMatcher::Prefix("t/".into());
        assert!(prefix.matches("t/state") && !prefix.matches("state"));
    }
}
