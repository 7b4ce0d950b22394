//! What time it is, as far as the device knows.
//!
//! Owns the answer for people and for housekeeping: the server's clock, carried on by the boot clock, once this boot has measured
//! it; until then the wall clock, which may say anything. Never rewrites what an entry says, and never orders the log.

use trenza_shared::{clock::Clock, wire::entry::Open};

use crate::tables::ServerRow;

/// The wall clock is read a little after the boot clock. Unit: ms.
const JITTER_MS: u64 = 1_000;

/// How the boot clock of this boot stands to the time of day.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct KnownTime {
    boot: u64,
    boot_at_ms: i64,
}

impl KnownTime {
    /// From what was last measured, if that was in this boot; else from the wall clock.
    pub fn new(boot: u64, told: &ServerRow, clock: &dyn Clock) -> Self {
        let now_boot_ms = clock.boottime_ms();
        let measured = told.measured.filter(|measured| measured.boot == boot);
        let now_ms = measured.map_or_else(
            || clock.wall_ms(),
            |measured| measured.fact.at(now_boot_ms).at_ms,
        );
        Self::agreed(boot, now_ms, now_boot_ms)
    }

    /// In the boot `boot`, where it is `now_ms` by whoever knows best.
    pub fn agreed(boot: u64, now_ms: i64, now_boot_ms: u64) -> Self {
        let ran = i64::try_from(now_boot_ms).unwrap_or(i64::MAX);
        Self {
            boot,
            boot_at_ms: now_ms.saturating_sub(ran),
        }
    }

    /// Now. Unit: ms since 1970.
    pub fn now_ms(&self, clock: &dyn Clock) -> i64 {
        self.at(clock.boottime_ms())
    }

    /// When an entry was taken in. For one of this boot that does not depend on what the wall clock said then. Unit: ms since
    /// 1970.
    pub fn taken_ms(&self, open: &Open) -> i64 {
        if open.boot == self.boot {
            self.at(open.boottime_ms)
        } else {
            open.captured_ms
        }
    }

    /// Whether both tell the same times, so that what was told by one need not be told again.
    pub fn agrees(&self, other: &Self) -> bool {
        self.boot == other.boot && self.boot_at_ms.abs_diff(other.boot_at_ms) <= JITTER_MS
    }

    fn at(&self, boottime_ms: u64) -> i64 {
        let boottime_ms = i64::try_from(boottime_ms).unwrap_or(i64::MAX);
        self.boot_at_ms.saturating_add(boottime_ms)
    }
}

#[cfg(test)]
mod tests {
    use trenza_shared::{
        clock::TestClock, event::EventType, id::AgentId, skew::Fact, wire::entry::What,
    };

    use super::*;
    use crate::tables::Measured;

    fn open(boot: u64, boottime_ms: u64, captured_ms: i64) -> Open {
        Open {
            what: What::Event(EventType::Track),
            captured_ms,
            boottime_ms,
            boot,
            offset_min: 0,
            key: String::new(),
            unverified: false,
            bot: None,
            sent_lag_ms: 0,
        }
    }

    #[test]
    fn once_measured_the_wall_clock_of_this_boot_matters_no_more() {
        let clock = TestClock::at(77);
        clock.set_boottime_ms(1_000);
        let told = ServerRow {
            measured: Some(Measured {
                boot: 5,
                agent: AgentId([7; 16]),
                fact: Fact {
                    round_trip_ms: 0,
                    boottime_ms: 900,
                    server_ms: 1_773_480_000_000,
                },
            }),
            ..ServerRow::default()
        };
        for wall_ms in [0, -5, 4_000_000_000_000] {
            clock.set_wall_ms(wall_ms);
            let known = KnownTime::new(5, &told, &clock);
            assert_eq!(known.now_ms(&clock), 1_773_480_000_100);
            assert_eq!(known.taken_ms(&open(5, 500, 66)), 1_773_479_999_600);
            assert_eq!(known.taken_ms(&open(4, 500, 66)), 66, "of another boot");
        }
        let other = KnownTime::new(6, &told, &clock);
        assert_eq!(other.now_ms(&clock), 4_000_000_000_000);
    }

    #[test]
    fn before_it_is_measured_what_came_in_an_hour_ago_came_an_hour_ago_however_the_clock_was_set() {
        let clock = TestClock::at(5_000);
        let before = KnownTime::new(5, &ServerRow::default(), &clock);
        clock.advance_ms(3_600_000);
        let told = ServerRow::default();
        assert!(KnownTime::new(5, &told, &clock).agrees(&before));
        clock.set_wall_ms(1_773_480_000_000);
        let after = KnownTime::new(5, &told, &clock);
        assert!(!after.agrees(&before));
        assert_eq!(
            after.taken_ms(&open(5, 0, 5_000)),
            1_773_480_000_000 - 3_600_000
        );
    }
}
