//! A customer's events in time order, page by page.

use trenza_shared::{
    event::Event,
    id::{EventId, Fingerprint},
    identity::Group,
    store::{Direction, StoreError, View},
};

use crate::{
    evidence::{Clocks, Opened, Stored, Timing, message_key},
    tables::{EventRow, MESSAGES, TIMELINE},
};

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
    /// How its time is known.
    pub timing: Timing,
    /// Another event came with the same messageId; both are kept.
    pub id_conflict: bool,
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
    let mut moments = Moments::default();
    let moments = keys
        .iter()
        .map(|(_, id)| moments.read(view, id))
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
    let mut moments = Moments::default();
    let moments = keys
        .iter()
        .map(|(_, id)| moments.read(view, id))
        .collect::<Result<_, _>>()?;
    Ok((moments, next))
}

/// One event with its circumstances.
///
/// # Errors
/// The store cannot be read.
pub fn moment(view: &dyn View, id: &EventId) -> Result<Moment, StoreError> {
    Moments::default().read(view, id)
}

/// Reads moments one after the other.
#[derive(Default)]
struct Moments {
    opened: Opened,
    clocks: Clocks,
}

impl Moments {
    fn read(&mut self, view: &dyn View, id: &EventId) -> Result<Moment, StoreError> {
        let Stored {
            event,
            row,
            received_ms,
        } = self.opened.event(view, id)?;
        let timing = self.clocks.timing(view, &event, &row)?;
        let message = MESSAGES.get(view, &message_key(&event.message_id))?;
        Ok(Moment {
            id_conflict: message.is_some_and(|message| message.events.len() > 1),
            event,
            row,
            received_ms,
            timing,
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
