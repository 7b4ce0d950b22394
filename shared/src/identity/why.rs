//! Why two values are one person's, or are not.
//!
//! Owns the chain of evidence and what stands in its way. Reads the graph, changes nothing. The words are in `sentence`.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use super::{
    cluster::shown,
    decisions::Decisions,
    graph::{Graph, group_of, person_of},
    grouping::{Clash, Group, SharedKey},
    pairs::{Held, Scale},
    payload::Node,
    rules::{Class, Rules},
};
use crate::{
    id::{DecisionId, Fingerprint},
    identifier::Identifier,
    matching::{Bits, Score},
};

/// Most holders of one value that an explanation looks at.
pub const HOLDERS_MAX: usize = 256;
/// Most customers by identifiers of one person whose records an explanation compares.
const SCORED_MAX: usize = 32;
/// Most full names of one person that an explanation compares with another's.
const NAMES_MAX: usize = 64;

/// The answer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// One person, by the shortest chain of evidence. Empty when both are the same value.
    Linked(Vec<Step>),
    /// Several persons, and all that is known to keep them apart; never empty.
    Apart(Vec<Apart>),
}

/// One link of a chain.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Step {
    /// A value.
    pub from: Identifier,
    /// Another of the same person.
    pub to: Identifier,
    /// What says so.
    pub evidence: Evidence,
}

/// What says that two values are one person's.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    /// Events that hold both.
    Node(Fingerprint),
    /// A decision.
    Decision(DecisionId),
    /// What the records of the person agree on.
    Match(Score),
}

/// What keeps two values apart.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Apart {
    /// Nobody holds this value.
    Unknown(Identifier),
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

/// Two customers by identifiers whose records agree enough to be one person.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bridge {
    /// The one.
    pub one: Group,
    /// The other.
    pub other: Group,
    /// By how much.
    pub score: Score,
}

/// What joins the parts of a person that no identifier joins.
///
/// # Errors
/// Those of the store.
pub fn bridges<G: Graph>(
    graph: &G,
    person: &Group,
    rules: &Rules,
) -> Result<Vec<Bridge>, G::Error> {
    let Some(parts) = graph.matched(&person.seed)? else {
        return Ok(Vec::new());
    };
    let scale = Scale::new(rules);
    let mut held = Vec::new();
    for part in &parts {
        if let (Some(unit), Some(group)) = (graph.unit(part)?, group_of(graph, part)?) {
            held.push((unit, group));
        }
    }
    let mut bridges = Vec::new();
    for (nth, (one, ours)) in held.iter().enumerate() {
        for (other, theirs) in &held[nth + 1..] {
            let score = scale.score(one.subject(), other.subject());
            if score.odds >= rules.matching.bands.link {
                bridges.push(Bridge {
                    one: ours.clone(),
                    other: theirs.clone(),
                    score,
                });
            }
        }
    }
    Ok(bridges)
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

/// Explains why the holders of `from` and `to` are one person, or are not.
///
/// # Errors
/// Those of the store.
pub fn why<G: Graph>(
    graph: &G,
    from: &Identifier,
    to: &Identifier,
    decisions: &Decisions,
    rules: &Rules,
) -> Result<Why, G::Error> {
    let (ours, theirs) = (groups(graph, from)?, groups(graph, to)?);
    let unknown: Vec<Apart> = [(from, &ours), (to, &theirs)]
        .into_iter()
        .filter(|(_, groups)| groups.is_empty())
        .map(|(key, _)| Apart::Unknown(key.clone()))
        .collect();
    if !unknown.is_empty() {
        return Ok(Why::Apart(unknown));
    }
    let two = alone(&ours, &theirs).zip(alone(&theirs, &ours));
    let parted = parted(
        decisions,
        std::slice::from_ref(from),
        std::slice::from_ref(to),
    );
    if let Some((one, other)) = two.filter(|_| parted) {
        let (ours, theirs) = (nodes(graph, one)?, nodes(graph, other)?);
        let apart = between((one, &ours), (other, &theirs), decisions, rules);
        return Ok(Why::Apart(apart));
    }
    for (seed, group) in &ours {
        if theirs.contains_key(seed) {
            let (nodes, bridges) = (nodes(graph, group)?, bridges(graph, group, rules)?);
            if let Some(steps) = chain(&nodes, group, &bridges, from, to, decisions) {
                return Ok(Why::Linked(steps));
            }
        }
    }
    let (Some(one), Some(other)) = (ours.values().next(), theirs.values().next()) else {
        return Ok(Why::Apart(vec![Apart::NothingInCommon]));
    };
    let mut apart = between(
        (one, &nodes(graph, one)?),
        (other, &nodes(graph, other)?),
        decisions,
        rules,
    );
    apart.extend(nearest(graph, one, other, rules)?);
    Ok(Why::Apart(apart))
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

/// The shortest chain between two values of one group: fewest steps, then earliest evidence, then smallest hash. Shared values
/// are never passed through. A day's cookie that holds nothing else cannot be told from another day's, so it is one value.
#[must_use]
pub fn chain(
    nodes: &[Node],
    group: &Group,
    bridges: &[Bridge],
    from: &Identifier,
    to: &Identifier,
    decisions: &Decisions,
) -> Option<Vec<Step>> {
    let mut ordered: Vec<&Node> = nodes.iter().collect();
    ordered.sort_by_key(|node| (node.first_at_ms, node.fingerprint));
    let mut holders: BTreeMap<&Identifier, Vec<&Node>> = BTreeMap::new();
    for node in ordered {
        for key in keys(node, decisions) {
            holders.entry(key).or_default().push(node);
        }
    }
    let shared: BTreeSet<&Identifier> = group.shared.iter().map(|key| &key.identifier).collect();
    let (from, _) = holders.get_key_value(from)?;
    let mut came: BTreeMap<&Identifier, Option<(&Identifier, Evidence)>> =
        BTreeMap::from([(*from, None)]);
    let mut used: BTreeSet<Fingerprint> = BTreeSet::new();
    let mut open = VecDeque::from([*from]);
    while let Some(key) = open.pop_front() {
        if key == to {
            break;
        }
        if shared.contains(key) && key != *from {
            continue;
        }
        for node in holders.get(key).into_iter().flatten() {
            if used.insert(node.fingerprint) {
                for next in keys(node, decisions) {
                    came.entry(next).or_insert_with(|| {
                        open.push_back(next);
                        Some((key, Evidence::Node(node.fingerprint)))
                    });
                }
            }
        }
        for (side, bridge) in sides(bridges, holders.get(key).into_iter().flatten()) {
            let over = nodes
                .iter()
                .filter(|node| side.members.contains(&node.fingerprint));
            for next in over.flat_map(|node| &node.payload.identifiers) {
                came.entry(next).or_insert_with(|| {
                    open.push_back(next);
                    Some((key, Evidence::Match(bridge.score.clone())))
                });
            }
        }
        for partner in decisions.active().partners(key) {
            let pair = (key.min(partner).clone(), key.max(partner).clone());
            let decided = decisions.active().same().get(&pair);
            if let (Some(id), Some((partner, _))) = (decided, holders.get_key_value(partner)) {
                came.entry(partner).or_insert_with(|| {
                    open.push_back(partner);
                    Some((key, Evidence::Decision(*id)))
                });
            }
        }
    }
    let mut steps = Vec::new();
    let mut at = to;
    while let Some((before, evidence)) = came.get(at)? {
        steps.push(Step {
            from: (*before).clone(),
            to: at.clone(),
            evidence: evidence.clone(),
        });
        at = before;
    }
    steps.reverse();
    Some(steps)
}

/// The far sides of the bridges that begin at some nodes.
fn sides<'a, 'n>(
    bridges: &'a [Bridge],
    nodes: impl Iterator<Item = &'n &'n Node> + Clone,
) -> impl Iterator<Item = (&'a Group, &'a Bridge)> {
    let ends = |bridge: &'a Bridge| {
        [(&bridge.one, &bridge.other), (&bridge.other, &bridge.one)]
            .map(|(near, far)| (near, far, bridge))
    };
    let all: Vec<_> = bridges.iter().flat_map(ends).collect();
    all.into_iter().filter_map(move |(near, far, bridge)| {
        let begins = nodes
            .clone()
            .any(|node| near.members.contains(&node.fingerprint));
        begins.then_some((far, bridge))
    })
}

/// What a node holds, and what decisions call it.
fn keys<'a>(node: &'a Node, decisions: &'a Decisions) -> impl Iterator<Item = &'a Identifier> {
    let record = decisions.active().record(&node.fingerprint);
    node.payload.identifiers.iter().chain(record)
}

fn values<'a>(nodes: &'a [Node], decisions: &'a Decisions) -> BTreeSet<&'a Identifier> {
    nodes
        .iter()
        .flat_map(|node| keys(node, decisions))
        .collect()
}

fn name_clash(ours: &[Node], theirs: &[Node]) -> Option<Clash> {
    let names = |nodes: &[Node]| -> BTreeMap<String, usize> {
        let named = nodes.iter().enumerate();
        named
            .filter(|(_, node)| node.payload.person.full_name().is_some())
            .map(|(at, node)| {
                let person = &node.payload.person;
                (shown(&person.given, &person.surnames), at)
            })
            .collect()
    };
    for (name, at) in names(ours).iter().take(NAMES_MAX) {
        for (rival, rival_at) in names(theirs).iter().take(NAMES_MAX) {
            let (one, other) = (&ours[*at].payload.person, &theirs[*rival_at].payload.person);
            if !one.names_compatible(other) {
                return Some(Clash::Names {
                    one: name.min(rival).clone(),
                    other: name.max(rival).clone(),
                });
            }
        }
    }
    None
}

/// The groups that hold a value, by event time of the seed.
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

/// Persons by time and seed.
type Persons = BTreeMap<(i64, Fingerprint), Group>;

/// The first of them that is not among the others.
fn alone<'a>(ours: &'a Persons, theirs: &Persons) -> Option<&'a Group> {
    let mut alone = ours.iter().filter(|(seed, _)| !theirs.contains_key(seed));
    alone.next().map(|(_, group)| group)
}

fn groups<G: Graph>(graph: &G, key: &Identifier) -> Result<Persons, G::Error> {
    let mut out = Persons::new();
    for holder in graph.holders(key, None, HOLDERS_MAX)? {
        if out.values().any(|group| group.members.contains(&holder)) {
            continue;
        }
        if let Some(group) = person_of(graph, &holder)? {
            out.insert((group.seed_at_ms, group.seed), group);
        }
    }
    Ok(out)
}

fn nodes<G: Graph>(graph: &G, group: &Group) -> Result<Vec<Node>, G::Error> {
    let mut out = Vec::new();
    for member in &group.members {
        out.extend(graph.node(member)?);
    }
    Ok(out)
}
