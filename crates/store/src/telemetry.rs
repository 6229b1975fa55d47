//! History: what devices said, as raw events and as points (device, key, time, value).
//!
//! The port is narrow on purpose, so that compressed chunks can take the place of one row per
//! point: append what arrived, read a range, aggregate a range, read the newest. Who may see what
//! is decided elsewhere; here it arrives as the intervals that may be read.

mod append;
mod arrival;
mod buckets;
mod complete;
mod device_no;
mod events;
mod points;
mod rejected;
mod source;

pub use arrival::{Arrivals, Door, EventFate, NewEvent, NewPoint, Rejection, RejectionReason};
pub use buckets::Bucket;
pub use events::{EventCursor, StoredEvent};
pub use points::{LatestPoint, StoredPoint};
pub use rejected::{REJECTED_EVENTS_MAX, RejectedEvent};
pub use source::{EventSource, IngestDoor};

pub(crate) use append::{ArrivedRows, EventRow, write_arrivals, write_events};
