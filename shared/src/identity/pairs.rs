//! What two customers' records weigh against each other, and which of some are one person.
//!
//! Owns the odds of a pair and the clustering of a connected set. Pure; both what is kept up to date and what is made from
//! scratch ask here.

use std::{cmp::Reverse, collections::BTreeMap, sync::OnceLock};

use super::{
    rules::Rules,
    unit::{Unit, apart, clash},
};
use crate::{
    id::Fingerprint,
    matching::{
        self, Bits, Model, Score, Sketch, Sought, Subject, Weigher, cluster, compare_beside,
    },
};

/// A customer by identifiers with what is compared of it, taken apart once.
#[derive(Debug)]
pub struct Held {
    unit: Unit,
    subject: Subject,
    keys: OnceLock<Vec<u64>>,
    sketch: OnceLock<Sketch>,
}

impl Held {
    /// Takes one apart.
    #[must_use]
    pub fn new(unit: Unit) -> Self {
        Self {
            subject: unit.subject(),
            keys: OnceLock::new(),
            sketch: OnceLock::new(),
            unit,
        }
    }

    /// The customer.
    #[must_use]
    pub fn unit(&self) -> &Unit {
        &self.unit
    }

    /// The record that is compared.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// The keys under which it may meet another, sorted. A number in common was judged as an identifier already: two that have it
    /// and are two stay two by it.
    #[must_use]
    pub fn keys(&self) -> &[u64] {
        self.keys
            .get_or_init(|| matching::keys_beside(&self.subject))
    }

    /// What most others are told from it by.
    #[must_use]
    pub fn sketch(&self) -> Sketch {
        *self.sketch.get_or_init(|| Sketch::of(&self.subject))
    }
}

impl PartialEq for Held {
    /// All of it follows from the customer.
    fn eq(&self, other: &Self) -> bool {
        self.unit == other.unit
    }
}

/// Weighs pairs by the rules.
pub(super) struct Scale<'a> {
    pub rules: &'a Rules,
    weigher: Weigher<'a>,
    model: &'a Model,
    /// How much less probable one person is among so many than among those the weights are of.
    prior: Bits,
}

impl<'a> Scale<'a> {
    pub fn new(rules: &'a Rules) -> Self {
        let model = rules.matching.model.model();
        let prior = model.prior(rules.matching.population);
        Self {
            rules,
            weigher: Weigher::new(model, prior),
            model,
            prior,
        }
    }

    /// The logarithm of the odds that two are one person, constraints left out of account.
    pub fn odds(&self, one: &Subject, other: &Subject) -> Bits {
        let pattern = compare_beside(one, other);
        self.model.odds_among(one, other, &pattern, self.prior)
    }

    /// The same, taken apart.
    pub fn score(&self, one: &Subject, other: &Subject) -> Score {
        let pattern = compare_beside(one, other);
        self.model.score(one, other, &pattern, self.prior)
    }

    /// Prepares to seek others than one.
    pub fn seek(&self, one: &Held) -> Sought {
        self.weigher.seek(&one.subject)
    }

    /// Whether one of which only a sketch is known may be worth asking about.
    pub fn may_be_edge(&self, sought: &Sought, other: &Sketch) -> bool {
        let ask = self.rules.matching.bands.ask;
        self.weigher.may_reach(sought, other, ask)
    }

    /// The odds of two, where they are worth asking about and nothing contradicts.
    pub fn edge(&self, one: &Held, other: &Held) -> Option<Bits> {
        let ask = self.rules.matching.bands.ask;
        let odds = self.weigher.odds_from(&one.subject, &other.subject, ask)?;
        clash(&one.unit, &other.unit).is_none().then_some(odds)
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
