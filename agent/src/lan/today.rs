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
    id::{AgentId, Lane, Seq},
    skew::Fact,
    store::{StoreError, View},
    wire::{
        Shape,
        carried::{Held, LaneName},
        entry::{Entry, Open, What},
    },
};

use super::{carried::next_row, clocks::Measured};
use crate::merge;

/// Most entries of a day that are told apart; what comes beyond counts without a look whether it was there in an earlier life of
/// its log.
const TOLD_APART_MAX: usize = 500_000;

/// Boots of which it is remembered how they were dated.
const BOOTS_MAX: usize = 4_096;
/// What is heard of a boot again and again differs by the way that it took. Unit: ms.
const JITTER_MS: u64 = 2_000;

/// When a boot of an agent began, as far as is known. Unit: ms since 1970.
pub type Boots = BTreeMap<(AgentId, u64), i64>;

/// The fold of the day that is on.
pub struct VenueToday {
    zone: TimeZone,
    held: Mutex<Folded>,
}

#[derive(Default)]
struct Folded {
    day: Day,
    /// What the server measured of others' clocks, and where to go on reading that: it outlives the day.
    measured: Measured,
    measured_next: BTreeMap<LaneName, Seq>,
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
    /// By when a boot began its entries were dated; none: by the wall clock of their device.
    dated: BTreeMap<(AgentId, u64), Option<i64>>,
}

impl VenueToday {
    /// Nothing read yet.
    pub fn new(zone: TimeZone) -> Self {
        Self {
            zone,
            held: Mutex::default(),
        }
    }

    /// Visits that the staff of each other agent registered today; `keys` are their kiosks' write keys, `boots` what was heard of
    /// their clocks. Reads the disk.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn visits(
        &self,
        view: &dyn View,
        held: &[Held],
        keys: &BTreeMap<AgentId, String>,
        boots: &Boots,
        now_ms: i64,
    ) -> Result<BTreeMap<AgentId, u64>, StoreError> {
        let mut folded = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let Folded {
            day,
            measured,
            measured_next,
        } = &mut *folded;
        for lane in held.iter().filter(|lane| lane.name.lane == Lane::Clock) {
            let next = measured_next.entry(lane.name).or_insert(lane.first);
            *next = read(view, lane, *next, |entry| {
                if let Ok(open) = Open::from_bytes(&entry.open)
                    && let Some((boot, fact)) = fact(&open)
                {
                    measured.join(lane.name.agent, boot, fact);
                }
            })?;
        }
        let began = |agent, boot| {
            let heard = || boots.get(&(agent, boot)).copied();
            measured.began_ms(agent, boot).or_else(heard)
        };
        if !(day.from_ms..day.until_ms).contains(&now_ms) || !day.is_dated_as(began) {
            let (from_ms, until_ms) = merge::day_around(now_ms, &self.zone);
            *day = Day {
                from_ms,
                until_ms,
                ..Day::default()
            };
        }
        for lane in held.iter().filter(|lane| lane.name.lane.has_events()) {
            let next = day.next.get(&lane.name).copied().unwrap_or(lane.first);
            let next = read(view, lane, next, |entry| {
                day.add(lane.name.agent, entry, began);
            })?;
            day.next.insert(lane.name, next);
        }
        let visits = keys.iter().map(|(agent, key)| {
            let actions = day.actions.get(agent);
            let visits = actions.and_then(|by_key| by_key.get(key));
            (*agent, visits.copied().unwrap_or(0))
        });
        Ok(visits.collect())
    }
}

/// Gives the entries of a carried lane from `next` on; from where to go on.
fn read(
    view: &dyn View,
    lane: &Held,
    mut next: Seq,
    mut each: impl FnMut(&Entry),
) -> Result<Seq, StoreError> {
    while next <= lane.last {
        let Some(row) = next_row(view, &lane.name, next.saturating_sub(1))? else {
            break;
        };
        let frame = row.signed.frame;
        // Checked when it was taken; what was damaged on the disk since counts nothing.
        let entries = frame.run.unpack().unwrap_or_default();
        let new = (frame.first..)
            .zip(&entries)
            .filter(|(seq, _)| *seq >= next);
        new.for_each(|(_, entry)| each(entry));
        next = frame.last().saturating_add(1);
    }
    Ok(next)
}

/// What the server measured of a boot, if an entry says that.
fn fact(open: &Open) -> Option<(u64, Fact)> {
    let What::Clock {
        server_ms,
        round_trip_ms,
    } = open.what
    else {
        return None;
    };
    let fact = Fact {
        round_trip_ms,
        boottime_ms: open.boottime_ms,
        server_ms,
    };
    Some((open.boot, fact))
}

impl Day {
    /// Whether every boot is still known as it was when its entries were dated.
    fn is_dated_as(&self, began: impl Fn(AgentId, u64) -> Option<i64>) -> bool {
        self.dated.iter().all(|((agent, boot), dated)| {
            match (dated, began(*agent, *boot)) {
                (Some(one), Some(other)) => one.abs_diff(other) <= JITTER_MS,
                (None, other) => other.is_none(),
                // What was heard of it is forgotten; it was right.
                (Some(_), None) => true,
            }
        })
    }

    fn add(&mut self, agent: AgentId, entry: &Entry, began: impl Fn(AgentId, u64) -> Option<i64>) {
        let Ok(open) = Open::from_bytes(&entry.open) else {
            return;
        };
        if open.what != What::Event(EventType::Track) {
            return;
        }
        let key = (agent, open.boot);
        let dated = match self.dated.get(&key) {
            Some(dated) => *dated,
            None => {
                let dated = began(agent, open.boot);
                if self.dated.len() < BOOTS_MAX {
                    self.dated.insert(key, dated);
                }
                dated
            }
        };
        let ran = i64::try_from(open.boottime_ms).unwrap_or(i64::MAX);
        let taken_ms = dated.map_or(open.captured_ms, |began| began.saturating_add(ran));
        if !(self.from_ms..self.until_ms).contains(&taken_ms) {
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
