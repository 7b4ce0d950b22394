//! What a source is protected from: pages of others, floods, bodies without end. Flagged programs are in `senders`, what answers may hold in `inert`.

use std::{io::Write as _, sync::Arc};

use axum::{Router, body::Body, http::Request};
use flate2::{Compression, write::GzEncoder};
use serde_json::json;
use tower::ServiceExt as _;
use trenza_shared::capture::REQUEST_BYTES_MAX;

use crate::{
    config::Config,
    http,
    tables::Role,
    testing::{Answer, Server, WEB, source},
};

const EVENT: &str = r#"{"type":"track","event":"x","userId":"u"}"#;
/// A source that only pages of one site may send for.
const CLOSED: &str = "wk_closed";

async fn start(requests_per_s_max: u32) -> Server {
    let mut server = Server::start().await;
    let mut config = Config::clone(&server.app.config);
    config.capture.requests_per_s_max = requests_per_s_max;
    server.app.config = Arc::new(config);
    server.router = http::routes(server.app.clone(), "http");
    let mut closed = source("Closed", 1);
    closed.origins = vec!["https://www.example.org".into()];
    server.app.registry.put_source(CLOSED, &closed).unwrap();
    server
}

fn track(key: &str, origin: Option<&str>) -> Request<Body> {
    let mut request = Request::post("/v1/track").header("x-write-key", key);
    if let Some(origin) = origin {
        request = request.header("origin", origin);
    }
    request.body(Body::from(EVENT)).unwrap()
}

/// The status, and how long to wait where it says so.
async fn flood(router: &Router, key: &str) -> (u16, Option<u32>) {
    let answer = router.clone().oneshot(track(key, None)).await.unwrap();
    let wait = answer.headers().get("retry-after");
    let wait = wait.map(|wait| wait.to_str().unwrap().parse().unwrap());
    (answer.status().as_u16(), wait)
}

async fn stored(server: &Server) -> usize {
    let live = server.get(Role::Steward, "/v1/live?limit=1000").await.json;
    let rows = live["rows"].as_array().unwrap().iter();
    rows.filter(|row| row["state"] != "refused").count()
}

#[tokio::test]
async fn pages_of_others_are_refused_and_may_read_that_they_are() {
    let server = start(0).await;
    for (origin, status) in [
        (Some("https://www.example.org"), 200),
        (Some("HTTPS://WWW.example.org"), 200),
        // A program that is no browser.
        (None, 200),
        (Some("https://www.example.org.evil.example"), 403),
        (Some("http://www.example.org"), 403),
        (Some("https://www.example.org:444"), 403),
        (Some("https://example.org"), 403),
        (Some("null"), 403),
        (Some(""), 403),
    ] {
        let before = stored(&server).await;
        let answer = server.send(track(CLOSED, origin)).await;
        assert_eq!(answer.status, status, "{origin:?}: {}", answer.text);
        let new = stored(&server).await - before;
        assert_eq!(new, usize::from(status == 200), "{origin:?}");
        if status == 403 {
            assert_eq!(answer.json["code"], "origin_refused", "{origin:?}");
            let may_read = answer.headers.get("access-control-allow-origin");
            assert_eq!(may_read.map(|one| one.to_str().unwrap()), origin);
        }
    }
    let anywhere = server.send(track(WEB, Some("https://else.example"))).await;
    assert_eq!(anywhere.status, 200, "a source without a list takes any");
    server.close().await;
}

#[tokio::test]
async fn a_flood_is_told_when_to_come_back_over_every_listener_and_alone() {
    let server = start(5).await;
    let listeners = [
        server.router.clone(),
        http::routes(server.app.clone(), "https"),
    ];
    let mut passed = 0;
    let wait_s = loop {
        match flood(&listeners[passed % 2], WEB).await {
            (200, None) => passed += 1,
            (429, Some(wait_s)) => break wait_s,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(passed, 10, "a burst of two seconds, over both together");
    assert!((1..=300).contains(&wait_s), "{wait_s}");
    for listener in &listeners {
        assert_eq!(flood(listener, WEB).await, (429, Some(wait_s)));
    }
    assert_eq!(stored(&server).await, passed);
    // Of keys that are made up, all together as of one source.
    let mut taken = 0;
    for made_up in 0..50 {
        let (status, _) = flood(&server.router, &format!("wk_made_up_{made_up}")).await;
        taken += usize::from(status == 200);
    }
    assert_eq!(taken, 10);
    assert_eq!(
        flood(&server.router, CLOSED).await.0,
        200,
        "another source has its own"
    );
    server.clock.advance_ms(u64::from(wait_s) * 1_000);
    for _ in 0..5 * wait_s {
        assert_eq!(flood(&server.router, WEB).await.0, 200, "when told to");
    }
    assert_eq!(flood(&server.router, WEB).await.0, 429);
    server.close().await;
}

async fn batch(server: &Server, body: Vec<u8>, packed: bool) -> Answer {
    let mut request = Request::post("/v1/batch").header("x-write-key", WEB);
    if packed {
        request = request.header("content-encoding", "gzip");
    }
    server.send(request.body(Body::from(body)).unwrap()).await
}

/// A batch of so many bytes, blanks at its end.
fn of_bytes(bytes: usize) -> Vec<u8> {
    let event = json!({"type": "track", "event": "x", "userId": "u", "properties": {"t": "x".repeat(20_000)}});
    let events = vec![event; bytes / 20_200];
    let mut body = json!({ "batch": events }).to_string().into_bytes();
    assert!(body.len() <= bytes);
    body.resize(bytes, b' ');
    body
}

fn packed(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn a_body_may_have_its_limit_and_not_a_byte_more_as_sent_and_inflated() {
    let server = start(0).await;
    let (full, over) = (of_bytes(REQUEST_BYTES_MAX), of_bytes(REQUEST_BYTES_MAX + 1));
    assert_eq!(batch(&server, full.clone(), false).await.status, 200);
    assert_eq!(batch(&server, packed(&full), true).await.status, 200);
    let before = stored(&server).await;
    // What is not marked as packed is found out.
    for (body, is_packed) in [
        (over.clone(), false),
        (packed(&over), true),
        (packed(&over), false),
        (packed(&vec![b' '; 200 * 1024 * 1024]), true),
    ] {
        let answer = batch(&server, body, is_packed).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.json["code"]),
            (413, &json!("too_large"))
        );
        assert!(!answer.json["hint"].as_str().unwrap().is_empty());
    }
    assert_eq!(stored(&server).await, before, "nothing of them is stored");
    server.close().await;
}
