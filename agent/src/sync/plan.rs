//! What to send next, how long to wait, by how much the clocks differ: pure decisions of sync.
//!
//! Never reads a clock, a store or a random number: all come in.

use std::collections::VecDeque;

use trenza_shared::{
    id::{Epoch, Lane, Seq},
    skew::Fact,
    wire::sync::LaneHave,
};

use crate::{link, log::Heads};

/// Talks remembered for the clock offset.
const SAMPLES_MAX: usize = 8;
/// Share of a `Retry-After` that is added at random, so that many agents do not come back at once.
const RETRY_AFTER_SPREAD: f64 = 0.25;

/// From where one lane goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Push {
    /// Life of the log.
    pub epoch: Epoch,
    /// Which of its logs.
    pub lane: Lane,
    /// The server has everything up to here.
    pub after: Seq,
    /// The lane ends here.
    pub head: Seq,
}

/// The lane to send from next: urgent ones first, then older lives first; none when the server has everything.
/// `stuck` are lanes that cannot go on now.
pub fn next_push(heads: &Heads, have: &[LaneHave], stuck: &[(Epoch, Lane)]) -> Option<Push> {
    Lane::ALL.into_iter().find_map(|lane| {
        heads
            .iter()
            .filter(|((epoch, of), _)| *of == lane && !stuck.contains(&(*epoch, lane)))
            .map(|((epoch, _), head)| Push {
                epoch: *epoch,
                lane,
                after: link::acked(have, *epoch, lane),
                head: head.seq,
            })
            .find(|push| push.after < push.head)
    })
}

/// How long to wait before the next try. Unit: ms.
#[derive(Clone, Copy, Debug)]
pub struct BackOff {
    /// Longest wait before the first retry. Unit: ms.
    pub min_ms: u64,
    /// Longest wait at all. Unit: ms.
    pub max_ms: u64,
}

impl BackOff {
    /// Doubles with every failure up to the cap; full jitter is applied after the cap, so that the spread stays at the cap.
    /// `random` is in 0..1. A server's `Retry-After` is never undercut.
    pub fn wait_ms(self, failures: u32, retry_after_s: Option<u64>, random: f64) -> u64 {
        let cap = self
            .min_ms
            .saturating_mul(1 << failures.saturating_sub(1).min(32))
            .min(self.max_ms);
        let random = random.clamp(0.0, 1.0);
        let jittered = (cap as f64 * random) as u64;
        match retry_after_s {
            None => jittered,
            Some(asked_s) => {
                let asked_ms = asked_s.saturating_mul(1000);
                asked_ms
                    .saturating_add((asked_ms as f64 * RETRY_AFTER_SPREAD * random) as u64)
                    .max(jittered)
            }
        }
    }
}

/// One talk, in the four instants of NTP; the agent's own by the boot clock, which nobody sets.
#[derive(Clone, Copy, Debug)]
pub struct Talk {
    /// Boot clock when the hello went out. Unit: ms.
    pub sent_boot_ms: u64,
    /// Boot clock when the answer was here. Unit: ms.
    pub answered_boot_ms: u64,
    /// Server's wall clock when the hello came. Unit: ms since 1970.
    pub received_ms: i64,
    /// Server's wall clock when the answer went out. Unit: ms since 1970.
    pub replied_ms: i64,
}

/// The difference of the clocks, from the most telling of the last talks.
#[derive(Clone, Debug, Default)]
pub struct Offsets(VecDeque<Fact>);

impl Offsets {
    /// Takes in a talk. Where one of the clocks was set since, what was measured before counts no more.
    pub fn add(&mut self, talk: Talk) {
        let boot = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
        let away_ms = boot(talk.answered_boot_ms.saturating_sub(talk.sent_boot_ms));
        let there_ms = talk.replied_ms.saturating_sub(talk.received_ms);
        let offset = (talk.received_ms.saturating_sub(boot(talk.sent_boot_ms)))
            .saturating_add(talk.replied_ms.saturating_sub(boot(talk.answered_boot_ms)))
            / 2;
        let fact = Fact {
            round_trip_ms: u64::try_from(away_ms.saturating_sub(there_ms)).unwrap_or(0),
            boottime_ms: talk.answered_boot_ms,
            server_ms: offset.saturating_add(boot(talk.answered_boot_ms)),
        };
        self.0.retain(|known| !known.contradicts(&fact));
        if self.0.len() == SAMPLES_MAX {
            self.0.pop_front();
        }
        self.0.push_back(fact);
    }

    /// The measurement that says most about now: a quick one, and not too long ago.
    pub fn best(&self, boot_ms: u64) -> Option<Fact> {
        let error = |fact: &&Fact| fact.at(boot_ms).confidence_ms;
        self.0.iter().min_by_key(error).copied()
    }

    /// The server's clock less ours, now. Unit: ms.
    pub fn offset_ms(&self, wall_ms: i64, boot_ms: u64) -> Option<i64> {
        let best = self.best(boot_ms)?;
        Some(best.at(boot_ms).at_ms.saturating_sub(wall_ms))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use trenza_shared::{id::ChainHash, wire::entry::CHAIN_START};

    use super::*;
    use crate::log::Head;

    fn heads(list: &[(Epoch, Lane, Seq)]) -> Heads {
        list.iter()
            .map(|(epoch, lane, seq)| {
                (
                    (*epoch, *lane),
                    Head {
                        seq: *seq,
                        hash: CHAIN_START,
                    },
                )
            })
            .collect()
    }

    fn have(epoch: Epoch, lane: Lane, acked: Seq) -> LaneHave {
        LaneHave {
            epoch,
            lane,
            acked,
            hash: ChainHash([0; 32]),
            archived: acked,
            ..LaneHave::nothing(epoch, lane)
        }
    }

    #[test]
    fn urgent_things_go_first_and_older_lives_before_newer() {
        let heads = heads(&[
            (1, Lane::Visits, 5),
            (2, Lane::Urgent, 1),
            (2, Lane::Visits, 9),
        ]);
        let mut had = vec![];
        let push = next_push(&heads, &had, &[]).unwrap();
        assert_eq!((push.epoch, push.lane, push.after), (2, Lane::Urgent, 0));
        had.push(have(2, Lane::Urgent, 1));
        assert_eq!(next_push(&heads, &had, &[]).unwrap().epoch, 1);
        had.push(have(1, Lane::Visits, 5));
        assert_eq!(
            next_push(&heads, &had, &[]).unwrap(),
            Push {
                epoch: 2,
                lane: Lane::Visits,
                after: 0,
                head: 9
            }
        );
        assert_eq!(next_push(&heads, &had, &[(2, Lane::Visits)]), None);
        had.push(have(2, Lane::Visits, 9));
        assert_eq!(next_push(&heads, &had, &[]), None);
        assert_eq!(link::waiting(&heads, &had), 0);
    }

    proptest! {
        #[test]
        fn sending_what_is_planned_ends_with_everything_sent(lanes in proptest::collection::btree_map((1u32..4, 0usize..3), 0u64..3000, 0..6), step in 1u64..1000) {
            let heads: Heads = lanes.into_iter().map(|((epoch, lane), seq)| ((epoch, Lane::ALL[lane]), Head { seq, hash: CHAIN_START })).collect();
            let mut had: Vec<LaneHave> = vec![];
            let unsent = |had: &[LaneHave]| -> u64 { heads.iter().map(|((epoch, lane), head)| head.seq - link::acked(had, *epoch, *lane)).sum() };
            let mut left = unsent(&had);
            while let Some(push) = next_push(&heads, &had, &[]) {
                had.retain(|have| (have.epoch, have.lane) != (push.epoch, push.lane));
                had.push(have(push.epoch, push.lane, (push.after + step).min(push.head)));
                let now = unsent(&had);
                prop_assert!(now < left);
                left = now;
            }
            prop_assert_eq!(left, 0);
        }

        #[test]
        fn a_wait_is_spread_over_the_whole_cap_and_never_undercuts_the_server(failures in 0u32..80, random in 0.0f64..1.0, after in proptest::option::of(0u64..4000)) {
            let back_off = BackOff { min_ms: 1_000, max_ms: 60_000 };
            let wait = back_off.wait_ms(failures, after, random);
            prop_assert!(wait <= 60_000.max(after.unwrap_or(0) * 1250));
            prop_assert!(wait >= after.unwrap_or(0) * 1000);
            if after.is_none() && failures > 10 {
                prop_assert_eq!(wait, (60_000.0 * random) as u64);
            }
        }
    }

    #[test]
    fn the_quickest_talk_tells_the_clock_and_setting_ours_changes_only_the_difference() {
        let mut offsets = Offsets::default();
        assert_eq!(offsets.offset_ms(0, 0), None);
        // 100 ms each way: the server's clock is 5 s ahead of a wall clock that says 1_000_000 at boot.
        offsets.add(Talk {
            sent_boot_ms: 0,
            answered_boot_ms: 200,
            received_ms: 1_005_100,
            replied_ms: 1_005_100,
        });
        // A slow, lopsided one.
        offsets.add(Talk {
            sent_boot_ms: 1_000,
            answered_boot_ms: 9_000,
            received_ms: 1_013_900,
            replied_ms: 1_013_900,
        });
        assert_eq!(offsets.offset_ms(1_010_000, 10_000), Some(5_000));
        assert_eq!(
            offsets.offset_ms(1_010_000 + 3_600_000, 10_000),
            Some(5_000 - 3_600_000)
        );
        // The server's clock is set back: what was known before is worth nothing, at once.
        for n in 0..20 {
            offsets.add(Talk {
                sent_boot_ms: 20_000 + n,
                answered_boot_ms: 20_000 + n,
                received_ms: 7 + n as i64,
                replied_ms: 7 + n as i64,
            });
            assert_eq!(offsets.best(20_000 + n).unwrap().at(20_000).at_ms / 100, 0);
        }
        assert_eq!(offsets.0.len(), SAMPLES_MAX);
    }

    #[test]
    fn a_quick_talk_of_three_days_ago_says_less_than_a_slow_one_of_now() {
        let mut offsets = Offsets::default();
        let talk = |boot: u64, server: i64, away: u64| Talk {
            sent_boot_ms: boot,
            answered_boot_ms: boot + away,
            received_ms: server,
            replied_ms: server,
        };
        // Over three days asleep the boot clock lost 10 s.
        let asleep = 3 * 86_400_000;
        offsets.add(talk(0, 1_000_000, 2));
        offsets.add(talk(asleep, 1_000_000 + asleep as i64 + 10_000, 400));
        let now = offsets.best(asleep + 400).unwrap().at(asleep + 400);
        assert_eq!(now.at_ms, 1_000_000 + asleep as i64 + 10_200);
        assert_eq!(now.confidence_ms, 201);
    }
}
