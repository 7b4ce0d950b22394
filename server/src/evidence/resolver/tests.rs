use std::sync::Arc;

use axum::{body::Body, http::Request};
use serde_json::json;
use trenza_shared::{
    event::EventType,
    identifier::Kind,
    identity::{Class, KindRule, Rules},
    store::{Fault, FaultyStore, MemStore},
    wire::entry::{Entry, Open, What},
};

use super::*;
use crate::{
    customer::record,
    evidence::{message_key, publish::Anew, replay},
    rules::InForce,
    sync::log::Arrival,
    tables::{AHEAD, FED_AHEAD, LOG, MESSAGES, Role},
    testing::{Server, WEB},
};

/// A backlog of rows from elsewhere, and at its end a visit of now.
fn behind_a_backlog() -> MemStore {
    let store = MemStore::new();
    let mut batch = Batch::new();
    let mut record = 0;
    let mut put = |hop: Hop, texts: Vec<String>| {
        record += 1;
        let open = Open {
            what: What::Event(EventType::Identify),
            captured_ms: 1_000,
            boottime_ms: 0,
            boot: 0,
            offset_min: 0,
            key: WEB.into(),
            unverified: false,
            bot: None,
            sent_lag_ms: 0,
        };
        let entries: Vec<Entry> = texts.iter().map(|text| Entry::clear(&open, text)).collect();
        let arrival = Arrival::own(1_000, hop, &entries);
        let row = RecordRow {
            received_ms: arrival.received_ms,
            hop: arrival.hop,
            count: arrival.count,
            run: arrival.run,
            links: None,
        };
        LOG.put(&mut batch, &record, &row).unwrap();
    };
    let said = |id: &str, user: usize| {
        json!({"type": "identify", "messageId": id, "userId": format!("u-{user}"), "timestamp": "2026-03-14T10:00:00Z"}).to_string()
    };
    for n in 0..5 {
        let rows = (0..LIVE_ENTRIES_MAX as usize + 1).map(|m| said(&format!("row-{n}-{m}"), m));
        put(Hop::Import("CRM".into()), rows.collect());
    }
    // The visitor is one of those rows too, and one of the visits came twice.
    put(Hop::Own, vec![said("visit", 7), said("row-4-9", 9)]);
    put(Hop::Own, vec![said("visit", 7), said("visit", 8)]);
    store.commit(batch, Durable::Yes).unwrap();
    store
}

/// What comes before its turn is there at once, once, and told once; the tables are those of the log's order.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_live_does_not_wait_behind_a_backlog() {
    let server = Server::over(Arc::new(FaultyStore::new(0, Fault::Refused))).await;
    let store = Arc::new(behind_a_backlog());
    let mut state = Loop {
        store: Arc::new(Homes::open(store.clone()).unwrap()),
        applier: server.app.applier.clone(),
        decisions: Decisions::default(),
        clock: server.app.clock.clone(),
        told: watch::channel(0).0,
        told_decisions: watch::channel(Arc::default()).0,
        looked: 0,
        unsure: false,
    };
    let same = |store: &MemStore| {
        let verified = replay::verify_in(store, &server.app.applier, &MemStore::new()).unwrap();
        assert!(verified.difference.is_none(), "{:?}", verified.difference);
    };
    let known = |store: &MemStore, id: &str| MESSAGES.has(store, &message_key(id)).unwrap();
    state.live(0, 7).unwrap();
    assert!(known(&store, "visit") && !known(&store, "row-0-0"));
    assert_eq!(cursor::applied(&*store).unwrap(), 0);
    same(&store);
    // Nothing of it is applied again, also after an error.
    state.unsure = true;
    let feed = |store: &MemStore| FEED.rows(store).map(Result::unwrap).collect::<Vec<_>>();
    let told = feed(&store);
    assert_eq!(told.len(), 3);
    state.settle().unwrap();
    state.live(0, 7).unwrap();
    assert_eq!(feed(&store), told);
    while *state.told.borrow() < 7 {
        state.step(7).unwrap();
        same(&store);
    }
    assert!(AHEAD.rows(&*store).next().is_none() && FED_AHEAD.rows(&*store).next().is_none());
    let people = LIVE_ENTRIES_MAX as usize + 1;
    let told = feed(&store);
    let created = told
        .iter()
        .filter(|(_, row)| row.kind == "customer.created");
    assert_eq!(created.count(), people);
    // A replay tells nothing again, and gives the same bytes.
    let (answer, _done) = oneshot::channel();
    state.command(Command::Replay { answer });
    state.live(0, 7).unwrap();
    same(&store);
    while *state.told.borrow() < 7 {
        state.step(7).unwrap();
    }
    same(&store);
    assert_eq!(feed(&store), told);
    server.close().await;
}

/// A commit that was reported as failed may be there all the same; its records must not be applied again.
#[tokio::test(flavor = "multi_thread")]
async fn records_are_applied_once_when_commits_fail_and_are_there() {
    let store = Arc::new(FaultyStore::new(0, Fault::Refused));
    let server = Server::over(store.clone()).await;
    for number in 0..12 {
        let event = json!({"type": "track", "event": "Visit", "userId": "u-1", "messageId": format!("m-{number}")});
        let body = json!({"batch": [event]}).to_string();
        // Every other commit fails from here on: the log's or the resolver's.
        store.fail_every(2, Fault::AppliedButReported);
        let post = || {
            Request::post("/v1/batch")
                .header("x-write-key", WEB)
                .body(Body::from(body.clone()))
                .unwrap()
        };
        let first = server.send(post()).await;
        store.fail_every(0, Fault::Refused);
        if first.status != 200 {
            assert_eq!(server.send(post()).await.status, 200);
        }
    }
    let last = json!({"type": "identify", "userId": "u-1", "messageId": "last"});
    server.capture(WEB, &[last]).await;
    let found = server
        .get(Role::Admin, "/v1/customers?identifier=userId:u-1")
        .await;
    assert_eq!(
        found.json["customers"][0]["counters"]["events"], 13,
        "{}",
        found.text
    );
    let fresh = MemStore::new();
    let verified = trenza_shared::store::snapshot(&*store, |view| {
        replay::verify_in(view, &server.app.applier, &fresh)
    });
    assert!(verified.unwrap().unwrap().difference.is_none());
    server.close().await;
}

/// A rebuild throws away what leads from the ids that were told; other rules are not shown before it is there again.
#[tokio::test]
async fn other_rules_wait_for_a_rebuild_so_that_every_id_that_was_told_of_leads() {
    let server = Server::start().await;
    let said = |id: &str| {
        json!({"type": "identify", "messageId": id, "anonymousId": "visitor-1", "traits": {"email": "ada@example.org", "phone": "600111222"},
            "context": {"trenza": {"facet": "professional"}}})
    };
    // Derived before anything was captured.
    let mut rules = Rules::default();
    let rule = KindRule {
        class: Class::RoleScoped,
        ..KindRule::of(Kind::Email)
    };
    rules.kinds.insert(Kind::Email, rule);
    let anew = || Anew {
        applier: Applier {
            rules: InForce::of(rules.clone()),
            ..server.app.applier.clone()
        },
        other: server.app.publisher.homes.other(),
        decisions: server.app.resolver.decisions(),
        at: 0,
    };
    server.capture(WEB, &[said("one"), said("two")]).await;
    let resolver = &server.app.resolver;
    let (rebuilding, showing) = tokio::join!(resolver.replay(), resolver.show(anew()));
    rebuilding.unwrap();
    let last = *server.app.log.last().borrow();
    assert_eq!(showing.unwrap(), Showing::Behind(last));
    assert!(server.app.resolved(last).await);
    assert_eq!(resolver.show(anew()).await.unwrap(), Showing::Shown);
    let view = &*server.app.store;
    for row in FEED.rows(view) {
        let (_, row) = row.unwrap();
        let found = record::by_id(view, &server.app.applier.id_key, &row.customer).unwrap();
        assert!(found.is_some(), "{} {}", row.kind, row.customer);
    }
    server.close().await;
}
