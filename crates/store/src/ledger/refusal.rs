//! Refusals by policy, recorded after the caller has been answered.

use ostler_core::command::{CommandState, RefusedBy};
use ostler_core::port::random_bytes;

use super::command::NewCommand;
use super::insert::insert_commands;
use crate::Store;
use crate::error::StoreError;
use crate::tx::Tx;
use crate::writer::Entry;

/// A call that policy refused, and the rule by which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub command: NewCommand,
    pub rule: &'static str,
}

impl Store {
    /// Batched with whatever is written next. Under overload it is dropped, counted by the caller:
    /// strangers who knock in masses must not push out those who may come in.
    #[must_use]
    pub fn record_refusal(&self, refusal: Refusal) -> bool {
        self.writer.mention(Entry::Refusal(Box::new(refusal)))
    }
}

pub(crate) async fn write_refusals(tx: &mut Tx, refusals: &[Refusal]) -> Result<(), StoreError> {
    if refusals.is_empty() {
        return Ok(());
    }
    let salts: Vec<[u8; 16]> = refusals.iter().map(|_| random_bytes(tx.entropy())).collect();
    let rows: Vec<_> = refusals
        .iter()
        .zip(&salts)
        .map(|(Refusal { command, rule }, salt)| {
            let state = CommandState::Refused {
                by: RefusedBy::Policy,
                at: command.created_at,
            };
            command.row(state, rule, salt)
        })
        .collect();
    insert_commands(tx.link(), &rows).await?;
    for (Refusal { command, rule }, salt) in refusals.iter().zip(&salts) {
        tx.audit(command.act("command.refused", rule, salt));
    }
    Ok(())
}
