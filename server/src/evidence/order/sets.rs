//! Small sets that tempt to err, in every order.

use serde_json::json;
use trenza_shared::{
    account::{account_id, roles_of},
    identifier::{Identifier, Kind, Place, normalise},
    identity::DecisionKind,
};

use super::*;

pub(super) fn identifier(kind: Kind, value: &str) -> Identifier {
    let place = Place {
        country: "ES",
        namespace: "",
    };
    normalise(kind, value, &place).unwrap()
}

pub(super) fn said(message: &str, visitor: &str, minute: u8, traits: Value) -> Happening {
    event(
        &json!({"type": "identify", "messageId": message, "anonymousId": visitor, "traits": traits,
        "timestamp": format!("2026-01-15T10:{minute:02}:00Z")}),
    )
}

fn offline(message: &str, minute: u8, traits: Value) -> Happening {
    let body = json!({"type": "identify", "messageId": message, "traits": traits,
        "timestamp": format!("2026-01-15T10:{minute:02}:00Z")});
    by(WEB, Some(STAND), 2_000, &body.to_string())
}

fn decided(kind: DecisionKind, subjects: [&str; 2], observes: &[&Decision]) -> Decision {
    let subjects = subjects.map(|one| identifier(Kind::Email, one)).to_vec();
    let observes = observes.iter().map(|one| one.id).collect();
    Decision::new(kind, subjects, "test", "eva", 0, observes, None).unwrap()
}

fn lines(world: &World) -> usize {
    world.export().lines().count()
}

#[test]
fn the_investor_is_one_customer_in_every_order() {
    let page = |n: u8| {
        event(
            &json!({"type": "page", "messageId": format!("p{n}"), "anonymousId": "v",
            "timestamp": format!("2026-01-15T09:0{n}:00Z"), "properties": {"topic": "renta fija"}}),
        )
    };
    let core = r#"{"type":"identify","messageId":"core","timestamp":"2020-01-01T00:00:00Z","traits":{"nationalId":"12345678Z","phone":"600111222","balance":10000}}"#;
    let world = in_every_order(
        "investor",
        &[
            page(1),
            page(2),
            said("guide", "v", 4, json!({"email": "ana@example.org"})),
            offline(
                "badge",
                5,
                json!({"badgeId": "B1", "email": "ana@example.org", "phone": "600111222"}),
            ),
            offline("scan", 6, json!({"badgeId": "B1"})),
            by(CORE, None, 9, core),
        ],
    );
    assert_eq!(lines(&world), 1, "{}", world.export());
}

#[test]
fn a_couple_with_one_phone_and_one_tablet_in_every_order() {
    in_every_order(
        "couple",
        &[
            said(
                "1",
                "tablet",
                1,
                json!({"email": "luis@example.org", "phone": "600333444", "firstName": "Luis", "lastName": "Pérez"}),
            ),
            said(
                "2",
                "tablet",
                2,
                json!({"email": "ana@example.org", "phone": "600333444", "firstName": "Ana", "lastName": "López"}),
            ),
            said("3", "tablet", 3, json!({"phone": "600333444"})),
            said("4", "tablet", 4, json!({})),
            offline("5", 5, json!({"email": "ana@example.org"})),
            offline(
                "6",
                6,
                json!({"email": "luis@example.org", "loyaltyId": "L1"}),
            ),
        ],
    );
}

#[test]
fn twins_and_father_and_son_in_every_order() {
    let name = |first: &str| json!({"firstName": first, "lastName": "Ruiz", "secondLastName": "Sanz", "birthday": "1990-02-03"});
    let with = |mut traits: Value, name: &str, value: &str| {
        traits[name] = value.into();
        traits
    };
    in_every_order(
        "twins",
        &[
            offline(
                "1",
                1,
                with(
                    with(name("Eva"), "nationalId", "12345678Z"),
                    "phone",
                    "600111222",
                ),
            ),
            offline(
                "2",
                2,
                with(
                    with(name("Ada"), "nationalId", "87654321X"),
                    "phone",
                    "600111222",
                ),
            ),
            offline("3", 3, with(name("Eva"), "phone", "600111222")),
            offline("4", 4, json!({"phone": "600111222"})),
            offline("5", 5, with(name("Ada"), "email", "m@example.org")),
        ],
    );
    let jose = || json!({"firstName": "José", "lastName": "Gil", "secondLastName": "Mora"});
    in_every_order(
        "father and son",
        &[
            offline("1", 1, with(jose(), "nationalId", "12345678Z")),
            offline(
                "2",
                2,
                with(
                    with(jose(), "nationalId", "12345678Z"),
                    "email",
                    "f@example.org",
                ),
            ),
            offline(
                "3",
                3,
                with(
                    with(jose(), "nationalId", "87654321X"),
                    "email",
                    "s@example.org",
                ),
            ),
            offline(
                "4",
                4,
                with(with(jose(), "email", "f@example.org"), "phone", "600111222"),
            ),
            offline(
                "5",
                5,
                with(with(jose(), "email", "s@example.org"), "phone", "600111222"),
            ),
        ],
    );
}

#[test]
fn one_cookie_of_many_visitors_in_every_order() {
    let visitor = |n: u8, first: &str, last: &str| {
        said(
            &n.to_string(),
            "kiosk",
            n,
            json!({"firstName": first, "lastName": last, "email": format!("{first}@example.org")}),
        )
    };
    let world = in_every_order(
        "kiosk",
        &[
            visitor(1, "ana", "lopez"),
            visitor(2, "luis", "perez"),
            visitor(3, "eva", "gil"),
            said("4", "kiosk", 4, json!({})),
            said("5", "kiosk", 5, json!({"loyaltyId": "DEMO"})),
        ],
    );
    assert_eq!(lines(&world), 5, "{}", world.export());
}

#[test]
fn swapped_documents_and_a_chain_between_two_persons_in_every_order() {
    let ana = |dni: &str| json!({"email": "ana@example.org", "nationalId": dni, "firstName": "Ana", "lastName": "López"});
    let luis = |dni: &str| json!({"email": "luis@example.org", "nationalId": dni, "firstName": "Luis", "lastName": "Pérez"});
    in_every_order(
        "swapped",
        &[
            offline("1", 1, ana("12345678Z")),
            offline("2", 2, luis("87654321X")),
            offline("3", 3, ana("87654321X")),
            offline("4", 4, luis("12345678Z")),
            said("5", "v", 5, json!({"email": "ana@example.org"})),
        ],
    );
    let two = json!({"type": "identify", "messageId": "3", "timestamp": "2026-01-15T10:03:00Z",
        "traits": {"email": "a@example.org"}, "context": {"externalIds": [{"type": "email", "id": "b@example.org"}]}});
    in_every_order(
        "chain",
        &[
            offline(
                "1",
                1,
                json!({"nationalId": "12345678Z", "email": "a@example.org"}),
            ),
            offline(
                "2",
                2,
                json!({"nationalId": "87654321X", "email": "b@example.org"}),
            ),
            event(&two),
            said("4", "v", 4, json!({"email": "a@example.org"})),
            said("5", "v", 5, json!({"email": "b@example.org"})),
        ],
    );
}

#[test]
fn a_wrong_couple_and_its_decisions_in_every_order() {
    let pair = ["luis@example.org", "ana@example.org"];
    let apart = decided(DecisionKind::NotSame, pair, &[]);
    let together = decided(DecisionKind::Same, pair, &[]);
    let undo = Decision::undo(apart.id, "test", "eva", 0);
    let spouse = |message: &str, name: &str| {
        said(
            message,
            "tablet",
            1,
            json!({"email": format!("{name}@example.org"), "phone": "600333444"}),
        )
    };
    let mut happenings = vec![
        spouse("1", "luis"),
        spouse("2", "ana"),
        said("3", "tablet", 3, json!({"phone": "600333444"})),
        Happening::Decision(apart.clone()),
        Happening::Decision(together),
    ];
    let world = in_every_order("couple apart", &happenings);
    assert!(lines(&world) > 1, "{}", world.export());
    happenings.push(Happening::Decision(undo));
    let world = in_every_order("couple together", &happenings);
    assert_eq!(lines(&world), 1, "{}", world.export());
}

#[test]
fn events_without_a_time_by_two_sources_of_two_countries_in_every_order() {
    let day = 86_400_000;
    let text = |message: &str, phone: &str| {
        format!(
            r#"{{"type":"identify","messageId":"{message}","anonymousId":"v","traits":{{"phone":"{phone}"}}}}"#
        )
    };
    in_every_order(
        "two sources",
        &[
            by(WEB, None, 5 * day, &text("1", "612345678")),
            by(APP, None, 3 * day, &text("1", "612345678")),
            by(CORE, Some(STAND), 4 * day, &text("1", "612345678")),
            by(WEB, Some(DOOR), 2 * day, &text("1", "612345678")),
            by(APP, None, 5 * day, &text("2", "612345678")),
            by(WEB, None, 2 * day, &text("2", "612345678")),
        ],
    );
    // The only event of a customer that people may have seen turns out to be somebody else's.
    let without = r#"{"type":"identify","messageId":"1","traits":{"phone":"612345678"}}"#;
    let world = in_every_order(
        "moved",
        &[
            by(WEB, None, 5 * day, without),
            by(APP, None, 3 * day, without),
            by(WEB, Some(STAND), day, without),
            offline(
                "2",
                1,
                json!({"phone": "+34612345678", "email": "ana@example.org"}),
            ),
        ],
    );
    for id in world.shown_ids() {
        assert!(world.leads(&id), "{id}");
    }
}

#[test]
fn one_message_id_with_two_contents_and_alias_events_in_every_order() {
    let alias = |message: &str, user: &str, previous: &str| {
        event(
            &json!({"type": "alias", "messageId": message, "userId": user, "previousId": previous,
            "timestamp": "2026-01-15T10:00:00Z"}),
        )
    };
    let world = in_every_order(
        "conflict",
        &[
            said("m", "v", 1, json!({"email": "ana@example.org"})),
            said("m", "v", 1, json!({"email": "luis@example.org"})),
            said(
                "m",
                "w",
                1,
                json!({"email": "ana@example.org", "plan": "gold"}),
            ),
            alias("a1", "u2", "u1"),
            alias("a2", "u3", "u2"),
            said("n", "w", 2, json!({"userId": "u1"})),
        ],
    );
    assert!(lines(&world) >= 1);
}

#[test]
fn two_texts_of_one_event_in_every_order() {
    // Numbers are one content however they are written, so they must say one thing.
    let text = |number: &str, sent: &str| {
        format!(
            r#"{{"sentAt":"{sent}","type":"identify","messageId":"1","timestamp":"2026-01-15T10:00:00Z","userId":7{number},
                "traits":{{"plan":1{number},"address":{{"street":12{number},"city":3{number},"state":4{number},"postalCode":28001{number},"country":"ES"}}}}}}"#
        )
    };
    in_every_order(
        "texts",
        &[
            by(WEB, None, 5, &text("", "a")),
            by(WEB, None, 7, &text(".0", "b")),
            by(WEB, Some(STAND), 6, &text(".000", "c")),
            by(WEB, None, 5, &text("e0", "d")),
        ],
    );
}

#[test]
fn roles_in_accounts_and_their_ends_in_every_order() {
    let said = |message: &str, minute: u8, who: Value, group: &str, traits: Value| {
        let mut body = json!({"type": "group", "messageId": message, "groupId": group, "traits": traits,
            "timestamp": format!("2026-01-15T10:{minute:02}:00Z")});
        for (name, value) in who.as_object().unwrap() {
            body[name] = value.clone();
        }
        event(&body)
    };
    let ana = || json!({"context": {"traits": {"email": "ana@example.org"}}});
    let world = in_every_order(
        "accounts",
        &[
            said(
                "1",
                1,
                ana(),
                "acme",
                json!({"name": "Acme", "role": "CFO", "decides": true}),
            ),
            said(
                "2",
                2,
                ana(),
                "acme",
                json!({"role": "CFO", "to": "2026-01-31"}),
            ),
            // The same of nobody, and later by name.
            said(
                "3",
                3,
                json!({}),
                "acme",
                json!({"name": "Acme SA", "nationalId": "A58818501"}),
            ),
            said(
                "4",
                4,
                json!({"userId": "u1"}),
                "acme",
                json!({"role": "CFO", "pays": true}),
            ),
            event(
                &json!({"type": "identify", "messageId": "5", "userId": "u1", "traits": {"email": "ana@example.org"}}),
            ),
        ],
    );
    let account = account_id(&ID_KEY, "", "acme");
    let row = ACCOUNTS.get(&world.store, &account).unwrap().unwrap();
    assert_eq!(row.whole.text("name").unwrap(), "Acme SA");
    assert_eq!(row.whole.events, 4);
    let parts: Vec<_> = MEMBERS
        .rows_of(
            &world.store,
            &account,
            trenza_shared::store::Direction::Forward,
        )
        .map(|row| row.unwrap().1.0)
        .collect();
    let roles = roles_of(&parts);
    assert_eq!(roles.len(), 1, "{roles:?}");
    // The latest statement of a role stands alone: an end that nobody states any more is none.
    assert_eq!((roles[0].value.pays, roles[0].value.to), (Some(true), None));
    assert_eq!(lines(&world), 1, "{}", world.export());
}

#[test]
fn an_account_of_an_event_that_is_known_better_later_in_every_order() {
    // Without a time and by two sources, one of which has ids of its own and is another country: account, person and time change.
    let text = r#"{"type":"group","messageId":"1","groupId":"acme","traits":{"name":"Acme","role":"buyer"},"context":{"traits":{"phone":"612345678"}}}"#;
    let other = r#"{"type":"group","messageId":"2","groupId":"acme","traits":{"name":"Acme 2","role":"buyer"},"context":{"traits":{"phone":"612345678"}}}"#;
    let day = 86_400_000;
    let world = in_every_order(
        "account known better",
        &[
            by(WEB, None, 5 * day, text),
            by(APP, None, 3 * day, text),
            by(CORE, Some(STAND), 4 * day, text),
            by(WEB, None, 4 * day, other),
            by(SHOP, None, 2 * day, text),
        ],
    );
    let of = |scope: &str| {
        let id = account_id(&ID_KEY, scope, "acme");
        ACCOUNTS.get(&world.store, &id).unwrap()
    };
    // The earliest taking-in says in whose names the event speaks.
    assert_eq!(of("shop").unwrap().whole.text("name").unwrap(), "Acme");
    assert_eq!(of("").unwrap().whole.text("name").unwrap(), "Acme 2");
}

/// Two histories of one set that are too many for every order.
fn agree(one: &[Vec<Happening>], other: &[Vec<Happening>]) -> World {
    let [left, right] = [one, other].map(|batches| {
        let mut world = World::new();
        for batch in batches {
            world.take(&batch.iter().collect::<Vec<_>>());
            world.assert_sound("after a batch");
        }
        world
    });
    assert_eq!(left.export(), right.export());
    left.derived()
        .assert_same(&right.derived(), "two histories");
    left
}

#[test]
fn an_event_taken_out_of_a_long_timeline_leaves_the_others_as_they_were() {
    // More events of one fingerprint than are folded at a time.
    let page = |n: i64| {
        let text = format!(
            r#"{{"type":"page","messageId":"p{n}","anonymousId":"v","properties":{{"topic":"t{}"}}}}"#,
            n % 3
        );
        by(WEB, None, 5 * 86_400_000 + n / 2, &text)
    };
    let earlier = |n: i64| {
        let text = format!(
            r#"{{"type":"page","messageId":"p{n}","anonymousId":"v","properties":{{"topic":"t{}"}}}}"#,
            n % 3
        );
        by(APP, None, 2 * 86_400_000 + n, &text)
    };
    let all: Vec<Happening> = (0..600).map(page).collect();
    let moved: Vec<Happening> = [0, 255, 256, 257, 511, 512, 599].map(earlier).into();
    let back: Vec<Happening> = all.iter().rev().cloned().collect();
    let world = agree(
        &[all.clone(), moved.clone()],
        &[moved.iter().rev().cloned().collect(), back, all],
    );
    assert_eq!(lines(&world), 1);
}

#[test]
fn an_event_taken_in_by_more_than_are_kept_keeps_the_same_ones() {
    let text =
        r#"{"type":"identify","messageId":"1","anonymousId":"v","traits":{"phone":"612345678"}}"#;
    let hour = 3_600_000;
    let taken = |n: u8| {
        let key = [WEB, APP, CORE][usize::from(n % 3)];
        by(
            key,
            Some(AgentId([n % 30; 16])),
            i64::from(n.wrapping_mul(37)) * hour,
            text,
        )
    };
    let one: Vec<Vec<Happening>> = (0..120).map(|n| vec![taken(n)]).collect();
    let mut other: Vec<Vec<Happening>> = one.iter().rev().cloned().collect();
    other.extend_from_within(40..60);
    let world = agree(&one, &other);
    assert_eq!(lines(&world), 1);
    for id in world.shown_ids().iter().rev().take(8) {
        assert!(world.leads(id), "{id}");
    }
}
