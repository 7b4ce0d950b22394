//! How far the log is in the derived tables and in the change feed, and which of its records came before their turn.
//!
//! Owns the four tables that say so. A record that came before its turn is remembered until its turn comes, so that none is applied
//! or told twice.

use std::collections::BTreeSet;

use trenza_shared::store::{Direction, StoreError, Table, View, Writer};

use crate::tables::{AHEAD, APPLIED, FED, FED_AHEAD};

/// Most records that are forgotten at a time: as many as one batch passes.
const PASSED_MAX: usize = 4_096;

/// The record up to which all are in the derived tables.
///
/// # Errors
/// The store cannot be read.
pub fn applied(view: &(impl View + ?Sized)) -> Result<u64, StoreError> {
    Ok(APPLIED.get(view, &())?.unwrap_or(0))
}

/// Records after `from` and up to `last` that were applied before their turn.
///
/// # Errors
/// The store cannot be read.
pub fn ahead(
    view: &(impl View + ?Sized),
    from: u64,
    last: u64,
) -> Result<BTreeSet<u64>, StoreError> {
    within(&AHEAD, view, from, last)
}

/// Whether a record is in the derived tables; of one whose turn has not come.
///
/// # Errors
/// The store cannot be read.
pub fn is_ahead(view: &(impl View + ?Sized), record: u64) -> Result<bool, StoreError> {
    AHEAD.has(view, &record)
}

/// Whether what a record brought about stands in the change feed.
///
/// # Errors
/// The store cannot be read.
pub fn is_told(view: &(impl View + ?Sized), record: u64) -> Result<bool, StoreError> {
    Ok(FED.get(view, &())?.unwrap_or(0) >= record || FED_AHEAD.has(view, &record)?)
}

/// The last record that was told of in the feed and is not in the derived tables, as they are being rebuilt; none when all is there.
///
/// # Errors
/// The store cannot be read.
pub fn told_and_gone(view: &(impl View + ?Sized)) -> Result<Option<u64>, StoreError> {
    let (applied, fed) = (applied(view)?, FED.get(view, &())?.unwrap_or(0));
    let mut gone = (fed > applied).then_some(fed);
    let ahead = FED_AHEAD.scan(view, None, None, Direction::Forward, PASSED_MAX)?;
    for (record, ()) in ahead {
        if record > applied && !is_ahead(view, record)? {
            gone = gone.max(Some(record));
        }
    }
    Ok(gone)
}

/// All up to `last` is in the derived tables.
///
/// # Errors
/// The store cannot be read.
pub fn passed<V: View + Writer>(to: &mut V, last: u64) -> Result<(), StoreError> {
    for record in within(&AHEAD, to, applied(to)?, last)? {
        AHEAD.delete(to, &record);
    }
    APPLIED.put(to, &(), &last)
}

/// All up to `last` stands in the change feed.
///
/// # Errors
/// The store cannot be read.
pub fn told<V: View + Writer>(to: &mut V, last: u64) -> Result<(), StoreError> {
    let before = FED.get(to, &())?.unwrap_or(0);
    if last <= before {
        return Ok(());
    }
    for record in within(&FED_AHEAD, to, before, last)? {
        FED_AHEAD.delete(to, &record);
    }
    FED.put(to, &(), &last)
}

/// These are in the derived tables and in the change feed, and their turn has not come.
///
/// # Errors
/// As [`Table::put`].
pub fn went_ahead(to: &mut impl Writer, records: &[u64]) -> Result<(), StoreError> {
    for record in records {
        AHEAD.put(to, record, &())?;
        FED_AHEAD.put(to, record, &())?;
    }
    Ok(())
}

fn within(
    table: &Table<u64, ()>,
    view: &(impl View + ?Sized),
    from: u64,
    last: u64,
) -> Result<BTreeSet<u64>, StoreError> {
    if last <= from {
        return Ok(BTreeSet::new());
    }
    let (begin, end) = (from + 1, last.saturating_add(1));
    let rows = table.scan(
        view,
        Some(&begin),
        Some(&end),
        Direction::Forward,
        PASSED_MAX,
    )?;
    Ok(rows.into_iter().map(|(record, ())| record).collect())
}
