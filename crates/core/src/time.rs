//! Instants as the whole house writes them: milliseconds since 1970, UTC.

use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;
use std::time::Duration;

use jiff::tz::Offset;

use crate::text::{Ascii, write_digits};

/// Milliseconds since 1970-01-01T00:00:00Z. In the database a BIGINT, on the wire RFC 3339 with
/// milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// From the year 0001 to the last days of 9999: what RFC 3339 can write, less the day that the
/// calendar keeps for offsets.
const MILLIS_MIN: i64 = -62_135_596_800_000;
const MILLIS_MAX: i64 = 253_402_207_199_999;

impl Timestamp {
    pub const MIN: Self = Self(MILLIS_MIN);
    pub const MAX: Self = Self(MILLIS_MAX);

    /// Saturates at the years 0001 and 9999, so that every value can be written on the wire.
    pub const fn from_millis(millis: i64) -> Self {
        if millis < MILLIS_MIN {
            Self::MIN
        } else if millis > MILLIS_MAX {
            Self::MAX
        } else {
            Self(millis)
        }
    }

    pub const fn millis(self) -> i64 {
        self.0
    }

    /// How long after `earlier` this is; zero if it is not after.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// RFC 3339 with milliseconds. By hand, because a general formatter takes three times as long,
    /// and every answer holds several.
    fn written(self) -> Ascii {
        let instant = jiff::Timestamp::from_millisecond(self.0).expect("a Timestamp lies within the years 1 to 9999");
        let at = Offset::UTC.to_datetime(instant);
        let mut text = *b"0000-00-00T00:00:00.000Z";
        write_digits(&mut text[0..4], at.year().unsigned_abs().into());
        write_digits(&mut text[5..7], at.month().unsigned_abs().into());
        write_digits(&mut text[8..10], at.day().unsigned_abs().into());
        write_digits(&mut text[11..13], at.hour().unsigned_abs().into());
        write_digits(&mut text[14..16], at.minute().unsigned_abs().into());
        write_digits(&mut text[17..19], at.second().unsigned_abs().into());
        write_digits(&mut text[20..23], at.millisecond().unsigned_abs().into());
        Ascii::of(text)
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self::from_millis(self.0.saturating_add(millis))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self::from_millis(self.0.saturating_sub(millis))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.written().as_str())
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a time as RFC 3339 writes it, such as 2030-05-01T10:00:00.000Z")]
pub struct InvalidTimestamp;

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    /// Takes any RFC 3339 time with an offset; finer than a millisecond is cut off.
    fn from_str(text: &str) -> Result<Self, InvalidTimestamp> {
        let shape = text.as_bytes();
        let dated = shape.len() >= 20
            && shape[4] == b'-'
            && shape[7] == b'-'
            && matches!(shape[10], b'T' | b't')
            && shape[0].is_ascii_digit();
        if !dated || shape.len() > 40 {
            return Err(InvalidTimestamp);
        }
        let instant: jiff::Timestamp = text.parse().map_err(|_| InvalidTimestamp)?;
        let millis = instant.as_millisecond();
        if (MILLIS_MIN..=MILLIS_MAX).contains(&millis) {
            Ok(Self(millis))
        } else {
            Err(InvalidTimestamp)
        }
    }
}

impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.written().as_str())
    }
}

impl<'de> serde::Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_with_milliseconds_in_utc() {
        assert_eq!(
            Timestamp::from_millis(1_900_000_000_007).to_string(),
            "2030-03-17T17:46:40.007Z"
        );
        assert_eq!(
            Timestamp::from_millis(1_900_000_000_000).to_string(),
            "2030-03-17T17:46:40.000Z"
        );
    }

    #[test]
    fn offsets_are_read_and_absurd_times_refused() {
        let read: Timestamp = "2030-03-17T18:46:40.0079+01:00".parse().unwrap();
        assert_eq!(read.millis(), 1_900_000_000_007);
        for text in [
            "",
            "now",
            "2030-03-17",
            "2030-13-01T00:00:00Z",
            "99999-01-01T00:00:00Z",
            "1900000000",
        ] {
            assert_eq!(text.parse::<Timestamp>(), Err(InvalidTimestamp), "{text}");
        }
    }

    #[test]
    fn arithmetic_saturates_instead_of_wrapping() {
        assert_eq!(Timestamp::MAX + Duration::from_secs(1), Timestamp::MAX);
        assert_eq!(Timestamp::MIN - Duration::MAX, Timestamp::MIN);
        assert_eq!(Timestamp::MIN.since(Timestamp::MAX), Duration::ZERO);
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(20_000))]
        #[test]
        fn what_is_written_is_read_back(millis in MILLIS_MIN..=MILLIS_MAX) {
            let time = Timestamp::from_millis(millis);
            proptest::prop_assert_eq!(time.to_string().parse::<Timestamp>(), Ok(time));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC{0,48}") {
            std::hint::black_box(text.parse::<Timestamp>().is_ok());
        }
    }
}
