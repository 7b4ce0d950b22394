//! Keys, encodings, limits and odd content.

use axum::{body::Body, http::Method};
use serde_json::Value;

use super::*;
use crate::{
    capture::{BATCH_EVENTS_MAX, REQUEST_BYTES_MAX, intake::REJECTED_TEXT_BYTES_MAX},
    event::EVENT_BYTES_MAX,
};

#[tokio::test]
async fn a_key_is_found_wherever_an_sdk_puts_it() {
    let with_key = r#"{"userId":"u","messageId":"m","writeKey":"body"}"#;
    let batch_with_key = r#"{"batch":[],"writeKey":"body","batch":[{"type":"page","userId":"u"}]}"#;
    for (path, headers, body, key) in [
        ("/v1/page", &[("authorization", BASIC)][..], with_key, "key"),
        (
            "/v1/page",
            &[("authorization", "Bearer x"), ("x-write-key", "head")],
            with_key,
            "body",
        ),
        (
            "/v1/page",
            &[("x-write-key", "head:secret")],
            with_key,
            "head",
        ),
        ("/v1/page?writeKey=query", &[], with_key, "body"),
        ("/v1/batch?writeKey=query", &[], batch_with_key, "body"),
        (
            "/v1/page?writeKey=qu%65ry",
            &[],
            r#"{"userId":"u","writeKey":null}"#,
            "query",
        ),
    ] {
        let recorder = Recorder::default();
        recorder
            .ask(request(Method::POST, path, headers, body))
            .await
            .is_success();
        assert_eq!(recorder.taken()[0].key, key);
        assert_eq!(
            recorder.judged.lock().unwrap().len(),
            1,
            "a key is judged once"
        );
    }
}

#[tokio::test]
async fn without_a_key_the_answer_says_where_to_put_it() {
    for (path, body) in [
        ("/v1/page", EVENT),
        ("/v1/page", r#"{"x":1}"#),
        ("/v1/batch", r#"{"batch":[]}"#),
    ] {
        let recorder = Recorder::default();
        let answer = recorder.ask(request(Method::POST, path, &[], body)).await;
        assert_eq!(answer.status(), 401);
        assert!(
            answer.json()["hint"]
                .as_str()
                .unwrap()
                .contains("Authorization")
        );
        assert!(recorder.taken().is_empty());
    }
}

#[tokio::test]
async fn any_content_type_and_a_bom_are_accepted() {
    for content_type in [
        "application/json",
        "text/plain",
        "application/x-www-form-urlencoded",
        "image/png",
        "\t;;",
    ] {
        let recorder = Recorder::default();
        let headers = [("authorization", BASIC), ("content-type", content_type)];
        recorder
            .ask(request(
                Method::POST,
                "/v1/track",
                &headers,
                format!("\u{feff}{EVENT}\n"),
            ))
            .await
            .is_success();
        assert_eq!(recorder.taken()[0].events[0].text, EVENT);
    }
    let recorder = Recorder::default();
    recorder
        .post("/v1/batch", format!("\u{feff}{}", batch(&[EVENT])))
        .await
        .is_success();
}

#[tokio::test]
async fn gzip_is_known_by_its_bytes_whatever_the_header_says() {
    let two_members = [
        gzip(br#"{"batch":["#),
        gzip(format!("{EVENT}]}}").as_bytes()),
    ]
    .concat();
    for body in [
        gzip(batch(&[EVENT]).as_bytes()),
        batch(&[EVENT]).into_bytes(),
        two_members,
    ] {
        for encoding in ["gzip", "x-gzip", "identity", ""] {
            let recorder = Recorder::default();
            let headers = [("authorization", BASIC), ("content-encoding", encoding)];
            recorder
                .ask(request(Method::POST, "/v1/batch", &headers, body.clone()))
                .await
                .is_success();
            assert_eq!(recorder.ids(), ["m"]);
        }
    }
    let headers = [("authorization", BASIC), ("content-encoding", "br")];
    let answer = Recorder::default()
        .ask(request(Method::POST, "/v1/batch", &headers, "xx"))
        .await;
    assert_eq!(answer.error(), (400, "unknown_encoding".into()));
    let cut = &gzip(batch(&[EVENT]).as_bytes())[..30];
    assert_eq!(
        Recorder::default()
            .post("/v1/batch", cut.to_vec())
            .await
            .error(),
        (400, "bad_gzip".into())
    );
}

#[tokio::test]
async fn a_request_may_have_four_mebibytes_and_five_percent_inflated_or_not() {
    let filler = REQUEST_BYTES_MAX - batch(&[EVENT]).len();
    let fits = batch(&[EVENT]) + &" ".repeat(filler);
    let over = format!("{fits} ");
    for (body, fits) in [
        (fits.clone().into_bytes(), true),
        (gzip(fits.as_bytes()), true),
        (over.clone().into_bytes(), false),
        (gzip(over.as_bytes()), false),
    ] {
        let answer = Recorder::default().post("/v1/batch", body).await;
        if fits {
            answer.is_success()
        } else {
            assert_eq!(answer.error(), (413, "too_large".into()));
            let hint = answer.json()["hint"].as_str().unwrap().to_owned();
            assert!(hint.contains(&EVENT_BYTES_MAX.to_string()), "{hint}");
        }
    }
}

#[tokio::test]
async fn a_gzip_bomb_costs_no_more_than_the_limit() {
    let bomb = gzip(&vec![b' '; 256 * 1024 * 1024]);
    assert!(bomb.len() < 300_000);
    assert_eq!(
        Recorder::default().post("/v1/batch", bomb).await.error(),
        (413, "too_large".into())
    );
    let members = gzip(&vec![b' '; 1024 * 1024]).repeat(100);
    assert_eq!(
        Recorder::default().post("/v1/batch", members).await.error(),
        (413, "too_large".into())
    );
}

#[tokio::test]
async fn more_events_than_a_request_may_hold_are_refused_whole() {
    let events = |count: usize| {
        format!(
            r#"{{"batch":[{}]}}"#,
            vec![r#"{"type":"page","userId":"u"}"#; count].join(",")
        )
    };
    let recorder = Recorder::default();
    recorder
        .post("/v1/batch", events(BATCH_EVENTS_MAX))
        .await
        .is_success();
    assert_eq!(recorder.ids().len(), BATCH_EVENTS_MAX);
    assert_eq!(
        recorder
            .post("/v1/batch", events(BATCH_EVENTS_MAX + 1))
            .await
            .error(),
        (413, "too_many_events".into())
    );
}

#[tokio::test]
async fn a_context_cannot_multiply_a_small_body() {
    let pad = "x".repeat(90_000);
    let events = vec![r#"{"type":"page","userId":"u"}"#; 5000].join(",");
    let body = format!(r#"{{"context":{{"x":"{pad}"}},"batch":[{events}]}}"#);
    assert_eq!(
        Recorder::default().post("/v1/batch", body).await.error(),
        (413, "context_too_large".into())
    );
    let deep = "[".repeat(63) + &"]".repeat(63);
    let body = format!(r#"{{"context":{{"x":{deep}}},"batch":[{EVENT}]}}"#);
    assert_eq!(
        Recorder::default().post("/v1/batch", body).await.error(),
        (400, "context_too_deep".into())
    );
}

#[tokio::test]
async fn a_batchs_context_is_merged_into_every_event() {
    let recorder = Recorder::default();
    let body = r#"{"context":{"page":{"url":"u"},"locale":"es"},"batch":[{"type":"page","userId":"a","messageId":"1"},{"type":"page","userId":"a","messageId":"2","context":{"locale":"en"}}]}"#;
    recorder.post("/v1/batch", body).await.is_success();
    let events = events(&recorder.taken()[0]);
    assert_eq!(events[0].text_at(&["context", "locale"]), Some("es"));
    assert_eq!(events[1].text_at(&["context", "locale"]), Some("en"));
    assert_eq!(events[1].text_at(&["context", "page", "url"]), Some("u"));
}

#[tokio::test]
async fn a_lone_surrogate_or_raw_control_character_rejects_only_its_event() {
    for bad in [
        r#""\ud800""#,
        r#""\udc00x""#,
        "\"\u{1}\"",
        "tru",
        "01",
        r#""\x""#,
        "{\"a\":1,}",
    ] {
        let recorder = Recorder::default();
        let bad = format!(r#"{{"type":"page","userId":"u","messageId":"bad","x":{bad}}}"#);
        let answer = recorder
            .post(
                "/v1/batch",
                batch(&[
                    EVENT,
                    &bad,
                    r#"{"type":"page","userId":"u","messageId":"m2"}"#,
                ]),
            )
            .await;
        assert_eq!(answer.status(), 200, "{bad}");
        assert_eq!(answer.json()["rejected"][0]["messageId"], "bad");
        assert_eq!(recorder.ids(), ["m", "m2"]);
    }
}

#[tokio::test]
async fn an_event_that_is_no_utf8_is_kept_apart_and_its_neighbours_are_taken() {
    let bad = EVENT.replace("\"m\"", "\"latin\"");
    let mut body = batch(&[EVENT, &bad]).into_bytes();
    let at = body.windows(5).position(|five| five == b"latin").unwrap();
    body[at + 2] = 0xe9;
    for body in [body.clone(), gzip(&body)] {
        let recorder = Recorder::default();
        let answer = recorder.post("/v1/batch", body).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.json()["rejected"][0]["code"], "not_utf8");
        assert_eq!(recorder.ids(), ["m"]);
        let rejected = &recorder.taken()[0].rejected[0];
        assert!(rejected.index == 1 && rejected.reason.contains("not UTF-8 at byte"));
    }
    let mut alone = EVENT.as_bytes().to_vec();
    let at = alone.len() - 3;
    alone[at] = 0xff;
    let recorder = Recorder::default();
    let answer = recorder.post("/v1/track", alone).await;
    assert_eq!(answer.error(), (400, "not_utf8".into()));
}

#[tokio::test]
async fn what_is_no_utf8_outside_its_events_is_refused_whole() {
    for place in ["{", "]"] {
        let mut body = batch(&[EVENT]);
        let at = if place == "{" {
            0
        } else {
            body.rfind(']').unwrap()
        };
        body.insert_str(
            at + 1,
            if place == "{" {
                "\"x\":\"?\","
            } else {
                ",\"x\":\"?\""
            },
        );
        let mut body = body.into_bytes();
        let at = body.iter().position(|byte| *byte == b'?').unwrap();
        body[at] = 0xff;
        let answer = Recorder::default().post("/v1/batch", body).await;
        assert_eq!(answer.error(), (400, "not_utf8".into()));
    }
    let many = [b"{\"batch\":[".as_slice(), &[0xff; 2_000], b"]}"].concat();
    let answer = Recorder::default().post("/v1/batch", many).await;
    assert_eq!(answer.error(), (400, "not_utf8".into()));
}

#[tokio::test]
async fn odd_content_is_stored_unchanged() {
    for odd in [
        r#""\u0000\u0001""#,
        "\"\u{2028}\u{feff}👩‍👩‍👧 שלום\"",
        r#""\ud83d\ude00""#,
        "1e999",
        "-0.0",
        "123456789012345678901234567890.5000",
        r#"{"":{"$a.b":null," ":[]}}"#,
        r#"{"a":1,"a":2}"#,
        &format!("\"{}\"", "ñ".repeat(10_000)),
        &format!("{}{}", "[".repeat(62), "]".repeat(62)),
    ] {
        let event = format!(
            r#"{{"type":"track","event":"e","userId":"u","messageId":"m","properties":{{"odd":{odd}}}}}"#
        );
        let recorder = Recorder::default();
        recorder
            .post("/v1/batch", batch(&[&event]))
            .await
            .is_success();
        recorder.post("/v1/track", event.clone()).await.is_success();
        for taken in recorder.taken() {
            assert_eq!(taken.events[0].text, event);
        }
    }
}

#[tokio::test]
async fn an_event_too_long_or_too_deep_is_rejected_and_its_text_cut() {
    let long = format!(
        r#"{{"type":"page","userId":"u","messageId":"long","x":"{}"}}"#,
        "é".repeat(EVENT_BYTES_MAX)
    );
    let deep = format!(
        r#"{{"type":"page","userId":"u","messageId":"deep","x":{}{}}}"#,
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    let recorder = Recorder::default();
    let answer = recorder
        .post("/v1/batch", batch(&[&long, EVENT, &deep]))
        .await;
    assert_eq!(answer.status(), 200);
    let taken = &recorder.taken()[0];
    assert_eq!(recorder.ids(), ["m"]);
    assert_eq!(
        taken
            .rejected
            .iter()
            .map(|one| one.code)
            .collect::<Vec<_>>(),
        ["event_too_large", "event_too_large"]
    );
    assert_eq!(taken.rejected[0].message_id.as_deref(), Some("long"));
    assert!(
        taken
            .rejected
            .iter()
            .all(|one| one.text.len() <= REJECTED_TEXT_BYTES_MAX)
    );
    assert_eq!(
        recorder.post("/v1/page", long).await.error(),
        (400, "event_too_large".into())
    );
}

#[tokio::test]
async fn an_event_without_id_gets_one_and_others_keep_theirs() {
    let recorder = Recorder::default();
    recorder
        .post(
            "/v1/batch",
            batch(&[r#"{"type":"page","userId":"u","messageId":null}"#, EVENT]),
        )
        .await
        .is_success();
    assert_eq!(recorder.ids(), ["fresh", "m"]);
}

#[tokio::test]
async fn the_time_of_sending_is_read_from_body_event_or_header() {
    const SENT: &str = "2026-01-15T10:20:30.456Z";
    let event = format!(r#"{{"type":"page","userId":"u","sentAt":"{SENT}"}}"#);
    let on_batch = format!(r#"{{"sentAt":"{SENT}","batch":[{EVENT}]}}"#);
    for (path, body, header) in [
        ("/v1/page", event.clone(), ""),
        ("/v1/batch", batch(&[EVENT, &event]), "x"),
        ("/v1/batch", on_batch, "2020-01-01T00:00:00Z"),
        ("/v1/track", EVENT.to_owned(), SENT),
    ] {
        let recorder = Recorder::default();
        recorder
            .ask(request(
                Method::POST,
                path,
                &[("authorization", BASIC), ("sentat", header)],
                body,
            ))
            .await
            .is_success();
        let taken = &recorder.taken()[0];
        assert_eq!(
            (taken.sent_at, taken.received_ms),
            (Some(1_768_472_430_456), 1_768_472_430_456)
        );
    }
    let recorder = Recorder::default();
    recorder
        .post(
            "/v1/batch",
            r#"{"sentAt":17,"batch":[{"type":"page","userId":"u"}]}"#,
        )
        .await
        .is_success();
    assert_eq!(recorder.taken()[0].sent_at, None);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stops_coming_is_asked_for_again_and_never_408() {
    let stopped = Body::from_stream(futures_util::stream::pending::<
        Result<Vec<u8>, std::io::Error>,
    >());
    let broken = Body::from_stream(futures_util::stream::iter([
        Ok("{"),
        Err(std::io::Error::other("reset")),
    ]));
    for (path, body, code) in [
        ("/v1/batch", stopped, "body_too_slow"),
        ("/v1/track", broken, "body_broken"),
    ] {
        let answer = Recorder::default().post(path, body).await;
        assert_eq!(answer.error(), (503, code.into()));
        assert_eq!(answer.header("connection"), "close");
    }
}

#[tokio::test]
async fn a_large_batch_is_taken_whole_and_in_order() {
    let events: Vec<String> = (0..3000).map(|n| format!(r#"{{"type":"track","event":"e{n}","userId":"u","messageId":"{n}","properties":{{"x":"{}"}}}}"#, "y".repeat(500))).collect();
    let body = serde_json::to_string(&json!({ "batch": events.iter().map(|text| serde_json::from_str::<Value>(text).unwrap()).collect::<Vec<_>>() })).unwrap();
    for body in [gzip(body.as_bytes()), body.into_bytes()] {
        let recorder = Recorder::default();
        recorder.post("/v1/batch", body).await.is_success();
        assert_eq!(
            recorder.ids(),
            (0..3000).map(|n| n.to_string()).collect::<Vec<_>>()
        );
    }
}
