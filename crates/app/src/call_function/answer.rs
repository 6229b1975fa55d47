//! What the caller is told of a command.

use std::time::Duration;

use ostler_core::command::CommandState;
use ostler_core::policy::{Denied, Right};
use ostler_core::time::Timestamp;
use ostler_store::{Command, NewCommand};

/// A command in its present state.
#[derive(Debug, Clone)]
pub struct CallAnswer {
    /// Boxed: the answer is handed on from future to future.
    pub command: Box<Command>,
    /// When the cloud's limit lets the next call through, as far as it said.
    pub retry_after: Option<Duration>,
    /// Why policy refused after the intent: the right ended while the permit waited.
    pub denied: Option<Denied>,
}

impl CallAnswer {
    pub fn of(command: Box<Command>) -> Self {
        Self {
            command,
            retry_after: None,
            denied: None,
        }
    }
}

/// The ledger's entry as it stands once the intent is durable.
pub(super) fn accepted(intent: &NewCommand) -> Box<Command> {
    let (grant_id, grant_version) = match intent.right {
        Some(Right::Grant { id, version }) => (Some(id), Some(version)),
        Some(Right::Maker) | None => (None, None),
    };
    Box::new(Command {
        id: intent.id,
        product_id: intent.product_id,
        device_id: intent.device_id,
        customer_id: intent.by.customer_id,
        client_id: Some(intent.by.client_id),
        staff_id: intent.by.staff_id,
        grant_id,
        grant_version,
        function: intent.function.clone(),
        argument: Some(intent.argument.clone()),
        rule: intent.right.map_or("", Right::rule).into(),
        reason: intent.reason.clone(),
        state: CommandState::Accepted,
        body_digest: None,
        created_at: intent.created_at,
        sent_at: None,
        settled_at: None,
    })
}

/// The same entry once it is settled.
pub(super) fn settled(
    command: &Command,
    state: CommandState,
    sent_at: Option<Timestamp>,
    at: Timestamp,
) -> Box<Command> {
    Box::new(Command {
        state,
        sent_at,
        settled_at: state.is_settled().then_some(at),
        ..command.clone()
    })
}
