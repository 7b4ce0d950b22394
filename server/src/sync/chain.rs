//! The chain of a lane as it is stored: what it is after a number, and where two histories part.
//!
//! Reads records again and links them anew; nothing but the marks, one a record, is kept for it.

use std::collections::BTreeMap;

use trenza_shared::{
    id::{AgentId, ChainHash, Epoch, Lane, Seq},
    store::{Direction, StoreError, View},
    wire::{
        entry::{Entry, chain},
        frame::Run,
        sync::{MARKS_MAX, Mark, Segment},
    },
};

use crate::tables::{LOG, Links, MARKS};

/// A lane of one life of an agent.
pub type LaneKey = (AgentId, Epoch, Lane);

/// The chain after each of `entries`, the first of which is `first`.
pub fn hashes(links: &Links, first: Seq, entries: &[Entry]) -> BTreeMap<Seq, ChainHash> {
    let mut hash = links.previous;
    (first..)
        .zip(entries)
        .map(|(seq, entry)| {
            hash = chain(&hash, &links.salt_key, seq, entry);
            (seq, hash)
        })
        .collect()
}

/// Unpacks entries that were checked when they came.
///
/// # Errors
/// They are damaged now.
pub fn unpack(run: &Run, record: u64) -> Result<Vec<Entry>, StoreError> {
    run.unpack().map_err(|error| StoreError::Corrupt {
        space: LOG.space().0.into(),
        detail: format!("record {record}: {error}"),
    })
}

/// The chain after every stored number from `first` to `last`.
///
/// # Errors
/// The store cannot be read, or a record is damaged.
pub fn stored(
    view: &dyn View,
    (agent, epoch, lane): LaneKey,
    first: Seq,
    last: Seq,
) -> Result<BTreeMap<Seq, ChainHash>, StoreError> {
    let mut out = BTreeMap::new();
    let mut from = first;
    while from <= last {
        let key = (agent, epoch, lane, from);
        let end = (agent, epoch, lane, Seq::MAX);
        let found = MARKS
            .scan(view, Some(&key), Some(&end), Direction::Forward, 1)?
            .pop();
        let Some(((.., ends), mark)) = found.filter(|(_, mark)| mark.first <= last) else {
            break;
        };
        if let Some(record) = LOG.get(view, &mark.record)?
            && let Some(links) = &record.links
        {
            let entries = unpack(&record.run, mark.record)?;
            out.extend(
                hashes(links, mark.first, &entries)
                    .into_iter()
                    .filter(|(seq, _)| (first..=last).contains(seq)),
            );
        }
        from = ends.saturating_add(1);
    }
    Ok(out)
}

/// The chain after one number; none when it is not stored, or was stored without a chain.
///
/// # Errors
/// As [`stored`].
pub fn after(view: &dyn View, key: LaneKey, seq: Seq) -> Result<Option<ChainHash>, StoreError> {
    if let Some(mark) = MARKS.get(view, &(key.0, key.1, key.2, seq))? {
        return Ok(Some(mark.head));
    }
    Ok(stored(view, key, seq, seq)?.remove(&seq))
}

/// Where a frame and what is stored are still one: exactly, where the frame itself holds the place; else some marks before it, by
/// which the agent finds it. `there` is the frame's own chain.
///
/// # Errors
/// As [`stored`].
pub fn in_common(
    view: &dyn View,
    key: LaneKey,
    frame: &Segment,
    there: &BTreeMap<Seq, ChainHash>,
) -> Result<Vec<Mark>, StoreError> {
    let before = frame.first.saturating_sub(1);
    let here = stored(view, key, frame.first, frame.last)?;
    // Not the last number that is equal: what came after a gap may be of this branch where what precedes it is of another.
    let exact = here
        .into_iter()
        .take_while(|(seq, hash)| there.get(seq) == Some(hash))
        .last();
    let exact = match exact {
        Some(found) => Some(found),
        None => after(view, key, before)?
            .filter(|hash| *hash == frame.previous)
            .map(|hash| (before, hash)),
    };
    match exact {
        Some((seq, hash)) => Ok(vec![Mark { seq, hash }]),
        None => marks(view, key, before),
    }
}

/// The chain at `from` and ever further before it, at ends of records: a skip list back to the beginning.
///
/// # Errors
/// As [`stored`].
pub fn marks(view: &dyn View, key: LaneKey, from: Seq) -> Result<Vec<Mark>, StoreError> {
    let (agent, epoch, lane) = key;
    let mut out: Vec<Mark> = Vec::new();
    if let Some(hash) = after(view, key, from)? {
        out.push(Mark { seq: from, hash });
    }
    let mut distance: u64 = 1;
    while out.len() < MARKS_MAX {
        let Some(upto) = from.checked_sub(distance) else {
            break;
        };
        let begin = (agent, epoch, lane, 0);
        let end = (agent, epoch, lane, upto.saturating_add(1));
        let found = MARKS
            .scan(view, Some(&begin), Some(&end), Direction::Back, 1)?
            .pop();
        let Some(((.., seq), mark)) = found else {
            break;
        };
        if out.last().is_none_or(|last| last.seq > seq) {
            out.push(Mark {
                seq,
                hash: mark.head,
            });
        }
        // From the end of a record on: distances within it name it again.
        distance = (from - seq).max(distance).saturating_mul(2);
    }
    Ok(out)
}
