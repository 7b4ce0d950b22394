//! What is kept of other agents' logs: frames as their origins signed them.
//!
//! Owns the carried tables and their limit. Never touches the device's own log, and makes room for it: what does not fit is refused,
//! and its origin keeps it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use trenza_shared::{
    id::{ChainHash, Seq},
    store::{Batch, Direction, Durable, Store, StoreError, clear_spaces},
    wire::{
        Shape,
        carried::{CARRIED_LANES_MAX, CarriedLane, Held, LaneName, Signed},
        entry::Entry,
        frame::chain_over,
        sync::LaneHave,
    },
};

use super::plan;
use crate::tables::{PEER_FRAMES, PEER_LANES, PeerFrameRow, PeerLaneRow};

/// Most frames looked at in one step of deleting. Few, since each may have the size of a frame.
const STEP_FRAMES_MAX: usize = 16;
/// Most steps of deleting at a time.
const STEPS_MAX: usize = 256;

/// What became of a frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Taken {
    /// It is kept now.
    Kept(LaneHave),
    /// It was already.
    Known(LaneHave),
    /// It contradicts what is kept: two copies of its origin run. The first one stays.
    Fork(LaneHave),
}

/// Why a frame was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CarryError {
    /// No room beside what the device captures itself.
    #[error(
        "what is carried for others may have {bytes_max} bytes at most, and no more lanes than {CARRIED_LANES_MAX}"
    )]
    Full {
        /// The limit.
        bytes_max: u64,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// One lane that is carried.
#[derive(Clone, Debug)]
struct Lane {
    row: PeerLaneRow,
    /// What the server said of it; none before it was asked.
    have: Option<LaneHave>,
    refused: bool,
}

impl Lane {
    fn have(&self, name: &LaneName) -> LaneHave {
        LaneHave {
            acked: self.row.last,
            hash: self.row.head,
            ..LaneHave::nothing(name.epoch, name.lane)
        }
    }
}

/// The carried frames.
pub struct Carried {
    store: Arc<dyn Store>,
    bytes_max: u64,
    lanes: Mutex<BTreeMap<LaneName, Lane>>,
}

impl Carried {
    /// Opens what is kept in `store`; at most `bytes_max` bytes are.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn open(store: Arc<dyn Store>, bytes_max: u64) -> Result<Self, StoreError> {
        let lanes = PEER_LANES.rows(&*store).map(|row| {
            row.map(|((agent, epoch, lane), row)| {
                let name = LaneName { agent, epoch, lane };
                let lane = Lane {
                    row,
                    have: None,
                    refused: false,
                };
                (name, lane)
            })
        });
        let lanes = Mutex::new(lanes.collect::<Result<_, _>>()?);
        Ok(Self {
            store,
            bytes_max,
            lanes,
        })
    }

    fn lanes(&self) -> MutexGuard<'_, BTreeMap<LaneName, Lane>> {
        // A panic elsewhere cannot leave a half-made lane here: each is replaced whole, after its commit.
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes kept.
    pub fn bytes(&self) -> u64 {
        self.lanes().values().map(|lane| lane.row.bytes).sum()
    }

    /// What is kept, for a neighbour to ask for.
    pub fn held(&self) -> Vec<Held> {
        let lanes = self.lanes();
        let held = lanes.iter().map(|(name, lane)| Held {
            name: *name,
            first: lane.row.first,
            last: lane.row.last,
            head: lane.row.head,
        });
        held.collect()
    }

    /// Entries of each lane that the server does not have, as far as it was asked.
    pub fn waiting(&self) -> Vec<(LaneName, u64)> {
        let lanes = self.lanes();
        let waiting = lanes.iter().map(|(name, lane)| {
            let runs = match &lane.have {
                Some(have) => have.missing(lane.row.first, lane.row.last),
                None => vec![lane.row.first..=lane.row.last],
            };
            let entries = runs.iter().map(|run| run.end() - run.start() + 1).sum();
            (*name, if lane.refused { 0 } else { entries })
        });
        waiting.collect()
    }

    /// What the server has of a lane; none before it was asked, and of what it refuses.
    pub fn on_server(&self, name: &LaneName) -> Option<LaneHave> {
        let lanes = self.lanes();
        lanes
            .get(name)
            .filter(|lane| !lane.refused)
            .and_then(|lane| lane.have.clone())
    }

    /// The server said what it has.
    pub fn heard_of_server(&self, said: &CarriedLane) {
        let name = LaneName {
            agent: said.agent,
            epoch: said.have.epoch,
            lane: said.have.lane,
        };
        if let Some(lane) = self.lanes().get_mut(&name) {
            lane.have = Some(said.have.clone());
            lane.refused = said.refused;
        }
    }

    /// The server will never take this lane, or not as it is.
    pub fn refuse(&self, name: &LaneName) {
        if let Some(lane) = self.lanes().get_mut(name) {
            lane.refused = true;
        }
    }

    /// Keeps a frame whose signature and chain were checked; `entries` are its own. Survives the end of the process, and a
    /// power loss as far as something was synced later: its origin keeps it until the server has it.
    ///
    /// # Errors
    /// [`CarryError`]; nothing has changed then.
    pub fn take(
        &self,
        signed: &Signed,
        entries: &[Entry],
        now_ms: i64,
    ) -> Result<Taken, CarryError> {
        let (name, frame) = (signed.lane(), &signed.frame);
        let mut lanes = self.lanes();
        let kept = lanes.get(&name);
        if let Some(kept) = kept {
            if frame.last() <= kept.row.last {
                return Ok(Taken::Known(kept.have(&name)));
            }
            if !follows(kept.row.last, kept.row.head, signed, entries) {
                return Ok(Taken::Fork(kept.have(&name)));
            }
        }
        let size = signed.to_bytes().len() as u64;
        let held: u64 = lanes.values().map(|lane| lane.row.bytes).sum();
        let new_lane = kept.is_none() && lanes.len() >= CARRIED_LANES_MAX;
        if new_lane || held.saturating_add(size) > self.bytes_max {
            return Err(CarryError::Full {
                bytes_max: self.bytes_max,
            });
        }
        let key = (name.agent, name.epoch, name.lane, frame.first);
        // A longer frame from the same number on takes the place of a shorter one.
        let replaced = match kept {
            Some(kept) if frame.first <= kept.row.last => PEER_FRAMES
                .get(&*self.store, &key)?
                .map_or(0, |row| row.signed.to_bytes().len() as u64),
            _ => 0,
        };
        let before = kept.map_or(0, |kept| kept.row.bytes);
        let row = PeerLaneRow {
            first: kept.map_or(frame.first, |kept| kept.row.first.min(frame.first)),
            last: frame.last(),
            head: frame.head,
            bytes: before.saturating_sub(replaced).saturating_add(size),
        };
        let mut batch = Batch::new();
        let frame_row = PeerFrameRow {
            signed: signed.clone(),
            taken_ms: now_ms,
        };
        PEER_FRAMES.put(&mut batch, &key, &frame_row)?;
        PEER_LANES.put(&mut batch, &(name.agent, name.epoch, name.lane), &row)?;
        self.store.commit(batch, Durable::Later)?;
        let lane = Lane {
            row,
            have: kept.and_then(|kept| kept.have.clone()),
            refused: kept.is_some_and(|kept| kept.refused),
        };
        let have = lane.have(&name);
        lanes.insert(name, lane);
        Ok(Taken::Kept(have))
    }

    /// The kept frame that holds what comes after a number.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn next(&self, name: &LaneName, after: Seq) -> Result<Option<Signed>, StoreError> {
        let row = next_row(&*self.store, name, after)?;
        Ok(row.map(|row| row.signed))
    }

    /// Deletes what the server has, or will never take, and was taken before `before_ms`; a bounded part of it. The last frame
    /// of a lane stays, so that it is not fetched again; of a refused one nothing does. Gives how many frames went.
    ///
    /// # Errors
    /// The store cannot be read or written; what was to be deleted is still there.
    pub fn tidy(&self, before_ms: i64) -> Result<usize, StoreError> {
        let names: Vec<LaneName> = self.lanes().keys().copied().collect();
        let (mut steps, mut gone) = (0, 0);
        for name in names {
            while steps < STEPS_MAX {
                steps += 1;
                match self.tidy_lane(&name, before_ms)? {
                    0 => break,
                    count => gone += count,
                }
            }
        }
        Ok(gone)
    }

    /// Deletes everything; gives how many lanes there were.
    ///
    /// # Errors
    /// The store cannot be written; everything is still there.
    pub fn clear(&self) -> Result<usize, StoreError> {
        let mut lanes = self.lanes();
        if lanes.is_empty() {
            return Ok(0);
        }
        clear_spaces(&*self.store, &[PEER_FRAMES.space(), PEER_LANES.space()])?;
        let gone = lanes.len();
        lanes.clear();
        Ok(gone)
    }

    /// One step; gives how many frames went.
    fn tidy_lane(&self, name: &LaneName, before_ms: i64) -> Result<usize, StoreError> {
        let mut lanes = self.lanes();
        let Some(lane) = lanes.get(name).cloned() else {
            return Ok(0);
        };
        let key = (name.agent, name.epoch, name.lane);
        let rows =
            PEER_FRAMES.scan_prefix(&*self.store, &key, Direction::Forward, STEP_FRAMES_MAX + 1)?;
        let all = rows.len() <= STEP_FRAMES_MAX;
        let most = if all && !lane.refused {
            rows.len().saturating_sub(1)
        } else {
            rows.len().min(STEP_FRAMES_MAX)
        };
        let goes = |row: &PeerFrameRow| {
            let (first, last) = (row.signed.frame.first, row.signed.frame.last());
            let (have, refused) = (lane.have.as_ref(), lane.refused);
            plan::may_go(have, refused, first, last, row.taken_ms, before_ms)
        };
        let count = rows
            .iter()
            .take(most)
            .take_while(|(_, row)| goes(row))
            .count();
        if count == 0 {
            return Ok(0);
        }
        let mut batch = Batch::new();
        let mut next = lane.clone();
        for (key, row) in &rows[..count] {
            PEER_FRAMES.delete(&mut batch, key);
            let size = row.signed.to_bytes().len() as u64;
            next.row.bytes = next.row.bytes.saturating_sub(size);
        }
        let rest = rows.get(count);
        match rest {
            Some((_, row)) => {
                next.row.first = row.signed.frame.first;
                PEER_LANES.put(&mut batch, &key, &next.row)?;
            }
            None => PEER_LANES.delete(&mut batch, &key),
        }
        self.store.commit(batch, Durable::Later)?;
        match rest {
            Some(_) => lanes.insert(*name, next),
            None => lanes.remove(name),
        };
        Ok(count)
    }
}

/// The frame leads on from what is kept. What lies before it and was never kept is no contradiction: its origin has deleted it.
fn follows(last: Seq, head: ChainHash, signed: &Signed, entries: &[Entry]) -> bool {
    let frame = &signed.frame;
    if frame.first > last.saturating_add(1) {
        return true;
    }
    let shared = usize::try_from(last + 1 - frame.first).unwrap_or(usize::MAX);
    let known = &entries[..shared.min(entries.len())];
    chain_over(frame.previous, &frame.salt_key, frame.first, known) == head
}

/// The row that holds what comes after a number: the one that spans it, else the first behind it.
pub(crate) fn next_row(
    view: &(impl trenza_shared::store::View + ?Sized),
    name: &LaneName,
    after: Seq,
) -> Result<Option<PeerFrameRow>, StoreError> {
    let prefix = (name.agent, name.epoch, name.lane);
    let at = |seq| (name.agent, name.epoch, name.lane, seq);
    let wanted = after.saturating_add(1);
    let spans = PEER_FRAMES.scan(
        view,
        Some(&at(0)),
        Some(&at(wanted.saturating_add(1))),
        Direction::Back,
        1,
    )?;
    let spans = spans.into_iter().next().map(|(_, row)| row);
    if let Some(row) = spans.filter(|row| row.signed.frame.last() > after) {
        return Ok(Some(row));
    }
    let mut behind = PEER_FRAMES.scan_prefix_from(view, &prefix, &at(wanted), 1)?;
    Ok(behind.pop().map(|(_, row)| row))
}
