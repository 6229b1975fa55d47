//! How the commands stand that this process has recorded and not settled yet.
//!
//! On SQLite every intent and every outcome passes the writer, so it knows without asking whether an
//! outcome may be recorded. What it does not know, the database is asked.

use ostler_core::command::CommandStatus;
use ostler_core::id::CommandId;

use super::batch::{Answers, Batch};
use crate::id_map::IdMap;
use crate::ledger::{IntentRecorded, OutcomeRecorded};

#[derive(Debug, Default)]
pub(super) struct InFlight(IdMap<CommandId, CommandStatus>);

impl InFlight {
    pub fn standing(&self, id: CommandId) -> Option<CommandStatus> {
        self.0.get(&id).copied()
    }

    /// The batch is durable.
    pub fn follow(&mut self, batch: &Batch, answers: &Answers) {
        for (asked, answer) in batch.intents.iter().zip(&answers.intents) {
            match answer {
                IntentRecorded::Recorded => {
                    self.0.insert(asked.entry.id, CommandStatus::Accepted);
                }
                IntentRecorded::KeyTaken(_) | IntentRecorded::CoolingDown { .. } => {}
            }
        }
        for (asked, answer) in batch.outcomes.iter().zip(&answers.outcomes) {
            match (answer, asked.entry.state.status()) {
                (OutcomeRecorded::Recorded, CommandStatus::Sent) => {
                    self.0.insert(asked.entry.command_id, CommandStatus::Sent);
                }
                // Settled, by this or before. An answer that comes late is for the database to judge.
                (OutcomeRecorded::Recorded | OutcomeRecorded::SettledBefore, _) => {
                    self.0.remove(&asked.entry.command_id);
                }
            }
        }
    }

    /// Nobody can say what became of a batch.
    pub fn forget(&mut self, batch: &Batch) {
        for asked in &batch.intents {
            self.0.remove(&asked.entry.id);
        }
        for asked in &batch.outcomes {
            self.0.remove(&asked.entry.command_id);
        }
    }
}
