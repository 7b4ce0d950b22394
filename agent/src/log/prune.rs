//! Removing what the server has archived, in bounded steps.

use trenza_shared::{
    id::{Epoch, Lane, Seq},
    store::{Batch, Direction, Durable, Store, StoreError},
    wire::{Shape, entry::Open},
};

use crate::tables::{LOG, SEEN};

/// Most chunks looked at in one step. Unit: chunks.
const STEP_CHUNKS_MAX: usize = 256;

/// Most remembered messageIds looked at in one step.
const FORGET_STEP_MAX: usize = 2_000;

/// Deletes chunks of a lane that lie wholly up to `archived` and were taken in before `before_ms`; returns how many.
/// [`STEP_CHUNKS_MAX`] means that there may be more.
///
/// The last chunk of a lane always stays: it is where the lane's head is kept.
///
/// # Errors
/// The store cannot be read or written; what was to be deleted is still there.
pub fn prune(
    store: &dyn Store,
    epoch: Epoch,
    lane: Lane,
    archived: Seq,
    before_ms: i64,
) -> Result<usize, StoreError> {
    let chunks = LOG.scan_prefix(
        store,
        &(epoch, lane),
        Direction::Forward,
        STEP_CHUNKS_MAX + 1,
    )?;
    let mut batch = Batch::new();
    let last = chunks.len().saturating_sub(1);
    for ((.., first), chunk) in chunks.iter().take(last) {
        // A chunk that cannot be read is not deleted: it may be salvaged.
        let Ok(entries) = chunk.0.run.unpack() else {
            break;
        };
        let Some(newest_ms) = entries
            .last()
            .and_then(|entry| Open::from_bytes(&entry.open).ok())
            .map(|open| open.captured_ms)
        else {
            break;
        };
        if chunk.0.last() > archived || newest_ms >= before_ms {
            break;
        }
        LOG.delete(&mut batch, &(epoch, lane, *first));
    }
    let deleted = batch.len();
    if deleted > 0 {
        store.commit(batch, Durable::Later)?;
    }
    Ok(deleted)
}

/// Forgets messageIds that came before `before_ms`, looking at a bounded number from `from` on; returns where to go on, or
/// none at the end. A retry that comes still later is recognised by the server.
///
/// # Errors
/// The store cannot be read or written; nothing is forgotten then.
pub fn forget(
    store: &dyn Store,
    from: &[u8; 16],
    before_ms: i64,
) -> Result<Option<[u8; 16]>, StoreError> {
    let rows = SEEN.scan(store, Some(from), None, Direction::Forward, FORGET_STEP_MAX)?;
    let next = rows
        .last()
        .map(|(key, _)| *key)
        .filter(|_| rows.len() == FORGET_STEP_MAX);
    let mut batch = Batch::new();
    for (key, _) in rows.iter().filter(|(_, row)| row.at_ms < before_ms) {
        SEEN.delete(&mut batch, key);
    }
    if !batch.is_empty() {
        store.commit(batch, Durable::Later)?;
    }
    Ok(next)
}
