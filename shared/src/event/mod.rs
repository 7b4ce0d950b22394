//! One interaction: an immutable Segment-spec event and its limits.
//!
//! Owns what makes a JSON text an event, what two equal events are, and which parts of it are open. Never decides whose it is.
//!
//! Of two members with one name the last one counts. A number keeps all its digits, however many. Half a surrogate pair is no
//! text, so an event with one is refused.

mod captured;
mod fault;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, value::RawValue};

use crate::{canonical, id::EventId};

pub use captured::Captured;
pub use fault::{Fault, Needs, faults};

/// Longest event. Unit: bytes of JSON.
pub const EVENT_BYTES_MAX: usize = 128 * 1024;
/// Deepest nesting of an event. Unit: levels of arrays and objects.
pub const EVENT_DEPTH_MAX: usize = 64;
/// Longest `messageId`. Unit: bytes.
pub const MESSAGE_ID_BYTES_MAX: usize = 512;

/// Members that a transport may change on a retry: they are no part of the content.
const TRANSPORT_MEMBERS: [&str; 5] = [
    "sentAt",
    "receivedAt",
    "writeKey",
    "_metadata",
    "retryCount",
];

/// What happened, by the Segment spec.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EventType {
    /// Somebody did something.
    Track,
    /// Somebody said who they are.
    Identify,
    /// Somebody saw a page.
    Page,
    /// Somebody saw a screen of an app.
    Screen,
    /// Somebody belongs to a company or another group.
    Group,
    /// Two ids of one person.
    Alias,
}

impl EventType {
    /// Every type.
    pub const ALL: [Self; 6] = [
        Self::Track,
        Self::Identify,
        Self::Page,
        Self::Screen,
        Self::Group,
        Self::Alias,
    ];

    /// The text of the `type` member and of the path.
    pub fn name(self) -> &'static str {
        match self {
            Self::Track => "track",
            Self::Identify => "identify",
            Self::Page => "page",
            Self::Screen => "screen",
            Self::Group => "group",
            Self::Alias => "alias",
        }
    }

    /// Reads the text of the `type` member.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// Why a text is no event. The message goes to the client that sent it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadEvent {
    /// Longer than [`EVENT_BYTES_MAX`].
    #[error(
        "event has {bytes} bytes, the limit is {EVENT_BYTES_MAX}; send large content by reference"
    )]
    TooLarge {
        /// What it has.
        bytes: usize,
    },
    /// Deeper than [`EVENT_DEPTH_MAX`].
    #[error("event is nested deeper than {EVENT_DEPTH_MAX} levels; flatten it")]
    TooDeep,
    /// Not JSON at all.
    #[error("event is not valid JSON: {0}")]
    NotJson(String),
    /// Bytes that are no UTF-8.
    #[error("event is not UTF-8 at byte {at}; send JSON in UTF-8")]
    NotUtf8 {
        /// Where, from its beginning.
        at: usize,
    },
    /// JSON, but no object.
    #[error("event must be a JSON object")]
    NotAnObject,
    /// No `type`, and the path names none.
    #[error("event has no \"type\"; use one of track, identify, page, screen, group, alias")]
    NoType,
    /// A `type` that is not of the spec.
    #[error("unknown type {0:?}; use one of track, identify, page, screen, group, alias")]
    UnknownType(String),
    /// The path says one thing and the body another.
    #[error("type {body:?} contradicts the path, which says {path:?}")]
    TypeContradictsPath {
        /// What the body says.
        body: String,
        /// What the path says.
        path: &'static str,
    },
    /// Neither `userId`, nor `anonymousId`, nor any other identifier.
    #[error(
        "event names nobody: give userId or anonymousId (a text or a number), or an identifier in traits or context.externalIds"
    )]
    NoId,
    /// A `messageId` that is too long or no text.
    #[error("messageId must be a text of 1 to {MESSAGE_ID_BYTES_MAX} bytes")]
    BadMessageId,
    /// An event of another vendor's shape that has no counterpart here.
    #[error("{vendor} event cannot be read: {fault}")]
    Foreign {
        /// Whose shape it should have.
        vendor: &'static str,
        /// What is wrong with it, and what is right.
        fault: String,
    },
}

impl BadEvent {
    /// Short, stable name of the reason.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "event_too_large",
            Self::TooDeep => "event_too_deep",
            Self::NotJson(_) => "not_json",
            Self::NotUtf8 { .. } => "not_utf8",
            Self::NotAnObject => "not_an_object",
            Self::NoType => "no_type",
            Self::UnknownType(_) => "unknown_type",
            Self::TypeContradictsPath { .. } => "type_contradicts_path",
            Self::NoId => "no_id",
            Self::BadMessageId => "bad_message_id",
            Self::Foreign { .. } => "bad_payload",
        }
    }
}

/// What is needed to make an event of a client's text.
#[derive(Debug, Clone, Copy, Default)]
pub struct Taking<'a> {
    /// What the path says the type is.
    pub path_type: Option<EventType>,
    /// A batch's own `context`, merged under the event's.
    pub root_context: Option<&'a Map<String, Value>>,
    /// Given to an event that has no `messageId`.
    pub fresh_message_id: &'a str,
}

/// One interaction. Two are equal when their ids are.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Content id.
    pub id: EventId,
    /// The client's own id of it.
    pub message_id: String,
    /// What happened.
    pub kind: EventType,
    /// The parsed body.
    pub body: Map<String, Value>,
    /// The body as it is stored: the client's bytes when nothing had to be added to them.
    pub text: String,
}

impl Event {
    /// Takes an event in from a client's JSON text.
    ///
    /// # Errors
    /// Says why it can never be accepted; a retry of the same text cannot help.
    pub fn take(raw: &str, taking: Taking<'_>) -> Result<Self, BadEvent> {
        let mut body = object(raw)?;
        let mut changed = false;
        let kind = match (body.get("type"), taking.path_type) {
            (None | Some(Value::Null), None) => return Err(BadEvent::NoType),
            (None | Some(Value::Null), Some(path)) => {
                body.insert("type".into(), path.name().into());
                changed = true;
                path
            }
            (Some(Value::String(name)), path) => {
                let kind = EventType::from_name(name)
                    .ok_or_else(|| BadEvent::UnknownType(shortened(name)))?;
                if let Some(path) = path
                    && path != kind
                {
                    return Err(BadEvent::TypeContradictsPath {
                        body: shortened(name),
                        path: path.name(),
                    });
                }
                kind
            }
            (Some(other), _) => return Err(BadEvent::UnknownType(shortened(&other.to_string()))),
        };
        if let Some(root) = taking.root_context
            && !root.is_empty()
        {
            match body.get_mut("context") {
                Some(Value::Object(own)) => merge_under(own, root),
                None | Some(Value::Null) => {
                    body.insert("context".into(), Value::Object(root.clone()));
                }
                Some(_) => {}
            }
            changed = true;
        }
        // A group event may be about the group alone.
        let group = kind == EventType::Group && present(body.get("groupId"));
        if !group && !names_somebody(&body) {
            return Err(BadEvent::NoId);
        }
        let message_id = match body.get("messageId") {
            None | Some(Value::Null) => {
                body.insert("messageId".into(), taking.fresh_message_id.into());
                changed = true;
                taking.fresh_message_id.to_owned()
            }
            Some(Value::String(own)) if own.is_empty() => {
                body.insert("messageId".into(), taking.fresh_message_id.into());
                changed = true;
                taking.fresh_message_id.to_owned()
            }
            Some(Value::String(own)) if own.len() <= MESSAGE_ID_BYTES_MAX => own.clone(),
            Some(_) => return Err(BadEvent::BadMessageId),
        };
        let text = if changed {
            Value::Object(body.clone()).to_string()
        } else {
            raw.trim().to_owned()
        };
        if text.len() > EVENT_BYTES_MAX {
            return Err(BadEvent::TooLarge { bytes: text.len() });
        }
        Ok(Self {
            id: content_id(&body),
            message_id,
            kind,
            body,
            text,
        })
    }

    /// Reads an event back from its stored text.
    ///
    /// # Errors
    /// The text is not one that [`Event::take`] made.
    pub fn stored(text: String) -> Result<Self, BadEvent> {
        let body = object(&text)?;
        let kind = body
            .get("type")
            .and_then(Value::as_str)
            .and_then(EventType::from_name)
            .ok_or(BadEvent::NoType)?;
        let message_id = body
            .get("messageId")
            .and_then(Value::as_str)
            .ok_or(BadEvent::BadMessageId)?
            .to_owned();
        Ok(Self {
            id: content_id(&body),
            message_id,
            kind,
            body,
            text,
        })
    }

    /// The member at a path of names, as text.
    pub fn text_at(&self, path: &[&str]) -> Option<&str> {
        at(&self.body, path)?.as_str()
    }

    /// A touch field of `context.trenza`.
    pub fn touch(&self, name: &str) -> Option<&str> {
        self.text_at(&["context", "trenza", name])
    }

    /// The client's own time of the event, as text: `originalTimestamp`, else `timestamp`.
    pub fn client_time(&self) -> Option<&str> {
        ["originalTimestamp", "timestamp"]
            .into_iter()
            .find_map(|name| self.text_at(&[name]))
    }
}

/// The value at a path of names.
pub fn at<'a>(body: &'a Map<String, Value>, path: &[&str]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    rest.iter()
        .try_fold(body.get(*first)?, |value, name| value.get(name))
}

/// BLAKE3 of the canonical form without what a transport may change.
fn content_id(body: &Map<String, Value>) -> EventId {
    let mut form = String::with_capacity(512);
    canonical::write_object(
        body.iter()
            .filter(|(name, _)| !TRANSPORT_MEMBERS.contains(&name.as_str())),
        &mut form,
    );
    EventId(*blake3::hash(form.as_bytes()).as_bytes())
}

/// The object of a JSON text within the limits of an event.
///
/// # Errors
/// Too large, too deep, no JSON, or no object.
pub fn object(raw: &str) -> Result<Map<String, Value>, BadEvent> {
    if raw.len() > EVENT_BYTES_MAX {
        return Err(BadEvent::TooLarge { bytes: raw.len() });
    }
    if depth(raw) > EVENT_DEPTH_MAX {
        return Err(BadEvent::TooDeep);
    }
    match serde_json::from_str(raw) {
        Ok(Value::Object(body)) => Ok(body),
        Ok(_) => Err(BadEvent::NotAnObject),
        Err(error) => Err(BadEvent::NotJson(error.to_string())),
    }
}

/// Deepest nesting of a JSON text, without recursion; a text that is no JSON gets some number.
pub fn depth(raw: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0usize, 0usize, false, false);
    for byte in raw.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Members of `root` that `own` lacks, recursively.
fn merge_under(own: &mut Map<String, Value>, root: &Map<String, Value>) {
    for (name, value) in root {
        match (own.get_mut(name), value) {
            (None, _) => {
                own.insert(name.clone(), value.clone());
            }
            (Some(Value::Object(inner)), Value::Object(under)) => merge_under(inner, under),
            (Some(_), _) => {}
        }
    }
}

/// The names under which identifiers of a person stand in traits.
pub const IDENTIFIER_TRAITS: [&str; 7] = [
    "email",
    "phone",
    "nationalId",
    "loyaltyId",
    "badgeId",
    "accountId",
    "userId",
];

fn present(value: Option<&Value>) -> bool {
    match value {
        Some(Value::String(text)) => !text.trim().is_empty(),
        Some(Value::Number(_)) => true,
        _ => false,
    }
}

fn names_somebody(body: &Map<String, Value>) -> bool {
    let in_traits = |path: &[&str]| {
        at(body, path).is_some_and(|traits| {
            IDENTIFIER_TRAITS
                .iter()
                .any(|name| present(traits.get(name)))
        })
    };
    present(body.get("userId"))
        || present(body.get("anonymousId"))
        || in_traits(&["traits"])
        || in_traits(&["context", "traits"])
        || at(body, &["context", "externalIds"])
            .and_then(Value::as_array)
            .is_some_and(|ids| ids.iter().any(|id| present(id.get("id"))))
}

fn shortened(text: &str) -> String {
    text.chars().take(60).collect()
}

/// The parts of a batch body, unparsed where an event begins.
#[derive(Debug, Deserialize)]
pub struct BatchBody<'a> {
    /// The events.
    #[serde(borrow)]
    pub batch: Vec<&'a RawValue>,
    /// Merged into every event.
    #[serde(default)]
    pub context: Option<Map<String, Value>>,
    /// The write key, from clients that cannot set a header.
    #[serde(default, rename = "writeKey")]
    pub write_key: Option<String>,
}

#[cfg(test)]
mod tests;
