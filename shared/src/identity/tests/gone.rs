//! Nodes that go again, and times that change: as if they had never been.

use proptest::prelude::*;

use super::{
    laws::{decisions, nodes, rules},
    *,
};

proptest! {
    #![proptest_config(ProptestConfig::default())]

    #[test]
    fn what_is_removed_was_never_there(nodes in nodes(), taken in decisions(), rules in rules(), gone in any::<u32>()) {
        let decisions = Decisions::of(taken);
        let mut graph = grown(&nodes, &decisions, &rules);
        let all: Vec<Node> = graph.nodes().cloned().collect();
        let of = |left: bool| all.iter().enumerate().filter(move |(at, _)| (gone >> at & 1 == 0) == left).map(|(_, node)| node.clone());
        let (left, leave): (Vec<Node>, Vec<Node>) = (of(true).collect(), of(false).collect());
        for node in leave {
            let before = whole(&graph);
            let outcome = remove(&mut graph, &node.fingerprint, &decisions, &rules).unwrap();
            let known: Vec<Node> = graph.nodes().cloned().collect();
            prop_assert_eq!(whole(&graph), full(&known, &decisions, &rules));
            prop_assert!(outcome == Outcome::default() || before != whole(&graph));
        }
        prop_assert_eq!(graph, grown(&left, &decisions, &rules));
    }

    #[test]
    fn a_changed_time_is_as_if_it_had_been_so_from_the_beginning(nodes in nodes(), taken in decisions(), rules in rules(), at in any::<prop::sample::Index>(), day in 0..900i64) {
        let decisions = Decisions::of(taken);
        let mut graph = grown(&nodes, &decisions, &rules);
        let mut known: Vec<Node> = graph.nodes().cloned().collect();
        let at = at.index(known.len());
        known[at].first_at_ms = day;
        retime(&mut graph, known[at].clone(), &decisions, &rules).unwrap();
        prop_assert_eq!(graph, grown(&known, &decisions, &rules));
    }
}

#[test]
fn a_value_that_is_no_longer_hot_links_its_decided_partners_again() {
    let rules = Rules {
        cap: 2,
        ..Rules::default()
    };
    let same = decided(DecisionKind::Same, &["phone:p", "card:c"], &[]);
    let decisions = Decisions::of([same]);
    let some = [
        node("phone:p email:1", "", 1),
        node("phone:p email:2", "", 2),
        node("card:c", "", 3),
    ];
    let third = node("phone:p email:3", "", 4);
    let before = grown(&some, &decisions, &rules);
    assert_eq!(before.components().len(), 1);
    let mut graph = before.clone();
    insert(&mut graph, third.clone(), &decisions, &rules).unwrap();
    assert_eq!(graph.components().len(), 4);
    remove(&mut graph, &third.fingerprint, &decisions, &rules).unwrap();
    assert_eq!(graph.components(), before.components());
    assert_eq!(graph, before);
}

#[test]
fn nothing_is_left_of_the_only_holder_of_a_value() {
    let (decisions, rules) = (Decisions::default(), Rules::default());
    let mut graph = MemoryGraph::default();
    let one = node("phone:p email:1", "ana lopez", 1);
    insert(&mut graph, one.clone(), &decisions, &rules).unwrap();
    remove(&mut graph, &one.fingerprint, &decisions, &rules).unwrap();
    assert_eq!(graph, MemoryGraph::default());
    let nothing = remove(&mut graph, &one.fingerprint, &decisions, &rules).unwrap();
    assert_eq!(nothing, Outcome::default());
}

#[test]
fn the_words_of_a_contradiction_do_not_depend_on_who_else_has_the_name() {
    let same = decided(DecisionKind::Same, &["email:a", "email:b"], &[]);
    let decisions = Decisions::of([same]);
    let trio = [
        node("email:a card:1", "ana lopez", 1),
        node("email:b", "luis perez", 2),
        node("card:1 email:c", "eva gil", 3),
    ];
    let least = trio[0].fingerprint.min(trio[1].fingerprint);
    // Somebody else of either name, who stands before all of them.
    for name in ["ana lopez", "luis perez"] {
        let stranger = (0..)
            .map(|n| node(&format!("email:x{n}"), name, 4))
            .find(|node| node.fingerprint < least);
        let mut nodes: Vec<Node> = stranger.into_iter().collect();
        nodes.extend(trio.iter().cloned());
        grown(&nodes, &decisions, &Rules::default());
    }
}

#[test]
fn an_earlier_first_time_changes_the_seed_and_is_told() {
    let (decisions, rules) = (Decisions::default(), Rules::default());
    let (one, other) = (node("email:a", "", 5), node("email:a phone:p", "", 7));
    let mut graph = grown(&[one.clone(), other.clone()], &decisions, &rules);
    assert_eq!(graph.components()[0].groups[0].seed, one.fingerprint);
    let at = |day: i64| Node {
        first_at_ms: day * 86_400_000,
        ..other.clone()
    };
    let outcome = insert(&mut graph, at(2), &decisions, &rules).unwrap();
    let (was, is) = (one.fingerprint, other.fingerprint);
    assert_eq!(outcome.changes, [Change::Reseeded { from: was, to: is }]);
    assert_eq!(outcome.gone, [was]);
    assert_eq!(graph.components()[0].groups[0].seed, is);
    let later = insert(&mut graph, at(3), &decisions, &rules).unwrap();
    assert_eq!(later, Outcome::default());
    let back = retime(&mut graph, at(7), &decisions, &rules).unwrap();
    assert_eq!(back.changes, [Change::Reseeded { from: is, to: was }]);
    // Of equal times the smaller hash is the seed.
    retime(&mut graph, at(5), &decisions, &rules).unwrap();
    assert_eq!(graph.components()[0].groups[0].seed, was.min(is));
}

#[test]
fn a_decision_about_a_stranger_does_not_show_in_a_group() {
    // What is resolved together is a matter of the moment: it must not even change the words.
    let not = decided(DecisionKind::NotSame, &["email:s", "phone:b"], &[]);
    let decisions = Decisions::of([not]);
    let rules = Rules {
        cap: 1,
        ..Rules::default()
    };
    let stranger = node("email:s", "", 9);
    let names = ["ana lopez", "a lopez gil", "luis perez", ""];
    for seed in 0..64 {
        let mut nodes = vec![stranger.clone()];
        nodes.extend((0..8).map(|n| {
            let bits = ((seed * 8 + n) * 2_654_435_761_u64) >> 7;
            let ids = format!("email:{} card:{} phone:b", bits % 3, bits / 3 % 3);
            node(&ids, names[(bits / 9 % 4) as usize], n as i64)
        }));
        grown(&nodes, &decisions, &rules);
    }
}

#[test]
fn a_value_declared_to_be_everybodys_is_refused_to_nobody_between_two_persons() {
    // The stranger holds it too, and is resolved elsewhere: `grown` compares that with everything resolved together.
    let shared = decided(DecisionKind::SharedIdentifier, &["email:front"], &[]);
    let decisions = Decisions::of([shared]);
    let between = node("email:front email:a email:b", "", 1);
    let nodes = [
        node("email:front", "", 1),
        node("email:a", "ana lopez", 1),
        node("email:b", "luis perez", 1),
        between.clone(),
    ];
    let components = grown(&nodes, &decisions, &Rules::default()).components();
    let refused: Vec<_> = components.iter().flat_map(|one| &one.refusals).collect();
    assert_eq!(refused.len(), 2, "{refused:?}");
    assert!(!format!("{refused:?}").contains("front"));
}

#[test]
fn what_holds_both_sides_of_a_decision_says_why_its_values_link_it_to_neither() {
    let nodes = [
        node("email:a card:1", "", 1),
        node("email:a", "", 2),
        node("card:1", "", 3),
    ];
    let parted = Decisions::of([decided(DecisionKind::NotSame, &["card:1", "email:a"], &[])]);
    let graph = grown(&nodes, &parted, &Rules::default());
    let shared = |at: usize| {
        let group = person_of(&graph, &nodes[at].fingerprint).unwrap();
        group.unwrap().shared
    };
    let clash = Clash::Decision {
        id: parted.iter().next().unwrap().id,
        one: id("card:1"),
        other: id("email:a"),
    };
    let key = |value: &str| SharedKey {
        identifier: id(value),
        why: SharedWhy::Ambiguous(clash.clone()),
    };
    assert_eq!(shared(0), [key("card:1"), key("email:a")]);
    assert_eq!((shared(1), shared(2)), (vec![], vec![]));
}

#[test]
fn nobody_joins_a_node_that_names_two_persons() {
    let mut nodes = vec![node("dni:1 dni:2 card:c", "", 1)];
    nodes.extend((0..8).map(|n| node(&format!("card:c cookie:{n}"), "", 2 + n)));
    let graph = grown(&nodes, &Decisions::default(), &Rules::default());
    assert_eq!(graph.components()[0].groups.len(), 2);
}
