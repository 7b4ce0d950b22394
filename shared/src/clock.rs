//! Reading and writing of time: the only place of the product that looks at a clock.
//!
//! Owns the [`Clock`] that everything else is given, and the text form of an instant. Never decides anything by time.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use jiff::Timestamp;

/// 14 March 2026: before this nobody used the product. Unit: ms since 1970.
pub const RELEASED_MS: i64 = 1_773_446_400_000;

/// When this program was built, at the earliest: `SOURCE_DATE_EPOCH` of the build where it was set, so that equal sources give
/// equal programs; a time that has surely passed. Unit: ms since 1970.
pub const BUILT_MS: i64 = built_ms(option_env!("SOURCE_DATE_EPOCH"));

/// Seconds as text, as ms; [`RELEASED_MS`] where that is later, or the text is no number.
const fn built_ms(seconds: Option<&str>) -> i64 {
    let Some(text) = seconds else {
        return RELEASED_MS;
    };
    match i64::from_str_radix(text, 10) {
        Ok(seconds) if seconds.saturating_mul(1000) > RELEASED_MS => seconds.saturating_mul(1000),
        _ => RELEASED_MS,
    }
}

/// Longest text that can be a time; longer ones are not looked at.
const TIME_TEXT_BYTES_MAX: usize = 64;

/// What the device's clocks say. Pass it as `Arc<dyn Clock>`.
pub trait Clock: Send + Sync {
    /// The wall clock, in UTC milliseconds since 1970. May be wrong, jump and go backwards.
    fn wall_ms(&self) -> i64;
    /// Milliseconds since this boot, time asleep included. Never goes backwards within one [`boot_id`].
    fn boottime_ms(&self) -> u64;
}

/// A clock that stands still until a test moves it.
#[derive(Debug, Default)]
pub struct TestClock {
    wall_ms: AtomicI64,
    boottime_ms: AtomicU64,
}

impl TestClock {
    /// A clock at `wall_ms`, just booted.
    pub fn at(wall_ms: i64) -> Self {
        Self {
            wall_ms: AtomicI64::new(wall_ms),
            boottime_ms: AtomicU64::new(0),
        }
    }

    /// Time passes: both clocks move on.
    pub fn advance_ms(&self, ms: u64) {
        self.boottime_ms.fetch_add(ms, Ordering::SeqCst);
        self.wall_ms
            .fetch_add(i64::try_from(ms).unwrap_or(i64::MAX), Ordering::SeqCst);
    }

    /// Somebody sets the wall clock; the boot clock does not notice.
    pub fn set_wall_ms(&self, ms: i64) {
        self.wall_ms.store(ms, Ordering::SeqCst);
    }

    /// Sets the time since boot, as after a restart.
    pub fn set_boottime_ms(&self, ms: u64) {
        self.boottime_ms.store(ms, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn wall_ms(&self) -> i64 {
        self.wall_ms.load(Ordering::SeqCst)
    }

    fn boottime_ms(&self) -> u64 {
        self.boottime_ms.load(Ordering::SeqCst)
    }
}

/// The operating system's clocks: `CLOCK_REALTIME` and `CLOCK_BOOTTIME`.
#[cfg(feature = "runtime")]
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

#[cfg(feature = "runtime")]
impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place; through the C library, so that a test can set it"
    )]
    fn wall_ms(&self) -> i64 {
        let ms = |span: std::time::Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        match std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH) {
            Ok(since) => ms(since),
            Err(before) => ms(before.duration()).saturating_neg(),
        }
    }

    fn boottime_ms(&self) -> u64 {
        let at = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        u64::try_from(at.tv_sec * 1000 + at.tv_nsec / 1_000_000).unwrap_or(0)
    }
}

/// The kernel's id of this boot; `None` where `/proc` is not mounted.
#[cfg(feature = "runtime")]
pub fn boot_id() -> Option<crate::id::BootId> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    crate::id::from_hex(&text.trim().replace('-', "")).map(crate::id::BootId)
}

/// Reads an RFC 3339 instant as UTC milliseconds, rounded down; `None` when it is none or has no offset.
///
/// Accepts what clients send: `Z` or a numeric offset, any number of fraction digits or none.
pub fn parse_time_ms(text: &str) -> Option<i64> {
    let text = text.trim();
    if text.len() > TIME_TEXT_BYTES_MAX {
        return None;
    }
    let at: Timestamp = text.parse().ok()?;
    i64::try_from(at.as_nanosecond().div_euclid(1_000_000)).ok()
}

/// Writes UTC milliseconds as `2026-01-15T10:20:30.456Z`; instants outside the years -9999 to 9999 are clamped.
pub fn format_ms(ms: i64) -> String {
    // Milliseconds are accepted up to the start of the last second only.
    let (first, last) = (
        Timestamp::MIN.as_second() * 1000,
        Timestamp::MAX.as_second() * 1000,
    );
    let at = Timestamp::from_millisecond(ms.clamp(first, last)).unwrap_or(Timestamp::UNIX_EPOCH);
    format!("{at:.3}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_form_that_clients_send_is_the_same_instant() {
        for text in [
            "2026-01-15T10:20:30.456Z",
            "2026-01-15T10:20:30.456000+00:00",
            "2026-01-15T10:20:30.456999Z",
            "2026-01-15T11:20:30.456+01:00",
            "2026-01-15t10:20:30.456z",
            " 2026-01-15T10:20:30.456Z\n",
        ] {
            assert_eq!(parse_time_ms(text), Some(1_768_472_430_456), "{text}");
        }
        assert_eq!(
            parse_time_ms("2026-01-15T10:20:30Z"),
            Some(1_768_472_430_000)
        );
        assert_eq!(parse_time_ms("1969-12-31T23:59:59.9999Z"), Some(-1));
    }

    #[test]
    fn a_text_without_an_instant_is_refused() {
        for text in [
            "",
            "2026-01-15",
            "2026-01-15T10:20:30",
            "10:20",
            "yesterday",
            "1768472430456",
        ] {
            assert_eq!(parse_time_ms(text), None, "{text}");
        }
        assert_eq!(
            parse_time_ms(&format!("2026-01-15T10:20:30.{}Z", "4".repeat(99))),
            None
        );
    }

    #[test]
    fn the_time_of_the_build_is_that_of_its_sources() {
        assert_eq!(built_ms(None), RELEASED_MS);
        assert_eq!(built_ms(Some("1800000000")), 1_800_000_000_000);
        for text in ["", "soon", "0", "-5", "99999999999999999999"] {
            assert_eq!(built_ms(Some(text)), RELEASED_MS, "{text}");
        }
        assert_eq!(BUILT_MS, built_ms(option_env!("SOURCE_DATE_EPOCH")));
    }

    proptest! {
        #[test]
        fn a_written_time_reads_back(ms in -62_000_000_000_000i64..250_000_000_000_000) {
            let text = format_ms(ms);
            prop_assert!(text.ends_with('Z'));
            prop_assert_eq!(parse_time_ms(&text), Some(ms));
        }
    }

    #[test]
    fn a_time_beyond_the_calendar_is_clamped() {
        assert!(format_ms(i64::MAX).starts_with("9999-"));
        assert!(format_ms(i64::MIN).starts_with("-009999-"));
    }

    #[cfg(feature = "runtime")]
    #[test]
    fn the_system_clock_is_after_this_was_written() {
        assert!(SystemClock.wall_ms() > 1_700_000_000_000);
        let before = SystemClock.boottime_ms();
        assert!(before > 0 && SystemClock.boottime_ms() >= before);
        assert!(boot_id().is_some());
    }
}
