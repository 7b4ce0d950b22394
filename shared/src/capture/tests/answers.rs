//! Paths, answers and CORS.

use axum::http::Method;
use serde_json::json;

use super::*;

#[tokio::test]
async fn every_path_answers_with_and_without_a_slash_at_its_end() {
    let body = r#"{"event":"e","userId":"u","messageId":"m","previousId":"p"}"#;
    for path in [
        "track", "identify", "page", "screen", "group", "alias", "t", "i", "p", "s", "g", "a",
    ] {
        for slash in ["", "/", "?x=1&x=%ff&=&&", "/?writeKey=other"] {
            let recorder = Recorder::default();
            recorder
                .post(&format!("/v1/{path}{slash}"), body)
                .await
                .is_success();
            let taken = recorder.taken();
            assert!(taken[0].events[0].kind.name().starts_with(path), "{path}");
            assert_eq!(taken[0].key, "key");
        }
    }
    for path in [
        "/v1/batch",
        "/v1/b",
        "/v1/import",
        "/v1/batch/",
        "/v1/b/",
        "/v1/import/",
    ] {
        let recorder = Recorder::default();
        recorder.post(path, batch(&[EVENT])).await.is_success();
        assert_eq!(recorder.ids(), ["m"]);
    }
}

#[tokio::test]
async fn metrics_of_an_sdk_are_thrown_away_without_a_key() {
    let recorder = Recorder::default();
    recorder
        .ask(request(Method::POST, "/v1/m", &[], r#"{"series":[]}"#))
        .await
        .is_success();
    assert!(recorder.taken().is_empty() && recorder.judged.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_bad_event_of_a_batch_costs_itself_alone() {
    let recorder = Recorder::default();
    let events = [
        EVENT,
        r#"{"type":"dance","userId":"u","messageId":"bad"}"#,
        r#"{"type":"page","userId":"u","messageId":"m2"}"#,
        "7",
    ];
    let answer = recorder.post("/v1/batch", batch(&events)).await;
    assert_eq!(answer.status(), 200);
    let body = answer.json();
    assert_eq!(
        (&body["success"], &body["ok"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(
        (
            &body["rejected"][0]["index"],
            &body["rejected"][0]["messageId"]
        ),
        (&json!(1), &json!("bad"))
    );
    assert!(
        body["rejected"][0]["reason"]
            .as_str()
            .unwrap()
            .contains("dance")
    );
    assert_eq!(
        (
            &body["rejected"][1]["index"],
            &body["rejected"][1]["messageId"]
        ),
        (&json!(3), &json!(null))
    );
    assert_eq!(recorder.ids(), ["m", "m2"]);
    let taken = recorder.taken();
    assert_eq!(taken[0].rejected[0].text, events[1]);
    assert_eq!(taken[0].rejected[1].code, "not_an_object");
}

#[tokio::test]
async fn a_bad_single_event_is_refused_and_kept_apart() {
    for result in [
        Ok(Stored::default()),
        Err(CannotStore::Full {
            reason: "the disk is full",
            retry_after_s: 5,
        }),
    ] {
        let recorder = Recorder::storing(result);
        for (path, body, code) in [
            ("/v1/track", r#"{"event":"e"}"#, "no_id"),
            (
                "/v1/track",
                r#"{"type":"page","userId":"u"}"#,
                "type_contradicts_path",
            ),
            ("/v1/track", "{", "not_json"),
            ("/v1/page", "", "not_json"),
            ("/v1/page", r#"[{"userId":"u"}]"#, "not_an_object"),
            ("/v1/page", r#"{"userId":"\ud800"}"#, "not_json"),
        ] {
            assert_eq!(
                recorder.post(path, body).await.error(),
                (400, code.into()),
                "{body}"
            );
        }
        assert_eq!(recorder.taken()[0].rejected[0].code, "no_id");
    }
}

#[tokio::test]
async fn what_is_no_batch_is_refused_whole_and_an_empty_one_is_a_success() {
    let recorder = Recorder::default();
    for (body, code) in [
        ("", "not_json"),
        (r#"{"batch":[{"type":"#, "not_json"),
        ("[]", "not_an_object"),
        ("{}", "no_batch"),
        (r#"{"batch":{}}"#, "no_batch"),
        (r#"{"batch":"x"}"#, "no_batch"),
    ] {
        assert_eq!(
            recorder.post("/v1/batch", body).await.error(),
            (400, code.into()),
            "{body}"
        );
    }
    recorder.post("/v1/batch", batch(&[])).await.is_success();
    assert!(recorder.taken().is_empty());
}

#[tokio::test]
async fn verdicts_become_the_statuses_that_clients_understand() {
    for verdict in [Verdict::Known, Verdict::Unverified, Verdict::Quarantine] {
        let recorder = Recorder::judging(verdict.clone());
        recorder.post("/v1/track", EVENT).await.is_success();
        assert_eq!(recorder.taken()[0].verdict, verdict);
    }
    let limited = |retry_after_s| Verdict::RateLimited { retry_after_s };
    for (verdict, wanted, wait) in [
        (Verdict::Revoked, (401, "key_revoked"), ""),
        (
            Verdict::OriginRefused {
                origin: "https://x".into(),
            },
            (403, "origin_refused"),
            "",
        ),
        (limited(7), (429, "too_many"), "7"),
        (limited(0), (429, "too_many"), "1"),
        (limited(9999), (429, "too_many"), "300"),
    ] {
        let recorder = Recorder::judging(verdict);
        for body in [
            EVENT.to_owned(),
            r#"{"userId":"u","writeKey":"k"}"#.to_owned(),
        ] {
            let answer = recorder.post("/v1/track", body).await;
            assert_eq!(answer.error(), (wanted.0, wanted.1.into()));
            assert_eq!(answer.header("retry-after"), wait);
        }
        assert!(recorder.taken().is_empty());
    }
}

#[tokio::test]
async fn a_token_of_the_api_is_no_write_key_and_is_kept_nowhere() {
    let token = format!("tk_{}", "1a".repeat(24));
    let in_body = format!(r#"{{"writeKey":"{token}","userId":"u","event":"e"}}"#);
    let recorder = Recorder::default();
    for (headers, body) in [
        (vec![("x-write-key", token.as_str())], EVENT),
        (vec![("x-write-key", token.as_str())], "{"),
        (vec![], in_body.as_str()),
    ] {
        let answer = recorder
            .ask(request(
                Method::POST,
                "/v1/track",
                &headers,
                body.to_owned(),
            ))
            .await;
        assert_eq!(answer.error(), (401, "token_as_write_key".into()));
        assert!(!String::from_utf8_lossy(&answer.bytes).contains("1a1a"));
    }
    assert!(recorder.taken().is_empty());
}

#[tokio::test]
async fn what_cannot_be_stored_is_asked_for_again() {
    for (error, code) in [
        (
            CannotStore::Full {
                reason: "the disk is full",
                retry_after_s: 30,
            },
            "full",
        ),
        (CannotStore::Closed { retry_after_s: 30 }, "closed"),
        (
            CannotStore::Failed {
                reason: "the disk is read-only",
                retry_after_s: 30,
            },
            "failed",
        ),
    ] {
        let recorder = Recorder::storing(Err(error));
        for (path, body) in [
            ("/v1/track", EVENT.to_owned()),
            ("/v1/batch", batch(&[EVENT])),
            ("/v1/batch", batch(&["7"])),
        ] {
            let answer = recorder.post(path, body).await;
            assert_eq!(answer.error(), (503, code.into()));
            assert_eq!(answer.header("retry-after"), "30");
        }
    }
}

#[tokio::test]
async fn who_waits_is_told_whether_the_events_are_in_their_customers() {
    let recorder = Recorder::storing(Ok(Stored {
        duplicates: 1,
        resolved: Some(false),
    }));
    let answer = recorder
        .post("/v1/batch?wait=resolved&x", batch(&[EVENT]))
        .await;
    assert_eq!(
        answer.json(),
        json!({"success": true, "ok": true, "resolved": false})
    );
    assert!(recorder.taken()[0].wait_resolved);
    recorder
        .post("/v1/batch", batch(&[EVENT]))
        .await
        .is_success();
    recorder
        .post("/v1/batch?wait=else", batch(&[EVENT]))
        .await
        .is_success();
    assert!(!recorder.taken()[2].wait_resolved);
}

#[tokio::test]
async fn preflights_are_answered_on_every_path_without_a_key() {
    let paths = [
        "/v1/track",
        "/v1/t/",
        "/v1/b",
        "/v1/batch",
        "/v1/import",
        "/v1/m",
        "/v1/projects/k/settings",
        "/t.js",
        "/t/x.js",
    ];
    for path in paths {
        let asked = [
            ("origin", "https://shop.example"),
            ("access-control-request-method", "POST"),
            (
                "access-control-request-headers",
                "authorization,Content-Type, x-retry-count",
            ),
            ("access-control-request-private-network", "true"),
        ];
        let recorder = Recorder::default();
        let answer = recorder
            .ask(request(Method::OPTIONS, path, &asked, ""))
            .await;
        assert_eq!(
            (answer.status().as_u16(), answer.bytes.len()),
            (204, 0),
            "{path}"
        );
        for (name, value) in [
            ("access-control-allow-origin", "https://shop.example"),
            ("access-control-allow-credentials", "true"),
            (
                "access-control-allow-headers",
                "authorization, content-type, x-retry-count",
            ),
            ("access-control-allow-methods", "GET, POST, HEAD, OPTIONS"),
            ("access-control-max-age", "7200"),
            ("access-control-allow-private-network", "true"),
        ] {
            assert_eq!(answer.header(name), value, "{path} {name}");
        }
        let vary: Vec<_> = answer
            .response
            .headers()
            .get_all("vary")
            .iter()
            .map(|value| value.to_str().unwrap())
            .collect();
        assert!(vary.contains(&"origin"), "{vary:?}");
        assert!(recorder.judged.lock().unwrap().is_empty());
    }
}

#[tokio::test]
async fn only_lists_of_header_names_are_echoed() {
    let many = "a,".repeat(70);
    let long = format!("x-{}", "a".repeat(3000));
    for list in ["x y", "a;b", "bad\"name", many.as_str(), long.as_str(), ""] {
        let answer = Recorder::default()
            .ask(request(
                Method::OPTIONS,
                "/v1/t",
                &[("access-control-request-headers", list)],
                "",
            ))
            .await;
        assert!(
            answer
                .header("access-control-allow-headers")
                .starts_with("authorization, content-type"),
            "{list}"
        );
    }
}

#[tokio::test]
async fn pages_may_read_refusals_too() {
    for (verdict, path, body) in [
        (Verdict::Known, "/v1/track", "{"),
        (Verdict::Revoked, "/v1/track", EVENT),
        (
            Verdict::RateLimited { retry_after_s: 3 },
            "/v1/track",
            EVENT,
        ),
        (Verdict::Known, "/v1/track", EVENT),
    ] {
        let headers = [("authorization", BASIC), ("origin", "null")];
        let recorder = Recorder::judging(verdict);
        let answer = recorder
            .ask(request(Method::POST, path, &headers, body))
            .await;
        assert_eq!(answer.header("access-control-allow-origin"), "null");
        assert_eq!(
            answer.header("access-control-expose-headers"),
            "Retry-After, X-RateLimit-Reset"
        );
        assert!(
            recorder
                .judged
                .lock()
                .unwrap()
                .iter()
                .all(|(_, origin)| origin.as_deref() == Some("null"))
        );
    }
}

#[tokio::test]
async fn without_an_origin_nothing_is_echoed() {
    let answer = Recorder::default().post("/v1/track", EVENT).await;
    assert_eq!(
        (
            answer.header("access-control-allow-origin"),
            answer.header("vary")
        ),
        ("", "origin")
    );
}

#[tokio::test]
async fn cors_stays_off_routes_merged_beside() {
    let pages = axum::Router::new().route("/page", axum::routing::get(|| async { "page" }));
    let whole = pages.merge(router(Recorder::default(), Options::default()));
    for path in ["/page", "/nowhere"] {
        let response = whole
            .clone()
            .oneshot(request(
                Method::GET,
                path,
                &[("origin", "https://evil")],
                "",
            ))
            .await
            .unwrap();
        assert!(
            !response
                .headers()
                .contains_key("access-control-allow-origin"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn other_methods_are_refused_in_the_one_form() {
    for (method, path) in [
        (Method::GET, "/v1/track"),
        (Method::PUT, "/v1/batch"),
        (Method::POST, "/t.js"),
    ] {
        let answer = Recorder::default()
            .ask(request(method, path, &[], ""))
            .await;
        assert_eq!(answer.error(), (405, "wrong_method".into()));
    }
}
