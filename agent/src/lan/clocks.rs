//! What time it is for the venue, and when its agents began to count theirs: pure decisions.
//!
//! Wall clocks are never compared with each other where something better is known. What an agent said of its boot clock, heard at
//! an instant of this device's boot clock, tells how long ago anything of that boot was; what the server measured of a boot tells
//! it better still.

use std::collections::BTreeMap;

use trenza_shared::{id::AgentId, skew::Fact, wire::carried::Clocks};

/// Boots remembered of one agent: those that it had on a day of work.
pub const BOOTS_PER_AGENT_MAX: usize = 8;
/// Boots remembered that the server measured, over all agents.
const MEASURED_MAX: usize = 4_096;

/// What an agent said of its clocks, and when that was by the boot clock of who heard it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Anchor {
    /// When it was said. Unit: ms since this device's boot.
    pub at_boot_ms: u64,
    /// What.
    pub clocks: Clocks,
}

impl Anchor {
    /// How long ago it was said. Unit: ms.
    fn age_ms(&self, now_boot_ms: u64) -> i64 {
        i64::try_from(now_boot_ms.saturating_sub(self.at_boot_ms)).unwrap_or(i64::MAX)
    }

    /// When the boot began, if it is `now_ms` here. Unit: ms since 1970.
    pub fn began_ms(&self, now_ms: i64, now_boot_ms: u64) -> i64 {
        let ran = i64::try_from(self.clocks.boottime_ms).unwrap_or(i64::MAX);
        now_ms
            .saturating_sub(self.age_ms(now_boot_ms))
            .saturating_sub(ran)
    }

    /// What time the agent would say it is now.
    pub fn voice(&self, now_boot_ms: u64) -> Voice {
        Voice {
            now_ms: self.clocks.now_ms.saturating_add(self.age_ms(now_boot_ms)),
            measured: self.clocks.measured,
        }
    }
}

/// What time somebody believes it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Voice {
    /// Unit: ms since 1970.
    pub now_ms: i64,
    /// By a measurement against the server in this boot; else by a wall clock, which may say anything.
    pub measured: bool,
}

/// What time it is: by this device where it was measured; else the middle of what measured neighbours say; else the middle of
/// all that is possible, which is nothing before `passed_ms`; else this device's own word.
pub fn agreed_ms(own: Voice, others: &[Voice], passed_ms: i64) -> i64 {
    if own.measured {
        return own.now_ms;
    }
    let all = || others.iter().copied().chain([own]);
    middle(all().filter(|voice| voice.measured))
        .or_else(|| middle(all().filter(|voice| voice.now_ms >= passed_ms)))
        .unwrap_or(own.now_ms)
}

/// The lower middle: a clock that is years ahead does not win against one that is right.
fn middle(voices: impl Iterator<Item = Voice>) -> Option<i64> {
    let mut times: Vec<i64> = voices.map(|voice| voice.now_ms).collect();
    times.sort_unstable();
    times.get(times.len().saturating_sub(1) / 2).copied()
}

/// What the server measured of other agents' boots: the best of each.
#[derive(Default, Debug)]
pub struct Measured(BTreeMap<(AgentId, u64), Fact>);

impl Measured {
    /// Takes a measurement in.
    pub fn join(&mut self, agent: AgentId, boot: u64, fact: Fact) {
        let full = self.0.len() >= MEASURED_MAX;
        match self.0.get_mut(&(agent, boot)) {
            Some(known) => *known = fact.min(*known),
            None if full => {}
            None => {
                self.0.insert((agent, boot), fact);
            }
        }
    }

    /// When a boot began. Unit: ms since 1970.
    pub fn began_ms(&self, agent: AgentId, boot: u64) -> Option<i64> {
        self.0.get(&(agent, boot)).map(|fact| fact.at(0).at_ms)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: i64 = 1_773_480_000_000;
    const PASSED: i64 = 1_773_446_400_000;
    const YEARS_10: i64 = 10 * 365 * 86_400_000;

    fn voice(now_ms: i64, measured: bool) -> Voice {
        Voice { now_ms, measured }
    }

    #[test]
    fn a_device_that_woke_in_1970_believes_its_neighbours() {
        let own = voice(60_000, false);
        assert_eq!(agreed_ms(own, &[], PASSED), 60_000, "alone, what it has");
        assert_eq!(agreed_ms(own, &[voice(NOW, true)], PASSED), NOW);
        assert_eq!(agreed_ms(own, &[voice(NOW, false)], PASSED), NOW);
        let ahead = voice(NOW + YEARS_10, false);
        assert_eq!(agreed_ms(own, &[ahead, voice(NOW, false)], PASSED), NOW);
        assert_eq!(agreed_ms(ahead, &[voice(NOW, true), ahead], PASSED), NOW);
        let sure = voice(NOW, true);
        assert_eq!(agreed_ms(sure, &[ahead, ahead], PASSED), NOW);
    }

    proptest! {
        /// Whoever asks: the same voices agree on the same time, and never on one that nobody said.
        #[test]
        fn all_agree(times in proptest::collection::vec((prop_oneof![0i64..100_000, NOW..NOW + 5_000, NOW + YEARS_10..NOW + YEARS_10 + 9], Just(false)), 1..7)) {
            let all: Vec<Voice> = times.into_iter().map(|(now_ms, measured)| voice(now_ms, measured)).collect();
            let agreed: Vec<i64> = (0..all.len())
                .map(|own| {
                    let others: Vec<Voice> = all.iter().enumerate().filter(|(at, _)| *at != own).map(|(_, one)| *one).collect();
                    agreed_ms(all[own], &others, PASSED)
                })
                .collect();
            prop_assert!(agreed.iter().all(|time| all.iter().any(|one| one.now_ms == *time)));
            if all.iter().any(|one| one.now_ms >= PASSED) {
                prop_assert!(agreed.iter().all(|time| *time == agreed[0] && *time >= PASSED));
            }
        }

        /// How long ago something was does not depend on any wall clock.
        #[test]
        fn a_boot_began_as_long_ago_as_its_own_clock_says(wall in any::<i64>(), ran in 0u64..1 << 40, since in 0u64..1 << 40, heard in 0u64..1 << 40) {
            let anchor = Anchor {
                at_boot_ms: heard,
                clocks: Clocks { boot: 1, boottime_ms: ran, now_ms: wall, measured: false },
            };
            let began = anchor.began_ms(NOW, heard + since);
            prop_assert_eq!(NOW - began, i64::try_from(ran + since).unwrap());
        }
    }
}
