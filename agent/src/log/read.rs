//! Reading the log for sync.

use trenza_shared::{
    id::{ChainHash, Epoch, Lane, Seq},
    store::{Direction, StoreError, View},
    wire::{
        Shape,
        entry::{Entry, Open, block_of},
        frame::{FRAME_BYTES_MAX, FRAME_EVENTS_MAX, Frame, Run, chain_over},
    },
};

use crate::tables::{ChunkRow, LOG};

/// Chunks looked at for one frame: a frame may hold as many one-event commits.
const CHUNKS_MAX: usize = FRAME_EVENTS_MAX;

/// The next frame after `acked` and up to `head`: chunks of one lane joined up to the limits of a frame; none when there is
/// nothing. What lies behind `head` is of a commit that nobody was told of, and may still vanish.
///
/// Where the entries after `acked` are no longer on the device, the frame begins with the first that is.
///
/// # Errors
/// The store cannot be read, or a chunk is damaged.
pub fn next_frame(
    view: &dyn View,
    epoch: Epoch,
    lane: Lane,
    acked: Seq,
    head: Seq,
) -> Result<Option<Frame>, StoreError> {
    let from = acked + 1;
    // The chunk that holds `from` begins at it or before it.
    let start = holding(view, epoch, lane, from)?.map_or(from, |chunk| chunk.first);
    let mut frame: Option<(Frame, Vec<Entry>)> = None;
    let mut bytes = 0;
    let mut next = start;
    for _ in 0..CHUNKS_MAX {
        let Some((_, ChunkRow(chunk))) = LOG
            .scan_prefix_from(view, &(epoch, lane), &(epoch, lane, next), 1)?
            .pop()
        else {
            break;
        };
        if chunk.last() > head {
            break;
        }
        let corrupt = |detail: String| StoreError::Corrupt {
            space: LOG.space().0.into(),
            detail,
        };
        let mut entries = chunk
            .run
            .unpack()
            .map_err(|error| corrupt(error.to_string()))?;
        next = chunk.last() + 1;
        match &mut frame {
            None => {
                let mut chunk = chunk;
                if chunk.first < from {
                    let skip = usize::try_from(from - chunk.first)
                        .unwrap_or(usize::MAX)
                        .min(entries.len());
                    let rest = entries.split_off(skip);
                    chunk.previous =
                        chain_over(chunk.previous, &chunk.salt_key, chunk.first, &entries);
                    chunk.first = from;
                    entries = rest;
                }
                if entries.is_empty() {
                    break;
                }
                bytes = entries.iter().map(Entry::bytes).sum();
                frame = Some((chunk, entries));
            }
            Some((whole, held)) => {
                let more: usize = entries.iter().map(Entry::bytes).sum();
                let follows =
                    chunk.first == whole.first + held.len() as u64 && chunk.previous == whole.head;
                let fits = held.len() + entries.len() <= FRAME_EVENTS_MAX
                    && bytes + more <= FRAME_BYTES_MAX
                    && block_of(chunk.last()) == block_of(whole.first);
                if !follows || !fits {
                    break;
                }
                bytes += more;
                whole.head = chunk.head;
                held.append(&mut entries);
            }
        }
    }
    Ok(frame.map(|(mut frame, entries)| {
        frame.count = u32::try_from(entries.len()).unwrap_or(u32::MAX);
        frame.run = Run::pack(&entries);
        frame
    }))
}

/// The chunk that holds entry `seq`; none when that entry is not on the device.
fn holding(
    view: &dyn View,
    epoch: Epoch,
    lane: Lane,
    seq: Seq,
) -> Result<Option<Frame>, StoreError> {
    let found = LOG.scan(
        view,
        Some(&(epoch, lane, 0)),
        Some(&(epoch, lane, seq + 1)),
        Direction::Back,
        1,
    )?;
    Ok(found
        .into_iter()
        .next()
        .map(|(_, ChunkRow(chunk))| chunk)
        .filter(|chunk| chunk.last() >= seq))
}

/// The first sequence number of a lane that is still on the device; 0 when there is none.
///
/// # Errors
/// The store cannot be read.
pub fn oldest(view: &dyn View, epoch: Epoch, lane: Lane) -> Result<Seq, StoreError> {
    let first = LOG.scan_prefix(view, &(epoch, lane), Direction::Forward, 1)?;
    Ok(first.first().map_or(0, |((.., seq), _)| *seq))
}

/// The chain after entry `seq`; none when that entry is not on the device.
///
/// # Errors
/// The store cannot be read, or a chunk is damaged.
pub fn hash_at(
    view: &dyn View,
    epoch: Epoch,
    lane: Lane,
    seq: Seq,
) -> Result<Option<ChainHash>, StoreError> {
    let Some(chunk) = holding(view, epoch, lane, seq)? else {
        return Ok(None);
    };
    let mut entries = chunk.run.unpack().map_err(|error| StoreError::Corrupt {
        space: LOG.space().0.into(),
        detail: error.to_string(),
    })?;
    entries.truncate(usize::try_from(seq + 1 - chunk.first).unwrap_or(usize::MAX));
    Ok(Some(chain_over(
        chunk.previous,
        &chunk.salt_key,
        chunk.first,
        &entries,
    )))
}

/// When entry `seq` was taken in; none when it is not on the device or cannot be read. Unit: ms since 1970.
///
/// # Errors
/// The store cannot be read.
pub fn captured_ms(
    view: &dyn View,
    epoch: Epoch,
    lane: Lane,
    seq: Seq,
) -> Result<Option<i64>, StoreError> {
    let Some(chunk) = holding(view, epoch, lane, seq)? else {
        return Ok(None);
    };
    let Ok(entries) = chunk.run.unpack() else {
        return Ok(None);
    };
    let entry = usize::try_from(seq - chunk.first)
        .ok()
        .and_then(|at| entries.get(at));
    Ok(entry
        .and_then(|entry| Open::from_bytes(&entry.open).ok())
        .map(|open| open.captured_ms))
}
