//! What an event is to us: telemetry of a device, a registration, our own heartbeat, the cloud's
//! chatter, or something to turn away.
//!
//! A function of the event, its source and the time. It fetches nothing and knows no door's
//! protocol.

use std::sync::Arc;
use std::time::Duration;

use ostler_core::event::{CloudEvent, REGISTRATION_EVENT, STATUS_EVENT};
use ostler_core::id::{CloudDeviceId, DeviceId, EventId};
use ostler_core::mapping::TimeSource;
use ostler_core::policy::Presence;
use ostler_core::port::Entropy;
use ostler_core::product::{Declaration, Product};
use ostler_core::time::Timestamp;
use ostler_store::{Door, Heard, NewEvent, NewPoint};

use super::complete::HEARTBEAT_EVENT;

/// Longer than any name the vendor takes (particle-cloud-api.md §8.2).
const NAME_BYTES_MAX: usize = 256;
/// How far ahead of us the cloud's clock is believed.
const AHEAD_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// What kind of event it is, before anybody asks whose device sent it.
#[derive(Debug, PartialEq)]
pub(super) enum Kind {
    /// From something that claims to be a device.
    OfDevice {
        source: CloudDeviceId,
        event: CloudEvent,
    },
    /// A device hands in its credential, which is no longer in the event.
    Registration {
        source: CloudDeviceId,
        credential: String,
        event: CloudEvent,
    },
    /// Published by ourselves, to see whether the way back is open.
    Heartbeat,
    /// What the cloud reports about its own deliveries.
    Chatter,
    /// Published by the cloud or through its API: no device's word.
    OfNobody(CloudEvent),
    Malformed(CloudEvent),
}

impl Kind {
    pub fn of(event: CloudEvent, received_at: Timestamp) -> Self {
        let plausible = event.name.len() <= NAME_BYTES_MAX
            && Timestamp::from_millis(0) <= event.published_at
            && event.published_at <= received_at + AHEAD_MAX;
        match &event.source {
            None if event.name == HEARTBEAT_EVENT => Self::Heartbeat,
            None if event.name.starts_with("hook-") => Self::Chatter,
            None => Self::OfNobody(without_credential(event)),
            Some(_) if !plausible => Self::Malformed(without_credential(event)),
            Some(source) if event.name == REGISTRATION_EVENT => Self::Registration {
                source: source.clone(),
                credential: event.data.clone().unwrap_or_default(),
                event: without_credential(event),
            },
            Some(source) => Self::OfDevice {
                source: source.clone(),
                event,
            },
        }
    }
}

/// The credential is not for storing, streaming or logging.
fn without_credential(event: CloudEvent) -> CloudEvent {
    if event.name == REGISTRATION_EVENT {
        CloudEvent { data: None, ..event }
    } else {
        event
    }
}

/// Which device of ours an event is from, as far as storing it asks.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    pub device_id: DeviceId,
    pub product: Arc<Product>,
    pub door: Door,
    pub received_at: Timestamp,
}

impl Origin {
    /// The event as it is stored, with the points that the product's declaration reads out of it.
    pub fn telemetry(&self, event: CloudEvent, entropy: &dyn Entropy) -> NewEvent {
        let declaration = &self.product.declaration;
        let identity = event.identity();
        let event = without_nul(event).scrubbed(&declaration.keep);
        let (time, time_source, points) = read_points(declaration, &event, self.received_at);
        NewEvent {
            id: EventId::draw(self.received_at, entropy),
            device_id: self.device_id,
            identity,
            heard: self.heard(&event),
            door: self.door,
            published_at: event.published_at,
            received_at: self.received_at,
            time,
            time_source,
            points,
            name: event.name,
            data: event.data,
            vendor_event_id: event.vendor_event_id,
        }
    }

    /// The cloud's word about the connection, or, for the device's own events, that it was
    /// connected when it spoke. What else the cloud says about a device proves neither.
    fn heard(&self, event: &CloudEvent) -> Option<Heard> {
        let presence = match (event.name.as_str(), event.data.as_deref()) {
            (STATUS_EVENT, Some("online")) => Presence::Online,
            (STATUS_EVENT, Some("offline")) => Presence::Offline,
            (name, _)
                if ["spark/", "particle/", "hook-"]
                    .iter()
                    .any(|prefix| name.starts_with(prefix)) =>
            {
                return None;
            }
            _ => Presence::Online,
        };
        let last_heard_at = match presence {
            Presence::Online => Some(event.published_at),
            Presence::Offline | Presence::Unknown => None,
        };
        Some(Heard {
            device_id: self.device_id,
            presence,
            at: event.published_at,
            last_heard_at,
        })
    }
}

/// Every mapping that the event's name matches contributes; the first names the event's own time.
fn read_points(
    declaration: &Declaration,
    event: &CloudEvent,
    received_at: Timestamp,
) -> (Timestamp, TimeSource, Vec<NewPoint>) {
    let mut own: Option<(Timestamp, TimeSource)> = None;
    let mut points = Vec::new();
    for mapping in declaration
        .telemetry
        .iter()
        .filter(|mapping| mapping.event.matches(&event.name))
    {
        let mapped = mapping.map(event, received_at);
        own.get_or_insert((mapped.time, mapped.time_source));
        points.extend(mapped.points.into_iter().map(|point| NewPoint {
            time: mapped.time,
            point: without_nul_text(point),
        }));
    }
    let (time, time_source) = own.unwrap_or((event.published_at, TimeSource::Cloud));
    (time, time_source, points)
}

/// PostgreSQL's TEXT cannot hold U+0000, neither as it is nor in JSON.
const NUL: char = '\0';

pub(super) fn without_nul_in(text: String) -> String {
    if text.contains(NUL) {
        text.replace(NUL, "\u{fffd}")
    } else {
        text
    }
}

fn without_nul(event: CloudEvent) -> CloudEvent {
    CloudEvent {
        name: without_nul_in(event.name),
        data: event.data.map(without_nul_in),
        vendor_event_id: event.vendor_event_id.map(without_nul_in),
        ..event
    }
}

/// Escaped in JSON data, a NUL comes to light only when a text is read out of it.
fn without_nul_text(point: ostler_core::mapping::Point) -> ostler_core::mapping::Point {
    use ostler_core::mapping::{Point, PointValue};
    match point.value {
        PointValue::Text(text) => Point {
            value: PointValue::Text(without_nul_in(text)),
            ..point
        },
        PointValue::Number(_) | PointValue::Integer(_) | PointValue::Boolean(_) | PointValue::Location { .. } => point,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ostler_core::product_file::ProductFile;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::from_millis(1_900_000_000_000);
    const SOURCE: &str = "e00fce68a1b2c3d4e5f60718";

    struct Zero;
    impl Entropy for Zero {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(0);
        }
    }

    fn event(source: Option<&str>, name: &str, data: &str) -> CloudEvent {
        CloudEvent {
            source: source.map(|id| id.parse().unwrap()),
            name: name.to_owned(),
            data: Some(data.to_owned()),
            published_at: NOW,
            vendor_event_id: None,
        }
    }

    fn origin() -> Origin {
        let file = r#"{"slug": "x", "name": "x", "telemetry": [
            {"event": "t/*", "time": {"pointer": "/at", "unit": "ms"}, "keys": [{"key": "a", "pointer": "/a", "type": "number"}]},
            {"event": "t/b", "keys": [{"key": "b", "pointer": "/b", "type": "text"}]}]}"#;
        Origin {
            device_id: "dev_01h455vb4pex5vsknk084sn02q".parse().unwrap(),
            product: Arc::new(Product {
                id: "prd_01h455vb4pex5vsknk084sn02q".parse().unwrap(),
                version: 1,
                declaration: ProductFile::from_json(file).unwrap().check().unwrap(),
            }),
            door: Door::Hook,
            received_at: NOW,
        }
    }

    #[test]
    fn what_an_event_is_depends_on_its_source_and_name() {
        let kind = |source, name, data| Kind::of(event(source, name, data), NOW);
        assert!(matches!(kind(Some(SOURCE), "t/a", "1"), Kind::OfDevice { .. }));
        assert!(matches!(kind(None, "t/a", "1"), Kind::OfNobody(_)));
        assert_eq!(kind(None, HEARTBEAT_EVENT, ""), Kind::Heartbeat);
        assert!(
            matches!(kind(Some(SOURCE), HEARTBEAT_EVENT, ""), Kind::OfDevice { .. }),
            "a device proves no hook"
        );
        assert_eq!(kind(None, "hook-response/t/0", "ok"), Kind::Chatter);
        assert!(matches!(kind(Some(SOURCE), &"n".repeat(257), ""), Kind::Malformed(_)));
    }

    #[test]
    fn a_credential_leaves_its_event_at_once() {
        let Kind::Registration {
            credential,
            event: kept,
            ..
        } = Kind::of(event(Some(SOURCE), REGISTRATION_EVENT, "secret"), NOW)
        else {
            panic!("a registration")
        };
        assert_eq!((credential.as_str(), kept.data), ("secret", None));
        let Kind::OfNobody(kept) = Kind::of(event(None, REGISTRATION_EVENT, "secret"), NOW) else {
            panic!("nobody's")
        };
        assert_eq!(kept.data, None);
    }

    #[test]
    fn every_matching_mapping_contributes_at_its_own_time() {
        let at = NOW.millis() - 5000;
        let told = origin().telemetry(
            event(Some(SOURCE), "t/b", &format!(r#"{{"at":{at},"a":1,"b":"x"}}"#)),
            &Zero,
        );
        assert_eq!(
            (told.time, told.time_source),
            (Timestamp::from_millis(at), TimeSource::Device)
        );
        let times: Vec<_> = told
            .points
            .iter()
            .map(|new| (new.point.key.as_str(), new.time))
            .collect();
        assert_eq!(times, [("a", Timestamp::from_millis(at)), ("b", NOW)]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn property_no_event_escapes_its_bounds(
            name in prop_oneof![Just("t/b".to_owned()), "(\\PC|\u{0}){0,12}"],
            data in prop_oneof![
                "(\\PC|\u{0}){0,40}",
                (any::<f64>(), "\\PC{0,9}", any::<i64>()).prop_map(|(a, b, at)| serde_json::json!({"a": a, "b": b, "at": at}).to_string()),
                "\\{\"b\":\"(\\\\u0000|[a-z]){0,9}\"\\}",
            ],
            published in prop_oneof![0..4_000_000_000_000_i64, any::<i64>()],
        ) {
            let event = CloudEvent { published_at: Timestamp::from_millis(published), ..event(Some(SOURCE), &name, &data) };
            let Kind::OfDevice { event, .. } = Kind::of(event, NOW) else { return Ok(()) };
            let identity = event.identity();
            let told = origin().telemetry(event, &Zero);
            prop_assert_eq!(told.identity, identity);
            let texts = [Some(&told.name), told.data.as_ref()];
            prop_assert!(texts.into_iter().flatten().all(|text| !text.contains(NUL)));
            prop_assert!(told.time <= NOW + AHEAD_MAX);
            for new in &told.points {
                match &new.point.value {
                    ostler_core::mapping::PointValue::Number(number) => prop_assert!(number.is_finite()),
                    ostler_core::mapping::PointValue::Text(text) => prop_assert!(!text.contains(NUL)),
                    other => prop_assert!(false, "{:?} is not declared", other),
                }
            }
        }
    }
}
