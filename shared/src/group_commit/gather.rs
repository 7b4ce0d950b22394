//! Whether a group waits for more callers before it is written: pure, the time comes in.
//!
//! A sync writes whole pages, so an event synced alone costs the flash ten times its length. At the pace of a few devices a
//! short wait lets events share a sync; under load groups form by themselves, and a caller that is alone must not wait.

use std::time::Duration;

/// Callers that come closer than this share their sync without a wait.
const BUSY_GAP: Duration = Duration::from_millis(1);
/// Callers further apart than so many waits are not waited for.
const GAPS_MAX: u32 = 4;
/// Waits in a row that nobody joined, after which it is not tried for a while.
const MISSES_MAX: u32 = 8;
/// Groups written at once after that, doubled each time it happens again.
const SKIPS: (u32, u32) = (64, 4_096);
/// Weight of the last gap in the mean: one part of so many.
const MEAN_OF: u32 = 8;

/// What is known of the pace of the callers.
#[derive(Clone, Debug)]
pub struct Gather {
    wait: Duration,
    /// None before the second group.
    mean_gap: Option<Duration>,
    /// When the last group was there, and how many callers it became.
    last: Option<(Duration, u32)>,
    misses: u32,
    skip: u32,
    skip_next: u32,
}

impl Gather {
    /// Waits `wait` where it waits.
    pub fn new(wait: Duration) -> Self {
        Self {
            wait,
            mean_gap: None,
            last: None,
            misses: 0,
            skip: 0,
            skip_next: SKIPS.0,
        }
    }

    /// A group of `callers` is there at `now` (of any monotonic clock), the first of which has `waited` already, for the sync before;
    /// how long to wait for more.
    pub fn wait(&mut self, now: Duration, callers: usize, waited: Duration) -> Duration {
        let callers = u32::try_from(callers.max(1)).unwrap_or(u32::MAX);
        let Some((last, before)) = self.last.replace((now, callers)) else {
            return Duration::ZERO;
        };
        // One long pause does not make many callers slow.
        let gap = (now.saturating_sub(last) / before).min(self.wait * GAPS_MAX * 2);
        let mean_gap = match self.mean_gap {
            Some(mean) => (mean * (MEAN_OF - 1) + gap) / MEAN_OF,
            None => gap,
        };
        self.mean_gap = Some(mean_gap);
        if mean_gap < BUSY_GAP || mean_gap > self.wait * GAPS_MAX {
            return Duration::ZERO;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return Duration::ZERO;
        }
        self.wait.saturating_sub(waited)
    }

    /// After a wait: so many more came.
    pub fn joined(&mut self, more: usize) {
        if let Some((_, callers)) = &mut self.last {
            *callers = callers.saturating_add(u32::try_from(more).unwrap_or(u32::MAX));
        }
        if more > 0 {
            (self.misses, self.skip_next) = (0, SKIPS.0);
            return;
        }
        self.misses += 1;
        if self.misses == MISSES_MAX {
            (self.misses, self.skip) = (0, self.skip_next);
            self.skip_next = self.skip_next.saturating_mul(2).min(SKIPS.1);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WAIT: Duration = Duration::from_millis(7);

    /// Plays callers that come at these instants (us) to a disk that takes no time; groups written, and the longest wait.
    fn play(arrivals: &[u64]) -> (usize, Duration) {
        let mut gather = Gather::new(WAIT);
        let (mut groups, mut longest, mut at) = (0, Duration::ZERO, 0);
        while let Some(first) = arrivals.get(at) {
            let now = Duration::from_micros(*first);
            let wait = gather.wait(now, 1, Duration::ZERO);
            let until = now + wait;
            let joined = arrivals[at + 1..]
                .iter()
                .take_while(|next| Duration::from_micros(**next) <= until)
                .count();
            if !wait.is_zero() {
                gather.joined(joined);
            }
            longest = longest.max(wait);
            groups += 1;
            at += 1 + if wait.is_zero() { 0 } else { joined };
        }
        (groups, longest)
    }

    fn every(gap_us: u64, count: u64) -> Vec<u64> {
        (0..count).map(|n| n * gap_us).collect()
    }

    #[test]
    fn at_a_kiosks_pace_events_share_a_sync() {
        let (groups, _) = play(&every(5_000, 2_000));
        assert!((990..1_100).contains(&groups), "{groups}");
    }

    #[test]
    fn a_lone_event_and_a_flood_do_not_wait() {
        assert_eq!(play(&every(1_000_000, 100)).1, Duration::ZERO);
        assert_eq!(play(&every(100, 10_000)).1, Duration::ZERO);
    }

    #[test]
    fn who_waited_for_the_last_sync_waits_so_much_less_for_others() {
        let mut gather = Gather::new(WAIT);
        let at = |n: u64| Duration::from_millis(5 * n);
        for n in 0..4 {
            gather.wait(at(n), 1, Duration::ZERO);
        }
        let waited = Duration::from_millis(3);
        assert_eq!(gather.wait(at(4), 1, waited), WAIT - waited);
        assert_eq!(gather.wait(at(5), 1, 2 * WAIT), Duration::ZERO);
    }

    #[test]
    fn a_caller_that_waits_for_each_answer_is_soon_left_alone() {
        let mut gather = Gather::new(WAIT);
        let (mut now, mut waited) = (Duration::ZERO, Duration::ZERO);
        for _ in 0..10_000 {
            let wait = gather.wait(now, 1, Duration::ZERO);
            if !wait.is_zero() {
                gather.joined(0);
            }
            waited += wait;
            now += wait + Duration::from_millis(2);
        }
        assert!(waited < now / 20, "{waited:?} of {now:?}");
    }

    proptest! {
        #[test]
        fn nobody_waits_longer_than_told(gaps in proptest::collection::vec(0u64..50_000, 1..400)) {
            let mut at = 0;
            let arrivals: Vec<u64> = gaps.iter().map(|gap| { at += gap; at }).collect();
            let (groups, longest) = play(&arrivals);
            prop_assert!(longest <= WAIT && groups <= arrivals.len());
        }
    }
}
