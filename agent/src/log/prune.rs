//! Removing what the server has archived, in bounded steps.

use trenza_shared::{
    id::{Epoch, Lane, Seq},
    store::{Batch, Direction, Durable, Store, StoreError},
    wire::frame::Frame,
};

use crate::tables::LOG;

/// Most chunks looked at in one step. Unit: chunks.
/// Few, since each may have the size of a frame.
const STEP_CHUNKS_MAX: usize = 16;

/// Deletes chunks of a lane that lie wholly up to `until`; returns how many. `STEP_CHUNKS_MAX` means that there may be more.
///
/// The last chunk of a lane always stays: it is where the lane's head is kept.
///
/// # Errors
/// The store cannot be read or written; what was to be deleted is still there.
pub fn prune(store: &dyn Store, epoch: Epoch, lane: Lane, until: Seq) -> Result<usize, StoreError> {
    let _alone = super::chunks_change();
    let scan = |max| LOG.scan_prefix(store, &(epoch, lane), Direction::Forward, max);
    // Mostly there is nothing to do, and then one chunk is read.
    let goes = |chunk: &Frame| chunk.last() <= until;
    if !scan(1)?.first().is_some_and(|(_, chunk)| goes(&chunk.0)) {
        return Ok(0);
    }
    let chunks = scan(STEP_CHUNKS_MAX + 1)?;
    let mut batch = Batch::new();
    let last = chunks.len().saturating_sub(1);
    for ((.., first), _) in chunks
        .iter()
        .take(last)
        .take_while(|(_, chunk)| goes(&chunk.0))
    {
        LOG.delete(&mut batch, &(epoch, lane, *first));
    }
    let deleted = batch.len();
    if deleted > 0 {
        store.commit(batch, Durable::Later)?;
    }
    Ok(deleted)
}
