//! How right a grouping is.

use std::collections::BTreeMap;

use crate::febrl::Record;

pub struct Quality {
    /// Of the pairs grouped together, those of one person.
    pub precision: f64,
    /// Of the pairs of one person, those grouped together.
    pub recall: f64,
    /// Persons too many in a group, for each thousand groups.
    pub wrong_per_thousand: f64,
}

impl Quality {
    pub fn of(records: &[Record], groups: &[Vec<usize>]) -> Self {
        let mut persons: BTreeMap<&str, u64> = BTreeMap::new();
        for record in records {
            *persons.entry(&record.person).or_default() += 1;
        }
        let (mut together, mut right, mut wrong) = (0, 0, 0);
        for group in groups {
            let mut of: BTreeMap<&str, u64> = BTreeMap::new();
            for member in group {
                *of.entry(&records[*member].person).or_default() += 1;
            }
            together += pairs(group.len() as u64);
            right += of.values().copied().map(pairs).sum::<u64>();
            wrong += of.len() - 1;
        }
        let all: u64 = persons.into_values().map(pairs).sum();
        let share = |part: u64, whole: u64| part as f64 / whole.max(1) as f64;
        Self {
            precision: share(right, together),
            recall: share(right, all),
            wrong_per_thousand: 1000.0 * wrong as f64 / groups.len().max(1) as f64,
        }
    }

    pub fn f1(&self) -> f64 {
        2.0 * self.precision * self.recall / (self.precision + self.recall)
    }
}

fn pairs(count: u64) -> u64 {
    count * count.saturating_sub(1) / 2
}
