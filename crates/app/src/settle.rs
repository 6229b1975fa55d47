//! Settling commands by other ways than the answer to their call: the job that gives up, and the
//! events by which a device itself says that it did what was asked.

use std::time::Duration;

use ostler_core::command::{CallOutcome, CommandState};
use ostler_core::contract::{Confirmation, FunctionContract};
use ostler_core::event::CloudEvent;
use ostler_core::id::DeviceId;
use ostler_core::product::Product;
use ostler_core::time::Timestamp;
use ostler_store::StoreError;
use ostler_store::{OutcomeRecorded, Settlement};

use crate::App;

const OVERDUE_BATCH: u32 = 200;
const LOOK_EVERY: Duration = Duration::from_secs(5);

impl App {
    /// Gives up on commands that nobody will answer any more: they are unknown, never silent (P5).
    pub async fn settle_overdue_commands(&self) -> Result<usize, StoreError> {
        self.settle_without_outcome(self.clock.now()).await
    }

    /// For the start of the only instance: whatever has no outcome was in the hands of a process
    /// that is gone.
    pub async fn settle_orphaned_commands(&self) -> Result<usize, StoreError> {
        self.settle_without_outcome(Timestamp::MAX).await
    }

    /// Runs until it is dropped.
    pub async fn keep_settling_overdue_commands(&self) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            if let Err(error) = self.settle_overdue_commands().await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "overdue commands could not be settled"
                );
            }
        }
    }

    async fn settle_without_outcome(&self, deadline_before: Timestamp) -> Result<usize, StoreError> {
        let mut settled = 0;
        loop {
            let overdue = self.store.overdue_commands(deadline_before, OVERDUE_BATCH).await?;
            if overdue.is_empty() {
                return Ok(settled);
            }
            for command_id in overdue {
                self.settle(command_id, CallOutcome::Unknown, None).await?;
                settled += 1;
            }
        }
    }

    /// An event that a function's contract names as its confirmation settles what is unknown.
    pub(crate) async fn settle_by_event(
        &self,
        device_id: DeviceId,
        product: &Product,
        event: &CloudEvent,
        received_at: Timestamp,
    ) -> Result<usize, StoreError> {
        let mut settled = 0;
        for (contract, confirmation) in confirmations(product, event) {
            let since = received_at - confirmation.within;
            for command_id in self.store.unknown_commands(device_id, &contract.name, since).await? {
                let state = CommandState::Answered {
                    return_value: None,
                    at: received_at,
                };
                let settlement = Settlement {
                    command_id,
                    state,
                    sent_at: None,
                    at: received_at,
                };
                if self.record(settlement).await? == OutcomeRecorded::Recorded {
                    settled += 1;
                }
            }
        }
        Ok(settled)
    }
}

/// Whether an event of this name may confirm what a function of the product did.
pub(crate) fn may_confirm(product: &Product, event_name: &str) -> bool {
    let functions = product.declaration.functions.values();
    functions
        .filter_map(|contract| contract.confirmed_by.as_ref())
        .any(|confirmation| confirmation.event == event_name)
}

/// The functions that this event confirms.
fn confirmations<'p>(
    product: &'p Product,
    event: &CloudEvent,
) -> impl Iterator<Item = (&'p FunctionContract, &'p Confirmation)> {
    product
        .declaration
        .functions
        .values()
        .filter_map(|contract| Some((contract, contract.confirmed_by.as_ref()?)))
        .filter(|(_, confirmation)| {
            confirmation.event == event.name
                && event.json().pointer(&confirmation.pointer) == Some(&confirmation.equals)
        })
}
