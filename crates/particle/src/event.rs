//! From an event as Particle writes it, at either door, to an event as Ostler knows it.

use ostler_core::event::CloudEvent;
use ostler_core::time::Timestamp;
use serde_json::Value;

use crate::sse::SseEvent;
use crate::wire;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EventFault {
    #[error("is not JSON with the members of an event")]
    Shape,
    #[error("has no readable `published_at`")]
    PublishedAt,
}

/// The name is in the `event:` line, everything else in `data:` (§8.1).
pub(crate) fn from_stream(event: SseEvent) -> Result<CloudEvent, EventFault> {
    let wire: wire::StreamedEvent = serde_json::from_str(&event.data).map_err(|_| EventFault::Shape)?;
    Ok(CloudEvent {
        source: wire.coreid.and_then(|id| id.parse().ok()),
        name: event.name,
        data: text(wire.data),
        published_at: published_at(&wire.published_at)?,
        vendor_event_id: None,
    })
}

pub(crate) fn from_hook(wire: wire::HookedEvent) -> Result<CloudEvent, EventFault> {
    Ok(CloudEvent {
        source: wire.coreid.and_then(|id| id.parse().ok()),
        name: wire.event,
        data: text(wire.data),
        published_at: published_at(&wire.published_at)?,
        vendor_event_id: wire.id.filter(|id| !id.is_empty()),
    })
}

/// `data` is a string or null; anything else is kept as the JSON text that it is.
fn text(data: Option<Value>) -> Option<String> {
    match data {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text),
        Some(value @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_))) => {
            Some(value.to_string())
        }
    }
}

fn published_at(text: &str) -> Result<Timestamp, EventFault> {
    text.parse().map_err(|_| EventFault::PublishedAt)
}
