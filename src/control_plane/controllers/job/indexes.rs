//! Sets of completion indexes, as a Job's status keeps them: `0-4,7`.
//!
//! Upstream: `orderedIntervals` in `pkg/controller/job/indexed_job_utils.go`.

use std::fmt;

/// Intervals, ends included, in order, with gaps between them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Indexes(Vec<(i32, i32)>);

impl Indexes {
    /// Reads what a status says; what is not below `completions` (any more) is left out, and what cannot be
    /// read too.
    pub(super) fn parse(text: &str, completions: i32) -> Self {
        let mut indexes = Self::default();
        for interval in text.split(',') {
            let (first, last) = interval.split_once('-').unwrap_or((interval, interval));
            let (Ok(first), Ok(last)) = (first.parse::<i32>(), last.parse::<i32>()) else {
                continue;
            };
            if first < completions && first <= last {
                indexes.push((first, last.min(completions - 1)));
            }
        }
        indexes
    }

    /// Of indexes in increasing order.
    pub(super) fn of(ordered: impl IntoIterator<Item = i32>) -> Self {
        let mut indexes = Self::default();
        ordered.into_iter().for_each(|index| indexes.push((index, index)));
        indexes
    }

    /// Adds an interval that begins no earlier than the last one.
    fn push(&mut self, interval: (i32, i32)) {
        match self.0.last_mut() {
            Some(last) if interval.0 <= last.1 + 1 => last.1 = last.1.max(interval.1),
            _ => self.0.push(interval),
        }
    }

    pub(super) fn merge(&self, other: &Self) -> Self {
        let mut all: Vec<_> = self.0.iter().chain(&other.0).copied().collect();
        // Two runs that are sorted already: as good as a merge.
        all.sort();
        let mut merged = Self::default();
        all.into_iter().for_each(|interval| merged.push(interval));
        merged
    }

    pub(super) fn total(&self) -> i32 {
        self.0.iter().map(|(first, last)| last - first + 1).sum()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn has(&self, index: i32) -> bool {
        let at = self.0.partition_point(|(_, last)| *last < index);
        self.0.get(at).is_some_and(|(first, _)| *first <= index)
    }

    /// The indexes below `completions` that are not in the set, in order.
    pub(super) fn missing(&self, completions: i32) -> impl Iterator<Item = i32> {
        let ends = self.0.iter().map(|(_, last)| last + 1);
        let starts = self.0.iter().map(|(first, _)| *first);
        let gaps = std::iter::once(0).chain(ends).zip(starts.chain([completions]));
        gaps.flat_map(move |(from, to)| from..to.min(completions))
    }

    /// How many indexes are in both.
    pub(super) fn shared(&self, other: &Self) -> i32 {
        let (mut at, mut against, mut count) = (0, 0, 0);
        while let (Some(one), Some(two)) = (self.0.get(at), other.0.get(against)) {
            count += (one.1.min(two.1) - one.0.max(two.0) + 1).max(0);
            if one.1 < two.1 { at += 1 } else { against += 1 }
        }
        count
    }
}

impl fmt::Display for Indexes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (first, last)) in self.0.iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            match last - first {
                0 => write!(f, "{comma}{first}")?,
                1 => write!(f, "{comma}{first},{last}")?,
                _ => write!(f, "{comma}{first}-{last}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sets_are_read_and_written_as_upstream_does() {
        let check = |text: &str, completions: i32, expect: &str| {
            assert_eq!(Indexes::parse(text, completions).to_string(), expect);
        };
        check("", 9, "");
        check("0,1,2,4-6,8", 9, "0-2,4-6,8");
        check("0,1,4-8", 6, "0,1,4,5");
        check("x,3", 9, "3");
        let rule = Indexes::parse("0,2-4", 9);
        assert_eq!(rule.shared(&Indexes::parse("2,3,5", 9)), 2);
    }

    proptest! {
        #[test]
        fn they_are_sets(
            one in proptest::collection::btree_set(0..40, 0..30),
            two in proptest::collection::btree_set(0..40, 0..30),
        ) {
            let (a, b) = (Indexes::of(one.clone()), Indexes::of(two.clone()));
            let both = a.merge(&b);
            prop_assert_eq!(&Indexes::parse(&both.to_string(), 40), &both);
            prop_assert_eq!(&both, &Indexes::of(one.union(&two).copied()));
            prop_assert_eq!(a.shared(&b) as usize, one.intersection(&two).count());
            prop_assert_eq!(a.total() as usize, one.len());
            for index in 0..40 {
                prop_assert_eq!(a.has(index), one.contains(&index));
            }
            let missing: Vec<i32> = a.missing(35).collect();
            let expect: Vec<i32> = (0..35).filter(|index| !one.contains(index)).collect();
            prop_assert_eq!(missing, expect);
        }
    }
}
