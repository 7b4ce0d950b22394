//! Reading back what is stored: records, events, fragments.

use trenza_shared::{
    event::Event,
    fragment::Fragment,
    id::{EventId, Fingerprint},
    store::{Direction, StoreError, View},
    wire::entry::Entry,
};

use crate::{
    identity::read,
    tables::{EVENTS, EventRow, FRAGMENTS, LOG, OriginRow, Position, RecordRow},
};

/// Most different takings-in kept of one event; of more, the earliest.
const ORIGINS_MAX: usize = 16;

/// The seed of the customer that a fingerprint belongs to.
///
/// # Errors
/// The store cannot be read.
pub fn seed_of(
    view: &(impl View + ?Sized),
    fingerprint: &Fingerprint,
) -> Result<Option<Fingerprint>, StoreError> {
    Ok(read::person(view, fingerprint)?.map(|person| person.seed))
}

/// A stored fragment.
///
/// # Errors
/// The store cannot be read or the row is damaged.
pub fn load_fragment(
    view: &(impl View + ?Sized),
    fingerprint: &Fingerprint,
) -> Result<Option<Fragment>, StoreError> {
    let Some(bytes) = FRAGMENTS.get(view, fingerprint)? else {
        return Ok(None);
    };
    Fragment::decode(&bytes)
        .map(Some)
        .map_err(|error| StoreError::Corrupt {
            space: FRAGMENTS.space().0.into(),
            detail: format!("{fingerprint}: {error}"),
        })
}

/// Most records of the log that stay unpacked.
const OPENED_MAX: usize = 8;

/// An event as stored.
pub struct Stored {
    /// The event.
    pub event: Event,
    /// Where it stands and whence it came.
    pub row: EventRow,
    /// When the server got it first. Unit: ms since 1970.
    pub received_ms: i64,
}

/// Reads events, keeping a few records of the log unpacked: events that are read together often came in one batch, and unpacking
/// it for each of them is most of the work.
#[derive(Default)]
pub struct Opened(Vec<(u64, i64, Vec<Entry>)>);

impl Opened {
    /// An event's text and row.
    ///
    /// # Errors
    /// The store cannot be read, or the log does not hold what the tables say.
    pub fn event(
        &mut self,
        view: &(impl View + ?Sized),
        id: &EventId,
    ) -> Result<Stored, StoreError> {
        let corrupt = |detail: String| StoreError::Corrupt {
            space: EVENTS.space().0.into(),
            detail: format!("{id}: {detail}"),
        };
        let row = EVENTS
            .get(view, id)?
            .ok_or_else(|| corrupt("it is not there".into()))?;
        let record = row.position.record;
        if self.0.iter().all(|(number, ..)| *number != record) {
            let (received_ms, entries) = opened(view, record)?;
            if self.0.len() == OPENED_MAX {
                self.0.remove(0);
            }
            self.0.push((record, received_ms, entries));
        }
        let opened = self.0.iter().find(|(number, ..)| *number == record);
        let (received_ms, entry) = opened
            .and_then(|(_, at_ms, entries)| {
                Some((*at_ms, entries.get(row.position.index as usize)?))
            })
            .ok_or_else(|| {
                corrupt(format!(
                    "record {record} has no entry {}",
                    row.position.index
                ))
            })?;
        let text = entry.text().map_err(|error| corrupt(error.to_string()))?;
        let event = Event::stored(text.to_owned()).map_err(|error| corrupt(error.to_string()))?;
        Ok(Stored {
            event,
            row,
            received_ms,
        })
    }
}

/// The entry at a position of the log.
///
/// # Errors
/// The store cannot be read, or the log has no such entry.
pub fn entry_at(view: &(impl View + ?Sized), position: Position) -> Result<Entry, StoreError> {
    let corrupt = |detail: String| StoreError::Corrupt {
        space: LOG.space().0.into(),
        detail: format!("record {}: {detail}", position.record),
    };
    let entries = entries_of(view, position.record)?;
    entries
        .into_iter()
        .nth(position.index as usize)
        .ok_or_else(|| corrupt(format!("it has no entry {}", position.index)))
}

/// The entries of a record of the log.
///
/// # Errors
/// The store cannot be read, or the log has no such record.
pub fn entries_of(view: &(impl View + ?Sized), record: u64) -> Result<Vec<Entry>, StoreError> {
    opened(view, record).map(|(_, entries)| entries)
}

fn opened(view: &(impl View + ?Sized), record: u64) -> Result<(i64, Vec<Entry>), StoreError> {
    let corrupt = |detail: String| StoreError::Corrupt {
        space: LOG.space().0.into(),
        detail: format!("record {record}: {detail}"),
    };
    let row = LOG
        .get(view, &record)?
        .ok_or_else(|| corrupt("it is not there".into()))?;
    let entries = row
        .run
        .unpack()
        .map_err(|error| corrupt(error.to_string()))?;
    Ok((row.received_ms, entries))
}

/// Key of a messageId.
pub fn message_key(message_id: &str) -> [u8; 16] {
    let mut out = [0; 16];
    out.copy_from_slice(&blake3::hash(message_id.as_bytes()).as_bytes()[..16]);
    out
}

/// Records after `applied`, at most `max`.
///
/// # Errors
/// The store cannot be read.
pub fn next_records(
    view: &(impl View + ?Sized),
    applied: u64,
    max: usize,
) -> Result<Vec<(u64, RecordRow)>, StoreError> {
    LOG.scan(view, Some(&(applied + 1)), None, Direction::Forward, max)
}

/// Most entries of one batch, unless a single record has more.
const BATCH_ENTRIES_MAX: u32 = 4_000;

/// Records read at a time for a batch: one may have the size of a frame, and few such make one.
const BATCH_PAGE: usize = 8;

/// The records after `applied` that make one batch: at most `max`, and with more than one at most [`BATCH_ENTRIES_MAX`] entries.
///
/// # Errors
/// The store cannot be read.
pub fn next_batch(
    view: &(impl View + ?Sized),
    applied: u64,
    max: usize,
) -> Result<Vec<(u64, RecordRow)>, StoreError> {
    let mut records: Vec<(u64, RecordRow)> = Vec::new();
    let mut held = 0_u32;
    loop {
        let last = records.last().map_or(applied, |(number, _)| *number);
        let page = next_records(view, last, BATCH_PAGE.min(max - records.len()))?;
        let is_last = page.len() < BATCH_PAGE;
        for (number, record) in page {
            held = held.saturating_add(record.count);
            if held > BATCH_ENTRIES_MAX && !records.is_empty() {
                return Ok(records);
            }
            records.push((number, record));
        }
        if is_last || records.len() >= max {
            return Ok(records);
        }
    }
}

/// Joins a taking-in: per key, agent and boot the earliest by the collector's clock, sorted, at most [`ORIGINS_MAX`] earliest.
pub fn join_origin(origins: &mut Vec<OriginRow>, one: OriginRow) {
    match origins
        .iter_mut()
        .find(|row| row.key == one.key && row.agent == one.agent && row.boot == one.boot)
    {
        Some(row) if one < *row => *row = one,
        Some(_) => {}
        None => origins.push(one),
    }
    origins.sort_unstable();
    origins.truncate(ORIGINS_MAX);
}
