//! Which passage fails: of the store's choke points and of the calls to the device cloud, counted
//! together. A crash is the passage from which on nothing gets through any more.

use std::sync::{Mutex, MutexGuard};

use ostler_store::{FaultPlan, FaultPoint};
use tokio::sync::Notify;

use super::chance::Chance;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blow {
    Once(u64),
    /// From this passage on, until the faults are taken away.
    Lasting(u64),
    /// The process ends at this passage.
    Crash(u64),
    /// Each passage by chance.
    Random {
        seed: u64,
        per_mille: u64,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passage {
    Store(FaultPoint),
    Cloud,
}

#[derive(Default)]
pub struct Faults {
    state: Mutex<State>,
    death: Notify,
}

#[derive(Default)]
struct State {
    armed: Option<(Blow, Chance)>,
    passed: Vec<Passage>,
    met: bool,
    dead: bool,
}

impl Faults {
    /// Counts from here.
    pub fn arm(&self, blow: Blow) {
        let seed = match blow {
            Blow::Random { seed, .. } => seed,
            Blow::Once(_) | Blow::Lasting(_) | Blow::Crash(_) => 0,
        };
        let mut state = self.state();
        state.armed = Some((blow, Chance::new(seed)));
        state.passed.clear();
    }

    /// The database and the cloud are well again.
    pub fn disarm(&self) {
        self.state().armed = None;
    }

    /// A new process.
    pub fn revive(&self) {
        let mut state = self.state();
        state.armed = None;
        state.dead = false;
    }

    pub fn met(&self) -> bool {
        self.state().met
    }

    pub fn is_dead(&self) -> bool {
        self.state().dead
    }

    /// Returns once the process has crashed.
    pub async fn death(&self) {
        while !self.is_dead() {
            self.death.notified().await;
        }
    }

    /// What was passed since the last question.
    pub fn take_passed(&self) -> Vec<Passage> {
        std::mem::take(&mut self.state().passed)
    }

    pub fn strikes_at(&self, passage: Passage) -> bool {
        let mut state = self.state();
        if state.dead {
            return true;
        }
        state.passed.push(passage);
        let number = state.passed.len() as u64;
        let Some((blow, chance)) = &mut state.armed else {
            return false;
        };
        let (struck, deadly) = match *blow {
            Blow::Once(at) => (number == at, false),
            Blow::Lasting(from) => (number >= from, false),
            Blow::Crash(at) => (number == at, true),
            Blow::Random { per_mille, .. } => (chance.below(1000) < per_mille, false),
        };
        state.met |= struck;
        if struck && deadly {
            state.dead = true;
            self.death.notify_one();
        }
        struck
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl FaultPlan for Faults {
    fn strikes(&self, point: FaultPoint) -> bool {
        self.strikes_at(Passage::Store(point))
    }
}
