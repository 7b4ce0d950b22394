//! Reading a group event, and the laws of the fold.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{event::Taking, evidence::Observation, id::EventId};

const SPAIN: Place<'static> = Place {
    country: "ES",
    namespace: "",
};

fn event(body: &Value) -> Event {
    Event::take(
        &body.to_string(),
        Taking {
            fresh_message_id: "m",
            ..Taking::default()
        },
    )
    .unwrap()
}

fn group(traits: &Value) -> GroupSaid {
    let body = json!({"type": "group", "userId": "u", "groupId": " acme ", "traits": traits});
    GroupSaid::of(&event(&body), &SPAIN).unwrap()
}

fn observation(event: u8, at_ms: i64, priority: u8) -> Observation {
    let text = json!({"type": "group", "userId": "u", "groupId": "acme"});
    let origin = crate::evidence::Origin {
        unsure: false,
        captured_ms: at_ms,
        wall_ms: at_ms,
        source: "crm".into(),
        priority,
        country: "ES".into(),
        namespace: String::new(),
        agent: None,
        touchpoint: None,
    };
    Observation {
        event: EventId([event; 32]),
        ..crate::evidence::observe(&self::event(&text), &[origin].into())
    }
}

#[test]
fn what_says_how_somebody_belongs_is_told_from_what_is_said_of_the_account() {
    let said = group(
        &json!({"name": "Acme", "employees": 12, "role": " CFO ", "weight": 60, "decides": true, "pays": false,
        "from": "2026-01-01", "to": "2026-03-31T23:00:00+02:00", "nothing": null}),
    );
    assert_eq!((said.scope.as_str(), said.value.as_str()), ("", "acme"));
    assert_eq!(
        said.traits,
        [
            ("employees".to_owned(), "12".to_owned()),
            ("name".to_owned(), "\"Acme\"".to_owned())
        ]
    );
    let relation = said.relation;
    assert_eq!(
        (relation.role.as_str(), relation.weight, relation.decides),
        ("CFO", Some(60), Some(true))
    );
    assert_eq!((relation.pays, relation.uses), (Some(false), None));
    assert_eq!(relation.from.map(Relation::date).unwrap(), "2026-01-01");
    assert_eq!(relation.to.map(Relation::date).unwrap(), "2026-03-31");
}

#[test]
fn what_cannot_be_read_as_a_role_stays_to_be_seen() {
    let said = group(
        &json!({"role": "x".repeat(65), "weight": 101, "decides": "yes", "from": "soon", "to": 7}),
    );
    assert_eq!(said.relation, Relation::default());
    let names: Vec<&str> = said.traits.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["decides", "from", "role", "to", "weight"]);
}

#[test]
fn only_a_group_event_with_a_usable_id_is_about_an_account() {
    let none = |body: Value| GroupSaid::of(&event(&body), &SPAIN).is_none();
    assert!(none(
        json!({"type": "identify", "userId": "u", "groupId": "acme"})
    ));
    assert!(none(json!({"type": "group", "userId": "u"})));
    assert!(none(
        json!({"type": "group", "userId": "u", "groupId": "null"})
    ));
    let shop = Place {
        namespace: "shop",
        ..SPAIN
    };
    let alone = event(&json!({"type": "group", "groupId": 7}));
    let said = GroupSaid::of(&alone, &shop).unwrap();
    assert_eq!((said.scope.as_str(), said.value.as_str()), ("shop", "7"));
}

#[test]
fn a_role_holds_from_its_first_day_to_its_last() {
    let holds = |traits: Value, on: &str| {
        let day = group(&json!({"from": on})).relation.from.unwrap();
        group(&traits).relation.holds(day)
    };
    let span = || json!({"from": "2026-02-01", "to": "2026-02-03"});
    assert!(!holds(span(), "2026-01-31") && holds(span(), "2026-02-01"));
    assert!(holds(span(), "2026-02-03") && !holds(span(), "2026-02-04"));
    assert!(holds(json!({}), "1950-01-01"));
}

#[test]
fn an_account_id_never_changes_and_depends_on_the_key_and_both_parts() {
    let id = account_id(&[1; 32], "", "acme");
    assert_eq!(id.to_string(), "acc_b77a783ae9f7eb0d4880a4518d789c6c");
    assert_ne!(id, account_id(&[2; 32], "", "acme"));
    assert_ne!(id, account_id(&[1; 32], "acme", ""));
    assert_ne!(
        account_id(&[1; 32], "a", "bc"),
        account_id(&[1; 32], "ab", "c")
    );
}

#[test]
fn of_a_person_with_several_fingerprints_the_latest_of_a_role_counts() {
    let part = |n: u8, at_ms: i64, priority: u8, traits: Value| {
        let mut part = Part::default();
        part.add(&observation(n, at_ms, priority), &group(&traits), true);
        part
    };
    let old = part(1, 5, 0, json!({"role": "buyer", "decides": true}));
    let new = part(2, 6, 0, json!({"role": "buyer", "decides": false}));
    let member = part(3, 7, 0, json!({}));
    let roles = roles_of([&new, &old, &member]);
    assert_eq!(roles.len(), 1);
    assert_eq!(roles[0].value.decides, Some(false));
    assert_eq!(roles_of([&member]).len(), 1, "a mere member is one");
    let outranked = part(4, 1, 9, json!({"role": "buyer", "decides": true}));
    assert_eq!(roles_of([&new, &outranked])[0].value.decides, Some(true));
}

/// Few of everything, so that equal names, times and ranks are the rule.
fn said() -> impl Strategy<Value = (Observation, GroupSaid)> {
    (
        0u8..40,
        0i64..3,
        0u8..2,
        "[a-c]",
        prop::option::of("[xy]"),
        any::<bool>(),
    )
        .prop_map(|(event, at_ms, priority, name, role, decides)| {
            // What is said is a function of the event.
            let traits = json!({name: event, "role": role, "decides": decides && event % 2 == 0});
            (observation(event, at_ms, priority), group(&traits))
        })
}

proptest! {
    #[test]
    fn the_fold_is_a_function_of_the_set_and_parts_are_the_whole(all in prop::collection::vec(said(), 0..30), cut in 0usize..30) {
        let mut once = BTreeMap::new();
        for one in all {
            once.entry(one.0.event).or_insert(one);
        }
        let all: Vec<_> = once.into_values().collect();
        let fold = |all: &[(Observation, GroupSaid)]| {
            let mut part = Part::default();
            all.iter().for_each(|(said, group)| part.add(said, group, true));
            part
        };
        let whole = fold(&all);
        let mut turned = all.clone();
        turned.reverse();
        prop_assert_eq!(&fold(&turned), &whole);
        let (left, right) = all.split_at(cut.min(all.len()));
        let mut joined = fold(right);
        joined.absorb(&fold(left));
        prop_assert_eq!(joined, whole);
    }
}
