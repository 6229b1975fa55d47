//! What the clients were told, in order. The promises are held against it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use ostler_core::command::{CommandState, RefusedBy};
use ostler_core::id::{CommandId, DeviceId, GrantId};
use ostler_core::time::Timestamp;

/// What became of one call, as its caller was told.
#[derive(Debug, Clone)]
pub enum CallTold {
    Command {
        id: CommandId,
        state: CommandState,
    },
    Denied,
    InFlight,
    /// No answer that says anything.
    Failed(String),
}

#[derive(Debug, Clone)]
pub struct Call {
    pub who: usize,
    pub device: usize,
    pub argument: String,
    pub key: Option<String>,
    pub told: CallTold,
}

/// The end of a grant that was acknowledged.
#[derive(Debug, Clone)]
pub struct End {
    pub grant_id: GrantId,
    pub acknowledged: u64,
    pub in_flight: Vec<CommandId>,
}

/// An event with a number of its own.
#[derive(Debug, Clone)]
pub struct Said {
    pub number: u64,
    pub device: usize,
    pub published_at: Timestamp,
}

#[derive(Default)]
pub struct Witness {
    order: AtomicU64,
    numbers: AtomicU64,
    pub calls: Mutex<Vec<Call>>,
    pub ends: Mutex<Vec<End>>,
    /// At the hook's door, as far as the delivery was acknowledged.
    pub delivered: Mutex<Vec<Said>>,
    /// At the hook's door, without an acknowledgement: to be delivered again.
    pub undelivered: Mutex<Vec<Said>>,
    pub streamed: Mutex<Vec<Said>>,
    pub registered: Mutex<Vec<(bool, DeviceId)>>,
    failures: AtomicU64,
}

impl Witness {
    /// The place of what happens now among all that happens.
    pub fn next(&self) -> u64 {
        self.order.fetch_add(1, Ordering::SeqCst)
    }

    /// For arguments and events that nobody else has.
    pub fn number(&self) -> u64 {
        1 + self.numbers.fetch_add(1, Ordering::SeqCst)
    }

    /// Something was answered with an error.
    pub fn failed(&self) {
        self.failures.fetch_add(1, Ordering::SeqCst);
    }

    pub fn told(&self, call: Call) {
        if let CallTold::Failed(error) = &call.told {
            assert!(!error.is_empty());
            self.failed();
        }
        self.calls.lock().unwrap().push(call);
    }

    /// What must be so when no fault was met: whoever called was told what became of it.
    pub fn assert_all_went_well(&self) {
        assert_eq!(
            self.failures.load(Ordering::SeqCst),
            0,
            "something failed without a fault"
        );
        for call in &*self.calls.lock().unwrap() {
            let well = match &call.told {
                CallTold::Command { state, .. } => matches!(
                    state,
                    CommandState::Answered { .. }
                        | CommandState::Accepted
                        | CommandState::Refused {
                            by: RefusedBy::Policy,
                            ..
                        }
                ),
                CallTold::Denied | CallTold::InFlight => true,
                CallTold::Failed(_) => false,
            };
            assert!(well, "{call:?}");
        }
    }
}
