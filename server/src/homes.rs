//! Two homes for the derived tables: one is shown, the other is where they are made anew under other rules.
//!
//! Owns the name under which a derived table is kept now. Whoever reads or writes one names the table alone; the change from one
//! home to the other is a single commit, so nobody ever sees half of it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use trenza_shared::store::{
    Batch, Change, Direction, Durable, Entry, Range, Space, Store, StoreError, View,
};

use crate::tables::{SECOND_SHOWN, second_home};

/// The store with its derived tables as they are shown.
pub struct Homes {
    store: Arc<dyn Store>,
    second: AtomicBool,
}

impl Homes {
    /// Over a store whose derived tables have both homes.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn open(store: Arc<dyn Store>) -> Result<Self, StoreError> {
        let second = AtomicBool::new(is_second(&*store)?);
        Ok(Self { store, second })
    }

    fn shown(&self) -> At<'_> {
        At {
            view: &*self.store,
            second: self.second.load(Ordering::SeqCst),
        }
    }

    /// The same store with its derived tables in the home that is not shown. Show it before asking for it again.
    #[must_use]
    pub fn other(&self) -> Other {
        Other {
            store: self.store.clone(),
            second: !self.second.load(Ordering::SeqCst),
        }
    }

    /// Shows the other home, in one durable step with `batch`.
    ///
    /// # Errors
    /// As [`Store::commit`]; where it is unknown whether the step was taken, the store is asked which home it shows.
    pub fn show_other(&self, batch: Batch) -> Result<(), StoreError> {
        let before = self.second.load(Ordering::SeqCst);
        let mut step = placed(batch, before);
        SECOND_SHOWN.put(&mut step, &(), &u64::from(!before))?;
        let done = self.store.commit(step, Durable::Yes);
        self.second
            .store(is_second(&*self.store)?, Ordering::SeqCst);
        done
    }
}

fn is_second(view: &dyn View) -> Result<bool, StoreError> {
    Ok(SECOND_SHOWN.get(view, &())?.unwrap_or(0) != 0)
}

fn place(space: Space, second: bool) -> Space {
    if second {
        second_home(space).unwrap_or(space)
    } else {
        space
    }
}

fn placed(batch: Batch, second: bool) -> Batch {
    if !second {
        return batch;
    }
    let mut out = Batch::new();
    for change in batch.into_changes() {
        match change {
            Change::Put(space, key, value) => out.put(place(space, true), key, value),
            Change::Delete(space, key) => out.delete(place(space, true), key),
            Change::DeleteRange(space, from, to) => out.delete_range(place(space, true), from, to),
        }
    }
    out
}

/// A view whose derived tables are read from one of the homes.
struct At<'a> {
    view: &'a dyn View,
    second: bool,
}

impl View for At<'_> {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.view.get(place(space, self.second), key)
    }

    fn get_many(&self, space: Space, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.view.get_many(place(space, self.second), keys)
    }

    fn scan(
        &self,
        space: Space,
        range: Range<'_>,
        direction: Direction,
        max: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let space = place(space, self.second);
        self.view.scan(space, range, direction, max)
    }

    fn visit(
        &self,
        space: Space,
        range: Range<'_>,
        max: usize,
        each: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<usize, StoreError> {
        let space = place(space, self.second);
        self.view.visit(space, range, max, each)
    }
}

impl View for Homes {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.shown().get(space, key)
    }

    fn get_many(&self, space: Space, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.shown().get_many(space, keys)
    }

    fn scan(
        &self,
        space: Space,
        range: Range<'_>,
        direction: Direction,
        max: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        self.shown().scan(space, range, direction, max)
    }

    fn visit(
        &self,
        space: Space,
        range: Range<'_>,
        max: usize,
        each: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<usize, StoreError> {
        self.shown().visit(space, range, max, each)
    }
}

impl Store for Homes {
    fn commit(&self, batch: Batch, durable: Durable) -> Result<(), StoreError> {
        let second = self.second.load(Ordering::SeqCst);
        self.store.commit(placed(batch, second), durable)
    }

    /// Which home is shown is read from the snapshot itself.
    fn with_snapshot(&self, job: &mut dyn FnMut(&dyn View)) -> Result<(), StoreError> {
        let mut read = Ok(());
        self.store
            .with_snapshot(&mut |view| match is_second(view) {
                Ok(second) => job(&At { view, second }),
                Err(error) => read = Err(error),
            })?;
        read
    }
}

/// The store with its derived tables in the home that was not shown when it was asked for.
#[derive(Clone)]
pub struct Other {
    store: Arc<dyn Store>,
    second: bool,
}

impl Other {
    fn at(&self) -> At<'_> {
        At {
            view: &*self.store,
            second: self.second,
        }
    }
}

impl View for Other {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.at().get(space, key)
    }

    fn get_many(&self, space: Space, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.at().get_many(space, keys)
    }

    fn scan(
        &self,
        space: Space,
        range: Range<'_>,
        direction: Direction,
        max: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        self.at().scan(space, range, direction, max)
    }

    fn visit(
        &self,
        space: Space,
        range: Range<'_>,
        max: usize,
        each: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<usize, StoreError> {
        self.at().visit(space, range, max, each)
    }
}

impl Store for Other {
    fn commit(&self, batch: Batch, durable: Durable) -> Result<(), StoreError> {
        self.store.commit(placed(batch, self.second), durable)
    }

    fn with_snapshot(&self, job: &mut dyn FnMut(&dyn View)) -> Result<(), StoreError> {
        let second = self.second;
        self.store
            .with_snapshot(&mut |view| job(&At { view, second }))
    }
}

#[cfg(test)]
mod tests {
    use trenza_shared::store::{MemStore, snapshot};

    use super::*;
    use crate::tables::{APPLIED, FED};

    fn put(store: &dyn Store, applied: u64, fed: u64) {
        let mut batch = Batch::new();
        APPLIED.put(&mut batch, &(), &applied).unwrap();
        FED.put(&mut batch, &(), &fed).unwrap();
        store.commit(batch, Durable::Yes).unwrap();
    }

    #[test]
    fn the_other_home_is_seen_by_nobody_until_it_is_shown_whole() {
        let store: Arc<dyn Store> = Arc::new(MemStore::new());
        for round in 0..3 {
            let homes = Homes::open(store.clone()).unwrap();
            put(&homes, 10 + round, 1);
            let other = homes.other();
            put(&other, 20 + round, 2 + round);
            assert_eq!(APPLIED.get(&homes, &()).unwrap(), Some(10 + round));
            assert_eq!(FED.get(&homes, &()).unwrap(), Some(2 + round));
            let mut batch = Batch::new();
            FED.put(&mut batch, &(), &7).unwrap();
            // Whoever reads a state of before goes on reading it.
            snapshot(&homes, |view| {
                homes.show_other(batch).unwrap();
                assert_eq!(APPLIED.get(view, &()).unwrap(), Some(10 + round));
            })
            .unwrap();
            assert_eq!(APPLIED.get(&homes, &()).unwrap(), Some(20 + round));
            assert_eq!(FED.get(&homes, &()).unwrap(), Some(7));
            let seen = snapshot(&homes, |view| APPLIED.get(view, &()).unwrap());
            assert_eq!(seen.unwrap(), Some(20 + round));
            assert_eq!(APPLIED.get(&homes.other(), &()).unwrap(), Some(10 + round));
        }
    }
}
