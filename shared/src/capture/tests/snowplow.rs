//! Bodies of Snowplow's trackers, and the laws of their translation.

use axum::http::Method;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use proptest::prelude::*;

use super::*;
use crate::{
    capture::snowplow::{event, of_query},
    event::EventType,
};

const TP2: &str = "/com.snowplowanalytics.snowplow/tp2";
const UE: &str = "iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0";

fn payload(events: &Value) -> String {
    json!({"schema": "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4", "data": events}).to_string()
}

/// One event of a tracker, translated.
fn translated(fields: &Value) -> Value {
    serde_json::from_str(&event(&fields.to_string()).unwrap()).unwrap()
}

fn page_view() -> Value {
    json!({
        "e": "pv", "url": "https://shop.example/renta-fija?a=b", "page": "Renta fija ñ\u{0}\u{2028}", "refr": "https://search.example/",
        "eid": "b1c4f8a2-5f6e-4d3c-9b2a-1e0d9c8b7a65", "tv": "js-4.6.8", "tna": "sp1", "aid": "shop", "p": "web", "cookie": "1", "cs": "UTF-8",
        "lang": "es-ES", "res": "1920x1080", "cd": "24", "tz": "Europe/Madrid", "dtm": "1768472430456", "vp": "1280x720", "ds": "1280x2400",
        "vid": "1", "sid": "0f4a6f0e-1111-4222-8333-444455556666", "duid": "d7a8b9c0-1111-4222-8333-444455556666", "uid": "u-7",
        "stm": "1768472431000",
    })
}

#[tokio::test]
async fn a_browser_posts_a_page_view_and_its_app_id_is_the_key() {
    let recorder = Recorder::default();
    let headers = [
        ("content-type", "application/json; charset=UTF-8"),
        ("origin", "https://shop.example"),
    ];
    let answer = recorder
        .ask(request(
            Method::POST,
            TP2,
            &headers,
            payload(&json!([page_view()])),
        ))
        .await;
    assert_eq!(
        (answer.status().as_u16(), answer.bytes.as_slice()),
        (200, b"ok".as_slice())
    );
    assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(
        answer.header("access-control-allow-origin"),
        "https://shop.example"
    );
    assert_eq!(answer.header("access-control-allow-credentials"), "true");
    let taken = recorder.taken().remove(0);
    assert_eq!(
        (taken.key.as_str(), taken.sent_at),
        ("shop", Some(1_768_472_431_000))
    );
    let event = &events(&taken)[0];
    assert_eq!(event.kind, EventType::Page);
    assert_eq!(event.message_id, "b1c4f8a2-5f6e-4d3c-9b2a-1e0d9c8b7a65");
    assert_eq!(event.client_time(), Some("2026-01-15T10:20:30.456Z"));
    for (path, wanted) in [
        (&["userId"] as &[&str], "u-7"),
        (&["anonymousId"], "d7a8b9c0-1111-4222-8333-444455556666"),
        (&["name"], "Renta fija ñ\u{0}\u{2028}"),
        (
            &["properties", "url"],
            "https://shop.example/renta-fija?a=b",
        ),
        (&["context", "page", "referrer"], "https://search.example/"),
        (&["context", "locale"], "es-ES"),
        (&["context", "app", "name"], "shop"),
        (&["context", "library", "version"], "js-4.6.8"),
        (&["context", "snowplow", "vp"], "1280x720"),
    ] {
        assert_eq!(event.text_at(path), Some(wanted), "{path:?}");
    }
}

#[tokio::test]
async fn a_query_is_an_event_and_its_answer_a_picture() {
    for path in ["/i", "/com.example/collect", TP2] {
        let recorder = Recorder::default();
        let uri = format!(
            "{path}?e=se&se_ca=guide&se_ac=Downloaded&se_va=1.50&aid=app&eid=m&uid=u%C3%B1&writeKey=key&dtm=1768472430456"
        );
        let answer = recorder.ask(request(Method::GET, &uri, &[], "")).await;
        assert_eq!(
            (answer.status().as_u16(), answer.bytes.len()),
            (200, 43),
            "{path}"
        );
        assert!(answer.bytes.starts_with(b"GIF89a"));
        assert_eq!(
            answer.header("cache-control"),
            "no-cache, no-store, must-revalidate"
        );
        let taken = recorder.taken().remove(0);
        let event = &events(&taken)[0];
        assert_eq!(
            (taken.key.as_str(), event.text_at(&["event"])),
            ("key", Some("Downloaded"))
        );
        assert_eq!(event.body["properties"]["value"].to_string(), "1.50");
        assert_eq!(event.text_at(&["userId"]), Some("uñ"));
        assert_eq!(event.text_at(&["writeKey"]), None);
    }
}

#[tokio::test]
async fn only_a_vendor_has_paths_of_its_own() {
    for path in [
        "/es/nothing",
        "/v1/nothing",
        "/.well-known/x",
        "/../x",
        "/assets./x",
    ] {
        let answer = Recorder::default()
            .ask(request(
                Method::POST,
                path,
                &[("origin", "https://shop.example")],
                payload(&json!([page_view()])),
            ))
            .await;
        assert_eq!(answer.error(), (404, "not_found".into()), "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), "", "{path}");
    }
    let recorder = Recorder::default();
    recorder
        .ask(request(
            Method::POST,
            "/org.example/v2",
            &[],
            payload(&json!([page_view()])),
        ))
        .await;
    assert_eq!(recorder.ids().len(), 1);
}

#[tokio::test]
async fn a_bad_event_is_kept_apart_and_its_neighbours_are_stored() {
    let nobody = json!({"e": "pv", "eid": "n", "aid": "shop"});
    let odd = json!({"e": "dance", "eid": "d", "uid": "u"});
    let broken = json!({"e": "ue", "eid": "b", "uid": "u", "ue_px": "!!!"});
    let recorder = Recorder::default();
    let answer = recorder
        .ask(request(
            Method::POST,
            TP2,
            &[],
            payload(&json!([nobody, odd, page_view(), broken])),
        ))
        .await;
    assert_eq!(
        (answer.status().as_u16(), answer.bytes.as_slice()),
        (200, b"ok".as_slice())
    );
    let rejected = recorder.taken().remove(0).rejected;
    let told: Vec<_> = rejected
        .iter()
        .map(|one| (one.index, one.message_id.as_deref().unwrap(), one.code))
        .collect();
    assert_eq!(
        told,
        [
            (0, "n", "no_id"),
            (1, "d", "bad_payload"),
            (3, "b", "bad_payload")
        ]
    );
    assert!(rejected[1].reason.contains("pv, pp, se, ue, tr, ti"));
    assert_eq!(rejected[1].text, odd.to_string());
    assert_eq!(recorder.ids(), ["b1c4f8a2-5f6e-4d3c-9b2a-1e0d9c8b7a65"]);
}

#[test]
fn a_self_describing_event_has_the_name_of_its_schema() {
    let data = json!({"topic": "renta fija", "price": 9.50});
    let inner = json!({"schema": "iglu:com.acme/viewed_product/jsonschema/1-0-0", "data": data});
    let outer = json!({"schema": UE, "data": inner}).to_string();
    let entity = json!({"schema": "iglu:com.acme/seat/jsonschema/1-0-0", "data": {"row": "ñ"}});
    let contexts = json!({"schema": "iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-1", "data": [entity]}).to_string();
    let plain = translated(&json!({"e": "ue", "uid": "u", "ue_pr": outer, "co": contexts}));
    let packed = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
    let encoded = translated(
        &json!({"e": "ue", "uid": "u", "ue_px": packed(&outer), "cx": packed(&contexts)}),
    );
    assert_eq!(plain, encoded);
    assert_eq!(
        (&plain["type"], &plain["event"]),
        (&json!("track"), &json!("viewed_product"))
    );
    assert_eq!(plain["properties"], data);
    assert_eq!(plain["context"]["snowplow"]["contexts"], json!([entity]));
    assert_eq!(plain["context"]["snowplow"]["schema"], inner["schema"]);
}

#[test]
fn identify_and_screen_view_are_what_they_say() {
    let said = |schema: &str, data: Value| {
        let outer = json!({"schema": UE, "data": {"schema": schema, "data": data}});
        translated(&json!({"e": "ue", "uid": "u", "ue_pr": outer.to_string()}))
    };
    let identify = said(
        "iglu:org.example/identify/jsonschema/1-0-0",
        json!({"email": "ana@example.org"}),
    );
    assert_eq!(
        (&identify["type"], &identify["traits"]),
        (&json!("identify"), &json!({"email": "ana@example.org"}))
    );
    let screen = said(
        "iglu:com.snowplowanalytics.mobile/screen_view/jsonschema/1-0-0",
        json!({"name": "Inicio"}),
    );
    assert_eq!(
        (&screen["type"], &screen["name"]),
        (&json!("screen"), &json!("Inicio"))
    );
}

#[test]
fn an_order_and_its_items_keep_their_figures() {
    let order = translated(
        &json!({"e": "tr", "uid": "u", "tr_id": "o-1", "tr_tt": "1234567890123.4500", "tr_tx": "21 %", "tr_cu": "EUR"}),
    );
    assert_eq!(order["event"], "Order Completed");
    assert_eq!(
        order["properties"].to_string(),
        r#"{"order_id":"o-1","currency":"EUR","total":1234567890123.4500,"tax":"21 %"}"#
    );
    let item = translated(
        &json!({"e": "ti", "uid": "u", "ti_id": "o-1", "ti_sk": "s", "ti_pr": "9.90", "ti_qu": "2"}),
    );
    assert_eq!(item["event"], "Order Item");
    assert_eq!(
        item["properties"].to_string(),
        r#"{"order_id":"o-1","sku":"s","price":9.90,"quantity":2}"#
    );
    let ping = translated(&json!({"e": "pp", "uid": "u", "pp_mix": "0", "pp_may": "10"}));
    assert_eq!(ping["properties"].to_string(), r#"{"minX":0,"maxY":10}"#);
}

#[test]
fn the_ids_of_network_and_session_are_the_visitors_too() {
    let session = json!({"schema": "c", "data": [{"schema": "iglu:com.snowplowanalytics.snowplow/client_session/jsonschema/1-0-2", "data": {"userId": "phone"}}]});
    let ids = translated(
        &json!({"e": "pp", "duid": "domain", "nuid": "network", "tnuid": "domain", "co": session.to_string()}),
    );
    assert_eq!(ids["anonymousId"], "domain");
    assert_eq!(
        ids["context"]["externalIds"],
        json!([{"type": "anonymousId", "id": "phone"}, {"type": "anonymousId", "id": "network"}])
    );
    assert_eq!(
        translated(&json!({"e": "pp", "nuid": "network"}))["anonymousId"],
        "network"
    );
}

#[test]
fn a_retry_is_the_same_event_and_a_true_time_goes_first() {
    let mut again = page_view();
    again["stm"] = "1768472999000".into();
    let read = |fields: &Value| Event::stored(event(&fields.to_string()).unwrap()).unwrap();
    assert_eq!(read(&page_view()).id, read(&again).id);
    let told = translated(&json!({"e": "pp", "uid": "u", "dtm": "2", "ttm": "1000"}));
    assert_eq!(
        (&told["timestamp"], &told["context"]["snowplow"]["dtm"]),
        (&json!("1970-01-01T00:00:01.000Z"), &json!("2"))
    );
    let never = translated(&json!({"e": "pp", "uid": "u", "dtm": "soon", "cx": "?"}));
    assert_eq!(
        (&never["timestamp"], &never["context"]["snowplow"]),
        (&Value::Null, &json!({"dtm": "soon", "cx": "?"}))
    );
}

/// Every text and number in it.
fn leaves(value: &Value, out: &mut Vec<String>) {
    match value {
        Value::Object(members) => members.values().for_each(|value| leaves(value, out)),
        Value::Array(items) => items.iter().for_each(|value| leaves(value, out)),
        Value::String(text) => out.push(text.clone()),
        other => out.push(other.to_string()),
    }
}

proptest! {
    #[test]
    fn nothing_of_an_event_is_lost(
        what in prop_oneof!["pv", "pp", "se", "tr", "ti"],
        fields in proptest::collection::btree_map(
            "(url|page|refr|se_ca|se_la|se_pr|se_va|tr_id|tr_tt|ti_pr|ti_qu|pp_mix|uid|duid|nuid|tnuid|aid|tv|lang|tz|ip|ua|res|vp|eid|f_pdf|[a-z]{1,8})",
            prop_oneof![".{0,12}", "-?[0-9]{1,30}(\\.[0-9]{1,9})?"],
            0..12,
        ),
    ) {
        let mut fields = fields;
        fields.insert("se_ac".into(), "act".into());
        fields.insert("e".into(), what);
        for name in ["dtm", "ttm", "stm", "co", "cx", "contexts", "schema"] {
            fields.remove(name);
        }
        let out: Value = serde_json::from_str(&event(&json!(fields).to_string()).unwrap()).unwrap();
        let mut found = Vec::new();
        leaves(&out, &mut found);
        for (name, value) in fields.iter().filter(|(name, _)| *name != "e") {
            prop_assert!(found.contains(value), "{name}={value:?} is not in {out}");
        }
    }

    #[test]
    fn any_text_becomes_an_event_or_a_reason(text in "[\\[\\]{}\",:a-z0-9\\\\ é]{0,80}", fields: std::collections::BTreeMap<String, String>) {
        let _ = event(&text);
        let mut fields = fields;
        fields.insert("e".into(), "ue".into());
        let _ = event(&json!(fields).to_string());
        let pairs: Vec<_> = fields.into_iter().collect();
        prop_assert!(serde_json::from_str::<Value>(&of_query(&pairs)).is_ok());
    }
}
