//! Random sets aimed at conflicts, in random orders, batches and repetitions.

use proptest::prelude::*;
use serde_json::json;
use trenza_shared::{clock::format_ms, identifier::Kind, identity::DecisionKind};

use super::{sets::identifier, *};

const EMAILS: [&str; 6] = [
    "info@example.org",
    "ana@example.org",
    "luis@example.org",
    "eva@example.org",
    "jose@example.org",
    "a.na+x@gmail.com",
];
const PHONES: [&str; 4] = ["600111222", "612345678", "+34600333444", "900100200"];
const DOCUMENTS: [&str; 4] = ["12345678Z", "87654321X", "00000000T", "X1234567L"];
const NAMES: [(&str, &str); 5] = [
    ("Ana", "López"),
    ("Luis", "Pérez"),
    ("José", "Gil Mora"),
    ("Pepe", "Gil"),
    ("Mª José", "Gil Mora"),
];
const DAY_MS: i64 = 86_400_000;
const HOUR_MS: u64 = 3_600_000;

fn maybe<T: Clone + std::fmt::Debug + 'static>(
    values: &'static [T],
    one_in: u32,
) -> impl Strategy<Value = Option<T>> {
    prop_oneof![
        one_in - 1 => Just(None),
        1 => prop::sample::select(values).prop_map(Some),
    ]
}

/// A kiosk's cookie, shared phones, dummy documents, mailboxes of everybody, demo badges, equal names, missing times.
fn an_event() -> impl Strategy<Value = Happening> {
    let traits = (
        maybe(&EMAILS, 2),
        maybe(&PHONES, 3),
        maybe(&DOCUMENTS, 5),
        maybe(&NAMES, 3),
        maybe(&["DEMO", "B1", "B2"], 6),
        maybe(&["gold", "silver", "5"], 4),
    );
    let place = (
        prop::sample::select(&[WEB, WEB, CORE, APP][..]),
        prop::sample::select(&[None, None, Some(STAND), Some(DOOR)][..]),
        0..4_i64,
    );
    let who = (
        0..5_u8,
        prop::option::of(0..3_u8),
        0..40_u8,
        prop::option::weighted(0.8, 0..900_u32),
    );
    let clock = (0..3_u64, 0..5 * HOUR_MS, any::<bool>());
    let side = (
        maybe(&["personal", "professional"], 3),
        prop::option::weighted(0.2, any::<bool>()),
    );
    (traits, place, who, clock, side).prop_map(|((email, phone, document, name, badge, plan), (key, agent, day), (visitor, user, message, minute), (boot, boottime_ms, own_clock), (facet, granted))| {
        let mut traits = json!({"email": email, "phone": phone, "nationalId": document, "badgeId": badge, "plan": plan});
        if let Some((first, last)) = name {
            traits["firstName"] = first.into();
            traits["lastName"] = last.into();
        }
        let mut body = json!({"type": "identify", "messageId": format!("m{message}"), "traits": traits});
        if visitor > 0 {
            body["anonymousId"] = format!("v{visitor}").into();
        }
        if let Some(user) = user.filter(|_| visitor % 2 == 0) {
            body["userId"] = format!("u{user}").into();
            if visitor == 4 {
                body["type"] = "alias".into();
                body["previousId"] = format!("u{}", (user + 1) % 3).into();
            }
        }
        if body.get("anonymousId").is_none() && body.get("userId").is_none() && email.is_none() && phone.is_none() {
            body["anonymousId"] = "kiosk".into();
        }
        if let Some(minute) = minute {
            body["timestamp"] = format!("2026-01-{:02}T10:{:02}:00Z", 1 + minute / 60, minute % 60).into();
        }
        if let Some(facet) = facet {
            body["context"]["trenza"]["facet"] = facet.into();
        }
        if let Some(granted) = granted {
            body["context"]["trenza"]["consent"] = json!({"purpose": "newsletter", "channel": "email", "granted": granted});
        }
        if visitor == 3 {
            let group = usize::from(message % 3);
            body["type"] = "group".into();
            body["groupId"] = ["acme", "garcia", "null"][group].into();
            body["traits"] = json!({"name": plan, "type": (group == 1).then_some("household"), "decides": granted, "role": badge, "to": minute.map(|minute| format!("2026-02-{:02}", 1 + minute % 28))});
        }
        let captured_ms = day * DAY_MS;
        if agent.is_some() && own_clock {
            body["timestamp"] = format_ms(captured_ms - 100).into();
        }
        in_boot(boot, boottime_ms, by(key, agent, captured_ms, &body.to_string()))
    })
}

/// Clocks of 1970 against a server of 2026: quick and slow measurements, some at odds with each other.
fn a_measurement() -> impl Strategy<Value = Happening> {
    let agent = prop::sample::select(&[STAND, DOOR][..]);
    let off = prop_oneof![4 => -800..800_i64, 1 => Just(3_600_000_i64)];
    (agent, 0..3_u64, 0..5 * HOUR_MS, off, 0..3_000_u64).prop_map(
        |(agent, boot, boottime_ms, off, round_trip)| {
            let server_ms = 1_767_225_600_000 + boottime_ms as i64 + off;
            measured(agent, boot, boottime_ms, server_ms, round_trip)
        },
    )
}

/// Decisions by people who know of some earlier ones, and undos of them.
fn decisions() -> impl Strategy<Value = Vec<Happening>> {
    let kinds = [
        DecisionKind::Same,
        DecisionKind::NotSame,
        DecisionKind::SharedIdentifier,
        DecisionKind::Undo,
    ];
    let subject = prop_oneof![
        prop::sample::select(&EMAILS[..]).prop_map(|one| identifier(Kind::Email, one)),
        prop::sample::select(&PHONES[..3]).prop_map(|one| identifier(Kind::Phone, one)),
    ];
    let one = (
        prop::sample::select(kinds.to_vec()),
        prop::collection::vec(subject, 2),
        any::<u8>(),
    );
    prop::collection::vec(one, 0..8).prop_map(|raw| {
        let mut all: Vec<Decision> = Vec::new();
        for (at, (kind, subjects, knows)) in raw.into_iter().enumerate() {
            let known = all
                .iter()
                .enumerate()
                .filter(|(at, _)| knows >> (at % 8) & 1 == 1);
            let observes: Vec<_> = known.map(|(_, one)| one.id).collect();
            let made = match (kind, all.get(usize::from(knows) % all.len().max(1))) {
                (DecisionKind::Undo, Some(target)) => {
                    Ok(Decision::undo(target.id, at.to_string(), "eva", 0))
                }
                (kind, _) => {
                    Decision::new(kind, subjects, at.to_string(), "eva", 0, observes, None)
                }
            };
            // Of one subject twice, or of nothing to undo, there is no decision.
            all.extend(made);
        }
        all.into_iter().map(Happening::Decision).collect()
    })
}

/// Another history of the same set: shuffled, some of it twice, in batches of any size.
fn another(count: usize) -> impl Strategy<Value = Vec<Vec<usize>>> {
    let order = prop::collection::vec(any::<u32>(), count);
    let again = prop::collection::vec((0..count, any::<u32>()), 0..count / 3 + 1);
    (order, again, 1..20_usize).prop_map(|(order, again, batch)| {
        let mut all: Vec<(u32, usize)> = order.into_iter().zip(0..).collect();
        all.extend(again.into_iter().map(|(at, rank)| (rank, at)));
        all.sort_unstable();
        all.chunks(batch)
            .map(|chunk| chunk.iter().map(|(_, at)| *at).collect())
            .collect()
    })
}

fn a_set(
    size: std::ops::Range<usize>,
) -> impl Strategy<Value = (Vec<Happening>, Vec<Vec<usize>>, Vec<Vec<usize>>)> {
    let measurements = prop::collection::vec(a_measurement(), 0..8);
    (
        prop::collection::vec(an_event(), size),
        decisions(),
        measurements,
    )
        .prop_map(|(mut events, decisions, measurements)| {
            events.extend(decisions);
            events.extend(measurements);
            events
        })
        .prop_flat_map(|all| {
            let count = all.len();
            (Just(all), another(count), another(count))
        })
}

fn play(all: &[Happening], batches: &[Vec<usize>], check: bool) -> World {
    let mut world = World::new();
    for batch in batches {
        let batch: Vec<&Happening> = batch.iter().map(|at| &all[*at]).collect();
        world.take(&batch);
        if check {
            world.assert_sound("after a batch");
        }
    }
    world
}

fn agree(all: &[Happening], one: &[Vec<usize>], other: &[Vec<usize>], check: bool) {
    let (left, right) = (play(all, one, check), play(all, other, check));
    assert_eq!(left.export(), right.export());
    left.derived()
        .assert_same(&right.derived(), "left to right");
    right
        .derived()
        .assert_same(&left.derived(), "right to left");
    left.assert_sound("left");
    right.assert_sound("right");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn two_histories_of_a_small_set_show_the_same_at_every_step((all, one, other) in a_set(3..30)) {
        agree(&all, &one, &other, true);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn two_histories_of_a_large_set_show_the_same((all, one, other) in a_set(30..200)) {
        agree(&all, &one, &other, false);
    }
}
