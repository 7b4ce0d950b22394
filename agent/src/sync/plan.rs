//! What to send next, how long to wait, by how much the clocks differ: pure decisions of sync.
//!
//! Never reads a clock, a store or a random number: all come in.

use std::{collections::VecDeque, ops::RangeInclusive};

use trenza_shared::{
    id::{Epoch, Lane, Seq},
    skew::Fact,
    wire::sync::{LaneHave, SEGMENTS_MAX},
};

use crate::{link, log::Heads};

/// Gaps of a lane on the server from which on nothing more is sent out of order: it keeps a limited number.
const GAPS_MAX: usize = SEGMENTS_MAX / 2;
/// Talks remembered for the clock offset.
const SAMPLES_MAX: usize = 8;
/// Share of a `Retry-After` that is added at random, so that many agents do not come back at once.
const RETRY_AFTER_SPREAD: f64 = 0.25;

/// A run of numbers of one lane.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stretch {
    /// Life of the log.
    pub epoch: Epoch,
    /// Which of its logs.
    pub lane: Lane,
    /// The first number.
    pub first: Seq,
    /// The last.
    pub last: Seq,
}

impl Stretch {
    /// Whether all of `other` lies in it.
    pub fn holds(&self, other: &Self) -> bool {
        (self.epoch, self.lane) == (other.epoch, other.lane)
            && self.first <= other.first
            && other.last <= self.last
    }
}

/// What may be sent next.
#[derive(Clone, Copy, Debug)]
pub enum Want<'a> {
    /// What must not wait for a backlog: the lanes that never have one, and visits taken in after these ends.
    Live(&'a Heads),
    /// Anything: urgent lanes first, then the oldest.
    Any,
}

/// What to send from next; none when the server has everything, or it is on the way. `busy` is not to be sent: it is on the way, or
/// no longer on the device.
pub fn next_push(
    heads: &Heads,
    have: &[LaneHave],
    busy: &[Stretch],
    want: Want<'_>,
) -> Option<Stretch> {
    Lane::ALL.into_iter().find_map(|lane| {
        heads
            .iter()
            .filter(|((_, of), _)| *of == lane)
            .find_map(|((epoch, _), head)| {
                let have = link::have(have, *epoch, lane);
                let first = match want {
                    // It waits behind every visit.
                    Want::Live(_) if lane == Lane::Low => return None,
                    Want::Live(ends) if lane == Lane::Visits => {
                        if have.beyond.len() >= GAPS_MAX {
                            return None;
                        }
                        ends.get(&(*epoch, lane)).map_or(0, |end| end.seq) + 1
                    }
                    _ => 1,
                };
                let run = free(have.missing(first, head.seq), *epoch, lane, busy)?;
                Some(Stretch {
                    epoch: *epoch,
                    lane,
                    first: *run.start(),
                    last: *run.end(),
                })
            })
    })
}

/// The first part of `missing` that is not busy.
fn free(
    missing: Vec<RangeInclusive<Seq>>,
    epoch: Epoch,
    lane: Lane,
    busy: &[Stretch],
) -> Option<RangeInclusive<Seq>> {
    let mut busy: Vec<&Stretch> = busy
        .iter()
        .filter(|one| one.epoch == epoch && one.lane == lane)
        .collect();
    busy.sort_by_key(|one| one.first);
    missing.into_iter().find_map(|run| {
        let (mut first, mut last) = run.into_inner();
        for one in &busy {
            if one.first <= first {
                first = first.max(one.last.saturating_add(1));
            } else {
                last = last.min(one.first - 1);
                break;
            }
        }
        (first <= last).then_some(first..=last)
    })
}

/// Longest wait while nobody answers at the server's address: such a try costs a packet and no work of a server's, and when it is
/// back all devices come within this time, which its admission is made for. Unit: ms.
pub const NOBODY_WAIT_MS_MAX: u64 = 5_000;

/// How long to wait with a backlog that the server has no time for: its turn comes in `asked_s`, a second long. `random` is in 0..1.
/// Unit: ms.
pub fn backlog_wait_ms(asked_s: u64, random: f64) -> u64 {
    let within_ms = if asked_s == 0 {
        0.0
    } else {
        1_000.0 * random.clamp(0.0, 1.0)
    };
    asked_s
        .saturating_mul(1_000)
        .saturating_add(within_ms as u64)
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
    use trenza_shared::{
        id::ChainHash,
        wire::{entry::CHAIN_START, sync::Segment},
    };

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

    /// What a server says that has these numbers.
    fn stored(epoch: Epoch, lane: Lane, seqs: &std::collections::BTreeSet<Seq>) -> LaneHave {
        let mut told = LaneHave::nothing(epoch, lane);
        for &seq in seqs {
            match told.beyond.last_mut() {
                Some(open) if open.last + 1 == seq => open.last = seq,
                None if told.acked + 1 == seq => told.acked = seq,
                _ => told.beyond.push(Segment {
                    first: seq,
                    last: seq,
                    previous: CHAIN_START,
                    head: CHAIN_START,
                }),
            }
        }
        told
    }

    #[test]
    fn urgent_things_go_first_and_older_lives_before_newer() {
        let heads = heads(&[
            (1, Lane::Visits, 5),
            (2, Lane::Urgent, 1),
            (2, Lane::Visits, 9),
        ]);
        let mut had = vec![];
        let next = |had: &[LaneHave], busy: &[Stretch]| next_push(&heads, had, busy, Want::Any);
        let all = |epoch, lane, last| Stretch {
            epoch,
            lane,
            first: 1,
            last,
        };
        assert_eq!(next(&had, &[]), Some(all(2, Lane::Urgent, 1)));
        had.push(have(2, Lane::Urgent, 1));
        assert_eq!(next(&had, &[]), Some(all(1, Lane::Visits, 5)));
        had.push(have(1, Lane::Visits, 5));
        assert_eq!(next(&had, &[]), Some(all(2, Lane::Visits, 9)));
        assert_eq!(next(&had, &[all(2, Lane::Visits, 9)]), None);
        had.push(have(2, Lane::Visits, 9));
        assert_eq!(next(&had, &[]), None);
        assert_eq!(link::waiting(&heads, &had, &Default::default()), 0);
    }

    #[test]
    fn what_is_live_does_not_wait_for_a_backlog() {
        let then = heads(&[(1, Lane::Visits, 100_000)]);
        let now = heads(&[(1, Lane::Visits, 100_003), (1, Lane::Urgent, 2)]);
        let at = |lane, first, last| Stretch {
            epoch: 1,
            lane,
            first,
            last,
        };
        let mut had = vec![have(1, Lane::Visits, 40)];
        let sent = [at(Lane::Visits, 41, 1_040)];
        let live =
            |had: &[LaneHave], busy: &[Stretch]| next_push(&now, had, busy, Want::Live(&then));
        assert_eq!(live(&had, &sent), Some(at(Lane::Urgent, 1, 2)));
        had.push(have(1, Lane::Urgent, 2));
        assert_eq!(live(&had, &sent), Some(at(Lane::Visits, 100_001, 100_003)));
        let any = next_push(&now, &had, &sent, Want::Any);
        assert_eq!(any, Some(at(Lane::Visits, 1_041, 100_003)));
        let on_the_way = [sent[0], at(Lane::Visits, 100_001, 100_002)];
        assert_eq!(
            live(&had, &on_the_way),
            Some(at(Lane::Visits, 100_003, 100_003))
        );
        let any = next_push(&now, &had, &on_the_way, Want::Any);
        assert_eq!(any, Some(at(Lane::Visits, 1_041, 100_000)));
        // A server that keeps many gaps of the lane gets the oldest ones first.
        had[0].beyond = (0..GAPS_MAX as u64)
            .map(|n| Segment {
                first: 2_000 + 2 * n,
                last: 2_000 + 2 * n,
                previous: CHAIN_START,
                head: CHAIN_START,
            })
            .collect();
        assert_eq!(live(&had, &sent), None);
    }

    proptest! {
        /// However answers come and frames are cut, nothing is sent twice at a time, and in the end the server has everything.
        #[test]
        fn sending_what_is_planned_ends_with_everything_sent(
            lanes in proptest::collection::btree_map((1u32..4, 0usize..Lane::ALL.len()), 0u64..300, 0..6),
            live_from in 0u64..300, steps in proptest::collection::vec((1u64..90, any::<bool>(), 0usize..4), 1..40),
        ) {
            let heads: Heads = lanes.into_iter().map(|((epoch, lane), seq)| ((epoch, Lane::ALL[lane]), Head { seq, hash: CHAIN_START })).collect();
            let ends: Heads = heads.iter().map(|(key, head)| (*key, Head { seq: head.seq.min(live_from), ..*head })).collect();
            let mut server: std::collections::BTreeMap<(Epoch, Lane), std::collections::BTreeSet<Seq>> = Default::default();
            let mut busy: Vec<Stretch> = vec![];
            let rest = [(300u64, false, 0usize)];
            for (count, live, waits) in steps.iter().chain(rest.iter().cycle().take(2_000)) {
                let had: Vec<LaneHave> = server.iter().map(|((epoch, lane), seqs)| stored(*epoch, *lane, seqs)).collect();
                let left: usize = heads.iter().map(|(key, head)| head.seq as usize - server.get(key).map_or(0, |seqs| seqs.len())).sum();
                prop_assert!(link::waiting(&heads, &had, &Default::default()) <= left as u64);
                let want = if *live { Want::Live(&ends) } else { Want::Any };
                let push = next_push(&heads, &had, &busy, want);
                if push.is_none() && busy.is_empty() && !live {
                    break;
                }
                if let Some(push) = push {
                    let sent = Stretch { last: push.last.min(push.first + count - 1), ..push };
                    prop_assert!(busy.iter().all(|one| (one.epoch, one.lane) != (sent.epoch, sent.lane) || one.last < sent.first || one.first > sent.last));
                    busy.push(sent);
                }
                // Answers come late, and the last one first.
                while busy.len() > *waits {
                    if let Some(one) = busy.pop() {
                        server.entry((one.epoch, one.lane)).or_default().extend(one.first..=one.last);
                    }
                }
            }
            prop_assert!(heads.iter().all(|(key, head)| server.get(key).map_or(0, |seqs| seqs.len()) as u64 == head.seq));
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
