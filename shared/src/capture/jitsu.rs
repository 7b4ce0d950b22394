//! Jitsu: the Segment family's bodies at paths of its own.
//!
//! Owns which types its paths have. Its browser SDK neither waits nor tries again: what it cannot deliver at once is lost there.

use super::surface::Door;
use crate::event::EventType;

/// `POST /api/s/{type}` and `/api/s/s2s/{type}`
pub fn door(kind: &str) -> Option<Door> {
    match kind {
        "batch" => Some(Door::batch()),
        kind => EventType::from_name(kind).map(Door::single),
    }
}
