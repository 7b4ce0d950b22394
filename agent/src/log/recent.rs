//! The last events, by which a retry is known before it is appended.
//!
//! Bounded and in memory: a retry that comes later is appended again, counted when the log is settled, and dropped by the
//! server. Never drops what it is not sure of: two events are one only when all their bytes are the same, less what a
//! transport may change, and only as long as the log holds the one that was first. What retention deleted may be lost on the
//! server too, when it is set back to a backup: its retry is an event like any other.

use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasher as _, Hasher as _},
};

use foldhash::quality::RandomState;
use trenza_shared::{
    event::{Captured, Event},
    id::{Epoch, Lane, Seq},
    store::{Direction, StoreError, View},
    wire::{
        Shape,
        entry::{Entry, Open, What},
    },
};

use super::Heads;
use crate::tables::{ChunkRow, LOG};

/// Events remembered.
pub const RECENT_MAX: usize = 65_536;
/// Most raw bytes read again at a start, all lanes together.
const RECALL_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Chunks read at one go. Few, since each may have the size of a frame.
const RECALL_PAGE_CHUNKS: usize = 16;

/// What an event is known by, in this process alone: two independent hashes of its bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fingerprint(u64, u64);

/// Makes fingerprints; clones make the same ones.
#[derive(Clone, Default)]
pub struct Fingerprints(RandomState, RandomState);

impl Fingerprints {
    /// Of an event as it will be stored.
    pub fn of(&self, event: &Captured) -> Fingerprint {
        let hash = |state: &RandomState| {
            let mut hasher = state.build_hasher();
            event.hash_content(&mut hasher);
            hasher.finish()
        };
        Fingerprint(hash(&self.0), hash(&self.1))
    }

    /// Of an entry of the log; none for what is no event.
    fn of_entry(&self, entry: &Entry) -> Option<Fingerprint> {
        let open = Open::from_bytes(&entry.open).ok()?;
        matches!(open.what, What::Event(_)).then_some(())?;
        let text = entry.text().ok()?;
        let event = Captured::quick(text, Default::default())
            .or_else(|| Event::stored(text.to_owned()).ok().map(Captured::from))?;
        Some(self.of(&event))
    }
}

/// Where an event stands in the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// Life of the log.
    pub epoch: Epoch,
    /// Which of its logs.
    pub lane: Lane,
    /// Its number.
    pub seq: Seq,
}

/// What is remembered of an event. Small, since there are many.
struct Known {
    seq: Seq,
    epoch: Epoch,
    lane: Lane,
    check: [u8; 3],
}

/// The fingerprints of the last [`RECENT_MAX`] events, and where these stand.
#[derive(Default)]
pub struct Recent {
    known: HashMap<u64, Known, foldhash::fast::FixedState>,
    order: VecDeque<u64>,
}

impl Recent {
    /// Where an event was appended; none for one that is not remembered.
    pub fn place(&self, Fingerprint(key, check): Fingerprint) -> Option<Place> {
        let known = self.known.get(&key)?;
        (known.check == part(check)).then_some(Place {
            epoch: known.epoch,
            lane: known.lane,
            seq: known.seq,
        })
    }

    /// Remembers an event, at its last place.
    pub fn add(&mut self, Fingerprint(key, check): Fingerprint, place: Place) {
        let Place { epoch, lane, seq } = place;
        let known = Known {
            seq,
            epoch,
            lane,
            check: part(check),
        };
        if self.known.insert(key, known).is_some() {
            return;
        }
        if self.order.len() == RECENT_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        self.order.push_back(key);
    }

    /// Reads the ends of all lanes again: what was appended last is known, whoever appended it.
    ///
    /// A chunk that cannot be read ends the look at its lane: its events would be known less, not wrongly.
    ///
    /// # Errors
    /// The store cannot be read at all.
    pub fn recall(
        view: &dyn View,
        heads: &Heads,
        fingerprints: &Fingerprints,
    ) -> Result<Self, StoreError> {
        let mut found = Vec::new();
        let lanes = heads.values().filter(|head| head.seq > 0).count().max(1);
        for ((epoch, lane), _) in heads.iter().filter(|(_, head)| head.seq > 0) {
            let (mut events, mut bytes, mut to) = (0, 0, (*epoch, *lane, u64::MAX));
            'lane: loop {
                let from = (*epoch, *lane, 0);
                let page = match LOG.scan(
                    view,
                    Some(&from),
                    Some(&to),
                    Direction::Back,
                    RECALL_PAGE_CHUNKS,
                ) {
                    Ok(page) => page,
                    Err(StoreError::Corrupt { .. }) => break,
                    Err(error) => return Err(error),
                };
                let full = page.len() == RECALL_PAGE_CHUNKS;
                for (key, ChunkRow(chunk)) in page {
                    let Ok(entries) = chunk.run.unpack() else {
                        break 'lane;
                    };
                    bytes += entries.iter().map(Entry::bytes).sum::<usize>();
                    events += entries.len();
                    let (epoch, lane, first) = key;
                    found.extend(entries.iter().enumerate().rev().filter_map(|(at, entry)| {
                        let seq = first.saturating_add(at as u64);
                        let place = Place { epoch, lane, seq };
                        Some((fingerprints.of_entry(entry)?, place))
                    }));
                    to = key;
                    if events >= RECENT_MAX / lanes || bytes >= RECALL_BYTES_MAX / lanes {
                        break 'lane;
                    }
                }
                if !full {
                    break;
                }
            }
        }
        let mut recent = Self::default();
        for (fingerprint, place) in found.into_iter().rev() {
            recent.add(fingerprint, place);
        }
        Ok(recent)
    }
}

/// As much of the second hash as is kept: 88 bits tell 65,536 events apart for good.
fn part(check: u64) -> [u8; 3] {
    let [.., a, b, c] = check.to_be_bytes();
    [a, b, c]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seq: Seq) -> Place {
        Place {
            epoch: 1,
            lane: Lane::Visits,
            seq,
        }
    }

    #[test]
    fn the_last_ones_are_known_and_older_ones_are_forgotten() {
        let mut recent = Recent::default();
        for n in 0..RECENT_MAX as u64 {
            recent.add(Fingerprint(n, n), at(n));
        }
        assert_eq!(recent.place(Fingerprint(0, 0)), Some(at(0)));
        recent.add(Fingerprint(u64::MAX, 1), at(7));
        assert_eq!(recent.place(Fingerprint(0, 0)), None, "the oldest goes");
        assert_eq!(recent.place(Fingerprint(1, 1)), Some(at(1)));
        recent.add(Fingerprint(1, 1), at(9));
        assert_eq!(recent.place(Fingerprint(1, 1)), Some(at(9)));
        assert_eq!(recent.order.len(), RECENT_MAX);
        assert_eq!(recent.known.len(), RECENT_MAX);
    }

    #[test]
    fn half_a_match_is_no_match() {
        let mut recent = Recent::default();
        recent.add(Fingerprint(1, 1), at(1));
        assert_eq!(recent.place(Fingerprint(1, 2)), None);
    }
}
