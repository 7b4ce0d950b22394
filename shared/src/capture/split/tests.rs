use proptest::prelude::*;
use serde_json::value::RawValue;

use super::*;
use crate::event::BatchBody;

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
        "[\"\\\\{}\\[\\],: \\x00-\\x1f]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::vec((".{0,4}", inner), 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn splitting_a_valid_batch_gives_what_serde_gives(
        events in proptest::collection::vec(json(), 0..6),
        context in proptest::option::of(proptest::collection::btree_map(".{0,4}", json(), 0..3)),
        other in json(),
        pretty: bool,
    ) {
        let mut body = Map::new();
        body.insert("other".into(), other);
        body.insert("batch".into(), Value::from(events));
        if let Some(context) = context {
            body.insert("context".into(), Value::Object(context.into_iter().collect()));
        }
        body.insert("writeKey".into(), "k\u{e9}\n".into());
        let body = Value::Object(body);
        let text = if pretty { serde_json::to_string_pretty(&body).unwrap() } else { body.to_string() };
        let ours = Envelope::split(&text, &SEGMENT, 100).unwrap();
        let theirs: BatchBody<'_> = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(ours.events, theirs.batch.iter().map(|raw| raw.get()).collect::<Vec<_>>());
        prop_assert_eq!(ours.context, theirs.context);
        prop_assert_eq!(ours.write_key, theirs.write_key);
    }

    #[test]
    fn no_text_makes_it_panic_and_what_serde_takes_it_takes(text in "[\\[\\]{}\",:a-z0-9\\\\ é]{0,80}", head: bool) {
        let text = if head { format!("{{\"batch\":[{text}]}}") } else { text };
        let ours = Envelope::split(&text, &SEGMENT, 100);
        if let Ok(theirs) = serde_json::from_str::<BatchBody<'_>>(&text) {
            prop_assert_eq!(ours.unwrap().events.len(), theirs.batch.len());
        } else if let Ok(envelope) = ours {
            // Taken although the whole is no JSON: then the fault lies inside an event and is found there.
            prop_assert!(
                envelope.events.iter().any(|event| serde_json::from_str::<&RawValue>(event).is_err())
                    || serde_json::from_str::<IgnoredAny>(&text).is_ok(),
                "{}", text
            );
        }
    }

    #[test]
    fn a_batch_cut_off_anywhere_is_refused(events in proptest::collection::vec(json(), 0..4), cut in 1usize..400) {
        let text = serde_json::json!({ "batch": events, "sentAt": "x" }).to_string();
        let mut end = text.len().saturating_sub(cut);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        prop_assert!(Envelope::split(&text[..end], &SEGMENT, 100).is_err());
    }
}

#[test]
fn a_lone_surrogate_stays_within_its_event() {
    let text = r#"{"batch":[{"a":"\ud800"},{"a":1}]}"#;
    assert_eq!(
        Envelope::split(text, &SEGMENT, 10).unwrap().events,
        [r#"{"a":"\ud800"}"#, r#"{"a":1}"#]
    );
}

#[test]
fn what_is_no_batch_says_why() {
    let cases = [
        ("", BadEnvelope::NotJson { at: 0 }),
        ("[]", BadEnvelope::NotAnObject),
        ("7", BadEnvelope::NotAnObject),
        ("[", BadEnvelope::NotJson { at: 0 }),
        ("{}", BadEnvelope::NoBatch { name: "batch" }),
        (
            r#"{"batch":null}"#,
            BadEnvelope::BatchIsNoArray { name: "batch" },
        ),
        (
            r#"{"batch":{}}"#,
            BadEnvelope::BatchIsNoArray { name: "batch" },
        ),
        (r#"{"batch":[1,2,3]}"#, BadEnvelope::TooMany { max: 2 }),
        (r#"{"batch":[1,]}"#, BadEnvelope::NotJson { at: 12 }),
        (r#"{"batch":[]"#, BadEnvelope::NotJson { at: 11 }),
        (r#"{"batch":[]} x"#, BadEnvelope::NotJson { at: 13 }),
        (r#"{"batch":[],"x":tru}"#, BadEnvelope::NotJson { at: 16 }),
        (
            r#"{"batch":[],"context":{"a":"\udfff"}}"#,
            BadEnvelope::NotJson { at: 22 },
        ),
    ];
    for (text, wanted) in cases {
        assert_eq!(Envelope::split(text, &SEGMENT, 2), Err(wanted), "{text}");
    }
}

#[test]
fn names_may_be_escaped_and_the_last_of_two_counts() {
    let text = r#"{"batch":[1],"b\u0061tch":[2,3],"writeKey":null,"writeKey":"k"}"#;
    let envelope = Envelope::split(text, &SEGMENT, 10).unwrap();
    assert_eq!(envelope.events, ["2", "3"]);
    assert_eq!(envelope.write_key.as_deref(), Some("k"));
}

#[test]
fn any_depth_is_split_without_recursion() {
    let deep = "[".repeat(1_000_000) + &"]".repeat(1_000_000);
    let text = format!(r#"{{"x":{deep},"batch":[{deep},1]}}"#);
    assert_eq!(
        Envelope::split(&text, &SEGMENT, 10).unwrap().events.len(),
        2
    );
}

#[test]
fn a_member_is_found_in_an_object_that_is_broken_elsewhere() {
    assert_eq!(
        member_text(r#"{"messageId":"m","x":"\ud800"}"#, "messageId").as_deref(),
        Some("m")
    );
    assert_eq!(
        member_text(r#"{"messageId":"m","x":"#, "messageId").as_deref(),
        Some("m")
    );
    assert_eq!(
        member_text(r#"{"x":{"messageId":"inner"}}"#, "messageId"),
        None
    );
    assert_eq!(member_text("17", "messageId"), None);
}
