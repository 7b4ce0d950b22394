//! RudderStack: what its SDKs ask for beside the Segment family's paths.
//!
//! Owns the source configuration that its browser SDK loads, and pixels. Its plugins are no part of this: pages use the bundled
//! build (`@rudderstack/analytics-js/bundled`) or serve the plugins themselves.

use axum::{
    Json,
    http::header,
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value, json};

use super::surface::{Door, Pair};
use crate::event::EventType;

/// Most parts of a dotted name that become nested objects; a longer name is taken as it is.
const NESTED_MAX: usize = 16;

/// `GET /sourceConfig`: no destinations, so the browser loads nothing of anybody else.
///
/// Answers for any key, as the settings of the Segment family do. Without `enabled` and `config` the SDK sends no event.
pub async fn source_config() -> Response {
    let config = json!({
        "source": {
            "id": "trenza",
            "name": "Trenza",
            "enabled": true,
            "config": { "statsCollection": { "errors": { "enabled": false }, "metrics": { "enabled": false } } },
            "destinations": [],
        },
    });
    ([(header::CACHE_CONTROL, "no-cache")], Json(config)).into_response()
}

/// `GET /pixel/v1/{track,page}`
pub fn pixel(kind: &str) -> Option<Door> {
    let kind = EventType::from_name(kind)
        .filter(|kind| matches!(kind, EventType::Track | EventType::Page))?;
    Some(Door::single(kind).pixel(of_query))
}

/// The event of a pixel's query: dotted names are nested, as in `properties.topic=…`; all values are texts.
pub fn of_query(pairs: &[Pair]) -> String {
    let mut event = Map::new();
    event.insert("channel".into(), "web".into());
    for (name, value) in pairs {
        if matches!(name.as_str(), "writeKey" | "wait") {
            continue;
        }
        // Some templates quote it.
        let value = match name.as_str() {
            "anonymousId" => value
                .strip_prefix('"')
                .and_then(|rest| rest.strip_suffix('"'))
                .unwrap_or(value),
            _ => value,
        };
        put_nested(&mut event, name, value);
    }
    Value::Object(event).to_string()
}

/// Of two that contradict each other (`a=1&a.b=2`) the last one counts, as everywhere.
fn put_nested(event: &mut Map<String, Value>, name: &str, value: &str) {
    let mut here = event;
    let mut rest = name;
    if name.split('.').count() <= NESTED_MAX {
        while let Some((first, after)) = rest.split_once('.') {
            let next = here.entry(first).or_insert(Value::Null);
            if !next.is_object() {
                *next = Value::Object(Map::new());
            }
            let Value::Object(inner) = next else { return };
            (here, rest) = (inner, after);
        }
    }
    here.insert(rest.to_owned(), value.into());
}
