//! A customer's events in time order, page by page.

use trenza_shared::{
    event::Event,
    id::{EventId, Fingerprint},
    identity::Group,
    store::{Direction, StoreError, View},
    wire::entry::Entry,
};

use crate::tables::{EVENTS, EventRow, LOG, TIMELINE};

/// Most events of one page.
pub const PAGE_MAX: usize = 500;

/// Where a page ended: time and id of its last event.
pub type Cursor = (i64, EventId);

/// One event of a timeline.
pub struct Moment {
    /// The event.
    pub event: Event,
    /// Where it stands and whence it came.
    pub row: EventRow,
    /// When the server got it first. Unit: ms since 1970.
    pub received_ms: i64,
}

/// At most `limit` events after `after`, oldest first, and the cursor of the next page.
///
/// # Errors
/// The store cannot be read.
pub fn page(
    view: &dyn View,
    group: &Group,
    after: Option<Cursor>,
    limit: usize,
) -> Result<(Vec<Moment>, Option<Cursor>), StoreError> {
    let limit = limit.clamp(1, PAGE_MAX);
    let mut keys: Vec<Cursor> = Vec::new();
    for member in &group.members {
        keys.extend(keys_after(view, member, after, limit + 1)?);
        if keys.len() > limit * 64 {
            keys.sort_unstable();
            keys.truncate(limit + 1);
        }
    }
    keys.sort_unstable();
    let more = keys.len() > limit;
    keys.truncate(limit);
    let next = if more { keys.last().copied() } else { None };
    let mut opened = Opened::default();
    let moments = keys
        .iter()
        .map(|(_, id)| opened.moment(view, id))
        .collect::<Result<_, _>>()?;
    Ok((moments, next))
}

/// At most `limit` events before `before`, newest first, and the cursor of the next page.
///
/// # Errors
/// The store cannot be read.
pub fn page_back(
    view: &dyn View,
    group: &Group,
    before: Option<Cursor>,
    limit: usize,
) -> Result<(Vec<Moment>, Option<Cursor>), StoreError> {
    let limit = limit.clamp(1, PAGE_MAX);
    let mut keys: Vec<Cursor> = Vec::new();
    let newest_first = |keys: &mut Vec<Cursor>| keys.sort_unstable_by(|one, other| other.cmp(one));
    for member in &group.members {
        let from = (*member, i64::MIN, EventId([0; 32]));
        let (at_ms, id) = before.unwrap_or((i64::MAX, EventId([u8::MAX; 32])));
        let rows = TIMELINE.scan(
            view,
            Some(&from),
            Some(&(*member, at_ms, id)),
            Direction::Back,
            limit + 1,
        )?;
        keys.extend(rows.into_iter().map(|((_, at_ms, id), _)| (at_ms, id)));
        if keys.len() > limit * 64 {
            newest_first(&mut keys);
            keys.truncate(limit + 1);
        }
    }
    newest_first(&mut keys);
    let more = keys.len() > limit;
    keys.truncate(limit);
    let next = if more { keys.last().copied() } else { None };
    let mut opened = Opened::default();
    let moments = keys
        .iter()
        .map(|(_, id)| opened.moment(view, id))
        .collect::<Result<_, _>>()?;
    Ok((moments, next))
}

/// One event with its circumstances.
///
/// # Errors
/// The store cannot be read.
pub fn moment(view: &dyn View, id: &EventId) -> Result<Moment, StoreError> {
    Opened::default().moment(view, id)
}

/// Most records of the log that stay unpacked while a page is read.
const OPENED_MAX: usize = 8;

/// Unpacked records of the log: events of one person often came in one batch, and unpacking it for each of them is most of the work.
#[derive(Default)]
struct Opened(Vec<(u64, i64, Vec<Entry>)>);

impl Opened {
    fn moment(&mut self, view: &dyn View, id: &EventId) -> Result<Moment, StoreError> {
        let corrupt = |detail: String| StoreError::Corrupt {
            space: EVENTS.space().0.into(),
            detail: format!("{id}: {detail}"),
        };
        let row = EVENTS
            .get(view, id)?
            .ok_or_else(|| corrupt("it is not there".into()))?;
        let record = row.position.record;
        if self.0.iter().all(|(number, ..)| *number != record) {
            let stored = LOG
                .get(view, &record)?
                .ok_or_else(|| corrupt(format!("record {record} is not there")))?;
            let entries = stored
                .run
                .unpack()
                .map_err(|error| corrupt(error.to_string()))?;
            if self.0.len() == OPENED_MAX {
                self.0.remove(0);
            }
            self.0.push((record, stored.received_ms, entries));
        }
        let opened = self.0.iter().find(|(number, ..)| *number == record);
        let entry = opened.and_then(|(_, received_ms, entries)| {
            Some((*received_ms, entries.get(row.position.index as usize)?))
        });
        let (received_ms, entry) = entry.ok_or_else(|| {
            corrupt(format!(
                "record {record} has no entry {}",
                row.position.index
            ))
        })?;
        let text = entry.text().map_err(|error| corrupt(error.to_string()))?;
        let event = Event::stored(text.to_owned()).map_err(|error| corrupt(error.to_string()))?;
        Ok(Moment {
            event,
            row,
            received_ms,
        })
    }
}

fn keys_after(
    view: &dyn View,
    member: &Fingerprint,
    after: Option<Cursor>,
    max: usize,
) -> Result<Vec<Cursor>, StoreError> {
    let (at_ms, id) = after.unwrap_or((i64::MIN, EventId([0; 32])));
    let rows = TIMELINE.scan_prefix_from(view, member, &(*member, at_ms, id), max + 1)?;
    Ok(rows
        .into_iter()
        .map(|((_, at_ms, id), _)| (at_ms, id))
        .filter(|key| after.is_none_or(|after| *key > after))
        .take(max)
        .collect())
}

/// The messageIds of a group's events, sorted.
///
/// # Errors
/// The store cannot be read.
pub fn message_ids(view: &dyn View, group: &Group) -> Result<Vec<String>, StoreError> {
    let mut out = Vec::new();
    for member in &group.members {
        for row in TIMELINE.rows_of(view, member, Direction::Forward) {
            out.push(String::from_utf8_lossy(&row?.1).into_owned());
        }
    }
    out.sort_unstable();
    Ok(out)
}
