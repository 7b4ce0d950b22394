//! Sets of numbers that come in runs: pure, and small however many numbers there are.

use std::collections::BTreeMap;

use trenza_shared::id::Seq;

/// A set of numbers.
#[derive(Clone, Default, Debug, PartialEq, Eq)]
pub struct Runs(BTreeMap<Seq, Seq>);

impl Runs {
    /// Adds all numbers from `first` to `last`; gives how many of them are new.
    pub fn add(&mut self, first: Seq, last: Seq) -> u64 {
        if first > last {
            return 0;
        }
        let (mut from, mut to, mut known) = (first, last, 0);
        // Runs that touch it become one with it; the last one that begins before it is the only one that may reach into it from below.
        let below = self.0.range(..=first).next_back().map(|(from, _)| *from);
        let start = below.unwrap_or(first);
        let touched: Vec<(Seq, Seq)> = self
            .0
            .range(start..=last.saturating_add(1))
            .map(|(from, to)| (*from, *to))
            .filter(|(_, to)| to.saturating_add(1) >= first)
            .collect();
        for (run_from, run_to) in touched {
            self.0.remove(&run_from);
            if run_from <= last && run_to >= first {
                known += run_to.min(last) - run_from.max(first) + 1;
            }
            (from, to) = (from.min(run_from), to.max(run_to));
        }
        self.0.insert(from, to);
        last - first + 1 - known
    }

    /// The runs, ascending: first and last of each.
    pub fn iter(&self) -> impl Iterator<Item = (Seq, Seq)> {
        self.0.iter().map(|(from, to)| (*from, *to))
    }

    /// How many of the numbers from 1 to `last` are in it.
    pub fn count_to(&self, last: Seq) -> u64 {
        let runs = self.0.range(..=last);
        runs.map(|(from, to)| (*to).min(last) - (*from).max(1) + 1)
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_set_of_runs_counts_as_a_set_of_numbers_does(
            runs in proptest::collection::vec((1u64..60, 0u64..12), 0..40), upto in 1u64..80,
        ) {
            let (mut set, mut numbers) = (Runs::default(), BTreeSet::new());
            for (first, more) in runs {
                let before = numbers.len();
                numbers.extend(first..=first + more);
                prop_assert_eq!(set.add(first, first + more), (numbers.len() - before) as u64);
            }
            prop_assert_eq!(set.count_to(upto), numbers.range(..=upto).count() as u64);
            // No two runs of it touch each other.
            let runs: Vec<_> = set.0.iter().collect();
            prop_assert!(runs.windows(2).all(|pair| pair[0].1 + 1 < *pair[1].0));
        }
    }
}
