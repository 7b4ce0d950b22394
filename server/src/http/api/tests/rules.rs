//! Rules of identity: what a simulation says is what publishing does.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};
use trenza_shared::store::{MemStore, snapshot};

use crate::{
    customer::export,
    evidence::replay,
    tables::Role,
    testing::{Server, WEB},
};

fn seen(message: &str, traits: Value) -> Value {
    json!({"type": "identify", "messageId": message, "timestamp": "2026-03-01T00:00:00Z", "traits": traits})
}

/// An office and its mailbox, two accounts with one telephone, a mailbox alone, a visitor of two days.
fn events() -> Vec<Value> {
    let visit = |message: &str, at: &str| json!({"type": "page", "messageId": message, "anonymousId": "visitor-0001", "timestamp": at});
    vec![
        seen("e1", json!({"email": "info@acme.es", "badgeId": "B-0001"})),
        seen("e2", json!({"email": "info@acme.es", "badgeId": "B-0002"})),
        seen("e3", json!({"email": "info@acme.es"})),
        seen("e4", json!({"accountId": "ES-0001", "phone": "600111222"})),
        seen("e5", json!({"accountId": "ES-0002", "phone": "600111222"})),
        seen("e6", json!({"email": "hello@acme.es"})),
        visit("e7", "2026-03-01T10:00:00Z"),
        visit("e8", "2026-03-09T10:00:00Z"),
    ]
}

/// Every customer's id, by the messages of its events.
fn customers(server: &Server) -> BTreeMap<String, String> {
    let mut lines = Vec::new();
    snapshot(&*server.app.store, |view| {
        export::customers(view, &server.app.applier.id_key, &mut lines)
    })
    .unwrap()
    .unwrap();
    let text = String::from_utf8(lines).unwrap();
    let read = |line: &str| -> (String, String) {
        let one: Value = serde_json::from_str(line).unwrap();
        (
            one["records"].to_string(),
            one["id"].as_str().unwrap().to_owned(),
        )
    };
    text.lines().map(read).collect()
}

async fn told(server: &Server) -> usize {
    let feed = server.get(Role::Reader, "/v1/changes?limit=1000").await;
    feed.json["changes"].as_array().unwrap().len()
}

async fn publish(server: &Server, rules: &Value) -> Value {
    let body = json!({"rules": rules, "reason": "the office asked for it"});
    let answer = server.post(Role::Admin, "/v1/rules", &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let mut going = server.app.publisher.going();
    let settled = going.wait_for(Option::is_none);
    let waited = tokio::time::timeout(Duration::from_secs(60), settled).await;
    waited.expect("in force in time").unwrap();
    let shown = server.get(Role::Steward, "/v1/rules").await.json;
    assert_eq!(shown["in_force"], answer.json["version"]);
    assert_eq!(shown["publishing"], Value::Null);
    answer.json
}

fn assert_replays(server: &Server) {
    let fresh = MemStore::new();
    let verified = snapshot(&*server.app.store, |view| {
        replay::verify_in(view, &server.app.applier, &fresh)
    });
    assert_eq!(verified.unwrap().unwrap().difference, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_simulation_says_is_what_publishing_does_and_can_be_taken_back() {
    let server = Server::start().await;
    server.capture(WEB, &events()).await;
    let at_first = customers(&server);
    assert_eq!(at_first.len(), 4, "{at_first:#?}");
    let class =
        |kind: &str, class: &str| json!({"kinds": {kind: {"class": class, "strength": 40}}});
    // Rules, and how often they merge, split, make nobody and make somebody.
    for (rules, customers_then, changes) in [
        (
            json!({"shared": {"email": ["INFO@acme.es "]}}),
            6,
            [0, 1, 0, 0],
        ),
        (json!({}), 4, [1, 0, 0, 0]),
        (
            json!({"blocked": {"email": ["hello@*", "info@*"]}}),
            4,
            [0, 1, 1, 0],
        ),
        (class("phone", "blocked"), 5, [1, 1, 0, 1]),
        (class("phone", "exclusive"), 4, [1, 0, 0, 0]),
        (class("anonymousId", "blocked"), 3, [0, 0, 1, 0]),
        (json!({}), 4, [0, 0, 0, 1]),
    ] {
        let before = customers(&server);
        let said = server
            .post(Role::Steward, "/v1/rules/simulate", &rules)
            .await;
        assert_eq!(said.status, 200, "{}", said.text);
        let said = said.json;
        assert_eq!(customers(&server), before, "a simulation changed something");
        let times = ["merged", "split", "vanished", "appeared"]
            .map(|what| said["found"][what]["times"].as_u64().unwrap_or(0));
        assert_eq!(times, changes, "{rules}: {said:#}");
        assert_eq!(said["customers"]["before"], before.len(), "{rules}");
        assert_eq!(
            said["customers"]["after"], customers_then,
            "{rules}: {said:#}"
        );
        let fed = told(&server).await;
        publish(&server, &rules).await;
        let after = customers(&server);
        assert_eq!(after.len(), customers_then, "{rules}: {after:#?}");
        assert_replays(&server);
        assert_eq!(told(&server).await > fed, before != after, "{rules}");
        // Whoever noted an id finds the customer of its events, as long as they are anybody's.
        for (records, id) in &before {
            let found = server
                .get(Role::Steward, &format!("/v1/customers/{id}"))
                .await;
            let first = records.split('"').nth(1).unwrap();
            let event = server
                .get(Role::Steward, &format!("/v1/events/{first}"))
                .await;
            let lost = event.json["customer"].is_null();
            assert_eq!(
                found.status == 404,
                lost,
                "{rules}: {records} {}",
                found.text
            );
        }
        // What is in force changes nothing.
        let again = server
            .post(Role::Steward, "/v1/rules/simulate", &rules)
            .await;
        assert_eq!(again.json["found"], json!({}), "{}", again.text);
    }
    assert_eq!(customers(&server), at_first);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_example_shows_both_sides_and_says_why() {
    let server = Server::start().await;
    server.capture(WEB, &events()).await;
    let rules = json!({"shared": {"phone": ["+34 600 111 222"]}});
    let said = server
        .post(Role::Steward, "/v1/rules/simulate", &rules)
        .await
        .json;
    let split = &said["found"]["split"];
    assert_eq!(
        (&split["times"], &split["customers"]),
        (&json!(1), &json!(1)),
        "{said:#}"
    );
    let example = &split["examples"][0];
    let sides = ["before", "after"].map(|side| example[side].as_array().unwrap().len());
    assert_eq!(sides, [1, 2], "{example:#}");
    let es = example["sentence"]["es"].as_str().unwrap();
    assert!(es.contains("las reglas lo dan por compartido"), "{es}");
    publish(&server, &rules).await;
    let said = server
        .post(Role::Steward, "/v1/rules/simulate", &json!({}))
        .await
        .json;
    let merged = &said["found"]["merged"];
    assert_eq!(
        (&merged["times"], &merged["customers"]),
        (&json!(1), &json!(2)),
        "{said:#}"
    );
    let en = merged["examples"][0]["sentence"]["en"].as_str().unwrap();
    assert!(en.contains("600111222"), "{en}");
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_are_kept_with_who_and_why_and_bad_rules_are_refused() {
    let server = Server::start().await;
    server.capture(WEB, &events()).await;
    let published = publish(&server, &json!({"cap": 7})).await;
    assert_eq!(published, json!({"version": 2, "changed": true}));
    let same = publish(&server, &json!({"cap": 7})).await;
    assert_eq!(same, json!({"version": 2, "changed": false}));
    let shown = server.get(Role::Steward, "/v1/rules").await.json;
    assert_eq!(
        (&shown["in_force"], &shown["rules"]["cap"]),
        (&json!(2), &json!(7))
    );
    assert_eq!(shown["versions"][0]["reason"], "the office asked for it");
    assert_eq!(shown["versions"][1]["version"], 1);
    let first = server.get(Role::Steward, "/v1/rules?version=1").await.json;
    assert_eq!(first["rules"]["cap"], 20);
    assert_eq!(publish(&server, &first["rules"]).await["version"], 3);
    let status =
        async |role, path: &str, body: Value| server.post(role, path, &body).await.status.as_u16();
    let reason = |rules: Value| json!({"rules": rules, "reason": "r"});
    for (wanted, role, path, body) in [
        (403, Role::Steward, "/v1/rules", reason(json!({}))),
        (403, Role::Reader, "/v1/rules/simulate", json!({})),
        (400, Role::Admin, "/v1/rules", reason(json!({"cap": 0}))),
        (
            400,
            Role::Admin,
            "/v1/rules",
            json!({"rules": {}, "reason": " "}),
        ),
        (400, Role::Admin, "/v1/rules/simulate", json!({"capp": 3})),
        (
            400,
            Role::Admin,
            "/v1/rules/simulate",
            json!({"blocked": {"email": ["*"]}}),
        ),
    ] {
        assert_eq!(
            status(role, path, body.clone()).await,
            wanted,
            "{path} {body}"
        );
    }
    assert_eq!(server.get(Role::Reader, "/v1/rules").await.status, 403);
    assert_eq!(
        server
            .get(Role::Steward, "/v1/rules?version=99")
            .await
            .status,
        404
    );
    server.close().await;
}
