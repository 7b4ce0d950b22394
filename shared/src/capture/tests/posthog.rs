//! Bodies of PostHog's SDKs, and the laws of their translation.

use axum::http::Method;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use proptest::prelude::*;

use super::*;
use crate::capture::posthog::event;

const VISITOR: &str = "0199a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b";

fn translated(body: &Value) -> Value {
    serde_json::from_str(&event(&body.to_string()).unwrap()).unwrap()
}

fn ids(body: &Value) -> (Option<String>, Option<String>) {
    let event = translated(body);
    let text = |name: &str| event[name].as_str().map(str::to_owned);
    (text("userId"), text("anonymousId"))
}

#[tokio::test]
async fn a_server_posts_a_gzip_batch_with_its_key_in_the_body() {
    let body = json!({"api_key": "key", "historical_migration": false, "sent_at": "2026-01-15T10:20:31.000Z", "batch": [{
        "event": "Guide ñ\u{0}", "distinct_id": "u-7", "uuid": "0199a1b2-0000-7000-8000-000000000001", "timestamp": "2026-01-15T10:20:30.456000+00:00",
        "properties": {"topic": "renta fija", "$lib": "posthog-python", "$lib_version": "7.0.0", "$geoip_disable": true, "token": "theirs"},
    }]});
    let recorder = Recorder::default();
    let headers = [
        ("content-type", "application/json"),
        ("content-encoding", "gzip"),
    ];
    recorder
        .ask(request(
            Method::POST,
            "/batch/",
            &headers,
            gzip(body.to_string().as_bytes()),
        ))
        .await
        .is_success();
    let taken = recorder.taken().remove(0);
    assert_eq!(
        (taken.key.as_str(), taken.sent_at),
        ("key", Some(1_768_472_431_000))
    );
    let event = &events(&taken)[0];
    assert_eq!(event.message_id, "0199a1b2-0000-7000-8000-000000000001");
    assert_eq!(
        event.client_time(),
        Some("2026-01-15T10:20:30.456000+00:00")
    );
    assert_eq!(event.text_at(&["event"]), Some("Guide ñ\u{0}"));
    assert_eq!(event.text_at(&["userId"]), Some("u-7"));
    assert_eq!(
        event.text_at(&["context", "library", "name"]),
        Some("posthog-python")
    );
    assert_eq!(event.body["properties"], body["batch"][0]["properties"]);
}

#[tokio::test]
async fn a_browser_posts_an_array_an_event_alone_or_a_form() {
    let one = json!({"uuid": "m", "event": "$pageview", "$set": {"email": "a@b.es"}, "offset": 3, "properties": {
        "token": "key", "distinct_id": VISITOR, "$device_id": VISITOR, "$is_identified": false, "$time": 1_768_472_430.456,
        "$current_url": "https://shop.example/x", "title": "Inicio", "$lib": "web",
    }});
    let packed = BASE64_STANDARD.encode(one.to_string());
    let form: String = form_urlencoded::Serializer::new(String::new())
        .append_pair("data", &packed)
        .finish();
    for body in [
        json!([one]).to_string(),
        one.to_string(),
        form,
        format!(" {}", json!({"batch": [one]})),
    ] {
        for path in [
            "/e/?ip=0&ver=1.300.0&compression=gzip-js",
            "/i/v0/e/",
            "/capture",
        ] {
            let recorder = Recorder::default();
            let answer = recorder
                .ask(request(
                    Method::POST,
                    path,
                    &[("content-type", "text/plain")],
                    body.clone(),
                ))
                .await;
            answer.is_success();
            let taken = recorder.taken().remove(0);
            assert_eq!(taken.key, "key");
            let event = &events(&taken)[0];
            assert_eq!(
                (event.kind.name(), event.message_id.as_str()),
                ("page", "m")
            );
            assert_eq!(event.client_time(), Some("2026-01-15T10:20:30.456Z"));
            for (path, wanted) in [
                (&["name"] as &[&str], "Inicio"),
                (&["anonymousId"], VISITOR),
                (&["context", "page", "url"], "https://shop.example/x"),
                (&["context", "traits", "email"], "a@b.es"),
            ] {
                assert_eq!(event.text_at(path), Some(wanted), "{path:?}");
            }
            assert_eq!(event.text_at(&["userId"]), None);
        }
    }
}

#[tokio::test]
async fn a_bad_event_is_kept_apart_and_a_broken_one_costs_nobody_else() {
    let good = r#"{"event":"e","distinct_id":"u","uuid":"m"}"#;
    let mut body = format!(r#"[{good},{{"distinct_id":"u","uuid":"n"}},{{"event":"e","uuid":"x","properties":7}},{{"event":"?","distinct_id":"u"}}]"#).into_bytes();
    let at = body.iter().position(|byte| *byte == b'?').unwrap();
    body[at] = 0xff;
    let recorder = Recorder::default();
    let answer = recorder.post("/e", body).await;
    assert_eq!(answer.status(), 200);
    let told = answer.json()["rejected"].clone();
    assert_eq!(
        told.as_array()
            .unwrap()
            .iter()
            .map(|one| (one["messageId"].as_str(), one["code"].as_str().unwrap()))
            .collect::<Vec<_>>(),
        [
            (Some("n"), "bad_payload"),
            (Some("x"), "bad_payload"),
            (None, "not_utf8")
        ]
    );
    assert_eq!(recorder.ids(), ["m"]);
    assert_eq!(
        recorder.post("/batch", "{").await.error(),
        (400, "not_json".into())
    );
    assert_eq!(
        recorder.post("/batch", "data=%21").await.error(),
        (400, "not_json".into())
    );
}

#[test]
fn a_distinct_id_is_a_visitor_or_a_user() {
    let of = |body: Value| ids(&body);
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(
        of(json!({"event": "e", "distinct_id": "u"})),
        (some("u"), None)
    );
    assert_eq!(
        of(json!({"event": "e", "distinct_id": 7})),
        (some("7"), None)
    );
    assert_eq!(
        of(json!({"event": "e", "distinct_id": VISITOR})),
        (None, some(VISITOR))
    );
    assert_eq!(
        of(json!({"event": "e", "distinct_id": "d", "properties": {"$device_id": "d"}})),
        (None, some("d"))
    );
    let known = json!({"event": "e", "distinct_id": VISITOR, "properties": {"$is_identified": true, "$device_id": "d"}});
    assert_eq!(of(known), (some(VISITOR), some("d")));
    let identify = json!({"event": "$identify", "distinct_id": "u", "properties": {"$anon_distinct_id": VISITOR}});
    assert_eq!(of(identify), (some("u"), some(VISITOR)));
    // An id that was a visitor's before stays linked with it.
    assert_eq!(
        of(json!({"event": "$identify", "distinct_id": VISITOR})),
        (some(VISITOR), some(VISITOR))
    );
    assert_eq!(of(json!({"event": "e"})), (None, None));
}

#[test]
fn names_with_a_dollar_become_what_they_mean() {
    let identify = translated(
        &json!({"event": "$identify", "distinct_id": "u", "$set": {"email": "new@b.es"},
        "properties": {"$set_once": {"email": "old@b.es", "city": "Jaén"}, "plan": "x"}}),
    );
    assert_eq!(
        identify["traits"],
        json!({"email": "new@b.es", "city": "Jaén"})
    );
    assert_eq!(
        identify["properties"],
        json!({"plan": "x", "$set_once": {"email": "old@b.es"}})
    );
    assert_eq!(identify["context"]["posthog"]["event"], "$identify");

    let alias = |distinct: &str, alias: &str| {
        let event = translated(
            &json!({"event": "$create_alias", "distinct_id": distinct, "properties": {"alias": alias}}),
        );
        (
            event["type"].clone(),
            event["userId"].clone(),
            event["previousId"].clone(),
        )
    };
    assert_eq!(
        alias("u", VISITOR),
        (json!("alias"), json!("u"), json!(VISITOR))
    );
    assert_eq!(
        alias(VISITOR, "u"),
        (json!("alias"), json!("u"), json!(VISITOR))
    );

    let group = translated(&json!({"event": "$groupidentify", "distinct_id": "u",
        "properties": {"$group_type": "company", "$group_key": "acme", "$group_set": {"name": "Acme"}}}));
    assert_eq!(
        (&group["type"], &group["groupId"], &group["traits"]),
        (&json!("group"), &json!("acme"), &json!({"name": "Acme"}))
    );
    let screen = translated(
        &json!({"event": "$screen", "distinct_id": "u", "properties": {"$screen_name": "Inicio"}}),
    );
    assert_eq!(
        (&screen["type"], &screen["name"]),
        (&json!("screen"), &json!("Inicio"))
    );
    assert_eq!(
        translated(&json!({"event": "$autocapture", "distinct_id": "u"}))["event"],
        "$autocapture"
    );
}

#[tokio::test]
async fn its_questions_are_answered_and_switch_nothing_on() {
    let recorder = Recorder::default();
    for path in ["/flags/?v=2", "/decide/?v=3"] {
        let flags = recorder
            .ask(request(Method::POST, path, &[], gzip(br#"{"token":"k"}"#)))
            .await;
        assert_eq!(flags.status(), 200);
        assert_eq!(
            (&flags.json()["flags"], &flags.json()["sessionRecording"]),
            (&json!({}), &json!(false))
        );
    }
    let config = recorder
        .ask(request(Method::GET, "/array/wk_1/config", &[], ""))
        .await;
    assert_eq!(
        (&config.json()["token"], &config.json()["sessionRecording"]),
        (&json!("wk_1"), &json!(false))
    );
    let script = recorder
        .ask(request(Method::GET, "/array/wk_1/config.js", &[], ""))
        .await;
    assert_eq!(
        script.header("content-type"),
        "text/javascript; charset=utf-8"
    );
    assert!(
        String::from_utf8(script.bytes)
            .unwrap()
            .contains("[\"wk_1\"]={config:{")
    );
    for path in ["/array/a%22b/config.js", "/array/%ff/config"] {
        let answer = recorder.ask(request(Method::GET, path, &[], "")).await;
        assert_eq!(answer.error(), (400, "bad_write_key".into()));
    }
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((".{0,4}", inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn properties_come_through_unchanged(
        name in "(\\$pageview|\\$screen|\\$autocapture|[a-z ]{1,9})",
        properties in proptest::collection::vec(("(title|distinct_id|[$a-z_]{1,9})", json_value()), 0..8),
        other in json_value(),
    ) {
        let mut properties: serde_json::Map<String, Value> = properties.into_iter().collect();
        for name in ["$set", "$set_once"] {
            properties.shift_remove(name);
        }
        let out = translated(&json!({"event": name, "distinct_id": "u", "uuid": "m", "properties": properties, "other": other}));
        let kept = if properties.is_empty() { Value::Null } else { Value::Object(properties) };
        prop_assert_eq!(&out["properties"], &kept);
        let nothing = other.is_null() || other == json!("") || other == json!({});
        prop_assert!(nothing || out["context"]["posthog"]["other"] == other, "{}", out);
    }

    #[test]
    fn what_is_said_of_a_person_is_kept_once(set in proptest::collection::btree_map("[a-c]", 0..3, 0..3), once in proptest::collection::btree_map("[a-c]", 0..3, 0..3)) {
        let out = translated(&json!({"event": "$identify", "distinct_id": "u", "$set": set, "properties": {"$set_once": once}}));
        for (name, value) in &set {
            prop_assert_eq!(&out["traits"][name], &json!(value));
        }
        for (name, value) in &once {
            let value = json!(value);
            prop_assert!(out["traits"][name] == value || out["properties"]["$set_once"][name] == value, "{}", out);
        }
    }

    #[test]
    fn any_text_becomes_an_event_or_a_reason(text in "[\\[\\]{}\",:a-z0-9\\\\ é]{0,80}", properties in json_value(), name in "(\\$identify|\\$create_alias|\\$groupidentify|x)") {
        let _ = event(&text);
        let _ = event(&json!({"event": name, "properties": properties, "$set": properties}).to_string());
    }
}
