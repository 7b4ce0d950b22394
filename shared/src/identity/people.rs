//! Which customers are one person by what their records agree on: everything from scratch.
//!
//! Owns the definition, a pure function of the *set* of customers by identifiers and the rules; what is kept up to date must
//! equal it. Never undoes what identifiers say, and links nobody against a contradiction.
//!
//! Customers meet under match keys that few share ([`Matching::holders_max`](super::Matching)). A pair of them whose odds reach
//! the *ask* band and who do not contradict each other is an edge. What edges of the *link* band connect is clustered by constrained average
//! linkage, unless it is more than [`Matching::members_max`](super::Matching): then nobody in it is linked. The surest edge
//! between two persons who could be one is a question.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use serde::{Deserialize, Serialize};

use super::{
    grouping::{Component, Group},
    pairs::{Held, Scale, Surest},
    rules::Rules,
    unit::{Unit, apart},
};
use crate::{id::Fingerprint, matching::Bits};

/// Two persons who may be one, for somebody to decide. In the order of the list: the surest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Question {
    /// The logarithm of the odds that they are one.
    pub odds: Reverse<Bits>,
    /// A customer by identifiers of the one person, by seed; the smaller.
    pub one: Fingerprint,
    /// One of the other person.
    pub other: Fingerprint,
}

/// What matching makes of customers.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct People {
    /// Persons of several customers, each by their seeds, sorted.
    pub persons: BTreeSet<Vec<Fingerprint>>,
    /// Whom to ask about.
    pub questions: BTreeSet<Question>,
}

/// Joins the customers who are one person.
#[must_use]
pub fn people(units: &[Unit], rules: &Rules) -> People {
    if !rules.matching.on {
        return People::default();
    }
    let scale = Scale::new(rules);
    let mut held: Vec<Held> = units.iter().cloned().map(Held::new).collect();
    held.sort_by_key(|one| one.unit().seed);
    let mut holders: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for (at, one) in held.iter().enumerate() {
        for key in one.keys() {
            holders.entry(*key).or_default().push(at);
        }
    }
    let mut edges: BTreeMap<(usize, usize), Bits> = BTreeMap::new();
    for holders in holders.into_values() {
        if holders.len() <= rules.matching.holders_max {
            for (nth, one) in holders.iter().enumerate() {
                for other in &holders[nth + 1..] {
                    let odds = scale.edge(&held[*one], &held[*other]);
                    edges.extend(odds.map(|odds| ((*one, *other), odds)));
                }
            }
        }
    }
    let mut people = People::default();
    let linking = |odds: &Bits| *odds >= rules.matching.bands.link;
    for part in parts(
        held.len(),
        edges
            .iter()
            .filter(|(_, odds)| linking(odds))
            .map(|(pair, _)| *pair),
    ) {
        if part.len() > rules.matching.members_max {
            continue;
        }
        let members: Vec<&Held> = part.iter().map(|at| &held[*at]).collect();
        let place = |at: &usize| part.binary_search(at).ok();
        let inner: Vec<(usize, usize, Bits)> = edges
            .iter()
            .filter(|(_, odds)| linking(odds))
            .filter_map(|((one, other), odds)| Some((place(one)?, place(other)?, *odds)))
            .collect();
        people.persons.extend(scale.persons(&members, &inner));
    }
    let mut person_of: Vec<Vec<Fingerprint>> =
        held.iter().map(|one| vec![one.unit().seed]).collect();
    for person in &people.persons {
        for (at, one) in held.iter().enumerate() {
            if person.contains(&one.unit().seed) {
                person_of[at].clone_from(person);
            }
        }
    }
    let mut surest: BTreeMap<&Vec<Fingerprint>, Surest> = BTreeMap::new();
    for ((one, other), odds) in &edges {
        let (ours, theirs) = (&person_of[*one], &person_of[*other]);
        if ours != theirs {
            let (ours, theirs) = (ours.min(theirs), ours.max(theirs));
            let of = surest.entry(ours).or_default();
            of.note(
                theirs,
                held[*one].unit().seed,
                held[*other].unit().seed,
                *odds,
            );
        }
    }
    let units = |person: &[Fingerprint]| -> Vec<&Unit> {
        let of = held.iter().map(Held::unit);
        of.filter(|unit| person.contains(&unit.seed)).collect()
    };
    for (ours, surest) in surest {
        for (theirs, (odds, one, other)) in surest.into_pairs() {
            if !apart(&units(ours), &units(&theirs), rules) {
                let odds = Reverse(odds);
                people.questions.insert(Question { odds, one, other });
            }
        }
    }
    people
}

/// The connected parts of 0..`count`, each ascending, of at least two.
fn parts(count: usize, edges: impl Iterator<Item = (usize, usize)>) -> Vec<Vec<usize>> {
    let mut parent: Vec<usize> = (0..count).collect();
    fn root(parent: &[usize], mut at: usize) -> usize {
        while parent[at] != at {
            at = parent[at];
        }
        at
    }
    for (one, other) in edges {
        let (one, other) = (root(&parent, one), root(&parent, other));
        parent[one.max(other)] = one.min(other);
    }
    let mut parts: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for at in 0..count {
        parts.entry(root(&parent, at)).or_default().push(at);
    }
    parts.into_values().filter(|part| part.len() > 1).collect()
}

/// The persons as groups of nodes, by seed: those of the components, joined as `people` says.
#[must_use]
pub fn whole_group(components: &[Component], people: &People) -> Vec<Group> {
    let mut groups: BTreeMap<Fingerprint, Group> = components
        .iter()
        .flat_map(|component| &component.groups)
        .map(|group| (group.seed, group.clone()))
        .collect();
    for person in &people.persons {
        let parts: Vec<Group> = person
            .iter()
            .filter_map(|seed| groups.remove(seed))
            .collect();
        groups.extend(Group::joined(&parts).map(|group| (group.seed, group)));
    }
    groups.into_values().collect()
}
