//! The first and the last moment of something.
//!
//! Owns the order of moments: event time, then event id, so that two events of one millisecond have an order everywhere.

use super::Join;
use crate::id::EventId;

/// When an event happened, and which.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Moment {
    /// Event time. Unit: ms since 1970.
    pub at_ms: i64,
    /// The event.
    pub event: EventId,
}

/// From the first to the last moment seen; empty before any.
///
/// **Laws.** Least and greatest by a total order.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Span {
    ends: Option<(Moment, Moment)>,
}

impl Span {
    /// From `first` to `last`; none when they are the wrong way round.
    #[must_use]
    pub fn between(first: Moment, last: Moment) -> Option<Self> {
        (first <= last).then_some(Self {
            ends: Some((first, last)),
        })
    }

    /// Something happened at `moment`.
    pub fn see(&mut self, moment: Moment) {
        self.ends = Some(match self.ends {
            None => (moment, moment),
            Some((first, last)) => (first.min(moment), last.max(moment)),
        });
    }

    /// The earliest moment.
    #[must_use]
    pub fn first(&self) -> Option<Moment> {
        self.ends.map(|(first, _)| first)
    }

    /// The latest moment.
    #[must_use]
    pub fn last(&self) -> Option<Moment> {
        self.ends.map(|(_, last)| last)
    }
}

impl Join for Span {
    fn join(&mut self, other: &Self) {
        if let Some((first, last)) = other.ends {
            self.see(first);
            self.see(last);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::crdt::laws;

    fn span(moments: &[(i64, u8)]) -> Span {
        let mut span = Span::default();
        for (at_ms, event) in moments {
            span.see(Moment {
                at_ms: *at_ms,
                event: EventId([*event; 32]),
            });
        }
        span
    }

    proptest! {
        #[test]
        fn the_laws_hold(a in prop::collection::vec((0i64..4, 0u8..4), 0..6), b in prop::collection::vec((0i64..4, 0u8..4), 0..6), c in prop::collection::vec((0i64..4, 0u8..4), 0..6)) {
            laws::hold(&span(&a), &span(&b), &span(&c))?;
            let mut all = a.clone();
            all.extend(&b);
            let mut joined = span(&b);
            joined.join(&span(&a));
            prop_assert_eq!(joined, span(&all));
        }
    }
}
