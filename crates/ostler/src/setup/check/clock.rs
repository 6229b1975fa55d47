//! The machine's clock, held against the device cloud's and against this program's own age.
//!
//! Rights begin and end by this clock; a wrong one lets people in too long or keeps them out.

use std::time::Duration;

use jiff::fmt::rfc2822::DateTimeParser;
use ostler_core::port::Clock;
use ostler_core::time::Timestamp;
use reqwest::header::DATE;

use super::verdict::{Verdict, chain};
use super::{server, what};

/// 2026-11-22T00:00:00Z. Moved on with each release: no clock may be before it.
const RELEASED_AT: Timestamp = Timestamp::from_millis(1_795_305_600_000);
const APART_MAX: Duration = Duration::from_secs(5);

/// A reading of another's clock: it said `date`, cut to whole seconds (RFC 9110 §5.6.7), at some
/// moment between our two readings.
#[derive(Debug, Clone, Copy)]
struct Reading {
    asked_at: Timestamp,
    answered_at: Timestamp,
    date: Timestamp,
}

impl Reading {
    /// The least by which the clocks differ; what the reading leaves open counts in our favour.
    fn apart(&self) -> Duration {
        let ahead = self.asked_at.since(self.date + Duration::from_secs(1));
        let behind = self.date.since(self.answered_at);
        ahead.max(behind)
    }
}

pub async fn look(clock: &dyn Clock, base_urls: impl Iterator<Item = &str>) -> Verdict {
    if clock.now() < RELEASED_AT {
        return judge_age(clock.now());
    }
    let mut apart = None;
    for base_url in base_urls {
        match read(clock, base_url).await {
            Ok(reading) => apart = apart.max(Some(reading.apart())),
            Err(why) => return Verdict::warning(what::CLOCK, format!("{base_url} did not tell its time: {why}")),
        }
    }
    match apart {
        Some(apart) => judge(apart),
        None => Verdict::ok(
            what::CLOCK,
            format!("{}; no device cloud to hold it against", clock.now()),
        ),
    }
}

async fn read(clock: &dyn Clock, base_url: &str) -> Result<Reading, String> {
    let client = server::http().build().map_err(|error| chain(&error))?;
    let asked_at = clock.now();
    let answer = client.get(base_url).send().await.map_err(|error| chain(&error))?;
    let answered_at = clock.now();
    let date = answer.headers().get(DATE).and_then(|date| parse(date.to_str().ok()?));
    Ok(Reading {
        asked_at,
        answered_at,
        date: date.ok_or("its answer has no date")?,
    })
}

fn parse(date: &str) -> Option<Timestamp> {
    let date = DateTimeParser::new().parse_timestamp(date).ok()?;
    Some(Timestamp::from_millis(date.as_millisecond()))
}

fn judge_age(now: Timestamp) -> Verdict {
    Verdict::failed(what::CLOCK, format!("{now} is before this program was released"))
        .hint("set the clock, and keep it set: chrony, systemd-timesyncd")
}

fn judge(apart: Duration) -> Verdict {
    if apart > APART_MAX {
        Verdict::failed(
            what::CLOCK,
            format!("{} s apart from the device cloud's", apart.as_secs()),
        )
        .hint("set the clock, and keep it set: chrony, systemd-timesyncd")
    } else {
        Verdict::ok(what::CLOCK, "agrees with the device cloud's")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setup::check::verdict::Standing;

    struct Stopped(Timestamp);

    impl Clock for Stopped {
        fn now(&self) -> Timestamp {
            self.0
        }

        fn instant(&self) -> std::time::Instant {
            ostler_server::edge::SystemClock.instant()
        }
    }

    fn reading(asked_at: i64, answered_at: i64, date: i64) -> Duration {
        let [asked_at, answered_at, date] = [asked_at, answered_at, date].map(Timestamp::from_millis);
        Reading {
            asked_at,
            answered_at,
            date,
        }
        .apart()
    }

    #[test]
    fn what_a_reading_leaves_open_is_no_difference() {
        assert_eq!(reading(10_900, 10_950, 10_000), Duration::ZERO, "cut to whole seconds");
        assert_eq!(reading(8_000, 12_000, 10_000), Duration::ZERO, "a slow answer");
        assert_eq!(reading(17_000, 17_100, 10_000), Duration::from_secs(6));
        assert_eq!(reading(3_900, 4_000, 10_000), Duration::from_secs(6));
    }

    #[test]
    fn more_than_five_seconds_fail_either_way() {
        assert_eq!(judge(APART_MAX).standing, Standing::Ok);
        assert_eq!(judge(APART_MAX + Duration::from_millis(1)).standing, Standing::Failed);
    }

    #[tokio::test]
    async fn a_clock_from_before_the_release_fails_without_asking_anybody() {
        let before = Stopped(RELEASED_AT - Duration::from_millis(1));
        assert_eq!(look(&before, std::iter::empty()).await.standing, Standing::Failed);
        assert_eq!(
            look(&Stopped(RELEASED_AT), std::iter::empty()).await.standing,
            Standing::Ok
        );
    }

    #[test]
    fn a_date_is_read_as_http_writes_it() {
        assert_eq!(parse("Sun, 22 Nov 2026 00:00:00 GMT"), Some(RELEASED_AT));
        assert_eq!(parse("yesterday"), None);
    }
}
