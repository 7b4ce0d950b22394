//! What arrived last, with what became of it.
//!
//! Owns the way from the end of the log to rows that a developer reads. Nothing is kept for it: the list is what is stored, and a
//! cursor says what its reader has seen. Looks at a bounded part of the log, however much came.

use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value};
use trenza_shared::{
    bot::{self, Bot},
    event::{Event, Fault, at, faults},
    id::{AgentId, Fingerprint},
    store::{Direction, StoreError, View},
    wire::{
        Shape as _,
        entry::{Entry, Open, What},
    },
};

use super::{
    message::{nobody_because, said},
    timeline::moment,
};
use crate::{
    evidence::{message_key, seed_of},
    registry::Registry,
    tables::{AHEAD, APPLIED, EVENTS, Hop, LOG, MESSAGES, REJECTED, RecordRow},
};

/// Most rows of one answer.
pub const ROWS_MAX: usize = 200;
/// Most records looked at for one answer.
const RECORDS_MAX: usize = 512;
/// Most entries looked at for one answer, beside those of the last record.
const ENTRIES_MAX: usize = 4_096;
/// Records read at a time: one may have the size of a frame.
const LOOK_RECORDS: usize = 8;

/// What a reader has seen: `RECORD.APPLIED.REFUSED`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Cursor {
    /// The last record of the log.
    pub record: u64,
    /// Up to which record it was known what became of them.
    pub applied: u64,
    /// The number of the newest refusal.
    pub refused: u64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}.{}", self.record, self.applied, self.refused)
    }
}

impl FromStr for Cursor {
    type Err = BadCursor;

    fn from_str(text: &str) -> Result<Self, BadCursor> {
        let mut parts = text.split('.').map(str::parse);
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(Ok(record)), Some(Ok(applied)), Some(Ok(refused)), None) => Ok(Self {
                record,
                applied,
                refused,
            }),
            _ => Err(BadCursor),
        }
    }
}

/// A text that no answer gave as its `next`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("after is no cursor of this list")]
pub struct BadCursor;

/// What became of an entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// In the log; its turn to be looked at has not come.
    Stored,
    /// In a customer.
    Resolved(Fingerprint),
    /// Evidence of nobody, and why.
    Nobody(String),
    /// The same event was here already.
    Duplicate {
        /// When it was taken in first. Unit: ms since 1970.
        first_ms: i64,
        /// In which customer it is.
        seed: Option<Fingerprint>,
    },
    /// Kept apart.
    Rejected {
        /// Stable name of the reason.
        code: String,
        /// The reason, in a sentence.
        reason: String,
    },
}

/// One entry.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Record and index: the same row again says what became of it since.
    pub id: (u64, u32),
    /// When the server got it. Unit: ms since 1970.
    pub received_ms: i64,
    /// Who brought it.
    pub hop: Hop,
    /// Its open part.
    pub open: Open,
    /// What was sent; none where it is no JSON object.
    pub body: Option<Map<String, Value>>,
    /// The same as text, as it is stored.
    pub text: String,
    /// The client's own id of it.
    pub message_id: Option<String>,
    /// What became of it.
    pub verdict: Verdict,
    /// Another event came with the same messageId.
    pub conflict: bool,
    /// A program did it, by what it says of itself or what sent it said.
    pub bot: Option<Bot>,
    /// What of it nothing is read of.
    pub faults: Vec<Fault>,
}

impl Seen {
    /// The agent that brought it.
    pub fn agent(&self) -> Option<AgentId> {
        match self.hop {
            Hop::Agent { agent, .. } => Some(agent),
            Hop::Own | Hop::Import(_) => None,
        }
    }
}

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct Ask {
    /// The write key of a source; none for all, unknown keys too.
    pub key: Option<String>,
    /// What its reader has seen; none at the beginning.
    pub after: Option<Cursor>,
    /// The last record of the log: a cursor beyond it is of a log that is gone, and counts as none.
    pub end: u64,
    /// Most rows, at most [`ROWS_MAX`].
    pub max: usize,
}

/// What is new, and what is known now of what was not before.
#[derive(Debug, Default)]
pub struct Page {
    /// Oldest first.
    pub seen: Vec<Seen>,
    /// Where to go on.
    pub record: u64,
    /// Up to which record it is known what became of them.
    pub applied: u64,
    /// Deliveries (requests, frames, parts of an import) of whatever source that came since and were not looked at.
    pub passed_over: u64,
}

/// The newest rows that its reader has not seen, or of which more is known now.
///
/// # Errors
/// The store cannot be read.
pub fn page(view: &dyn View, registry: &Registry, ask: &Ask) -> Result<Page, StoreError> {
    let max = ask.max.clamp(1, ROWS_MAX);
    let applied = APPLIED.get(view, &())?.unwrap_or(0);
    let after = ask.after.filter(|after| after.record <= ask.end);
    let is_first = after.is_none();
    let after = after.unwrap_or_default();
    // Below it nothing is new: a row that was told while it waited stands above.
    let known = after.record.min(after.applied);
    let news = |record: u64| -> Result<bool, StoreError> {
        Ok(record > after.record
            || record <= applied
            || (applied > after.applied && AHEAD.has(view, &record)?))
    };
    let mut page = Page {
        record: after.record,
        applied,
        ..Page::default()
    };
    let (mut below, mut records, mut entries) = (None, 0, 0);
    'looking: loop {
        let from = known + 1;
        let rows = LOG.scan(
            view,
            Some(&from),
            below.as_ref(),
            Direction::Back,
            LOOK_RECORDS,
        )?;
        if rows.is_empty() {
            break;
        }
        for (number, record) in rows {
            page.record = page.record.max(number);
            if page.seen.len() >= max || records >= RECORDS_MAX || entries >= ENTRIES_MAX {
                page.passed_over = number.saturating_sub(after.record);
                break 'looking;
            }
            below = Some(number);
            (records, entries) = (records + 1, entries + record.count as usize);
            if news(number)? {
                read(
                    view,
                    registry,
                    ask,
                    number,
                    &record,
                    applied,
                    &mut page.seen,
                )?;
            }
        }
    }
    if is_first {
        page.passed_over = 0;
    }
    page.seen.truncate(max);
    page.seen.reverse();
    Ok(page)
}

/// The rows of one record, newest first.
fn read(
    view: &dyn View,
    registry: &Registry,
    ask: &Ask,
    number: u64,
    record: &RecordRow,
    applied: u64,
    out: &mut Vec<Seen>,
) -> Result<(), StoreError> {
    // A record that cannot be read is the resolver's to say.
    let Ok(entries) = record.run.unpack() else {
        return Ok(());
    };
    let done = number <= applied || AHEAD.has(view, &number)?;
    for (index, entry) in entries.iter().enumerate().rev() {
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        if out.len() >= ROWS_MAX {
            break;
        }
        let Ok(open) = Open::from_bytes(&entry.open) else {
            continue;
        };
        if ask.key.as_ref().is_some_and(|key| *key != open.key) {
            continue;
        }
        if let Some((event, message_id, verdict, conflict)) =
            judged(view, registry, (number, index), &open, entry, done)?
        {
            let text = entry.text().unwrap_or_default().to_owned();
            let faults = match (&open.what, &event) {
                (What::Event(kind), Some(body)) => faults(*kind, body),
                _ => Vec::new(),
            };
            let body = event.or_else(|| serde_json::from_str(&text).ok());
            let agent = body
                .as_ref()
                .and_then(|body| at(body, &["context", "userAgent"]));
            let bot = agent.and_then(Value::as_str).and_then(bot::of_visitor);
            out.push(Seen {
                id: (number, index),
                received_ms: record.received_ms,
                hop: record.hop.clone(),
                body,
                text,
                message_id,
                verdict,
                conflict,
                bot: bot.or(open.bot),
                faults,
                open,
            });
        }
    }
    Ok(())
}

type Judged = (Option<Map<String, Value>>, Option<String>, Verdict, bool);

/// What became of an entry; none of one that is no event and was none.
fn judged(
    view: &dyn View,
    registry: &Registry,
    id: (u64, u32),
    open: &Open,
    entry: &Entry,
    done: bool,
) -> Result<Option<Judged>, StoreError> {
    let rejected = |code: &str, reason: &str| Verdict::Rejected {
        code: code.to_owned(),
        reason: reason.to_owned(),
    };
    match &open.what {
        What::Clock { .. } | What::Dropped(_) => return Ok(None),
        What::Rejected {
            code,
            reason,
            message_id,
        } => {
            let verdict = rejected(code, reason);
            return Ok(Some((None, message_id.clone(), verdict, false)));
        }
        What::Event(_) => {}
    }
    if !done {
        let event = entry.text().ok().map(str::to_owned).map(Event::stored);
        let event = event.and_then(Result::ok);
        let message_id = event.as_ref().map(|event| event.message_id.clone());
        let body = event.map(|event| event.body);
        return Ok(Some((body, message_id, Verdict::Stored, false)));
    }
    if let Some(row) = REJECTED.get(view, &id)? {
        let verdict = rejected(&row.code, &row.reason);
        return Ok(Some((None, row.message_id, verdict, false)));
    }
    let Some(event) = entry
        .text()
        .ok()
        .and_then(|text| Event::stored(text.to_owned()).ok())
    else {
        return Ok(None);
    };
    let Some(row) = EVENTS.get(view, &event.id)? else {
        let (body, id) = (event.body, event.message_id);
        return Ok(Some((Some(body), Some(id), Verdict::Stored, false)));
    };
    let seed = match &row.fingerprint {
        Some(fingerprint) => seed_of(view, fingerprint)?,
        None => None,
    };
    let first = (row.position.record, row.position.index);
    let verdict = match seed {
        _ if first != id => Verdict::Duplicate {
            first_ms: row
                .origins
                .iter()
                .map(|one| one.captured_ms)
                .min()
                .unwrap_or(0),
            seed,
        },
        Some(seed) => Verdict::Resolved(seed),
        None => {
            let said = said(&moment(view, &event.id)?, registry);
            Verdict::Nobody(nobody_because(&said))
        }
    };
    let message = MESSAGES.get(view, &message_key(&event.message_id))?;
    let conflict = message.is_some_and(|message| message.events.len() > 1);
    Ok(Some((
        Some(event.body),
        Some(event.message_id),
        verdict,
        conflict,
    )))
}

#[cfg(test)]
mod tests;
