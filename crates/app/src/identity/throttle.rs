//! Guessing passwords gets slower, per account and per address: a growing pause of seconds, never a
//! lock-out that others could cause. In memory: a restart forgives.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ostler_core::secret::SecretDigest;
use ostler_core::time::Timestamp;

/// Failures that cost nothing: people mistype.
const FREE: u32 = 4;
const FREE_PER_ADDRESS: u32 = 20;
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// After this long without a failure all is forgiven.
const FORGIVEN_AFTER: Duration = Duration::from_secs(15 * 60);
/// A bound for memory. Past it the oldest failures are forgotten first.
const KEYS_MAX: usize = 100_000;

/// What failures are counted by. Accounts by a digest of what was typed, so that those that do not
/// exist count alike and no address lies about in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Key {
    Account(SecretDigest),
    Address(IpAddr),
}

#[derive(Default)]
pub(super) struct Throttle(Mutex<HashMap<Key, Failures>>);

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    last_at: Timestamp,
}

impl Failures {
    fn is_forgiven(&self, now: Timestamp) -> bool {
        now.since(self.last_at) >= FORGIVEN_AFTER
    }

    fn pause(&self, key: &Key) -> Duration {
        let free = match key {
            Key::Account(_) => FREE,
            Key::Address(_) => FREE_PER_ADDRESS,
        };
        match self.count.checked_sub(free + 1) {
            None => Duration::ZERO,
            Some(beyond) => PAUSE_MAX.min(Duration::from_secs(1 << beyond.min(10))),
        }
    }
}

impl Throttle {
    /// How long whoever tries now has to wait first, if at all.
    pub fn pause(&self, keys: &[Key], now: Timestamp) -> Option<Duration> {
        let failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left = |key: &Key| {
            let known = failures.get(key).filter(|known| !known.is_forgiven(now))?;
            let left = known.pause(key).checked_sub(now.since(known.last_at))?;
            (!left.is_zero()).then_some(left)
        };
        keys.iter().filter_map(left).max()
    }

    pub fn failed(&self, keys: &[Key], now: Timestamp) {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for key in keys {
            let known = failures.entry(*key).or_insert(Failures { count: 0, last_at: now });
            let count = if known.is_forgiven(now) { 0 } else { known.count };
            *known = Failures {
                count: count.saturating_add(1),
                last_at: now,
            };
        }
        if failures.len() > KEYS_MAX {
            let mut times: Vec<_> = failures.values().map(|known| known.last_at).collect();
            let (_, middle, _) = times.select_nth_unstable(KEYS_MAX / 2);
            let middle = *middle;
            failures.retain(|_, known| known.last_at > middle);
        }
    }

    /// An account's owner has shown who they are; the address stays under suspicion.
    pub fn succeeded(&self, account: &Key) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(account);
    }

    pub fn forget_idle(&self, now: Timestamp) {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        failures.retain(|_, known| !known.is_forgiven(now));
        failures.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNT: Key = Key::Account(SecretDigest::from_bytes([1; 32]));

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    #[test]
    fn the_pause_grows_to_a_bound_and_is_forgiven() {
        let throttle = Throttle::default();
        for _ in 0..FREE {
            throttle.failed(&[ACCOUNT], at(0));
        }
        assert_eq!(throttle.pause(&[ACCOUNT], at(0)), None);
        for expected in [1, 2, 4, 8, 16, 30, 30] {
            throttle.failed(&[ACCOUNT], at(0));
            assert_eq!(throttle.pause(&[ACCOUNT], at(0)), Some(Duration::from_secs(expected)));
        }
        assert_eq!(throttle.pause(&[ACCOUNT], at(29)), Some(Duration::from_secs(1)));
        assert_eq!(throttle.pause(&[ACCOUNT], at(30)), None);
        throttle.failed(&[ACCOUNT], at(900));
        assert_eq!(throttle.pause(&[ACCOUNT], at(900)), None);
    }

    #[test]
    fn success_clears_the_account_but_not_the_address() {
        let throttle = Throttle::default();
        let address = Key::Address("192.0.2.1".parse().unwrap());
        for _ in 0..=FREE_PER_ADDRESS {
            throttle.failed(&[ACCOUNT, address], at(0));
        }
        throttle.succeeded(&ACCOUNT);
        assert_eq!(throttle.pause(&[ACCOUNT], at(0)), None);
        assert_eq!(throttle.pause(&[ACCOUNT, address], at(0)), Some(Duration::from_secs(1)));
        throttle.forget_idle(at(901));
        assert!(throttle.0.lock().unwrap().is_empty());
    }

    #[test]
    fn memory_has_a_bound() {
        let throttle = Throttle::default();
        for index in 0..=KEYS_MAX {
            let address = u32::try_from(index).unwrap().to_be_bytes();
            throttle.failed(
                &[Key::Address(address.into())],
                at(i64::try_from(index).unwrap() / 1_000),
            );
        }
        let left = throttle.0.lock().unwrap().len();
        assert!((1..=KEYS_MAX).contains(&left), "{left}");
    }
}
