//! What a history query may ask: a range, and optionally a bucket width, with bounded work.

use std::str::FromStr;
use std::time::Duration;

use crate::interval::Interval;
use crate::time::Timestamp;

pub const BUCKETS_MAX: i64 = 10_000;

/// The width of a bucket, from an ISO 8601 duration. Buckets are aligned to 1970 in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BucketWidth(i64);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be an ISO 8601 duration of weeks, days, hours, minutes or seconds, such as PT5M, from one second to 366 days"
)]
pub struct InvalidBucketWidth;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRange {
    #[error("`from` must be before `to`")]
    Reversed,
    #[error("at most 10000 buckets: choose a wider bucket or a shorter range")]
    TooManyBuckets,
}

const SECOND: i64 = 1000;
const WIDTH_MAX: i64 = 366 * 24 * 60 * 60 * SECOND;

impl BucketWidth {
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// The start of the bucket in which `time` lies.
    pub fn start_of(self, time: Timestamp) -> Timestamp {
        Timestamp::from_millis(time.millis().div_euclid(self.0) * self.0)
    }

    /// Refuses a range that would need more than [`BUCKETS_MAX`] buckets.
    pub fn check(self, range: &Interval) -> Result<(), InvalidRange> {
        if range.is_empty() {
            return Err(InvalidRange::Reversed);
        }
        let first = range.from.millis().div_euclid(self.0);
        let last = (range.to.millis() - 1).div_euclid(self.0);
        if last - first < BUCKETS_MAX {
            Ok(())
        } else {
            Err(InvalidRange::TooManyBuckets)
        }
    }
}

impl FromStr for BucketWidth {
    type Err = InvalidBucketWidth;

    /// Months and years have no fixed length and are refused.
    fn from_str(text: &str) -> Result<Self, InvalidBucketWidth> {
        if text.len() > 32 || !text.starts_with('P') {
            return Err(InvalidBucketWidth);
        }
        let span: jiff::Span = text.parse().map_err(|_| InvalidBucketWidth)?;
        if span.get_years() != 0 || span.get_months() != 0 || span.is_negative() {
            return Err(InvalidBucketWidth);
        }
        let days = i64::from(span.get_weeks()) * 7 + i64::from(span.get_days());
        let hours = days * 24 + i64::from(span.get_hours());
        let parts = hours
            .checked_mul(60)
            .and_then(|minutes| minutes.checked_add(span.get_minutes()))
            .and_then(|minutes| minutes.checked_mul(60))
            .and_then(|seconds| seconds.checked_add(span.get_seconds()))
            .and_then(|seconds| seconds.checked_mul(SECOND))
            .and_then(|millis| millis.checked_add(span.get_milliseconds()));
        match parts {
            Some(millis) if (SECOND..=WIDTH_MAX).contains(&millis) => Ok(Self(millis)),
            Some(_) | None => Err(InvalidBucketWidth),
        }
    }
}

impl From<BucketWidth> for Duration {
    fn from(width: BucketWidth) -> Self {
        Self::from_millis(width.0.unsigned_abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_are_read_from_iso_8601() {
        for (text, millis) in [
            ("PT5M", 300_000),
            ("PT1S", 1000),
            ("P1D", 86_400_000),
            ("P1W", 604_800_000),
            ("PT1H30M", 5_400_000),
        ] {
            assert_eq!(
                text.parse::<BucketWidth>().map(BucketWidth::millis),
                Ok(millis),
                "{text}"
            );
        }
        for text in [
            "",
            "5m",
            "P1M",
            "P1Y",
            "PT0S",
            "-PT5M",
            "P400D",
            "PT0.5S",
            "PT",
            "PT99999999999999999999H",
        ] {
            assert!(text.parse::<BucketWidth>().is_err(), "{text}");
        }
    }

    #[test]
    fn work_is_bounded() {
        let width: BucketWidth = "PT1S".parse().unwrap();
        let range = |from, to| Interval::new(Timestamp::from_millis(from), Timestamp::from_millis(to));
        assert_eq!(width.check(&range(0, 10_000_000)), Ok(()));
        assert_eq!(width.check(&range(0, 10_000_001)), Err(InvalidRange::TooManyBuckets));
        assert_eq!(width.check(&range(5, 5)), Err(InvalidRange::Reversed));
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(20_000))]
        #[test]
        fn no_text_makes_the_parser_panic(text in "P?T?[0-9YMWDTHS.\\-]{0,34}") {
            std::hint::black_box(text.parse::<BucketWidth>().is_ok());
        }

        #[test]
        fn a_time_lies_in_its_bucket(millis in -1_000_000_000_000i64..1_000_000_000_000, seconds in 1i64..1_000_000) {
            let width = BucketWidth(seconds * SECOND);
            let start = width.start_of(Timestamp::from_millis(millis)).millis();
            proptest::prop_assert!(start <= millis && millis < start + width.millis());
        }
    }
}
