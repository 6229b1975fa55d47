//! What devices say, from two doors into one durable path.
//!
//! The cloud's webhook knocks with a secret and is told yes only once everything it brought is
//! durable; the event stream is read as fast as it can be made durable. Both judge an event alike:
//! only a device of the door's product stores points, changes presence or settles a command. How
//! the vendor spells its bodies is the adapter's business; events arrive here parsed.

mod complete;
mod doors;
mod follow;
mod judge;
mod registration;
mod reject;
mod take;

pub use complete::HEARTBEAT_EVENT;
pub use doors::{DoorClosed, OpenDoor};
pub use registration::{Registered, RegistrationError};
pub use take::{Delivery, DeliveryError};

use crate::ingest::complete::HookHours;
use crate::ingest::doors::Doors;
use crate::ingest::registration::FailureBudgets;

/// What the doors remember between two deliveries.
#[derive(Default)]
pub(crate) struct Ingest {
    doors: Doors,
    hook_hours: HookHours,
    failures: FailureBudgets,
}
