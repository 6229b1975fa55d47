//! What the ingest hands to the writer: everything that one delivery brought.

use std::fmt;
use std::str::FromStr;

use ostler_core::event::EventIdentity;
use ostler_core::id::{CloudDeviceId, DeviceId, EventId, ProductId, RejectedEventId};
use ostler_core::mapping::{Point, TimeSource};
use ostler_core::time::Timestamp;

use crate::devices::Heard;

/// By which way an event came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Door {
    /// The cloud's webhook.
    Hook,
    /// The product's event stream.
    Stream,
}

/// Why something that came in was not stored as an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RejectionReason {
    /// The body could not be read at all.
    Malformed,
    /// The cloud itself, or somebody through its API, published it: no device of the product.
    NoDevice,
    /// A device id that is not known here, or belongs to another product.
    UnknownDevice,
    /// A registration whose credential was not the device's.
    WrongCredential,
}

macro_rules! words {
    ($name:ident { $($variant:ident => $word:literal),+ $(,)? }) => {
        impl $name {
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = InvalidWord;

            fn from_str(text: &str) -> Result<Self, InvalidWord> {
                Self::ALL.iter().copied().find(|known| known.as_str() == text).ok_or(InvalidWord)
            }
        }
    };
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a word that this version knows")]
pub struct InvalidWord;

words!(Door { Hook => "hook", Stream => "stream" });
words!(RejectionReason {
    Malformed => "malformed",
    NoDevice => "no-device",
    UnknownDevice => "unknown-device",
    WrongCredential => "wrong-credential",
});

/// An event of a known device, scrubbed, with the points that were read out of it.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEvent {
    pub id: EventId,
    pub device_id: DeviceId,
    pub identity: EventIdentity,
    pub name: String,
    pub data: Option<String>,
    pub vendor_event_id: Option<String>,
    pub door: Door,
    pub published_at: Timestamp,
    pub received_at: Timestamp,
    /// Whose clock said so: `time_source`.
    pub time: Timestamp,
    pub time_source: TimeSource,
    pub points: Vec<NewPoint>,
    /// What it says about the device's connection, if anything.
    pub heard: Option<Heard>,
}

/// A point read out of an event. Each mapping of an event may name a time of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct NewPoint {
    pub time: Timestamp,
    pub point: Point,
}

/// Something that is kept for staff to look at, and does nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    pub id: RejectedEventId,
    pub product_id: ProductId,
    pub door: Door,
    pub reason: RejectionReason,
    pub cloud_device_id: Option<CloudDeviceId>,
    pub name: Option<String>,
    pub body: Option<String>,
    pub received_at: Timestamp,
}

/// All that one delivery brought; durable together or not at all.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Arrivals {
    pub events: Vec<NewEvent>,
    pub rejections: Vec<Rejection>,
    /// Whether it matters to the caller which events are new.
    pub fates_matter: bool,
}

impl Arrivals {
    pub fn is_empty(&self) -> bool {
        self.events.is_empty() && self.rejections.is_empty()
    }
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventFate {
    Stored,
    /// Durable. Whether it had come in before shows later; the caller had said that it does not matter.
    Journaled,
    /// It had come in before, by this door or another; nothing was changed.
    KnownBefore,
}
