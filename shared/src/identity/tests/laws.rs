//! Laws over random sets.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::matching::Bands;

/// One person and those who are taken for them: written otherwise, family, of one name, of one house.
const PERSONS: [[&str; 5]; 13] = [
    ["ana lopez gil", "1980-05-12", "mayor 5", "soria", "42001"],
    ["ana lopes gil", "1980-05-12", "mayor 5", "soria", "42001"],
    ["ana lopez", "1980-12-05", "mayor 5 2b", "sria", "42001"],
    ["anita lopez gil", "1980-05-13", "", "soria", ""],
    [
        "jose gil mora",
        "1950-01-02",
        "gran via 1",
        "madrid",
        "28013",
    ],
    [
        "jose gil mora",
        "1980-07-23",
        "gran via 1",
        "madrid",
        "28013",
    ],
    // His father.
    [
        "jose gil mora",
        "1950-02-01",
        "gran via 1",
        "madrid",
        "28013",
    ],
    [
        "jose gil ruiz",
        "1980-07-23",
        "gran via 1",
        "madrid",
        "28013",
    ],
    ["eva ruiz sanz", "1990-03-03", "sol 7", "soria", "42002"],
    ["ada ruiz sanz", "1990-03-03", "sol 7", "soria", "42002"],
    ["luis perez", "1979-01-01", "mayor 5", "soria", "42001"],
    ["lopez ana", "1980-05-12", "", "", ""],
    ["test test", "2000-01-01", "", "", ""],
];

/// Somebody of whom each field is known or not.
pub(super) fn somebody() -> impl Strategy<Value = Person> {
    (0..PERSONS.len(), any::<[bool; 4]>(), any::<bool>()).prop_map(|(at, known, digits)| {
        let [name, birthday, street, city, code] = PERSONS[at];
        let field = |text: &str, known: bool| (known && !text.is_empty()).then(|| text.to_owned());
        let birthday = field(birthday, known[0]);
        Person {
            birth_digits: birthday
                .clone()
                .filter(|_| digits)
                .map(|_| "19800231".to_owned()),
            birthday: birthday.filter(|_| !digits || at % 3 > 0),
            street: field(street, known[1]),
            city: field(city, known[2]),
            postal_code: field(code, known[3]),
            ..person(name)
        }
    })
}

pub(super) fn nodes() -> impl Strategy<Value = Vec<Node>> {
    let value = prop_oneof![
        (0..3u8).prop_map(|n| format!("dni:{n}")),
        (0..3u8).prop_map(|n| format!("card:{n}")),
        (0..5u8).prop_map(|n| format!("email:{n}")),
        (0..12u8).prop_map(|n| format!("email:name{n}@example.org")),
        (0..4u8).prop_map(|n| format!("phone:{n}")),
        (0..3u8).prop_map(|n| format!("cookie:{n}")),
        (0..9u8).prop_map(|n| format!("cookie:own{n}")),
    ];
    let named = prop_oneof![
        1 => Just(Person::default()),
        1 => prop::sample::select(&["ana lopez", "luis perez"][..]).prop_map(person),
        3 => somebody(),
    ];
    let one = (prop::collection::vec(value, 1..4), named, 0..900i64)
        .prop_map(|(ids, person, day)| node_of(&ids.join(" "), person, day));
    let one = prop_oneof![4 => one, 1 => prop::sample::select(known())];
    prop::collection::vec(one, 1..24)
}

/// Nodes that decisions may name.
fn known() -> Vec<Node> {
    vec![
        node("phone:0", "ana lopez", 5),
        node("phone:0 email:1", "luis perez", 6),
        node("phone:1", "ana lopez", 7),
        node("cookie:1", "", 8),
        node("dni:1 email:2", "", 9),
    ]
}

/// Rules that meet their limits soon.
pub(super) fn rules() -> impl Strategy<Value = Rules> {
    let matching = (
        prop::bool::weighted(0.9),
        prop::sample::select(&[-3_000, 0, 3_000, 8_000][..]),
        prop::sample::select(&[0, 5_000, 30_000][..]),
        prop::sample::select(&[1, 2, 3, 4, 50][..]),
        prop::sample::select(&[1, 2, 3, 4, 400][..]),
    )
        .prop_map(|(on, link, apart, holders_max, members_max)| Matching {
            on,
            bands: Bands {
                ask: link - apart,
                link,
            },
            population: 1_000,
            holders_max,
            members_max,
            ..Matching::default()
        });
    let listed = prop::sample::subsequence(&["email:0", "phone:1", "card:2"][..], 0..=2);
    let flags = (any::<bool>(), prop::bool::weighted(0.2));
    (1..5usize, matching, flags, listed).prop_map(|(cap, matching, (limited, one), listed)| {
        let mut rules = Rules {
            cap,
            matching,
            ..Rules::default()
        };
        let card = rules.kinds.get_mut(&Kind::LoyaltyId).unwrap();
        card.max_per_person = limited.then_some(1);
        if one {
            card.class = Class::Exclusive;
        }
        for value in listed {
            let Identifier { kind, value, .. } = id(value);
            rules.shared.insert(kind, value);
        }
        rules
    })
}

pub(super) fn decisions() -> impl Strategy<Value = Vec<Decision>> {
    let subject = || {
        prop_oneof![
            3 => (0..5u8).prop_map(|n| id(&format!("email:{n}"))),
            1 => prop::sample::select(known()).prop_map(|node| Identifier::of_record(&node.fingerprint)),
        ]
    };
    let one = (0..3u8, subject(), subject()).prop_filter_map("two subjects", |(kind, a, b)| {
        let kind = [
            DecisionKind::Same,
            DecisionKind::NotSame,
            DecisionKind::SharedIdentifier,
        ][usize::from(kind)];
        Decision::new(kind, vec![a, b], "", "", 0, vec![], None).ok()
    });
    prop::collection::vec(one, 0..4)
}

proptest! {
    #![proptest_config(ProptestConfig::default())]

    #[test]
    fn incremental_equals_full_after_every_step(nodes in nodes(), taken in decisions(), rules in rules()) {
        let mut graph = grown(&nodes, &Decisions::default(), &rules);
        let mut decisions = Decisions::default();
        let mut undone = Vec::new();
        for decision in taken {
            undone.push(Decision::undo(decision.id, "", "", 0));
            decide(&mut graph, &mut decisions, decision, &rules).unwrap();
            prop_assert_eq!(whole(&graph), full(&nodes, &decisions, &rules));
        }
        let with = grown(&nodes, &decisions, &rules);
        prop_assert_eq!(&with, &graph);
        for undo in undone {
            decide(&mut graph, &mut decisions, undo, &rules).unwrap();
            prop_assert_eq!(whole(&graph), full(&nodes, &decisions, &rules));
        }
        prop_assert_eq!(graph, grown(&nodes, &Decisions::default(), &rules));
    }

    #[test]
    fn the_order_of_nodes_and_their_repetition_change_nothing(nodes in nodes(), taken in decisions(), rules in rules()) {
        let decisions = Decisions::of(taken);
        let backwards: Vec<Node> = nodes.iter().rev().chain(&nodes).cloned().collect();
        prop_assert_eq!(full(&nodes, &decisions, &rules), full(&backwards, &decisions, &rules));
    }

    #[test]
    fn nobody_has_two_national_ids_or_stands_on_both_sides_of_a_not_same(nodes in nodes(), taken in decisions(), rules in rules()) {
        let decisions = Decisions::of(taken);
        let by: BTreeMap<Fingerprint, &Node> = nodes.iter().map(|node| (node.fingerprint, node)).collect();
        let mut hot: BTreeMap<&Identifier, KeyProfile> = BTreeMap::new();
        for node in &nodes {
            for key in &node.payload.identifiers {
                hot.entry(key).or_default().add(key, &node.payload, &rules);
            }
        }
        let whole = full(&nodes, &decisions, &rules);
        for group in whole_group(&whole.components, &whole.people) {
            let members: Vec<&Node> = group.members.iter().map(|member| by[member]).collect();
            if members.len() > 1 {
                let mut ids: Vec<&Identifier> = members.iter().flat_map(|one| &one.payload.identifiers).collect();
                ids.retain(|one| one.kind == Kind::NationalId && decisions.active().shared(one).is_none() && !hot[one].hot());
                ids.sort();
                ids.dedup();
                prop_assert!(ids.len() < 2, "{:?}", ids);
            }
            for (a, b) in decisions.active().not_same().keys() {
                let holds = |one: &Node, what: &Identifier| one.payload.holds(what) || what.record() == Some(one.fingerprint);
                let only = |x: &Identifier, y: &Identifier| members.iter().any(|one| holds(one, x) && !holds(one, y));
                prop_assert!(!(only(a, b) && only(b, a)));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Who competes is somebody else, and holds the value; nobody is told twice; a step has its rule.
    #[test]
    fn a_competing_holder_is_never_a_member_of_the_explained_person(
        nodes in nodes(),
        taken in decisions(),
        rules in rules(),
        at in any::<(prop::sample::Index, prop::sample::Index)>(),
    ) {
        let decisions = Decisions::of(taken);
        let mut graph = MemoryGraph::default();
        for node in &nodes {
            insert(&mut graph, node.clone(), &decisions, &rules).unwrap();
        }
        let held: Vec<&Identifier> = nodes.iter().flat_map(|node| &node.payload.identifiers).collect();
        let pair = (*at.0.get(&held), *at.1.get(&held));
        let answer = explained(&graph, pair, &decisions, &rules);
        match &answer.why {
            Why::Linked(steps) => {
                let person = &answer.persons[0];
                prop_assert_eq!(ruled(steps, &rules).len(), steps.len());
                for one in &answer.competing {
                    prop_assert!(!against(one, false).es.is_empty());
                    let Competing::Held(others) = one else { continue };
                    let names: BTreeSet<_> = others.customers.iter().collect();
                    prop_assert_eq!(names.len(), others.customers.len());
                    prop_assert!(names.len() <= others.count && others.count > 0);
                    for seed in names {
                        prop_assert!(!person.has(seed));
                        let other = person_of(&graph, seed).unwrap().unwrap();
                        prop_assert_eq!(*seed, other.seed);
                        let holds = other.members.iter().any(|member| {
                            let node = graph.node(member).unwrap();
                            node.is_some_and(|node| node.payload.holds(&others.value))
                        });
                        prop_assert!(holds);
                    }
                }
            }
            Why::Apart(reasons) => {
                prop_assert!(!reasons.is_empty());
                prop_assert!(answer.competing.is_empty());
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
    let groups = groups(&full(&nodes, &Decisions::default(), &Rules::default()).components);
    assert_eq!(groups.len(), 1);
}
