//! Tests of events.

use proptest::prelude::*;

use super::*;

fn take(raw: &str) -> Result<Event, BadEvent> {
    Event::take(
        raw,
        Taking {
            fresh_message_id: "fresh",
            ..Taking::default()
        },
    )
}

#[test]
fn a_retry_is_the_same_event() {
    let first = take(r#"{"type":"track","event":"a","userId":"u","messageId":"m","sentAt":"1","properties":{"x":1.0}}"#).unwrap();
    let again = take(r#"{"messageId":"m","sentAt":"2","writeKey":"k","_metadata":{"retryCount":3},"properties":{"x":1},"userId":"u","event":"a","type":"track"}"#).unwrap();
    assert_eq!(first.id, again.id);
    let other = take(r#"{"type":"track","event":"b","userId":"u","messageId":"m"}"#).unwrap();
    assert_ne!(first.id, other.id);
}

#[test]
fn the_content_id_is_frozen() {
    let event = take(r#"{"type":"identify","userId":"u-1","messageId":"m-1","traits":{"age":41.50,"name":"Begoña"}}"#).unwrap();
    assert_eq!(event.id.to_string(), FROZEN_ID);
}
const FROZEN_ID: &str = "ev_9d9b89cb3500eddd7e8a2d94af0387abef4117efba62104b0e4127c257e9cd9b";

#[test]
fn what_had_nothing_added_keeps_its_bytes() {
    let raw = r#"{ "type":"page", "anonymousId":"a", "messageId":"m", "n":1.500, "n2":123456789012345678901234567890 }"#;
    assert_eq!(take(raw).unwrap().text, raw);
    let read = Event::stored(take(raw).unwrap().text).unwrap();
    assert_eq!(read, take(raw).unwrap());
}

#[test]
fn an_event_without_message_id_gets_one() {
    let event = take(r#"{"type":"page","anonymousId":"a"}"#).unwrap();
    assert_eq!(event.message_id, "fresh");
    assert_eq!(Event::stored(event.text.clone()).unwrap().id, event.id);
}

#[test]
fn a_root_context_goes_under_the_events_own() {
    let root: Map<String, Value> =
        serde_json::from_str(r#"{"locale":"es","page":{"url":"u","title":"t"}}"#).unwrap();
    let event = Event::take(
        r#"{"type":"page","userId":"a","messageId":"m","context":{"page":{"title":"own"}}}"#,
        Taking {
            root_context: Some(&root),
            ..Taking::default()
        },
    )
    .unwrap();
    assert_eq!(
        Value::Object(event.body)["context"],
        serde_json::json!({"page":{"title":"own","url":"u"},"locale":"es"})
    );
}

#[test]
fn every_refusal_has_its_reason() {
    let deep = format!(
        r#"{{"type":"page","userId":"a","x":{}{}}}"#,
        "[".repeat(64),
        "]".repeat(64)
    );
    let long = format!(
        r#"{{"type":"page","userId":"{}"}}"#,
        "x".repeat(EVENT_BYTES_MAX)
    );
    for (raw, code) in [
        ("[]", "not_an_object"),
        ("{", "not_json"),
        (r#"{"userId":"a"}"#, "no_type"),
        (r#"{"type":"dance","userId":"a"}"#, "unknown_type"),
        (r#"{"type":7,"userId":"a"}"#, "unknown_type"),
        (r#"{"type":"page","userId":null,"anonymousId":""}"#, "no_id"),
        (
            r#"{"type":"page","userId":"a","messageId":7}"#,
            "bad_message_id",
        ),
        (&deep, "event_too_deep"),
        (&long, "event_too_large"),
    ] {
        assert_eq!(
            take(raw).unwrap_err().code(),
            code,
            "{}",
            &raw[..raw.len().min(80)]
        );
    }
    let contradicting = Event::take(
        r#"{"type":"page","userId":"a"}"#,
        Taking {
            path_type: Some(EventType::Track),
            ..Taking::default()
        },
    );
    assert_eq!(contradicting.unwrap_err().code(), "type_contradicts_path");
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(raw in ".{0,200}", tail in "[\\[\\]{}\",:a-z0-9\\\\]{0,60}") {
        let _either = take(&raw);
        let _either = take(&format!("{{\"type\":\"page\",\"userId\":\"a\",{tail}}}"));
    }
}
