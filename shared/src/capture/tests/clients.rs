//! The bodies and headers that SDKs send, by what their code sends.

use axum::http::Method;

use super::*;

async fn stored(path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Taken {
    let recorder = Recorder::default();
    recorder
        .ask(request(Method::POST, path, headers, body))
        .await
        .is_success();
    let taken = recorder.taken().remove(0);
    assert_eq!((taken.key.as_str(), taken.rejected.len()), ("key", 0));
    taken
}

#[tokio::test]
async fn analytics_node_posts_a_json_batch() {
    let body = json!({"batch": [{
        "type": "track", "event": "Bought", "userId": "u", "properties": {"price": 9.5}, "integrations": {}, "_metadata": {"nodeVersion": "22"},
        "timestamp": "2026-01-15T10:20:30.456Z", "messageId": "node-next-1768472430456-9f",
        "context": {"library": {"name": "@segment/analytics-node", "version": "3.1.0"}},
    }], "writeKey": "key", "sentAt": "2026-01-15T10:20:31.000Z"});
    let headers = [
        ("content-type", "application/json"),
        ("authorization", BASIC),
        ("user-agent", "analytics-node-next/latest"),
    ];
    let taken = stored("/v1/batch", &headers, body.to_string().into()).await;
    assert_eq!(events(&taken)[0].message_id, "node-next-1768472430456-9f");
    assert_eq!(taken.sent_at, Some(1_768_472_431_000));
}

#[tokio::test]
async fn segment_python_sends_absent_ids_as_null() {
    let body = json!({"batch": [{
        "integrations": {}, "timestamp": "2026-01-15T10:20:30.456000+00:00", "messageId": "5f0c9c3e-9f1e-4f6c-8d2e-0a1b2c3d4e5f",
        "anonymousId": null, "userId": "u", "type": "identify", "traits": {"email": "a@b.es"}, "context": {},
    }], "sentAt": "2026-01-15T10:20:31.000000+00:00", "writeKey": "key"});
    let headers = [
        ("content-type", "application/json"),
        ("content-encoding", "gzip"),
        ("authorization", BASIC),
    ];
    let taken = stored("/v1/batch", &headers, gzip(body.to_string().as_bytes())).await;
    assert_eq!(
        events(&taken)[0].client_time(),
        Some("2026-01-15T10:20:30.456000+00:00")
    );
    assert_eq!(taken.sent_at, Some(1_768_472_431_000));
}

#[tokio::test]
async fn rudder_node_sends_gzip_under_a_form_content_type_and_no_key_in_the_body() {
    let body = json!({"batch": [{
        "type": "page", "name": "Home", "userId": "u", "messageId": "m-1", "originalTimestamp": "2026-01-15T10:20:30.456Z",
        "_metadata": {"nodeVersion": "22"}, "context": {"library": {"name": "rudder"}},
    }], "timestamp": "2026-01-15T10:20:31.000Z", "sentAt": "2026-01-15T10:20:31.000Z"});
    let headers = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("content-encoding", "gzip"),
        ("authorization", BASIC),
    ];
    let taken = stored("/v1/batch", &headers, gzip(body.to_string().as_bytes())).await;
    assert_eq!(
        events(&taken)[0].client_time(),
        Some("2026-01-15T10:20:30.456Z")
    );
}

#[tokio::test]
async fn rudder_browser_sends_one_event_with_an_empty_user_and_traits_in_its_context() {
    let body = json!({
        "type": "identify", "channel": "web", "userId": "", "anonymousId": "an", "messageId": "0b0e", "originalTimestamp": "2026-01-15T10:20:30.456Z",
        "sentAt": "2026-01-15T10:20:31.000Z", "integrations": {"All": true}, "context": {"traits": {"email": "a@b.es"}, "sessionId": 1768472430, "timezone": "GMT+0000"},
    });
    let headers = [
        ("content-type", "application/json;charset=UTF-8"),
        ("authorization", BASIC),
        ("anonymousid", "YW4="),
        ("sentat", "2026-01-15T10:20:31.000Z"),
        ("rsa-retry-attempt", "1"),
    ];
    stored("/v1/identify", &headers, body.to_string().into()).await;
}

#[tokio::test]
async fn analytics_next_posts_text_plain_to_the_first_letter_of_the_type() {
    let body = json!({
        "timestamp": "2026-01-15T10:20:30.456Z", "integrations": {}, "type": "track", "event": "Clicked", "properties": {}, "anonymousId": "an",
        "context": {"page": {"url": "https://x"}, "timezone": "Europe/Madrid"}, "messageId": "ajs-next-1795300487802-4a03", "writeKey": "key", "userId": null,
        "sentAt": "2026-01-15T10:20:31.000Z", "_metadata": {"bundled": ["Segment.io"], "unbundled": [], "bundledIds": []},
    });
    let headers = [
        ("content-type", "text/plain"),
        ("authorization", BASIC),
        ("x-retry-count", "1"),
    ];
    stored("/v1/t", &headers, body.to_string().into()).await;
    stored(
        "/v1/t",
        &[("content-type", "text/plain")],
        body.to_string().into(),
    )
    .await;
}

#[tokio::test]
async fn analytics_next_batches_with_the_time_of_sending_on_the_batch_alone() {
    let body = json!({"writeKey": "key", "batch": [{"type": "page", "anonymousId": "an", "messageId": "ajs-next-1"}], "sentAt": "2026-01-15T10:20:31.000Z"});
    let taken = stored(
        "/v1/b",
        &[("content-type", "text/plain")],
        body.to_string().into(),
    )
    .await;
    assert_eq!(taken.sent_at, Some(1_768_472_431_000));
}

#[tokio::test]
async fn jitsu_masks_the_key_in_the_body_and_gives_it_in_a_header() {
    let body = json!({"type": "track", "event": "e", "anonymousId": "an", "messageId": "2ovtaudhxadlzm0bfxbr8f", "writeKey": "key:***"});
    for path in ["/v1/track", "/api/s/track", "/api/s/s2s/track"] {
        stored(
            path,
            &[("x-write-key", "key:secret")],
            body.to_string().into(),
        )
        .await;
    }
    let several = batch(&[&body.to_string()]);
    stored(
        "/api/s/s2s/batch",
        &[("x-write-key", "key:secret")],
        several.into(),
    )
    .await;
    let recorder = Recorder::default();
    let answer = recorder.post("/api/s/dance", body.to_string()).await;
    assert_eq!(answer.error(), (404, "not_found".into()));
}

#[tokio::test]
async fn a_beacon_has_its_key_in_the_query_alone() {
    let body = batch(&[r#"{"type":"page","anonymousId":"an","messageId":"m"}"#]);
    for path in ["/v1/batch?writeKey=key", "/beacon/v1/batch?writeKey=key"] {
        stored(
            path,
            &[
                ("content-type", "text/plain;charset=UTF-8"),
                ("cookie", "a=b"),
            ],
            body.clone().into(),
        )
        .await;
    }
}

#[tokio::test]
async fn a_pixel_has_its_event_in_the_query() {
    let recorder = Recorder::default();
    let ask = |path: &'static str| recorder.ask(request(Method::GET, path, &[], ""));
    let answer = ask("/pixel/v1/track?writeKey=key&event=Mail+Opened&anonymousId=%22an%22&properties.topic=renta%20fija&properties.a.b=1&properties=7&messageId=m").await;
    assert_eq!(
        (answer.status().as_u16(), answer.bytes.get(..6)),
        (200, Some(b"GIF89a".as_slice()))
    );
    let taken = recorder.taken().remove(0);
    let event = &events(&taken)[0];
    assert_eq!(taken.key, "key");
    assert_eq!(
        event.text_at(&["properties", "topic"]),
        None,
        "the last of two counts"
    );
    assert_eq!(event.text_at(&["anonymousId"]), Some("an"));
    assert_eq!(
        ask("/pixel/v1/page?writeKey=key").await.error(),
        (400, "no_id".into())
    );
    assert_eq!(
        ask("/pixel/v1/identify?writeKey=key&userId=u")
            .await
            .status(),
        404
    );
}

#[test]
fn a_pixels_dotted_names_are_nested_and_the_last_one_counts() {
    let of = |pairs: &[(&str, &str)]| {
        let pairs: Vec<_> = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        crate::capture::rudder::of_query(&pairs)
    };
    assert_eq!(
        of(&[("properties.topic", "x"), ("properties.a.b", "y")]),
        r#"{"channel":"web","properties":{"topic":"x","a":{"b":"y"}}}"#
    );
    assert_eq!(
        of(&[("a", "1"), ("a.b", "2"), ("c.d", "3"), ("c", "4")]),
        r#"{"channel":"web","a":{"b":"2"},"c":"4"}"#
    );
    let deep = "a.".repeat(30_000);
    assert!(of(&[(&deep, "x")]).contains(&deep));
}

#[tokio::test]
async fn the_snippet_shares_one_context_and_gives_the_key_in_the_body() {
    let body = json!({"writeKey": "key", "sentAt": "2026-01-15T10:20:31.000Z", "context": {"locale": "es"}, "batch": [
        {"type": "page", "anonymousId": "an", "messageId": "1", "context": {}}, {"type": "track", "event": "e", "anonymousId": "an", "messageId": "2"},
    ]});
    let taken = stored(
        "/v1/batch",
        &[
            ("content-type", "text/plain;charset=UTF-8"),
            ("origin", "https://shop.example"),
        ],
        body.to_string().into(),
    )
    .await;
    assert!(
        events(&taken)
            .iter()
            .all(|event| event.text_at(&["context", "locale"]) == Some("es"))
    );
}
