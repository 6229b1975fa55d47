//! One transaction of the writer: entries sorted by kind, written, committed, answered.

use std::sync::Arc;

use ostler_core::id::DeviceId;
use ostler_core::time::Timestamp;
use tokio::sync::OwnedMutexGuard;

use super::in_flight::InFlight;
use super::jotted::Jotted;
use super::{Asked, Entry};
use crate::db::{Lane, Shared};
use crate::error::StoreError;
use crate::journal::Filing;
use crate::ledger::{
    IntentRecorded, NewCommand, OutcomeRecorded, Refusal, Settlement, write_intents, write_outcomes, write_refusals,
};
use crate::telemetry::{ArrivedRows, EventFate, EventRow, write_arrivals};

#[derive(Default)]
pub(super) struct Batch {
    pub intents: Vec<Asked<NewCommand, IntentRecorded>>,
    pub outcomes: Vec<Asked<Settlement, OutcomeRecorded>>,
    pub refusals: Vec<Refusal>,
    pub arrivals: Vec<Asked<ArrivedRows, Vec<EventFate>>>,
}

/// What became of each entry, in the order of the batch.
pub(super) struct Answers {
    pub intents: Vec<IntentRecorded>,
    pub outcomes: Vec<OutcomeRecorded>,
    pub fates: Vec<Vec<EventFate>>,
}

impl Batch {
    pub fn of(entries: impl Iterator<Item = Entry>) -> Self {
        let mut batch = Self::default();
        for entry in entries {
            match entry {
                Entry::Intent(asked) => batch.intents.push(asked),
                Entry::Outcome(asked) => batch.outcomes.push(asked),
                Entry::Refusal(refusal) => batch.refusals.push(*refusal),
                Entry::Arrivals(asked) => batch.arrivals.push(asked),
            }
        }
        batch
    }

    /// Writes all, or, if the database refuses the whole, each entry alone: what is wrong with one
    /// must not be the misfortune of those that happened to queue beside it.
    pub async fn write(self, shared: &Arc<Shared>, in_flight: &mut InFlight) {
        match self.attempt(shared, in_flight).await {
            Ok(answers) => self.answer(answers),
            Err(StoreError::Database(_)) if self.len() > 1 => {
                for alone in self.split() {
                    match alone.attempt(shared, in_flight).await {
                        Ok(answers) => alone.answer(answers),
                        Err(error) => alone.fail(&error),
                    }
                }
            }
            Err(error) => self.fail(&error),
        }
    }

    async fn attempt(&self, shared: &Arc<Shared>, in_flight: &mut InFlight) -> Result<Answers, StoreError> {
        let lane = shared.enter_lane().await?;
        let written = match Jotted::of(self, &lane, shared, in_flight) {
            Some(jotted) => jotted.commit(shared, lane, self.now()).await,
            None => self.file(shared, lane).await,
        };
        match &written {
            Ok(answers) => in_flight.follow(self, answers),
            Err(_) => in_flight.forget(self),
        }
        written
    }

    pub fn events(&self) -> impl Iterator<Item = &Arc<EventRow>> {
        self.arrivals.iter().flat_map(|asked| &asked.entry.events)
    }

    /// Straight into the tables: statements judge it, also by what the same devices said before.
    async fn file(&self, shared: &Arc<Shared>, lane: OwnedMutexGuard<Lane>) -> Result<Answers, StoreError> {
        let devices: Vec<DeviceId> = self.events().map(|event| event.device_id()).collect();
        let mut tx = shared.begin(lane, self.now(), Filing::Devices(&devices)).await?;
        let intents = write_intents(&mut tx, &self.intents).await?;
        let outcomes = write_outcomes(&mut tx, &self.outcomes).await?;
        write_refusals(&mut tx, &self.refusals).await?;
        let fates = write_arrivals(&mut tx, &self.arrivals).await?;
        tx.settle().await?;
        Ok(Answers {
            intents,
            outcomes,
            fates,
        })
    }

    fn answer(self, answers: Answers) {
        for (asked, answer) in self.intents.into_iter().zip(answers.intents) {
            asked.tell(Ok(answer));
        }
        for (asked, answer) in self.outcomes.into_iter().zip(answers.outcomes) {
            asked.tell(Ok(answer));
        }
        for (asked, answer) in self.arrivals.into_iter().zip(answers.fates) {
            asked.tell(Ok(answer));
        }
    }

    fn fail(self, error: &StoreError) {
        if !self.refusals.is_empty() {
            let count = self.refusals.len();
            tracing::error!(
                error = error as &dyn std::error::Error,
                count,
                "refusals could not be recorded"
            );
        }
        self.intents
            .into_iter()
            .for_each(|asked| asked.tell(Err(error.clone())));
        self.outcomes
            .into_iter()
            .for_each(|asked| asked.tell(Err(error.clone())));
        self.arrivals
            .into_iter()
            .for_each(|asked| asked.tell(Err(error.clone())));
    }

    fn split(self) -> impl Iterator<Item = Self> {
        let intents = self.intents.into_iter().map(|asked| Self {
            intents: vec![asked],
            ..Self::default()
        });
        let outcomes = self.outcomes.into_iter().map(|asked| Self {
            outcomes: vec![asked],
            ..Self::default()
        });
        let refusals = self.refusals.into_iter().map(|refusal| Self {
            refusals: vec![refusal],
            ..Self::default()
        });
        let arrivals = self.arrivals.into_iter().map(|asked| Self {
            arrivals: vec![asked],
            ..Self::default()
        });
        intents.chain(outcomes).chain(refusals).chain(arrivals)
    }

    fn len(&self) -> usize {
        self.intents.len() + self.outcomes.len() + self.refusals.len() + self.arrivals.len()
    }

    /// The latest time that any entry brings: the writer has no clock of its own.
    fn now(&self) -> Timestamp {
        let intents = self.intents.iter().map(|asked| asked.entry.created_at);
        let outcomes = self.outcomes.iter().map(|asked| asked.entry.at);
        let refusals = self.refusals.iter().map(|refusal| refusal.command.created_at);
        let arrivals = self.arrivals.iter().filter_map(|asked| asked.entry.received_at());
        intents
            .chain(outcomes)
            .chain(refusals)
            .chain(arrivals)
            .max()
            .unwrap_or(Timestamp::MIN)
    }
}
