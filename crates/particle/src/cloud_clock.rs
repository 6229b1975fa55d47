//! What the cloud's clock shows, finer than the whole seconds that `Date` tells.
//!
//! Each answer bounds how far the cloud's clock is ahead of our monotonic one: between sending and
//! receiving it showed a time within `[date, date + 1 s)`. The bounds of many answers, cut with each
//! other, close in on the truth to about a round trip. Only the lower bound is used: whoever must
//! prove that something came before may never be told too late a time.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use ostler_core::time::Timestamp;

/// How fast two good clocks may drift apart: 100 parts per million.
const DRIFT_DIVISOR: i64 = 10_000;

/// For the cloud's own machines, whose clocks differ a little from each other.
const MARGIN: Duration = Duration::from_millis(20);

const SECOND: i64 = 1000;

pub(crate) struct CloudClock {
    /// Our monotonic clock's zero.
    zero: Instant,
    ahead: Mutex<Option<Ahead>>,
}

/// By how many milliseconds the cloud's clock is ahead of the time since zero, at `seen_at` after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ahead {
    least: i64,
    most: i64,
    seen_at: i64,
}

impl CloudClock {
    pub(crate) fn new(zero: Instant) -> Self {
        Self {
            zero,
            ahead: Mutex::new(None),
        }
    }

    /// An answer said `date`, whose request was sent and whose head was received at these instants.
    pub(crate) fn observe(&self, date: Timestamp, sent: Instant, received: Instant) {
        let sample = Ahead {
            least: date.millis() - self.since_zero(received),
            most: date.millis() + SECOND - self.since_zero(sent),
            seen_at: self.since_zero(received),
        };
        let mut ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        // Bounds that do not meet mean that a clock was set: what was known before is void.
        *ahead = Some(
            ahead
                .and_then(|known| known.aged(sample.seen_at).cut_with(sample))
                .unwrap_or(sample),
        );
    }

    /// A time that the cloud's clock had certainly reached at `at`.
    pub(crate) fn reached_by(&self, at: Instant) -> Option<Timestamp> {
        let ahead = (*self.ahead.lock().unwrap_or_else(PoisonError::into_inner))?;
        let at = self.since_zero(at);
        Some(Timestamp::from_millis(at + ahead.aged(at).least) - MARGIN)
    }

    fn since_zero(&self, at: Instant) -> i64 {
        i64::try_from(at.saturating_duration_since(self.zero).as_millis()).unwrap_or(i64::MAX)
    }
}

impl Ahead {
    /// The bounds part again as time goes by.
    fn aged(self, now: i64) -> Self {
        let drift = (now - self.seen_at).abs() / DRIFT_DIVISOR;
        Self {
            least: self.least - drift,
            most: self.most + drift,
            seen_at: self.seen_at.max(now),
        }
    }

    fn cut_with(self, other: Self) -> Option<Self> {
        let cut = Self {
            least: self.least.max(other.least),
            most: self.most.min(other.most),
            seen_at: self.seen_at.max(other.seen_at),
        };
        (cut.least < cut.most).then_some(cut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLOUD_AT_ZERO: i64 = 1_900_000_000_400;

    #[expect(clippy::disallowed_methods, reason = "an Instant can be had in no other way")]
    fn zero() -> Instant {
        Instant::now()
    }

    /// An exchange that began so many milliseconds after zero and took so many; the cloud, whose
    /// clock is `step` off, answers in its middle.
    fn exchange(clock: &CloudClock, zero: Instant, sent: u64, took: u64, step: i64) {
        let at = |millis| zero + Duration::from_millis(millis);
        let shown = CLOUD_AT_ZERO + step + i64::try_from(sent + took / 2).unwrap();
        let date = Timestamp::from_millis(shown / SECOND * SECOND);
        clock.observe(date, at(sent), at(sent + took));
    }

    fn lag(clock: &CloudClock, zero: Instant, at: u64, step: i64) -> i64 {
        let truth = CLOUD_AT_ZERO + step + i64::try_from(at).unwrap();
        truth - clock.reached_by(zero + Duration::from_millis(at)).unwrap().millis()
    }

    #[test]
    fn many_answers_close_in_on_the_truth_and_never_pass_it() {
        let zero = zero();
        let clock = CloudClock::new(zero);
        assert_eq!(clock.reached_by(zero), None);
        exchange(&clock, zero, 0, 10, 0);
        assert!((0..1100).contains(&lag(&clock, zero, 10, 0)));
        for n in 1..60 {
            exchange(&clock, zero, n * 337, 10, 0);
        }
        let lag = lag(&clock, zero, 60 * 337, 0);
        assert!((0..150).contains(&lag), "{lag}");
    }

    #[test]
    fn a_clock_that_is_set_is_learnt_anew() {
        let zero = zero();
        for step in [-600_000, 600_000] {
            let clock = CloudClock::new(zero);
            (0..20).for_each(|n| exchange(&clock, zero, n * 337, 10, 0));
            exchange(&clock, zero, 10_000, 10, step);
            let lag = lag(&clock, zero, 10_010, step);
            assert!((0..1100).contains(&lag), "{lag}");
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(20_000))]
        #[test]
        fn what_was_reached_is_never_later_than_the_truth(
            exchanges in proptest::collection::vec((0u64..100_000, 0u64..3_000), 1..20),
            at in 0u64..100_000,
        ) {
            let zero = zero();
            let clock = CloudClock::new(zero);
            let mut exchanges = exchanges;
            exchanges.sort_unstable();
            for (sent, took) in exchanges {
                exchange(&clock, zero, sent, took, 0);
            }
            proptest::prop_assert!(lag(&clock, zero, at, 0) >= 0);
        }
    }
}
