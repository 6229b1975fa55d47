//! Refusals by policy, recorded after the caller has been answered.

use ostler_core::command::{CommandState, RefusedBy};
use ostler_core::port::random_bytes;

use super::command::NewCommand;
use super::insert::{CommandRow, insert_commands};
use crate::Store;
use crate::audit::Act;
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

impl Refusal {
    pub(crate) fn row(&self, salt: &[u8; 16]) -> CommandRow {
        let state = CommandState::Refused {
            by: RefusedBy::Policy,
            at: self.command.created_at,
        };
        self.command.row(state, self.rule, salt)
    }

    pub(crate) fn act(&self, salt: &[u8; 16]) -> Act {
        self.command.act("command.refused", self.rule, salt)
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
        .map(|(refusal, salt)| refusal.row(salt))
        .collect();
    insert_commands(tx.link(), &rows).await?;
    for (refusal, salt) in refusals.iter().zip(&salts) {
        tx.audit(refusal.act(salt));
    }
    Ok(())
}
