//! Settling: what was written in small pieces is joined into full frames, and its events are put into the index of known ones.
//!
//! Owns the index and the position up to which a lane is settled. Away from the path of a request: a step reads a salt block
//! that is complete, and replaces its chunks in one batch, so that after a power loss either the old or the new ones are there.
//! The chain stays as it is; sending then reads full frames, and a retry too old for the memory is counted exactly.

use trenza_shared::{
    event::Event,
    id::{Epoch, Lane, Seq},
    store::{Batch, Direction, Durable, Key as _, Store, StoreError, View},
    wire::{
        Shape,
        entry::{Entry, Open, SALT_BLOCK, What, block_of},
        frame::{Frame, Packer, chain_over},
    },
};

use super::read::{Joined, join};
use crate::tables::{ChunkRow, KNOWN, LOG, SETTLED};

/// How long an event is remembered in the index: at least one period, at most two. Unit: days.
pub const KNOWN_DAYS: i64 = 45;
const PERIOD_MS: i64 = KNOWN_DAYS * 86_400_000;

/// What a step did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Step {
    /// Entries looked at.
    pub entries: usize,
    /// Events among them that were in the log before: retries that came too late to be known from memory.
    pub duplicates: usize,
}

/// Settles the next frame of a lane that ends at `head`; none when no salt block is complete. The last block of a lane that
/// is `over`, since its epoch is, counts as complete.
///
/// # Errors
/// The store cannot be read or written; the lane is as it was. A chunk that is damaged is left as it is and passed over.
pub fn settle(
    store: &dyn Store,
    packer: &mut Packer,
    epoch: Epoch,
    lane: Lane,
    head: Seq,
    over: bool,
) -> Result<Option<Step>, StoreError> {
    // Nobody else deletes or replaces chunks meanwhile.
    let _alone = super::chunks_change();
    let settled = SETTLED.get(store, &(epoch, lane))?.unwrap_or_default();
    let mut block_end = (block_of(settled + 1) + 1) * SALT_BLOCK;
    if over {
        block_end = block_end.min(head);
    }
    if head < block_end || head <= settled {
        return Ok(None);
    }
    let mut batch = Batch::new();
    let mut step = Step::default();
    let upto = match join(store, epoch, lane, settled + 1, block_end, block_end) {
        Ok(Some(mut joined)) => {
            let upto = joined.frame.last();
            match joined.take_entries() {
                Ok(entries) => {
                    step.entries = entries.len();
                    step.duplicates = index(store, &mut batch, &entries)?;
                    replace(&mut batch, packer, &joined, &entries)?;
                }
                Err(StoreError::Corrupt { detail, .. }) => passed_over(&detail),
                Err(error) => return Err(error),
            }
            upto
        }
        // Nothing of the block is on the device.
        Ok(None) => block_end,
        Err(StoreError::Corrupt { detail, .. }) => {
            passed_over(&detail);
            block_end
        }
        Err(error) => return Err(error),
    };
    SETTLED.put(&mut batch, &(epoch, lane), &upto)?;
    store.commit(batch, Durable::Later)?;
    Ok(Some(step))
}

fn passed_over(detail: &str) {
    tracing::warn!(error = %detail, "a part of the log cannot be read; it is left as it is");
}

/// Puts one packed chunk in the place of those that were joined, where that is smaller and the chain holds.
fn replace(
    batch: &mut Batch,
    packer: &mut Packer,
    joined: &Joined,
    entries: &[Entry],
) -> Result<(), StoreError> {
    let frame = &joined.frame;
    // A chunk that was cut is not replaced: a part of it lies before.
    if joined.chunks.first() != Some(&frame.first)
        || chain_over(frame.previous, &frame.salt_key, frame.first, entries) != frame.head
    {
        return Ok(());
    }
    let run = packer.pack(entries).guarded();
    if joined.chunks.len() == 1 && run.0.len() >= joined.stored_bytes {
        return Ok(());
    }
    for first in joined.chunks.iter().skip(1) {
        LOG.delete(batch, &(frame.epoch, frame.lane, *first));
    }
    let row = ChunkRow(Frame {
        run,
        ..frame.clone()
    });
    LOG.put(batch, &(frame.epoch, frame.lane, frame.first), &row)
}

/// Puts events into the index; says how many were there.
fn index(view: &dyn View, batch: &mut Batch, entries: &[Entry]) -> Result<usize, StoreError> {
    let mut fresh = std::collections::HashSet::new();
    let mut duplicates = 0;
    for (period, hash) in entries.iter().filter_map(known_as) {
        // Its retry may have come just over the border of a period, or under another clock.
        let mut periods = [period, period.saturating_sub(1), period.saturating_add(1)].into_iter();
        let known = periods.try_fold(false, |known, period| {
            Ok::<_, StoreError>(known || KNOWN.has(view, &(period, hash))?)
        })?;
        if known || !fresh.insert(hash) {
            duplicates += 1;
        } else {
            KNOWN.put(batch, &(period, hash), &())?;
        }
    }
    Ok(duplicates)
}

/// The period in which an event was taken in and the first bytes of its content id; none for what is no event.
fn known_as(entry: &Entry) -> Option<(u32, u64)> {
    let open = Open::from_bytes(&entry.open).ok()?;
    matches!(open.what, What::Event(_)).then_some(())?;
    let event = Event::stored(entry.text().ok()?.to_owned()).ok()?;
    let hash = u64::from_be_bytes(*event.id.0.first_chunk()?);
    Some((period(open.captured_ms), hash))
}

fn period(at_ms: i64) -> u32 {
    u32::try_from(at_ms.div_euclid(PERIOD_MS)).unwrap_or(0)
}

/// Forgets events of periods that are over, and of those that a wrong clock made; true when there were any.
///
/// # Errors
/// The store cannot be read or written.
pub fn forget(store: &dyn Store, now_ms: i64) -> Result<bool, StoreError> {
    let now = period(now_ms);
    let (from, to) = (
        (now.saturating_sub(1), 0_u64),
        (now.saturating_add(2), 0_u64),
    );
    let older = KNOWN.scan(store, None, Some(&from), Direction::Forward, 1)?;
    let newer = KNOWN.scan(store, Some(&to), None, Direction::Forward, 1)?;
    let mut batch = Batch::new();
    if !older.is_empty() {
        batch.delete_range(KNOWN.space(), Vec::new(), Some(from.to_key()));
    }
    if !newer.is_empty() {
        batch.delete_range(KNOWN.space(), to.to_key(), None);
    }
    if batch.is_empty() {
        return Ok(false);
    }
    store.commit(batch, Durable::Later)?;
    Ok(true)
}

#[cfg(test)]
mod tests;
