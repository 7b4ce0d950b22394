//! Whether a request of an agent is taken on at once, has to wait, or is to come again later: a pure decision by load.
//!
//! What is light (a hello, a frame of a few live events) goes before what is heavy (a frame of a backlog), so that a visit of now
//! does not wait for weeks of others. Nobody is refused before the limits are reached; then the agents are told to come back one
//! after the other, each at a time of its own: a backlog at its turn, what is light spread by its id.

use trenza_shared::id::AgentId;

/// Longest body of a light request; one that does not say its length is heavy. Unit: bytes.
pub const LIGHT_BYTES_MAX: u64 = 16 * 1024;
/// What a light request costs, roughly. Unit: ms of one core.
pub const LIGHT_MS: u64 = 1;
/// What a heavy one costs, roughly: a full frame's thousand links, and its share of a commit. Unit: ms of one core.
pub const HEAVY_MS: u64 = 25;
/// Shortest time over which refused agents are spread. Unit: s.
const SPREAD_S_MIN: u64 = 2;
/// Longest. Unit: s.
const SPREAD_S_MAX: u64 = 60;

/// How much a request asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Weight {
    /// A hello, or a frame of a few events.
    Light,
    /// A frame of a backlog.
    Heavy,
}

impl Weight {
    /// Of a request whose body says that it has so many bytes.
    pub fn of(body_bytes: Option<u64>) -> Self {
        if body_bytes.is_some_and(|bytes| bytes <= LIGHT_BYTES_MAX) {
            Self::Light
        } else {
            Self::Heavy
        }
    }
}

/// What is being done now.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Load {
    /// Light requests.
    pub light: usize,
    /// Heavy requests.
    pub heavy: usize,
    /// Heavy requests that wait for their turn, their bodies not yet read.
    pub waiting: usize,
}

/// How much may be done at a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Most light requests.
    pub light_max: usize,
    /// Most heavy requests.
    pub heavy_max: usize,
    /// Most heavy requests that wait.
    pub waiting_max: usize,
}

impl Limits {
    /// For a machine with so many cores: half of them stay free of heavy work.
    pub fn of(cores: usize) -> Self {
        Self {
            light_max: 2_048 * cores.max(1),
            heavy_max: cores.div_ceil(2).max(1),
            waiting_max: 64 * cores.max(1),
        }
    }
}

/// What becomes of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It is done now.
    Now,
    /// It waits for a heavy one to end.
    Wait,
    /// It is to come again.
    Later {
        /// When. Unit: s.
        retry_after_s: u32,
    },
}

/// Decides about one light request of `agent`; about heavy ones [`turns`](super::turns) does.
pub fn admit_light(load: Load, limits: Limits, agent: &AgentId) -> Verdict {
    if load.light < limits.light_max {
        Verdict::Now
    } else {
        Verdict::Later {
            retry_after_s: retry_after_s(load, limits, agent),
        }
    }
}

/// When a refused agent without a turn comes back: spread by its id over twice the time that what is here takes.
pub fn retry_after_s(load: Load, limits: Limits, agent: &AgentId) -> u32 {
    let cores = limits.heavy_max as u64;
    let work_ms = load.light as u64 * LIGHT_MS + (load.heavy + load.waiting) as u64 * HEAVY_MS;
    let spread_s = (2 * work_ms / cores.max(1))
        .div_ceil(1_000)
        .clamp(SPREAD_S_MIN, SPREAD_S_MAX);
    let hash = agent.0.iter().fold(0_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    u32::try_from(1 + hash % spread_s).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const LIMITS: Limits = Limits {
        light_max: 10,
        heavy_max: 2,
        waiting_max: 3,
    };

    fn agent(number: u32) -> AgentId {
        let mut id = [0; 16];
        id[..4].copy_from_slice(&number.to_be_bytes());
        AgentId(id)
    }

    #[test]
    fn a_body_says_what_it_weighs() {
        assert_eq!(Weight::of(Some(300)), Weight::Light);
        assert_eq!(Weight::of(Some(LIGHT_BYTES_MAX)), Weight::Light);
        assert_eq!(Weight::of(Some(LIGHT_BYTES_MAX + 1)), Weight::Heavy);
        assert_eq!(Weight::of(None), Weight::Heavy);
    }

    #[test]
    fn a_live_event_is_taken_on_whatever_backlog_is_there() {
        let busy = Load {
            light: 9,
            heavy: 2,
            waiting: 300,
        };
        assert_eq!(admit_light(busy, LIMITS, &agent(1)), Verdict::Now);
        let full = Load { light: 10, ..busy };
        assert!(matches!(
            admit_light(full, LIMITS, &agent(1)),
            Verdict::Later { .. }
        ));
    }

    #[test]
    fn refused_agents_are_spread_by_their_ids() {
        let limits = Limits::of(4);
        let load = Load {
            light: 0,
            heavy: limits.heavy_max,
            waiting: limits.waiting_max,
        };
        let times: BTreeSet<u32> = (0..1_000)
            .map(|number| retry_after_s(load, limits, &agent(number)))
            .collect();
        // 258 frames of 25 ms on two cores: twice that is 7 s.
        assert_eq!(times, (1..=7).collect());
        assert_eq!(
            retry_after_s(load, limits, &agent(7)),
            retry_after_s(load, limits, &agent(7))
        );
    }

    proptest! {
        #[test]
        fn nobody_is_sent_away_for_longer_than_a_minute(light in 0_usize..100_000, heavy in 0_usize..100, waiting in 0_usize..100_000, cores in 1_usize..128, id in any::<u32>()) {
            let load = Load { light, heavy, waiting };
            match admit_light(load, Limits::of(cores), &agent(id)) {
                Verdict::Now => prop_assert!(light < Limits::of(cores).light_max),
                Verdict::Wait => prop_assert!(false, "a light request never waits"),
                Verdict::Later { retry_after_s } => prop_assert!((1..=60).contains(&retry_after_s)),
            }
        }
    }
}
