//! The circuit breaker of one connection (P11): after several failures in a row calls fail at
//! once, and one call at a time probes whether the cloud has recovered.
//!
//! A failure is a connection that did not come about or was lost, a 5xx, or a silence longer than
//! the cloud would wait for a device. A device that stays silent says nothing about the cloud.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use ostler_core::port::Entropy;

use crate::options::Backoff;

pub(crate) struct Breaker {
    threshold: u32,
    pause: Backoff,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed {
        failures: u32,
    },
    Open {
        until: Instant,
        round: u32,
    },
    /// One call is under way to find out.
    Probing {
        round: u32,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the device cloud failed repeatedly; calls fail at once for a moment")]
pub(crate) struct CircuitOpen;

impl Breaker {
    pub(crate) fn new(threshold: u32, pause: Backoff) -> Self {
        Self {
            threshold,
            pause,
            state: Mutex::new(State::Closed { failures: 0 }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn admit(&self, now: Instant) -> Result<Pass<'_>, CircuitOpen> {
        let mut state = self.state();
        let probing = match *state {
            State::Closed { .. } => None,
            State::Open { until, round } if until <= now => {
                *state = State::Probing { round };
                Some(round)
            }
            State::Open { .. } | State::Probing { .. } => return Err(CircuitOpen),
        };
        Ok(Pass {
            breaker: self,
            probing: probing.map(|round| Probe { round, since: now }),
        })
    }
}

/// Leave to try once. Dropped without a report it proves nothing, and the next may probe.
pub(crate) struct Pass<'b> {
    breaker: &'b Breaker,
    probing: Option<Probe>,
}

#[derive(Clone, Copy)]
struct Probe {
    round: u32,
    since: Instant,
}

impl Pass<'_> {
    pub(crate) fn succeeded(mut self) {
        self.probing = None;
        *self.breaker.state() = State::Closed { failures: 0 };
    }

    pub(crate) fn failed(mut self, now: Instant, entropy: &dyn Entropy) {
        let probe = self.probing.take();
        let mut state = self.breaker.state();
        let round = match (*state, probe) {
            (State::Probing { round }, Some(_)) => round + 1,
            (State::Closed { failures }, None) if failures + 1 < self.breaker.threshold => {
                *state = State::Closed { failures: failures + 1 };
                return;
            }
            (State::Closed { .. }, _) => 1,
            // Set out before the circuit opened; it knows nothing new.
            (State::Open { .. } | State::Probing { .. }, _) => return,
        };
        let until = now + self.breaker.pause.at_least_half(round, entropy);
        *state = State::Open { until, round };
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if let Some(Probe { round, since }) = self.probing {
            *self.breaker.state() = State::Open { until: since, round };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    struct Most;
    impl Entropy for Most {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(0xff);
        }
    }

    fn breaker() -> Breaker {
        Breaker::new(
            3,
            Backoff {
                first: Duration::from_secs(1),
                most: Duration::from_secs(30),
            },
        )
    }

    fn start() -> Instant {
        tokio::time::Instant::now().into_std()
    }

    #[test]
    fn it_opens_after_failures_in_a_row_only() {
        let (breaker, now) = (breaker(), start());
        for _ in 0..2 {
            breaker.admit(now).unwrap().failed(now, &Most);
        }
        breaker.admit(now).unwrap().succeeded();
        for _ in 0..3 {
            breaker.admit(now).unwrap().failed(now, &Most);
        }
        assert_eq!(breaker.admit(now).err(), Some(CircuitOpen));
    }

    #[test]
    fn one_probe_decides_and_failing_again_waits_longer() {
        let (breaker, now) = (breaker(), start());
        for _ in 0..3 {
            breaker.admit(now).unwrap().failed(now, &Most);
        }
        let later = now + Duration::from_secs(1);
        let probe = breaker.admit(later).unwrap();
        assert!(breaker.admit(later).is_err(), "one probe at a time");
        probe.failed(later, &Most);
        assert!(breaker.admit(later + Duration::from_secs(1)).is_err());
        breaker.admit(later + Duration::from_secs(2)).unwrap().succeeded();
        assert!(breaker.admit(later).is_ok());
    }

    #[test]
    fn a_probe_that_was_given_up_lets_the_next_one_try() {
        let (breaker, now) = (breaker(), start());
        for _ in 0..3 {
            breaker.admit(now).unwrap().failed(now, &Most);
        }
        let later = now + Duration::from_secs(1);
        drop(breaker.admit(later).unwrap());
        assert!(breaker.admit(later).is_ok());
    }
}
