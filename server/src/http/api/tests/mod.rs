//! The API through the router, over a store in memory.

mod abuse;
mod access;
mod accounts;
mod decisions;
mod description;
mod feed;
mod fleet;
mod hostile;
mod inert;
mod live;
mod parted;
mod records;
mod replay;
mod retries;
mod review;
mod rules;
mod search;
mod senders;
mod why;

use serde_json::{Value, json};

use crate::testing::{CORE, WEB};

/// Story A's parts: by which key, and what.
pub fn investor() -> [(&'static str, Vec<Value>); 3] {
    let page = |n: u32| {
        json!({
            "type": "page", "anonymousId": "visitor-aaaa-0001", "messageId": format!("web-{n}"), "timestamp": format!("2026-03-0{n}T18:00:00Z"),
            "properties": {"title": "Renta fija", "topic": "renta fija"}, "context": {"trenza": {"channel": "web"}},
        })
    };
    let guide = json!({
        "type": "identify", "anonymousId": "visitor-aaaa-0001", "messageId": "web-4", "timestamp": "2026-03-03T18:05:00Z",
        "traits": {"email": "Ada@Example.org"}, "context": {"trenza": {"channel": "web"}},
    });
    let badge = json!({
        "type": "track", "event": "Badge Scanned", "messageId": "fair-1", "timestamp": "2026-03-10T17:00:00Z",
        "traits": {"badgeId": "B-7741", "email": "ada@example.org", "phone": "600 111 222"},
        "properties": {"topic": "fondos"}, "context": {"trenza": {"channel": "event", "touchpoint": "Stand B"}},
    });
    let account = json!({
        "type": "identify", "messageId": "core-1", "timestamp": "2026-02-01T09:00:00Z",
        "traits": {"nationalId": "12345678Z", "phone": "+34600111222", "accountId": "ES-0001", "firstName": "Ada", "lastName": "Byron", "balance": 10000},
    });
    [
        (WEB, vec![page(1), page(2), page(3), guide]),
        (WEB, vec![badge]),
        (CORE, vec![account]),
    ]
}
