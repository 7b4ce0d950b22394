//! What the customers that there are teach about matching, without anybody labelling them.
//!
//! Records joined by a value that has one owner are one person's, two customers with different national ids are two: those pairs
//! label themselves. What the others are, expectation maximisation finds out.

use std::collections::BTreeMap;

use super::{
    payload::Node,
    rules::{Class, Rules},
    unit::{Unit, doubtless_two},
};
use crate::matching::{Model, Pattern, Sample, Subject, train};

/// Most records of one customer that are compared with each other.
const RECORDS_MAX: usize = 10;

/// What was seen so far.
#[derive(Default)]
pub struct Lesson {
    sample: Sample,
    subjects: Vec<Subject>,
}

impl Lesson {
    /// One of some customers taken at random, with its records: how often names are, and how one person is written twice.
    pub fn customer(&mut self, unit: &Unit, nodes: &[Node], rules: &Rules) {
        self.subjects.push(unit.subject());
        let records: Vec<(Unit, &Node)> = nodes
            .iter()
            .filter_map(|node| Some((Unit::of_record(node)?, node)))
            .take(RECORDS_MAX)
            .collect();
        for (nth, (one, node)) in records.iter().enumerate() {
            for (other, other_node) in &records[nth + 1..] {
                if share_an_owner(node, other_node, rules) {
                    note(&mut self.sample.same, one.pattern(other));
                }
            }
        }
    }

    /// Two customers taken at random.
    pub fn strangers(&mut self, one: &Unit, other: &Unit) {
        note(&mut self.sample.random, one.pattern(other));
    }

    /// Two customers with a common match key.
    pub fn candidates(&mut self, one: &Unit, other: &Unit) {
        let counts = match doubtless_two(one, other) {
            true => &mut self.sample.apart,
            false => &mut self.sample.candidates,
        };
        note(counts, one.pattern(other));
    }

    /// The weights that fit it all. There are so many customers that can be compared, and of their candidates one in so many was
    /// seen. Where little was seen, `start` holds.
    #[must_use]
    pub fn learned(mut self, records: u64, one_in: u64, start: &Model) -> Model {
        self.sample.records = records;
        let counts = [&mut self.sample.candidates, &mut self.sample.apart];
        for count in counts.into_iter().flat_map(BTreeMap::values_mut) {
            *count = count.saturating_mul(one_in);
        }
        let names = Model::untrained(&self.subjects);
        let start = Model {
            given: names.given,
            surnames: names.surnames,
            rare: names.rare,
            ..start.clone()
        };
        train(&self.sample, &start)
    }

    /// How many pairs were seen: of one person, of two for certain, of either, and at random.
    #[must_use]
    pub fn pairs(&self) -> [u64; 4] {
        let Sample {
            same,
            apart,
            candidates,
            random,
            ..
        } = &self.sample;
        [same, apart, candidates, random].map(|counts| counts.values().sum())
    }
}

fn note(counts: &mut BTreeMap<Pattern, u64>, pattern: Pattern) {
    *counts.entry(pattern).or_default() += 1;
}

/// Whether two records hold one value that a single person owns.
fn share_an_owner(one: &Node, other: &Node, rules: &Rules) -> bool {
    let others = &other.payload.identifiers;
    one.payload.identifiers.iter().any(|value| {
        matches!(
            rules.rule(value.kind).class,
            Class::Exclusive | Class::Owned
        ) && others.contains(value)
    })
}
