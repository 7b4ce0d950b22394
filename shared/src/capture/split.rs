//! A batch body, split into its members and events without parsing them.
//!
//! Owns where one event of a batch ends and the next begins. Never judges an event: a text that is balanced but no JSON becomes
//! an event of its own, so that it spoils nothing but itself. Works on any nesting without recursion.

use std::borrow::Cow;

use serde::de::IgnoredAny;
use serde_json::{Map, Value};

/// Why a body cannot be split.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadEnvelope {
    /// Not JSON, or cut off.
    #[error("the body is not valid JSON near byte {at}")]
    NotJson {
        /// Where the trouble was noticed. Unit: bytes from the start.
        at: usize,
    },
    /// JSON, but no object.
    #[error("the body must be a JSON object with a \"batch\" array")]
    NotAnObject,
    /// No `batch` at all.
    #[error("the body has no \"batch\"; give an array of events")]
    NoBatch,
    /// A `batch` of another kind.
    #[error("\"batch\" must be an array of events")]
    BatchIsNoArray,
    /// More events than a request may hold.
    #[error("the batch has more than {max} events; send it in smaller parts")]
    TooMany {
        /// How many it may have.
        max: usize,
    },
}

/// A batch body: its events as texts and what else it says.
#[derive(Debug, Default, PartialEq)]
pub struct Envelope<'a> {
    /// The texts of the events, in order, each a slice of the body.
    pub events: Vec<&'a str>,
    /// `context`, to be merged under each event's own.
    pub context: Option<Map<String, Value>>,
    /// How long the text of `context` is. Unit: bytes.
    pub context_bytes: usize,
    /// `writeKey`, from clients that cannot set a header.
    pub write_key: Option<String>,
    /// `sentAt`, unparsed.
    pub sent_at: Option<String>,
}

impl<'a> Envelope<'a> {
    /// Splits a batch body of at most `events_max` events. Of two members with one name the last one counts.
    ///
    /// # Errors
    /// The body as a whole is no batch; a retry of the same text cannot help.
    pub fn split(text: &'a str, events_max: usize) -> Result<Self, BadEnvelope> {
        let mut envelope = Self::default();
        let mut batch: Option<Result<Vec<&'a str>, BadEnvelope>> = None;
        let mut scanner = Scanner::new(text);
        scanner.members(|scanner, name| {
            if name == "batch" {
                batch = Some(if scanner.peek() == Some(b'[') {
                    let mut events = Vec::new();
                    scanner.elements(|element| {
                        if events.len() == events_max {
                            return Err(BadEnvelope::TooMany { max: events_max });
                        }
                        events.push(element);
                        Ok(())
                    })?;
                    Ok(events)
                } else {
                    let from = scanner.at;
                    valid(scanner.value()?, from)?;
                    Err(BadEnvelope::BatchIsNoArray)
                });
                return Ok(());
            }
            let from = scanner.at;
            let value = scanner.value()?;
            match name {
                "context" => {
                    envelope.context = match parsed(value, from)? {
                        Value::Object(map) => Some(map),
                        _ => None,
                    };
                    envelope.context_bytes = value.len();
                }
                "writeKey" => envelope.write_key = text_of(parsed(value, from)?),
                "sentAt" => envelope.sent_at = text_of(parsed(value, from)?),
                _ => valid(value, from)?,
            }
            Ok(())
        })?;
        scanner.end()?;
        envelope.events = batch.ok_or(BadEnvelope::NoBatch)??;
        Ok(envelope)
    }
}

/// The text of a top-level member of an object's text, for an object that may be broken further on.
pub fn member_text(object: &str, wanted: &str) -> Option<String> {
    let mut found = None;
    let mut scanner = Scanner::new(object);
    // A broken rest does not matter: what was found before it stands.
    let _whole = scanner.members(|scanner, name| {
        let from = scanner.at;
        let value = scanner.value()?;
        if name == wanted {
            found = text_of(parsed(value, from)?);
        }
        Ok(())
    });
    found
}

fn text_of(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        _ => None,
    }
}

fn parsed(text: &str, at: usize) -> Result<Value, BadEnvelope> {
    serde_json::from_str(text).map_err(|_| BadEnvelope::NotJson { at })
}

fn valid(text: &str, at: usize) -> Result<(), BadEnvelope> {
    serde_json::from_str::<IgnoredAny>(text)
        .map(|_| ())
        .map_err(|_| BadEnvelope::NotJson { at })
}

/// A position in a JSON text.
struct Scanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            text,
            bytes: text.as_bytes(),
            at: 0,
        }
    }

    /// The next byte that is no space.
    fn peek(&mut self) -> Option<u8> {
        while let Some(byte) = self.bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Some(*byte);
            }
            self.at += 1;
        }
        None
    }

    fn broken(&self) -> BadEnvelope {
        BadEnvelope::NotJson { at: self.at }
    }

    fn expect(&mut self, wanted: u8) -> Result<(), BadEnvelope> {
        if self.peek() != Some(wanted) {
            return Err(self.broken());
        }
        self.at += 1;
        Ok(())
    }

    fn end(&mut self) -> Result<(), BadEnvelope> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.broken()),
        }
    }

    /// Reads an object; `each` is called at every value and must consume it.
    fn members(
        &mut self,
        mut each: impl FnMut(&mut Self, &str) -> Result<(), BadEnvelope>,
    ) -> Result<(), BadEnvelope> {
        match self.peek() {
            Some(b'{') => self.at += 1,
            Some(b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n') => {
                let from = self.at;
                valid(self.text.get(from..).unwrap_or_default(), from)?;
                return Err(BadEnvelope::NotAnObject);
            }
            _ => return Err(self.broken()),
        }
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            let name = self.name()?;
            self.expect(b':')?;
            if self.peek().is_none() {
                return Err(self.broken());
            }
            each(self, &name)?;
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(self.broken()),
            }
        }
    }

    /// Reads an array; `each` gets the text of every element.
    fn elements(
        &mut self,
        mut each: impl FnMut(&'a str) -> Result<(), BadEnvelope>,
    ) -> Result<(), BadEnvelope> {
        self.expect(b'[')?;
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            each(self.value()?)?;
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(self.broken()),
            }
        }
    }

    fn name(&mut self) -> Result<Cow<'a, str>, BadEnvelope> {
        if self.peek() != Some(b'"') {
            return Err(self.broken());
        }
        let from = self.at;
        self.string()?;
        let quoted = self.slice(from);
        let inner = quoted
            .get(1..quoted.len().saturating_sub(1))
            .unwrap_or_default();
        if inner.bytes().any(|byte| byte == b'\\' || byte < 0x20) {
            return serde_json::from_str(quoted)
                .map(Cow::Owned)
                .map_err(|_| BadEnvelope::NotJson { at: from });
        }
        Ok(Cow::Borrowed(inner))
    }

    /// Consumes one value, checked for nothing but its end, and gives its text.
    fn value(&mut self) -> Result<&'a str, BadEnvelope> {
        let first = self.peek().ok_or_else(|| self.broken())?;
        let from = self.at;
        match first {
            b'"' => self.string()?,
            b'{' | b'[' => self.nested()?,
            _ => {
                while self.bytes.get(self.at).is_some_and(|byte| {
                    !matches!(
                        byte,
                        b',' | b']' | b'}' | b':' | b'"' | b' ' | b'\t' | b'\n' | b'\r'
                    )
                }) {
                    self.at += 1;
                }
                if self.at == from {
                    return Err(self.broken());
                }
            }
        }
        Ok(self.slice(from))
    }

    /// Consumes a string, from its quote to its quote.
    fn string(&mut self) -> Result<(), BadEnvelope> {
        self.at += 1;
        loop {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            let Some(found) = memchr::memchr2(b'"', b'\\', rest) else {
                self.at = self.at.max(self.bytes.len());
                return Err(self.broken());
            };
            if rest.get(found) == Some(&b'"') {
                self.at += found + 1;
                return Ok(());
            }
            // The byte after a backslash ends nothing, whatever it is.
            self.at += found + 2;
        }
    }

    /// Consumes an object or array by counting brackets; whether they match in kind is for whoever parses the slice.
    fn nested(&mut self) -> Result<(), BadEnvelope> {
        let mut depth = 0usize;
        loop {
            match self.bytes.get(self.at) {
                None => return Err(self.broken()),
                Some(b'"') => {
                    self.string()?;
                    continue;
                }
                Some(b'{' | b'[') => depth += 1,
                Some(b'}' | b']') => {
                    depth -= 1;
                    if depth == 0 {
                        self.at += 1;
                        return Ok(());
                    }
                }
                Some(_) => {}
            }
            self.at += 1;
        }
    }

    /// The text from `from` to here: both stand beside an ASCII byte or at an end, never inside a character.
    fn slice(&self, from: usize) -> &'a str {
        self.text.get(from..self.at).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
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
            let ours = Envelope::split(&text, 100).unwrap();
            let theirs: BatchBody<'_> = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(ours.events, theirs.batch.iter().map(|raw| raw.get()).collect::<Vec<_>>());
            prop_assert_eq!(ours.context, theirs.context);
            prop_assert_eq!(ours.write_key, theirs.write_key);
        }

        #[test]
        fn no_text_makes_it_panic_and_what_serde_takes_it_takes(text in "[\\[\\]{}\",:a-z0-9\\\\ é]{0,80}", head: bool) {
            let text = if head { format!("{{\"batch\":[{text}]}}") } else { text };
            let ours = Envelope::split(&text, 100);
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
            prop_assert!(Envelope::split(&text[..end], 100).is_err());
        }
    }

    #[test]
    fn a_lone_surrogate_stays_within_its_event() {
        let text = r#"{"batch":[{"a":"\ud800"},{"a":1}]}"#;
        assert_eq!(
            Envelope::split(text, 10).unwrap().events,
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
            ("{}", BadEnvelope::NoBatch),
            (r#"{"batch":null}"#, BadEnvelope::BatchIsNoArray),
            (r#"{"batch":{}}"#, BadEnvelope::BatchIsNoArray),
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
            assert_eq!(Envelope::split(text, 2), Err(wanted), "{text}");
        }
    }

    #[test]
    fn names_may_be_escaped_and_the_last_of_two_counts() {
        let text = r#"{"batch":[1],"b\u0061tch":[2,3],"writeKey":null,"writeKey":"k"}"#;
        let envelope = Envelope::split(text, 10).unwrap();
        assert_eq!(envelope.events, ["2", "3"]);
        assert_eq!(envelope.write_key.as_deref(), Some("k"));
    }

    #[test]
    fn any_depth_is_split_without_recursion() {
        let deep = "[".repeat(1_000_000) + &"]".repeat(1_000_000);
        let text = format!(r#"{{"x":{deep},"batch":[{deep},1]}}"#);
        assert_eq!(Envelope::split(&text, 10).unwrap().events.len(), 2);
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
}
