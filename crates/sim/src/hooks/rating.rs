//! Adaptive skipping (reference §9.3): a host that answers more often with errors than with success is
//! left alone for a while. The rating is per host name, so one bad hook throttles its neighbours.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

/// How many of the last answers count.
const REMEMBERED: usize = 20;
/// With fewer answers than this nobody is judged.
const JUDGED_FROM: usize = 6;

#[derive(Debug, Default)]
struct Host {
    answers: VecDeque<bool>,
    last_error_at: Option<Instant>,
}

#[derive(Debug, Default)]
pub(super) struct Ratings {
    hosts: HashMap<String, Host>,
}

impl Ratings {
    pub(super) fn note(&mut self, host: &str, succeeded: bool, now: Instant) {
        let one = self.hosts.entry(host.to_owned()).or_default();
        one.answers.push_back(succeeded);
        if one.answers.len() > REMEMBERED {
            one.answers.pop_front();
        }
        if !succeeded {
            one.last_error_at = Some(now);
        }
    }

    /// Whether deliveries to this host are skipped now. After `sleep` without errors the past is
    /// forgotten.
    pub(super) fn sleeps(&mut self, host: &str, sleep: Duration, now: Instant) -> bool {
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
        if one.last_error_at.is_none_or(|at| now.duration_since(at) >= sleep) {
            one.answers.clear();
            return false;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLEEP: Duration = Duration::from_secs(5);

    #[test]
    fn more_errors_than_successes_put_a_host_to_sleep() {
        let start = Instant::now();
        let mut ratings = Ratings::default();
        for n in 0..10 {
            ratings.note("a.example", n % 4 == 0, start);
        }
        let almost = start + SLEEP - Duration::from_millis(1);
        assert!(ratings.sleeps("a.example", SLEEP, almost));
        assert!(!ratings.sleeps("b.example", SLEEP, almost));
        // Woken, it starts with a clean sheet.
        assert!(!ratings.sleeps("a.example", SLEEP, start + SLEEP));
        assert!(!ratings.sleeps("a.example", SLEEP, start));
    }

    #[test]
    fn a_single_error_is_forgiven() {
        let mut ratings = Ratings::default();
        ratings.note("a.example", false, Instant::now());
        assert!(!ratings.sleeps("a.example", SLEEP, Instant::now()));
    }
}
