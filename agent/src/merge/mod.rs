//! The local log, folded for the staff's pages: counts of the day and the last rows, without personal data.
//!
//! Owns a view: thrown away and read again at every start. Never writes, and never looks into the personal part of an entry.

mod fold;

use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{Mutex, PoisonError},
};

use jiff::{Timestamp, ToSpan, tz::TimeZone};
use trenza_shared::{
    clock::RELEASED_MS,
    id::{Epoch, Lane, Seq},
    store::{Direction, StoreError, View},
    wire::{Shape, entry::Open, frame::Frame},
};

use crate::{
    log::{Heads, holding},
    tables::{ChunkRow, LOG},
    time::KnownTime,
};

pub use fold::{Day, Kind, ROWS_MAX, Row};

/// Most chunks read again at a start, newest first. A day at a stand has far fewer.
const REBUILD_CHUNKS_MAX: usize = 50_000;
/// Chunks read at one go. Few, since each may have the size of a frame.
const PAGE_CHUNKS: usize = 32;

/// The fold of the day that is on, kept up with the log.
pub struct Today {
    zone: TimeZone,
    kiosk_key: String,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    time: KnownTime,
    from_ms: i64,
    until_ms: i64,
    next: BTreeMap<(Epoch, Lane), Seq>,
    day: Day,
}

impl Today {
    /// Nothing read yet.
    pub fn new(zone: TimeZone, kiosk_key: String) -> Self {
        Self {
            zone,
            kiosk_key,
            held: Mutex::default(),
        }
    }

    /// The day so far, with everything in the log up to `heads`. Reads the disk: call it where blocking is allowed.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn read(
        &self,
        view: &dyn View,
        heads: &Heads,
        time: KnownTime,
        now_ms: i64,
    ) -> Result<Day, StoreError> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        // Read again on another day, and when the clock was measured: then it may have been another day all along.
        if now_ms < held.from_ms || now_ms >= held.until_ms || !held.time.agrees(&time) {
            let (from_ms, until_ms) = day_around(now_ms, &self.zone);
            *held = Held {
                time,
                from_ms,
                until_ms,
                ..Held::default()
            };
        }
        for ((epoch, lane), head) in heads.iter().filter(|((_, lane), _)| lane.has_events()) {
            let within = held.from_ms..held.until_ms;
            let time = held.time;
            let next = match held.next.get(&(*epoch, *lane)) {
                Some(next) => *next,
                None => first_of_day(view, *epoch, *lane, time, within.start)?,
            };
            let read_to = self.add(
                view,
                &mut held.day,
                (*epoch, *lane),
                next,
                head.seq,
                (time, &within),
            )?;
            held.next.insert((*epoch, *lane), read_to);
        }
        Ok(held.day.clone())
    }

    /// Adds the entries from `next` to `head`; returns from where to go on.
    fn add(
        &self,
        view: &dyn View,
        day: &mut Day,
        (epoch, lane): (Epoch, Lane),
        mut next: Seq,
        head: Seq,
        (time, within): (KnownTime, &Range<i64>),
    ) -> Result<Seq, StoreError> {
        while next <= head {
            // A chunk that begins before `next` holds what was joined to what is added already.
            let from = holding(view, epoch, lane, next)?.map_or(next, |chunk| chunk.first);
            let chunks =
                LOG.scan_prefix_from(view, &(epoch, lane), &(epoch, lane, from), PAGE_CHUNKS)?;
            if chunks.is_empty() {
                break;
            }
            for (_, ChunkRow(chunk)) in chunks {
                if chunk.last() > head {
                    return Ok(next);
                }
                let new = rows(&chunk, &self.kiosk_key, time).filter(|row| row.seq >= next);
                for row in new.filter(|row| within.contains(&row.at_ms)) {
                    day.add(row);
                }
                next = next.max(chunk.last() + 1);
            }
        }
        Ok(next)
    }
}

/// The rows of a chunk; one that cannot be read has none.
fn rows<'a>(
    chunk: &Frame,
    kiosk_key: &'a str,
    time: KnownTime,
) -> impl Iterator<Item = Row> + use<'a> {
    let (epoch, lane, first) = (chunk.epoch, chunk.lane, chunk.first);
    let entries = chunk.run.unpack().unwrap_or_default();
    (first..).zip(entries).filter_map(move |(seq, entry)| {
        let open = Open::from_bytes(&entry.open).ok()?;
        Some(Row {
            at_ms: time.taken_ms(&open),
            epoch,
            lane,
            seq,
            kind: Kind::of(&open.what)?,
            by_staff: open.key == kiosk_key,
        })
    })
}

/// Where the day's entries begin in a lane, looking back from its end.
pub(crate) fn first_of_day(
    view: &dyn View,
    epoch: Epoch,
    lane: Lane,
    time: KnownTime,
    from_ms: i64,
) -> Result<Seq, StoreError> {
    let mut first = Seq::MAX;
    for _ in 0..REBUILD_CHUNKS_MAX / PAGE_CHUNKS {
        let chunks = LOG.scan(
            view,
            Some(&(epoch, lane, 0)),
            Some(&(epoch, lane, first)),
            Direction::Back,
            PAGE_CHUNKS,
        )?;
        let page = chunks.len();
        for ((.., seq), ChunkRow(chunk)) in chunks {
            let newest_ms = rows(&chunk, "", time).map(|row| row.at_ms).max();
            // Before the first release nobody took anything in: an earlier boot's clock was wrong, and says nothing of the day.
            if newest_ms.is_some_and(|newest| newest < from_ms && newest >= RELEASED_MS) {
                return Ok(chunk.last() + 1);
            }
            first = seq;
        }
        if page < PAGE_CHUNKS {
            break;
        }
    }
    Ok(if first == Seq::MAX { 1 } else { first })
}

/// The local day that holds an instant. Unit: ms since 1970.
pub(crate) fn day_around(now_ms: i64, zone: &TimeZone) -> (i64, i64) {
    const DAY_MS: i64 = 86_400_000;
    let fallback = (
        now_ms - now_ms.rem_euclid(DAY_MS),
        now_ms - now_ms.rem_euclid(DAY_MS) + DAY_MS,
    );
    let Ok(at) = Timestamp::from_millisecond(now_ms) else {
        return fallback;
    };
    let Ok(start) = at.to_zoned(zone.clone()).start_of_day() else {
        return fallback;
    };
    let Ok(end) = start.checked_add(1.day()) else {
        return fallback;
    };
    (
        start.timestamp().as_millisecond(),
        end.timestamp().as_millisecond(),
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use trenza_shared::{
        clock::{Clock, TestClock},
        event::EventType,
        id::AgentId,
        skew::Fact,
        store::MemStore,
        wire::entry::{Entry, What},
    };

    use super::*;
    use crate::{
        log::{Append, Fresh, Log, NewEntry},
        tables::{Measured, ServerRow},
    };

    const BOOT: u64 = 3;

    fn instant(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    /// A log, taken in by a clock.
    struct Taking {
        store: Arc<MemStore>,
        log: Log,
        clock: TestClock,
    }

    impl Taking {
        fn begins_at(wall_ms: i64) -> Self {
            let store = Arc::new(MemStore::new());
            let fresh = Fresh {
                epoch: 1,
                salt_root: [1; 32],
                damaged: false,
            };
            let (log, _thread) = Log::open(store.clone(), AgentId([7; 16]), fresh).unwrap();
            let clock = TestClock::at(wall_ms);
            Self { store, log, clock }
        }

        async fn visit(&self) {
            let open = Open {
                what: What::Event(EventType::Track),
                captured_ms: self.clock.wall_ms(),
                boottime_ms: self.clock.boottime_ms(),
                boot: BOOT,
                offset_min: 0,
                key: "kiosk".into(),
                unverified: false,
                bot: None,
                sent_lag_ms: 0,
            };
            let entries = vec![NewEntry {
                identity: None,
                entry: Entry::clear(&open, "{}"),
            }];
            let lane = Lane::Visits;
            self.log.append(Append { lane, entries }).await.unwrap();
        }

        fn visits(&self, today: &Today, told: &ServerRow) -> u64 {
            let time = KnownTime::new(BOOT, told, &self.clock);
            let now_ms = time.now_ms(&self.clock);
            let day = today.read(&*self.store, &self.log.ends(), time, now_ms);
            day.unwrap().visits
        }
    }

    fn today() -> Today {
        Today::new(TimeZone::get("Europe/Madrid").unwrap(), "kiosk".into())
    }

    #[tokio::test]
    async fn days_of_23_and_25_hours_count_each_visit_once_on_its_own_day() {
        for (begin, hours) in [
            ("2026-03-29T00:00:00+01:00", 23),
            ("2026-10-25T00:00:00+02:00", 25),
        ] {
            let quarter_h = 900_000;
            let taking = Taking::begins_at(instant(begin) - 2 * quarter_h);
            let (today, told) = (today(), ServerRow::default());
            let mut counts = Vec::new();
            // A visit every quarter of an hour, from half an hour before the day to half an hour after it.
            for _ in 0..(hours + 1) * 4 {
                taking.visit().await;
                counts.push(taking.visits(&today, &told));
                taking.clock.advance_ms(quarter_h as u64);
            }
            let day: Vec<u64> = (1..=hours * 4).collect();
            assert_eq!(counts, [&[1, 2][..], &day, &[1, 2]].concat(), "{begin}");
            // Read again at a start, from the end of the log.
            taking.clock.advance_ms(0);
            let again = self::today();
            assert_eq!(taking.visits(&again, &told), 2, "{begin}");
        }
    }

    #[tokio::test]
    async fn a_clock_that_was_in_1970_or_ten_years_ahead_loses_no_visit_of_the_day_once_it_is_known()
     {
        let noon = instant("2026-03-14T12:00:00+01:00");
        for wrong in [0, noon + 10 * 365 * 86_400_000] {
            let taking = Taking::begins_at(wrong);
            let today = today();
            let mut told = ServerRow::default();
            for _ in 0..3 {
                taking.visit().await;
                taking.clock.advance_ms(60_000);
            }
            assert_eq!(taking.visits(&today, &told), 3, "by the clock there is");
            let fact = Fact {
                round_trip_ms: 40,
                boottime_ms: taking.clock.boottime_ms(),
                server_ms: noon,
            };
            told.measured = Some(Measured {
                boot: BOOT,
                agent: AgentId([7; 16]),
                fact,
            });
            taking.visit().await;
            assert_eq!(taking.visits(&today, &told), 4, "by the measured one");
            // Somebody sets the clock: nothing changes.
            taking.clock.set_wall_ms(noon - 86_400_000);
            taking.visit().await;
            assert_eq!(taking.visits(&today, &told), 5);
            taking.clock.advance_ms(86_400_000);
            assert_eq!(taking.visits(&today, &told), 0, "the next day");
        }
    }

    #[test]
    fn a_day_is_the_places_own_also_when_clocks_change() {
        let madrid = TimeZone::get("Europe/Madrid").unwrap();
        // 2026-03-29, when Madrid's day has 23 hours.
        let noon = "2026-03-29T12:00:00+02:00"
            .parse::<Timestamp>()
            .unwrap()
            .as_millisecond();
        let (from, until) = day_around(noon, &madrid);
        assert_eq!(until - from, 23 * 3_600_000);
        assert!(from < noon && noon < until);
    }
}
