//! What people read: why two are not one, what a decision would do, what became of whom.

use super::*;
use crate::matching::Score;

/// The answer for two values of a set, with its sentences.
fn apart(
    nodes: &[Node],
    decisions: &Decisions,
    rules: &Rules,
    pair: (&str, &str),
) -> (Vec<Apart>, Sentence) {
    let graph = grown(nodes, decisions, rules);
    let answer = asked(&graph, (&id(pair.0), &id(pair.1)), decisions, rules);
    let words = sentence(&answer, false, &|_| None);
    match answer {
        Why::Apart(mut reasons) => {
            // How alike the records are is told beside every reason, and looked at elsewhere.
            reasons.retain(|one| !matches!(one, Apart::Unlike { .. }));
            (reasons, words)
        }
        Why::Linked(steps) => panic!("linked: {steps:?}"),
    }
}

fn says(words: &Sentence, es: &str, en: &str) {
    assert!(words.es.contains(es), "{}", words.es);
    assert!(words.en.contains(en), "{}", words.en);
}

#[test]
fn two_documents_keep_two_persons_apart() {
    let nodes = [
        node("dni:1 phone:p", "eva ruiz", 1),
        node("dni:2 phone:p", "eva ruiz", 2),
    ];
    let none = Decisions::default();
    let (reasons, words) = apart(&nodes, &none, &Rules::default(), ("dni:1", "dni:2"));
    let clash = Clash::Exclusive {
        one: id("dni:1"),
        other: id("dni:2"),
    };
    let shared = Apart::Shared(SharedKey {
        identifier: id("phone:p"),
        why: SharedWhy::Contradiction(clash.clone()),
    });
    assert_eq!(reasons, [Apart::Clash(clash), shared]);
    says(
        &words,
        "Una persona no puede tener el DNI 1 y el DNI 2: no se unen, coincida lo que coincida. Si uno de los dos está mal escrito, declárelo",
        "One person cannot have the DNI 1 and the DNI 2: they are not linked, whatever agrees. If one of the two is mistyped, declare it",
    );
    says(
        &words,
        "El teléfono p no los une: quienes lo usan se contradicen.",
        "The phone p does not link them: those who use it contradict each other.",
    );
}

#[test]
fn two_names_keep_two_persons_apart_and_a_reader_sees_initials() {
    let nodes = [
        node("email:a phone:p", "ana lopez", 1),
        node("email:b phone:p", "luis perez", 2),
    ];
    let (none, rules) = (Decisions::default(), Rules::default());
    let (reasons, words) = apart(&nodes, &none, &rules, ("email:a", "email:b"));
    says(
        &words,
        "Los nombres Ana Lopez y Luis Perez no pueden ser de la misma persona.",
        "The names Ana Lopez and Luis Perez cannot be the same person's.",
    );
    let masked = sentence(&Why::Apart(reasons), true, &|_| None);
    says(&masked, "A. L. y L. P.", "A. L. and L. P.");
    assert!(!masked.en.contains("Lopez"), "{}", masked.en);
}

#[test]
fn a_decision_keeps_two_persons_apart() {
    let nodes = [
        node("email:a phone:p", "", 1),
        node("email:b phone:p", "", 2),
    ];
    let not = decided(DecisionKind::NotSame, &["email:a", "email:b"], &[]);
    let decisions = Decisions::of([not]);
    let pair = ("email:a", "email:b");
    let (_, words) = apart(&nodes, &decisions, &Rules::default(), pair);
    says(
        &words,
        "Alguien decidió que el correo a y el correo b no son de la misma persona. Para unirlos hay que deshacer esa decisión.",
        "Somebody decided that the e-mail a and the e-mail b are not the same person's. To link them, undo that decision.",
    );
}

#[test]
fn unknown_values_strangers_and_one_value_have_their_sentences() {
    let nodes = [node("email:a", "", 1), node("email:b", "", 2)];
    let (none, rules) = (Decisions::default(), Rules::default());
    let (reasons, words) = apart(&nodes, &none, &rules, ("email:x", "email:y"));
    let unknown = ["email:x", "email:y"].map(|one| Apart::Unknown(id(one)));
    assert_eq!(reasons, unknown);
    says(
        &words,
        "Nadie tiene el correo x.",
        "Nobody holds the e-mail y.",
    );
    let (reasons, words) = apart(&nodes, &none, &rules, ("email:a", "email:b"));
    assert_eq!(reasons, [Apart::NothingInCommon]);
    says(
        &words,
        "No tienen en común ningún identificador que las reglas tengan en cuenta. Un nombre solo no une nunca",
        "They have no identifier in common that the rules take into account. A name alone never links",
    );
    let graph = grown(&nodes, &none, &rules);
    let same = asked(&graph, (&id("email:a"), &id("email:a")), &none, &rules);
    assert_eq!(same, Why::Linked(vec![]));
    says(
        &sentence(&same, false, &|_| None),
        "Es el mismo dato.",
        "It is the same value.",
    );
}

#[test]
fn what_agrees_is_no_promise_where_something_forbids_the_link() {
    let score = |odds| Score {
        odds,
        terms: Vec::new(),
        prior: 0,
        family: 0,
    };
    let clash = Apart::Clash(Clash::Exclusive {
        one: id("dni:1"),
        other: id("dni:2"),
    });
    for (odds, barred, open) in [
        (
            15_400,
            "what was said before forbids it",
            "too many records are alike",
        ),
        (
            2_900,
            "what was said before forbids",
            "To link them it would take 2,048 to 1",
        ),
    ] {
        let unlike = Apart::Unlike {
            score: score(odds),
            link: 11_000,
        };
        let said = |reasons: &[Apart]| {
            let said = sentence::apart(reasons, false);
            said.last().unwrap().en.clone()
        };
        let with = said(&[clash.clone(), unlike.clone()]);
        assert!(
            with.contains(barred) && !with.contains("it would take"),
            "{with}"
        );
        let without = said(&[unlike]);
        assert!(without.contains(open), "{without}");
    }
}

#[test]
fn odds_are_told_as_so_many_to_one() {
    for (bits, es, en) in [
        (5_000, "32 a 1 a favor", "32 to 1 for it"),
        (11_000, "2.048 a 1 a favor", "2,048 to 1 for it"),
        (-3_000, "8 a 1 en contra", "8 to 1 against it"),
        (-1, "tan probable como que no", "as likely as not"),
        (
            40_000,
            "más de un millón a 1 a favor",
            "more than a million to 1 for it",
        ),
    ] {
        let said = odds(bits);
        assert_eq!((said.es.as_str(), said.en.as_str()), (es, en));
    }
}

#[test]
fn every_reason_of_a_shared_value_has_its_sentence() {
    let none = Decisions::default();
    let hot: Vec<Node> = (0..4)
        .map(|n| node(&format!("phone:p email:{n}"), "", n))
        .collect();
    let few = Rules {
        cap: 2,
        ..Rules::default()
    };
    let (_, words) = apart(&hot, &none, &few, ("email:1", "email:2"));
    says(
        &words,
        "lo usan demasiadas personas",
        "too many people use it",
    );
    let shared = decided(DecisionKind::SharedIdentifier, &["phone:p"], &[]);
    let declared = Decisions::of([shared]);
    let (_, words) = apart(&hot, &declared, &few, ("email:1", "email:2"));
    says(
        &words,
        "alguien lo declaró compartido",
        "somebody declared it shared",
    );
    let chain = [
        node("dni:1 email:a", "", 1),
        node("email:a email:b", "", 2),
        node("dni:2 email:b", "", 3),
    ];
    let graph = grown(&chain, &none, &Rules::default());
    let between = graph.components()[0]
        .group_of(&chain[1].fingerprint)
        .cloned();
    let whys: Vec<SharedWhy> = between
        .unwrap()
        .shared
        .into_iter()
        .map(|key| key.why)
        .collect();
    assert!(!whys.is_empty());
    for why in whys {
        assert!(matches!(why, SharedWhy::Ambiguous(_)), "{why:?}");
        let key = SharedKey {
            identifier: id("email:a"),
            why,
        };
        let words = sentence(&Why::Apart(vec![Apart::Shared(key)]), false, &|_| None);
        says(
            &words,
            "puede ser de dos personas distintas",
            "it may be either of two persons'",
        );
    }
    let mut rules = Rules::default();
    if let Some(rule) = rules.kinds.get_mut(&Kind::LoyaltyId) {
        rule.max_per_person = Some(1);
    }
    let cards = [node("email:a card:1", "", 1), node("email:a card:2", "", 2)];
    let (_, words) = apart(&cards, &none, &rules, ("card:1", "card:2"));
    says(
        &words,
        "tendrían más de 1 de la clase loyaltyId si fueran uno",
        "would have more than 1 of kind loyaltyId as one",
    );
    rules.shared.insert(Kind::Email, "a*");
    let (reasons, words) = apart(&cards, &none, &rules, ("card:1", "card:2"));
    assert!(
        matches!(&reasons[..], [Apart::Shared(key)] if key.why == SharedWhy::Listed),
        "{reasons:?}"
    );
    says(
        &words,
        "las reglas lo dan por compartido",
        "the rules list it as shared",
    );
}

#[test]
fn a_decision_does_the_same_again_on_a_copy_and_nothing_when_it_is_known() {
    let rules = Rules {
        cap: 3,
        ..Rules::default()
    };
    let nodes = [
        node("email:a phone:p", "", 1),
        node("email:b phone:p", "", 2),
        node("email:c", "ana lopez", 3),
        node("email:d", "luis perez", 4),
        node("dni:1 email:e", "", 5),
        node("dni:2 email:f", "", 6),
    ];
    let not = decided(DecisionKind::NotSame, &["email:a", "email:b"], &[]);
    let steps = [
        not.clone(),
        decided(DecisionKind::Same, &["email:c", "email:d"], &[]),
        decided(DecisionKind::Same, &["email:e", "email:f"], &[]),
        decided(DecisionKind::SharedIdentifier, &["phone:p"], &[]),
        decided(DecisionKind::Household, &["email:a", "email:c"], &[]),
        decided(DecisionKind::Same, &["email:a", "email:b"], &[not.id]),
        Decision::undo(not.id, "", "", 0),
        Decision::undo(not.id, "", "", 0),
        decided(DecisionKind::Same, &["email:a", "email:nobody"], &[]),
    ];
    let mut decisions = Decisions::default();
    let mut graph = grown(&nodes, &decisions, &rules);
    for decision in steps {
        let (mut scratch, mut hypothetical) = (graph.clone(), decisions.clone());
        let would = decide(&mut scratch, &mut hypothetical, decision.clone(), &rules).unwrap();
        let did = decide(&mut graph, &mut decisions, decision.clone(), &rules).unwrap();
        assert_eq!(would, did, "{decision:?}");
        let again = decide(&mut graph, &mut decisions, decision, &rules).unwrap();
        assert_eq!(again, Outcome::default());
    }
    let mut forged = decided(DecisionKind::Same, &["email:a", "email:c"], &[]);
    forged.reason = "changed on its way".into();
    let before = graph.clone();
    let known = decisions.active().clone();
    let refused = decide(&mut graph, &mut decisions, forged, &rules);
    assert!(matches!(
        refused,
        Err(DecideError::Bad(BadDecision::WrongId { .. }))
    ));
    assert_eq!((&graph, decisions.active()), (&before, &known));
}

fn fp(n: u8) -> Fingerprint {
    Fingerprint([n; 16])
}

/// Components of one group each; the first member is the seed.
fn grouped(groups: &[&[u8]]) -> Vec<Component> {
    let component = |members: &&[u8]| Component {
        id: fp(*members.iter().min().unwrap()),
        groups: vec![Group {
            seed: fp(members[0]),
            seed_at_ms: 0,
            members: {
                let mut sorted: Vec<_> = members.iter().map(|n| fp(*n)).collect();
                sorted.sort();
                sorted
            },
            shared: vec![],
        }],
        refusals: vec![],
    };
    groups.iter().map(component).collect()
}

#[test]
fn the_difference_of_two_groupings_names_everything_once() {
    let between = |before: &[&[u8]], after: &[&[u8]]| {
        let groups = |groups: &[&[u8]]| whole_group(&grouped(groups), &People::default());
        let outcome = Outcome::between(&groups(before), &groups(after));
        (outcome.changes, outcome.changed.len(), outcome.gone)
    };
    let fps = |all: &[u8]| all.iter().map(|n| fp(*n)).collect::<Vec<_>>();
    let merged = |into: u8, from: &[u8]| Change::Merged {
        into: fp(into),
        from: fps(from),
    };
    let split = |from: u8, into: &[u8]| Change::Split {
        from: fp(from),
        into: fps(into),
    };
    assert_eq!(between(&[], &[]), (vec![], 0, vec![]));
    assert_eq!(between(&[&[1, 2]], &[&[1, 2]]), (vec![], 0, vec![]));
    let created = Change::Created { seed: fp(1) };
    assert_eq!(between(&[], &[&[1]]), (vec![created], 1, vec![]));
    let updated = Change::Updated { seed: fp(1) };
    assert_eq!(between(&[&[1]], &[&[1, 2]]), (vec![updated], 1, vec![]));
    assert_eq!(
        between(&[&[1], &[2]], &[&[1, 2]]),
        (vec![merged(1, &[1, 2])], 1, fps(&[2]))
    );
    assert_eq!(
        between(&[&[1, 2]], &[&[1], &[2]]),
        (vec![split(1, &[1, 2])], 2, vec![])
    );
    let reseeded = Change::Reseeded {
        from: fp(1),
        to: fp(2),
    };
    assert_eq!(
        between(&[&[1, 2]], &[&[2, 1]]),
        (vec![reseeded.clone()], 1, fps(&[1]))
    );
    // A part changes sides: the one is split, the other is merged with a part of it.
    assert_eq!(
        between(&[&[1, 2], &[3]], &[&[1], &[3, 2]]),
        (vec![merged(3, &[1, 3]), split(1, &[1, 3])], 2, vec![])
    );
    // A member that is no more: its group goes on under another seed, or is gone.
    assert_eq!(
        between(&[&[1, 2], &[4]], &[&[2]]),
        (vec![reseeded], 1, fps(&[1, 4]))
    );
}

#[test]
fn a_value_of_a_role_links_inside_its_side_and_says_so() {
    let none = Decisions::default();
    let mut rules = Rules::default();
    if let Some(rule) = rules.kinds.get_mut(&Kind::Email) {
        rule.class = Class::RoleScoped;
    }
    let on = |ids: &str, facet, day: i64| {
        let ids = ids.split(' ').map(id);
        let payload = Payload::new(ids, facet, day * 86_400_000, Person::default(), &rules);
        Node::new(payload.unwrap(), day * 86_400_000)
    };
    let work = Some(Facet::Professional);
    let nodes = [
        on("email:w card:1", work, 1),
        on("email:w card:2", work, 2),
        on("email:w card:3", None, 3),
        on("email:w card:4", Some(Facet::Personal), 4),
    ];
    let whole = full(&nodes, &none, &rules);
    let mut expected = [[0, 1], [2, 3]].map(|pair| {
        let mut members = pair.map(|at: usize| nodes[at].fingerprint);
        members.sort();
        members.to_vec()
    });
    expected.sort();
    assert_eq!(groups(&whole.components), expected);
    let graph = grown(&nodes, &none, &rules);
    let linked = asked(&graph, (&id("card:1"), &id("card:2")), &none, &rules);
    assert!(matches!(linked, Why::Linked(_)));
    says(
        &sentence(&linked, false, &|_| None),
        "solo une dentro del lado profesional",
        "of a role: links only inside the professional side",
    );
    let (reasons, words) = apart(&nodes, &none, &rules, ("card:1", "card:3"));
    assert_eq!(reasons, [Apart::Side(id("email:w").inside(work))]);
    says(
        &words,
        "No une a los dos el correo w",
        "The two are not linked by the e-mail w",
    );
}
