//! An event as a device cloud delivered it, through whichever door, and its identity.

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::id::CloudDeviceId;
use crate::time::Timestamp;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloudEvent {
    /// `None` for what the cloud itself, or somebody through its API, published: such an event
    /// never registers a device, sets state or settles a command.
    pub source: Option<CloudDeviceId>,
    pub name: String,
    pub data: Option<String>,
    pub published_at: Timestamp,
    /// Stored, not used: it differs between the doors and is missing at some.
    pub vendor_event_id: Option<String>,
}

/// SHA-256 over (cloud device id, name, `published_at`, SHA-256 of data): the same at every
/// door, so that a redelivery is stored once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EventIdentity([u8; 32]);

impl EventIdentity {
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// The name under which a device hands in its registration.
pub const REGISTRATION_EVENT: &str = "ostler/register";

/// The vendor's presence event, `online` or `offline` (particle-cloud-api.md §8.4).
pub const STATUS_EVENT: &str = "spark/status";

/// Where others were, and secrets of the device: dropped at ingest unless the product asks.
pub const DROPPED_MEMBERS: [&str; 4] = ["towers", "wps", "last_ip_address", "mobile_secret"];

impl CloudEvent {
    pub fn identity(&self) -> EventIdentity {
        let source = self.source.as_ref().map_or("", CloudDeviceId::as_str);
        let mut hash = Sha256::new();
        for part in [source.as_bytes(), self.name.as_bytes()] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.update(self.published_at.millis().to_be_bytes());
        hash.update(Sha256::digest(self.data.as_deref().unwrap_or("").as_bytes()));
        EventIdentity(hash.finalize().into())
    }

    /// The data as JSON; text that is none becomes a JSON string.
    pub fn json(&self) -> Value {
        json_of(self.data.as_deref())
    }

    /// Drops what must not be stored. The identity is taken before, so that both doors agree.
    #[must_use]
    pub fn scrubbed(mut self, keep: &[String]) -> Self {
        let dropped = |member: &str| DROPPED_MEMBERS.contains(&member) && !keep.iter().any(|kept| kept == member);
        let Some(text) = &self.data else { return self };
        if !DROPPED_MEMBERS
            .iter()
            .any(|member| dropped(member) && text.contains(member))
        {
            return self;
        }
        if let Ok(mut value) = serde_json::from_str(text) {
            drop_members(&mut value, &dropped);
            self.data = Some(value.to_string());
        }
        self
    }
}

/// An event's data as JSON, also of one that was read back; text that is none becomes a JSON string.
pub fn json_of(data: Option<&str>) -> Value {
    let text = data.unwrap_or("");
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

/// serde_json reads at most 128 levels, so this recursion is bounded.
fn drop_members(value: &mut Value, dropped: &impl Fn(&str) -> bool) {
    match value {
        Value::Object(members) => {
            members.retain(|member, _| !dropped(member));
            members.values_mut().for_each(|member| drop_members(member, dropped));
        }
        Value::Array(elements) => {
            elements.iter_mut().for_each(|element| drop_members(element, dropped));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &str, data: Option<&str>) -> CloudEvent {
        CloudEvent {
            source: Some("e00fce68a1b2c3d4e5f60718".parse().unwrap()),
            name: name.into(),
            data: data.map(Into::into),
            published_at: Timestamp::from_millis(1),
            vendor_event_id: None,
        }
    }

    #[test]
    fn identity_tells_events_apart_and_ignores_the_vendors_id() {
        let first = event("t/state", Some("1"));
        let mut again = first.clone();
        again.vendor_event_id = Some("another".into());
        assert_eq!(first.identity(), again.identity());
        assert_ne!(first.identity(), event("t/stat", Some("e1")).identity());
        assert_ne!(first.identity(), event("t/state", Some("2")).identity());
        assert_ne!(
            first.identity(),
            CloudEvent {
                source: None,
                ..first.clone()
            }
            .identity()
        );
        assert_ne!(
            first.identity(),
            CloudEvent {
                published_at: Timestamp::from_millis(2),
                ..first.clone()
            }
            .identity()
        );
    }

    #[test]
    fn surroundings_are_dropped_unless_asked_for() {
        let data = r#"{"loc":{"lat":1.5,"wps":[{"bssid":"x"}]},"towers":[{"cid":1}]}"#;
        let scrubbed = event("loc", Some(data)).scrubbed(&[]);
        assert_eq!(scrubbed.data.as_deref(), Some(r#"{"loc":{"lat":1.5}}"#));
        let kept = event("loc", Some(data)).scrubbed(&["wps".into()]);
        assert!(kept.data.unwrap().contains("bssid"));
        let plain = event("t", Some("towers of text")).scrubbed(&[]);
        assert_eq!(plain.data.as_deref(), Some("towers of text"));
    }
}
