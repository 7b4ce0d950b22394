//! What the venue's other agents took in today: counts, without anything of a person.
//!
//! Owns a view: thrown away and read again at every start. A commutative sum over the set of entries, each of which counts once,
//! by whatever way and in whatever order it came.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
};

use jiff::tz::TimeZone;
use trenza_shared::{
    event::EventType,
    id::{AgentId, Seq},
    store::{StoreError, View},
    wire::{
        Shape,
        carried::{Held, LaneName},
        entry::{Entry, Open, What},
    },
};

use super::carried::next_row;
use crate::merge;

/// Most entries of a day that are told apart; what comes beyond counts without a look whether it was there in an earlier life of
/// its log.
const TOLD_APART_MAX: usize = 500_000;

/// The fold of the day that is on.
pub struct VenueToday {
    zone: TimeZone,
    day: Mutex<Day>,
}

#[derive(Default)]
struct Day {
    from_ms: i64,
    until_ms: i64,
    next: BTreeMap<LaneName, Seq>,
    /// Of each agent, actions by write key.
    actions: BTreeMap<AgentId, BTreeMap<String, u64>>,
    /// An agent that goes on in a new epoch may append again what it held.
    seen: BTreeSet<[u8; 16]>,
}

impl VenueToday {
    /// Nothing read yet.
    pub fn new(zone: TimeZone) -> Self {
        Self {
            zone,
            day: Mutex::default(),
        }
    }

    /// Visits that the staff of each other agent registered today; `keys` are their kiosks' write keys. Reads the disk.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn visits(
        &self,
        view: &dyn View,
        held: &[Held],
        keys: &BTreeMap<AgentId, String>,
        now_ms: i64,
    ) -> Result<BTreeMap<AgentId, u64>, StoreError> {
        let mut day = self.day.lock().unwrap_or_else(PoisonError::into_inner);
        if now_ms < day.from_ms || now_ms >= day.until_ms {
            let (from_ms, until_ms) = merge::day_around(now_ms, &self.zone);
            *day = Day {
                from_ms,
                until_ms,
                ..Day::default()
            };
        }
        for lane in held {
            let mut next = day.next.get(&lane.name).copied().unwrap_or(lane.first);
            while next <= lane.last {
                let Some(row) = next_row(view, &lane.name, next.saturating_sub(1))? else {
                    break;
                };
                let frame = row.signed.frame;
                // Checked when it was taken; what was damaged on the disk since counts nothing.
                let entries = frame.run.unpack().unwrap_or_default();
                for (seq, entry) in (frame.first..).zip(&entries) {
                    if seq >= next {
                        day.add(lane.name.agent, entry);
                    }
                }
                next = frame.last().saturating_add(1);
            }
            day.next.insert(lane.name, next);
        }
        let visits = keys.iter().map(|(agent, key)| {
            let actions = day.actions.get(agent);
            (
                *agent,
                actions
                    .and_then(|by_key| by_key.get(key))
                    .copied()
                    .unwrap_or(0),
            )
        });
        Ok(visits.collect())
    }
}

impl Day {
    fn add(&mut self, agent: AgentId, entry: &Entry) {
        let Ok(open) = Open::from_bytes(&entry.open) else {
            return;
        };
        let today = (self.from_ms..self.until_ms).contains(&open.captured_ms);
        if !today || open.what != What::Event(EventType::Track) {
            return;
        }
        if self.seen.len() < TOLD_APART_MAX {
            let mut hasher = blake3::Hasher::new();
            hasher.update(agent.as_bytes()).update(&entry.personal);
            let mut short = [0; 16];
            short.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
            if !self.seen.insert(short) {
                return;
            }
        }
        let by_key = self.actions.entry(agent).or_default();
        *by_key.entry(open.key).or_default() += 1;
    }
}
