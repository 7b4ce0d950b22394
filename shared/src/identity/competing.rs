//! What speaks against a person being one, though it is one by the rules.
//!
//! Owns finding it, within named limits. Reads the graph, changes nothing. Whatever it finds, the person stays one: it is for people to
//! judge.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    chain::{Evidence, Step},
    decisions::Decisions,
    graph::{Graph, person_of},
    grouping::{Clash, Group, SharedWhy},
    payload::Node,
    rules::{Class, Rules},
    why::{HOLDERS_MAX, name_clash, values},
};
use crate::{id::Fingerprint, identifier::Identifier, matching::Score};

/// Most values of a chain whose other holders are looked for.
const VALUES_MAX: usize = 16;
/// Most of the others that hold one value who are named.
pub const CUSTOMERS_MAX: usize = 10;
/// Most decisions and most contradictions of one kind that are told.
const TOLD_MAX: usize = 8;

/// Something that speaks against a person being one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Competing {
    /// Values, names, or birthdays that stand against each other inside the person, or a decision that parts two values of it, or one of the
    /// chain from another's.
    Clash(Clash),
    /// Two dates of birth. As ISO dates, or as digits of one.
    Birthdays {
        /// The earlier.
        one: String,
        /// The later.
        other: String,
    },
    /// What the records of a step do not agree on.
    Unlike(Score),
    /// Others hold a value of the chain.
    Held(Box<Others>),
}

/// Who else holds a value.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Others {
    /// The value.
    pub value: Identifier,
    /// Why it does not link them all; none where it says nothing of its own, as a cookie of another time.
    pub why: Option<SharedWhy>,
    /// How many other customers hold it.
    pub count: usize,
    /// Whether there may be more of them than were counted.
    pub more: bool,
    /// Seeds of the earliest of them, at most [`CUSTOMERS_MAX`].
    pub customers: Vec<Fingerprint>,
}

/// What speaks against a person being one, given its nodes and the chain between two of its values; of no chain, the values asked for.
///
/// # Errors
/// Those of the store.
pub fn competing<G: Graph>(
    graph: &G,
    (person, nodes): (&Group, &[Node]),
    (steps, asked): (&[Step], &[Identifier]),
    decisions: &Decisions,
    rules: &Rules,
) -> Result<Vec<Competing>, G::Error> {
    let own = values(nodes, decisions);
    let ends = steps.iter().flat_map(|step| [&step.from, &step.to]);
    let passed: BTreeSet<&Identifier> = match steps {
        [] => asked.iter().collect(),
        _ => ends.collect(),
    };
    let mut found: Vec<Competing> = exclusives(&own, rules)
        .chain(name_clash(nodes, nodes))
        .chain(decided(&own, &passed, decisions))
        .map(Competing::Clash)
        .collect();
    let is_told = |one: &Competing| matches!(one, Competing::Clash(Clash::Births { .. }));
    if !found.iter().any(is_told) {
        found.extend(birthdays(nodes));
    }
    for step in steps {
        if let Evidence::Match(score) = &step.evidence
            && score.terms.iter().any(|term| term.bits < 0)
        {
            found.push(Competing::Unlike(score.clone()));
        }
    }
    for value in passed.into_iter().take(VALUES_MAX) {
        let others = others(graph, person, value)?;
        found.extend(others.map(|others| Competing::Held(Box::new(others))));
    }
    Ok(found)
}

/// Pairs of values of which a person has at most one.
fn exclusives(own: &BTreeSet<&Identifier>, rules: &Rules) -> impl Iterator<Item = Clash> {
    let mut first: BTreeMap<_, &Identifier> = BTreeMap::new();
    let mut clashes = Vec::new();
    for value in own {
        if rules.rule(value.kind).class != Class::Exclusive {
            continue;
        }
        match first.get(&(value.kind, &value.scope)) {
            None => {
                first.insert((value.kind, &value.scope), value);
            }
            Some(one) => clashes.push(Clash::Exclusive {
                one: (*one).clone(),
                other: (*value).clone(),
            }),
        }
    }
    clashes.into_iter().take(TOLD_MAX)
}

/// Decisions that part two values of the person, first, or one that the chain passes from another's.
fn decided(
    own: &BTreeSet<&Identifier>,
    passed: &BTreeSet<&Identifier>,
    decisions: &Decisions,
) -> impl Iterator<Item = Clash> {
    let pairs = decisions.active().not_same().iter();
    let mut touching: Vec<(bool, Clash)> = pairs
        .filter_map(|((one, other), id)| {
            let both = own.contains(one) && own.contains(other);
            let clash = Clash::Decision {
                id: *id,
                one: one.clone(),
                other: other.clone(),
            };
            (both || passed.contains(one) || passed.contains(other)).then_some((!both, clash))
        })
        .collect();
    touching.sort_unstable();
    touching.into_iter().map(|(_, clash)| clash).take(TOLD_MAX)
}

fn birthdays(nodes: &[Node]) -> Option<Competing> {
    let born = nodes.iter().filter_map(|node| {
        let person = &node.payload.person;
        person.birthday.as_ref().or(person.birth_digits.as_ref())
    });
    // What was written without signs is the same date with them.
    let born: BTreeMap<String, &String> = born.map(|date| (date.replace('-', ""), date)).collect();
    let mut dates = born.into_values();
    let (one, other) = (dates.next()?, dates.next_back()?);
    Some(Competing::Birthdays {
        one: one.clone(),
        other: other.clone(),
    })
}

fn others<G: Graph>(
    graph: &G,
    person: &Group,
    value: &Identifier,
) -> Result<Option<Others>, G::Error> {
    let holders = graph.holders(value, None, HOLDERS_MAX)?;
    let more = holders.len() == HOLDERS_MAX;
    let mut found: Vec<Group> = Vec::new();
    for holder in holders {
        if person.has(&holder) || found.iter().any(|group| group.has(&holder)) {
            continue;
        }
        found.extend(person_of(graph, &holder)?);
    }
    found.sort_by_key(|group| (group.seed_at_ms, group.seed));
    let mut keys = std::iter::once(person)
        .chain(&found)
        .filter_map(|group| group.shared_key(value));
    let why = keys.next().map(|key| key.why.clone());
    let customers = found.iter().take(CUSTOMERS_MAX).map(|group| group.seed);
    Ok((!found.is_empty()).then(|| Others {
        value: value.clone(),
        why,
        count: found.len(),
        more,
        customers: customers.collect(),
    }))
}
