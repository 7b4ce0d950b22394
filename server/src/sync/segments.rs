//! The segments of a lane as they are stored: the last ones in one small row, which most frames change, and those before them each
//! in a row of its own, which only a frame that reaches back to them changes.
//!
//! Owns that the two are one list. A lane has many only where its agent keeps many entries aside that are refused for good.

use trenza_shared::{
    id::AgentId,
    store::{Direction, Overlay, StoreError, View},
    wire::sync::{KEPT_MAX, SEGMENTS_MAX, Segment},
};

use super::chain::LaneKey;
use crate::tables::{EARLIER, EarlierRow, LANES, LaneRow};

/// Most segments of a lane: twice as many as an agent may make by what it keeps aside. What comes beyond has to wait until a gap is
/// filled.
pub const SEGMENTS_STORED_MAX: usize = 2 * KEPT_MAX;
/// Most segments in a lane's own row, half of which stay there when it is full.
const ROW_SEGMENTS_MAX: usize = SEGMENTS_MAX;

/// All that is stored of a lane; of an unknown one nothing.
///
/// # Errors
/// The store cannot be read.
pub fn lane(view: &dyn View, key: &LaneKey) -> Result<LaneRow, StoreError> {
    whole(view, key, stored(view, key)?)
}

/// All that is stored of every lane.
///
/// # Errors
/// The store cannot be read.
pub fn all(view: &dyn View) -> impl Iterator<Item = Result<(LaneKey, LaneRow), StoreError>> {
    LANES.rows(view).map(move |row| {
        let (key, row) = row?;
        Ok((key, whole(view, &key, row)?))
    })
}

/// All that is stored of an agent's lanes.
///
/// # Errors
/// The store cannot be read.
pub fn of_agent(
    view: &dyn View,
    agent: &AgentId,
) -> impl Iterator<Item = Result<(LaneKey, LaneRow), StoreError>> {
    LANES
        .rows_of(view, agent, Direction::Forward)
        .map(move |row| {
            let (key, row) = row?;
            Ok((key, whole(view, &key, row)?))
        })
}

/// A lane's own row.
pub(super) fn stored(view: &dyn View, key: &LaneKey) -> Result<LaneRow, StoreError> {
    Ok(LANES.get(view, key)?.unwrap_or_default())
}

/// The row with what lies before it.
pub(super) fn whole(view: &dyn View, key: &LaneKey, row: LaneRow) -> Result<LaneRow, StoreError> {
    if row.earlier == 0 {
        return Ok(row);
    }
    let mut segments = Vec::new();
    for earlier in EARLIER.rows_of(view, key, Direction::Forward) {
        let ((.., first), row) = earlier?;
        segments.push(Segment {
            first,
            last: row.last,
            previous: row.previous,
            head: row.head,
        });
    }
    segments.extend(row.segments);
    Ok(LaneRow {
        segments,
        earlier: 0,
    })
}

/// What a frame from `first` on is to be placed among: the lane's own row, unless it reaches back before that.
pub(super) fn around(
    view: &dyn View,
    key: &LaneKey,
    row: &LaneRow,
    first: u64,
) -> Result<LaneRow, StoreError> {
    match row.segments.first() {
        Some(own) if row.earlier > 0 && first < own.first => whole(view, key, row.clone()),
        _ => Ok(row.clone()),
    }
}

/// Parts what is too much for one row. `row` is as [`around`] gave it, with the segments that are there now; `before` is the row that
/// is stored. Gives the one that is to be.
pub(super) fn part(
    view: &mut Overlay<'_>,
    key: &LaneKey,
    before: &LaneRow,
    mut row: LaneRow,
) -> Result<LaneRow, StoreError> {
    let reached_back = before.earlier > row.earlier;
    let old = if reached_back {
        let mut old = whole(view, key, before.clone())?.segments;
        old.truncate(old.len() - before.segments.len());
        old
    } else {
        Vec::new()
    };
    let count = row.segments.len();
    let apart = if count > ROW_SEGMENTS_MAX {
        count - ROW_SEGMENTS_MAX / 2
    } else {
        0
    };
    let new: Vec<Segment> = row.segments.drain(..apart).collect();
    let &(agent, epoch, lane) = key;
    let is_in = |all: &[Segment], first| all.binary_search_by_key(&first, |one| one.first).ok();
    for gone in &old {
        if is_in(&new, gone.first).is_none() {
            EARLIER.delete(view, &(agent, epoch, lane, gone.first));
        }
    }
    for one in &new {
        if is_in(&old, one.first).is_none_or(|at| old[at] != *one) {
            let row = EarlierRow {
                last: one.last,
                previous: one.previous,
                head: one.head,
            };
            EARLIER.put(view, &(agent, epoch, lane, one.first), &row)?;
        }
    }
    row.earlier = row
        .earlier
        .saturating_add(u32::try_from(new.len()).unwrap_or(u32::MAX));
    Ok(row)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, sync::Arc};

    use proptest::prelude::*;
    use trenza_shared::{
        id::{Lane, Seq},
        store::{MemStore, Store, Value as _},
    };

    use super::*;
    use crate::sync::log::tests::{frame, put, writer};

    /// Most bytes of a stored segment with such numbers.
    const SEGMENT_BYTES_MAX: usize = 110;
    const KEY: LaneKey = (AgentId([1; 16]), 1, Lane::Visits);

    fn segments_of(numbers: &BTreeSet<Seq>) -> Vec<(Seq, Seq)> {
        let mut runs: Vec<(Seq, Seq)> = Vec::new();
        for &seq in numbers {
            match runs.last_mut() {
                Some(open) if open.1 + 1 == seq => open.1 = seq,
                _ => runs.push((seq, seq)),
            }
        }
        runs
    }

    fn runs(row: &LaneRow) -> Vec<(Seq, Seq)> {
        row.segments
            .iter()
            .map(|one| (one.first, one.last))
            .collect()
    }

    /// The row alone, and that the rows beside it are as many as it says.
    fn own_row(store: &dyn Store) -> LaneRow {
        let row = stored(store, &KEY).unwrap();
        let beside = EARLIER.rows(store).count();
        assert_eq!(beside, row.earlier as usize);
        assert!(row.segments.len() <= ROW_SEGMENTS_MAX);
        row
    }

    /// Every second number is refused for good: hundreds of gaps, and what a frame writes does not grow with them.
    #[test]
    fn a_lane_with_hundreds_of_gaps_takes_what_comes_and_writes_no_more_for_it() {
        let store = Arc::new(MemStore::new());
        let mut writer = writer(store.clone());
        let (mut numbers, mut bytes) = (BTreeSet::new(), Vec::new());
        for seq in (2..=600).step_by(2) {
            put(&mut writer, &[frame("", 0, seq..=seq)]);
            numbers.insert(seq);
            bytes.push(own_row(&*store).encode().unwrap().len());
        }
        let most = ROW_SEGMENTS_MAX * SEGMENT_BYTES_MAX;
        assert!(bytes.iter().all(|one| *one <= most), "{bytes:?}");
        let row = lane(&*store, &KEY).unwrap();
        assert_eq!(runs(&row), segments_of(&numbers));
        // The gaps are filled after all, the first one last.
        for seq in (1..=599).rev().step_by(2) {
            put(&mut writer, &[frame("", 0, seq..=seq)]);
            own_row(&*store);
        }
        let row = lane(&*store, &KEY).unwrap();
        assert_eq!(row, LaneRow::up_to(600, frame("", 0, 1..=600).head));
        assert_eq!(EARLIER.rows(&*store).count(), 0);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Frames anyhow, many to a commit: the two kinds of rows are together what the numbers are.
        #[test]
        fn the_rows_are_together_the_runs_of_what_is_stored(frames in proptest::collection::vec((1u64..600, 0u64..2), 1..250), at_once in 1usize..20, sorted: bool) {
            let store = Arc::new(MemStore::new());
            let mut writer = writer(store.clone());
            let mut frames = frames;
            if sorted {
                frames.sort_unstable();
            }
            let mut numbers = BTreeSet::new();
            for group in frames.chunks(at_once) {
                let sent: Vec<_> = group.iter().map(|(first, more)| frame("", 0, *first..=first + more)).collect();
                numbers.extend(group.iter().flat_map(|(first, more)| *first..=first + more));
                put(&mut writer, &sent);
                own_row(&*store);
                let row = lane(&*store, &KEY).unwrap();
                prop_assert_eq!(runs(&row), segments_of(&numbers));
            }
            let row = lane(&*store, &KEY).unwrap();
            prop_assert_eq!(row.count(), numbers.len() as u64);
            prop_assert_eq!(all(&*store).map(Result::unwrap).collect::<Vec<_>>(), vec![(KEY, row.clone())]);
            prop_assert_eq!(of_agent(&*store, &KEY.0).map(Result::unwrap).collect::<Vec<_>>(), vec![(KEY, row)]);
        }
    }
}
