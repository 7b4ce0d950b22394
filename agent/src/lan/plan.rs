//! What one agent gives another, and when a carrier brings something to the server: pure decisions.
//!
//! Never reads a clock, a store or a network: all come in.

use trenza_shared::{
    id::AgentId,
    wire::{
        carried::{Ask, Held},
        sync::LaneHave,
    },
};

/// What `giver` holds and `taker` lacks, but for what `taker` captured itself: from where to go on in each lane.
///
/// A lane is taken on its end: what lies before what the giver still holds is on the server already, or cannot come this way.
pub fn missing(giver: &[Held], taker: &[Held], taker_is: AgentId) -> Vec<Ask> {
    let foreign = giver.iter().filter(|lane| lane.name.agent != taker_is);
    foreign
        .filter_map(|lane| {
            let begins = lane.first.saturating_sub(1);
            let after = match taker.iter().find(|held| held.name == lane.name) {
                Some(held) if held.last >= lane.last => return None,
                Some(held) => held.last.max(begins),
                None => begins,
            };
            (after < lane.last).then_some(Ask {
                name: lane.name,
                after,
            })
        })
        .collect()
}

/// What was heard of an agent, by the boot clock of who heard it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Heard {
    /// The server answered it.
    pub uplink: bool,
    /// When it said so. Unit: ms since boot.
    pub at_boot_ms: u64,
}

impl Heard {
    /// It was heard within the last `fresh_ms`.
    pub fn is_fresh(&self, now_boot_ms: u64, fresh_ms: u64) -> bool {
        now_boot_ms.saturating_sub(self.at_boot_ms) <= fresh_ms
    }
}

/// By how much what a third one passes on must be later to count: less may only be the time that it was on its way, and two that tell
/// each other of one that is gone would keep it alive. Unit: ms.
const HEARSAY_MS_MIN: u64 = 2_000;

/// Whether what was heard replaces what was known; `itself` says that the agent spoke of itself.
pub fn is_news(known: Option<Heard>, heard: Heard, itself: bool) -> bool {
    let margin_ms = if itself { 1 } else { HEARSAY_MS_MIN };
    known.is_none_or(|known| heard.at_boot_ms >= known.at_boot_ms.saturating_add(margin_ms))
}

/// Whether a carrier brings what `origin` captured to the server: not while the origin says that it can do so itself, so that
/// nothing travels twice where every agent has a way to the server. The server places what comes twice all the same.
pub fn brings(origin: Option<Heard>, now_boot_ms: u64, fresh_ms: u64) -> bool {
    !origin.is_some_and(|heard| heard.uplink && heard.is_fresh(now_boot_ms, fresh_ms))
}

/// Whether a carried frame may go: all of it is on the server, or the server will never take it; and it was kept long enough.
pub fn may_go(
    have: Option<&LaneHave>,
    refused: bool,
    first: u64,
    last: u64,
    taken_ms: i64,
    before_ms: i64,
) -> bool {
    let there = have.is_some_and(|have| have.missing(first, last).is_empty());
    (there || refused) && taken_ms < before_ms
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use trenza_shared::{
        id::{ChainHash, Lane, Seq},
        wire::carried::LaneName,
    };

    use super::*;

    fn name(agent: u8) -> LaneName {
        LaneName {
            agent: AgentId([agent; 16]),
            epoch: 1,
            lane: Lane::Visits,
        }
    }

    /// What agents hold: of each origin, from a first to a last number.
    type Holding = BTreeMap<u8, (Seq, Seq)>;

    fn held(holding: &Holding) -> Vec<Held> {
        holding
            .iter()
            .map(|(agent, (first, last))| Held {
                name: name(*agent),
                first: *first,
                last: *last,
                head: ChainHash([0; 32]),
            })
            .collect()
    }

    /// One exchange: both give what the other lacks.
    fn exchange(here: u8, there: u8, all: &mut [Holding]) {
        for (giver, taker) in [(here, there), (there, here)] {
            let (from, to) = (held(&all[giver as usize]), held(&all[taker as usize]));
            for ask in missing(&from, &to, AgentId([taker; 16])) {
                let origin = ask.name.agent.0[0];
                let last = all[giver as usize][&origin].1;
                let entry = all[taker as usize]
                    .entry(origin)
                    .or_insert((ask.after + 1, ask.after));
                assert!(ask.after >= entry.1, "nothing is given twice");
                entry.1 = last;
            }
        }
    }

    /// What each captured, and who meets whom.
    type Story = (Vec<(Seq, Seq)>, Vec<(u8, u8)>);

    fn any_meetings() -> impl Strategy<Value = Story> {
        (
            proptest::collection::vec((1u64..50, 0u64..50), 4),
            proptest::collection::vec((0u8..4, 0u8..4), 0..12),
        )
    }

    proptest! {
        #[test]
        fn whoever_meets_in_whatever_order_all_hold_the_same_once_all_have_met((own, meetings) in any_meetings()) {
            let mut all: Vec<Holding> = (0u8..)
                .zip(&own)
                .map(|(agent, (first, more))| Holding::from([(agent, (*first, first + more))]))
                .collect();
            for (here, there) in meetings.into_iter().filter(|(here, there)| here != there) {
                exchange(here, there, &mut all);
            }
            // A line of neighbours: the ends never meet.
            for _ in 0..4 {
                for here in 0..3u8 {
                    exchange(here, here + 1, &mut all);
                }
            }
            for holding in &all {
                prop_assert_eq!(holding.len(), 4);
                for (origin, (_, last)) in holding {
                    prop_assert_eq!(*last, own[*origin as usize].0 + own[*origin as usize].1);
                }
            }
            for here in 0..4u8 {
                for there in 0..4u8 {
                    let (one, other) = (held(&all[here as usize]), held(&all[there as usize]));
                    prop_assert!(missing(&one, &other, AgentId([there; 16])).is_empty());
                }
            }
        }
    }

    #[test]
    fn two_that_speak_of_one_who_is_gone_do_not_keep_it_alive() {
        let heard = |at_boot_ms| Heard {
            uplink: true,
            at_boot_ms,
        };
        // It said something at 10 s and is gone. Half a second passes on each way, a meeting every second.
        let (mut here, mut there) = (heard(10_000), heard(10_000));
        for now_ms in (10_000..60_000).step_by(1_000) {
            let (of_here, of_there) = (here, there);
            for (known, other) in [(&mut here, of_there), (&mut there, of_here)] {
                let age_ms = now_ms - other.at_boot_ms;
                let told = heard(now_ms + 500 - age_ms);
                if is_news(Some(*known), told, false) {
                    *known = told;
                }
            }
        }
        assert!(!here.is_fresh(60_000, 10_000) && !there.is_fresh(60_000, 10_000));
        assert!(is_news(Some(heard(10_000)), heard(10_001), true));
        assert!(is_news(Some(heard(10_000)), heard(12_000), false));
        assert!(is_news(None, heard(0), false));
    }

    #[test]
    fn a_carrier_brings_only_what_its_origin_cannot() {
        let heard = |uplink, at_boot_ms| Some(Heard { uplink, at_boot_ms });
        assert!(brings(None, 50, 10));
        assert!(brings(heard(false, 50), 50, 10));
        assert!(!brings(heard(true, 45), 50, 10));
        assert!(brings(heard(true, 39), 50, 10), "it fell silent");
    }

    #[test]
    fn only_what_the_server_has_or_never_takes_may_go() {
        let have = LaneHave {
            acked: 10,
            ..LaneHave::nothing(1, Lane::Visits)
        };
        assert!(may_go(Some(&have), false, 5, 10, 1, 2));
        assert!(!may_go(Some(&have), false, 5, 10, 2, 2), "too young");
        assert!(!may_go(Some(&have), false, 5, 11, 1, 2), "not there");
        assert!(!may_go(None, false, 5, 10, 1, 2), "nobody asked yet");
        assert!(may_go(None, true, 5, 10, 1, 2));
    }
}
