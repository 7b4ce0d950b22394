//! Everything from scratch: the groups of a set of records, as a function of the set.
//!
//! Owns which pairs are weighed. What is kept up to date record by record must equal this.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Bits, Model, Subject, cluster::cluster, compare, keys};

/// What is done at which odds. Unit: thousandths of a bit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bands {
    /// From here on a person is asked.
    pub ask: Bits,
    /// From here on two records are one person's.
    pub link: Bits,
}

/// Most records under one key that are compared with each other. A value of more tells nobody apart.
pub const HOLDERS_MAX: usize = 100;

/// The pairs worth weighing: those that share a key which is not everybody's. Positions, the smaller first.
#[must_use]
pub fn candidates(subjects: &[Subject]) -> BTreeSet<(usize, usize)> {
    let mut holders: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for (at, subject) in subjects.iter().enumerate() {
        for key in keys(subject) {
            holders.entry(key).or_default().push(at);
        }
    }
    let mut pairs = BTreeSet::new();
    for holders in holders.into_values().filter(|one| one.len() <= HOLDERS_MAX) {
        for (nth, one) in holders.iter().enumerate() {
            pairs.extend(holders.iter().skip(nth + 1).map(|other| (*one, *other)));
        }
    }
    pairs
}

/// The groups of positions, each ascending. `apart` says whether two groups contradict each other.
#[must_use]
pub fn group(
    subjects: &[Subject],
    model: &Model,
    bands: Bands,
    apart: &dyn Fn(&[usize], &[usize]) -> bool,
) -> Vec<Vec<usize>> {
    let odds = |one: usize, other: usize| {
        let (one, other) = (&subjects[one], &subjects[other]);
        model.odds(one, other, &compare(one, other))
    };
    let edges: Vec<(usize, usize, Bits)> = candidates(subjects)
        .into_iter()
        .map(|(one, other)| (one, other, odds(one, other)))
        .filter(|(.., odds)| *odds >= bands.link)
        .collect();
    cluster(subjects.len(), &edges, &odds, apart, bands.link)
}
