//! Persons and families by hand.

use super::*;

fn no_decisions() -> Decisions {
    Decisions::default()
}

/// Sets of nodes that tempt a resolver to merge persons.
pub(super) fn adversarial() -> Vec<Vec<Node>> {
    vec![
        // A couple with one phone and one tablet.
        couple(),
        // Twins: one birth, one phone, one e-mail, two ids.
        vec![
            node("dni:1 phone:p email:m", "eva ruiz sanz", 1),
            node("dni:2 phone:p email:m", "ada ruiz sanz", 2),
            node("email:m", "", 3),
            node("phone:p", "eva ruiz sanz", 4),
        ],
        // Father and son of one name, told apart only by their ids.
        vec![
            node("dni:1 email:f", "jose gil mora", 1),
            node("dni:2 email:s", "jose gil mora", 2),
            node("email:f phone:p", "jose gil mora", 3),
            node("email:s phone:p", "jose gil mora", 4),
            node("phone:p", "jose gil mora", 5),
        ],
        // Ids swapped at the desk.
        vec![
            node("dni:1 email:a", "ana lopez", 1),
            node("dni:2 email:b", "luis perez", 2),
            node("dni:2 email:a", "ana lopez", 3),
            node("dni:1 email:b", "luis perez", 4),
            node("email:a", "", 5),
        ],
        // A chain between two persons.
        vec![
            node("dni:1 email:a", "", 1),
            node("email:a email:b", "", 2),
            node("dni:2 email:b", "", 3),
            node("email:a cookie:t", "", 4),
            node("email:b", "eva gil", 5),
        ],
        // A demo card in the hands of everybody.
        vec![
            node("card:demo email:a", "ana lopez", 1),
            node("card:demo email:b", "luis perez", 2),
            node("card:demo email:c", "eva gil", 3),
            node("card:demo", "", 4),
            node("email:a", "", 5),
            node("email:b phone:q", "", 6),
        ],
    ]
}

fn couple() -> Vec<Node> {
    vec![
        node("email:h phone:p cookie:t", "", 1),
        node("email:w phone:p cookie:t", "", 2),
        node("phone:p", "", 3),
        node("cookie:t", "", 4),
        node("email:h card:1", "", 5),
        node("email:w card:2", "", 6),
    ]
}

#[test]
fn the_investor_is_one_person() {
    let nodes = [
        node("cookie:v", "", 1),
        node("cookie:v email:i", "", 2),
        node("email:i phone:p", "", 3),
        node("dni:1 phone:p", "ana lopez", 4),
    ];
    assert_groups(&nodes, &no_decisions(), &[&[0, 1, 2, 3]]);
    let graph = grown(&nodes, &no_decisions(), &Rules::default());
    let answer = asked(
        &graph,
        (&id("cookie:v"), &id("dni:1")),
        &no_decisions(),
        &Rules::default(),
    );
    let Why::Linked(steps) = &answer else {
        panic!("{answer:?}")
    };
    let path: Vec<String> = steps.iter().map(|step| step.to.value.clone()).collect();
    assert_eq!(path, ["i", "p", "1"]);
    let words = sentence(&answer, false, &|_| None);
    assert!(
        words
            .es
            .starts_with("El visitante v y el correo i aparecen juntos."),
        "{}",
        words.es
    );
}

#[test]
fn two_hats_with_one_phone_are_one_person() {
    let nodes = [
        node("email:home phone:p", "ana lopez", 1),
        node("email:work phone:p", "ana lopez", 2),
    ];
    assert_groups(&nodes, &no_decisions(), &[&[0, 1]]);
}

#[test]
fn the_wrong_couple_is_split_for_ever_and_merged_again_by_an_undo() {
    let mut nodes = couple();
    assert_groups(&nodes, &no_decisions(), &[&[0, 1, 2, 3, 4, 5]]);
    let split = decided(DecisionKind::NotSame, &["email:h", "email:w"], &[]);
    let undo = Decision::undo(split.id, "they are one", "ana", 1);
    let apart = Decisions::of([split.clone()]);
    assert_groups(&nodes, &apart, &[&[0, 4], &[1, 5], &[2], &[3]]);
    nodes.push(node("email:h phone:p cookie:t", "", 9));
    nodes.push(node("email:w phone:p cookie:t", "", 9));
    nodes.push(node("email:h email:w", "", 9));
    assert_groups(&nodes, &apart, &[&[0, 4, 6], &[1, 5, 7], &[2], &[3], &[8]]);
    let again = Decisions::of([split, undo]);
    assert_groups(&nodes, &again, &[&[0, 1, 2, 3, 4, 5, 6, 7, 8]]);
}

#[test]
fn a_chain_joins_neither_of_two_persons_to_what_stands_between() {
    let nodes = [
        node("dni:1 email:a", "", 1),
        node("email:a email:b", "", 2),
        node("dni:2 email:b", "", 3),
        node("email:a", "", 4),
        node("email:b", "", 5),
    ];
    assert_groups(&nodes, &no_decisions(), &[&[0, 3], &[1], &[2, 4]]);
}

#[test]
fn a_shared_tablet_links_nobody_and_a_cookie_only_for_its_window() {
    let tablet = [
        node("cookie:t email:a", "ana lopez", 1),
        node("cookie:t email:b", "luis perez", 2),
        node("cookie:t", "", 3),
    ];
    assert_groups(&tablet, &no_decisions(), &[&[0], &[1], &[2]]);
    let old = [
        node("cookie:v", "", 0),
        node("cookie:v", "", 400),
        node("cookie:v", "", 801),
    ];
    assert_groups(&old, &no_decisions(), &[&[0, 1], &[2]]);
}

#[test]
fn not_same_beats_a_concurrent_same_and_gives_way_to_one_that_observed_it() {
    let nodes = [node("email:a", "", 1), node("email:b", "", 2)];
    let same = decided(DecisionKind::Same, &["email:a", "email:b"], &[]);
    let not = decided(DecisionKind::NotSame, &["email:a", "email:b"], &[]);
    let later = decided(DecisionKind::Same, &["email:a", "email:b"], &[not.id]);
    assert_groups(&nodes, &Decisions::of([same.clone()]), &[&[0, 1]]);
    assert_groups(
        &nodes,
        &Decisions::of([same.clone(), not.clone()]),
        &[&[0], &[1]],
    );
    assert_groups(&nodes, &Decisions::of([same, not, later]), &[&[0, 1]]);
}

#[test]
fn incremental_equals_full_in_every_order_of_every_adversarial_set() {
    let split = decided(DecisionKind::NotSame, &["email:h", "email:w"], &[]);
    let same = decided(DecisionKind::Same, &["email:a", "email:b"], &[]);
    let shared = decided(DecisionKind::SharedIdentifier, &["phone:p"], &[]);
    let sets = [vec![], vec![split], vec![same, shared]];
    for nodes in adversarial() {
        for decisions in &sets {
            let decisions = Decisions::of(decisions.clone());
            let expected = full(&nodes, &decisions, &Rules::default());
            permutations(nodes.len(), &mut |order| {
                let shuffled: Vec<Node> = order.iter().map(|at| nodes[*at].clone()).collect();
                assert_eq!(full(&shuffled, &decisions, &Rules::default()), expected);
                let mut graph = MemoryGraph::default();
                for node in shuffled {
                    insert(&mut graph, node, &decisions, &Rules::default()).unwrap();
                }
                assert_eq!(whole(&graph), expected);
            });
        }
    }
}

fn permutations(count: usize, visit: &mut dyn FnMut(&[usize])) {
    fn go(order: &mut Vec<usize>, from: usize, visit: &mut dyn FnMut(&[usize])) {
        if from == order.len() {
            return visit(order);
        }
        for at in from..order.len() {
            order.swap(from, at);
            go(order, from + 1, visit);
            order.swap(from, at);
        }
    }
    go(&mut (0..count).collect(), 0, visit);
}

#[test]
fn a_record_without_a_value_of_its_own_can_be_decided_about() {
    let nodes = [
        node("dni:1 phone:p", "eva ruiz sanz", 1),
        node("dni:2 phone:p", "ada ruiz sanz", 2),
        node("phone:p", "eva ruiz", 3),
    ];
    assert_groups(&nodes, &no_decisions(), &[&[0], &[1], &[2]]);
    let record = Identifier::of_record(&nodes[2].fingerprint);
    let say = |kind, value| {
        let subjects = vec![record.clone(), id(value)];
        Decision::new(kind, subjects, "asked", "ana", 0, vec![], None)
    };
    let same = say(DecisionKind::Same, "dni:1").unwrap();
    let decisions = Decisions::of([same.clone()]);
    assert_groups(&nodes, &decisions, &[&[0, 2], &[1]]);
    // Also where it comes last, or goes again.
    let mut graph = grown(&nodes, &decisions, &Rules::default());
    let none_left = [&nodes[0], &nodes[1]];
    remove(
        &mut graph,
        &nodes[2].fingerprint,
        &decisions,
        &Rules::default(),
    )
    .unwrap();
    assert_eq!(
        whole(&graph),
        full(none_left, &decisions, &Rules::default())
    );
    // It cannot be two people's, and is nobody's again once that is taken back.
    let both = [same.clone(), say(DecisionKind::Same, "dni:2").unwrap()];
    let refused = full(&nodes, &Decisions::of(both), &Rules::default());
    assert!(
        refused
            .components
            .iter()
            .any(|one| !one.refusals.is_empty())
    );
    let undone = Decisions::of([same.clone(), Decision::undo(same.id, "", "", 0)]);
    assert_groups(&nodes, &undone, &[&[0], &[1], &[2]]);
    let shared = say(DecisionKind::SharedIdentifier, "phone:p");
    assert_eq!(shared, Err(BadDecision::SharedRecord));
}

#[test]
fn what_a_decision_says_of_a_record_is_in_the_chain() {
    let nodes = [
        node("dni:1 phone:p", "eva ruiz sanz", 1),
        node("dni:2 phone:p", "ada ruiz sanz", 2),
        node("phone:p badge:b", "eva ruiz", 3),
    ];
    let record = Identifier::of_record(&nodes[2].fingerprint);
    let subjects = vec![record.clone(), id("dni:1")];
    let same = Decision::new(DecisionKind::Same, subjects, "", "", 0, vec![], None).unwrap();
    let decisions = Decisions::of([same.clone()]);
    let graph = grown(&nodes, &decisions, &Rules::default());
    let [from, to] = ["badge:b", "dni:1"].map(|value| End::Value(vec![id(value)]));
    let answer = why(&graph, None, (&from, &to), &decisions, &Rules::default());
    let Why::Linked(steps) = answer.unwrap().why else {
        panic!("apart");
    };
    let told: Vec<&Evidence> = steps.iter().map(|step| &step.evidence).collect();
    let of_node = Evidence::Node(nodes[2].fingerprint);
    assert_eq!(told, [&of_node, &Evidence::Decision(same.id)]);
    let words = sentence(&Why::Linked(steps), true, &|_| None);
    assert!(!words.es.contains(&record.value), "{}", words.es);
}
