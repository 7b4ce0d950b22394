//! Writes that are not committed yet, read as if they were.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
    sync::OnceLock,
};

use foldhash::{HashMap, HashMapExt as _};

use super::{Batch, Direction, Entry, Range, Space, StoreError, View, Writer, entries};

/// A [`View`] over another one that sees its own writes: what a single-writer loop decides on, then commits at once.
///
/// It is no transaction: nothing notices when somebody else writes below it. One writer per store.
pub struct Overlay<'a> {
    base: &'a dyn View,
    tables: HashMap<Space, Rows>,
}

/// What is known of one table. Hashed: nearly all is asked by exact key, and most tables are never scanned here.
#[derive(Default)]
struct Rows {
    /// `None`: removed.
    written: HashMap<Vec<u8>, Option<Vec<u8>>>,
    /// The written keys in order, once somebody scanned.
    order: OnceLock<BTreeSet<Vec<u8>>>,
    /// What lies below under keys that were read ahead.
    below: HashMap<Vec<u8>, Option<Vec<u8>>>,
}

impl Rows {
    fn write(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        if let Some(order) = self.order.get_mut()
            && !order.contains(&key)
        {
            order.insert(key.clone());
        }
        self.written.insert(key, value);
    }

    fn order(&self) -> &BTreeSet<Vec<u8>> {
        self.order
            .get_or_init(|| self.written.keys().cloned().collect())
    }
}

impl<'a> Overlay<'a> {
    /// No writes yet.
    pub fn new(base: &'a dyn View) -> Self {
        Self {
            base,
            tables: HashMap::new(),
        }
    }

    /// Sets `key` to `value`.
    pub fn put(&mut self, space: Space, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.rows(space).write(key.into(), Some(value.into()));
    }

    /// Removes `key`.
    pub fn delete(&mut self, space: Space, key: impl Into<Vec<u8>>) {
        self.rows(space).write(key.into(), None);
    }

    fn rows(&mut self, space: Space) -> &mut Rows {
        self.tables.entry(space).or_default()
    }

    /// Reads the rows of some keys at one go, which costs less than one by one; they are kept until the end. What is read is the
    /// same without it.
    ///
    /// # Errors
    /// As [`View::get`].
    pub fn read_ahead(
        &mut self,
        space: Space,
        keys: impl IntoIterator<Item = Vec<u8>>,
    ) -> Result<(), StoreError> {
        let base = self.base;
        let rows = self.rows(space);
        let mut keys: Vec<Vec<u8>> = keys.into_iter().collect();
        keys.retain(|key| !rows.written.contains_key(key) && !rows.below.contains_key(key));
        keys.sort_unstable();
        keys.dedup();
        let found = base.get_many(space, &keys)?;
        rows.below.extend(keys.into_iter().zip(found));
        Ok(())
    }

    /// Removes `range`, key by key; memory grows with the number of keys. To empty a whole table use
    /// [`super::clear_spaces`].
    ///
    /// # Errors
    /// As [`View::scan`].
    pub fn delete_range(&mut self, space: Space, range: Range<'_>) -> Result<(), StoreError> {
        let mut keys = Vec::new();
        for entry in entries(self, space, range, Direction::Forward) {
            keys.push(entry?.0);
        }
        for key in keys {
            self.delete(space, key);
        }
        Ok(())
    }

    /// Number of keys that were written or removed.
    pub fn len(&self) -> usize {
        self.tables.values().map(|rows| rows.written.len()).sum()
    }

    /// True when nothing was written.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Everything written, in the order of tables and keys: equal writes give equal batches.
    pub fn into_batch(self) -> Batch {
        let mut batch = Batch::new();
        let tables: BTreeMap<Space, Rows> = self.tables.into_iter().collect();
        for (space, rows) in tables {
            let mut written: Vec<_> = rows.written.into_iter().collect();
            written.sort_unstable();
            for (key, value) in written {
                match value {
                    Some(value) => batch.put(space, key, value),
                    None => batch.delete(space, key),
                }
            }
        }
        batch
    }
}

impl View for Overlay<'_> {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let known = self
            .tables
            .get(&space)
            .and_then(|rows| rows.written.get(key).or_else(|| rows.below.get(key)));
        match known {
            Some(known) => Ok(known.clone()),
            None => self.base.get(space, key),
        }
    }

    fn scan(
        &self,
        space: Space,
        range: Range<'_>,
        direction: Direction,
        max: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let rows = self.tables.get(&space);
        let Some(rows) = rows.filter(|rows| !rows.written.is_empty()) else {
            return self.base.scan(space, range, direction, max);
        };
        let back = direction == Direction::Back;
        let mut own = rows.order().range::<[u8], _>(range.bounds());
        let mut next_own = move || if back { own.next_back() } else { own.next() };
        // One more than is asked for: the walk looks one ahead.
        let mut below = entries(self.base, space, range, direction).of_few(max.saturating_add(1));
        let (mut left, mut right) = (next_own(), below.next().transpose()?);
        let mut found = Vec::new();
        while found.len() < max {
            let order = match (&left, &right) {
                (None, None) => break,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(own), Some((base, _))) if back => base.cmp(own),
                (Some(own), Some((base, _))) => (*own).cmp(base),
            };
            if order.is_le() {
                // The own write hides what is below it.
                if order.is_eq() {
                    right = below.next().transpose()?;
                }
                if let Some(key) = left
                    && let Some(Some(value)) = rows.written.get(key)
                {
                    found.push((key.clone(), value.clone()));
                }
                left = next_own();
            } else {
                found.extend(right.take());
                right = below.next().transpose()?;
            }
        }
        Ok(found)
    }
}

impl Writer for Overlay<'_> {
    fn put_raw(&mut self, space: Space, key: Vec<u8>, value: Vec<u8>) {
        self.put(space, key, value);
    }

    fn delete_raw(&mut self, space: Space, key: Vec<u8>) {
        self.delete(space, key);
    }
}
