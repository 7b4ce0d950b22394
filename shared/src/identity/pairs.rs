//! What two customers' records weigh against each other, and which of some are one person.
//!
//! Owns the odds of a pair and the clustering of a connected set. Pure; both what is kept up to date and what is made from
//! scratch ask here.

use std::{cell::OnceCell, cmp::Reverse, collections::BTreeMap};

use super::{
    rules::Rules,
    unit::{Unit, apart, clash},
};
use crate::{
    id::Fingerprint,
    matching::{Bits, Field, Model, Pattern, Score, Subject, cluster, compare},
};

/// A customer with what is compared of it, taken apart once.
pub(super) struct Held {
    pub unit: Unit,
    pub subject: Subject,
    keys: OnceCell<Vec<u64>>,
}

impl Held {
    pub fn new(unit: Unit) -> Self {
        Self {
            subject: unit.subject(),
            keys: OnceCell::new(),
            unit,
        }
    }

    /// The keys under which it may meet another, sorted.
    pub fn keys(&self) -> &[u64] {
        self.keys.get_or_init(|| self.unit.keys())
    }
}

/// What two records agree on. A value in common was judged as an identifier already: two that hold it and are two stay two by
/// it, so it says nothing here.
pub(super) fn pattern(one: &Subject, other: &Subject) -> Pattern {
    let mut pattern = compare(one, other);
    for field in [Field::Document, Field::Phone, Field::Email] {
        if pattern[field as usize] == 1 {
            pattern[field as usize] = 0;
        }
    }
    pattern
}

/// Weighs pairs by the rules.
pub(super) struct Scale<'a> {
    pub rules: &'a Rules,
    model: &'static Model,
    /// How much less probable one person is among so many than among those the weights are of.
    prior: Bits,
}

impl<'a> Scale<'a> {
    pub fn new(rules: &'a Rules) -> Self {
        let model = rules.matching.model.model();
        Self {
            rules,
            model,
            prior: model.prior(rules.matching.population),
        }
    }

    /// The logarithm of the odds that two are one person, constraints left out of account.
    pub fn odds(&self, one: &Subject, other: &Subject) -> Bits {
        let pattern = pattern(one, other);
        self.model.odds_among(one, other, &pattern, self.prior)
    }

    /// The same, taken apart.
    pub fn score(&self, one: &Subject, other: &Subject) -> Score {
        let pattern = pattern(one, other);
        self.model.score(one, other, &pattern, self.prior)
    }

    /// The same, where they are worth asking about and nothing contradicts.
    pub fn edge(&self, one: &Held, other: &Held) -> Option<Bits> {
        let odds = self.odds(&one.subject, &other.subject);
        (odds >= self.rules.matching.bands.ask && clash(&one.unit, &other.unit).is_none())
            .then_some(odds)
    }

    /// The persons of a connected set: its customers in order of seed, and the pairs (smaller, larger) that may link with their
    /// odds. Positions, ascending; only persons of several customers.
    pub fn persons(
        &self,
        units: &[&Held],
        edges: &[(usize, usize, Bits)],
    ) -> Vec<Vec<Fingerprint>> {
        let odds = |one: usize, other: usize| self.odds(&units[one].subject, &units[other].subject);
        let of = |positions: &[usize]| -> Vec<&Unit> {
            positions.iter().map(|at| &units[*at].unit).collect()
        };
        let apart = |one: &[usize], other: &[usize]| apart(&of(one), &of(other), self.rules);
        let link = self.rules.matching.bands.link;
        let groups = cluster(units.len(), edges, &odds, &apart, link);
        groups
            .into_iter()
            .filter(|group| group.len() > 1)
            .map(|group| group.into_iter().map(|at| units[at].unit.seed).collect())
            .collect()
    }
}

/// Of several pairs between two persons the surest, then the first.
#[derive(Default)]
pub(super) struct Surest(BTreeMap<Vec<Fingerprint>, (Reverse<Bits>, Fingerprint, Fingerprint)>);

impl Surest {
    /// Notes a pair, `theirs` being the other's person.
    pub fn note(
        &mut self,
        theirs: &[Fingerprint],
        one: Fingerprint,
        other: Fingerprint,
        odds: Bits,
    ) {
        let pair = (Reverse(odds), one.min(other), one.max(other));
        match self.0.get_mut(theirs) {
            Some(known) => *known = pair.min(*known),
            None => {
                self.0.insert(theirs.to_vec(), pair);
            }
        }
    }

    /// By the other's person.
    pub fn into_pairs(
        self,
    ) -> impl Iterator<Item = (Vec<Fingerprint>, (Bits, Fingerprint, Fingerprint))> {
        self.0
            .into_iter()
            .map(|(theirs, (odds, one, other))| (theirs, (odds.0, one, other)))
    }
}
