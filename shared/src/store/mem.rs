//! The memory engine: for tests, simulations and throw-away rebuilds.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use super::{Batch, Change, Direction, Durable, Entry, Range, Space, Store, StoreError, View};

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// One state of a memory store. Tables are shared until written, so a copy costs one pointer a table.
#[derive(Clone, Default)]
pub(super) struct State(BTreeMap<Space, Arc<Rows>>);

impl State {
    pub(super) fn apply(&mut self, batch: Batch) {
        for change in batch.into_changes() {
            match change {
                Change::Put(space, key, value) => {
                    self.rows_mut(space).insert(key, value);
                }
                Change::Delete(space, key) => {
                    self.rows_mut(space).remove(&key);
                }
                Change::DeleteRange(space, from, to) => {
                    self.rows_mut(space)
                        .retain(|key, _| *key < from || to.as_ref().is_some_and(|to| key >= to));
                }
            }
        }
    }

    fn rows_mut(&mut self, space: Space) -> &mut Rows {
        Arc::make_mut(self.0.entry(space).or_default())
    }
}

impl View for State {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.0.get(&space).and_then(|rows| rows.get(key)).cloned())
    }

    fn scan(
        &self,
        space: Space,
        range: Range<'_>,
        direction: Direction,
        max: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let Some(rows) = self.0.get(&space) else {
            return Ok(Vec::new());
        };
        let found = rows.range::<[u8], _>(range.bounds());
        let copy = |(key, value): (&Vec<u8>, &Vec<u8>)| (key.clone(), value.clone());
        Ok(match direction {
            Direction::Forward => found.take(max).map(copy).collect(),
            Direction::Back => found.rev().take(max).map(copy).collect(),
        })
    }
}

/// A store in memory. Every commit is as durable as the process.
#[derive(Default)]
pub struct MemStore {
    state: RwLock<State>,
}

impl MemStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// An independent store with the same content, as a cloned disk would have.
    pub fn fork(&self) -> Self {
        Self {
            state: RwLock::new(self.state()),
        }
    }

    /// A batch is applied to a copy of the table pointers and then swapped in, so even a panic leaves a whole state.
    fn state(&self) -> State {
        self.state
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    #[cfg(any(test, feature = "testing"))]
    pub(super) fn replace(&self, state: State) {
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = state;
    }

    #[cfg(any(test, feature = "testing"))]
    pub(super) fn current(&self) -> State {
        self.state()
    }
}

impl View for MemStore {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.state
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(space, key)
    }

    fn scan(
        &self,
        space: Space,
        range: Range<'_>,
        direction: Direction,
        max: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        state.scan(space, range, direction, max)
    }
}

impl Store for MemStore {
    fn commit(&self, batch: Batch, _durable: Durable) -> Result<(), StoreError> {
        batch.check()?;
        self.state
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .apply(batch);
        Ok(())
    }

    fn with_snapshot(&self, job: &mut dyn FnMut(&dyn View)) -> Result<(), StoreError> {
        job(&self.state());
        Ok(())
    }
}
