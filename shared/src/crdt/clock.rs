//! What a replica holds of every log: one comparison tells what is missing.
//!
//! Owns version vectors over logs, with ranges beyond the first gap. Positions are a matter of transport: they never enter a derived value.

use std::{collections::BTreeMap, fmt, ops::RangeInclusive};

use crdts::{CmRDT, CvRDT, Dot, VClock};

use super::Join;
use crate::id::{AgentId, Epoch, Lane, Seq};

/// One log: a lane of one life of an agent. The actor of the version vector.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogId {
    /// Whose.
    pub agent: AgentId,
    /// In which life.
    pub epoch: Epoch,
    /// Urgent or not.
    pub lane: Lane,
}

impl fmt::Debug for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.agent, self.epoch, u8::from(self.lane))
    }
}

/// Of every log: all positions from 1 to a head without a gap, and ranges beyond the first gap.
///
/// **Laws.** Union of sets of positions, in their shortest form. Memory follows the number of logs and of gaps, not of events.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct VersionVector {
    contiguous: VClock<LogId>,
    /// First and last position of ranges that neither touch each other nor the contiguous part. Never an empty map.
    beyond: BTreeMap<LogId, BTreeMap<Seq, Seq>>,
}

impl VersionVector {
    /// The replica holds these positions of `log`. Position 0 and a range that ends before it begins hold nothing.
    pub fn insert(&mut self, log: LogId, range: RangeInclusive<Seq>) {
        let (mut first, mut last) = ((*range.start()).max(1), *range.end());
        if first > last {
            return;
        }
        let mut ranges = self.beyond.remove(&log).unwrap_or_default();
        // Take in the range before, when it reaches here, and every range that begins inside or right behind.
        if let Some((&start, &end)) = ranges.range(..=first).next_back()
            && end.saturating_add(1) >= first
        {
            (first, last) = (start, last.max(end));
        }
        while let Some((&start, &end)) = ranges.range(first..=last.saturating_add(1)).next() {
            last = last.max(end);
            ranges.remove(&start);
        }
        let head = self.contiguous.get(&log);
        if first <= head.saturating_add(1) {
            self.contiguous.apply(Dot::new(log, last));
            let head = self.contiguous.get(&log);
            // The old head may already have reached what is not in `ranges` any more; the new one may reach the next.
            while let Some((&start, &end)) = ranges.first_key_value()
                && start <= head.saturating_add(1)
            {
                ranges.remove(&start);
                self.contiguous.apply(Dot::new(log, end));
            }
        } else {
            ranges.insert(first, last);
        }
        if !ranges.is_empty() {
            self.beyond.insert(log, ranges);
        }
    }

    /// The last position of `log` before the first gap; 0 when nothing is held from the start.
    #[must_use]
    pub fn contiguous(&self, log: &LogId) -> Seq {
        self.contiguous.get(log)
    }

    /// Whether the replica holds this position.
    #[must_use]
    pub fn contains(&self, log: &LogId, seq: Seq) -> bool {
        seq > 0
            && (seq <= self.contiguous.get(log)
                || self
                    .beyond
                    .get(log)
                    .and_then(|ranges| ranges.range(..=seq).next_back())
                    .is_some_and(|(_, end)| seq <= *end))
    }

    /// What is held of `log`, as ranges in order that do not touch each other.
    #[must_use]
    pub fn ranges(&self, log: &LogId) -> Vec<RangeInclusive<Seq>> {
        let head = self.contiguous.get(log);
        let beyond = self.beyond.get(log).into_iter().flatten();
        (head > 0)
            .then_some(1..=head)
            .into_iter()
            .chain(beyond.map(|(first, last)| *first..=*last))
            .collect()
    }

    /// Every log of which something is held, sorted.
    #[must_use]
    pub fn logs(&self) -> Vec<LogId> {
        let mut logs: Vec<LogId> = self.contiguous.iter().map(|dot| *dot.actor).collect();
        logs.extend(self.beyond.keys());
        logs.sort_unstable();
        logs.dedup();
        logs
    }

    /// What `other` holds and this replica lacks: what to ask `other` for.
    #[must_use]
    pub fn missing(&self, other: &Self) -> BTreeMap<LogId, Vec<RangeInclusive<Seq>>> {
        let mut missing = BTreeMap::new();
        for log in other.logs() {
            let ours = self.ranges(&log);
            let mut lacking = Vec::new();
            for theirs in other.ranges(&log) {
                let (mut next, last) = theirs.into_inner();
                for held in &ours {
                    if next > last || *held.start() > last {
                        break;
                    }
                    if *held.end() < next {
                        continue;
                    }
                    if *held.start() > next {
                        lacking.push(next..=held.start() - 1);
                    }
                    next = held.end().saturating_add(1);
                }
                if next <= last && !self.contains(&log, last) {
                    lacking.push(next..=last);
                }
            }
            if !lacking.is_empty() {
                missing.insert(log, lacking);
            }
        }
        missing
    }
}

impl Join for VersionVector {
    fn join(&mut self, other: &Self) {
        if self.beyond.is_empty() && other.beyond.is_empty() {
            return self.contiguous.merge(other.contiguous.clone());
        }
        for log in other.logs() {
            for range in other.ranges(&log) {
                self.insert(log, range);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::crdt::laws;

    fn log(n: u8) -> LogId {
        LogId {
            agent: AgentId([n; 16]),
            epoch: 0,
            lane: Lane::Visits,
        }
    }

    fn inserts() -> impl Strategy<Value = Vec<(u8, u64, u64)>> {
        prop::collection::vec((0u8..2, 0u64..24, 0u64..6), 0..12)
    }

    fn vector(inserts: &[(u8, u64, u64)]) -> VersionVector {
        let mut vector = VersionVector::default();
        for (n, first, more) in inserts {
            vector.insert(log(*n), *first..=first + more);
        }
        vector
    }

    fn model(inserts: &[(u8, u64, u64)]) -> BTreeSet<(u8, u64)> {
        let all = inserts
            .iter()
            .flat_map(|(n, first, more)| (*first..=first + more).map(move |seq| (*n, seq)));
        all.filter(|(_, seq)| *seq > 0).collect()
    }

    #[test]
    fn a_filled_gap_moves_the_head() {
        let mut have = VersionVector::default();
        have.insert(log(1), 1..=3);
        have.insert(log(1), 5..=9);
        assert_eq!(have.contiguous(&log(1)), 3);
        assert_eq!(have.ranges(&log(1)), [1..=3, 5..=9]);
        have.insert(log(1), 4..=4);
        assert_eq!(have.contiguous(&log(1)), 9);
        assert!(!have.contains(&log(1), 10) && !have.contains(&log(1), 0));
    }

    #[test]
    fn the_greatest_position_and_an_empty_range_do_no_harm() {
        let mut have = VersionVector::default();
        have.insert(log(1), u64::MAX..=u64::MAX);
        #[allow(clippy::reversed_empty_ranges)]
        have.insert(log(1), 7..=3);
        have.insert(log(1), 0..=0);
        assert_eq!(have.ranges(&log(1)), [u64::MAX..=u64::MAX]);
        assert_eq!(
            VersionVector::default().missing(&have)[&log(1)],
            [u64::MAX..=u64::MAX]
        );
        have.insert(log(1), 0..=u64::MAX);
        assert_eq!(have.contiguous(&log(1)), u64::MAX);
        assert!(have.missing(&have).is_empty());
    }

    proptest! {
        #[test]
        fn the_laws_hold(a in inserts(), b in inserts(), c in inserts()) {
            laws::hold(&vector(&a), &vector(&b), &vector(&c))?;
        }

        #[test]
        fn it_holds_exactly_what_was_put_in_and_misses_exactly_the_rest(a in inserts(), b in inserts()) {
            let (have, theirs) = (vector(&a), vector(&b));
            let (in_have, in_theirs) = (model(&a), model(&b));
            for n in 0..2 {
                for seq in 0..32 {
                    prop_assert_eq!(have.contains(&log(n), seq), in_have.contains(&(n, seq)), "{} {}", n, seq);
                }
                let flat: Vec<u64> = have.ranges(&log(n)).into_iter().flatten().collect();
                prop_assert_eq!(flat, in_have.iter().filter(|(of, _)| *of == n).map(|(_, seq)| *seq).collect::<Vec<_>>());
                let lacking: BTreeSet<u64> = have.missing(&theirs).remove(&log(n)).into_iter().flatten().flatten().collect();
                let expected: BTreeSet<u64> = in_theirs.difference(&in_have).filter(|(of, _)| *of == n).map(|(_, seq)| *seq).collect();
                prop_assert_eq!(lacking, expected);
            }
            let mut turned = b.clone();
            turned.reverse();
            prop_assert_eq!(&vector(&turned), &theirs);
        }
    }
}
