//! Persons by what their records agree on.

use super::*;
use crate::matching::Bands;

/// Default rules for a small population.
fn few() -> Rules {
    let mut rules = Rules::default();
    rules.matching.population = 10_000;
    rules.matching.bands = Bands {
        ask: 0,
        link: 6_000,
    };
    rules
}

fn somebody(name: &str, birthday: &str, street: &str) -> Person {
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Person {
        birthday: text(birthday),
        street: text(street),
        city: text(street).map(|_| "soria".to_owned()),
        postal_code: text(street).map(|_| "42001".to_owned()),
        ..person(name)
    }
}

/// The persons of a set, as positions of its nodes, and how many questions there are.
fn grouped(nodes: &[Node], decisions: &Decisions, rules: &Rules) -> (Vec<Vec<usize>>, usize) {
    let graph = grown(nodes, decisions, rules);
    let mut persons: Vec<Vec<usize>> = Vec::new();
    for group in whole_group(&graph.components(), &graph.people()) {
        let place = |one: &Fingerprint| nodes.iter().position(|node| node.fingerprint == *one);
        let mut members: Vec<usize> = group.members.iter().filter_map(place).collect();
        members.sort_unstable();
        for member in &group.members {
            assert_eq!(person_of(&graph, member).unwrap().as_ref(), Some(&group));
        }
        persons.push(members);
    }
    persons.sort();
    (persons, graph.people().questions.len())
}

fn none() -> Decisions {
    Decisions::default()
}

#[test]
fn two_records_that_agree_on_everything_but_identifiers_are_one_person() {
    let nodes = [
        node_of(
            "email:a",
            somebody("ana lopez gil", "1980-05-12", "mayor 5"),
            1,
        ),
        node_of(
            "phone:p",
            somebody("ana lopes gil", "1980-05-12", "mayor 5"),
            2,
        ),
        node_of(
            "email:c",
            somebody("luis perez", "1979-01-01", "mayor 5"),
            3,
        ),
    ];
    assert_eq!(
        grouped(&nodes, &none(), &few()),
        (vec![vec![0, 1], vec![2]], 0)
    );
    let mut rules = few();
    rules.matching.on = false;
    let off = grouped(&nodes, &none(), &rules);
    assert_eq!(off, (vec![vec![0], vec![1], vec![2]], 0));
}

#[test]
fn a_name_alone_is_not_even_a_question() {
    let nodes = [
        node("email:reina@example.org", "xesqueta bordils amengual", 1),
        node("email:xb77@example.com", "xesqueta bordils amengual", 2),
    ];
    let mut rules = few();
    rules.matching.population = 10;
    assert_eq!(
        grouped(&nodes, &none(), &rules),
        (vec![vec![0], vec![1]], 0)
    );
}

#[test]
fn nothing_links_against_a_contradiction_and_a_decision_answers() {
    let ana = || somebody("ana lopez gil", "1980-05-12", "mayor 5");
    let documents = [
        node_of("dni:1 email:a", ana(), 1),
        node_of("dni:2 email:b", ana(), 2),
    ];
    let apart = vec![vec![0], vec![1]];
    assert_eq!(grouped(&documents, &none(), &few()), (apart.clone(), 0));
    let nodes = [node_of("email:a", ana(), 1), node_of("email:b", ana(), 2)];
    assert_eq!(grouped(&nodes, &none(), &few()), (vec![vec![0, 1]], 0));
    let not = decided(DecisionKind::NotSame, &["email:a", "email:b"], &[]);
    let decisions = Decisions::of([not.clone()]);
    assert_eq!(grouped(&nodes, &decisions, &few()), (apart.clone(), 0));
    // Taken after the link, and taken back.
    let (mut graph, mut decisions) = (grown(&nodes, &none(), &few()), none());
    let split = decide(&mut graph, &mut decisions, not.clone(), &few()).unwrap();
    assert!(
        matches!(split.changes[..], [Change::Split { .. }]),
        "{split:?}"
    );
    assert_eq!(graph.people(), People::default());
    let undo = Decision::undo(not.id, "", "", 0);
    let merged = decide(&mut graph, &mut decisions, undo, &few()).unwrap();
    assert!(
        matches!(merged.changes[..], [Change::Merged { .. }]),
        "{merged:?}"
    );
    assert_eq!(graph, grown(&nodes, &none(), &few()));
    // A limit: of a kind of which a person has one, both have one already.
    let mut limited = few();
    if let Some(rule) = limited.kinds.get_mut(&Kind::LoyaltyId) {
        rule.max_per_person = Some(1);
    }
    let cards = [node_of("card:1", ana(), 1), node_of("card:2", ana(), 2)];
    assert_eq!(grouped(&cards, &none(), &limited), (apart, 0));
    assert_eq!(grouped(&cards, &none(), &few()).0, vec![vec![0, 1]]);
}

#[test]
fn what_is_likely_is_asked_and_an_answer_settles_it() {
    let nodes = [
        node_of("email:a", somebody("ana lopez gil", "1980-05-12", ""), 1),
        node_of("email:b", somebody("ana lopez gil", "1980-05-13", ""), 2),
    ];
    let mut rules = few();
    rules.matching.bands = Bands {
        ask: -5_000,
        link: 15_000,
    };
    let apart = vec![vec![0], vec![1]];
    assert_eq!(grouped(&nodes, &none(), &rules), (apart.clone(), 1));
    let pair = &["email:a", "email:b"];
    let same = Decisions::of([decided(DecisionKind::Same, pair, &[])]);
    assert_eq!(grouped(&nodes, &same, &rules), (vec![vec![0, 1]], 0));
    let not = Decisions::of([decided(DecisionKind::NotSame, pair, &[])]);
    assert_eq!(grouped(&nodes, &not, &rules), (apart, 0));
}

#[test]
fn twins_a_couple_and_father_and_son_of_one_name_stay_apart() {
    let nodes = [
        node_of(
            "email:a",
            somebody("eva ruiz sanz", "1990-03-03", "sol 7"),
            1,
        ),
        node_of(
            "email:b",
            somebody("ada ruiz sanz", "1990-03-03", "sol 7"),
            2,
        ),
        node_of(
            "email:c",
            somebody("jose gil mora", "1950-01-02", "gran via 1"),
            3,
        ),
        node_of(
            "email:d",
            somebody("jose gil mora", "1980-07-23", "gran via 1"),
            4,
        ),
        node_of(
            "email:e",
            somebody("ana lopez gil", "1980-05-12", "mayor 5"),
            5,
        ),
        node_of(
            "email:f",
            somebody("luis perez", "1979-01-01", "mayor 5"),
            6,
        ),
    ];
    let alone = (0..nodes.len()).map(|one| vec![one]).collect::<Vec<_>>();
    assert_eq!(grouped(&nodes, &none(), &few()).0, alone);
}

#[test]
fn father_and_son_of_one_name_are_two_whatever_they_share() {
    let born = |keys: &str, birthday: &str, at: i64| {
        node_of(keys, somebody("manuel rey sanz", birthday, "rua 1"), at)
    };
    let mut nodes = vec![
        born("email:f phone:p", "1950-01-01", 1),
        born("email:f phone:p", "1980-06-06", 2),
        born("email:own", "1950-01-01", 3),
    ];
    let mut rules = few();
    rules.matching.on = false;
    let alone = vec![vec![0], vec![1], vec![2]];
    assert_eq!(grouped(&nodes, &none(), &rules).0, alone);
    let clash = Clash::Births {
        one: "1950-01-01".into(),
        other: "1980-06-06".into(),
    };
    let graph = grown(&nodes, &none(), &rules);
    let shared = |at: usize| {
        let group = person_of(&graph, &nodes[at].fingerprint).unwrap();
        group.unwrap().shared
    };
    for group in [shared(0), shared(1)] {
        assert_eq!(group.len(), 2, "{group:?}");
        let why = SharedWhy::Contradiction(clash.clone());
        assert!(group.iter().all(|key| key.why == why), "{group:?}");
    }
    // A digit of the year is a slip, and so is a birthday that is none of a generation.
    nodes[1] = born("email:f phone:p", "1980-01-01", 2);
    assert_eq!(
        grouped(&nodes, &none(), &rules).0,
        vec![vec![0, 1], vec![2]]
    );
    // Somebody who knows them may say so.
    nodes[1] = born("dni:1 email:g", "1980-06-06", 2);
    let same = Decisions::of([decided(DecisionKind::Same, &["email:f", "dni:1"], &[])]);
    assert_eq!(grouped(&nodes, &same, &rules).0, vec![vec![0, 1], vec![2]]);
}

#[test]
fn too_many_who_are_all_alike_are_nobody() {
    let mut rules = few();
    rules.matching.members_max = 4;
    let ana = |at: i64| {
        let person = somebody("ana lopez gil", "1980-05-12", "mayor 5");
        node_of(&format!("email:{at}"), person, at)
    };
    let mut nodes: Vec<Node> = (0..4).map(ana).collect();
    assert_eq!(grouped(&nodes, &none(), &rules).0, vec![vec![0, 1, 2, 3]]);
    nodes.push(ana(4));
    assert_eq!(grouped(&nodes, &none(), &rules).0.len(), 5);
    let mut graph = grown(&nodes, &none(), &rules);
    remove(&mut graph, &nodes[2].fingerprint, &none(), &rules).unwrap();
    nodes.remove(2);
    assert_eq!(graph, grown(&nodes, &none(), &rules));
    assert_eq!(grouped(&nodes, &none(), &rules).0, vec![vec![0, 1, 2, 3]]);
    // The same for a key that too many hold.
    rules.matching.holders_max = 3;
    assert_eq!(grouped(&nodes, &none(), &rules).0.len(), 4);
}

#[test]
fn a_match_is_explained_and_so_is_what_is_missing() {
    let nodes = [
        node_of(
            "email:a cookie:1",
            somebody("ana lopez gil", "1980-05-12", "mayor 5"),
            1,
        ),
        node_of(
            "phone:p card:1",
            somebody("ana lopez gil", "1980-05-12", "mayor 5"),
            2,
        ),
        node_of("phone:q", somebody("ana lopez", "", "gran via 1"), 3),
    ];
    let (rules, none) = (few(), none());
    let graph = grown(&nodes, &none, &rules);
    let answer = asked(&graph, (&id("cookie:1"), &id("card:1")), &none, &rules);
    let Why::Linked(steps) = &answer else {
        panic!("{answer:?}")
    };
    let [
        Step {
            evidence: Evidence::Match(score),
            ..
        },
    ] = &steps[..]
    else {
        panic!("{steps:?}")
    };
    assert!(score.odds >= rules.matching.bands.link);
    let words = sentence(&answer, false, &|_| None);
    assert!(
        words.es.starts_with(
            "El visitante 1 y la tarjeta 1 son de la misma persona por lo que coinciden sus datos: el mismo nombre, los mismos apellidos, la misma fecha de nacimiento y la misma dirección. En total, "
        ),
        "{}",
        words.es
    );
    assert!(words.en.contains("the same given name, the same surnames, the same date of birth and the same address. In all, "), "{}", words.en);
    let answer = asked(&graph, (&id("email:a"), &id("phone:q")), &none, &rules);
    let Why::Apart(reasons) = &answer else {
        panic!("{answer:?}")
    };
    assert!(
        matches!(
            reasons[..],
            [Apart::NothingInCommon, Apart::Unlike { link: 6_000, .. }]
        ),
        "{reasons:?}"
    );
    let words = sentence(&answer, false, &|_| None);
    assert!(
        words
            .es
            .contains("el mismo nombre, apellidos que equivalen"),
        "{}",
        words.es
    );
    assert!(
        words
            .es
            .ends_with("Para unirlos haría falta 64 a 1 a favor."),
        "{}",
        words.es
    );
    assert!(
        words
            .en
            .ends_with("To link them it would take 64 to 1 for it."),
        "{}",
        words.en
    );
}
