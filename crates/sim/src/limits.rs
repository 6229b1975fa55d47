//! The vendor's rate limits and its lock-out after failed token requests (reference §4.1, §2.2).
//! Windows are fixed and follow the simulated clock, so that a test can wait out half an hour.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::config::LimitConfig;

const FIVE_MINUTES_MS: i64 = 5 * 60_000;
const HOUR_MS: i64 = 60 * 60_000;
const FAILURES_MAX: u32 = 10;
const LOCKED_FOR_MS: i64 = 30 * 60_000;

/// What is counted, each for itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Counted {
    Request(IpAddr),
    TokenRequest(IpAddr),
    TokenManagement(IpAddr),
    /// Each family of streams has its own limit.
    StreamOpening(IpAddr, StreamFamily),
    SerialNumberLookup(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum StreamFamily {
    All,
    Mine,
    Device,
    Product,
    ProductDevice,
}

#[derive(Debug)]
struct Window {
    began_at: i64,
    used: u32,
}

#[derive(Debug, Default)]
struct Failures {
    in_a_row: u32,
    locked_until: i64,
}

#[derive(Debug, Default)]
pub(crate) struct Limits {
    windows: HashMap<Counted, Window>,
    failures: HashMap<String, Failures>,
}

impl Limits {
    /// Counts one use; false if it is over the limit.
    pub(crate) fn admit(&mut self, what: Counted, config: &LimitConfig, now_ms: i64) -> bool {
        if !config.enabled {
            return true;
        }
        let (length_ms, max) = match &what {
            Counted::Request(_) => (FIVE_MINUTES_MS, config.requests),
            Counted::TokenRequest(_) | Counted::TokenManagement(_) => (FIVE_MINUTES_MS, config.token_requests),
            Counted::StreamOpening(..) => (FIVE_MINUTES_MS, config.stream_openings),
            Counted::SerialNumberLookup(_) => (HOUR_MS, config.serial_number_lookups),
        };
        let window = self.windows.entry(what).or_insert(Window {
            began_at: now_ms,
            used: 0,
        });
        if now_ms - window.began_at >= length_ms {
            *window = Window {
                began_at: now_ms,
                used: 0,
            };
        }
        window.used = window.used.saturating_add(1);
        window.used <= max
    }

    pub(crate) fn is_locked_out(&self, whom: &str, now_ms: i64) -> bool {
        self.failures.get(whom).is_some_and(|one| now_ms < one.locked_until)
    }

    pub(crate) fn token_request_failed(&mut self, whom: &str, now_ms: i64) {
        let one = self.failures.entry(whom.to_owned()).or_default();
        one.in_a_row += 1;
        if one.in_a_row >= FAILURES_MAX {
            *one = Failures {
                in_a_row: 0,
                locked_until: now_ms + LOCKED_FOR_MS,
            };
        }
    }

    pub(crate) fn token_request_succeeded(&mut self, whom: &str) {
        self.failures.remove(whom);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn ten_failures_in_a_row_lock_out_for_half_an_hour() {
        let mut limits = Limits::default();
        for n in 0..10 {
            assert!(!limits.is_locked_out("a", n));
            limits.token_request_failed("a", n);
        }
        assert!(limits.is_locked_out("a", 10));
        assert!(!limits.is_locked_out("b", 10));
        assert!(!limits.is_locked_out("a", 9 + LOCKED_FOR_MS));
    }

    #[test]
    fn a_success_starts_the_count_anew() {
        let mut limits = Limits::default();
        for _ in 0..9 {
            limits.token_request_failed("a", 0);
        }
        limits.token_request_succeeded("a");
        limits.token_request_failed("a", 0);
        assert!(!limits.is_locked_out("a", 0));
    }

    #[test]
    fn a_window_admits_its_limit_and_then_opens_again() {
        let mut limits = Limits::default();
        let config = LimitConfig {
            token_requests: 3,
            ..LimitConfig::default()
        };
        let who = || Counted::TokenRequest(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let admitted = (0..5).filter(|_| limits.admit(who(), &config, 0)).count();
        assert_eq!(admitted, 3);
        assert!(limits.admit(who(), &config, FIVE_MINUTES_MS));
    }
}
