//! What agents gave up for want of room, against what is stored: pure, but for reading the table.
//!
//! Owns the rule by which a range is believed: where what is stored touches it, its chain has to lead on. A range of which that is not
//! true was told by another copy of the agent, and closes no gap of this one.

use std::{collections::BTreeMap, ops::RangeInclusive};

use serde::{Deserialize, Serialize};
use trenza_shared::{
    id::{AgentId, Epoch, Lane, Seq},
    store::{Direction, StoreError, View},
    wire::{
        dropped::{self, Dropped, Reason},
        sync::Segment,
    },
};

use crate::tables::DROPPED;

/// Most ranges told of one agent; all are counted.
pub const RANGES_MAX: usize = 64;

/// The ranges of one agent, by lane.
pub type Ranges = BTreeMap<(Epoch, Lane), Vec<Dropped>>;

/// Entries that an agent gave up before they were here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    /// Life of the log.
    pub epoch: Epoch,
    /// Which of its logs.
    pub lane: Lane,
    /// The first number.
    pub from: Seq,
    /// The last.
    pub to: Seq,
    /// Why.
    pub reason: Reason,
}

/// Everything that an agent said it gave up.
///
/// # Errors
/// The store cannot be read.
pub fn of_agent(view: &dyn View, agent: &AgentId) -> Result<Ranges, StoreError> {
    let mut ranges = Ranges::new();
    for row in DROPPED.rows_of(view, agent, Direction::Forward) {
        let ((_, epoch, lane, first, last), row) = row?;
        ranges.entry((epoch, lane)).or_default().push(Dropped {
            epoch,
            lane,
            first,
            last,
            previous: row.previous,
            head: row.head,
            reason: row.reason,
        });
    }
    Ok(ranges)
}

/// What of the numbers that are missing was given up, and what is a gap.
pub fn part(
    segments: &[Segment],
    missing: &[RangeInclusive<Seq>],
    said: &[Dropped],
) -> (Vec<Range>, Vec<RangeInclusive<Seq>>) {
    let (mut ranges, mut gaps) = (Vec::new(), missing.to_vec());
    for one in said.iter().filter(|one| leads_on(segments, one)) {
        let (lost, still) = dropped::part(&gaps, &[one.first..=one.last]);
        gaps = still;
        ranges.extend(lost.into_iter().map(|run| Range {
            epoch: one.epoch,
            lane: one.lane,
            from: *run.start(),
            to: *run.end(),
            reason: one.reason,
        }));
    }
    ranges.sort_by_key(|range| range.from);
    (ranges, gaps)
}

/// Whether a range is one chain with what is stored right before and right after it.
fn leads_on(segments: &[Segment], said: &Dropped) -> bool {
    segments.iter().all(|one| {
        (one.last.saturating_add(1) != said.first || one.head == said.previous)
            && (said.last.saturating_add(1) != one.first || one.previous == said.head)
    })
}

#[cfg(test)]
mod tests {
    use trenza_shared::id::ChainHash;

    use super::*;

    fn hash(seq: Seq) -> ChainHash {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seq.to_be_bytes());
        ChainHash(bytes)
    }

    fn segment(first: Seq, last: Seq) -> Segment {
        Segment {
            first,
            last,
            previous: hash(first - 1),
            head: hash(last),
        }
    }

    fn said(first: Seq, last: Seq) -> Dropped {
        Dropped {
            epoch: 1,
            lane: Lane::Low,
            first,
            last,
            previous: hash(first - 1),
            head: hash(last),
            reason: Reason::Quota,
        }
    }

    fn parted(
        lane: &[Segment],
        missing: &[RangeInclusive<Seq>],
        said: &[Dropped],
    ) -> (Vec<(Seq, Seq)>, Vec<RangeInclusive<Seq>>) {
        let (ranges, gaps) = part(lane, missing, said);
        (ranges.iter().map(|one| (one.from, one.to)).collect(), gaps)
    }

    #[test]
    fn what_is_missing_was_given_up_or_is_a_gap() {
        let lane = [segment(1, 10), segment(21, 30)];
        let missing = [11..=20, 31..=40];
        assert_eq!(
            parted(&lane, &missing, &[said(11, 20), said(31, 35)]),
            (vec![(11, 20), (31, 35)], vec![36..=40])
        );
        // A frame that was on its way arrived, and what was told twice counts once.
        assert_eq!(
            parted(&lane, &missing, &[said(5, 33), said(25, 35)]),
            (vec![(11, 20), (31, 33), (34, 35)], vec![36..=40])
        );
    }

    #[test]
    fn a_range_of_another_history_closes_no_gap() {
        let lane = [segment(1, 10), segment(21, 30)];
        for other in [
            Dropped {
                previous: hash(99),
                ..said(11, 20)
            },
            Dropped {
                head: hash(99),
                ..said(11, 20)
            },
        ] {
            assert_eq!(parted(&lane, &[11..=20], &[other]), (vec![], vec![11..=20]));
        }
    }
}
