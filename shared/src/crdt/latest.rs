//! A value of which the latest statement counts, and nothing else is kept.
//!
//! Owns no order of its own: that of [`Marker`]. Never asks which statement came first to this machine.

use serde::{Deserialize, Serialize};

use super::{Join, Marker};

/// A statement with its marker.
///
/// **Laws.** Of two the one with the greater marker stays. Two statements of one event by one source are one statement, so markers that are
/// equal stand beside equal values.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Latest<T> {
    /// What was said.
    pub value: T,
    /// By what it beats another.
    pub marker: Marker,
}

impl<T> Latest<T> {
    /// A statement.
    pub const fn new(value: T, marker: Marker) -> Self {
        Self { value, marker }
    }
}

impl<T: Clone> Join for Latest<T> {
    fn join(&mut self, other: &Self) {
        if other.marker > self.marker {
            *self = other.clone();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{crdt::laws, id::EventId};

    /// The value is a function of the event, as it is in the log.
    fn latest() -> impl Strategy<Value = Latest<u8>> {
        (0u8..3, 0i64..3, 0u8..4, "[ab]").prop_map(|(priority, at_ms, event, source)| {
            let marker = Marker {
                priority,
                at_ms,
                event: EventId([event; 32]),
                source,
            };
            Latest::new(event, marker)
        })
    }

    proptest! {
        #[test]
        fn the_laws_hold(a in latest(), b in latest(), c in latest()) {
            laws::hold(&a, &b, &c)?;
        }
    }
}
