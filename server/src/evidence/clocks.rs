//! When an entry was really taken in, and how that is known.
//!
//! Owns the reading of agents' measurements; how they correct a time is decided in the shared core.

use std::collections::{BTreeMap, btree_map::Entry};

use serde::Serialize;
use trenza_shared::{
    clock::parse_time_ms,
    event::{Event, at},
    id::AgentId,
    skew::{Corrected, Correction, SENT_LAG_MS_MIN, is_of_the_device},
    store::{StoreError, View},
};

use crate::tables::{CLOCKS, EventRow, OriginRow};

/// Corrections as read, each once. Whoever changes a measurement tells it.
#[derive(Default)]
pub struct Clocks(BTreeMap<(AgentId, u64), Correction>);

/// Whose clock told the time of an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TimeSource {
    /// The client's own, and nothing speaks against it.
    Client,
    /// An agent's, corrected by what it measured.
    Corrected,
    /// The server's.
    Server,
    /// An agent's that was never measured in that boot: nobody knows how wrong it is.
    Device,
}

/// How the time of an event is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timing {
    /// Whose clock told it.
    pub source: TimeSource,
    /// For a corrected time: greatest error that is to be expected. Unit: ms.
    pub confidence_ms: Option<u64>,
    /// When it was first taken in, corrected where that is possible. Unit: ms since 1970.
    pub captured_ms: i64,
    /// The same as the collector's clock said. Unit: ms since 1970.
    pub wall_ms: i64,
    /// For a client's own time: what it probably was, where its `sentAt` says that its clock was wrong.
    pub probably: Option<Probably>,
}

/// A client's time, corrected for display by what its `sentAt` says of its clock. Nothing is derived of it: it takes the way of the
/// request for short, and the path by which an event came may change no derived value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Probably {
    /// Unit: ms since 1970.
    pub at_ms: i64,
    /// By how much the client's clock was behind. Unit: ms.
    pub behind_ms: i64,
    /// What the way of the request may have taken, and what the collector's own clock may be wrong by. Unit: ms.
    pub confidence_ms: u64,
}

impl Clocks {
    /// When an agent took something in; none for the server itself and in a boot without measurements.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn corrected(
        &mut self,
        view: &(impl View + ?Sized),
        row: &OriginRow,
    ) -> Result<Option<Corrected>, StoreError> {
        let (Some(agent), 1..) = (row.agent, row.boot) else {
            return Ok(None);
        };
        let key = (agent, row.boot);
        let known = match self.0.entry(key) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                let facts = CLOCKS.get(view, &key)?.unwrap_or_default().0;
                place.insert(facts.correction())
            }
        };
        Ok(known.at(row.boottime_ms))
    }

    /// Measurements of a boot changed.
    pub fn changed(&mut self, agent: AgentId, boot: u64, to: Correction) {
        self.0.insert((agent, boot), to);
    }

    /// How the time of a stored event is known. Says of the same taking-in as [`trenza_shared::evidence::observe`].
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn timing(
        &mut self,
        view: &(impl View + ?Sized),
        event: &Event,
        row: &EventRow,
    ) -> Result<Timing, StoreError> {
        let mut first: Option<((bool, i64, i64), Timing, i64)> = None;
        for origin in &row.origins {
            let corrected = self.corrected(view, origin)?;
            let timing = Timing {
                source: match (corrected, origin.agent) {
                    (Some(_), _) => TimeSource::Corrected,
                    (None, Some(_)) => TimeSource::Device,
                    (None, None) => TimeSource::Server,
                },
                confidence_ms: corrected.map(|corrected| corrected.confidence_ms),
                captured_ms: corrected.map_or(origin.captured_ms, |corrected| corrected.at_ms),
                wall_ms: origin.captured_ms,
                probably: None,
            };
            let unsure = timing.source == TimeSource::Device;
            let rank = (unsure, timing.captured_ms, timing.wall_ms);
            if first.is_none_or(|(least, ..)| rank < least) {
                first = Some((rank, timing, origin.sent_lag_ms));
            }
        }
        let nothing = Timing {
            source: TimeSource::Server,
            confidence_ms: None,
            captured_ms: row.at_ms,
            wall_ms: row.at_ms,
            probably: None,
        };
        let (mut timing, lag_ms) =
            first.map_or((nothing, 0), |(_, timing, lag_ms)| (timing, lag_ms));
        if let Some(said) = event.client_time().and_then(parse_time_ms)
            && !is_of_the_device(said, timing.wall_ms, timing.captured_ms)
        {
            timing.probably = probably(said, lag_ms, &timing)
                .filter(|_| !ignores_sent_at(event) && timing.source != TimeSource::Device);
            (timing.source, timing.confidence_ms) = (TimeSource::Client, None);
        }
        Ok(timing)
    }
}

/// What a client's time probably was: its own clock's lag is told by its `sentAt` against the clock of the first collector, and that
/// one's by what it measured. `timing` is of the collector.
fn probably(said_ms: i64, lag_ms: i64, timing: &Timing) -> Option<Probably> {
    if lag_ms == 0 {
        return None;
    }
    let behind_ms = lag_ms.saturating_add(timing.captured_ms.saturating_sub(timing.wall_ms));
    let confidence_ms = SENT_LAG_MS_MIN.saturating_add(timing.confidence_ms.unwrap_or(0));
    (behind_ms.unsigned_abs() >= SENT_LAG_MS_MIN).then(|| Probably {
        at_ms: said_ms.saturating_add(behind_ms),
        behind_ms,
        confidence_ms,
    })
}

/// A client that says when something happened on purpose, as a server does that sends what it kept.
fn ignores_sent_at(event: &Event) -> bool {
    at(&event.body, &["context", "ignoreSentAt"]) == Some(&serde_json::Value::Bool(true))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use trenza_shared::skew::sent_lag_ms;

    use super::*;

    fn collector(wrong_by_ms: i64) -> Timing {
        Timing {
            source: TimeSource::Server,
            confidence_ms: None,
            captured_ms: 1_000_000_000_000,
            wall_ms: 1_000_000_000_000 - wrong_by_ms,
            probably: None,
        }
    }

    proptest! {
        #[test]
        fn a_wrong_clock_that_says_when_it_sent_is_corrected_whatever_it_says(
            wrong_ms in -400_000_000_000i64..400_000_000_000,
            collector_wrong_ms in -400_000_000i64..400_000_000,
            waited_ms in 0i64..400_000_000,
        ) {
            let timing = collector(collector_wrong_ms);
            let happened = timing.captured_ms - waited_ms;
            let (said, sent) = (happened - wrong_ms, timing.captured_ms - wrong_ms);
            let lag = sent_lag_ms(Some(sent), timing.wall_ms);
            match probably(said, lag, &timing) {
                Some(probably) => {
                    prop_assert_eq!(probably.at_ms, happened);
                    prop_assert_eq!(probably.behind_ms, wrong_ms);
                }
                // Right within what a request may take, or both clocks are wrong alike.
                None => prop_assert!(wrong_ms.unsigned_abs() < SENT_LAG_MS_MIN || lag == 0),
            }
        }

        #[test]
        fn no_time_that_a_client_can_say_breaks_it(said: i64, sent: i64, received: i64) {
            let _either = probably(said, sent_lag_ms(Some(sent), received), &collector(0));
        }
    }
}
