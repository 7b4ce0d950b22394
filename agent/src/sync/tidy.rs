//! Deleting what the server archived, after its retention or, where room is short, at once.

use trenza_shared::{
    id::Seq,
    store::{Store, StoreError},
};

use crate::{
    link,
    log::{self, Heads, marks},
    tables::{STATE, ServerRow},
};

/// Most steps of deleting after one hello.
const PRUNE_STEPS_MAX: usize = 256;

/// Deletes what the server archived long enough ago, a bounded part of it; without a retention, all that may go. Gives how many chunks
/// went.
///
/// # Errors
/// The store cannot be read or written; what was to be deleted is still there.
pub(crate) fn tidy(
    store: &dyn Store,
    told: &ServerRow,
    heads: &Heads,
    now_ms: i64,
    retention_ms: Option<i64>,
) -> Result<usize, StoreError> {
    let state = STATE.get(store, &())?.unwrap_or_default();
    // Of a lane that was left, what follows its branch was appended again; what precedes it may still be asked for.
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
    let left: Vec<_> = left.collect();
    let ends = heads.iter().map(|(lane, head)| (*lane, head.seq));
    let ends = ends.chain(left.iter().map(|(lane, _)| (*lane, Seq::MAX)));
    let old = match retention_ms {
        Some(retention_ms) => Some(marks::mark(store, ends.collect(), now_ms, retention_ms)?),
        None => None,
    };
    let archived = told.lanes.iter();
    let archived = archived.map(|have| ((have.epoch, have.lane), have.archived));
    let (mut steps, mut deleted) = (0, 0);
    for ((epoch, lane), archived) in archived.chain(left) {
        let until = old.as_ref().map_or(archived, |old| {
            old.get(&(epoch, lane)).map_or(0, |old| archived.min(*old))
        });
        while steps < PRUNE_STEPS_MAX {
            let gone = log::prune(store, epoch, lane, until)?;
            if gone == 0 {
                break;
            }
            steps += 1;
            deleted += gone;
        }
    }
    Ok(deleted)
}
