//! Builds the derived tables anew beside the ones there are, and compares byte for byte.
//!
//! Proves that what is shown is a function of the log and the decisions. Never changes the store it looks at.

use std::path::Path;

use serde::{Deserialize, Serialize};
use trenza_shared::{
    id::to_hex,
    identity::Decisions,
    store::{
        Direction, Durable, Entry, Overlay, Range, RocksStore, Space, Store, StoreError, View,
        entries, rocks::RocksOptions, snapshot,
    },
};

use super::{Applier, cursor, load_decisions, stored::next_batch};
use crate::{
    rules::{InForce, at_start},
    tables::{AHEAD, DERIVED, LOG},
};

/// Most records applied in one batch.
const RECORDS_MAX: usize = 64;
/// Block cache of the temporary store. Unit: bytes.
const CACHE_BYTES: usize = 32 << 20;

/// The first row that is not what the log says.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Difference {
    /// Name of the table.
    pub table: String,
    /// Its key, in hexadecimal.
    pub key: String,
    /// The stored row in hexadecimal; none when it should not be there or is missing.
    pub stored: Option<String>,
    /// The rebuilt row in hexadecimal; none when there is none.
    pub rebuilt: Option<String>,
}

/// What a comparison found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verified {
    /// Records of the log that were applied.
    pub records: u64,
    /// Rows that were compared.
    pub rows: u64,
    /// The first difference.
    pub difference: Option<Difference>,
}

/// Truth from one place, derived tables from another.
pub struct Beside<'a> {
    /// The log, decisions, sources.
    pub truth: &'a dyn View,
    /// What was derived of them.
    pub derived: &'a dyn View,
}

impl Beside<'_> {
    fn of(&self, space: Space) -> &dyn View {
        if DERIVED.contains(&space) {
            self.derived
        } else {
            self.truth
        }
    }
}

impl View for Beside<'_> {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.of(space).get(space, key)
    }

    fn get_many(&self, space: Space, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.of(space).get_many(space, keys)
    }

    fn scan(
        &self,
        space: Space,
        range: Range<'_>,
        direction: Direction,
        max: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        self.of(space).scan(space, range, direction, max)
    }
}

/// Compares a consistent state of `store` with what its log and decisions give, rebuilt in a temporary store in `dir`, which
/// is removed at the end.
///
/// # Errors
/// One of the stores fails, or the log is damaged.
pub fn verify(store: &dyn Store, applier: &Applier, dir: &Path) -> Result<Verified, StoreError> {
    aside(store, dir, |truth, temporary| {
        verify_in(truth, applier, temporary)
    })
}

/// Runs a job over a consistent state of `store` and an empty store in `dir` for derived tables, which is removed at the end.
///
/// # Errors
/// Those of the stores, and of the job.
pub fn aside<T>(
    store: &dyn Store,
    dir: &Path,
    job: impl FnOnce(&dyn View, &dyn Store) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    remove(dir)?;
    let result = snapshot(store, |truth| {
        let options = RocksOptions {
            cache_bytes: CACHE_BYTES,
            ..RocksOptions::default()
        };
        let temporary = RocksStore::open(dir, &DERIVED, options)?;
        job(truth, &temporary)
    });
    let removed = remove(dir);
    let done = result??;
    removed.map(|()| done)
}

fn remove(dir: &Path) -> Result<(), StoreError> {
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(StoreError::Io {
            doing: "removal of a temporary store",
            detail: format!("{}: {error}", dir.display()),
        }),
        _ => Ok(()),
    }
}

/// The same over any empty store.
///
/// # Errors
/// As [`verify`].
pub fn verify_in(
    truth: &dyn View,
    applier: &Applier,
    empty: &dyn Store,
) -> Result<Verified, StoreError> {
    // Others may come into force meanwhile: what counts is by which rules this state was derived.
    let applier = Applier {
        rules: InForce::of(at_start(truth)?.in_force),
        ..applier.clone()
    };
    let records = whole(truth, &applier, empty, &mut |_| true)?;
    let (rows, difference) = compare(truth, empty)?;
    Ok(Verified {
        records,
        rows,
        difference,
    })
}

/// The last record of the log that is applied in turn.
///
/// # Errors
/// The store cannot be read.
pub fn last(truth: &dyn View) -> Result<u64, StoreError> {
    cursor::applied(truth)
}

/// Applies the log of `truth`, as far as it is applied there, to the derived tables in `derived`, or until `go_on`, which is told
/// the last record of every batch, says no. Gives the last record.
///
/// # Errors
/// As [`in_turn`].
pub fn whole(
    truth: &dyn View,
    applier: &Applier,
    derived: &dyn Store,
    go_on: &mut dyn FnMut(u64) -> bool,
) -> Result<u64, StoreError> {
    let decisions = load_decisions(truth)?;
    let applied = in_turn(truth, applier, &decisions, derived, 0, go_on)?;
    if applied == cursor::applied(truth)? {
        before_turn(truth, applier, &decisions, derived, applied)?;
    }
    Ok(applied)
}

/// Applies what is in turn after record `from` to the derived tables in `derived`, as far as it is applied in `truth`, or until
/// `go_on`, which is told the last record of every batch, says no. Gives the last one.
///
/// # Errors
/// One of the stores fails, or the log is damaged.
pub fn in_turn(
    truth: &dyn View,
    applier: &Applier,
    decisions: &Decisions,
    derived: &dyn Store,
    from: u64,
    go_on: &mut dyn FnMut(u64) -> bool,
) -> Result<u64, StoreError> {
    let until = cursor::applied(truth)?;
    let mut applied = from;
    while applied < until {
        let mut records = next_batch(truth, applied, RECORDS_MAX)?;
        records.retain(|(number, _)| *number <= until);
        let Some((last, _)) = records.last() else {
            break;
        };
        applied = *last;
        let beside = Beside { truth, derived };
        let mut overlay = Overlay::new(&beside);
        let _told_already = applier.apply(&mut overlay, decisions, &records)?;
        cursor::passed(&mut overlay, applied)?;
        derived.commit(overlay.into_batch(), Durable::Later)?;
        if !go_on(applied) {
            break;
        }
    }
    Ok(applied)
}

/// Applies what came before its turn in `truth`.
///
/// # Errors
/// As [`in_turn`].
pub fn before_turn(
    truth: &dyn View,
    applier: &Applier,
    decisions: &Decisions,
    derived: &dyn Store,
    mut from: u64,
) -> Result<(), StoreError> {
    loop {
        let ahead = cursor::ahead(truth, from, u64::MAX)?;
        let Some(last) = ahead.last() else {
            return Ok(());
        };
        from = *last;
        for record in ahead {
            let Some(row) = LOG.get(truth, &record)? else {
                continue;
            };
            let beside = Beside { truth, derived };
            let mut overlay = Overlay::new(&beside);
            let _told_already = applier.apply(&mut overlay, decisions, &[(record, row)])?;
            AHEAD.put(&mut overlay, &record, &())?;
            derived.commit(overlay.into_batch(), Durable::Later)?;
        }
    }
}

/// Compares all derived tables; the number of equal rows, and the first difference.
fn compare(stored: &dyn View, rebuilt: &dyn View) -> Result<(u64, Option<Difference>), StoreError> {
    let mut rows = 0;
    for space in DERIVED {
        let mut left = entries(stored, space, Range::ALL, Direction::Forward);
        let mut right = entries(rebuilt, space, Range::ALL, Direction::Forward);
        loop {
            let (one, other) = (left.next().transpose()?, right.next().transpose()?);
            if one == other {
                if one.is_none() {
                    break;
                }
                rows += 1;
                continue;
            }
            return Ok((rows, Some(difference(space, one, other))));
        }
    }
    Ok((rows, None))
}

fn difference(space: Space, stored: Option<Entry>, rebuilt: Option<Entry>) -> Difference {
    let key = match (&stored, &rebuilt) {
        (Some((one, _)), Some((other, _))) => one.min(other).clone(),
        (Some((key, _)), None) | (None, Some((key, _))) => key.clone(),
        (None, None) => Vec::new(),
    };
    let row = |entry: Option<Entry>| {
        entry
            .filter(|(own, _)| *own == key)
            .map(|(_, row)| to_hex(&row))
    };
    Difference {
        table: space.0.into(),
        stored: row(stored),
        rebuilt: row(rebuilt),
        key: to_hex(&key),
    }
}

#[cfg(test)]
mod tests;
