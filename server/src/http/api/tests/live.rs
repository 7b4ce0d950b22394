//! What arrives, as it arrives.

use std::sync::Arc;

use axum::{body::Body, http::Request};
use serde_json::{Value, json};

use crate::{
    config::Config,
    http,
    tables::Role,
    testing::{Answer, Server, WEB, source},
};

fn page(n: u32) -> Value {
    json!({"type": "page", "anonymousId": "visitor-aaaa-0001", "messageId": format!("web-{n}"),
        "context": {"consent": {"categoryPreferences": {"analytics": true}}}})
}

async fn send(server: &Server, key: &str, origin: &str, body: &str) -> Answer {
    let request = Request::post("/v1/track")
        .header("x-write-key", key)
        .header("origin", origin);
    server
        .send(request.body(Body::from(body.to_owned())).unwrap())
        .await
}

async fn rows(server: &Server, role: Role, query: &str) -> Vec<Value> {
    let answer = server.get(role, &format!("/v1/live{query}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json["rows"].as_array().unwrap().clone()
}

#[tokio::test]
async fn what_of_an_event_nothing_is_read_of_is_told() {
    let server = Server::start().await;
    let odd = json!({"type": "track", "userId": "u-1", "messageId": "web-1", "timestamp": "yesterday", "properties": "x"});
    server.capture(WEB, &[odd]).await;
    let told = rows(&server, Role::Reader, "").await;
    let faults: Vec<(&str, &str)> = told[0]["faults"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|fault| Some((fault["member"].as_str()?, fault["needs"].as_str()?)))
        .collect();
    assert_eq!(
        faults,
        [
            ("timestamp", "time"),
            ("properties", "object"),
            ("event", "name")
        ]
    );
    assert_eq!(
        told[0]["state"], "resolved",
        "it is stored and used all the same"
    );
}

#[tokio::test]
async fn each_event_is_told_with_what_became_of_it_and_why() {
    let server = Server::start().await;
    server.capture(WEB, &[page(1)]).await;
    server.capture(WEB, &[page(1)]).await;
    let mut other = page(1);
    other["properties"] = json!({"title": "Other"});
    server.capture(WEB, &[other]).await;
    server
        .capture(
            WEB,
            &[json!({"type": "track", "event": "Lost", "messageId": "web-2"})],
        )
        .await;
    server
        .capture(
            WEB,
            &[json!({"type": "identify", "messageId": "web-3", "traits": {"email": "none"}})],
        )
        .await;
    server.capture("wk_nobody", &[page(4)]).await;
    let told = rows(&server, Role::Steward, "").await;
    let found: Vec<(&str, Option<&str>, Option<&str>, bool)> = told
        .iter()
        .map(|row| {
            (
                row["state"].as_str().unwrap(),
                row["messageId"].as_str(),
                row["code"].as_str(),
                row["id_conflict"].as_bool().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            ("resolved", Some("web-1"), None, true),
            ("duplicate", Some("web-1"), Some("duplicate"), true),
            ("resolved", Some("web-1"), None, true),
            ("rejected", Some("web-2"), Some("no_id"), false),
            ("nobody", Some("web-3"), Some("belongs_to_nobody"), false),
            ("rejected", Some("web-4"), Some("unknown_write_key"), false),
        ],
        "{told:#?}"
    );
    assert_eq!(told[0]["customer"], told[1]["customer"]);
    assert_eq!(told[0]["consent"], json!({"analytics": true}));
    assert!(told[4]["reason"].as_str().unwrap().contains("email"));
    assert_eq!(told[5]["source"], Value::Null);
    assert_eq!(
        rows(&server, Role::Steward, "?source=Website").await.len(),
        5
    );
    assert_eq!(
        rows(&server, Role::Steward, &format!("?source={WEB}&limit=2"))
            .await
            .len(),
        2
    );
    server.close().await;
}

#[tokio::test]
async fn a_refused_request_is_told_with_its_origin_and_counted() {
    let mut server = Server::start().await;
    let mut config = Config::clone(&server.app.config);
    config.capture.requests_per_s_max = 1;
    server.app.config = Arc::new(config);
    server.router = http::routes(server.app.clone(), "http");
    let mut closed = source("Closed", 1);
    closed.origins = vec!["https://www.example.org".into()];
    server
        .app
        .registry
        .put_source("wk_closed", &closed)
        .unwrap();
    let mut gone = source("Gone", 1);
    gone.revoked = true;
    server.app.registry.put_source("wk_gone", &gone).unwrap();
    let event = r#"{"type":"track","event":"x","userId":"u"}"#;
    for _ in 0..3 {
        let answer = send(&server, "wk_closed", "https://staging.example.org", event).await;
        assert_eq!(answer.status, 403);
    }
    assert_eq!(
        send(&server, "wk_gone", "https://x.org", event)
            .await
            .status,
        401
    );
    let batch = Request::post("/v1/batch").header("x-write-key", WEB);
    let broken = server
        .send(batch.body(Body::from("{not json")).unwrap())
        .await;
    assert_eq!(broken.status, 400);
    let flood = async || send(&server, WEB, "https://x.org", event).await.status;
    while flood().await != 429 {}
    assert_eq!(flood().await, 429);
    assert_eq!(
        send(&server, "wk_unknown", "https://x.org", "{")
            .await
            .status,
        400
    );
    let told = rows(&server, Role::Reader, "").await;
    let refused: Vec<(&str, &str, u64)> = told
        .iter()
        .filter(|row| row["state"] == "refused")
        .map(|row| {
            (
                row["source"].as_str().unwrap(),
                row["code"].as_str().unwrap(),
                row["times"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        refused,
        [
            ("Closed", "origin_refused", 3),
            ("Gone", "key_revoked", 1),
            ("Website", "not_json", 1),
            ("Website", "too_many", 2)
        ]
    );
    let closed = rows(&server, Role::Reader, "?source=Closed").await;
    assert_eq!(closed.len(), 1);
    assert_eq!(closed[0]["origin"], "https://staging.example.org");
    assert!(closed[0]["hint"].as_str().unwrap().contains("origin"));
    server.close().await;
}

#[tokio::test]
async fn whoever_waits_is_told_at_once_and_hears_no_row_twice() {
    let server = Arc::new(Server::start().await);
    server.capture(WEB, &[page(1)]).await;
    let first = server.get(Role::Steward, "/v1/live").await.json;
    assert_eq!(first["rows"].as_array().unwrap().len(), 1);
    let next = first["next"].as_str().unwrap();
    let again = server
        .get(Role::Steward, &format!("/v1/live?after={next}"))
        .await
        .json;
    assert_eq!(again["rows"], json!([]));
    let waiting = {
        let (server, next) = (server.clone(), next.to_owned());
        tokio::spawn(async move {
            let path = format!("/v1/live?source=Website&after={next}&wait_s=60");
            server.get(Role::Steward, &path).await
        })
    };
    while server.app.watching.available_permits() == crate::app::WATCHING_MAX {
        tokio::task::yield_now().await;
    }
    server.capture(WEB, &[page(2)]).await;
    let told = waiting.await.unwrap().json;
    assert_eq!(told["rows"][0]["messageId"], "web-2", "{told}");
    // Of a row that was told while it waited to be looked at, the same row comes again.
    let next = told["next"].as_str().unwrap();
    if told["rows"][0]["state"] == "stored" {
        let path = format!("/v1/live?after={next}&wait_s=60");
        let again = server.get(Role::Steward, &path).await.json;
        assert_eq!(again["rows"][0]["id"], told["rows"][0]["id"]);
        assert_eq!(again["rows"][0]["state"], "resolved");
    }
    Arc::into_inner(server).unwrap().close().await;
}

#[tokio::test]
async fn what_cannot_be_answered_says_why() {
    let server = Server::start().await;
    let bad = server.get(Role::Reader, "/v1/live?after=yesterday").await;
    assert_eq!(
        (bad.status.as_u16(), &bad.json["code"]),
        (400, &json!("bad_cursor"))
    );
    let none = server.get(Role::Reader, "/v1/live?source=Nowhere").await;
    assert_eq!(none.status, 404);
    let places = server
        .app
        .watching
        .clone()
        .acquire_many_owned(u32::try_from(crate::app::WATCHING_MAX).unwrap());
    let places = places.await.unwrap();
    let full = server.get(Role::Reader, "/v1/live?wait_s=1").await;
    assert_eq!(
        (full.status.as_u16(), &full.json["code"]),
        (503, &json!("too_many_watch"))
    );
    assert_eq!(server.get(Role::Reader, "/v1/live").await.status, 200);
    drop(places);
    let stranger = server
        .send(Request::get("/v1/live").body(Body::empty()).unwrap())
        .await;
    assert_eq!(stranger.status, 401);
    server.close().await;
}

#[tokio::test]
async fn a_reader_sees_no_personal_value() {
    let server = Server::start().await;
    server
        .capture(WEB, &[json!({"type": "identify", "userId": "ada-lovelace", "messageId": "m", "traits": {"email": "ada@example.org"}})])
        .await;
    let refused = r#"{"type":"dance","traits":{"email":"ada@example.org"}}"#;
    send(&server, WEB, "https://x.org", refused).await;
    let masked = server.get(Role::Reader, "/v1/live").await.text;
    assert!(
        !masked.contains("ada@") && !masked.contains("ada-lovelace"),
        "{masked}"
    );
    let whole = server.get(Role::Steward, "/v1/live").await.text;
    assert!(whole.contains("ada@example.org") && whole.contains("ada-lovelace"));
    server.close().await;
}
