//! Instants as people read them, in the organisation's zone.

use jiff::{Timestamp, Zoned, tz::TimeZone};
use trenza_shared::clock::format_ms;

use super::text::Lang;

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

    /// All forms.
    pub fn shown(&self, at_ms: i64) -> Shown {
        Shown {
            machine: format_ms(at_ms),
            full: self.full(at_ms),
            ago: self.ago(at_ms),
        }
    }

    /// A difference of clocks: `3 h adelantado`; nothing under two minutes.
    pub fn offset(&self, ms: i64) -> Option<String> {
        let size = match ms.saturating_abs() {
            size if size < 2 * MINUTE_MS => return None,
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
            (Some("3 h adelantado".into()), None)
        );
    }
}
