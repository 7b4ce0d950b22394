//! Who is under a match key: one row where they are few, as under nearly all keys, and their number and a row for each where they are
//! many.
//!
//! Owns the form, which follows from the set of holders alone, however they came and went. A key of few is read by one look-up,
//! and so is one of too many; whoever comes to many rewrites nothing of theirs.

use trenza_shared::{
    id::Fingerprint,
    identity::Holder,
    matching::{SKETCH_BYTES, Sketch},
    store::{Direction, Overlay, StoreError, View},
};

use crate::tables::{MATCH_HOLDERS, MATCH_KEYS};

/// Most holders in one row: more than a key may have that tells people apart, so that a key which does is read by one look-up.
const FEW_MAX: usize = 64;
/// A holder in a row: seed and sketch. Unit: bytes.
const HOLDER_BYTES: usize = 16 + SKETCH_BYTES;

/// The holders of a key.
enum Holders {
    /// In order of seed, at most [`FEW_MAX`].
    Few(Vec<Holder>),
    /// So many, each in a row of its own.
    Many(u32),
}

/// Who holds a key, in order; none when more than `max` do.
///
/// # Errors
/// The store cannot be read.
pub fn holders(
    view: &(impl View + ?Sized),
    key: u64,
    max: usize,
) -> Result<Option<Vec<Holder>>, StoreError> {
    listed(view, key, of(view, key)?, max)
}

fn listed(
    view: &(impl View + ?Sized),
    key: u64,
    holders: Holders,
    max: usize,
) -> Result<Option<Vec<Holder>>, StoreError> {
    match holders {
        Holders::Few(few) => Ok((few.len() <= max).then_some(few)),
        Holders::Many(count) if count as usize > max => Ok(None),
        Holders::Many(count) => each(view, key, count as usize).map(Some),
    }
}

/// Adds one who does not hold it. Gives those who held it before; none when more than `max` did.
///
/// # Errors
/// The store cannot be read.
pub fn add(
    to: &mut Overlay<'_>,
    key: u64,
    holder: &Holder,
    max: usize,
) -> Result<Option<Vec<Holder>>, StoreError> {
    let mut few = match of(to, key)? {
        Holders::Few(few) => few,
        Holders::Many(count) => {
            let before = listed(to, key, Holders::Many(count), max)?;
            put_one(to, key, holder)?;
            put_count(to, key, count.saturating_add(1))?;
            return Ok(before);
        }
    };
    let before = (few.len() <= max).then(|| few.clone());
    let at = few.partition_point(|one| one.0 < holder.0);
    few.insert(at, *holder);
    if few.len() <= FEW_MAX {
        put_few(to, key, &few)?;
        return Ok(before);
    }
    for one in &few {
        put_one(to, key, one)?;
    }
    put_count(to, key, few.len() as u32)?;
    Ok(before)
}

/// Gives one who holds it another sketch.
///
/// # Errors
/// The store cannot be read.
pub fn change(to: &mut Overlay<'_>, key: u64, holder: &Holder) -> Result<(), StoreError> {
    let Holders::Few(mut few) = of(to, key)? else {
        return put_one(to, key, holder);
    };
    for one in few.iter_mut().filter(|one| one.0 == holder.0) {
        one.1 = holder.1;
    }
    put_few(to, key, &few)
}

/// Takes away one who holds it.
///
/// # Errors
/// The store cannot be read.
pub fn remove(to: &mut Overlay<'_>, key: u64, seed: &Fingerprint) -> Result<(), StoreError> {
    let count = match of(to, key)? {
        Holders::Few(mut few) => {
            few.retain(|one| one.0 != *seed);
            return put_few(to, key, &few);
        }
        Holders::Many(count) => count.saturating_sub(1),
    };
    MATCH_HOLDERS.delete(to, &(key, *seed));
    if count as usize > FEW_MAX {
        return put_count(to, key, count);
    }
    let left = each(to, key, count as usize)?;
    for one in &left {
        MATCH_HOLDERS.delete(to, &(key, one.0));
    }
    put_few(to, key, &left)
}

fn of(view: &(impl View + ?Sized), key: u64) -> Result<Holders, StoreError> {
    let Some(row) = MATCH_KEYS.get(view, &key)? else {
        return Ok(Holders::Few(Vec::new()));
    };
    if let Ok(count) = <[u8; 4]>::try_from(row.as_slice()) {
        return Ok(Holders::Many(u32::from_be_bytes(count)));
    }
    let few: Option<Vec<Holder>> = row.chunks(HOLDER_BYTES).map(read).collect();
    let few = few.ok_or_else(|| corrupt(key, row.len()))?;
    Ok(Holders::Few(few))
}

fn each(view: &(impl View + ?Sized), key: u64, count: usize) -> Result<Vec<Holder>, StoreError> {
    let rows = MATCH_HOLDERS.scan_prefix(view, &key, Direction::Forward, count)?;
    let holder = |((_, seed), sketch): ((u64, Fingerprint), Vec<u8>)| {
        let bytes = <&[u8; SKETCH_BYTES]>::try_from(sketch.as_slice());
        let bytes = bytes.map_err(|_| corrupt(key, sketch.len()))?;
        Ok((seed, Sketch::from_bytes(bytes)))
    };
    rows.into_iter().map(holder).collect()
}

fn put_count(to: &mut Overlay<'_>, key: u64, count: u32) -> Result<(), StoreError> {
    MATCH_KEYS.put(to, &key, &count.to_be_bytes().to_vec())
}

fn put_few(to: &mut Overlay<'_>, key: u64, few: &[Holder]) -> Result<(), StoreError> {
    if few.is_empty() {
        MATCH_KEYS.delete(to, &key);
        return Ok(());
    }
    let mut row = Vec::with_capacity(few.len() * HOLDER_BYTES);
    for (seed, sketch) in few {
        row.extend(seed.0);
        row.extend(sketch.to_bytes());
    }
    MATCH_KEYS.put(to, &key, &row)
}

fn put_one(to: &mut Overlay<'_>, key: u64, (seed, sketch): &Holder) -> Result<(), StoreError> {
    MATCH_HOLDERS.put(to, &(key, *seed), &sketch.to_bytes().to_vec())
}

fn read(holder: &[u8]) -> Option<Holder> {
    let (seed, sketch) = holder.split_first_chunk::<16>()?;
    let sketch = <&[u8; SKETCH_BYTES]>::try_from(sketch).ok()?;
    Some((Fingerprint(*seed), Sketch::from_bytes(sketch)))
}

fn corrupt(key: u64, bytes: usize) -> StoreError {
    StoreError::Corrupt {
        space: MATCH_KEYS.space().0.into(),
        detail: format!(
            "match key {key:016x}: {bytes} bytes are no holders; rebuild with `trenza-server replay`"
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use trenza_shared::{
        matching::Subject,
        store::{Durable, MemStore, Store as _},
    };

    use super::*;

    fn holder(seed: u8, name: u8) -> Holder {
        let subject = Subject {
            given: vec![name.to_string()],
            ..Subject::default()
        };
        (Fingerprint([seed; 16]), Sketch::of(&subject))
    }

    proptest! {
        /// What is kept follows from who holds the key, and is read back.
        #[test]
        fn the_rows_follow_from_the_holders_however_they_came(
            moves in prop::collection::vec((0..96_u8, 0..4_u8), 0..400),
            gone in prop::collection::vec(0..96_u8, 0..240),
            max in 0..100_usize,
        ) {
            let store = MemStore::new();
            let mut overlay = Overlay::new(&store);
            let mut kept: BTreeMap<u8, u8> = BTreeMap::new();
            // Of name 0 nobody stays.
            let gone = gone.into_iter().map(|seed| (seed, 0));
            for (seed, name) in moves.into_iter().chain(gone) {
                let known = if name == 0 { kept.remove(&seed) } else { kept.insert(seed, name) };
                match (known, name) {
                    (None, 0) => {}
                    (Some(_), 0) => remove(&mut overlay, 7, &holder(seed, 0).0).unwrap(),
                    (None, _) => {
                        let before = holders(&overlay, 7, max).unwrap();
                        prop_assert_eq!(add(&mut overlay, 7, &holder(seed, name), max).unwrap(), before);
                    }
                    (Some(_), _) => change(&mut overlay, 7, &holder(seed, name)).unwrap(),
                }
            }
            let expected: Vec<Holder> = kept.iter().map(|(seed, name)| holder(*seed, *name)).collect();
            let found = holders(&overlay, 7, max).unwrap();
            prop_assert_eq!(found, (expected.len() <= max).then_some(expected.clone()));
            prop_assert_eq!(holders(&overlay, 8, 0).unwrap(), Some(Vec::new()));
            let other = MemStore::new();
            let mut straight = Overlay::new(&other);
            for one in &expected {
                let _none = add(&mut straight, 7, one, 0).unwrap();
            }
            let rows = |overlay: Overlay<'_>| {
                let store = MemStore::new();
                store.commit(overlay.into_batch(), Durable::Yes).unwrap();
                let keys: Vec<_> = MATCH_KEYS.rows(&store).map(Result::unwrap).collect();
                let each: Vec<_> = MATCH_HOLDERS.rows(&store).map(Result::unwrap).collect();
                (keys, each)
            };
            prop_assert_eq!(rows(overlay), rows(straight));
        }
    }
}
