//! The clock that simulated devices, tokens and limits live by. It can be moved forward, so that a
//! token of 90 days expires in a test. Timers (a silent device's 30 s, a hook's retry) do not follow
//! it: they elapse in real time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::config::TimeSource;
use crate::edge;

/// Cheap to clone; every clone shows the same time. `ostler demo` lets Ostler read it too.
#[derive(Clone, Debug)]
pub struct SimClock {
    face: Arc<Face>,
}

#[derive(Debug)]
enum Face {
    /// The machine's clock, plus what has been skipped.
    Real { skipped_ms: AtomicI64 },
    /// Stands still until it is advanced.
    Simulated { now_ms: AtomicI64 },
}

impl SimClock {
    pub(crate) fn new(source: TimeSource, skipped_ms: i64) -> Self {
        let face = match source {
            TimeSource::Real => Face::Real {
                skipped_ms: AtomicI64::new(skipped_ms),
            },
            TimeSource::Simulated { start_ms } => Face::Simulated {
                now_ms: AtomicI64::new(start_ms + skipped_ms),
            },
        };
        Self { face: Arc::new(face) }
    }

    /// Milliseconds since 1970.
    pub fn now_ms(&self) -> i64 {
        match &*self.face {
            Face::Real { skipped_ms } => edge::system_now_ms() + skipped_ms.load(Ordering::Acquire),
            Face::Simulated { now_ms } => now_ms.load(Ordering::Acquire),
        }
    }

    pub(crate) fn is_simulated(&self) -> bool {
        matches!(&*self.face, Face::Simulated { .. })
    }

    pub(crate) fn advance(&self, by_ms: i64) {
        match &*self.face {
            Face::Real { skipped_ms } => skipped_ms.fetch_add(by_ms, Ordering::AcqRel),
            Face::Simulated { now_ms } => now_ms.fetch_add(by_ms, Ordering::AcqRel),
        };
    }
}

/// `2030-05-01T10:00:00.123Z`, as the cloud writes times.
pub(crate) fn rfc3339(at_ms: i64) -> String {
    format!("{:.3}", timestamp(at_ms))
}

/// The `Date` header (RFC 9110 §5.6.7). Clients compare it with `last_heard`, so it must show the
/// simulated time, not the machine's.
pub(crate) fn http_date(at_ms: i64) -> String {
    timestamp(at_ms)
        .to_zoned(TimeZone::UTC)
        .strftime("%a, %d %b %Y %H:%M:%S GMT")
        .to_string()
}

/// Reads an ISO 8601 time; a bare date is its midnight, UTC.
pub(crate) fn parse_iso(text: &str) -> Option<i64> {
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Some(moment.as_millisecond());
    }
    let date = text.parse::<jiff::civil::Date>().ok()?;
    Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp().as_millisecond())
}

fn timestamp(at_ms: i64) -> Timestamp {
    Timestamp::from_millisecond(at_ms).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_simulated_clock_moves_only_when_told() {
        let clock = SimClock::new(
            TimeSource::Simulated {
                start_ms: 1_900_000_000_000,
            },
            0,
        );
        let twin = clock.clone();
        clock.advance(1500);
        assert_eq!(twin.now_ms(), 1_900_000_001_500);
    }

    #[test]
    fn times_are_written_as_the_cloud_writes_them() {
        assert_eq!(rfc3339(1_900_000_000_007), "2030-03-17T17:46:40.007Z");
        assert_eq!(rfc3339(1_900_000_000_000), "2030-03-17T17:46:40.000Z");
        assert_eq!(http_date(1_900_000_000_007), "Sun, 17 Mar 2030 17:46:40 GMT");
    }

    #[test]
    fn a_bare_date_is_its_midnight() {
        assert_eq!(parse_iso("2030-01-31"), parse_iso("2030-01-31T00:00:00.000Z"));
        assert_eq!(parse_iso("next week"), None);
    }
}
