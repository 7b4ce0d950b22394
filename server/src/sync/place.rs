//! Where a frame lies in its lane: pure decisions over the segments that are there.
//!
//! A lane is kept as segments: runs without a gap, every link of which was checked. Two that touch are one, because what is put
//! beside a segment has to lead from its head or to its beginning; where it does not, another copy of the agent wrote it.

use std::ops::RangeInclusive;

use trenza_shared::{
    id::{ChainHash, Epoch, Lane, Seq},
    wire::{
        entry::CHAIN_START,
        sync::{Kept, LaneHave, Segment},
    },
};

/// What is to be done with a frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// These parts of it are new, in ascending order; the lane is then this.
    New {
        /// What to store.
        parts: Vec<Segment>,
        /// The lane with them.
        lane: Vec<Segment>,
    },
    /// All of it is there already.
    Known,
    /// It lies beyond too many gaps: the oldest of them has to be filled first.
    Full,
    /// It contradicts what is there.
    Fork,
}

/// How a frame stands to the `lane` that is there, which may have at most `room` segments. `here` is the chain that is stored after a number, `there` the frame's own;
/// both are only asked where the two overlap. A number that `here` knows nothing of was stored by a program that kept no chain, and
/// counts as equal.
///
/// Equal chains at one number are equal entries up to it: one comparison for each overlap is enough.
///
/// # Errors
/// What `here` or `there` answers.
pub fn place<E>(
    (lane, room): (&[Segment], usize),
    frame: &Segment,
    mut here: impl FnMut(Seq) -> Result<Option<ChainHash>, E>,
    mut there: impl FnMut(Seq) -> Result<ChainHash, E>,
) -> Result<Place, E> {
    if frame.first <= 1 && frame.previous != CHAIN_START {
        return Ok(Place::Fork);
    }
    let mut parts = Vec::new();
    let (mut next, mut before) = (frame.first, frame.previous);
    for segment in lane {
        if segment.last.saturating_add(1) < frame.first
            || segment.first > frame.last.saturating_add(1)
        {
            continue;
        }
        if segment.last < frame.first {
            if segment.head != frame.previous {
                return Ok(Place::Fork);
            }
            continue;
        }
        if segment.first > frame.last {
            if segment.previous != frame.head {
                return Ok(Place::Fork);
            }
            continue;
        }
        let shared = segment.last.min(frame.last);
        let stored = if shared == segment.last {
            Some(segment.head)
        } else {
            here(shared)?
        };
        let said = if shared == frame.last {
            frame.head
        } else {
            there(shared)?
        };
        if stored.is_some_and(|stored| stored != said) {
            return Ok(Place::Fork);
        }
        if segment.first > next {
            parts.push(Segment {
                first: next,
                last: segment.first - 1,
                previous: before,
                head: segment.previous,
            });
        }
        (next, before) = (segment.last.saturating_add(1), segment.head);
    }
    if next <= frame.last {
        parts.push(Segment {
            first: next,
            last: frame.last,
            previous: before,
            head: frame.head,
        });
    }
    if parts.is_empty() {
        return Ok(Place::Known);
    }
    let joined = join(lane, &parts);
    Ok(if joined.len() > room && joined.len() > lane.len() {
        Place::Full
    } else {
        Place::New {
            parts,
            lane: joined,
        }
    })
}

/// All segments in order, those that touch made one. They do not overlap.
fn join(lane: &[Segment], parts: &[Segment]) -> Vec<Segment> {
    let mut all: Vec<Segment> = lane.iter().chain(parts).copied().collect();
    all.sort_by_key(|segment| segment.first);
    let mut out: Vec<Segment> = Vec::with_capacity(all.len());
    for next in all {
        match out.last_mut() {
            Some(open)
                if open.last.saturating_add(1) == next.first && open.head == next.previous =>
            {
                (open.last, open.head) = (next.last, next.head);
            }
            _ => out.push(next),
        }
    }
    out
}

/// Runs of a lane's numbers that will not come, ascending: what lies before `oldest`, the first number that the device still
/// holds (0: it holds nothing), and what it keeps and cannot deliver.
pub fn never(epoch: Epoch, lane: Lane, oldest: Seq, kept: &[Kept]) -> Vec<RangeInclusive<Seq>> {
    let kept = kept
        .iter()
        .filter(|one| (one.epoch, one.lane) == (epoch, lane) && one.first <= one.last)
        .map(|one| one.first..=one.last);
    let gone = (oldest > 1).then(|| 1..=oldest - 1);
    let mut runs: Vec<_> = gone.into_iter().chain(kept).collect();
    runs.sort_by_key(|run| *run.start());
    runs
}

/// What is told to the agent, where every number may still come but those before `oldest`.
pub fn have(epoch: Epoch, lane: Lane, segments: &[Segment], oldest: Seq) -> LaneHave {
    have_but(epoch, lane, segments, &never(epoch, lane, oldest, &[]))
}

/// What is told to the agent. A gap of numbers that will `never` come does not hold the acknowledgement up. It still is a gap for
/// whoever asks what is missing.
pub fn have_but(
    epoch: Epoch,
    lane: Lane,
    segments: &[Segment],
    never: &[RangeInclusive<Seq>],
) -> LaneHave {
    let mut have = LaneHave::nothing(epoch, lane);
    let mut never = never.iter().peekable();
    // The last number up to which all is there or never comes.
    let mut reached: Seq = 0;
    for segment in segments {
        while let Some(run) = never.next_if(|run| *run.start() <= reached.saturating_add(1)) {
            reached = reached.max(*run.end());
        }
        if segment.first <= reached.saturating_add(1) {
            (have.acked, have.hash) = (segment.last, segment.head);
            reached = reached.max(segment.last);
        } else {
            have.beyond.push(*segment);
        }
    }
    // Where there is neither a backup nor a second node, stored counts as archived.
    have.archived = have.acked;
    have
}

/// The same where only what is `archived` too may be deleted on the device.
pub fn have_archived(
    epoch: Epoch,
    lane: Lane,
    segments: &[Segment],
    archived: &[Segment],
    never: &[RangeInclusive<Seq>],
) -> LaneHave {
    let have_now = have_but(epoch, lane, segments, never);
    let safe = have_but(epoch, lane, archived, never).acked;
    LaneHave {
        archived: safe.min(have_now.acked),
        ..have_now
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    /// Segments that a lane may have here.
    const ROOM: usize = 64;

    /// The chain of a branch: up to `fork` all branches are one.
    fn hash(branch: u8, fork: Seq, seq: Seq) -> ChainHash {
        if seq == 0 {
            return CHAIN_START;
        }
        let branch = if seq > fork { branch } else { 0 };
        let mut bytes = [branch; 32];
        bytes[..8].copy_from_slice(&seq.to_be_bytes());
        bytes[8] = 1;
        ChainHash(bytes)
    }

    fn segment(branch: u8, fork: Seq, first: Seq, last: Seq) -> Segment {
        Segment {
            first,
            last,
            previous: hash(branch, fork, first - 1),
            head: hash(branch, fork, last),
        }
    }

    fn put(lane: &[Segment], branch: u8, fork: Seq, first: Seq, last: Seq) -> Place {
        place::<Infallible>(
            (lane, ROOM),
            &segment(branch, fork, first, last),
            |seq| Ok(Some(hash(0, fork, seq))),
            |seq| Ok(hash(branch, fork, seq)),
        )
        .unwrap_or(Place::Fork)
    }

    #[test]
    fn what_an_agent_keeps_and_cannot_deliver_holds_no_acknowledgement_up() {
        let own = |first, last| segment(0, 9_999, first, last);
        let lane = [own(1, 10), own(12, 20), own(31, 40)];
        let kept = |epoch, first, last| Kept {
            epoch,
            lane: Lane::Visits,
            first,
            last,
            code: "bad_frame".into(),
        };
        let acked = |oldest, kept: &[Kept]| {
            let never = never(1, Lane::Visits, oldest, kept);
            have_but(1, Lane::Visits, &lane, &never).acked
        };
        assert_eq!(acked(1, &[]), 10);
        assert_eq!(acked(1, &[kept(2, 11, 11)]), 10, "of another life");
        assert_eq!(acked(1, &[kept(1, 11, 11)]), 20);
        assert_eq!(acked(1, &[kept(1, 11, 11), kept(1, 21, 29)]), 20);
        assert_eq!(acked(1, &[kept(1, 21, 30), kept(1, 11, 11)]), 40);
        // Some of the gap is gone, the rest is kept.
        assert_eq!(acked(25, &[kept(1, 25, 30)]), 40);
        assert_eq!(acked(25, &[kept(1, 26, 30)]), 20);
        assert_eq!(acked(1, &[kept(1, 0, u64::MAX)]), 40);
    }

    #[test]
    fn a_frame_is_new_known_or_a_fork() {
        let own = |first, last| segment(0, 9_999, first, last);
        let lane = [own(1, 10), own(21, 30)];
        let new = |first, last, lane: &[Segment]| Place::New {
            parts: vec![own(first, last)],
            lane: lane.to_vec(),
        };
        let go = |first, last| put(&lane, 0, 9_999, first, last);
        assert_eq!(go(11, 12), new(11, 12, &[own(1, 12), own(21, 30)]));
        assert_eq!(go(11, 20), new(11, 20, &[own(1, 30)]));
        assert_eq!(go(5, 12), new(11, 12, &[own(1, 12), own(21, 30)]));
        assert_eq!(
            go(40, 41),
            new(40, 41, &[own(1, 10), own(21, 30), own(40, 41)])
        );
        assert_eq!(
            go(5, 35),
            Place::New {
                parts: vec![own(11, 20), own(31, 35)],
                lane: vec![own(1, 35)]
            }
        );
        assert_eq!(
            (go(1, 10), go(3, 4), go(22, 30)),
            (Place::Known, Place::Known, Place::Known)
        );
        // Another branch that leads on from a common end is only found later; everything that meets is a fork.
        assert!(matches!(put(&lane, 7, 10, 11, 12), Place::New { .. }));
        for (fork, first, last) in [
            (4, 5, 10),
            (4, 3, 7),
            (9, 11, 12),
            (25, 22, 35),
            (15, 11, 20),
        ] {
            assert_eq!(
                put(&lane, 7, fork, first, last),
                Place::Fork,
                "{fork} {first} {last}"
            );
        }
        let other_start = Segment {
            previous: ChainHash([9; 32]),
            ..own(1, 5)
        };
        let asked = place::<Infallible>((&[], 1), &other_start, |_| Ok(None), |_| Ok(CHAIN_START));
        assert_eq!(asked.unwrap_or(Place::Known), Place::Fork);
    }

    #[test]
    fn a_lane_has_a_limited_number_of_gaps_and_the_oldest_can_always_be_filled() {
        let own = |first, last| segment(0, 9_999, first, last);
        let lane: Vec<Segment> = (0..ROOM as u64)
            .map(|n| own(1 + 3 * n, 1 + 3 * n))
            .collect();
        assert_eq!(put(&lane, 0, 9_999, 900, 901), Place::Full);
        assert!(
            matches!(put(&lane, 0, 9_999, 2, 3), Place::New { lane, .. } if lane.len() == ROOM - 1)
        );
    }

    #[test]
    fn what_the_device_has_no_more_holds_nothing_up() {
        let own = |first, last| segment(0, 9_999, first, last);
        let lane = [own(1, 10), own(21, 30), own(41, 50)];
        let told = |oldest| {
            let have = have(1, Lane::Visits, &lane, oldest);
            (have.acked, have.hash, have.beyond.len())
        };
        assert_eq!(told(0), (10, lane[0].head, 2));
        assert_eq!(told(20), (10, lane[0].head, 2));
        assert_eq!(told(21), (30, lane[1].head, 1));
        assert_eq!(told(60), (50, lane[2].head, 0));
        assert_eq!(have(1, Lane::Visits, &[], 5).acked, 0);
        let archived = |archived: &[Segment]| {
            let never = never(1, Lane::Visits, 21, &[]);
            let have = have_archived(1, Lane::Visits, &lane, archived, &never);
            (have.acked, have.archived)
        };
        assert_eq!(archived(&[]), (30, 0));
        assert_eq!(archived(&[own(1, 7)]), (30, 7));
        assert_eq!(archived(&[own(1, 10), own(21, 25)]), (30, 25));
        assert_eq!(archived(&lane), (30, 30));
        // A server restored from a backup that is older than another one.
        assert_eq!(archived(&[own(1, 90)]), (30, 30));
    }

    proptest! {
        /// Any order, any cut, duplicates, overlaps: equal numbers, equal segments.
        #[test]
        fn frames_of_one_chain_end_in_the_segments_of_their_numbers(frames in proptest::collection::vec((1u64..80, 1u64..12), 0..40)) {
            let mut lane = Vec::new();
            let mut numbers = std::collections::BTreeSet::new();
            for (first, count) in frames {
                let last = first + count - 1;
                let fresh: Vec<Seq> = (first..=last).filter(|seq| numbers.insert(*seq)).collect();
                match put(&lane, 0, 9_999, first, last) {
                    Place::Known => prop_assert!(fresh.is_empty()),
                    Place::New { parts, lane: now } => {
                        let stored: Vec<Seq> = parts.iter().flat_map(|part| part.first..=part.last).collect();
                        prop_assert_eq!(stored, fresh);
                        lane = now;
                    }
                    other => prop_assert!(false, "{:?}", other),
                }
                let there: Vec<Seq> = lane.iter().flat_map(|one| one.first..=one.last).collect();
                prop_assert_eq!(&there, &numbers.iter().copied().collect::<Vec<_>>());
                prop_assert!(lane.windows(2).all(|two| two[0].last + 1 < two[1].first));
                prop_assert!(lane.iter().all(|one| *one == segment(0, 9_999, one.first, one.last)));
            }
        }

        /// What another copy wrote after the fork is refused wherever it meets what is there, and never counts as known.
        #[test]
        fn a_frame_of_another_branch_is_never_taken_for_this_one(cuts in proptest::collection::vec((1u64..80, 1u64..12), 1..20), fork in 0u64..80, first in 1u64..90, count in 1u64..30) {
            let mut lane = Vec::new();
            for (first, count) in cuts {
                if let Place::New { lane: now, .. } = put(&lane, 0, fork, first, first + count - 1) {
                    lane = now;
                }
            }
            let last = first + count - 1;
            let there: Vec<Seq> = lane.iter().flat_map(|one| one.first..=one.last).collect();
            match put(&lane, 7, fork, first, last) {
                Place::Fork => prop_assert!(last > fork),
                Place::Known => prop_assert!(last <= fork),
                // Nothing of it meets what is there beyond the fork.
                Place::New { .. } => for seq in there {
                    prop_assert!((seq <= fork || seq + 1 < first || seq > last) && (seq != last + 1 || last <= fork));
                },
                Place::Full => prop_assert!(false),
            }
        }
    }
}
