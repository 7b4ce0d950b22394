//! The RocksDB engine.
//!
//! Owns the folder, its lock, what counts as damaged, and closing and reopening after a disk error. Never deletes a
//! damaged folder, and never knows what the tables hold.

mod aside;
mod failure;
mod ladder;
mod open;
mod options;
mod pack;
mod torn;
pub mod wal;

pub use aside::{Kept, Kind, kept, move_aside};
pub use ladder::{Damage, Opened, open_or_set_aside};
pub use open::all_closed;
pub use options::{Compression, RocksOptions};

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak, atomic::Ordering, mpsc},
    time::Duration,
};

use rocksdb::{ReadOptions, WriteBatch, WriteOptions, checkpoint::Checkpoint, properties};

use failure::understand;
use open::{Open, Snapshot};

use super::{
    Batch, Change, Direction, Durable, Entry, KEY_BYTES_MAX, Range, Space, Store, StoreError, View,
};

/// How long [`RocksStore::reopen`] waits for readers that are in the middle of something.
const READERS_WAIT_MAX: Duration = Duration::from_secs(5);

/// A store in a folder of its own.
pub struct RocksStore {
    path: PathBuf,
    spaces: Vec<Space>,
    options: RocksOptions,
    /// `None` while it is closed.
    slot: RwLock<Option<Arc<Open>>>,
    /// The first failed write since it was opened: what is on disk is unknown, so nothing more is written.
    failed: Mutex<Option<StoreError>>,
    /// The first block that could not be read since it was opened.
    damaged: Mutex<Option<StoreError>>,
    /// Serialises closing and reopening.
    changing: Mutex<()>,
}

/// What a table occupies, roughly.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SpaceSize {
    /// Name of the table, declared or not.
    pub space: String,
    /// Rows, an estimate.
    pub entries: u64,
    /// Its files. Unit: bytes.
    pub file_bytes: u64,
    /// New rows that are only in the write-ahead log and in memory. Unit: bytes.
    pub memory_bytes: u64,
}

/// Memory the engine holds, for metrics. Unit: bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct MemoryUse {
    /// Cached blocks, indexes and filters.
    pub cache_bytes: u64,
    /// New rows of all tables.
    pub write_buffer_bytes: u64,
    /// Open table files outside the cache.
    pub reader_bytes: u64,
}

impl RocksStore {
    /// Opens or creates the store in folder `path` with (at least) the tables `spaces`. Tables in the folder that are not
    /// declared stay as they are, so that an older program can run on a newer one's folder.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when another process has it open, [`StoreError::Corrupt`] when its files are damaged (see
    /// [`open_or_set_aside`]), [`StoreError::Full`], [`StoreError::Io`].
    pub fn open(
        path: impl Into<PathBuf>,
        spaces: &[Space],
        options: RocksOptions,
    ) -> Result<Self, StoreError> {
        let path = path.into();
        let open = Open::new(&path, spaces, &options)?;
        Ok(Self::of(path, spaces, options, open))
    }

    /// Opens the store in folder `path` with the tables that it has, changing nothing there; nothing can be written.
    ///
    /// # Errors
    /// As [`RocksStore::open`], but for [`StoreError::Busy`].
    pub fn open_to_read(
        path: impl Into<PathBuf>,
        options: RocksOptions,
    ) -> Result<Self, StoreError> {
        let path = path.into();
        let open = Open::to_read(&path, &options)?;
        Ok(Self::of(path, &[], options, open))
    }

    fn of(path: PathBuf, spaces: &[Space], options: RocksOptions, open: Open) -> Self {
        Self {
            path,
            spaces: spaces.to_vec(),
            options,
            slot: RwLock::new(Some(Arc::new(open))),
            failed: Mutex::new(None),
            damaged: Mutex::new(None),
            changing: Mutex::new(()),
        }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether reads and writes work. After an error only [`RocksStore::reopen`] helps, and after [`StoreError::Corrupt`]
    /// only [`RocksStore::start_empty`].
    ///
    /// # Errors
    /// The first damage that a read met, or the first error of a write or of the background work, since the store was opened.
    pub fn health(&self) -> Result<(), StoreError> {
        let damage = self.damage().clone();
        if let Some(error) = damage.or_else(|| self.failure().clone()) {
            return Err(error);
        }
        let open = self.open_now()?;
        let errors = open.number(properties::BACKGROUND_ERRORS)?;
        if errors == 0 {
            return Ok(());
        }
        Err(StoreError::Io {
            doing: "work in the background",
            detail: format!("{errors} errors since it was opened"),
        })
    }

    /// Closes the files and opens them again: what helps after a full disk or a failed sync. Reads and writes get
    /// [`StoreError::Closed`] meanwhile.
    ///
    /// # Errors
    /// [`StoreError::Closed`] when a reader does not let go within some seconds (the store stays as it was); else as
    /// [`RocksStore::open`], and then the store stays closed and `reopen` may be tried again.
    pub fn reopen(&self) -> Result<(), StoreError> {
        let _one = self.changing();
        self.shut()?;
        let open = Open::new(&self.path, &self.spaces, &self.options)?;
        self.begin(open);
        Ok(())
    }

    fn begin(&self, open: Open) {
        (*self.failure(), *self.damage()) = (None, None);
        self.set_slot(Some(Arc::new(open)));
    }

    /// Syncs and closes the files. Everything after it gets [`StoreError::Closed`], until [`RocksStore::reopen`].
    ///
    /// # Errors
    /// [`StoreError::Closed`] when a reader does not let go within some seconds; else what the sync said.
    pub fn close(&self) -> Result<(), StoreError> {
        let _one = self.changing();
        let synced = match self.open_now() {
            Ok(open) => open
                .db
                .flush_wal(true)
                .map_err(|error| self.broken("close", &error)),
            Err(_) => return Ok(()), // it is closed already
        };
        self.shut()?;
        synced
    }

    /// Writes a consistent copy of the whole store into `folder`, which must not exist. Files are hard-linked where they can be,
    /// so it is quick and small on the same file system.
    ///
    /// # Errors
    /// When the folder exists or cannot be written, or the store is closed.
    pub fn checkpoint(&self, folder: &Path) -> Result<(), StoreError> {
        let open = self.open_now()?;
        Checkpoint::new(&open.db)
            .and_then(|checkpoint| checkpoint.create_checkpoint(folder))
            .map_err(|error| self.broken("checkpoint", &error))
    }

    /// Moves all new rows from the write-ahead log to table files.
    ///
    /// # Errors
    /// When the disk fails or is full, or the store is closed.
    pub fn flush(&self) -> Result<(), StoreError> {
        let open = self.open_now()?;
        for name in open.names(&self.path)? {
            if let Some(family) = open.db.cf_handle(&name) {
                open.db
                    .flush_cf(family)
                    .map_err(|error| self.broken("flush", &error))?;
            }
        }
        Ok(())
    }

    /// The size of every table, declared or not.
    ///
    /// # Errors
    /// When the store is closed or cannot be read.
    pub fn sizes(&self) -> Result<Vec<SpaceSize>, StoreError> {
        let open = self.open_now()?;
        let mut sizes = Vec::new();
        for name in open.names(&self.path)? {
            let Some(family) = open.db.cf_handle(&name) else {
                continue;
            };
            let number = |property| open.family_number(family, property);
            sizes.push(SpaceSize {
                entries: number(properties::ESTIMATE_NUM_KEYS)?,
                file_bytes: number(properties::TOTAL_SST_FILES_SIZE)?,
                memory_bytes: number(properties::CUR_SIZE_ALL_MEM_TABLES)?,
                space: name,
            });
        }
        sizes.retain(|size| size.space != options::DEFAULT_FAMILY);
        Ok(sizes)
    }

    /// Memory in use now.
    ///
    /// # Errors
    /// When the store is closed.
    pub fn memory(&self) -> Result<MemoryUse, StoreError> {
        let open = self.open_now()?;
        let mut used = MemoryUse {
            cache_bytes: open.cache.get_usage() as u64,
            ..MemoryUse::default()
        };
        for space in &self.spaces {
            let family = open.family(*space)?;
            used.write_buffer_bytes +=
                open.family_number(family, properties::SIZE_ALL_MEM_TABLES)?;
            used.reader_bytes +=
                open.family_number(family, properties::ESTIMATE_TABLE_READERS_MEM)?;
        }
        Ok(used)
    }

    fn open_now(&self) -> Result<Arc<Open>, StoreError> {
        self.slot
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
            .ok_or(StoreError::Closed)
    }

    fn set_slot(&self, open: Option<Arc<Open>>) -> Option<Arc<Open>> {
        let mut slot = self.slot.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *slot, open)
    }

    fn failure(&self) -> MutexGuard<'_, Option<StoreError>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changing(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn damage(&self) -> MutexGuard<'_, Option<StoreError>> {
        self.damaged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers a damage that a read met, for [`RocksStore::health`].
    fn noted<T>(&self, read: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(error @ StoreError::Corrupt { .. }) = &read {
            self.damage().get_or_insert_with(|| error.clone());
        }
        read
    }

    /// Lets go of the files and waits until every reader has.
    fn shut(&self) -> Result<(), StoreError> {
        let Some(open) = self.set_slot(None) else {
            return Ok(());
        };
        open.closing.store(true, Ordering::Release);
        let (_sender, nothing) = mpsc::channel();
        let closed = std::mem::replace(
            &mut *open.closed.lock().unwrap_or_else(PoisonError::into_inner),
            nothing,
        );
        let left: Weak<Open> = Arc::downgrade(&open);
        drop(open);
        match closed.recv_timeout(READERS_WAIT_MAX) {
            Err(mpsc::RecvTimeoutError::Timeout) => {
                let Some(open) = left.upgrade() else {
                    return Ok(());
                };
                open.closing.store(false, Ordering::Release);
                *open.closed.lock().unwrap_or_else(PoisonError::into_inner) = closed;
                self.set_slot(Some(open));
                Err(StoreError::Closed)
            }
            // The hang-up: the last user has dropped the database.
            Ok(()) | Err(mpsc::RecvTimeoutError::Disconnected) => Ok(()),
        }
    }

    fn broken(&self, doing: &'static str, error: &rocksdb::Error) -> StoreError {
        understand(&self.path, "*", doing, error)
    }
}

impl View for RocksStore {
    fn get_many(&self, space: Space, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let open = self.open_now()?;
        self.noted(open.get_many(space, keys, &ReadOptions::default()))
    }

    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.noted(self.open_now()?.get(space, key, &ReadOptions::default()))
    }

    fn scan(
        &self,
        space: Space,
        range: Range<'_>,
        direction: Direction,
        max: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let open = self.open_now()?;
        self.noted(open.scan(space, range, direction, max, ReadOptions::default()))
    }

    fn visit(
        &self,
        space: Space,
        range: Range<'_>,
        max: usize,
        each: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<usize, StoreError> {
        let (open, options) = (self.open_now()?, ReadOptions::default());
        self.noted(open.visit(space, range, Direction::Forward, max, options, each))
    }
}

impl Store for RocksStore {
    fn commit(&self, batch: Batch, durable: Durable) -> Result<(), StoreError> {
        batch.check()?;
        let open = self.open_now()?;
        if let Some(error) = self.failure().clone() {
            return Err(error);
        }
        let mut writes = WriteBatch::default();
        for change in batch.changes() {
            match change {
                Change::Put(space, key, value) => writes.put_cf(open.family(*space)?, key, value),
                Change::Delete(space, key) => writes.delete_cf(open.family(*space)?, key),
                Change::DeleteRange(space, from, Some(to)) => {
                    writes.delete_range_cf(open.family(*space)?, from, to);
                }
                Change::DeleteRange(space, from, None) => {
                    // One byte longer than the greatest key there can be.
                    let end = [0xFF; KEY_BYTES_MAX + 1];
                    writes.delete_range_cf(open.family(*space)?, from.as_slice(), end.as_slice());
                }
            }
        }
        let mut options = WriteOptions::default();
        options.set_sync(durable == Durable::Yes);
        open.db.write_opt(writes, &options).map_err(|error| {
            let error = self.broken("commit", &error);
            self.failure().get_or_insert_with(|| error.clone());
            error
        })
    }

    fn with_snapshot(&self, job: &mut dyn FnMut(&dyn View)) -> Result<(), StoreError> {
        let open = self.open_now()?;
        job(&Snapshot::of(&open));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
