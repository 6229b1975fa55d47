//! A permit: policy said yes once, for one act, and only for a moment.
//!
//! Rights are judged at the moment of sending (P7). The adapter hands the permit in directly
//! before the first byte leaves; past `send_by` it gets [`PermitLapsed`] and nothing may be sent.
//! Whoever ends a right waits until every permit judged before is spent or lapsed (P1).

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use crate::id::{CloudDeviceId, ProductId};
use crate::name::VariableName;
use crate::policy::{FunctionCall, Right};

/// How long after the moment before its facts were read a permit may still be used.
pub const PERMIT_LIFETIME: Duration = Duration::from_millis(250);

/// What both kinds of permit hold.
#[derive(Debug)]
pub(crate) struct Clearance {
    pub product_id: ProductId,
    pub cloud_device_id: CloudDeviceId,
    pub right: Right,
    pub send_by: Instant,
    pub ticket: Arc<Ticket>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the permit lapsed before the request left; rights must be judged again")]
pub struct PermitLapsed;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TicketState {
    /// Judged; nothing has left yet.
    Held,
    /// The request left, or began to.
    Departed,
    /// Nothing left and nothing will.
    Returned,
}

/// How whoever ends a right sees what became of a permit that is in somebody else's hands.
#[derive(Debug, Default)]
pub struct Ticket(AtomicU8);

const HELD: u8 = 0;
const DEPARTED: u8 = 1;
const RETURNED: u8 = 2;

impl Ticket {
    pub fn state(&self) -> TicketState {
        match self.0.load(Ordering::Acquire) {
            HELD => TicketState::Held,
            DEPARTED => TicketState::Departed,
            _ => TicketState::Returned,
        }
    }

    /// The one step from held to departed: a permit is used once.
    pub fn depart(&self) -> bool {
        self.0
            .compare_exchange(HELD, DEPARTED, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// Gives the permit back unused. Too late once it departed.
    pub fn revoke(&self) -> bool {
        self.0
            .compare_exchange(HELD, RETURNED, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }
}

macro_rules! permit_methods {
    ($name:ident) => {
        impl $name {
            pub fn product_id(&self) -> ProductId {
                self.clearance.product_id
            }

            pub fn cloud_device_id(&self) -> &CloudDeviceId {
                &self.clearance.cloud_device_id
            }

            pub fn right(&self) -> Right {
                self.clearance.right
            }

            pub fn send_by(&self) -> Instant {
                self.clearance.send_by
            }

            pub fn ticket(&self) -> &Arc<Ticket> {
                &self.clearance.ticket
            }

            /// Called by the adapter directly before the first byte leaves, and only then.
            pub fn depart(&self, now: Instant) -> Result<(), PermitLapsed> {
                if now < self.clearance.send_by && self.clearance.ticket.depart() {
                    Ok(())
                } else {
                    self.clearance.ticket.revoke();
                    Err(PermitLapsed)
                }
            }
        }

        impl Drop for $name {
            /// A permit that never departed will never depart.
            fn drop(&mut self) {
                self.clearance.ticket.revoke();
            }
        }
    };
}

/// Proof that policy allowed one function call. Only [`crate::policy::authorize_call`] makes one.
#[derive(Debug)]
pub struct CallPermit {
    clearance: Clearance,
    call: FunctionCall,
    cool_down: Duration,
}

impl CallPermit {
    pub(crate) fn new(clearance: Clearance, call: FunctionCall, cool_down: Duration) -> Self {
        Self {
            clearance,
            call,
            cool_down,
        }
    }

    pub fn call(&self) -> &FunctionCall {
        &self.call
    }

    /// For the statement that settles a race between two calls of one function.
    pub fn cool_down(&self) -> Duration {
        self.cool_down
    }
}

/// Proof that policy allowed one variable to be read from the device.
#[derive(Debug)]
pub struct ReadPermit {
    clearance: Clearance,
    variable: VariableName,
}

impl ReadPermit {
    pub(crate) fn new(clearance: Clearance, variable: VariableName) -> Self {
        Self { clearance, variable }
    }

    pub fn variable(&self) -> &VariableName {
        &self.variable
    }
}

permit_methods!(CallPermit);
permit_methods!(ReadPermit);
