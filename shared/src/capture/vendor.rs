//! What the translations of other vendors' events share.
//!
//! A translation is a pure function of one event, so that a retry becomes the same event again. It loses nothing: what has no place of
//! its own in an event of ours stands under `context.VENDOR` by the vendor's name.

use base64::Engine as _;
use serde_json::{Map, Number, Value};

use super::key::BASE64;
use crate::clock::{format_ms, parse_time_ms};

/// Puts a member where there is something to put; empty texts and objects are nothing.
pub fn put(map: &mut Map<String, Value>, name: &str, value: impl Into<Value>) {
    let value = value.into();
    let nothing = match &value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    };
    if !nothing {
        map.insert(name.to_owned(), value);
    }
}

/// A member as text, where it is one or a number.
pub fn text_of(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Takes a member out as text; one that is no text stays.
pub fn take_text(map: &mut Map<String, Value>, name: &str) -> Option<String> {
    let text = text_of(map.get(name))?;
    map.shift_remove(name);
    Some(text)
}

/// Takes a member out as an object; one that is none stays.
pub fn take_object(map: &mut Map<String, Value>, name: &str) -> Map<String, Value> {
    match map.get_mut(name) {
        Some(Value::Object(members)) => {
            let members = std::mem::take(members);
            map.shift_remove(name);
            members
        }
        _ => Map::new(),
    }
}

/// A number with all the digits it was written with; what is none stays a text.
pub fn number(text: String) -> Value {
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic());
    match serde_json::from_str::<Number>(&text) {
        Ok(number) if plain => Value::Number(number),
        _ => Value::String(text),
    }
}

/// Milliseconds since 1970, as RFC 3339; `None` when it would not be the same instant read back.
pub fn instant(ms: &str) -> Option<String> {
    let ms: i64 = ms.parse().ok()?;
    let text = format_ms(ms);
    (parse_time_ms(&text) == Some(ms)).then_some(text)
}

/// The text behind base64 in either alphabet, with padding or without.
pub fn decoded(encoded: &str) -> Option<String> {
    let standard: String = encoded
        .chars()
        .map(|one| match one {
            '-' => '+',
            '_' => '/',
            one => one,
        })
        .collect();
    String::from_utf8(BASE64.decode(standard).ok()?).ok()
}
