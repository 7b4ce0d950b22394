//! When an entry was really taken in: a device's clock, corrected by what it measured against the server's.
//!
//! Owns the join of measurements and every decision that is made from them. A pure function of the *set* of measurements of a
//! boot: never of their order, of receive times or of the path. An entry of a boot without measurements keeps what its device
//! said, and is never dropped.

use std::{collections::BTreeMap, ops::RangeInclusive};

use serde::{Deserialize, Serialize};

/// Differences up to here are not worth a word or another measurement. Unit: ms.
pub const TOLERANCE_MS: u64 = 250;
/// Two measurements that agree up to here are one clock that runs true enough: what lies between follows the earlier, so that
/// an agent that is always online never has to be timed again. Also the least error of a device's clock that is mended in a
/// client's time. Unit: ms.
pub const AGREE_MS: u64 = 500;
/// By how much a boot clock is believed to drift. Unit: parts of a million (an ordinary quartz has up to 100).
const DRIFT_PPM: i128 = 100;
/// Drift beyond which two measurements contradict each other: one of the clocks was set. Unit: parts of a million.
const DRIFT_PPM_MAX: i128 = 500;
const MILLION: i128 = 1_000_000;
/// Of the measurements of one such span the best is kept. Unit: ms.
const SPAN_MS: u64 = 3_600_000;
/// Most spans kept of a boot; of more, the earliest. Two years without a restart have more.
const SPANS_MAX: usize = 16_384;

/// One measurement: the server's clock at an instant of the device's boot clock. Less is better.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Fact {
    /// How long question and answer were on the way. Unit: ms.
    pub round_trip_ms: u64,
    /// The device's boot clock. Unit: ms.
    pub boottime_ms: u64,
    /// The server's wall clock then. Unit: ms since 1970.
    pub server_ms: i64,
}

/// When something was taken in, and by how much that may be wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Corrected {
    /// Unit: ms since 1970.
    pub at_ms: i64,
    /// Greatest error that is to be expected. Unit: ms.
    pub confidence_ms: u64,
}

impl Fact {
    fn offset_ms(&self) -> i128 {
        i128::from(self.server_ms) - i128::from(self.boottime_ms)
    }

    fn error_ms(&self) -> i128 {
        i128::from(self.round_trip_ms / 2) + 1
    }

    fn apart_ms(&self, boottime_ms: u64) -> i128 {
        i128::from(self.boottime_ms.abs_diff(boottime_ms))
    }

    /// The time at `boottime_ms` by this measurement alone.
    pub fn at(&self, boottime_ms: u64) -> Corrected {
        let error = self.error_ms() + self.apart_ms(boottime_ms) * DRIFT_PPM / MILLION;
        corrected(self.offset_ms(), boottime_ms, error)
    }

    /// Whether it tells more than `stated` does: the offset moved by more than the tolerance and the errors of both, or the error
    /// became less by more than the tolerance.
    pub fn is_news_after(&self, stated: Option<&Self>) -> bool {
        let Some(stated) = stated else {
            return true;
        };
        let tolerance = i128::from(TOLERANCE_MS);
        let errors = self.error_ms() + stated.error_ms();
        (self.offset_ms() - stated.offset_ms()).abs() > tolerance.max(errors)
            || self.error_ms() + tolerance < stated.error_ms()
    }

    /// Whether no drift explains both: one of the clocks was set in between.
    pub fn contradicts(&self, other: &Self) -> bool {
        let span = self.apart_ms(other.boottime_ms);
        let explained = span * DRIFT_PPM_MAX / MILLION + self.error_ms() + other.error_ms();
        (self.offset_ms() - other.offset_ms()).abs() > explained
    }
}

fn corrected(offset_ms: i128, boottime_ms: u64, error_ms: i128) -> Corrected {
    let at = offset_ms + i128::from(boottime_ms);
    Corrected {
        at_ms: i64::try_from(at).unwrap_or(if at < 0 { i64::MIN } else { i64::MAX }),
        confidence_ms: u64::try_from(error_ms).unwrap_or(u64::MAX),
    }
}

/// The measurements of one boot. Joining is commutative, associative and idempotent.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Facts(BTreeMap<u64, Fact>);

impl Facts {
    /// Takes a measurement in; whether that changed anything.
    pub fn join(&mut self, fact: Fact) -> bool {
        let span = fact.boottime_ms / SPAN_MS;
        let changed = match self.0.get(&span) {
            Some(known) => fact < *known,
            None => true,
        };
        if changed {
            self.0.insert(span, fact);
            if self.0.len() > SPANS_MAX {
                let dropped = self.0.pop_last();
                return dropped.is_none_or(|(last, _)| last != span);
            }
        }
        changed
    }

    /// What they say together: those that a much better one near them makes worthless are left out.
    pub fn correction(&self) -> Correction {
        let scaled_error = |fact: &Fact| fact.error_ms() * MILLION;
        let mut worthless = vec![false; self.0.len()];
        let facts: Vec<Fact> = self.0.values().copied().collect();
        // A measurement's error grows with the distance. Seen from one side, the least error is kept along the way.
        let mut sweep = |order: &mut dyn Iterator<Item = (usize, &Fact)>| {
            let mut best: Option<(i128, u64)> = None;
            for (at, fact) in order {
                let here = best.map(|(error, from)| error + fact.apart_ms(from) * DRIFT_PPM);
                let own = scaled_error(fact);
                if here.is_some_and(|here| here + i128::from(TOLERANCE_MS) * MILLION < own) {
                    worthless[at] = true;
                }
                best = Some((here.map_or(own, |here| here.min(own)), fact.boottime_ms));
            }
        };
        sweep(&mut facts.iter().enumerate());
        sweep(&mut facts.iter().enumerate().rev());
        let kept = facts.iter().zip(worthless);
        Correction(
            kept.filter(|(_, worthless)| !worthless)
                .map(|(fact, _)| *fact)
                .collect(),
        )
    }
}

/// How the entries of one boot are timed.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Correction(Vec<Fact>);

impl Correction {
    /// When an entry of this boot was taken in; none in a boot without measurements.
    ///
    /// Before the first measurement and after the last, that one alone counts. Between two that agree, the earlier does.
    /// Between two that a drifting clock explains, the offset runs evenly from one to the other. Where one of the clocks was
    /// set in between, the earlier counts, and the error may be as great as their difference.
    pub fn at(&self, boottime_ms: u64) -> Option<Corrected> {
        let after = self
            .0
            .partition_point(|fact| fact.boottime_ms <= boottime_ms);
        let (left, right) = (
            after.checked_sub(1).map(|at| &self.0[at]),
            self.0.get(after),
        );
        let (left, right) = match (left, right) {
            (Some(left), Some(right)) => (left, right),
            (one, other) => return one.or(other).map(|fact| fact.at(boottime_ms)),
        };
        let (moved, span) = (
            right.offset_ms() - left.offset_ms(),
            right.apart_ms(left.boottime_ms),
        );
        let worse = left.error_ms().max(right.error_ms());
        if moved.abs() <= i128::from(AGREE_MS) {
            return Some(corrected(
                left.offset_ms(),
                boottime_ms,
                worse + moved.abs(),
            ));
        }
        if left.contradicts(right) {
            return Some(corrected(
                left.offset_ms(),
                boottime_ms,
                left.error_ms() + moved.abs(),
            ));
        }
        let way = left.apart_ms(boottime_ms);
        let nearest = way.min(right.apart_ms(boottime_ms));
        Some(corrected(
            left.offset_ms() + moved * way / span.max(1),
            boottime_ms,
            worse + nearest * DRIFT_PPM / MILLION,
        ))
    }

    /// Outside this range of the boot clock, `other` times everything as this does; none when it does so everywhere.
    pub fn differs_within(&self, other: &Self) -> Option<RangeInclusive<u64>> {
        if self == other {
            return None;
        }
        let same = |(one, two): &(&Fact, &Fact)| one == two;
        let begin = self.0.iter().zip(&other.0).take_while(same).count();
        let shorter = self.0.len().min(other.0.len());
        let end = self.0.iter().rev().zip(other.0.iter().rev());
        let end = end.take(shorter - begin).take_while(same).count();
        let from = begin
            .checked_sub(1)
            .map_or(0, |last| self.0[last].boottime_ms);
        let until = match end {
            0 => u64::MAX,
            end => self.0[self.0.len() - end].boottime_ms,
        };
        Some(from..=until)
    }
}

/// Event time: the client's, else that of the capture. Unit: ms since 1970.
///
/// A client's time was read from the clock of the device that took it in (its own pages, a program on the same device) or from
/// another one. It was the device's own when it lies much nearer to what that clock said (`wall_ms`) than the clock was wrong;
/// then it is wrong by as much, and is mended. A visit that another device with a right clock reports late lies far from both
/// and is left alone.
pub fn event_time_ms(said_ms: Option<i64>, wall_ms: i64, captured_ms: i64) -> i64 {
    match said_ms {
        None => captured_ms,
        Some(said) if is_of_the_device(said, wall_ms, captured_ms) => {
            said.saturating_add(captured_ms.saturating_sub(wall_ms))
        }
        Some(said) => said,
    }
}

/// Up to here a `sentAt` that is not the time of arrival says nothing of a clock: the request took that long. Unit: ms.
pub const SENT_LAG_MS_MIN: u64 = 60_000;

/// By how much the clock of what sent a request was behind the collector's, as its `sentAt` says; 0 where that is not told or within
/// [`SENT_LAG_MS_MIN`]. Unit: ms.
///
/// Segment's rule (`timestamp = originalTimestamp + receivedAt - sentAt`) for display: it takes the collector's clock and the way
/// of the request for right, so nothing is derived of it.
pub fn sent_lag_ms(sent_ms: Option<i64>, received_ms: i64) -> i64 {
    let lag = sent_ms.map_or(0, |sent| received_ms.saturating_sub(sent));
    if lag.unsigned_abs() < SENT_LAG_MS_MIN {
        0
    } else {
        lag
    }
}

/// Whether a client's time was read from a clock that was wrong, the collector's own.
pub fn is_of_the_device(said_ms: i64, wall_ms: i64, captured_ms: i64) -> bool {
    let wrong_by = captured_ms.abs_diff(wall_ms);
    wrong_by > AGREE_MS && said_ms.abs_diff(wall_ms) < wrong_by / 2
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAY: u64 = 86_400_000;
    const NOW: i64 = 1_773_480_000_000;

    fn fact(boottime_ms: u64, server_ms: i64, round_trip_ms: u64) -> Fact {
        Fact {
            round_trip_ms,
            boottime_ms,
            server_ms,
        }
    }

    fn of(facts: &[Fact]) -> Facts {
        let mut all = Facts::default();
        for fact in facts {
            all.join(*fact);
        }
        all
    }

    fn facts() -> impl Strategy<Value = Vec<Fact>> {
        let one = (0..20_u64, 0..3_600_u64, -4_000..4_000_i64, 0..3_000_u64).prop_map(
            |(hour, second, off, round_trip)| {
                let boottime_ms = hour * SPAN_MS + second * 1_000;
                fact(boottime_ms, NOW + boottime_ms as i64 + off, round_trip)
            },
        );
        prop::collection::vec(one, 0..12)
    }

    /// The same by the words of the definition: of each span the best, without those that another one makes worthless.
    fn by_the_words(facts: &[Fact]) -> Vec<Fact> {
        let mut best: Vec<Fact> = Vec::new();
        for hour in 0..20 {
            let of_hour = facts
                .iter()
                .filter(|fact| fact.boottime_ms / SPAN_MS == hour);
            best.extend(of_hour.min());
        }
        let error = |fact: &Fact, at: u64| {
            (i128::from(fact.round_trip_ms / 2) + 1) * MILLION
                + i128::from(fact.boottime_ms.abs_diff(at)) * DRIFT_PPM
        };
        let worthless = |one: &Fact| {
            let at = one.boottime_ms;
            let tolerance = i128::from(TOLERANCE_MS) * MILLION;
            best.iter()
                .any(|other| error(other, at) + tolerance < error(one, at))
        };
        best.iter().filter(|one| !worthless(one)).copied().collect()
    }

    proptest! {
        #[test]
        fn the_order_of_measurements_does_not_matter((one, other) in facts().prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle()))) {
            let (left, mut right) = (of(&one), of(&other));
            prop_assert_eq!(&left, &right);
            for fact in one {
                prop_assert!(!right.join(fact), "a known one changes nothing");
            }
        }

        #[test]
        fn the_correction_is_what_the_words_say(all in facts()) {
            prop_assert_eq!(of(&all).correction().0, by_the_words(&all));
        }

        #[test]
        fn a_measurement_changes_only_what_lies_in_the_range_named(all in facts(), one in facts(), at in 0..20 * SPAN_MS) {
            let before = of(&all).correction();
            let after = of(&[all, one].concat()).correction();
            if before.differs_within(&after).is_none_or(|range| !range.contains(&at)) {
                prop_assert_eq!(before.at(at), after.at(at));
            }
        }

        /// A clock that drifts evenly, measured before and after: within a second of the truth, and the confidence is honest.
        #[test]
        fn three_days_between_two_measurements_are_within_a_second(drift_ppm in -100..=100_i64, round_trip in 0..1_000_u64, skew in -500..=500_i64, at in 0..3 * DAY) {
            let truth = |boottime: u64| NOW + boottime as i64 * (1_000_000 + drift_ppm) / 1_000_000;
            let lie = skew * round_trip as i64 / 1_000;
            let correction = of(&[fact(1_000, truth(1_000) + lie, round_trip), fact(3 * DAY, truth(3 * DAY) - lie, round_trip)]).correction();
            let is = correction.at(at).unwrap();
            let error = is.at_ms.abs_diff(truth(at));
            prop_assert!(error <= is.confidence_ms, "{} > {}", error, is.confidence_ms);
            prop_assert!(error <= 1_000 + round_trip / 2, "{}", error);
        }

        #[test]
        fn no_measurement_makes_it_panic(all in prop::collection::vec((any::<u64>(), any::<i64>(), any::<u64>()), 0..6), at in any::<u64>(), said in any::<Option<i64>>(), wall in any::<i64>(), captured in any::<i64>()) {
            let all: Vec<Fact> = all.into_iter().map(|(boot, server, round_trip)| fact(boot, server, round_trip)).collect();
            let _any = of(&all).correction().at(at);
            let _any = event_time_ms(said, wall, captured);
        }
    }

    #[test]
    fn without_a_measurement_nothing_is_said() {
        assert_eq!(Correction::default().at(5), None);
    }

    #[test]
    fn one_measurement_times_what_came_before_and_after() {
        let correction = of(&[fact(10_000, NOW, 40)]).correction();
        let at = |boottime| correction.at(boottime).unwrap();
        assert_eq!((at(0).at_ms, at(0).confidence_ms), (NOW - 10_000, 22));
        assert_eq!(at(DAY + 10_000).at_ms, NOW + DAY as i64);
        assert_eq!(at(DAY + 10_000).confidence_ms, 21 + 8_640);
    }

    #[test]
    fn a_server_clock_that_was_set_moves_nothing_that_came_before() {
        let hour = 3_600_000;
        let correction =
            of(&[fact(1_000, NOW, 40), fact(DAY, NOW + DAY as i64 + hour, 40)]).correction();
        let between = correction.at(DAY / 2).unwrap();
        assert_eq!(between.at_ms, NOW + DAY as i64 / 2 - 1_000);
        assert!(between.confidence_ms >= hour.unsigned_abs());
    }

    #[test]
    fn only_what_says_more_is_stated() {
        let stated = fact(10_000, NOW, 40);
        assert!(stated.is_news_after(None));
        for (boottime, server, round_trip, news) in [
            (20_000, NOW + 10_000, 40, false),
            (20_000, NOW + 10_250, 40, false),
            (20_000, NOW + 10_251, 40, true),
            (20_000, NOW + 9_749, 40, true),
            (20_000, NOW + 10_000, 0, false),
        ] {
            assert_eq!(
                fact(boottime, server, round_trip).is_news_after(Some(&stated)),
                news
            );
        }
        assert!(fact(2, NOW, 0).is_news_after(Some(&fact(1, NOW, 600))));
    }

    #[test]
    fn measurements_of_more_spans_than_are_kept_are_the_same_in_any_order() {
        let all: Vec<Fact> = (0..SPANS_MAX as u64 + 9)
            .map(|hour| fact(hour * SPAN_MS, NOW, hour % 7))
            .collect();
        let back: Vec<Fact> = all.iter().rev().copied().collect();
        assert_eq!(of(&all), of(&back));
        assert_eq!(of(&all).0.len(), SPANS_MAX);
        assert!(
            !of(&all).join(fact(u64::MAX, NOW, 0)),
            "too late to be kept"
        );
    }

    #[test]
    fn a_clients_time_is_mended_when_it_was_read_from_the_wrong_clock() {
        let hour = 3_600_000;
        for (name, said, wall, mended) in [
            ("a kiosk in 1970", 4_000, 5_000, NOW - 1_000),
            (
                "a kiosk ten years ahead",
                NOW + 10 * 365 * DAY as i64,
                NOW + 10 * 365 * DAY as i64,
                NOW,
            ),
            (
                "a kiosk an hour ahead",
                NOW + hour - 10,
                NOW + hour,
                NOW - 10,
            ),
            (
                "a kiosk an hour behind",
                NOW - hour - 10,
                NOW - hour,
                NOW - 10,
            ),
            (
                "a tablet with a right clock",
                NOW - 10,
                NOW + hour,
                NOW - 10,
            ),
            (
                "a tablet that comes three weeks late",
                NOW - 21 * DAY as i64,
                NOW - hour,
                NOW - 21 * DAY as i64,
            ),
            ("a kiosk that is right", NOW - 10, NOW - 400, NOW - 10),
        ] {
            assert_eq!(event_time_ms(Some(said), wall, NOW), mended, "{name}");
        }
        assert_eq!(event_time_ms(None, 5, NOW), NOW);
    }
}
