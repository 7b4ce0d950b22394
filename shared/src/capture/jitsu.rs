//! Jitsu: the Segment family's bodies at paths of its own.
//!
//! Owns which types its paths have, and its script for HTML. Its browser SDK neither waits nor tries again: what it cannot deliver at once is lost there.

use bytes::Bytes;

use super::{snippet::Script, surface::Door};
use crate::event::EventType;

/// `dist/web/p.js.txt` of `@jitsu/js` (MIT, its licence stands beside it). It sends to the host that it came from.
const PACKAGE: &[u8] = include_bytes!("vendored/jitsu-1.11.0.js");

/// `POST /api/s/{type}` and `/api/s/s2s/{type}`
pub fn door(kind: &str) -> Option<Door> {
    match kind {
        "batch" => Some(Door::batch()),
        kind => EventType::from_name(kind).map(Door::single),
    }
}

/// `GET /p.js`
pub fn script() -> Script {
    Script::new(Bytes::from_static(PACKAGE))
}
