//! What of the numbers that an agent gave out is not stored here: given up, come again under other numbers, or missing. Pure.
//!
//! Owns the one rule by which the fleet and the proof count.

use trenza_shared::{
    id::{Epoch, Lane, Seq},
    wire::{
        dropped::{self as ranges, Dropped},
        sync::{Began, LaneHead, Segment},
    },
};

use super::{
    began,
    dropped::{self, Range},
    fleet::Gap,
    place,
};

/// What an agent said of a lane.
#[derive(Clone, Copy, Default)]
pub struct Said<'a> {
    /// The lane, where it still names it.
    pub head: Option<&'a LaneHead>,
    /// What it gave up of it.
    pub given_up: &'a [Dropped],
    /// How it began anew the last time.
    pub began: Option<&'a Began>,
    /// And the times before that, joined.
    pub earlier: Option<&'a Began>,
}

/// What of a lane is not stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lacking {
    /// The last number that is known to have been given out.
    pub head: Seq,
    /// Given up for want of room.
    pub dropped: Vec<Range>,
    /// How many come, or came, under other numbers.
    pub again: u64,
    /// The rest.
    pub gaps: Vec<Gap>,
    /// Whether it is not known yet what of them is lost: the agent still reads a store that was damaged.
    pub unsure: bool,
}

/// What of a lane, of which so much is stored, is not.
pub fn lacking((epoch, lane): (Epoch, Lane), segments: &[Segment], said: Said<'_>) -> Lacking {
    let have = place::have(epoch, lane, segments, 0);
    let upto = said.given_up.iter().map(|one| one.last).max().unwrap_or(0);
    let all = || [said.began, said.earlier].into_iter().flatten();
    let ends = all().map(|began| began::end(began, (epoch, lane)));
    let ended = ends.max().unwrap_or(0);
    // Frames come after the hello that announced them, so what is stored may be ahead of what was said.
    let on_it = said.head.map_or(0, |head| head.seq.max(have.last()));
    let head = on_it.max(have.last()).max(upto).max(ended);
    let (dropped, mut missing) = dropped::part(segments, &have.missing(1, head), said.given_up);
    let mut again = 0;
    for began in all() {
        let (found, still) = ranges::part(&missing, &began::back(began, (epoch, lane)));
        again += found
            .iter()
            .map(|run| run.end() - run.start() + 1)
            .sum::<u64>();
        missing = still;
    }
    let searching = said.began.is_some_and(|began| began.searching);
    let (mut gaps, mut unsure) = (Vec::new(), false);
    for gap in missing {
        let (first, last) = (*gap.start(), *gap.end());
        // What was given out after its end is not in the lane any more; it may stand aside.
        for (from, to, there) in [
            (first, last.min(on_it), true),
            (first.max(on_it + 1), last, false),
        ] {
            if from <= to {
                unsure |= !there && searching;
                let held = there && said.head.is_some_and(|head| head.oldest <= from);
                gaps.push(Gap {
                    epoch,
                    lane,
                    from,
                    to,
                    on_device: held || !there && searching,
                });
            }
        }
    }
    Lacking {
        head,
        dropped,
        again,
        gaps,
        unsure,
    }
}

#[cfg(test)]
mod tests {
    use trenza_shared::{
        id::ChainHash,
        wire::sync::{LaneEnd, LaneRun},
    };

    use super::*;

    const LANE: (Epoch, Lane) = (1, Lane::Visits);

    fn stored(first: Seq, last: Seq) -> Segment {
        Segment {
            first,
            last,
            previous: ChainHash([0; 32]),
            head: ChainHash([0; 32]),
        }
    }

    fn began(end: Seq, back: &[(Seq, Seq)], searching: bool) -> Began {
        let run = |(first, last): &(Seq, Seq)| LaneRun {
            epoch: 1,
            lane: Lane::Visits,
            first: *first,
            last: *last,
        };
        Began {
            epoch: 2,
            at_ms: 0,
            ends: vec![LaneEnd {
                epoch: 1,
                lane: Lane::Visits,
                seq: end,
            }],
            aside: true,
            back: back.iter().map(run).collect(),
            searching,
        }
    }

    fn gaps(lacking: &Lacking) -> Vec<(Seq, Seq, bool)> {
        let gaps = lacking.gaps.iter();
        gaps.map(|gap| (gap.from, gap.to, gap.on_device)).collect()
    }

    #[test]
    fn what_was_given_out_is_stored_comes_again_or_is_missing() {
        let segments = [stored(1, 40), stored(51, 60)];
        for (back, searching, again, missing) in [
            (vec![], true, 0, vec![(41, 50, true), (61, 100, true)]),
            (vec![], false, 0, vec![(41, 50, false), (61, 100, false)]),
            // In any order, over what is stored too, and beyond the end.
            (
                vec![(70, 130), (30, 44)],
                false,
                35,
                vec![(45, 50, false), (61, 69, false)],
            ),
            (vec![(1, 100)], false, 50, vec![]),
            (vec![(9, 3), (0, u64::MAX)], false, 50, vec![]),
        ] {
            let began = began(100, &back, searching);
            let said = Said {
                began: Some(&began),
                ..Said::default()
            };
            let found = lacking(LANE, &segments, said);
            assert_eq!((found.head, found.again), (100, again), "{back:?}");
            assert_eq!(gaps(&found), missing, "{back:?}");
            assert_eq!(found.unsure, searching, "{back:?}");
        }
    }

    #[test]
    fn what_an_agent_still_holds_of_a_lane_is_on_the_device_and_what_it_gave_out_beyond_is_not() {
        let head = LaneHead {
            epoch: 1,
            lane: Lane::Visits,
            seq: 20,
            hash: ChainHash([0; 32]),
            oldest: 11,
        };
        let began = began(30, &[], false);
        let said = Said {
            head: Some(&head),
            began: Some(&began),
            ..Said::default()
        };
        let found = lacking(LANE, &[stored(1, 10)], said);
        assert_eq!(gaps(&found), [(11, 20, true), (21, 30, false)]);
    }

    #[test]
    fn what_was_lost_before_the_last_beginning_stays_lost() {
        let (last, earlier) = (began(5, &[], false), began(100, &[(61, 80)], true));
        let said = Said {
            began: Some(&last),
            earlier: Some(&earlier),
            ..Said::default()
        };
        let found = lacking(LANE, &[stored(1, 60)], said);
        assert_eq!((found.head, found.again), (100, 20));
        assert_eq!(gaps(&found), [(81, 100, false)]);
    }
}
