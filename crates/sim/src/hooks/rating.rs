//! Adaptive skipping (reference §9.3): a host that answers more often with errors than with success is
//! left alone for a while. The rating is per host name, so one bad hook throttles its neighbours.

use std::collections::{HashMap, VecDeque};

/// How many of the last answers count.
const REMEMBERED: usize = 20;
/// With fewer answers than this nobody is judged.
const JUDGED_FROM: usize = 6;

#[derive(Debug, Default)]
struct Host {
    answers: VecDeque<bool>,
    last_error_at: i64,
}

#[derive(Debug, Default)]
pub(super) struct Ratings {
    hosts: HashMap<String, Host>,
}

impl Ratings {
    pub(super) fn note(&mut self, host: &str, succeeded: bool, now_ms: i64) {
        let one = self.hosts.entry(host.to_owned()).or_default();
        one.answers.push_back(succeeded);
        if one.answers.len() > REMEMBERED {
            one.answers.pop_front();
        }
        if !succeeded {
            one.last_error_at = now_ms;
        }
    }

    /// Whether deliveries to this host are skipped now. After `sleep_ms` without errors the past is
    /// forgotten.
    pub(super) fn sleeps(&mut self, host: &str, sleep_ms: u64, now_ms: i64) -> bool {
        let Some(one) = self.hosts.get_mut(host) else {
            return false;
        };
        if one.answers.len() < JUDGED_FROM {
            return false;
        }
        let errors = one.answers.iter().filter(|succeeded| !**succeeded).count();
        if errors * 2 <= one.answers.len() {
            return false;
        }
        if now_ms - one.last_error_at >= i64::try_from(sleep_ms).unwrap_or(i64::MAX) {
            one.answers.clear();
            return false;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_errors_than_successes_put_a_host_to_sleep() {
        let mut ratings = Ratings::default();
        for n in 0..10 {
            ratings.note("a.example", n % 4 == 0, n);
        }
        assert!(ratings.sleeps("a.example", 5_000, 100));
        assert!(!ratings.sleeps("b.example", 5_000, 100));
        assert!(!ratings.sleeps("a.example", 5_000, 5_100));
        assert!(!ratings.sleeps("a.example", 5_000, 5_101));
    }

    #[test]
    fn a_single_error_is_forgiven() {
        let mut ratings = Ratings::default();
        ratings.note("a.example", false, 0);
        assert!(!ratings.sleeps("a.example", 5_000, 1));
    }
}
