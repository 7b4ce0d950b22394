//! A client's event as a collector keeps it: judged, but not built in memory.
//!
//! Owns the quick look at an ordinary event, which costs a fifth of [`Event::take`]. Whatever is not ordinary is for
//! [`Event::take`] to judge; what both accept is the same (a law in the tests).

use std::{hash::Hasher, ops::Range};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{EVENT_BYTES_MAX, EVENT_DEPTH_MAX, Event, EventType, MESSAGE_ID_BYTES_MAX, Taking};

/// Members of JSON that serde_json reads as something else than what they are.
const PRIVATE_MEMBER: &[u8] = b"$serde_json::private::";
/// Most transport members that an event can have.
const CUTS_MAX: usize = super::TRANSPORT_MEMBERS.len();

/// An event that can be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captured {
    /// What happened.
    pub kind: EventType,
    /// The body as it is stored: the client's bytes when nothing had to be added to them.
    pub text: String,
    /// `writeKey`, where it is a text.
    pub write_key: Option<String>,
    /// `sentAt`, where it is a text.
    pub sent_at: Option<String>,
    /// Where the values stand that a transport may change on a retry, in order.
    transport: Vec<Range<usize>>,
}

impl Captured {
    /// Looks at an event without building it; none when it is not ordinary: it lacks something, is to be changed, has
    /// escapes where they matter, is identified by its traits alone, or is no event. Then [`Event::take`] judges it.
    pub fn quick(raw: &str, taking: Taking<'_>) -> Option<Self> {
        let text = raw.trim();
        if raw.len() > EVENT_BYTES_MAX
            || !text.starts_with('{')
            || taking.root_context.is_some_and(|root| !root.is_empty())
            || brackets(text) > EVENT_DEPTH_MAX
            || has_surrogate(text)
            || has_private_member(text)
        {
            return None;
        }
        let members: Members<'_> = serde_json::from_str(text).ok()?;
        let kind = EventType::from_name(members.kind)?;
        let somebody = |id: Option<&str>| id.is_some_and(|id| !id.trim().is_empty());
        if taking.path_type.is_some_and(|path| path != kind)
            || members.message_id.is_empty()
            || members.message_id.len() > MESSAGE_ID_BYTES_MAX
            || !(somebody(members.anonymous_id) || somebody(members.user_id))
        {
            return None;
        }
        Some(Self {
            kind,
            write_key: members.write_key.and_then(text_of),
            sent_at: members.sent_at.and_then(text_of),
            transport: members.transport(text),
            text: text.to_owned(),
        })
    }

    /// Feeds a hash with the event less what a transport may change, so that a retry of the same bytes is known again.
    ///
    /// Less exact than the content id, and far cheaper: the same content in another spelling has another hash.
    pub fn hash_content(&self, hasher: &mut impl Hasher) {
        let bytes = self.text.as_bytes();
        let mut from = 0;
        for cut in &self.transport {
            hasher.write(bytes.get(from..cut.start).unwrap_or_default());
            from = cut.end;
        }
        hasher.write(bytes.get(from..).unwrap_or_default());
    }
}

impl From<Event> for Captured {
    fn from(event: Event) -> Self {
        let transport = Self::quick(&event.text, Taking::default())
            .map(|quick| quick.transport)
            .unwrap_or_default();
        Self {
            kind: event.kind,
            write_key: event.text_at(&["writeKey"]).map(str::to_owned),
            sent_at: event.text_at(&["sentAt"]).map(str::to_owned),
            transport,
            text: event.text,
        }
    }
}

/// The members that decide; all others are checked to be JSON and passed over. A member that stands twice is an error here,
/// and so is a text with escapes.
#[derive(Deserialize)]
struct Members<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(rename = "messageId")]
    message_id: &'a str,
    #[serde(rename = "anonymousId", default)]
    anonymous_id: Option<&'a str>,
    #[serde(rename = "userId", default)]
    user_id: Option<&'a str>,
    #[serde(rename = "sentAt", borrow, default)]
    sent_at: Option<&'a RawValue>,
    #[serde(rename = "writeKey", borrow, default)]
    write_key: Option<&'a RawValue>,
    #[serde(rename = "receivedAt", borrow, default)]
    received_at: Option<&'a RawValue>,
    #[serde(rename = "_metadata", borrow, default)]
    metadata: Option<&'a RawValue>,
    #[serde(rename = "retryCount", borrow, default)]
    retry_count: Option<&'a RawValue>,
}

impl Members<'_> {
    /// Where the transport's values stand in `text`, of which they are parts.
    fn transport(&self, text: &str) -> Vec<Range<usize>> {
        let values: [_; CUTS_MAX] = [
            self.sent_at,
            self.received_at,
            self.write_key,
            self.metadata,
            self.retry_count,
        ];
        let start = text.as_ptr() as usize;
        let mut cuts: Vec<Range<usize>> = values
            .into_iter()
            .flatten()
            .map(|value| {
                let from = (value.get().as_ptr() as usize).saturating_sub(start);
                from..from + value.get().len()
            })
            .collect();
        cuts.sort_unstable_by_key(|cut| cut.start);
        cuts
    }
}

fn text_of(value: &RawValue) -> Option<String> {
    serde_json::from_str(value.get()).ok()
}

/// How many objects and arrays begin, those in strings included: never less than the depth.
fn brackets(text: &str) -> usize {
    text.bytes()
        .filter(|byte| matches!(byte, b'{' | b'['))
        .count()
}

/// Looks for the one byte first, which texts rarely have.
fn has_private_member(text: &str) -> bool {
    memchr::memchr(b'$', text.as_bytes()).is_some()
        && memchr::memmem::find(text.as_bytes(), PRIVATE_MEMBER).is_some()
}

/// Whether an escape may be half a surrogate pair, which only building the string can tell.
fn has_surrogate(text: &str) -> bool {
    memchr::memchr_iter(b'\\', text.as_bytes()).any(|at| {
        let rest = text.as_bytes().get(at + 1..).unwrap_or_default();
        matches!(rest, [b'u', b'd' | b'D', ..])
    })
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasher as _, RandomState};

    use proptest::prelude::*;

    use super::*;

    fn quick(raw: &str) -> Option<Captured> {
        Captured::quick(raw, Taking::default())
    }

    #[test]
    fn an_ordinary_event_is_taken_at_a_look() {
        let raw = r#" {"type":"track","event":"a","messageId":"m","userId":null,"anonymousId":"v","sentAt":"2026","writeKey":"k","properties":{"text":"\u00e9\"{"}} "#;
        let captured = quick(raw).unwrap();
        assert_eq!(
            captured,
            Captured::from(Event::take(raw, Taking::default()).unwrap())
        );
        assert_eq!(captured.text, raw.trim());
        assert_eq!(captured.sent_at.as_deref(), Some("2026"));
    }

    #[test]
    fn what_is_not_ordinary_is_left_to_the_full_look() {
        let deep = "[".repeat(65);
        for raw in [
            r#"["track","m","v"]"#,
            r#"{"type":"track","messageId":"m"}"#,
            r#"{"type":"track","messageId":"m","userId":" "}"#,
            r#"{"type":"track","messageId":"","userId":"u"}"#,
            r#"{"type":"track","userId":"u"}"#,
            r#"{"type":"dance","messageId":"m","userId":"u"}"#,
            r#"{"type":"track","type":"page","messageId":"m","userId":"u"}"#,
            r#"{"type":"track","messageId":"m","userId":"u","x":"\ud800"}"#,
            r#"{"type":"track","messageId":"m","userId":"u","x":{"$serde_json::private::Number":"x"}}"#,
            r#"{"type":"track","messageId":"m","userId":"u","x":tru}"#,
            &format!(r#"{{"type":"track","messageId":"m","userId":"u","x":{deep}"#),
        ] {
            assert_eq!(quick(raw), None, "{raw}");
        }
        let page = Taking {
            path_type: Some(EventType::Page),
            ..Taking::default()
        };
        assert_eq!(
            Captured::quick(r#"{"type":"track","messageId":"m","userId":"u"}"#, page),
            None
        );
    }

    #[test]
    fn only_what_a_transport_may_change_is_left_out_of_the_hash() {
        let state = RandomState::new();
        let hash = |raw: &str| {
            let mut hasher = state.build_hasher();
            quick(raw).unwrap().hash_content(&mut hasher);
            hasher.finish()
        };
        let first = r#"{"type":"track","sentAt":"1","messageId":"m","userId":"u","_metadata":{"retryCount":0},"x":1}"#;
        let again =
            r#"{"type":"track","sentAt":"2222","messageId":"m","userId":"u","_metadata":{},"x":1}"#;
        let other = r#"{"type":"track","sentAt":"1","messageId":"m","userId":"u","_metadata":{"retryCount":0},"x":2}"#;
        assert_eq!(hash(first), hash(again));
        assert_ne!(hash(first), hash(other));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn what_is_taken_at_a_look_is_what_the_full_look_takes(
            members in proptest::collection::vec(prop_oneof![
                Just(r#""type":"track""#.to_owned()),
                Just(r#""messageId":"m""#.to_owned()),
                Just(r#""anonymousId":"v""#.to_owned()),
                "\"(type|messageId|userId|anonymousId|sentAt|writeKey|_metadata|t\\\\u0079pe)\":(null|1|\"\"|\" \"|\"page\"|\"a\\\\n\"|\\[1\\]|\\{\"a\":\\{\\}\\}|1e999|01|-|\"\\\\ud800\")",
                "[\\[\\]{}\",:a-z0-9\\\\ ]{0,12}",
            ], 0..8),
            whole: bool,
        ) {
            let mut members = members;
            if whole {
                members.insert(0, r#""type":"track","messageId":"m","userId":"u""#.to_owned());
            }
            let raw = format!("{{{}}}", members.join(","));
            if let Some(captured) = quick(&raw) {
                let event = Event::take(&raw, Taking::default());
                prop_assert_eq!(Ok(captured), event.map(Captured::from), "{}", raw);
            }
        }
    }
}
