//! Entries that a device gave up before the server had them, since there was no room for visits: what it says of them, and what is
//! then still to be waited for.
//!
//! Owns the rule by which numbers count: one that the server holds is stored, whatever else is said of it; of the others one within a
//! reported range is dropped; the rest waits. So produced = stored + waiting + dropped, always.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::id::{ChainHash, Epoch, Lane, Seq};

/// What there was no room in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    /// The quota of the agent's store.
    Quota,
    /// The disk: less than the floor was free.
    Disk,
}

/// A run of entries that a device deleted. What precedes and what follows it is one chain with it, so the hole is proven to be
/// exactly this large.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Dropped {
    /// Life of the log.
    pub epoch: Epoch,
    /// Which of its logs; one that [yields](Lane::yields).
    pub lane: Lane,
    /// The first number.
    pub first: Seq,
    /// The last.
    pub last: Seq,
    /// Chain before the first.
    pub previous: ChainHash,
    /// Chain after the last.
    pub head: ChainHash,
    /// Why.
    pub reason: Reason,
}

impl Dropped {
    /// A range that can be: of a lane that yields, and not empty.
    pub fn is_sound(&self) -> bool {
        self.lane.yields() && self.first >= 1 && self.first <= self.last
    }
}

/// What of `missing` is within `dropped`, and what is not. Both ascending; those of `missing` do not overlap.
pub fn part(
    missing: &[RangeInclusive<Seq>],
    dropped: &[RangeInclusive<Seq>],
) -> (Vec<RangeInclusive<Seq>>, Vec<RangeInclusive<Seq>>) {
    let (mut lost, mut still) = (Vec::new(), Vec::new());
    for run in missing {
        let mut next = *run.start();
        for hole in dropped {
            let (first, last) = (next.max(*hole.start()), *run.end().min(hole.end()));
            if first > last {
                continue;
            }
            if next < first {
                still.push(next..=first - 1);
            }
            lost.push(first..=last);
            next = last.saturating_add(1);
        }
        if next <= *run.end() {
            still.push(next..=*run.end());
        }
    }
    (lost, still)
}

/// How many numbers runs have that do not overlap.
pub fn count(runs: &[RangeInclusive<Seq>]) -> u64 {
    runs.iter()
        .map(|run| (run.end() + 1).saturating_sub(*run.start()))
        .sum()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// Ascending runs, apart from each other or not.
    fn runs(apart: u64) -> impl Strategy<Value = Vec<RangeInclusive<Seq>>> {
        proptest::collection::vec((apart..9, 0u64..9), 0..9).prop_map(|steps| {
            let mut next = 1;
            let mut run = |(gap, more): (u64, u64)| {
                let first: u64 = next + gap;
                next = first + more + 1;
                first..=first + more
            };
            steps.into_iter().map(&mut run).collect()
        })
    }

    fn numbers(runs: &[RangeInclusive<Seq>]) -> BTreeSet<Seq> {
        runs.iter().cloned().flatten().collect()
    }

    proptest! {
        #[test]
        fn every_missing_number_is_dropped_or_waits_and_none_is_both(missing in runs(0), dropped in runs(0)) {
            let (lost, still) = part(&missing, &dropped);
            let (all, holes) = (numbers(&missing), numbers(&dropped));
            prop_assert_eq!(numbers(&lost), all.intersection(&holes).copied().collect::<BTreeSet<_>>());
            prop_assert_eq!(numbers(&still), all.difference(&holes).copied().collect::<BTreeSet<_>>());
            prop_assert_eq!(count(&lost) + count(&still), all.len() as u64);
            for runs in [&lost, &still] {
                prop_assert!(runs.windows(2).all(|two| two[0].end() < two[1].start()));
            }
        }
    }

    #[test]
    fn only_what_yields_can_be_dropped() {
        let dropped = |lane, first, last| Dropped {
            epoch: 1,
            lane,
            first,
            last,
            previous: ChainHash([0; 32]),
            head: ChainHash([1; 32]),
            reason: Reason::Disk,
        };
        assert!(dropped(Lane::Low, 1, 1).is_sound());
        for wrong in [(Lane::Visits, 1, 9), (Lane::Low, 0, 9), (Lane::Low, 9, 8)] {
            assert!(!dropped(wrong.0, wrong.1, wrong.2).is_sound(), "{wrong:?}");
        }
    }
}
