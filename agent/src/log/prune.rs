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

/// What one step deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// How many chunks; none where nothing was left to delete.
    pub chunks: usize,
    /// What they occupied. Unit: bytes.
    pub bytes: u64,
}

/// Deletes chunks of a lane that lie wholly up to `until`, a bounded number of them.
///
/// The last chunk of a lane always stays: it is where the lane's head is kept.
///
/// # Errors
/// The store cannot be read or written; what was to be deleted is still there.
pub fn prune(
    store: &dyn Store,
    epoch: Epoch,
    lane: Lane,
    until: Seq,
) -> Result<Pruned, StoreError> {
    let _alone = super::chunks_change();
    let scan = |max| LOG.scan_prefix(store, &(epoch, lane), Direction::Forward, max);
    // Mostly there is nothing to do, and then one chunk is read.
    let goes = |chunk: &Frame| chunk.last() <= until;
    if !scan(1)?.first().is_some_and(|(_, chunk)| goes(&chunk.0)) {
        return Ok(Pruned::default());
    }
    let chunks = scan(STEP_CHUNKS_MAX + 1)?;
    let mut batch = Batch::new();
    let last = chunks.len().saturating_sub(1);
    let mut bytes = 0;
    for ((.., first), chunk) in chunks
        .iter()
        .take(last)
        .take_while(|(_, chunk)| goes(&chunk.0))
    {
        LOG.delete(&mut batch, &(epoch, lane, *first));
        bytes += chunk.0.run.0.len() as u64;
    }
    let chunks = batch.len();
    if chunks > 0 {
        store.commit(batch, Durable::Later)?;
    }
    Ok(Pruned { chunks, bytes })
}
