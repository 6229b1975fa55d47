//! Settling commands by other ways than the answer to their call: the job that gives up, and the
//! events by which a device itself says that it did what was asked.

use std::time::Duration;

use ostler_core::command::{CallOutcome, CommandState};
use ostler_core::contract::{Confirmation, FunctionContract};
use ostler_core::event::{CloudEvent, json_of};
use ostler_core::id::{CommandId, DeviceId};
use ostler_core::interval::Interval;
use ostler_core::product::Product;
use ostler_core::time::Timestamp;
use ostler_store::StoreError;
use ostler_store::{OutcomeRecorded, Settlement};
use serde_json::Value;

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
    ///
    /// It speaks of calls that were made before it was published: an older one, delivered late,
    /// says nothing of them.
    pub(crate) async fn settle_by_event(
        &self,
        device_id: DeviceId,
        product: &Product,
        event: &CloudEvent,
        received_at: Timestamp,
    ) -> Result<usize, StoreError> {
        let mut settled = 0;
        for (contract, confirmation) in confirmations(product, event) {
            let made = Interval::new(event.published_at - confirmation.within, next_after(event.published_at));
            for command_id in self.store.unknown_commands(device_id, &contract.name, made).await? {
                if self.confirm(command_id, received_at).await? == OutcomeRecorded::Recorded {
                    settled += 1;
                }
            }
        }
        Ok(settled)
    }

    /// The same from the other side, once a command has become unknown: a device that acted says so
    /// at once, long before the cloud gives up on its answer, so the event may be here already. One
    /// of the two sees the other, for each writes before it looks.
    pub(crate) async fn settle_by_earlier_event(&self, command_id: CommandId) -> Result<(), StoreError> {
        let Some(command) = self.store.command(command_id).await? else {
            return Ok(());
        };
        let facts = self
            .store
            .facts(None, command.device_id, None, self.clock.instant())
            .await?;
        let product = facts.device.map(|device| device.product);
        let contract = product
            .as_ref()
            .and_then(|product| product.declaration.functions.get(&command.function));
        let Some(confirmation) = contract.and_then(|contract| contract.confirmed_by.as_ref()) else {
            return Ok(());
        };
        let published = Interval::new(command.created_at, next_after(command.created_at + confirmation.within));
        let events = self
            .store
            .events_named(command.device_id, &confirmation.event, published)
            .await?;
        let confirming = events
            .iter()
            .find(|event| says(confirmation, &json_of(event.data.as_deref())));
        if let Some(event) = confirming {
            self.confirm(command_id, event.received_at).await?;
        }
        Ok(())
    }

    /// The device acted; what it returned is not known, and will not be.
    async fn confirm(&self, command_id: CommandId, at: Timestamp) -> Result<OutcomeRecorded, StoreError> {
        let state = CommandState::Answered { return_value: None, at };
        self.write_outcome(Settlement {
            command_id,
            state,
            sent_at: None,
            at,
        })
        .await
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
        .filter(|(_, confirmation)| confirmation.event == event.name && says(confirmation, &event.json()))
}

fn says(confirmation: &Confirmation, data: &Value) -> bool {
    data.pointer(&confirmation.pointer) == Some(&confirmation.equals)
}

/// Intervals are half-open; what happened in the same millisecond counts.
fn next_after(at: Timestamp) -> Timestamp {
    at + Duration::from_millis(1)
}
