//! Laws over random sets.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

pub(super) fn nodes() -> impl Strategy<Value = Vec<Node>> {
    let value = prop_oneof![
        (0..3u8).prop_map(|n| format!("dni:{n}")),
        (0..3u8).prop_map(|n| format!("card:{n}")),
        (0..5u8).prop_map(|n| format!("email:{n}")),
        (0..4u8).prop_map(|n| format!("phone:{n}")),
        (0..3u8).prop_map(|n| format!("cookie:{n}")),
    ];
    let name = prop_oneof![Just(""), Just(""), Just("ana lopez"), Just("luis perez")];
    let one = (prop::collection::vec(value, 1..4), name, 0..900i64)
        .prop_map(|(ids, name, day)| node(&ids.join(" "), name, day));
    prop::collection::vec(one, 1..24)
}

pub(super) fn decisions() -> impl Strategy<Value = Vec<Decision>> {
    let one = (0..3u8, 0..5u8, 0..5u8).prop_filter_map("two subjects", |(kind, a, b)| {
        let kind = [
            DecisionKind::Same,
            DecisionKind::NotSame,
            DecisionKind::SharedIdentifier,
        ][usize::from(kind)];
        let subjects = vec![id(&format!("email:{a}")), id(&format!("email:{b}"))];
        Decision::new(kind, subjects, "", "", 0, vec![], None).ok()
    });
    prop::collection::vec(one, 0..4)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn incremental_equals_full_after_every_step(nodes in nodes(), taken in decisions(), cap in 1..5usize) {
        let rules = Rules { cap, ..Rules::default() };
        let mut graph = grown(&nodes, &Decisions::default(), &rules);
        let mut decisions = Decisions::default();
        let mut undone = Vec::new();
        for decision in taken {
            undone.push(Decision::undo(decision.id, "", "", 0));
            decide(&mut graph, &mut decisions, decision, &rules).unwrap();
            prop_assert_eq!(graph.components(), full(&nodes, &decisions, &rules));
        }
        let with = grown(&nodes, &decisions, &rules);
        prop_assert_eq!(with.components(), graph.components());
        for undo in undone {
            decide(&mut graph, &mut decisions, undo, &rules).unwrap();
            prop_assert_eq!(graph.components(), full(&nodes, &decisions, &rules));
        }
        prop_assert_eq!(graph, grown(&nodes, &Decisions::default(), &rules));
    }

    #[test]
    fn the_order_of_nodes_and_their_repetition_change_nothing(nodes in nodes(), taken in decisions()) {
        let decisions = Decisions::of(taken);
        let rules = Rules::default();
        let backwards: Vec<Node> = nodes.iter().rev().chain(&nodes).cloned().collect();
        prop_assert_eq!(full(&nodes, &decisions, &rules), full(&backwards, &decisions, &rules));
    }

    #[test]
    fn nobody_has_two_national_ids_or_stands_on_both_sides_of_a_not_same(nodes in nodes(), taken in decisions()) {
        let decisions = Decisions::of(taken);
        let by: BTreeMap<Fingerprint, &Node> = nodes.iter().map(|node| (node.fingerprint, node)).collect();
        for group in full(&nodes, &decisions, &Rules::default()).iter().flat_map(|one| &one.groups) {
            let members: Vec<&Node> = group.members.iter().map(|member| by[member]).collect();
            if members.len() > 1 {
                let mut ids: Vec<&Identifier> = members.iter().flat_map(|one| &one.payload.identifiers).collect();
                ids.retain(|one| one.kind == Kind::NationalId && decisions.active().shared(one).is_none());
                ids.sort();
                ids.dedup();
                prop_assert!(ids.len() < 2, "{:?}", ids);
            }
            for (a, b) in decisions.active().not_same().keys() {
                let only = |x: &Identifier, y: &Identifier| members.iter().any(|one| one.payload.holds(x) && !one.payload.holds(y));
                prop_assert!(!(only(a, b) && only(b, a)));
            }
        }
    }
}

#[test]
fn a_value_of_everybody_is_hot_and_costs_no_more_than_another() {
    let mut graph = MemoryGraph::default();
    for at in 0..2_000 {
        let one = node(&format!("phone:all email:{at}"), "", 1);
        let outcome = insert(&mut graph, one, &Decisions::default(), &Rules::default()).unwrap();
        assert!(outcome.changed.len() <= 23, "{at}");
    }
    assert!(graph.profile(&id("phone:all")).unwrap().hot());
    assert_eq!(graph.components().len(), 2_000);
}

#[test]
fn many_visits_of_one_person_never_make_a_value_hot_and_resolve_fast() {
    let nodes: Vec<Node> = (0..4_000)
        .map(|day| node(&format!("email:e cookie:{}", day / 9), "", day))
        .collect();
    let groups = groups(&full(&nodes, &Decisions::default(), &Rules::default()));
    assert_eq!(groups.len(), 1);
}
