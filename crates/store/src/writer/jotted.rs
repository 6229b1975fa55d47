//! A batch that no statement has to judge: one row of the journal, and the answers known beforehand.

use std::sync::Arc;

use ostler_core::command::CommandStatus;
use ostler_core::id::CommandId;
use ostler_core::port::random_bytes;
use ostler_core::time::Timestamp;
use tokio::sync::OwnedMutexGuard;

use super::batch::{Answers, Batch};
use super::in_flight::InFlight;
use crate::audit::{Act, ChainEntry};
use crate::db::{Lane, Shared};
use crate::error::StoreError;
use crate::id_map::IdMap;
use crate::journal::{Filing, Jot, jot};
use crate::ledger::{IntentRecorded, OutcomeRecorded, gives_way};
use crate::telemetry::EventFate;

pub(super) struct Jotted {
    jot: Jot,
    acts: Vec<Act>,
    answers: Answers,
}

impl Jotted {
    /// `None` if the database has to be asked about some of it.
    pub fn of(batch: &Batch, lane: &Lane, shared: &Shared, in_flight: &InFlight) -> Option<Self> {
        if !lane.tail.is_used() || !batch.is_plain(shared) {
            return None;
        }
        let mut jotted = Self {
            jot: Jot {
                commands: Vec::with_capacity(batch.intents.len() + batch.refusals.len()),
                outcomes: Vec::with_capacity(batch.outcomes.len()),
                events: Vec::with_capacity(batch.arrivals.len()),
            },
            acts: Vec::with_capacity(batch.intents.len() + batch.outcomes.len() + batch.refusals.len()),
            answers: Answers {
                intents: vec![IntentRecorded::Recorded; batch.intents.len()],
                outcomes: Vec::with_capacity(batch.outcomes.len()),
                fates: Vec::with_capacity(batch.arrivals.len()),
            },
        };
        jotted.take_intents(batch, shared);
        jotted.take_outcomes(batch, in_flight)?;
        jotted.take_refusals(batch, shared);
        jotted.take_arrivals(batch);
        Some(jotted)
    }

    /// In one step, or in the commit that files what waited before.
    pub async fn commit(
        self,
        shared: &Arc<Shared>,
        mut lane: OwnedMutexGuard<Lane>,
        now: Timestamp,
    ) -> Result<Answers, StoreError> {
        if self.jot.is_empty() {
            return Ok(self.answers);
        }
        match (lane.tail.filing_that_makes_room_for(&self.jot), &lane.head) {
            (None, Some(head)) => {
                let entry = ChainEntry::follow(head, shared.chain_id, &self.acts, now);
                jot(shared, &mut lane, self.jot, entry).await?;
            }
            (filing, _) => {
                let mut tx = shared.begin(lane, now, filing.unwrap_or(Filing::Ledger)).await?;
                tx.jot(self.jot, &self.acts).await?;
                tx.settle().await?;
            }
        }
        Ok(self.answers)
    }

    fn take_intents(&mut self, batch: &Batch, shared: &Shared) {
        for asked in &batch.intents {
            let salt = random_bytes(&*shared.entropy);
            self.jot.commands.push(asked.entry.intent_row(&salt));
            self.acts.push(asked.entry.intent_act(&salt));
        }
    }

    /// `None` if it is not known how one of the commands stands.
    fn take_outcomes(&mut self, batch: &Batch, in_flight: &InFlight) -> Option<()> {
        let mut standings: IdMap<CommandId, CommandStatus> = IdMap::default();
        standings.reserve(batch.outcomes.len());
        for asked in &batch.outcomes {
            let settlement = &*asked.entry;
            let to = settlement.state.status();
            let standing = match standings.get(&settlement.command_id) {
                Some(standing) => *standing,
                None => in_flight.standing(settlement.command_id)?,
            };
            if gives_way(standing, to) {
                standings.insert(settlement.command_id, to);
                self.jot.outcomes.push(settlement.row());
                self.acts.push(settlement.act());
                self.answers.outcomes.push(OutcomeRecorded::Recorded);
            } else {
                self.answers.outcomes.push(OutcomeRecorded::SettledBefore);
            }
        }
        Some(())
    }

    fn take_refusals(&mut self, batch: &Batch, shared: &Shared) {
        for refusal in &batch.refusals {
            let salt = random_bytes(&*shared.entropy);
            self.jot.commands.push(refusal.row(&salt));
            self.acts.push(refusal.act(&salt));
        }
    }

    fn take_arrivals(&mut self, batch: &Batch) {
        for asked in &batch.arrivals {
            let events = &asked.entry.events;
            self.jot.events.extend(events.iter().map(Arc::clone));
            self.answers.fates.push(vec![EventFate::Journaled; events.len()]);
        }
    }
}

impl Batch {
    /// Whether no statement has to judge any of it, and the read model says afterwards what it says
    /// now.
    fn is_plain(&self, shared: &Shared) -> bool {
        let heard = self.events().filter_map(|event| event.heard);
        let arrivals = || self.arrivals.iter().map(|asked| &asked.entry);
        !self.intents.iter().any(|asked| asked.entry.may_conflict())
            && !arrivals().any(|arrivals| arrivals.fates_matter || !arrivals.rejections.is_empty())
            && shared.is_known(heard)
    }
}
