//! Reading the log for sync.

use trenza_shared::{
    id::{ChainHash, Epoch, Lane, Seq},
    store::{Direction, StoreError, View},
    wire::{
        Shape,
        entry::{Entry, Open, block_of},
        frame::{FRAME_BYTES_MAX, FRAME_EVENTS_MAX, Frame, LEVEL_SMALL, Packer, Run, chain_over},
    },
};

use crate::tables::{ChunkRow, LOG};

/// Chunks read at one go once the first was too small for a frame.
const PAGE_CHUNKS: usize = 32;

/// Chunks of one lane that follow each other, as one frame.
pub(super) struct Joined {
    /// The frame; its run is the first chunk's as long as there is no other.
    pub frame: Frame,
    /// Keys of the chunks, in order.
    pub chunks: Vec<Seq>,
    /// What the first chunk's run occupies. Unit: bytes.
    pub stored_bytes: usize,
    entries: Vec<Entry>,
}

impl Joined {
    /// Takes the entries out.
    pub fn take_entries(&mut self) -> Result<Vec<Entry>, StoreError> {
        if self.entries.is_empty() {
            unpacked(&self.frame)
        } else {
            Ok(std::mem::take(&mut self.entries))
        }
    }

    fn into_frame(mut self) -> Result<Frame, StoreError> {
        self.frame.run = if self.entries.is_empty() {
            self.frame.run.bare().map_err(|error| corrupt(&error))?
        } else {
            Packer::new(LEVEL_SMALL).pack(&self.entries)
        };
        Ok(self.frame)
    }
}

/// The next frame after `acked`: chunks of one lane joined up to the limits of a frame, the last of which holds or precedes `upto`;
/// none when there is nothing. What lies behind `head` is of a commit that nobody was told of, and may still vanish.
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
    upto: Seq,
    head: Seq,
) -> Result<Option<Frame>, StoreError> {
    let from = acked + 1;
    if let Some(chunk) = first_chunk(view, epoch, lane, from)?
        && (chunk.first..chunk.last()).contains(&head)
        && from <= head
    {
        // A lane that was left ends where it went on elsewhere, and that may be within what was joined since.
        return cut(cut_end(chunk, head)?, from).map(Some);
    }
    join(view, epoch, lane, from, upto, head)?
        .map(Joined::into_frame)
        .transpose()
}

/// The chunk that holds entry `from`, or where that is no longer on the device the next one.
fn first_chunk(
    view: &dyn View,
    epoch: Epoch,
    lane: Lane,
    from: Seq,
) -> Result<Option<Frame>, StoreError> {
    if let Some(chunk) = holding(view, epoch, lane, from)? {
        return Ok(Some(chunk));
    }
    let next = LOG.scan_prefix_from(view, &(epoch, lane), &(epoch, lane, from), 1)?;
    Ok(next.into_iter().next().map(|(_, ChunkRow(chunk))| chunk))
}

/// Joins chunks from entry `from` on, as long as they begin up to `upto` and end up to `head`. Chunks may be replaced by joined ones meanwhile: each read stands for itself.
pub(super) fn join(
    view: &dyn View,
    epoch: Epoch,
    lane: Lane,
    from: Seq,
    upto: Seq,
    head: Seq,
) -> Result<Option<Joined>, StoreError> {
    let after = |seq, max| LOG.scan_prefix_from(view, &(epoch, lane), &(epoch, lane, seq), max);
    let Some(chunk) = first_chunk(view, epoch, lane, from)? else {
        return Ok(None);
    };
    if chunk.last() > head {
        return Ok(None);
    }
    let mut joined = Joined {
        chunks: vec![chunk.first],
        stored_bytes: chunk.run.0.len(),
        frame: cut(chunk, from)?,
        entries: Vec::new(),
    };
    let mut bytes = joined.frame.run.raw_bytes();
    let mut page = 1;
    loop {
        let next = joined.frame.last() + 1;
        let chunks = after(next, page)?;
        let full = chunks.len() == page;
        for (_, ChunkRow(more)) in chunks {
            let frame = &joined.frame;
            let count = frame.count.saturating_add(more.count);
            bytes = bytes.saturating_add(more.run.raw_bytes());
            let follows = more.first == frame.last() + 1 && more.previous == frame.head;
            let fits = count as usize <= FRAME_EVENTS_MAX
                && bytes <= FRAME_BYTES_MAX
                && block_of(more.last()) == block_of(frame.first);
            if more.last() > head || more.first > upto || !follows || !fits {
                return Ok(Some(joined));
            }
            if joined.entries.is_empty() {
                joined.entries = unpacked(frame)?;
            }
            joined.entries.append(&mut unpacked(&more)?);
            joined.chunks.push(more.first);
            (joined.frame.count, joined.frame.head) = (count, more.head);
        }
        if !full {
            return Ok(Some(joined));
        }
        page = PAGE_CHUNKS;
    }
}

/// The rest of a chunk from entry `from` on, which lies in it or before it.
fn cut(mut chunk: Frame, from: Seq) -> Result<Frame, StoreError> {
    if chunk.first >= from {
        return Ok(chunk);
    }
    let mut entries = unpacked(&chunk)?;
    let skip = usize::try_from(from - chunk.first).unwrap_or(usize::MAX);
    let rest = entries.split_off(skip.min(entries.len()));
    chunk.previous = chain_over(chunk.previous, &chunk.salt_key, chunk.first, &entries);
    chunk.first = from;
    chunk.count = u32::try_from(rest.len()).unwrap_or(u32::MAX);
    chunk.run = Run::pack(&rest);
    Ok(chunk)
}

/// A chunk up to entry `last`, which lies in it.
fn cut_end(mut chunk: Frame, last: Seq) -> Result<Frame, StoreError> {
    let mut entries = unpacked(&chunk)?;
    let count = (last - chunk.first).saturating_add(1);
    entries.truncate(usize::try_from(count).unwrap_or(usize::MAX));
    chunk.head = chain_over(chunk.previous, &chunk.salt_key, chunk.first, &entries);
    chunk.count = u32::try_from(entries.len()).unwrap_or(u32::MAX);
    chunk.run = Run::pack(&entries);
    Ok(chunk)
}

fn unpacked(chunk: &Frame) -> Result<Vec<Entry>, StoreError> {
    let entries = chunk.run.unpack().map_err(|error| corrupt(&error))?;
    if entries.len() != chunk.count as usize {
        return Err(corrupt(&format_args!(
            "the chunk from {} says {} entries and holds {}",
            chunk.first,
            chunk.count,
            entries.len()
        )));
    }
    Ok(entries)
}

fn corrupt(detail: &dyn std::fmt::Display) -> StoreError {
    StoreError::Corrupt {
        space: LOG.space().0.into(),
        detail: detail.to_string(),
    }
}

/// The chunk that holds entry `seq`; none when that entry is not on the device.
pub(crate) fn holding(
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

/// The open part of entry `seq`; none when it is not on the device or cannot be read.
///
/// # Errors
/// The store cannot be read.
pub fn open_at(
    view: &dyn View,
    epoch: Epoch,
    lane: Lane,
    seq: Seq,
) -> Result<Option<Open>, StoreError> {
    let Some(chunk) = holding(view, epoch, lane, seq)? else {
        return Ok(None);
    };
    let Ok(entries) = chunk.run.unpack() else {
        return Ok(None);
    };
    let entry = usize::try_from(seq - chunk.first)
        .ok()
        .and_then(|at| entries.get(at));
    Ok(entry.and_then(|entry| Open::from_bytes(&entry.open).ok()))
}
