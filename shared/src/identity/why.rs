//! Why two values are one person's, or are not.
//!
//! Owns the chain of evidence and what stands in its way. Reads the graph, changes nothing. The words are in `sentence`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::{
    cluster::shown,
    decisions::Decisions,
    graph::Graph,
    grouping::{Clash, Component, Group, SharedKey},
    payload::Node,
    rules::{Class, Rules},
};
use crate::{
    id::{DecisionId, Fingerprint},
    identifier::Identifier,
};

/// Most holders of one value that an explanation looks at.
pub const HOLDERS_MAX: usize = 256;
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
    /// No value connects them.
    NothingInCommon,
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
    for (seed, group) in &ours {
        if theirs.contains_key(seed) {
            let nodes = nodes(graph, group)?;
            if let Some(steps) = chain(&nodes, group, from, to, decisions) {
                return Ok(Why::Linked(steps));
            }
        }
    }
    let (Some(one), Some(other)) = (ours.values().next(), theirs.values().next()) else {
        return Ok(Why::Apart(vec![Apart::NothingInCommon]));
    };
    let apart = between(
        (one, &nodes(graph, one)?),
        (other, &nodes(graph, other)?),
        decisions,
        rules,
    );
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
    let (we, they) = (values(ours), values(theirs));
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
    from: &Identifier,
    to: &Identifier,
    decisions: &Decisions,
) -> Option<Vec<Step>> {
    let mut ordered: Vec<&Node> = nodes.iter().collect();
    ordered.sort_by_key(|node| (node.first_at_ms, node.fingerprint));
    let mut holders: BTreeMap<&Identifier, Vec<&Node>> = BTreeMap::new();
    for node in ordered {
        for key in &node.payload.identifiers {
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
                for next in &node.payload.identifiers {
                    came.entry(next).or_insert_with(|| {
                        open.push_back(next);
                        Some((key, Evidence::Node(node.fingerprint)))
                    });
                }
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

fn values(nodes: &[Node]) -> BTreeSet<&Identifier> {
    nodes
        .iter()
        .flat_map(|node| &node.payload.identifiers)
        .collect()
}

fn name_clash(ours: &[Node], theirs: &[Node]) -> Option<Clash> {
    let names = |nodes: &[Node]| -> BTreeMap<String, usize> {
        let named = nodes.iter().enumerate();
        named
            .filter(|(_, node)| node.payload.person.full_name().is_some())
            .map(|(at, node)| (shown(&node.payload.person), at))
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
fn groups<G: Graph>(
    graph: &G,
    key: &Identifier,
) -> Result<BTreeMap<(i64, Fingerprint), Group>, G::Error> {
    let mut out = BTreeMap::new();
    let mut components: BTreeMap<Fingerprint, Component> = BTreeMap::new();
    for holder in graph.holders(key, None, HOLDERS_MAX)? {
        let Some(id) = graph.component_of(&holder)? else {
            continue;
        };
        if !components.contains_key(&id) {
            components.extend(graph.component(&id)?.map(|component| (id, component)));
        }
        if let Some(group) = components.get(&id).and_then(|one| one.group_of(&holder)) {
            out.entry((group.seed_at_ms, group.seed))
                .or_insert_with(|| group.clone());
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
