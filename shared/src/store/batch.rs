//! The only way to write: a list of changes that happen together or not at all.

use super::{BATCH_BYTES_MAX, KEY_BYTES_MAX, Space, StoreError};

/// One change of a batch. Later changes win over earlier ones of the same batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Sets a key.
    Put(Space, Vec<u8>, Vec<u8>),
    /// Removes a key; removing what is not there is not an error.
    Delete(Space, Vec<u8>),
    /// Removes every key from the first (inclusive) to the second (exclusive; `None`: to the end of the table).
    DeleteRange(Space, Vec<u8>, Option<Vec<u8>>),
}

/// Changes that are applied in order, all or nothing, by [`super::Store::commit`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    changes: Vec<Change>,
    bytes: usize,
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets `key` to `value`.
    pub fn put(&mut self, space: Space, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        let (key, value) = (key.into(), value.into());
        self.bytes += key.len() + value.len();
        self.changes.push(Change::Put(space, key, value));
    }

    /// Removes `key`.
    pub fn delete(&mut self, space: Space, key: impl Into<Vec<u8>>) {
        let key = key.into();
        self.bytes += key.len();
        self.changes.push(Change::Delete(space, key));
    }

    /// Removes `from <= key < to` (`None`: to the end of the table). An empty range changes nothing.
    pub fn delete_range(&mut self, space: Space, from: impl Into<Vec<u8>>, to: Option<Vec<u8>>) {
        let from = from.into();
        if to.as_ref().is_some_and(|to| *to <= from) {
            return;
        }
        self.bytes += from.len() + to.as_ref().map_or(0, Vec::len);
        self.changes.push(Change::DeleteRange(space, from, to));
    }

    /// Removes everything in `space`.
    pub fn clear_space(&mut self, space: Space) {
        self.delete_range(space, [], None);
    }

    /// Appends the changes of `other` after these.
    pub fn append(&mut self, mut other: Self) {
        self.bytes += other.bytes;
        self.changes.append(&mut other.changes);
    }

    /// Number of changes.
    pub fn len(&self) -> usize {
        self.changes.len()
    }

    /// True when committing it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Bytes of all keys and values.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The changes in order, for engines.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// The changes in order, for engines that keep them.
    pub fn into_changes(self) -> Vec<Change> {
        self.changes
    }

    /// Engines call this before they write.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] for a key over [`KEY_BYTES_MAX`] or a batch over [`BATCH_BYTES_MAX`].
    pub fn check(&self) -> Result<(), StoreError> {
        for change in &self.changes {
            let (Change::Put(space, key, _)
            | Change::Delete(space, key)
            | Change::DeleteRange(space, key, _)) = change;
            let to = if let Change::DeleteRange(_, _, Some(to)) = change {
                to.len()
            } else {
                0
            };
            let bytes = key.len().max(to);
            if bytes > KEY_BYTES_MAX {
                return Err(StoreError::TooLarge {
                    what: "a key",
                    space: space.0,
                    bytes,
                    limit: KEY_BYTES_MAX,
                });
            }
        }
        if self.bytes > BATCH_BYTES_MAX {
            return Err(StoreError::TooLarge {
                what: "a batch",
                space: "*",
                bytes: self.bytes,
                limit: BATCH_BYTES_MAX,
            });
        }
        Ok(())
    }
}
