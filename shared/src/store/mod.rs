//! The storage trait, the engines behind it, and typed tables over it.
//!
//! Owns: what a store promises ([`Store`], checked by `contract`), the memory engine, the RocksDB engine (feature
//! `rocks`), overlays and key encodings. Never knows what is stored, and never names an engine outside its own file.
//! Place in the flow: below every step; a step reads through a [`View`] and writes one [`Batch`].

mod batch;
#[cfg(any(test, feature = "testing"))]
pub mod contract;
mod entries;
mod error;
#[cfg(any(test, feature = "testing"))]
mod faulty;
pub mod key;
mod mem;
mod overlay;
#[cfg(feature = "rocks")]
pub mod rocks;
mod table;

use std::ops::Bound;

pub use batch::{Batch, Change};
pub use entries::{Entries, entries, prefix_end, prefix_entries, scan_prefix};
pub use error::StoreError;
#[cfg(any(test, feature = "testing"))]
pub use faulty::{Fault, FaultyStore};
pub use key::{Key, PrefixOf};
pub use mem::MemStore;
pub use overlay::Overlay;
#[cfg(feature = "rocks")]
pub use rocks::RocksStore;
pub use table::{Row, Table, Value, Writer};

/// Longest key. Bounded so that "to the end of the table" has an upper key in every engine. Unit: bytes.
pub const KEY_BYTES_MAX: usize = 8 * 1024;
/// Most bytes of keys and values in one batch, far above a frame of events: a guard, not a working size. Unit: bytes.
pub const BATCH_BYTES_MAX: usize = 256 * 1024 * 1024;

/// A table: a column family, a prefix, an SQL table. Each program declares its own in its `tables.rs`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Space(pub &'static str);

/// A key and its value.
pub type Entry = (Vec<u8>, Vec<u8>);

/// Which keys a scan covers: `from <= key < to`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Range<'a> {
    /// The first key, inclusive; empty: from the start.
    pub from: &'a [u8],
    /// The end, exclusive; `None`: to the end of the table.
    pub to: Option<&'a [u8]>,
}

impl<'a> Range<'a> {
    /// The whole table.
    pub const ALL: Self = Self {
        from: &[],
        to: None,
    };

    /// From `from` (inclusive) to the end.
    pub fn starting(from: &'a [u8]) -> Self {
        Self { from, to: None }
    }

    /// From `from` (inclusive) to `to` (exclusive).
    pub fn between(from: &'a [u8], to: &'a [u8]) -> Self {
        Self { from, to: Some(to) }
    }

    /// True when no key can lie in it.
    pub fn is_empty(&self) -> bool {
        self.to.is_some_and(|to| to <= self.from)
    }

    /// The same for an ordered collection, which panics on an inverted range: `from..from` is the same nothing.
    fn bounds(self) -> (Bound<&'a [u8]>, Bound<&'a [u8]>) {
        let to = match self.to {
            Some(to) => Bound::Excluded(to.max(self.from)),
            None => Bound::Unbounded,
        };
        (Bound::Included(self.from), to)
    }
}

/// The order of a scan.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// Ascending, from the range's start.
    Forward,
    /// Descending, from the range's end.
    Back,
}

/// When a commit must be on stable storage.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Durable {
    /// Survives a power loss once the call returns.
    Yes,
    /// Survives the end of the process; after a power loss it is there whole or not at all, never without the batches
    /// before it. The next durable commit makes it durable too.
    Later,
}

/// Something to read from: a store, a snapshot of one, an overlay.
pub trait View: Send + Sync {
    /// The value of `key`, if it has one.
    ///
    /// # Errors
    /// When the engine cannot read, or the bytes fail their checksum.
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// The values of some keys, in their order; at less cost than one by one when the keys are sorted.
    ///
    /// # Errors
    /// As [`View::get`].
    fn get_many(&self, space: Space, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        keys.iter().map(|key| self.get(space, key)).collect()
    }

    /// At most `max` entries of `range`, in byte order of the keys. Fewer than `max` means there are no more.
    /// Each call is consistent in itself; two calls on a live store may see different states.
    ///
    /// # Errors
    /// When the engine cannot read, or the bytes fail their checksum.
    fn scan(
        &self,
        space: Space,
        range: Range<'_>,
        direction: Direction,
        max: usize,
    ) -> Result<Vec<Entry>, StoreError>;

    /// Shows at most `max` entries of `range` in byte order of the keys, and tells how many: a scan that keeps nothing, for lists of
    /// thousands of which little is wanted. `each` reads nothing of the store.
    ///
    /// # Errors
    /// As [`View::scan`].
    fn visit(
        &self,
        space: Space,
        range: Range<'_>,
        max: usize,
        each: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<usize, StoreError> {
        let found = self.scan(space, range, Direction::Forward, max)?;
        for (key, value) in &found {
            each(key, value);
        }
        Ok(found.len())
    }
}

/// A place that keeps entries. `Arc<dyn Store>` is how programs hold it.
pub trait Store: View + 'static {
    /// Applies all changes or none. After an `Io` or `Full` error the batch may or may not be there: repeat it whole.
    ///
    /// # Errors
    /// See [`StoreError`]; none of them leaves a part of a batch behind.
    fn commit(&self, batch: Batch, durable: Durable) -> Result<(), StoreError>;

    /// Runs `job` once over a state that does not change while it runs; writes go on beside it. Prefer [`snapshot`].
    ///
    /// The view lives only inside the call, so that an engine can always close and reopen its files.
    ///
    /// # Errors
    /// [`StoreError::Closed`] when the store is closed; `job` has not run then.
    fn with_snapshot(&self, job: &mut dyn FnMut(&dyn View)) -> Result<(), StoreError>;
}

/// Runs `job` over a consistent state of the store, and gives back what it returns.
///
/// ```
/// use trenza_shared::store::{snapshot, Batch, Durable, MemStore, Space, Store, View};
/// let store = MemStore::new();
/// let notes = Space("note");
/// let mut batch = Batch::new();
/// batch.put(notes, b"k", b"old");
/// store.commit(batch.clone(), Durable::Yes)?;
/// let seen = snapshot(&store, |view| {
///     let mut later = Batch::new();
///     later.delete(notes, b"k");
///     store.commit(later, Durable::Yes)?;
///     view.get(notes, b"k")
/// })??;
/// assert_eq!(seen.as_deref(), Some(&b"old"[..]));
/// # Ok::<(), trenza_shared::store::StoreError>(())
/// ```
///
/// # Errors
/// [`StoreError::Closed`] when the store is closed; `job` has not run then.
pub fn snapshot<T>(
    store: &(impl Store + ?Sized),
    job: impl FnOnce(&dyn View) -> T,
) -> Result<T, StoreError> {
    let mut job = Some(job);
    let mut answer = None;
    store.with_snapshot(&mut |view| {
        if let Some(job) = job.take() {
            answer = Some(job(view));
        }
    })?;
    answer.ok_or(StoreError::Closed)
}

/// Removes everything in `spaces` in one durable step, before they are rebuilt.
///
/// # Errors
/// As [`Store::commit`].
pub fn clear_spaces(store: &(impl Store + ?Sized), spaces: &[Space]) -> Result<(), StoreError> {
    let mut batch = Batch::new();
    for space in spaces {
        batch.clear_space(*space);
    }
    store.commit(batch, Durable::Yes)
}
