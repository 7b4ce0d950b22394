//! The chain of evidence between two values of one person.
//!
//! Owns its steps and the way to the shortest one. Reads the graph, changes nothing, and says nothing in words.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::{
    decisions::Decisions,
    graph::{Graph, group_of},
    grouping::Group,
    pairs::Scale,
    payload::Node,
    rules::Rules,
};
use crate::{
    id::{DecisionId, Fingerprint},
    identifier::Identifier,
    matching::Score,
};

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

/// What a node holds, and what decisions call it.
pub(super) fn keys<'a>(
    node: &'a Node,
    decisions: &'a Decisions,
) -> impl Iterator<Item = &'a Identifier> {
    let record = decisions.active().record(&node.fingerprint);
    node.payload.identifiers.iter().chain(record)
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
