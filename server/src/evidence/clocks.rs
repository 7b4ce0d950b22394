//! When an entry was really taken in, and how that is known.
//!
//! Owns the reading of agents' measurements; how they correct a time is decided in the shared core.

use std::collections::{BTreeMap, btree_map::Entry};

use serde::Serialize;
use trenza_shared::{
    clock::parse_time_ms,
    event::Event,
    id::AgentId,
    skew::{Corrected, Correction, is_of_the_device},
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
        let mut first: Option<((bool, i64, i64), Timing)> = None;
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
            };
            let unsure = timing.source == TimeSource::Device;
            let rank = (unsure, timing.captured_ms, timing.wall_ms);
            if first.is_none_or(|(least, _)| rank < least) {
                first = Some((rank, timing));
            }
        }
        let mut timing = first.map_or(
            Timing {
                source: TimeSource::Server,
                confidence_ms: None,
                captured_ms: row.at_ms,
                wall_ms: row.at_ms,
            },
            |(_, timing)| timing,
        );
        if let Some(said) = event.client_time().and_then(parse_time_ms)
            && !is_of_the_device(said, timing.wall_ms, timing.captured_ms)
        {
            (timing.source, timing.confidence_ms) = (TimeSource::Client, None);
        }
        Ok(timing)
    }
}
