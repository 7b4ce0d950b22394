//! Deleting what the server archived: after its retention, or earlier where room is short.

use trenza_shared::{
    id::{Epoch, Lane, Seq},
    store::{Store, StoreError},
};

use crate::{
    link,
    log::{self, Heads, marks},
    tables::{STATE, ServerRow},
};

/// Most steps of deleting at a time.
const PRUNE_STEPS_MAX: usize = 256;

/// Deletes what the server archived longer ago than it is to be kept, a bounded part of it.
///
/// # Errors
/// The store cannot be read or written; what was to be deleted is still there.
pub(crate) fn aged(
    store: &dyn Store,
    told: &ServerRow,
    heads: &Heads,
    now_ms: i64,
    retention_ms: i64,
) -> Result<u64, StoreError> {
    let left = left(store, told)?;
    let ends = heads.iter().map(|(lane, head)| (*lane, head.seq));
    let ends = ends.chain(left.iter().map(|(lane, _)| (*lane, Seq::MAX)));
    let old = marks::mark(store, ends.collect(), now_ms, retention_ms)?;
    let until = archived(told).chain(left).map(|(lane, until)| {
        let old = old.get(&lane).copied().unwrap_or(0);
        (lane, until.min(old))
    });
    delete(store, until, u64::MAX)
}

/// Deletes what the server archived, however short ago, up to about so many bytes.
///
/// # Errors
/// The store cannot be read or written; what was to be deleted is still there.
pub(crate) fn early(
    store: &dyn Store,
    told: &ServerRow,
    bytes_max: u64,
) -> Result<u64, StoreError> {
    let left = left(store, told)?;
    delete(store, archived(told).chain(left), bytes_max)
}

type LaneOf = (Epoch, Lane);

/// Up to where the server has each lane.
fn archived(told: &ServerRow) -> impl Iterator<Item = (LaneOf, Seq)> {
    let lanes = told.lanes.iter();
    lanes.map(|have| ((have.epoch, have.lane), have.archived))
}

/// Up to where each lane that was left may go: what follows its branch was appended again; what precedes it may still be asked for.
fn left(store: &dyn Store, told: &ServerRow) -> Result<Vec<(LaneOf, Seq)>, StoreError> {
    let state = STATE.get(store, &())?.unwrap_or_default();
    let left = state.left.iter().map(|(epoch, lane)| {
        let mut branches = state.lineage.iter();
        let branch = branches.find(|one| (one.from, one.lane) == (*epoch, *lane));
        let archived = link::have(&told.lanes, *epoch, *lane).archived;
        let until = match branch {
            Some(branch) if archived < branch.after => archived,
            _ => Seq::MAX,
        };
        ((*epoch, *lane), until)
    });
    Ok(left.collect())
}

/// Gives how much went. Unit: bytes.
fn delete(
    store: &dyn Store,
    lanes: impl Iterator<Item = (LaneOf, Seq)>,
    bytes_max: u64,
) -> Result<u64, StoreError> {
    let (mut steps, mut deleted) = (0, 0);
    for ((epoch, lane), until) in lanes {
        while steps < PRUNE_STEPS_MAX && deleted < bytes_max {
            let gone = log::prune(store, epoch, lane, until)?;
            if gone.chunks == 0 {
                break;
            }
            steps += 1;
            deleted += gone.bytes;
        }
    }
    Ok(deleted)
}
