//! Laws and stories of identity resolution.

mod answers;
mod frozen;
mod gone;
mod hostile;
mod laws;
mod matched;
mod stories;
mod whys;

use super::*;
use crate::{
    facet::Facet,
    id::{DecisionId, Fingerprint},
    identifier::{Identifier, Kind},
    person::Person,
};

/// `"email:x"` and the like; a prefix of a kind is enough.
fn id(text: &str) -> Identifier {
    let (kind, value) = text.split_once(':').unwrap();
    let (kind, scope) = match kind {
        "dni" => (Kind::NationalId, "ES-DNI"),
        "card" => (Kind::LoyaltyId, ""),
        "badge" => (Kind::BadgeId, ""),
        "email" => (Kind::Email, ""),
        "phone" => (Kind::Phone, ""),
        "cookie" => (Kind::AnonymousId, ""),
        other => panic!("no kind {other}"),
    };
    Identifier {
        kind,
        scope: scope.into(),
        value: value.into(),
    }
}

fn person(name: &str) -> Person {
    let mut words = name.split(' ').filter(|word| !word.is_empty());
    Person {
        given: words.next().map(Into::into).into_iter().collect(),
        surnames: words.map(Into::into).collect(),
        ..Person::default()
    }
}

/// A node: identifiers separated by spaces, a full name or nothing, a day.
fn node(ids: &str, name: &str, day: i64) -> Node {
    node_of(ids, person(name), day)
}

fn node_of(ids: &str, person: Person, day: i64) -> Node {
    let at_ms = day * 86_400_000;
    let ids = ids.split(' ').map(id);
    Node::new(
        Payload::new(ids, None, at_ms, person, &Rules::default()).unwrap(),
        at_ms,
    )
}

fn decided(kind: DecisionKind, subjects: &[&str], observes: &[DecisionId]) -> Decision {
    let subjects = subjects.iter().map(|subject| id(subject)).collect();
    Decision::new(kind, subjects, "test", "ana", 0, observes.to_vec(), None).unwrap()
}

fn groups(components: &[Component]) -> Vec<Vec<Fingerprint>> {
    let mut all: Vec<_> = components
        .iter()
        .flat_map(|one| one.groups.iter().map(|group| group.members.clone()))
        .collect();
    all.sort();
    all
}

/// Whether the grouping is exactly this one, in positions of `nodes`.
fn assert_groups(nodes: &[Node], decisions: &Decisions, expected: &[&[usize]]) {
    let mut expected: Vec<Vec<Fingerprint>> = expected
        .iter()
        .map(|group| {
            let mut members: Vec<_> = group.iter().map(|at| nodes[*at].fingerprint).collect();
            members.sort();
            members
        })
        .collect();
    expected.sort();
    let shown = |groups: &[Vec<Fingerprint>]| -> Vec<Vec<usize>> {
        let place = |one: &Fingerprint| nodes.iter().position(|node| node.fingerprint == *one);
        groups
            .iter()
            .map(|group| group.iter().filter_map(place).collect())
            .collect()
    };
    let got = groups(&full(nodes, decisions, &Rules::default()).components);
    assert_eq!(got, expected, "got {:?}", shown(&got));
}

/// Inserts one by one and compares with the whole after every step.
fn grown(nodes: &[Node], decisions: &Decisions, rules: &Rules) -> MemoryGraph {
    let mut graph = MemoryGraph::default();
    for (at, node) in nodes.iter().enumerate() {
        insert(&mut graph, node.clone(), decisions, rules).unwrap();
        let known: Vec<Node> = graph.nodes().cloned().collect();
        assert_eq!(
            whole(&graph),
            full(&known, decisions, rules),
            "after step {at}"
        );
    }
    graph
}

/// What a graph says of everybody.
fn whole(graph: &MemoryGraph) -> Whole {
    Whole {
        components: graph.components(),
        units: graph.units(),
        people: graph.people(),
    }
}

/// Why two values are one person's, or are not, with all that is said of it.
fn explained(
    graph: &MemoryGraph,
    (from, to): (&Identifier, &Identifier),
    decisions: &Decisions,
    rules: &Rules,
) -> Explanation {
    let [from, to] = [from, to].map(|one| End::Value(vec![one.clone()]));
    why(graph, None, (&from, &to), decisions, rules).unwrap()
}

/// The bare answer.
fn asked(
    graph: &MemoryGraph,
    pair: (&Identifier, &Identifier),
    decisions: &Decisions,
    rules: &Rules,
) -> Why {
    explained(graph, pair, decisions, rules).why
}
