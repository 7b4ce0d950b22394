//! The fold is a function of the set of events; its bytes are frozen; what it becomes is the contract's.

mod sides;

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{id::CustomerId, identifier::Kind, person::Person};

fn identifier(kind: Kind, value: &str) -> Identifier {
    Identifier {
        kind,
        scope: if kind == Kind::NationalId {
            "ES-DNI".into()
        } else {
            String::new()
        },
        value: value.into(),
    }
}

fn payload() -> Payload {
    let mut identifiers = vec![
        identifier(Kind::Email, "ada@x.org"),
        identifier(Kind::Phone, "+34600111222"),
        identifier(Kind::AnonymousId, "a-1"),
    ];
    identifiers.sort();
    Payload {
        identifiers,
        day: Some(20_000),
        person: Person {
            given: vec!["ada".into()],
            surnames: vec!["lovelace".into(), "byron".into()],
            birthday: Some("1815-12-10".into()),
            ..Person::default()
        },
        facet: None,
    }
}

fn other_payload() -> Payload {
    Payload {
        identifiers: vec![
            identifier(Kind::NationalId, "12345678Z"),
            identifier(Kind::Email, "ada@x.org"),
        ],
        day: None,
        person: Person::default(),
        facet: None,
    }
}

fn said(n: u8) -> Observation {
    Observation {
        event: EventId([n; 32]),
        message_id: format!("m-{n}"),
        kind: EventType::Track,
        at_ms: 1_700_000_000_000,
        identifiers: payload().identifiers,
        unusable: Vec::new(),
        person: Person::default(),
        traits: Vec::new(),
        topic: None,
        sources: vec!["web".into()],
        priority: 0,
        facet: None,
        group: None,
        consents: Vec::new(),
        channel: Some("web".into()),
        inbound: true,
    }
}

/// Few of everything, so that equal times, ranks and values are the rule.
fn observation() -> impl Strategy<Value = Observation> {
    let traits = prop::collection::btree_map("[a-c]", "[0-9]", 0..3);
    let sources = prop::sample::subsequence(vec!["crm", "kiosk", "web"], 1..=3);
    let channel = prop::option::of(prop::sample::select(vec!["web", "store"]));
    let topic = prop::option::of("[ab]");
    let held = prop::sample::subsequence(payload().identifiers, 0..=3);
    (
        any::<u16>(),
        0i64..3,
        0u8..2,
        traits,
        sources,
        channel,
        topic,
        held,
        any::<bool>(),
    )
        .prop_map(
            |(event, at_ms, priority, traits, sources, channel, topic, held, inbound)| {
                Observation {
                    event: EventId(*blake3::hash(&event.to_le_bytes()).as_bytes()),
                    kind: EventType::ALL[usize::from(event) % 6],
                    at_ms,
                    identifiers: held,
                    traits: traits.into_iter().collect(),
                    topic,
                    sources: sources.into_iter().map(str::to_owned).collect(),
                    priority,
                    channel: channel.map(str::to_owned),
                    inbound,
                    ..said(0)
                }
            },
        )
}

fn fold<'a>(payload: Payload, all: impl IntoIterator<Item = &'a Observation>) -> Fragment {
    let mut fragment = Fragment::empty(payload);
    for one in all {
        fragment.add(one);
    }
    fragment
}

fn sample() -> Fragment {
    let mut first = said(1);
    first.traits = vec![
        ("balance".into(), "10000.000000000000000001".into()),
        ("firstName".into(), "\"Ada\"".into()),
        ("tags".into(), "[\"a\",{\"b\":null}]".into()),
    ];
    first.topic = Some("renta fija".into());
    let mut second = said(2);
    second.kind = EventType::Identify;
    second.at_ms = 1_700_000_000_001;
    second.priority = 5;
    second.sources = vec!["crm".into(), "web".into()];
    second.traits = vec![
        ("firstName".into(), "\"Augusta Ada\"".into()),
        ("lastName".into(), "\"Lovelace\"".into()),
    ];
    second.channel = Some("store".into());
    let mut third = said(3);
    third.at_ms = -1;
    third.inbound = false;
    third.topic = Some("renta fija".into());
    let mut fragment = fold(payload(), [&first, &second, &third]);
    let part = || ("newsletter".to_owned(), "email".to_owned());
    fragment.withdraw(part(), EventId([4; 32]));
    fragment.grant(part(), EventId([5; 32]), [EventId([4; 32])]);
    fragment
}

#[test]
fn the_bytes_of_version_1_are_frozen() {
    let frozen = include_bytes!("sample_v1.bin");
    assert_eq!(Fragment::decode(frozen).unwrap(), sample());
    assert_eq!(sample().encode(), frozen);
}

#[test]
fn a_fragment_without_events_survives_its_bytes() {
    let empty = Fragment::empty(other_payload());
    assert_eq!(Fragment::decode(&empty.encode()).unwrap(), empty);
    assert_eq!((empty.first(), empty.last(), empty.events), (None, None, 0));
}

#[test]
fn broken_bytes_say_what_is_wrong() {
    let good = sample().encode();
    let error = |bytes: &[u8]| Fragment::decode(bytes).unwrap_err();
    assert_eq!(error(&[]), BadFragment::Empty);
    assert_eq!(error(&[9, 1]), BadFragment::Version(9));
    assert!(matches!(
        error(&good[..good.len() - 1]),
        BadFragment::Shape { .. }
    ));
    assert!(matches!(
        error(&[&good[..], &[0]].concat()),
        BadFragment::Trailing { .. }
    ));
    assert!(
        error(&[1, 0x80])
            .to_string()
            .contains("missing field `fingerprint`")
    );
    let mut turned = sample();
    turned.payload.identifiers.reverse();
    assert!(
        error(&turned.encode())
            .to_string()
            .contains("identifiers out of order at identifiers[1]")
    );
}

#[test]
fn an_identifier_that_is_no_part_of_the_payload_is_not_the_persons() {
    let mut one = said(1);
    one.identifiers.push(identifier(Kind::UserId, "blocked"));
    assert_eq!(fold(payload(), [&one]).identifiers.len(), 3);
}

#[test]
fn what_is_beyond_a_limit_is_chosen_by_order_and_not_by_arrival() {
    let many: Vec<Observation> = (0..=255u8)
        .map(|n| {
            let mut one = said(n);
            one.traits = (0..2)
                .map(|k| (format!("t{k}{n:03}"), "1".into()))
                .collect();
            one.topic = Some(format!("topic {n:03}"));
            one.channel = Some(format!("c{n:03}"));
            one.sources = vec![format!("s{n:03}")];
            one
        })
        .chain((0..=255u8).map(|n| {
            let mut one = said(n);
            one.topic = Some(format!("a topic {n:03}"));
            one
        }))
        .collect();
    let forward = fold(payload(), &many);
    let backward = fold(payload(), many.iter().rev());
    assert_eq!(forward, backward);
    assert_eq!(forward.traits.len(), TRAITS_MAX);
    assert_eq!(forward.interests.len(), INTERESTS_MAX);
    assert_eq!(
        forward
            .counters
            .keys()
            .filter(|name| name.starts_with("channel."))
            .count(),
        CHANNELS_MAX
    );
    assert_eq!(forward.counters["type.track"], 512);
    assert!(
        forward
            .identifiers
            .values()
            .all(|seen| seen.sources.len() == SOURCES_MAX)
    );
    assert!(forward.traits.contains_key("t0000") && !forward.traits.contains_key("t1255"));
    let mut halves = fold(payload(), &many[256..]);
    halves.absorb(&fold(payload(), &many[..256]));
    assert_eq!(halves, forward);
}

#[test]
fn what_is_too_long_stays_in_the_event() {
    let mut one = said(1);
    one.traits = vec![
        ("n".repeat(TRAIT_NAME_BYTES_MAX + 1), "1".into()),
        (
            "long".into(),
            format!("\"{}\"", "x".repeat(register::VALUE_BYTES_MAX)),
        ),
    ];
    one.topic = Some("t".repeat(TOPIC_BYTES_MAX + 1));
    one.channel = Some("c".repeat(CHANNEL_BYTES_MAX + 1));
    let fragment = fold(payload(), [&one]);
    assert!(fragment.traits.is_empty() && fragment.interests.is_empty());
    assert_eq!(fragment.counters.len(), 2);
}

#[test]
fn what_we_send_is_no_interest_of_the_person() {
    assert_eq!(sample().interests["renta fija"], 1);
    assert_eq!(sample().counters["direction.out"], 1);
}

const ID: CustomerId = CustomerId([7; 16]);
const OLD: CustomerId = CustomerId([8; 16]);

fn both() -> Customer {
    let mut account = said(9);
    account.identifiers = other_payload().identifiers;
    account.traits = vec![("balance".into(), "10000".into())];
    account.topic = Some("fondos".into());
    account.channel = None;
    let mut again = account.clone();
    again.event = EventId([10; 32]);
    customer([&sample(), &fold(other_payload(), [&account, &again])])
}

#[test]
fn a_customer_is_the_contracts_json() {
    let shared = BTreeSet::from([identifier(Kind::Phone, "+34600111222")]);
    let shown = both().to_json(ID, &[OLD, ID], &shared);
    let expected: Value = serde_json::from_str(
        r#"{
        "id":"c_07070707070707070707070707070707",
        "aliases":["c_08080808080808080808080808080808"],
        "identifiers":[
            {"kind":"nationalId","value":"12345678Z","shared":false,"first_seen":"2023-11-14T22:13:20.000Z","last_seen":"2023-11-14T22:13:20.000Z","sources":["web"],"scope":"ES-DNI"},
            {"kind":"email","value":"ada@x.org","shared":false,"first_seen":"1969-12-31T23:59:59.999Z","last_seen":"2023-11-14T22:13:20.001Z","sources":["crm","web"]},
            {"kind":"phone","value":"+34600111222","shared":true,"first_seen":"1969-12-31T23:59:59.999Z","last_seen":"2023-11-14T22:13:20.001Z","sources":["crm","web"]},
            {"kind":"anonymousId","value":"a-1","shared":false,"first_seen":"1969-12-31T23:59:59.999Z","last_seen":"2023-11-14T22:13:20.001Z","sources":["crm","web"]}],
        "traits":{
            "balance":{"value":10000,"source":"web","at":"2023-11-14T22:13:20.000Z","others":[{"value":10000.000000000000000001,"source":"web","at":"2023-11-14T22:13:20.000Z"}]},
            "firstName":{"value":"Augusta Ada","source":"crm","at":"2023-11-14T22:13:20.001Z","others":[{"value":"Ada","source":"web","at":"2023-11-14T22:13:20.000Z"}]},
            "lastName":{"value":"Lovelace","source":"crm","at":"2023-11-14T22:13:20.001Z","others":[]},
            "tags":{"value":["a",{"b":null}],"source":"web","at":"2023-11-14T22:13:20.000Z","others":[]}},
        "interests":[{"topic":"fondos","count":2},{"topic":"renta fija","count":1}],
        "facets":[],
        "consents":{"newsletter":{"email":"granted"}},
        "counters":{"channel.store":1,"channel.web":2,"direction.in":4,"direction.out":1,"events":5,"type.identify":1,"type.track":4},
        "first_seen":"1969-12-31T23:59:59.999Z","last_seen":"2023-11-14T22:13:20.001Z"}"#,
    )
    .unwrap();
    assert_eq!(shown, expected, "{shown:#}");
    assert!(shown.to_string().contains("10000.000000000000000001"));
}

#[test]
fn a_reader_sees_no_personal_value() {
    let text = both().to_json_masked(ID, &[], &BTreeSet::new()).to_string();
    for personal in ["ada@", "Ada", "Lovelace", "600111", "12345"] {
        assert!(!text.contains(personal), "{personal} in {text}");
    }
    for kept in ["a***@x.org", "***222", "***678Z", "A*** A***", "renta fija"] {
        assert!(text.contains(kept), "{kept} not in {text}");
    }
}

#[test]
fn an_exported_line_is_compact_and_sorted() {
    let shared = BTreeSet::from([identifier(Kind::Email, "ada@x.org")]);
    assert_eq!(
        both().export_line(ID, ["m-9", "m-1", "m-10"], &shared),
        concat!(
            r#"{"id":"c_07070707070707070707070707070707","identifiers":[{"kind":"anonymousId","shared":false,"value":"a-1"},"#,
            r#"{"kind":"email","shared":true,"value":"ada@x.org"},{"kind":"nationalId","shared":false,"value":"12345678Z"},"#,
            r#"{"kind":"phone","shared":false,"value":"+34600111222"}],"records":["m-1","m-10","m-9"],"#,
            r#""traits":{"balance":10000,"firstName":"Augusta Ada","lastName":"Lovelace","tags":["a",{"b":null}]}}"#,
        )
    );
}

#[test]
fn a_person_is_called_by_name_else_by_the_best_identifier() {
    assert_eq!(both().display_name(false).unwrap(), "Augusta Ada Lovelace");
    assert_eq!(both().display_name(true).unwrap(), "A*** A*** L***");
    let nameless = customer([&fold(payload(), [&said(1)])]);
    assert_eq!(nameless.display_name(false).unwrap(), "ada@x.org");
    assert_eq!(nameless.display_name(true).unwrap(), "a***@x.org");
    assert_eq!(Customer::default().display_name(false), None);
    let mut whole = said(1);
    whole.traits = vec![
        ("firstName".into(), "\" \"".into()),
        ("name".into(), "\"Ada  L\"".into()),
    ];
    assert_eq!(
        customer([&fold(payload(), [&whole])])
            .display_name(false)
            .unwrap(),
        "Ada L"
    );
}

#[test]
fn a_fingerprint_given_twice_counts_once_and_its_later_state_stands() {
    let (early, late) = (
        fold(payload(), [&said(1)]),
        fold(payload(), [&said(1), &said(2)]),
    );
    assert_eq!(customer([&early, &late, &early]), customer([&late]));
    assert_eq!(customer([&late, &late]).events, 2);
}

#[test]
fn a_customer_of_nothing_is_shown_as_such() {
    let shown = Customer::default().to_json(ID, &[], &BTreeSet::new());
    assert_eq!(shown["first_seen"], Value::Null);
    assert_eq!(shown["counters"], json!({"events": 0}));
}

proptest! {
    #[test]
    fn the_fold_does_not_know_the_order(all in prop::collection::vec(observation(), 0..24).prop_shuffle(), turns in any::<u64>()) {
        let mut other: Vec<&Observation> = all.iter().collect();
        other.sort_by_key(|one| (*blake3::hash(&[&one.event.0[..], &turns.to_le_bytes()].concat()).as_bytes(), one.at_ms));
        let whole = fold(payload(), &all);
        prop_assert_eq!(fold(payload(), other).encode(), whole.encode());
        prop_assert_eq!(Fragment::decode(&whole.encode()).unwrap(), whole);
    }

    #[test]
    fn parts_folded_apart_are_the_whole(all in prop::collection::vec(observation(), 0..24), cuts in (0usize..25, 0usize..25)) {
        let (low, high) = (cuts.0.min(cuts.1).min(all.len()), cuts.0.max(cuts.1).min(all.len()));
        let mut joined = fold(payload(), &all[high..]);
        joined.absorb(&fold(payload(), &all[..low]));
        joined.absorb(&fold(payload(), &all[low..high]));
        prop_assert_eq!(joined.encode(), fold(payload(), &all).encode());
    }

    #[test]
    fn a_customer_does_not_know_the_order_of_its_fragments(parts in prop::collection::vec(prop::collection::vec(observation(), 0..6), 0..6)) {
        let fragments: Vec<Fragment> = parts.iter().enumerate().map(|(n, part)| {
            let mut own = payload();
            own.day = Some(i32::try_from(n).unwrap());
            fold(own, part)
        }).collect();
        let whole = customer(&fragments);
        prop_assert_eq!(&customer(fragments.iter().rev()), &whole);
        prop_assert_eq!(&customer(fragments.iter().chain(&fragments)), &whole);
        let shared = BTreeSet::new();
        let line = whole.export_line(ID, [], &shared);
        prop_assert_eq!(customer(fragments.iter().rev()).export_line(ID, [], &shared), line);
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), at in any::<prop::sample::Index>(), with in any::<u8>()) {
        let _either = Fragment::decode(&[&[VERSION], &bytes[..]].concat());
        let _either = Fragment::decode(&bytes);
        let mut damaged = sample().encode();
        let at = at.index(damaged.len());
        damaged[at] = with;
        if let Ok(fragment) = Fragment::decode(&damaged) {
            // What reads is written as the same fragment again.
            prop_assert_eq!(Fragment::decode(&fragment.encode()).unwrap(), fragment);
        }
    }
}
