//! Entries that were given up for want of room: which, and the step that does it.
//!
//! Owns the table of their ranges and its copy in memory. The deletion, the range and the entry that tells the server are one batch:
//! after a power loss all of it is there or nothing. Never touches a lane that does not yield.

use std::{collections::BTreeMap, ops::RangeInclusive};

use trenza_shared::{
    id::{Epoch, Lane, Seq},
    store::{Batch, Key as _, StoreError, View},
    wire::{
        dropped::{self, Dropped, Reason},
        entry::{Entry, Open, What},
        sync::{SEGMENTS_MAX, Segment},
    },
};

use super::Heads;
use crate::{
    link,
    tables::{ChunkRow, DROPPED, DroppedRow, LOG, ServerRow},
};

/// Most chunks given up in one step.
const STEP_CHUNKS_MAX: usize = 1_024;
/// Chunks read at one go. Few, since each may have the size of a frame.
const PAGE_CHUNKS: usize = 16;
/// Ranges within one life of a lane, apart from each other, from which on a new life begins: the server keeps a limited number of
/// gaps of a lane.
const RANGES_MAX: usize = SEGMENTS_MAX / 2;

/// What is to be given up, and on whose word it is told.
#[derive(Clone, Debug)]
pub struct Yield {
    /// So much at least, in whole chunks; less when there is no more. Unit: bytes.
    pub bytes: u64,
    /// Why.
    pub reason: Reason,
    /// What the server had when this was asked.
    pub told: std::sync::Arc<ServerRow>,
    /// The device's wall clock. Unit: ms since 1970.
    pub captured_ms: i64,
    /// Its boot clock. Unit: ms.
    pub boottime_ms: u64,
    /// Its boot, as [`BootId::number`](trenza_shared::id::BootId::number).
    pub boot: u64,
}

/// All ranges that were given up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drops(BTreeMap<(Epoch, Lane, Seq), DroppedRow>);

impl Drops {
    /// Reads them.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn read(view: &dyn View) -> Result<Self, StoreError> {
        match DROPPED.rows(view).collect::<Result<_, _>>() {
            // Read beside a program of before, which gave nothing up.
            Err(StoreError::UnknownSpace { .. }) => Ok(Self::default()),
            rows => rows.map(Self),
        }
    }

    /// Entries that the server did not have when they were given up. One that was on its way then may have arrived all the same.
    pub fn count(&self) -> u64 {
        self.0.values().map(|row| row.lost).sum()
    }

    /// The ranges in order: epoch, lane, first number, row.
    pub fn ranges(&self) -> impl DoubleEndedIterator<Item = (Epoch, Lane, Seq, &DroppedRow)> {
        self.0
            .iter()
            .map(|((epoch, lane, first), row)| (*epoch, *lane, *first, row))
    }

    fn of(&self, epoch: Epoch, lane: Lane) -> Vec<RangeInclusive<Seq>> {
        self.0
            .range((epoch, lane, 0)..=(epoch, lane, Seq::MAX))
            .map(|((.., first), row)| *first..=row.last)
            .collect()
    }

    /// What of `missing` can still come.
    pub fn still(
        &self,
        epoch: Epoch,
        lane: Lane,
        missing: Vec<RangeInclusive<Seq>>,
    ) -> Vec<RangeInclusive<Seq>> {
        if self.0.is_empty() {
            return missing;
        }
        dropped::part(&missing, &self.of(epoch, lane)).1
    }

    /// Whether a life of the log has so many holes that it is time for another.
    pub fn wants_new_life(&self, epoch: Epoch) -> bool {
        Lane::ALL
            .into_iter()
            .any(|lane| self.of(epoch, lane).len() >= RANGES_MAX)
    }

    /// Takes a range in; one that follows another is one with it. Says which row that is.
    fn add(
        &mut self,
        (epoch, lane, first): (Epoch, Lane, Seq),
        row: DroppedRow,
    ) -> (Epoch, Lane, Seq) {
        let before = self.0.range_mut(..(epoch, lane, first)).next_back();
        if let Some((key, open)) = before
            && (key.0, key.1) == (epoch, lane)
            && open.last.saturating_add(1) == first
            && open.reason == row.reason
        {
            *open = DroppedRow {
                lost: open.lost + row.lost,
                ..row
            };
            return *key;
        }
        self.0.insert((epoch, lane, first), row);
        (epoch, lane, first)
    }
}

/// Lanes that yield. What one held that was left was appended again elsewhere: nothing of it is given up there.
fn yielding(heads: &Heads, left: &[(Epoch, Lane)]) -> Vec<(Epoch, Lane)> {
    let yields = |key: &&(Epoch, Lane)| key.1.yields() && !left.contains(key);
    heads.keys().filter(yields).copied().collect()
}

/// What one step gave up.
pub(super) struct Given {
    /// The entry that tells it.
    pub told: Entry,
    /// Entries that the server did not have.
    pub lost: u64,
    /// What they occupied. Unit: bytes.
    pub bytes: u64,
}

/// Puts into the batch what gives up the oldest entries of the first lane that has some. The last chunk of a lane always stays: it is
/// where the lane's head is kept.
///
/// # Errors
/// The store cannot be read.
pub(super) fn give_up(
    view: &dyn View,
    batch: &mut Batch,
    drops: &mut Drops,
    (heads, left): (&Heads, &[(Epoch, Lane)]),
    what: &Yield,
) -> Result<Option<Given>, StoreError> {
    for (epoch, lane) in yielding(heads, left) {
        let Some((segment, bytes)) = oldest_run(view, epoch, lane, what.bytes)? else {
            continue;
        };
        let (from, to) = (
            (epoch, lane, segment.first),
            (epoch, lane, segment.last + 1),
        );
        batch.delete_range(LOG.space(), from.to_key(), Some(to.to_key()));
        let have = link::have(&what.told.lanes, epoch, lane);
        let lost = dropped::count(&have.missing(segment.first, segment.last));
        let row = DroppedRow {
            last: segment.last,
            lost,
            reason: what.reason,
            at_ms: what.captured_ms,
        };
        let key = drops.add(from, row);
        if let Some(row) = drops.0.get(&key) {
            DROPPED.put(batch, &key, row)?;
        }
        let open = Open {
            what: What::Dropped(Dropped {
                epoch,
                lane,
                first: segment.first,
                last: segment.last,
                previous: segment.previous,
                head: segment.head,
                reason: what.reason,
            }),
            captured_ms: what.captured_ms,
            boottime_ms: what.boottime_ms,
            boot: what.boot,
            offset_min: 0,
            key: String::new(),
            unverified: false,
            bot: None,
            sent_lag_ms: 0,
        };
        return Ok(Some(Given {
            told: Entry::clear(&open, ""),
            lost,
            bytes,
        }));
    }
    Ok(None)
}

/// The oldest chunks of a lane that follow each other and together have at least `bytes`, without the last one of the lane; and what
/// they occupy.
fn oldest_run(
    view: &dyn View,
    epoch: Epoch,
    lane: Lane,
    bytes: u64,
) -> Result<Option<(Segment, u64)>, StoreError> {
    let Some(((.., stays), _)) = LOG.last(view, &(epoch, lane))? else {
        return Ok(None);
    };
    let (mut run, mut held, mut chunks): (Option<Segment>, u64, usize) = (None, 0, 0);
    let mut from = 0;
    loop {
        let page = LOG.scan_prefix_from(view, &(epoch, lane), &(epoch, lane, from), PAGE_CHUNKS)?;
        for (_, ChunkRow(chunk)) in &page {
            // What follows a hole is told of apart.
            let follows = run.is_none_or(|run| run.head == chunk.previous);
            if chunk.first >= stays || !follows || held >= bytes || chunks == STEP_CHUNKS_MAX {
                return Ok(run.map(|run| (run, held)));
            }
            run = Some(Segment {
                first: run.map_or(chunk.first, |run| run.first),
                last: chunk.last(),
                previous: run.map_or(chunk.previous, |run| run.previous),
                head: chunk.head,
            });
            held += chunk.run.0.len() as u64;
            chunks += 1;
            from = chunk.last() + 1;
        }
        if page.len() < PAGE_CHUNKS {
            return Ok(run.map(|run| (run, held)));
        }
    }
}

#[cfg(test)]
mod tests;
