//! The vendor's limit as one connection sees it: after a 429 nobody asks again before the pause
//! is over, for the limit counts all requests of this address together (§14.8).

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use ostler_core::port::Entropy;

use crate::options::Backoff;

pub(crate) struct RateGate {
    pause: Backoff,
    closed: Mutex<Option<Closed>>,
}

#[derive(Clone, Copy)]
struct Closed {
    until: Instant,
    /// 429s in a row.
    strikes: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the device cloud's limit was reached")]
pub(crate) struct Limited {
    pub retry_after: Duration,
}

impl RateGate {
    pub(crate) fn new(pause: Backoff) -> Self {
        Self {
            pause,
            closed: Mutex::default(),
        }
    }

    pub(crate) fn admit(&self, now: Instant) -> Result<(), Limited> {
        match *self.closed.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(closed) if now < closed.until => Err(Limited {
                retry_after: closed.until - now,
            }),
            Some(_) | None => Ok(()),
        }
    }

    /// The cloud said 429 or 529. Its own word counts before ours.
    pub(crate) fn limited(&self, now: Instant, asked: Option<Duration>, entropy: &dyn Entropy) -> Limited {
        let mut closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        let strikes = match *closed {
            // Others that were under way meet the same limit; that is not another strike.
            Some(standing) if now < standing.until => standing.strikes,
            Some(passed) => passed.strikes + 1,
            None => 1,
        };
        let retry_after = asked.unwrap_or_else(|| self.pause.at_least_half(strikes, entropy));
        let until = now + retry_after;
        let until = closed.map_or(until, |standing| until.max(standing.until));
        *closed = Some(Closed { until, strikes });
        Limited {
            retry_after: until - now,
        }
    }

    /// A request went through: the limit is behind us.
    pub(crate) fn passed(&self, now: Instant) {
        let mut closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        if closed.is_some_and(|standing| standing.until <= now) {
            *closed = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Most;
    impl Entropy for Most {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(0xff);
        }
    }

    fn start() -> Instant {
        tokio::time::Instant::now().into_std()
    }

    #[test]
    fn nobody_asks_before_the_pause_is_over_and_pauses_grow() {
        let gate = RateGate::new(Backoff {
            first: Duration::from_secs(5),
            most: Duration::from_secs(60),
        });
        let now = start();
        assert!(gate.admit(now).is_ok());
        assert_eq!(gate.limited(now, None, &Most).retry_after.as_secs(), 5);
        assert_eq!(
            gate.limited(now, None, &Most).retry_after.as_secs(),
            5,
            "the same strike"
        );
        assert!(gate.admit(now + Duration::from_secs(4)).is_err());
        let later = now + Duration::from_secs(5);
        assert!(gate.admit(later).is_ok());
        assert_eq!(gate.limited(later, None, &Most).retry_after.as_secs(), 10);
        let asked = Some(Duration::from_secs(30));
        assert_eq!(gate.limited(later, asked, &Most).retry_after.as_secs(), 30);
    }
}
