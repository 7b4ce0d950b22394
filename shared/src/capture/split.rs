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
    #[error("the body must be a JSON object with an array of events")]
    NotAnObject,
    /// No events at all.
    #[error("the body has no {name:?}; give an array of events")]
    NoBatch {
        /// Where they belong.
        name: &'static str,
    },
    /// Events of another kind.
    #[error("{name:?} must be an array of events")]
    BatchIsNoArray {
        /// Where they stand.
        name: &'static str,
    },
    /// More events than a request may hold.
    #[error("the batch has more than {max} events; send it in smaller parts")]
    TooMany {
        /// How many it may have.
        max: usize,
    },
}

/// What a vendor calls the members of a batch body.
#[derive(Debug, Clone, Copy)]
pub struct Names {
    /// The array of events.
    pub events: &'static str,
    /// The write key; of several the last one counts.
    pub write_key: &'static [&'static str],
    /// When it was sent.
    pub sent_at: &'static str,
    /// What is merged under each event's own context; none where a vendor has no such thing.
    pub context: Option<&'static str>,
}

/// Names of the Segment spec.
pub const SEGMENT: Names = Names {
    events: "batch",
    write_key: &["writeKey"],
    sent_at: "sentAt",
    context: Some("context"),
};

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
    pub fn split(text: &'a str, names: &Names, events_max: usize) -> Result<Self, BadEnvelope> {
        let mut envelope = Self::default();
        let mut batch: Option<Result<Vec<&'a str>, BadEnvelope>> = None;
        let mut scanner = Scanner::new(text);
        scanner.members(|scanner, name| {
            if name == names.events {
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
                    Err(BadEnvelope::BatchIsNoArray { name: names.events })
                });
                return Ok(());
            }
            let from = scanner.at;
            let value = scanner.value()?;
            if names.context == Some(name) {
                envelope.context = match parsed(value, from)? {
                    Value::Object(map) => Some(map),
                    _ => None,
                };
                envelope.context_bytes = value.len();
            } else if names.write_key.contains(&name) {
                envelope.write_key = text_of(parsed(value, from)?);
            } else if names.sent_at == name {
                envelope.sent_at = text_of(parsed(value, from)?);
            } else {
                valid(value, from)?;
            }
            Ok(())
        })?;
        scanner.end()?;
        envelope.events = batch.ok_or(BadEnvelope::NoBatch { name: names.events })??;
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
mod tests;
