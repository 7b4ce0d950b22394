use std::time::Duration;

use axum::{body::Body, http::Request};
use proptest::prelude::*;
use serde_json::{Value, json};
use tower::ServiceExt as _;
use trenza_shared::{
    identifier::Kind,
    identity::{Class, KindRule, Rules},
    store::{Batch, MemStore, Writer as _},
};

use super::*;
use crate::{
    admin::{
        Command,
        rules::{Publish, publish},
    },
    customer::record,
    http,
    tables::{FEED, Role, TIMELINE},
    testing::{CORE, Server, WEB},
};

/// One thing that happens to a server.
#[derive(Clone, Debug)]
enum Step {
    /// Events arrive, by one of the sources.
    Capture { core: bool, events: Vec<Value> },
    /// Everything of an earlier step arrives again, perhaps by another source.
    Again { step: usize, core: bool },
    /// Everything of an earlier step is imported.
    Import { step: usize },
    /// Somebody decides.
    Decide {
        kind: &'static str,
        one: usize,
        other: usize,
    },
    /// The last decision is taken back.
    Undo,
    /// Everything is rebuilt.
    Replay,
    /// Other rules are published, and not waited for.
    Publish(usize),
}

/// Rules that are published one after the other.
const RULES_OF: [fn(&mut Rules); 7] = [
    |_| {},
    |rules| rules.shared.insert(Kind::Email, "ada@*"),
    |rules| rules.cap = 1,
    |rules| rules.blocked.insert(Kind::Phone, "+34600000001"),
    |rules| class(rules, Kind::Phone, Class::Ephemeral),
    |rules| class(rules, Kind::LoyaltyId, Class::Exclusive),
    |rules| class(rules, Kind::Email, Class::RoleScoped),
];

fn class(rules: &mut Rules, kind: Kind, class: Class) {
    let rule = KindRule {
        class,
        ..KindRule::of(kind)
    };
    rules.kinds.insert(kind, rule);
}

const IDENTIFIERS: [(&str, &str); 7] = [
    ("email", "ada@example.org"),
    ("email", "bo@example.org"),
    ("phone", "+34600000001"),
    ("phone", "+34600000002"),
    ("nationalId", "12345678Z"),
    ("nationalId", "87654321X"),
    ("loyaltyId", "L-1"),
];

fn an_event() -> impl Strategy<Value = Value> {
    (
        prop::collection::vec(0..IDENTIFIERS.len(), 0..4),
        0..3_u8,
        0..4_u8,
        prop::option::of(0..50_u8),
        0..6_u8,
    )
        .prop_map(|(identifiers, visitor, name, minute, message)| {
            let mut traits = serde_json::Map::new();
            for at in identifiers {
                let (kind, value) = IDENTIFIERS[at];
                traits.insert(kind.into(), value.into());
            }
            if name > 0 {
                traits.insert(
                    "firstName".into(),
                    ["Ada", "Bo", "Cleo"][usize::from(name) - 1].into(),
                );
                traits.insert(
                    "lastName".into(),
                    ["Byron", "Diddley", "Patra"][usize::from(name) - 1].into(),
                );
            }
            let mut event = json!({
                "type": "identify", "anonymousId": format!("visitor-{visitor}"),
                "messageId": format!("m{message}"), "traits": traits,
            });
            if message == 3 {
                event["type"] = "group".into();
                event["groupId"] = ["acme", "garcia"][usize::from(visitor % 2)].into();
                event["context"]["traits"] = event["traits"].take();
                event["traits"] = json!({"role": format!("role {name}"), "decides": name > 1});
            }
            if message % 3 > 0 {
                event["context"]["trenza"]["facet"] =
                    ["personal", "professional"][usize::from(message % 3) - 1].into();
            }
            if let (Some(minute), Some(event)) = (minute, event.as_object_mut()) {
                event.insert(
                    "timestamp".into(),
                    format!("2026-01-15T10:{minute:02}:00Z").into(),
                );
            }
            event
        })
}

fn a_step() -> impl Strategy<Value = Step> {
    let subjects = 0..IDENTIFIERS.len();
    let kinds = prop::sample::select(&["same", "not_same", "household"][..]);
    prop_oneof![
        6 => (any::<bool>(), prop::collection::vec(an_event(), 1..5)).prop_map(|(core, events)| Step::Capture { core, events }),
        2 => (0..8_usize, any::<bool>()).prop_map(|(step, core)| Step::Again { step, core }),
        2 => (0..8_usize).prop_map(|step| Step::Import { step }),
        4 => (kinds, subjects.clone(), subjects).prop_map(|(kind, one, other)| Step::Decide { kind, one, other }),
        1 => Just(Step::Undo),
        1 => Just(Step::Replay),
        2 => (0..RULES_OF.len()).prop_map(Step::Publish),
    ]
}

async fn play(server: &Server, steps: &[Step]) {
    let mut last_decision = None;
    for step in steps {
        server.clock.advance_ms(1_000);
        match step {
            Step::Capture { core, events } => {
                server.capture(if *core { CORE } else { WEB }, events).await;
            }
            Step::Again { step, core } => {
                if let Some(Step::Capture { events, .. }) = steps.get(*step) {
                    server.capture(if *core { CORE } else { WEB }, events).await;
                }
            }
            Step::Import { step } => {
                if let Some(Step::Capture { events, .. }) = steps.get(*step) {
                    import(server, events).await;
                }
            }
            Step::Decide { kind, one, other } => {
                let subject = |at: &usize| format!("{}:{}", IDENTIFIERS[*at].0, IDENTIFIERS[*at].1);
                let body = json!({"kind": kind, "subjects": [subject(one), subject(other)], "reason": "test"});
                let answer = server.post(Role::Steward, "/v1/decisions", &body).await;
                // A decision about one subject twice is refused, and that is right.
                last_decision = answer.json["id"]
                    .as_str()
                    .map(str::to_owned)
                    .or(last_decision);
            }
            Step::Undo => {
                if let Some(id) = last_decision.take() {
                    server
                        .post(
                            Role::Steward,
                            "/v1/decisions",
                            &json!({"undoes": id, "reason": "test"}),
                        )
                        .await;
                }
            }
            Step::Replay => replayed(server).await,
            Step::Publish(at) => {
                let mut rules = Rules::default();
                RULES_OF[*at](&mut rules);
                let asked = Publish {
                    rules,
                    reason: "test".into(),
                };
                // While others are on their way it is refused, and that is right.
                let _busy = publish(&server.app, &asked, "ana").await;
            }
        }
    }
    settled(server).await;
}

/// Whatever was published is in force.
async fn settled(server: &Server) {
    let mut going = server.app.publisher.going();
    let settled = going.wait_for(Option::is_none);
    let waited = tokio::time::timeout(Duration::from_secs(60), settled).await;
    waited.expect("rules in force").unwrap();
}

/// Every customer that was ever told of is found by its id; unless events became nobody's.
fn assert_ids_lead(server: &Server) {
    snapshot(&*server.app.store, |view| {
        for row in FEED.rows(view) {
            let (_, row) = row.unwrap();
            for id in row.others.iter().chain([&row.customer]) {
                let found = record::by_id(view, &server.app.applier.id_key, id).unwrap();
                assert!(found.is_some(), "{} {id}", row.kind);
            }
        }
    })
    .unwrap();
}

async fn import(server: &Server, events: &[Value]) {
    let command = Command::ImportChunk {
        key: CORE.into(),
        events: events.iter().map(Value::to_string).collect(),
    };
    let body = Body::from(serde_json::to_vec(&command).unwrap());
    let request = Request::post("/admin").body(body).unwrap();
    let answer = http::admin_routes(server.app.clone()).oneshot(request);
    assert!(answer.await.unwrap().status().is_success());
    let last = *server.app.log.last().borrow();
    assert!(server.app.resolved(last).await);
}

async fn replayed(server: &Server) {
    server.app.resolver.replay().await.unwrap();
    let last = *server.app.log.last().borrow();
    assert!(server.app.resolved(last).await);
}

fn verified(server: &Server) -> Verified {
    snapshot(&*server.app.store, |truth| {
        verify_in(truth, &server.app.applier, &MemStore::new())
    })
    .unwrap()
    .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]
    #[test]
    fn the_derived_tables_are_what_the_log_and_the_decisions_say(steps in prop::collection::vec(a_step(), 3..16)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let server = Server::start().await;
            play(&server, &steps).await;
            let before = verified(&server);
            prop_assert_eq!(before.difference, None);
            replayed(&server).await;
            let after = verified(&server);
            prop_assert_eq!((after.records, after.rows, after.difference), (before.records, before.rows, None));
            if !steps.iter().any(|step| matches!(step, Step::Publish(3))) {
                assert_ids_lead(&server);
            }
            server.close().await;
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn a_row_that_is_not_what_the_log_says_is_named() {
    let server = Server::start().await;
    let event = json!({"type": "track", "event": "Seen", "userId": "u1", "messageId": "m1"});
    server.capture(WEB, &[event]).await;
    assert_eq!(verified(&server).difference, None);
    let mut batch = Batch::new();
    batch.put_raw(TIMELINE.space(), vec![0xFF; 3], b"m9".to_vec());
    server.app.store.commit(batch, Durable::Yes).unwrap();
    let found = verified(&server).difference.unwrap();
    assert_eq!(
        (found.table.as_str(), found.key.as_str()),
        ("timeline", "ffffff")
    );
    assert_eq!(
        (found.stored.as_deref(), found.rebuilt),
        (Some("6d39"), None)
    );
    replayed(&server).await;
    assert_eq!(verified(&server).difference, None);
    server.close().await;
}

#[tokio::test]
async fn verifying_on_disk_leaves_nothing_behind() {
    let server = Server::start().await;
    server
        .capture(
            WEB,
            &[json!({"type": "page", "anonymousId": "a", "messageId": "m1"})],
        )
        .await;
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("verify");
    let found = verify(&*server.app.store, &server.app.applier, &dir).unwrap();
    assert_eq!((found.records, found.difference), (1, None));
    assert!(found.rows > 0 && !dir.exists());
    server.close().await;
}

#[tokio::test]
async fn a_state_is_compared_by_its_own_rules_whatever_comes_into_force_meanwhile() {
    let server = Server::start().await;
    let events = ["a", "b"].map(|user| {
        json!({"type": "identify", "userId": user, "traits": {"email": "office@example.org"}})
    });
    server.capture(CORE, &events).await;
    let applier = &server.app.applier;
    snapshot(&*server.app.store, |truth| {
        let mut others = (*applier.rules.now()).clone();
        class(&mut others, Kind::Email, Class::Blocked);
        let before = applier.rules.now();
        applier.rules.replace(others.into());
        let verified = verify_in(truth, applier, &MemStore::new()).unwrap();
        assert_eq!(verified.difference, None);
        applier.rules.replace(before);
    })
    .unwrap();
    server.close().await;
}
