//! Instants as people read them, in the organisation's zone.

use jiff::{Timestamp, Zoned, tz::TimeZone};
use trenza_shared::clock::format_ms;

use super::text::Lang;
use crate::evidence::{TimeSource, Timing};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

/// How times are written on one page.
#[derive(Clone)]
pub struct Times {
    lang: Lang,
    zone: TimeZone,
    now_ms: i64,
}

/// One instant, in the three forms that a page needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// For the `datetime` attribute: RFC 3339.
    pub machine: String,
    /// Day and time of the zone.
    pub full: String,
    /// As `3 min ago`.
    pub ago: String,
}

impl Times {
    /// Times of a zone (IANA name; UTC where nobody knows it), as seen at an instant.
    pub fn new(lang: Lang, zone: &str, now_ms: i64) -> Self {
        Self {
            lang,
            zone: TimeZone::get(zone).unwrap_or(TimeZone::UTC),
            now_ms,
        }
    }

    fn zoned(&self, at_ms: i64) -> Option<Zoned> {
        Some(
            Timestamp::from_millisecond(at_ms)
                .ok()?
                .to_zoned(self.zone.clone()),
        )
    }

    /// Day and time: `14/03/2026 11:00`, `14 Mar 2026, 11:00`.
    pub fn full(&self, at_ms: i64) -> String {
        let form = self.lang.pick("%d/%m/%Y %H:%M", "%-d %b %Y, %H:%M");
        self.zoned(at_ms)
            .map_or_else(|| format_ms(at_ms), |at| at.strftime(form).to_string())
    }

    /// The day alone: `14/03/2026`, `14 Mar 2026`.
    pub fn day(&self, at_ms: i64) -> String {
        let form = self.lang.pick("%d/%m/%Y", "%-d %b %Y");
        self.zoned(at_ms)
            .map_or_else(|| format_ms(at_ms), |at| at.strftime(form).to_string())
    }

    /// The time with its seconds: `11:00:07`; with the day before it where that is not today's.
    pub fn clock(&self, at_ms: i64) -> String {
        let time = self.zoned(at_ms).map_or_else(
            || format_ms(at_ms),
            |at| at.strftime("%H:%M:%S").to_string(),
        );
        let day = self.day(at_ms);
        if day == self.day(self.now_ms) {
            time
        } else {
            format!("{day} {time}")
        }
    }

    /// How long ago: `hace 3 min`, `3 min ago`.
    pub fn ago(&self, at_ms: i64) -> String {
        let past_ms = self.now_ms.saturating_sub(at_ms);
        let ahead = past_ms < 0;
        let ms = past_ms.saturating_abs();
        let span = match ms {
            ms if ms < MINUTE_MS => return self.lang.pick("ahora mismo", "just now").to_owned(),
            ms if ms < HOUR_MS => format!("{} min", ms / MINUTE_MS),
            ms if ms < 2 * DAY_MS => format!("{} h", ms / HOUR_MS),
            ms => format!("{} {}", ms / DAY_MS, self.lang.pick("días", "days")),
        };
        match (self.lang, ahead) {
            (Lang::Es, false) => format!("hace {span}"),
            (Lang::Es, true) => format!("dentro de {span}"),
            (Lang::En, false) => format!("{span} ago"),
            (Lang::En, true) => format!("in {span}"),
        }
    }

    /// How far a time may be off: `±0,2 s`, `±3 min`; rounded up.
    pub fn within(&self, ms: u64) -> String {
        let point = self.lang.pick(",", ".");
        match ms {
            ms if ms < 10_000 => {
                let tenths = ms.div_ceil(100);
                format!("±{}{point}{} s", tenths / 10, tenths % 10)
            }
            ms if ms < 120_000 => format!("±{} s", ms.div_ceil(1_000)),
            ms if ms < 7_200_000 => format!("±{} min", ms.div_ceil(60_000)),
            ms => format!("±{} h", ms.div_ceil(3_600_000)),
        }
    }

    /// How the time of an event is known, where that is worth a word.
    pub fn known(&self, timing: &Timing) -> Option<String> {
        let wrong_by = timing.captured_ms.abs_diff(timing.wall_ms);
        let clock_said = if wrong_by < MINUTE_MS.unsigned_abs() {
            String::new()
        } else {
            let said = self.lang.pick("el reloj decía", "the clock said");
            format!("; {said} {}", self.full(timing.wall_ms))
        };
        if let Some(probably) = timing.probably {
            let clock = self.offset(-probably.behind_ms).unwrap_or_default();
            let (es, en) = ("su reloj parecía ir", "its clock seemed to be");
            let about = self.lang.pick("hacia las", "about");
            return Some(format!(
                "{} {clock}: {about} {} {}",
                self.lang.pick(es, en),
                self.full(probably.at_ms),
                self.within(probably.confidence_ms)
            ));
        }
        match timing.source {
            TimeSource::Client | TimeSource::Server => None,
            TimeSource::Corrected => Some(format!(
                "{} {}{clock_said}",
                self.lang.pick("hora corregida", "time corrected"),
                self.within(timing.confidence_ms.unwrap_or_default()),
            )),
            TimeSource::Device => Some(
                self.lang
                    .pick(
                        "hora de un reloj sin comprobar",
                        "time of a clock that was never checked",
                    )
                    .to_owned(),
            ),
        }
    }

    /// All forms.
    pub fn shown(&self, at_ms: i64) -> Shown {
        Shown {
            machine: format_ms(at_ms),
            full: self.full(at_ms),
            ago: self.ago(at_ms),
        }
    }

    /// A difference of clocks: `3 h adelantado`; nothing under a second.
    pub fn offset(&self, ms: i64) -> Option<String> {
        let size = match ms.saturating_abs() {
            size if size < 1_000 => return None,
            size if size < 2 * MINUTE_MS => format!("{} s", size / 1_000),
            size if size < 2 * HOUR_MS => format!("{} min", size / MINUTE_MS),
            size if size < 2 * DAY_MS => format!("{} h", size / HOUR_MS),
            size => format!("{} {}", size / DAY_MS, self.lang.pick("días", "days")),
        };
        let way = if ms > 0 {
            self.lang.pick("adelantado", "ahead")
        } else {
            self.lang.pick("atrasado", "behind")
        };
        Some(format!("{size} {way}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::Probably;

    #[test]
    fn times_are_local_and_in_the_readers_form() {
        // 14 March 2026, 10:00 UTC is 11:00 in Madrid.
        let now = 1_773_482_400_000;
        let es = Times::new(Lang::Es, "Europe/Madrid", now);
        let en = Times::new(Lang::En, "Europe/Madrid", now);
        assert_eq!(
            (es.full(now), en.full(now)),
            ("14/03/2026 11:00".into(), "14 Mar 2026, 11:00".into())
        );
        assert_eq!(
            (es.ago(now - 200_000), en.ago(now - 7_300_000)),
            ("hace 3 min".into(), "2 h ago".into())
        );
        assert_eq!(
            (es.ago(now), en.ago(now + 3 * DAY_MS)),
            ("ahora mismo".into(), "in 3 days".into())
        );
        assert_eq!(
            (es.offset(3 * HOUR_MS), en.offset(30_000)),
            (Some("3 h adelantado".into()), Some("30 s ahead".into()))
        );
        assert_eq!(es.offset(-900), None);
    }

    #[test]
    fn a_corrected_time_says_by_how_much_it_may_be_wrong_and_what_the_clock_said() {
        let now = 1_773_482_400_000;
        let es = Times::new(Lang::Es, "Europe/Madrid", now);
        let en = Times::new(Lang::En, "Europe/Madrid", now);
        let mut timing = Timing {
            source: TimeSource::Corrected,
            confidence_ms: Some(101),
            captured_ms: now,
            wall_ms: 0,
            probably: None,
        };
        assert_eq!(
            es.known(&timing).unwrap(),
            "hora corregida ±0,2 s; el reloj decía 01/01/1970 01:00"
        );
        (timing.confidence_ms, timing.wall_ms) = (Some(12_001), now - 59_000);
        assert_eq!(en.known(&timing).unwrap(), "time corrected ±13 s");
        timing.source = TimeSource::Device;
        assert!(en.known(&timing).unwrap().contains("never checked"));
        timing.source = TimeSource::Client;
        assert_eq!(en.known(&timing), None);
        assert_eq!(
            [0, 180_000, 7_200_001].map(|ms| en.within(ms)),
            ["±0.0 s", "±3 min", "±3 h"]
        );
    }

    #[test]
    fn a_clients_time_says_what_it_probably_was_where_its_clock_was_wrong() {
        let now = 1_773_482_400_000;
        let timing = Timing {
            source: TimeSource::Client,
            confidence_ms: None,
            captured_ms: now,
            wall_ms: now,
            probably: Some(Probably {
                at_ms: now,
                behind_ms: 3 * HOUR_MS,
                confidence_ms: 60_000,
            }),
        };
        let known = |lang| {
            Times::new(lang, "Europe/Madrid", now)
                .known(&timing)
                .unwrap()
        };
        assert_eq!(
            known(Lang::Es),
            "su reloj parecía ir 3 h atrasado: hacia las 14/03/2026 11:00 ±60 s"
        );
        assert_eq!(
            known(Lang::En),
            "its clock seemed to be 3 h behind: about 14 Mar 2026, 11:00 ±60 s"
        );
    }
}
