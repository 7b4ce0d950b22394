//! Writes that are not committed yet, read as if they were.

use std::{cmp::Ordering, collections::BTreeMap};

use super::{
    Batch, Direction, Entry, Range, Space, StoreError, View, Writer, entries, mem::rows_in,
};

/// A [`View`] over another one that sees its own writes: what a single-writer loop decides on, then commits at once.
///
/// It is no transaction: nothing notices when somebody else writes below it. One writer per store.
pub struct Overlay<'a> {
    base: &'a dyn View,
    /// `None`: removed.
    writes: BTreeMap<Space, BTreeMap<Vec<u8>, Option<Vec<u8>>>>,
}

impl<'a> Overlay<'a> {
    /// No writes yet.
    pub fn new(base: &'a dyn View) -> Self {
        Self {
            base,
            writes: BTreeMap::new(),
        }
    }

    /// Sets `key` to `value`.
    pub fn put(&mut self, space: Space, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.writes
            .entry(space)
            .or_default()
            .insert(key.into(), Some(value.into()));
    }

    /// Removes `key`.
    pub fn delete(&mut self, space: Space, key: impl Into<Vec<u8>>) {
        self.writes
            .entry(space)
            .or_default()
            .insert(key.into(), None);
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
        self.writes.values().map(BTreeMap::len).sum()
    }

    /// True when nothing was written.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Everything written, in the order of tables and keys: equal writes give equal batches.
    pub fn into_batch(self) -> Batch {
        let mut batch = Batch::new();
        for (space, rows) in self.writes {
            for (key, value) in rows {
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
        match self.writes.get(&space).and_then(|rows| rows.get(key)) {
            Some(written) => Ok(written.clone()),
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
        let Some(written) = self.writes.get(&space) else {
            return self.base.scan(space, range, direction, max);
        };
        let back = direction == Direction::Back;
        let mut own = rows_in(written, range);
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
                (Some((own, _)), Some((base, _))) if back => base.cmp(own),
                (Some((own, _)), Some((base, _))) => (*own).cmp(base),
            };
            if order.is_le() {
                // The own write hides what is below it.
                if order.is_eq() {
                    right = below.next().transpose()?;
                }
                if let Some((key, Some(value))) = left {
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
