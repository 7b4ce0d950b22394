//! Whose backlog is taken on now, and when the turn of another one comes: pure, the time comes in.
//!
//! While there is room, a frame of a backlog is done or waits in the line. When there is none, the agent is given a turn: a time of
//! its own, after all turns that were given before, and long enough for what it said waits on it. Whoever comes at its turn is let
//! in before those who have none, so that one refusal is enough, however many come back at once.

use std::collections::BTreeMap;

use trenza_shared::id::AgentId;

use super::admission::{HEAVY_MS, Limits, Load, Verdict, retry_after_s};

/// Most turns that are kept; whoever has none is spread by its id.
const TURNS_MAX: usize = 16_384;
/// Most frames of one turn: then it is others' time.
const TURN_FRAMES_MAX: u64 = 16;
/// The latest turn: an agent that waits longer asks again. Unit: ms.
const AWAY_MS_MAX: u64 = 600_000;
/// How long a turn is kept for who does not come. Unit: ms.
const KEPT_MS: u64 = 30_000;
/// A turn is told in whole seconds. Unit: ms.
const TOLD_MS: u64 = 1_000;

/// An agent's turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Turn {
    /// When it comes. Unit: ms.
    at_ms: u64,
    /// Frames it still may send then.
    frames: u64,
}

/// The turns that were given.
#[derive(Clone, Debug, Default)]
pub struct Turns {
    given: BTreeMap<AgentId, Turn>,
    /// When the last of them ends. Unit: ms.
    end_ms: u64,
    /// When turns that nobody took were last thrown away. Unit: ms.
    swept_ms: u64,
}

impl Turns {
    /// Decides about one frame of a backlog. `frames` is how many the agent is believed to have.
    pub fn admit(
        &mut self,
        now_ms: u64,
        load: Load,
        limits: Limits,
        agent: &AgentId,
        frames: impl FnOnce() -> u64,
    ) -> Verdict {
        self.sweep(now_ms);
        let idle = load.heavy < limits.heavy_max && load.waiting == 0;
        let let_in = if idle { Verdict::Now } else { Verdict::Wait };
        if let Some(turn) = self.given.get_mut(agent) {
            if turn.at_ms >= now_ms.saturating_add(TOLD_MS) && !idle {
                // It came too early: its turn stays the same.
                return later(turn.at_ms - now_ms);
            }
            if idle || load.waiting < 2 * limits.waiting_max {
                turn.frames = turn.frames.saturating_sub(1);
                if turn.frames == 0 {
                    self.given.remove(agent);
                }
                return let_in;
            }
        } else if idle || (load.waiting < limits.waiting_max && self.end_ms <= now_ms) {
            // What it has beside this frame belongs to the same turn.
            let frames = frames().clamp(1, TURN_FRAMES_MAX);
            if !idle && frames > 1 && self.given.len() < TURNS_MAX {
                let turn = Turn {
                    at_ms: now_ms,
                    frames: frames - 1,
                };
                self.given.insert(*agent, turn);
            }
            return let_in;
        }
        if self.given.len() >= TURNS_MAX && !self.given.contains_key(agent) {
            return Verdict::Later {
                retry_after_s: retry_after_s(load, limits, agent),
            };
        }
        self.give(now_ms, load, limits, agent, frames())
    }

    fn give(
        &mut self,
        now_ms: u64,
        load: Load,
        limits: Limits,
        agent: &AgentId,
        frames: u64,
    ) -> Verdict {
        let frames = frames.clamp(1, TURN_FRAMES_MAX);
        let takes_ms = |frames: u64| (frames * HEAVY_MS).div_ceil(limits.heavy_max.max(1) as u64);
        let line_ms = takes_ms((load.heavy + load.waiting) as u64);
        let at_ms = self.end_ms.max(now_ms.saturating_add(line_ms));
        let at_ms = at_ms.min(now_ms.saturating_add(AWAY_MS_MAX));
        self.end_ms = at_ms.saturating_add(takes_ms(frames));
        self.given.insert(*agent, Turn { at_ms, frames });
        later(at_ms - now_ms)
    }

    /// Forgets turns that nobody took, now and then.
    fn sweep(&mut self, now_ms: u64) {
        if now_ms.saturating_sub(self.swept_ms) >= KEPT_MS {
            self.swept_ms = now_ms;
            self.given
                .retain(|_, turn| turn.at_ms.saturating_add(KEPT_MS) > now_ms);
        }
    }
}

fn later(wait_ms: u64) -> Verdict {
    let seconds = wait_ms.div_ceil(TOLD_MS).max(1);
    Verdict::Later {
        retry_after_s: u32::try_from(seconds).unwrap_or(u32::MAX),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: Limits = Limits {
        light_max: 10,
        heavy_max: 2,
        waiting_max: 3,
    };
    const FULL: Load = Load {
        light: 0,
        heavy: 2,
        waiting: 3,
    };

    fn agent(number: u16) -> AgentId {
        let mut id = [0; 16];
        id[..2].copy_from_slice(&number.to_be_bytes());
        AgentId(id)
    }

    fn wait_s(verdict: Verdict) -> u64 {
        match verdict {
            Verdict::Later { retry_after_s } => retry_after_s.into(),
            Verdict::Now | Verdict::Wait => 0,
        }
    }

    #[test]
    fn turns_come_one_after_the_other_and_whoever_comes_at_its_turn_is_let_in() {
        let mut turns = Turns::default();
        let waits: Vec<u64> = (0..1_000)
            .map(|number| wait_s(turns.admit(0, FULL, LIMITS, &agent(number), || 4)))
            .collect();
        assert!(waits.is_sorted());
        // A thousand agents with four frames each, on two cores.
        let all_ms = 1_000 * 4 * HEAVY_MS / 2;
        assert!(waits[999].abs_diff(all_ms / 1_000) <= 1, "{}", waits[999]);
        // Whoever asks again before its turn is told the same turn.
        let again = turns.admit(2_000, FULL, LIMITS, &agent(999), || 4);
        assert_eq!(wait_s(again), waits[999] - 2);
        // A newcomer comes after all of them, although there is room in the line just now.
        let room = Load { waiting: 1, ..FULL };
        let newcomer = turns.admit(2_000, room, LIMITS, &agent(2_000), || 1);
        assert!(wait_s(newcomer) + 2 >= waits[999]);
        // At its turn an agent is let in with all of its frames, although the line is as full as newcomers may make it.
        let now_ms = waits[500] * 1_000;
        for _ in 0..4 {
            let verdict = turns.admit(now_ms, FULL, LIMITS, &agent(500), || 4);
            assert_eq!(verdict, Verdict::Wait);
        }
        assert!(wait_s(turns.admit(now_ms, FULL, LIMITS, &agent(500), || 1)) > 0);
    }

    #[test]
    fn no_core_is_idle_because_of_turns_to_come() {
        let mut turns = Turns::default();
        turns.admit(0, FULL, LIMITS, &agent(1), || 16);
        let idle = Load::default();
        for number in [1, 2] {
            let verdict = turns.admit(1, idle, LIMITS, &agent(number), || 16);
            assert_eq!(verdict, Verdict::Now);
        }
    }

    #[test]
    fn a_backlog_that_was_let_in_goes_on_before_newcomers() {
        let mut turns = Turns::default();
        let line = Load { waiting: 2, ..FULL };
        assert_eq!(turns.admit(0, line, LIMITS, &agent(1), || 2), Verdict::Wait);
        assert!(wait_s(turns.admit(0, FULL, LIMITS, &agent(2), || 2)) > 0);
        assert_eq!(turns.admit(5, FULL, LIMITS, &agent(1), || 1), Verdict::Wait);
        assert!(wait_s(turns.admit(6, FULL, LIMITS, &agent(1), || 1)) > 0);
    }

    proptest! {
        /// Whatever comes: the line has an end, nobody is sent away for longer than ten minutes, and nothing is kept for ever.
        #[test]
        fn limits_hold(asked in proptest::collection::vec((0_u64..5_000, 0_usize..4, 0_usize..12, 0_u16..40, 0_u64..100), 0..200)) {
            let (mut turns, mut now_ms) = (Turns::default(), 0);
            for (passed_ms, heavy, waiting, number, frames) in asked {
                now_ms += passed_ms;
                let load = Load { light: 0, heavy, waiting };
                match turns.admit(now_ms, load, LIMITS, &agent(number), || frames) {
                    Verdict::Now => prop_assert!(heavy < 2 && waiting == 0),
                    Verdict::Wait => prop_assert!(waiting < 2 * LIMITS.waiting_max),
                    Verdict::Later { retry_after_s } => prop_assert!((1..=600).contains(&retry_after_s)),
                }
                prop_assert!(turns.given.len() <= 40);
            }
            turns.admit(now_ms + AWAY_MS_MAX + 2 * KEPT_MS, Load::default(), LIMITS, &agent(99), || 1);
            prop_assert!(turns.given.is_empty());
        }
    }
}
