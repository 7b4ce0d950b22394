//! The local log, folded for the staff's pages: counts of the day and the last rows, without personal data.
//!
//! Owns a view: thrown away and read again at every start. Never writes, and never looks into the personal part of an entry.

mod fold;

use std::{collections::BTreeMap, sync::Mutex, sync::PoisonError};

use jiff::{Timestamp, ToSpan, tz::TimeZone};
use trenza_shared::{
    id::{Epoch, Lane, Seq},
    store::{Direction, StoreError, View},
    wire::{Shape, entry::Open, frame::Frame},
};

use crate::{
    log::{Heads, holding},
    tables::{ChunkRow, LOG},
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
    pub fn read(&self, view: &dyn View, heads: &Heads, now_ms: i64) -> Result<Day, StoreError> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if now_ms < held.from_ms || now_ms >= held.until_ms {
            let (from_ms, until_ms) = day_around(now_ms, &self.zone);
            *held = Held {
                from_ms,
                until_ms,
                ..Held::default()
            };
        }
        for ((epoch, lane), head) in heads {
            let from_ms = held.from_ms;
            let next = match held.next.get(&(*epoch, *lane)) {
                Some(next) => *next,
                None => first_of_day(view, *epoch, *lane, from_ms)?,
            };
            let read_to = self.add(
                view,
                &mut held.day,
                (*epoch, *lane),
                next,
                head.seq,
                from_ms,
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
        from_ms: i64,
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
                let new = rows(&chunk, &self.kiosk_key).filter(|row| row.seq >= next);
                for row in new.filter(|row| row.at_ms >= from_ms) {
                    day.add(row);
                }
                next = next.max(chunk.last() + 1);
            }
        }
        Ok(next)
    }
}

/// The rows of a chunk; one that cannot be read has none.
fn rows<'a>(chunk: &Frame, kiosk_key: &'a str) -> impl Iterator<Item = Row> + use<'a> {
    let (epoch, lane, first) = (chunk.epoch, chunk.lane, chunk.first);
    let entries = chunk.run.unpack().unwrap_or_default();
    (first..).zip(entries).filter_map(move |(seq, entry)| {
        let open = Open::from_bytes(&entry.open).ok()?;
        Some(Row {
            at_ms: open.captured_ms,
            epoch,
            lane,
            seq,
            kind: Kind::of(&open.what),
            by_staff: open.key == kiosk_key,
        })
    })
}

/// Where the day's entries begin in a lane, looking back from its end.
fn first_of_day(
    view: &dyn View,
    epoch: Epoch,
    lane: Lane,
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
            let newest_ms = rows(&chunk, "").map(|row| row.at_ms).max();
            if newest_ms.is_some_and(|newest| newest < from_ms) {
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
fn day_around(now_ms: i64, zone: &TimeZone) -> (i64, i64) {
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
    use super::*;

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
