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
    OfDevice { source: CloudDeviceId, event: CloudEvent },
    /// A device hands in its credential, which is no longer in the event.
    Registration { source: CloudDeviceId, credential: String, event: CloudEvent },
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
            Some(source) => Self::OfDevice { source: source.clone(), event },
        }
    }
}

/// The credential is not for storing, streaming or logging.
fn without_credential(event: CloudEvent) -> CloudEvent {
    if event.name == REGISTRATION_EVENT { CloudEvent { data: None, ..event } } else { event }
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
    pub fn telemetry(&self, event: &CloudEvent, entropy: &dyn Entropy) -> NewEvent {
        let declaration = &self.product.declaration;
        let identity = event.identity();
        let event = without_nul(event.clone()).scrubbed(&declaration.keep);
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
            (name, _) if ["spark/", "particle/", "hook-"].iter().any(|prefix| name.starts_with(prefix)) => return None,
            _ => Presence::Online,
        };
        let last_heard_at = match presence {
            Presence::Online => Some(event.published_at),
            Presence::Offline | Presence::Unknown => None,
        };
        Some(Heard { device_id: self.device_id, presence, at: event.published_at, last_heard_at })
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
    for mapping in declaration.telemetry.iter().filter(|mapping| mapping.event.matches(&event.name)) {
        let mapped = mapping.map(event, received_at);
        own.get_or_insert((mapped.time, mapped.time_source));
        points.extend(mapped.points.into_iter().map(|point| NewPoint { time: mapped.time, point: without_nul_text(point) }));
    }
    let (time, time_source) = own.unwrap_or((event.published_at, TimeSource::Cloud));
    (time, time_source, points)
}

/// PostgreSQL's TEXT cannot hold U+0000, neither as it is nor in JSON.
const NUL: char = '\0';

pub(super) fn without_nul_in(text: String) -> String {
    if text.contains(NUL) { text.replace(NUL, "\u{fffd}") } else { text }
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
        PointValue::Text(text) => Point { value: PointValue::Text(without_nul_in(text)), ..point },
        PointValue::Number(_) | PointValue::Integer(_) | PointValue::Boolean(_) | PointValue::Location { .. } => point,
    }
}
