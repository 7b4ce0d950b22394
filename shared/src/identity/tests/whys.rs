//! By which rule a chain links, what speaks against it, and what the rules leave out.

use super::*;

fn answer(nodes: &[Node], decisions: &Decisions, rules: &Rules, pair: (&str, &str)) -> Explanation {
    let graph = grown(nodes, decisions, rules);
    explained(&graph, (&id(pair.0), &id(pair.1)), decisions, rules)
}

fn steps(explanation: &Explanation) -> &[Step] {
    match &explanation.why {
        Why::Linked(steps) => steps,
        Why::Apart(reasons) => panic!("apart: {reasons:?}"),
    }
}

fn said(explanation: &Explanation, rules: &Rules) -> Vec<Sentence> {
    because(steps(explanation), rules, false)
}

fn with(kind: Kind, class: Class, window_days: Option<u32>) -> Rules {
    let mut rules = Rules::default();
    let rule = KindRule {
        class,
        window_days,
        ..KindRule::of(kind)
    };
    rules.kinds.insert(kind, rule);
    rules
}

#[test]
fn a_step_names_the_class_of_its_values_and_which_of_them_links() {
    let nodes = [
        node("cookie:v email:i", "", 1),
        node("email:i phone:p", "", 2),
    ];
    let (none, rules) = (Decisions::default(), Rules::default());
    let answer = answer(&nodes, &none, &rules, ("cookie:v", "phone:p"));
    let proves = |kind, class, window_days, links| Proves {
        kind,
        class,
        window_days,
        links,
    };
    let mail = proves(Kind::Email, Class::Shareable, None, true);
    assert_eq!(
        ruled(steps(&answer), &rules),
        [
            Rule::Event {
                from: proves(Kind::AnonymousId, Class::Ephemeral, Some(400), false),
                to: mail,
            },
            Rule::Event {
                from: mail,
                to: proves(Kind::Phone, Class::Shareable, None, false),
            },
        ]
    );
}

#[test]
fn the_values_that_link_say_why_once_for_all_of_one_class() {
    let nodes = [
        node("cookie:v email:i", "", 1),
        node("email:i phone:p", "", 2),
        node("phone:p card:1", "", 3),
        node("card:1 dni:1", "", 4),
    ];
    let (none, rules) = (Decisions::default(), Rules::default());
    let answer = answer(&nodes, &none, &rules, ("cookie:v", "dni:1"));
    let said = said(&answer, &rules);
    let es: Vec<&str> = said.iter().map(|one| one.es.as_str()).collect();
    let en: Vec<&str> = said.iter().map(|one| one.en.as_str()).collect();
    assert_eq!(
        es,
        [
            "La tarjeta 1 une porque tiene un solo dueño.",
            "El correo i y el teléfono p unen porque sus usuarios no son demasiados ni se contradicen.",
        ]
    );
    assert_eq!(
        en,
        [
            "The loyalty card 1 links because it has one owner.",
            "The e-mail i and the phone p link because those who use them are not too many and do not contradict each other.",
        ]
    );
}

#[test]
fn every_class_says_why_it_links() {
    let none = Decisions::default();
    for (value, rules, es, en) in [
        (
            "dni:1",
            Rules::default(),
            "El DNI 1 une porque solo puede ser de una persona.",
            "The DNI 1 links because it can only be one person's.",
        ),
        (
            "phone:p",
            Rules::default(),
            "El teléfono p une porque sus usuarios no son demasiados ni se contradicen.",
            "The phone p links because those who use it are not too many and do not contradict each other.",
        ),
        (
            "cookie:v",
            Rules::default(),
            "El visitante v une mientras no pasen más de 400 días entre una vez y la siguiente.",
            "The visitor v links while no more than 400 days pass between one time and the next.",
        ),
        (
            "cookie:v",
            with(Kind::AnonymousId, Class::Ephemeral, Some(1)),
            "El visitante v une mientras no pase más de un día entre una vez y la siguiente.",
            "The visitor v links while no more than one day passes between one time and the next.",
        ),
        (
            "cookie:v",
            with(Kind::AnonymousId, Class::Ephemeral, None),
            "El visitante v une cada vez que se vuelve a ver.",
            "The visitor v links whenever seen again.",
        ),
        (
            "phone:p",
            with(Kind::Phone, Class::RoleScoped, None),
            "El teléfono p une dentro de un mismo lado de la persona, el personal o el profesional.",
            "The phone p links inside one side of a person, the personal or the professional one.",
        ),
    ] {
        let nodes = [
            node(&format!("{value} email:a"), "", 1),
            node(&format!("{value} email:b"), "", 2),
        ];
        let answer = answer(&nodes, &none, &rules, ("email:a", "email:b"));
        let said = said(&answer, &rules);
        assert_eq!(
            said.iter()
                .map(|one| (one.es.as_str(), one.en.as_str()))
                .collect::<Vec<_>>(),
            [(es, en)]
        );
    }
}

#[test]
fn one_event_and_a_decision_need_no_value_that_links() {
    let rules = Rules::default();
    let nodes = [node("email:a phone:p", "", 1), node("email:b", "", 2)];
    let same = Decisions::of([decided(DecisionKind::Same, &["email:a", "email:b"], &[])]);
    let one = answer(&nodes, &same, &rules, ("email:a", "phone:p"));
    assert_eq!(
        said(&one, &rules)[0].es,
        "Los datos de un mismo evento son de una misma persona."
    );
    let by_decision = answer(&nodes, &same, &rules, ("email:a", "email:b"));
    assert_eq!(ruled(steps(&by_decision), &rules), [Rule::Decision]);
    assert_eq!(said(&by_decision, &rules), []);
}

#[test]
fn nothing_competes_where_nothing_does() {
    let nodes = [
        node("email:a phone:p", "ana lopez", 1),
        node("phone:p card:1", "ana lopez gil", 2),
        node("email:z", "luis perez", 3),
    ];
    let answer = answer(
        &nodes,
        &Decisions::default(),
        &Rules::default(),
        ("email:a", "card:1"),
    );
    assert_eq!(steps(&answer).len(), 2);
    assert_eq!(answer.competing, []);
}

#[test]
fn others_who_hold_a_value_of_the_chain_are_counted_and_the_reason_is_told() {
    let nodes = [
        node("dni:1 phone:p", "", 1),
        node("dni:2 phone:p", "", 2),
        node("dni:3 phone:p", "", 3),
    ];
    let answer = answer(
        &nodes,
        &Decisions::default(),
        &Rules::default(),
        ("dni:1", "phone:p"),
    );
    let [Competing::Held(others)] = &answer.competing[..] else {
        panic!("{:?}", answer.competing)
    };
    assert_eq!(
        (others.value.clone(), others.count, others.more),
        (id("phone:p"), 2, false)
    );
    assert_eq!(
        others.customers,
        [nodes[1].fingerprint, nodes[2].fingerprint]
    );
    assert!(
        matches!(others.why, Some(SharedWhy::Contradiction(_))),
        "{others:?}"
    );
    let said = against(&answer.competing[0], false);
    assert!(
        said.es.starts_with(
            "El teléfono p está también en otras 2 fichas: quienes lo usan se contradicen (el DNI "
        ),
        "{}",
        said.es
    );
    assert!(
        said.en
            .starts_with("The phone p is also in 2 other records: those who use it contradict"),
        "{}",
        said.en
    );
    let masked = against(&answer.competing[0], true);
    assert!(!masked.es.contains("DNI 1"), "{}", masked.es);
}

#[test]
fn a_cookie_of_another_time_competes_without_a_reason() {
    let nodes = [
        node("cookie:v email:a", "", 1),
        node("cookie:v email:b", "", 900),
    ];
    let answer = answer(
        &nodes,
        &Decisions::default(),
        &Rules::default(),
        ("cookie:v", "email:a"),
    );
    let said = against(&answer.competing[0], false);
    assert_eq!(said.es, "El visitante v está también en otra ficha.");
    assert_eq!(said.en, "The visitor v is also in one other record.");
}

#[test]
fn names_dates_and_documents_that_do_not_fit_in_one_person_compete() {
    let born = |name: &str, date: &str| Person {
        birthday: Some(date.to_owned()),
        ..person(name)
    };
    let nodes = [
        node_of("dni:1 email:a", born("ana lopez", "1980-05-12"), 1),
        node_of("dni:1 email:b", born("luis perez", "1979-01-01"), 2),
    ];
    let same = Decisions::of([decided(DecisionKind::Same, &["email:a", "email:b"], &[])]);
    let answer = answer(&nodes, &same, &Rules::default(), ("email:a", "email:b"));
    let said: Vec<Sentence> = answer
        .competing
        .iter()
        .map(|one| against(one, false))
        .collect();
    let es: Vec<&str> = said.iter().map(|one| one.es.as_str()).collect();
    assert_eq!(
        es,
        [
            "Los nombres Ana Lopez y Luis Perez no parecen de la misma persona.",
            "Hay fechas de nacimiento distintas: 1979-01-01 y 1980-05-12.",
        ]
    );
    let masked: Vec<String> = answer
        .competing
        .iter()
        .map(|one| against(one, true).en)
        .collect();
    assert_eq!(
        masked,
        [
            "The names A. L. and L. P. do not look like one person's.",
            "There are different dates of birth.",
        ]
    );
}

#[test]
fn two_documents_of_one_person_compete_though_one_is_declared_shared() {
    let nodes = [
        node("dni:1 email:a", "", 1),
        node("dni:2 email:a card:1", "", 2),
    ];
    let mistyped = decided(DecisionKind::SharedIdentifier, &["dni:2"], &[]);
    let decisions = Decisions::of([mistyped]);
    let answer = answer(&nodes, &decisions, &Rules::default(), ("dni:1", "card:1"));
    let clash = Clash::Exclusive {
        one: id("dni:1"),
        other: id("dni:2"),
    };
    assert_eq!(answer.competing, [Competing::Clash(clash)]);
    let said = against(&answer.competing[0], false);
    assert_eq!(
        said.es,
        "Una persona tiene como mucho uno de su clase, y aquí hay dos: el DNI 1 y el DNI 2."
    );
    assert_eq!(
        said.en,
        "A person has at most one of its kind, and here are two: the DNI 1 and the DNI 2."
    );
}

#[test]
fn what_the_records_of_a_match_do_not_agree_on_competes_and_the_band_is_told() {
    let mut rules = Rules::default();
    rules.matching.population = 1_000;
    rules.matching.bands.link = 3_000;
    let living = |street: &str| Person {
        birthday: Some("1980-05-12".to_owned()),
        street: Some(street.to_owned()),
        city: Some("soria".to_owned()),
        postal_code: Some("42001".to_owned()),
        gender: Some(street.len().to_string()),
        ..person("ana lopez gil")
    };
    let nodes = [
        node_of("email:a", living("mayor 5"), 1),
        node_of("phone:p", living("gran via 77"), 2),
    ];
    let answer = answer(
        &nodes,
        &Decisions::default(),
        &rules,
        ("email:a", "phone:p"),
    );
    let link = rules.matching.bands.link;
    assert_eq!(ruled(steps(&answer), &rules), [Rule::Match { link }]);
    let said_of_rule = said(&answer, &rules);
    assert_eq!(
        said_of_rule[0].es,
        "Las reglas unen por coincidencias desde 8 a 1 a favor."
    );
    assert_eq!(
        said_of_rule[0].en,
        "The rules link by agreement from 8 to 1 for it on."
    );
    let [Competing::Unlike(_)] = &answer.competing[..] else {
        panic!("{:?}", answer.competing)
    };
    let said = against(&answer.competing[0], false);
    assert!(said.es.ends_with("otro sexo."), "{}", said.es);
    assert!(said.en.ends_with("another gender."), "{}", said.en);
}

#[test]
fn one_date_of_birth_written_in_two_ways_does_not_compete() {
    let with_digits = Person {
        birth_digits: Some("19800512".to_owned()),
        ..Person::default()
    };
    let with_signs = Person {
        birthday: Some("1980-05-12".to_owned()),
        ..Person::default()
    };
    let nodes = [
        node_of("email:a card:1", with_digits, 1),
        node_of("email:a card:2", with_signs, 2),
    ];
    let answer = answer(
        &nodes,
        &Decisions::default(),
        &Rules::default(),
        ("card:1", "card:2"),
    );
    assert_eq!(answer.competing, []);
}

#[test]
fn a_decision_that_parts_a_value_of_the_person_from_another_competes() {
    let nodes = [
        node("email:a card:1", "", 1),
        node("card:1 email:c", "", 2),
        node("email:b", "", 3),
    ];
    let parted = Decisions::of([decided(DecisionKind::NotSame, &["email:a", "email:b"], &[])]);
    let answer = answer(&nodes, &parted, &Rules::default(), ("email:a", "email:c"));
    let [Competing::Clash(Clash::Decision { one, other, .. })] = &answer.competing[..] else {
        panic!("{:?}", answer.competing)
    };
    assert_eq!((one, other), (&id("email:a"), &id("email:b")));
    assert_eq!(
        against(&answer.competing[0], false).en,
        "Somebody decided that the e-mail a and the e-mail b are not the same person's."
    );
    // What was decided about another value of the person is beside the point.
    let elsewhere = self::answer(&nodes, &parted, &Rules::default(), ("card:1", "email:c"));
    assert_eq!(elsewhere.competing, []);
}

#[test]
fn a_value_that_the_rules_leave_out_is_not_said_to_be_nobodys() {
    let nodes = [node("email:a", "", 1)];
    let none = Decisions::default();
    let mut listed = Rules::default();
    listed.blocked.insert(Kind::Phone, "p*");
    let kind = with(Kind::Phone, Class::Blocked, None);
    for (rules, whole, es, en) in [
        (
            listed,
            false,
            "Las reglas dejan fuera el teléfono p: está en la lista de valores bloqueados",
            "The rules leave the phone p out: it is on the list of blocked values",
        ),
        (
            kind,
            true,
            "Las reglas dejan fuera el teléfono p: ningún dato de esa clase es prueba de nada.",
            "The rules leave the phone p out: no value of its kind is evidence of anything.",
        ),
    ] {
        let answer = answer(&nodes, &none, &rules, ("email:a", "phone:p"));
        let blocked = Apart::Blocked {
            value: id("phone:p"),
            kind: whole,
        };
        assert_eq!(answer.why, Why::Apart(vec![blocked]));
        let words = sentence(&answer.why, false, &|_| None);
        assert!(words.es.starts_with(es), "{}", words.es);
        assert!(words.en.starts_with(en), "{}", words.en);
    }
}

#[test]
fn the_customer_that_is_asked_about_is_found_among_many_holders() {
    let (none, rules) = (Decisions::default(), Rules::default());
    let mut graph = MemoryGraph::default();
    let count = 2 * why::HOLDERS_MAX;
    let nodes: Vec<Node> = (0..count)
        .map(|at| node(&format!("phone:all email:{at}"), "", 1))
        .collect();
    for node in &nodes {
        insert(&mut graph, node.clone(), &none, &rules).unwrap();
    }
    // The first holders are found in order of their fingerprints: this one is not among them.
    let last = nodes.iter().max_by_key(|node| node.fingerprint).unwrap();
    let group = person_of(&graph, &last.fingerprint).unwrap().unwrap();
    let mut ends = last.payload.identifiers.clone();
    ends.sort_by_key(|value| value.kind);
    let ends: Vec<End> = ends
        .into_iter()
        .map(|value| End::Value(vec![value]))
        .collect();
    let found = why(&graph, Some(&group), (&ends[0], &ends[1]), &none, &rules).unwrap();
    assert!(
        matches!(&found.why, Why::Linked(steps) if steps.len() == 1),
        "{:?}",
        found.why
    );
    let Some(Competing::Held(others)) = found.competing.first() else {
        panic!("{:?}", found.competing)
    };
    assert!(others.more && others.count >= why::HOLDERS_MAX - 1);
    assert_eq!(others.customers.len(), competing::CUSTOMERS_MAX);
}
