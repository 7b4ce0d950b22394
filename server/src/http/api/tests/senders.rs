//! What is known of what sent an event: whether it is a program, and whether its clock was wrong. Shown, and deciding nothing.

use axum::{body::Body, http::Request};
use serde_json::{Value, json};

use crate::{
    customer::export::customers,
    tables::Role,
    testing::{Server, WEB},
};

const CRAWLER: &str = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)";
const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
/// The test server's clock stands at 10:00.
const THREE_HOURS_BEHIND: &str = "2026-03-14T07:00:00.000Z";

async fn send(server: &Server, headers: &[(&str, &str)], body: &Value) {
    let mut request = Request::post("/v1/batch?wait=resolved").header("x-write-key", WEB);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = server
        .send(request.body(Body::from(body.to_string())).unwrap())
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text);
}

fn page(id: &str) -> Value {
    json!({"type": "page", "messageId": id, "anonymousId": "visitor-1", "timestamp": "2026-03-14T06:30:00.000Z"})
}

async fn event(server: &Server, id: &str) -> Value {
    let answer = server.get(Role::Steward, &format!("/v1/events/{id}")).await;
    answer.json["event"].clone()
}

#[tokio::test]
async fn a_program_is_flagged_wherever_its_event_is_shown_and_never_dropped() {
    let server = Server::start().await;
    send(
        &server,
        &[("user-agent", CRAWLER)],
        &json!({"batch": [page("crawled")]}),
    )
    .await;
    send(
        &server,
        &[("user-agent", BROWSER)],
        &json!({"batch": [page("seen")]}),
    )
    .await;
    let track = json!({"type": "track", "event": "x", "messageId": "tracked", "userId": "u"});
    send(&server, &[], &json!({"batch": [page("silent"), track]})).await;
    let mut passed_on = page("passed-on");
    passed_on["context"] = json!({"userAgent": "HeadlessChrome/120"});
    send(
        &server,
        &[("user-agent", "analytics-node-next/latest")],
        &json!({"batch": [passed_on]}),
    )
    .await;
    let wanted = [
        ("crawled", json!("crawler")),
        ("seen", Value::Null),
        ("silent", json!("silent")),
        ("tracked", Value::Null),
        ("passed-on", json!("headless")),
    ];
    let live = server.get(Role::Steward, "/v1/live").await.json;
    for (id, bot) in &wanted {
        assert_eq!(event(&server, id).await["bot"], *bot, "{id}");
        let row = live["rows"]
            .as_array()
            .unwrap()
            .iter()
            .find(|row| row["messageId"] == *id);
        assert_eq!(row.unwrap()["bot"], *bot, "{id}");
    }
    let found = server
        .get(
            Role::Steward,
            "/v1/customers?identifier=anonymousId:visitor-1",
        )
        .await
        .json;
    assert_eq!(
        found["customers"][0]["counters"]["events"],
        json!(4),
        "stored like any other"
    );
    // The same event by a person's browser is the same event.
    send(
        &server,
        &[("user-agent", BROWSER)],
        &json!({"batch": [page("crawled")]}),
    )
    .await;
    let again = server.get(Role::Steward, "/v1/events/crawled").await.json;
    assert_eq!(
        (&again["duplicates"], &again["conflicts"]),
        (&json!(1), &json!([]))
    );
    server.close().await;
}

#[tokio::test]
async fn a_clock_that_is_wrong_is_told_beside_the_time_that_it_said() {
    let server = Server::start().await;
    let behind = json!(THREE_HOURS_BEHIND);
    send(
        &server,
        &[],
        &json!({"sentAt": behind, "batch": [page("batch")]}),
    )
    .await;
    let mut own = page("own");
    own["sentAt"] = behind.clone();
    send(&server, &[], &json!({"batch": [own]})).await;
    send(
        &server,
        &[("sentat", THREE_HOURS_BEHIND)],
        &json!({"batch": [page("header")]}),
    )
    .await;
    for id in ["batch", "own", "header"] {
        let time = event(&server, id).await;
        assert_eq!(time["at"], "2026-03-14T06:30:00.000Z", "as the client said");
        assert_eq!(
            time["time"]["probably"],
            json!({"at": "2026-03-14T09:30:00.000Z", "behind_ms": 10_800_000, "confidence_ms": 60_000}),
            "{id}"
        );
    }
    let mut on_purpose = page("on-purpose");
    on_purpose["context"] = json!({"ignoreSentAt": true});
    send(
        &server,
        &[],
        &json!({"sentAt": behind, "batch": [on_purpose]}),
    )
    .await;
    send(
        &server,
        &[],
        &json!({"sentAt": "2026-03-14T09:59:30.000Z", "batch": [page("right")]}),
    )
    .await;
    send(&server, &[], &json!({"batch": [page("untold")]})).await;
    for id in ["on-purpose", "right", "untold"] {
        assert_eq!(
            event(&server, id).await["time"]["probably"],
            Value::Null,
            "{id}"
        );
    }
    server.close().await;
}

#[tokio::test]
async fn nothing_that_is_derived_depends_on_what_sent_an_event() {
    let mut exports = Vec::new();
    for (agent, sent) in [
        (BROWSER, "2026-03-14T10:00:00.000Z"),
        (CRAWLER, THREE_HOURS_BEHIND),
    ] {
        let server = Server::start().await;
        let mut known = page("p-2");
        known["traits"] = json!({"email": "ada@example.org"});
        known["properties"] = json!({"topic": "renta fija"});
        let body = json!({"sentAt": sent, "batch": [page("p-1"), known]});
        send(&server, &[("user-agent", agent)], &body).await;
        let mut text = Vec::new();
        customers(&*server.app.store, &server.app.applier.id_key, &mut text).unwrap();
        exports.push(String::from_utf8(text).unwrap());
        server.close().await;
    }
    assert!(exports[0].contains("ada@example.org"));
    assert_eq!(exports[0], exports[1]);
}
