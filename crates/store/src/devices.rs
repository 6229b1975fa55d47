//! Devices: imported or registered at their first start, named, quarantined, heard of.
//!
//! A device keeps its id whichever cloud it is on. Who may use it is the business of grants.

mod change;
mod enrol;
mod list;
mod presence;

pub use change::Renamed;
pub use enrol::{DeviceImported, DeviceRegistered, NewDevice};
pub use list::DeviceRecord;
pub use presence::Heard;
pub(crate) use presence::{PresenceWord, write_presence};
