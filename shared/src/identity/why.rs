//! Why two values are one person's, or are not.
//!
//! Owns the way from two ends to the answer, and what keeps two apart. Reads the graph, changes nothing. The steps are in `chain`, what
//! speaks against them in `competing`, the words in `sentence`.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use super::{
    chain::{Step, bridges, chain, keys},
    cluster::{shown, unlike},
    competing::{Competing, competing},
    decisions::Decisions,
    graph::{Graph, person_of},
    grouping::{Clash, Group, SharedKey},
    pairs::{Held, Scale},
    payload::Node,
    rules::{Class, Rules},
};
use crate::{
    id::Fingerprint,
    identifier::Identifier,
    matching::{Bits, Score},
    person::Person,
};

/// Most holders of one value that an explanation looks at.
pub const HOLDERS_MAX: usize = 256;
/// Most customers by identifiers of one person whose records an explanation compares.
const SCORED_MAX: usize = 32;
/// Most full names of one person that an explanation compares with another's.
const NAMES_MAX: usize = 64;
/// Most values of a customer from which a chain is tried.
const CANDIDATES_MAX: usize = 8;

/// One end of a question.
#[derive(Clone, Debug)]
pub enum End {
    /// A value: what its text may mean, the likeliest first.
    Value(Vec<Identifier>),
    /// A customer, by one of its fingerprints.
    Customer {
        /// Whose id was given.
        member: Fingerprint,
        /// The customer.
        group: Group,
    },
}

/// The answer with whom it is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Explanation {
    /// The bare answer.
    pub why: Why,
    /// The one person, or the two; nobody where an end is nobody's.
    pub persons: Vec<Group>,
    /// What speaks against their being one person, where they are.
    pub competing: Vec<Competing>,
}

/// The answer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// One person, by the shortest chain of evidence. Empty when both are the same value.
    Linked(Vec<Step>),
    /// Several persons, and all that is known to keep them apart; never empty.
    Apart(Vec<Apart>),
}

/// What keeps two values apart.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Apart {
    /// Nobody holds this value.
    Unknown(Identifier),
    /// The rules leave this value out: it is evidence of nothing, whoever has it.
    Blocked {
        /// The value.
        value: Identifier,
        /// Whether its whole kind is left out, and not this value of it.
        kind: bool,
    },
    /// Their persons contradict each other.
    Clash(Clash),
    /// Both hold a value that links nobody, or not them.
    Shared(SharedKey),
    /// Both hold a value, each on another side of a person, and it links only inside one.
    Side(Identifier),
    /// No value connects them.
    NothingInCommon,
    /// Their records do not agree enough.
    Unlike {
        /// The surest pair of records.
        score: Score,
        /// The odds from which they would be one.
        link: Bits,
    },
}

/// What the records of two customers by identifiers agree on; none when one cannot be compared.
///
/// # Errors
/// Those of the store.
pub fn compared<G: Graph>(
    graph: &G,
    one: &Fingerprint,
    other: &Fingerprint,
    rules: &Rules,
) -> Result<Option<Score>, G::Error> {
    let (Some(one), Some(other)) = (graph.unit(one)?, graph.unit(other)?) else {
        return Ok(None);
    };
    let scale = Scale::new(rules);
    Ok(Some(scale.score(one.subject(), other.subject())))
}

/// What the records of two persons agree on at best; none when the rules do not match, or nothing can be compared.
///
/// # Errors
/// Those of the store.
pub fn nearest<G: Graph>(
    graph: &G,
    one: &Group,
    other: &Group,
    rules: &Rules,
) -> Result<Option<Apart>, G::Error> {
    if !rules.matching.on {
        return Ok(None);
    }
    let scale = Scale::new(rules);
    let held = |person: &Group| -> Result<Vec<Arc<Held>>, G::Error> {
        let parts = graph.matched(&person.seed)?;
        let parts = parts.unwrap_or_else(|| vec![person.seed]);
        let mut held = Vec::new();
        for part in parts.iter().take(SCORED_MAX) {
            held.extend(graph.unit(part)?);
        }
        Ok(held)
    };
    let (ours, theirs) = (held(one)?, held(other)?);
    let pairs = ours.iter().flat_map(|a| theirs.iter().map(move |b| (a, b)));
    let best = pairs
        .map(|(a, b)| scale.score(a.subject(), b.subject()))
        .max();
    Ok(best.map(|score| Apart::Unlike {
        score,
        link: rules.matching.bands.link,
    }))
}

/// Explains why two ends are one person, or are not. Of several customers that hold a shared value, `within` is meant, if it is one of
/// them.
///
/// # Errors
/// Those of the store.
pub fn why<G: Graph>(
    graph: &G,
    within: Option<&Group>,
    (from, to): (&End, &End),
    decisions: &Decisions,
    rules: &Rules,
) -> Result<Explanation, G::Error> {
    let mut ours = customers(graph, from, within)?;
    let mut theirs = customers(graph, to, within)?;
    let apart = |reasons, persons| Explanation {
        why: Why::Apart(reasons),
        persons,
        competing: Vec::new(),
    };
    let missing = [(from, &ours), (to, &theirs)]
        .into_iter()
        .filter(|(_, groups)| groups.is_empty());
    // Of one value with itself once.
    let missing: BTreeSet<Apart> = missing
        .filter_map(|(end, _)| match end {
            End::Value(values) => values.first().map(|value| nobodys(value, rules)),
            End::Customer { .. } => None,
        })
        .collect();
    if !missing.is_empty() {
        return Ok(apart(missing.into_iter().collect(), Vec::new()));
    }
    // Each has a customer of its own, as somebody decided: what holds both at once says nothing, unless it is asked about itself.
    let is_within = |group: &Group| within.is_some_and(|within| within.seed == group.seed);
    let asks_itself = ours.iter().any(is_within) && theirs.iter().any(is_within);
    if let (End::Value(one), End::Value(other)) = (from, to)
        && !asks_itself
        && parted(decisions, one, other)
        && let Some((one, other)) = alone(&ours, &theirs).zip(alone(&theirs, &ours))
    {
        (ours, theirs) = (vec![one], vec![other]);
    }
    let is_theirs = |group: &&Group| theirs.iter().any(|other| other.seed == group.seed);
    if let Some(person) = ours.iter().find(is_theirs) {
        let nodes = nodes(graph, person)?;
        let bridges = bridges(graph, person, rules)?;
        let (starts, ends) = (
            candidates(&nodes, person, from),
            candidates(&nodes, person, to),
        );
        let pairs = starts
            .iter()
            .flat_map(|one| ends.iter().map(move |other| (one, other)));
        let chains =
            pairs.filter_map(|(one, other)| chain(&nodes, person, &bridges, one, other, decisions));
        let steps = chains.min_by_key(Vec::len).unwrap_or_default();
        let competing = competing(graph, (person, &nodes), (&steps, &starts), decisions, rules)?;
        return Ok(Explanation {
            why: Why::Linked(steps),
            persons: vec![person.clone()],
            competing,
        });
    }
    let (Some(one), Some(other)) = (ours.first(), theirs.first()) else {
        return Ok(apart(vec![Apart::NothingInCommon], Vec::new()));
    };
    let mut reasons = between(
        (one, &nodes(graph, one)?),
        (other, &nodes(graph, other)?),
        decisions,
        rules,
    );
    reasons.extend(nearest(graph, one, other, rules)?);
    Ok(apart(reasons, vec![one.clone(), other.clone()]))
}

/// Why a value is nobody's.
#[must_use]
pub fn nobodys(value: &Identifier, rules: &Rules) -> Apart {
    match rules.blocks(value) {
        true => Apart::Blocked {
            value: value.clone(),
            kind: rules.rule(value.kind).class == Class::Blocked,
        },
        false => Apart::Unknown(value.clone()),
    }
}

/// What keeps two groups apart, given their nodes.
#[must_use]
pub fn between(
    (one, ours): (&Group, &[Node]),
    (other, theirs): (&Group, &[Node]),
    decisions: &Decisions,
    rules: &Rules,
) -> Vec<Apart> {
    let (we, they) = (values(ours, decisions), values(theirs, decisions));
    let mut apart = BTreeSet::new();
    for value in &we {
        if rules.rule(value.kind).class != Class::Exclusive {
            continue;
        }
        let rival = they.iter().find(|rival| {
            rival.kind == value.kind && rival.scope == value.scope && rival != &value
        });
        if let Some(rival) = rival.filter(|rival| !we.contains(*rival) && !they.contains(value)) {
            apart.insert(Apart::Clash(Clash::Exclusive {
                one: (*value).min(*rival).clone(),
                other: (*value).max(*rival).clone(),
            }));
        }
    }
    if let Some(clash) = name_clash(ours, theirs) {
        apart.insert(Apart::Clash(clash));
    }
    for ((a, b), id) in decisions.active().not_same() {
        if (we.contains(a) && they.contains(b)) || (we.contains(b) && they.contains(a)) {
            apart.insert(Apart::Clash(Clash::Decision {
                id: *id,
                one: a.clone(),
                other: b.clone(),
            }));
        }
    }
    for key in one.shared.iter().chain(&other.shared) {
        if we.contains(&key.identifier) && they.contains(&key.identifier) {
            apart.insert(Apart::Shared(key.clone()));
        }
    }
    let across = |from: &BTreeSet<&Identifier>, to: &BTreeSet<&Identifier>| -> Vec<Apart> {
        let inside = from.iter().filter(|value| value.facet().is_some());
        let met = inside.filter(|value| {
            let mut others = to.iter();
            !to.contains(*value)
                && others.any(|other| {
                    other.kind == value.kind
                        && other.value == value.value
                        && other.facet() != value.facet()
                        && other.namespace() == value.namespace()
                })
        });
        met.map(|value| Apart::Side((*value).clone())).collect()
    };
    apart.extend(across(&we, &they));
    apart.extend(across(&they, &we));
    if apart.is_empty() {
        apart.insert(Apart::NothingInCommon);
    }
    apart.into_iter().collect()
}

pub(super) fn values<'a>(nodes: &'a [Node], decisions: &'a Decisions) -> BTreeSet<&'a Identifier> {
    nodes
        .iter()
        .flat_map(|node| keys(node, decisions))
        .collect()
}

/// Two full names, one of each, that cannot be one person's, or two birthdays under one name.
pub(super) fn name_clash(ours: &[Node], theirs: &[Node]) -> Option<Clash> {
    let named = |nodes: &[Node]| -> BTreeMap<(String, Option<String>), Person> {
        let persons = nodes.iter().map(|node| &node.payload.person);
        persons
            .filter(|person| person.full_name().is_some())
            .map(|person| {
                let name = shown(&person.given, &person.surnames);
                ((name, person.birthday.clone()), person.clone())
            })
            .collect()
    };
    let (we, they) = (named(ours), named(theirs));
    let mut pairs = we
        .values()
        .take(NAMES_MAX)
        .flat_map(|one| they.values().take(NAMES_MAX).map(move |other| (one, other)));
    pairs
        .find(|(one, other)| !one.compatible(other))
        .map(unlike)
}

/// Whether somebody decided that two values are two persons'. What holds both at once is then neither's, and links nobody.
#[must_use]
pub fn parted(decisions: &Decisions, ours: &[Identifier], theirs: &[Identifier]) -> bool {
    let not_same = decisions.active().not_same();
    let mut pairs = ours
        .iter()
        .flat_map(|one| theirs.iter().map(move |other| (one, other)));
    pairs.any(|(one, other)| {
        not_same.contains_key(&(one.min(other).clone(), one.max(other).clone()))
    })
}

/// The first of them that is not among the others.
fn alone(ours: &[Group], theirs: &[Group]) -> Option<Group> {
    let is_alone = |one: &&Group| theirs.iter().all(|other| other.seed != one.seed);
    ours.iter().find(is_alone).cloned()
}

/// The customers of an end by event time of the seed, but `within` before all.
fn customers<G: Graph>(
    graph: &G,
    end: &End,
    within: Option<&Group>,
) -> Result<Vec<Group>, G::Error> {
    let values = match end {
        End::Value(values) => values,
        End::Customer { group, .. } => return Ok(vec![group.clone()]),
    };
    let mut found: Vec<Group> = Vec::new();
    let mut more = false;
    for value in values {
        let holders = graph.holders(value, None, HOLDERS_MAX)?;
        more |= holders.len() == HOLDERS_MAX;
        for holder in holders {
            if !found.iter().any(|group| group.has(&holder)) {
                found.extend(person_of(graph, &holder)?);
            }
        }
    }
    let is_within = |group: &Group| within.is_some_and(|within| within.seed == group.seed);
    // However many hold a value, the customer that is asked about is not lost among them.
    if let Some(within) = within.filter(|_| more && !found.iter().any(is_within)) {
        let held = |node: &Node| values.iter().any(|value| node.payload.holds(value));
        if nodes(graph, within)?.iter().any(held) {
            found.push(within.clone());
        }
    }
    found.sort_by_key(|group| (!is_within(group), group.seed_at_ms, group.seed));
    Ok(found)
}

/// The values from which a chain to an end is looked for.
fn candidates(nodes: &[Node], person: &Group, end: &End) -> Vec<Identifier> {
    match end {
        End::Value(values) => {
            let held = |value: &&Identifier| nodes.iter().any(|node| node.payload.holds(value));
            values.iter().filter(held).cloned().collect()
        }
        End::Customer { member, .. } => {
            let own = nodes.iter().filter(|node| node.fingerprint == *member);
            let own = own.flat_map(|node| &node.payload.identifiers);
            own.filter(|value| person.shared_key(value).is_none())
                .take(CANDIDATES_MAX)
                .cloned()
                .collect()
        }
    }
}

fn nodes<G: Graph>(graph: &G, group: &Group) -> Result<Vec<Node>, G::Error> {
    let mut out = Vec::new();
    for member in &group.members {
        out.extend(graph.node(member)?);
    }
    Ok(out)
}
