//! Half-open intervals, `[from, to)`, and ordered sets of them.

use crate::time::Timestamp;

/// `from` ≤ t < `to`. Empty when `to` is not after `from`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval {
    pub from: Timestamp,
    pub to: Timestamp,
}

impl Interval {
    pub const ALWAYS: Self = Self {
        from: Timestamp::MIN,
        to: Timestamp::MAX,
    };

    pub const fn new(from: Timestamp, to: Timestamp) -> Self {
        Self { from, to }
    }

    pub fn contains(&self, time: Timestamp) -> bool {
        self.from <= time && time < self.to
    }

    pub fn is_empty(&self) -> bool {
        self.to <= self.from
    }

    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        Self {
            from: self.from.max(other.from),
            to: self.to.min(other.to),
        }
    }
}

/// Disjoint, ascending, none empty, none touching the next.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IntervalSet(Vec<Interval>);

impl IntervalSet {
    pub fn as_slice(&self) -> &[Interval] {
        &self.0
    }

    pub fn contains(&self, time: Timestamp) -> bool {
        self.0.iter().any(|interval| interval.contains(time))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    #[must_use]
    pub fn clipped_to(&self, window: &Interval) -> Self {
        self.0.iter().map(|interval| interval.intersection(window)).collect()
    }

    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        other.0.iter().flat_map(|window| self.clipped_to(window).0).collect()
    }

    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        self.0.iter().chain(&other.0).copied().collect()
    }
}

impl FromIterator<Interval> for IntervalSet {
    fn from_iter<I: IntoIterator<Item = Interval>>(intervals: I) -> Self {
        let mut sorted: Vec<_> = intervals.into_iter().filter(|each| !each.is_empty()).collect();
        sorted.sort_by_key(|interval| interval.from);
        let mut merged: Vec<Interval> = Vec::with_capacity(sorted.len());
        for interval in sorted {
            match merged.last_mut() {
                Some(last) if interval.from <= last.to => last.to = last.to.max(interval.to),
                Some(_) | None => merged.push(interval),
            }
        }
        Self(merged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(from: i64, to: i64) -> Interval {
        Interval::new(Timestamp::from_millis(from), Timestamp::from_millis(to))
    }

    #[test]
    fn the_end_is_outside() {
        assert!(interval(1, 3).contains(Timestamp::from_millis(1)));
        assert!(!interval(1, 3).contains(Timestamp::from_millis(3)));
        assert!(interval(3, 3).is_empty());
    }

    #[test]
    fn touching_and_overlapping_intervals_become_one() {
        let set: IntervalSet = [
            interval(5, 7),
            interval(1, 3),
            interval(3, 4),
            interval(6, 9),
            interval(2, 2),
        ]
        .into_iter()
        .collect();
        assert_eq!(set.as_slice(), [interval(1, 4), interval(5, 9)]);
        assert_eq!(
            set.clipped_to(&interval(3, 6)).as_slice(),
            [interval(3, 4), interval(5, 6)]
        );
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(20_000))]
        #[test]
        fn sets_agree_with_asking_every_instant(
            left in proptest::collection::vec((0i64..30, 0i64..30), 0..6),
            right in proptest::collection::vec((0i64..30, 0i64..30), 0..6),
        ) {
            let make = |pairs: &[(i64, i64)]| pairs.iter().map(|(from, to)| interval(*from, *to)).collect::<IntervalSet>();
            let (a, b) = (make(&left), make(&right));
            for millis in 0..30 {
                let time = Timestamp::from_millis(millis);
                let in_left = left.iter().any(|(from, to)| interval(*from, *to).contains(time));
                let in_right = right.iter().any(|(from, to)| interval(*from, *to).contains(time));
                proptest::prop_assert_eq!(a.contains(time), in_left);
                proptest::prop_assert_eq!(a.union(&b).contains(time), in_left || in_right);
                proptest::prop_assert_eq!(a.intersection(&b).contains(time), in_left && in_right);
            }
        }
    }
}
