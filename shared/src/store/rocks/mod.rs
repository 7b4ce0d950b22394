//! The RocksDB engine.
//!
//! Owns the folder, its lock, what counts as damaged, and closing and reopening after a disk error. Never deletes a
//! damaged folder, and never knows what the tables hold.

mod failure;
mod ladder;
mod options;

pub use ladder::{Damage, open_or_quarantine};
pub use options::{Compression, RocksOptions};

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::Duration,
};

use rocksdb::{
    Cache, ColumnFamily, DB, DBRawIterator, ReadOptions, SnapshotWithThreadMode, WriteBatch,
    WriteOptions, checkpoint::Checkpoint, properties,
};

use failure::understand;

use super::{
    Batch, Change, Direction, Durable, Entry, KEY_BYTES_MAX, Range, Space, Store, StoreError, View,
};

/// How long [`RocksStore::reopen`] waits for readers that are in the middle of something.
const READERS_WAIT_MAX: Duration = Duration::from_secs(5);
/// Scans longer than this do not push other blocks out of the cache. Unit: entries.
const CACHED_SCAN_ENTRIES_MAX: usize = 256;

/// A store in a folder of its own.
pub struct RocksStore {
    path: PathBuf,
    spaces: Vec<Space>,
    options: RocksOptions,
    /// `None` while it is closed.
    slot: RwLock<Option<Arc<Open>>>,
    /// The first failed write since it was opened: what is on disk is unknown, so nothing more is written.
    failed: Mutex<Option<StoreError>>,
    /// Serialises closing and reopening.
    changing: Mutex<()>,
}

/// An open database. When the last user lets go, the files close and `closed` hears of it.
struct Open {
    db: DB,
    cache: Cache,
    /// Long readers stop at their next read.
    closing: AtomicBool,
    closed: Mutex<mpsc::Receiver<()>>,
    /// Dropped after `db` (fields are dropped in order): the receiver sees the hang-up once the lock file is free.
    _on_close: mpsc::Sender<()>,
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
    /// [`open_or_quarantine`]), [`StoreError::Full`], [`StoreError::Io`].
    pub fn open(
        path: impl Into<PathBuf>,
        spaces: &[Space],
        options: RocksOptions,
    ) -> Result<Self, StoreError> {
        let path = path.into();
        let open = Open::new(&path, spaces, &options)?;
        Ok(Self {
            path,
            spaces: spaces.to_vec(),
            options,
            slot: RwLock::new(Some(Arc::new(open))),
            failed: Mutex::new(None),
            changing: Mutex::new(()),
        })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether writes work. After an error only [`RocksStore::reopen`] helps.
    ///
    /// # Errors
    /// The first error of a write, or of the background work, since the store was opened.
    pub fn health(&self) -> Result<(), StoreError> {
        if let Some(error) = self.failure().clone() {
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
        let _one = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        self.shut()?;
        let open = Open::new(&self.path, &self.spaces, &self.options)?;
        *self.failure() = None;
        self.set_slot(Some(Arc::new(open)));
        Ok(())
    }

    /// Syncs and closes the files. Everything after it gets [`StoreError::Closed`], until [`RocksStore::reopen`].
    ///
    /// # Errors
    /// [`StoreError::Closed`] when a reader does not let go within some seconds; else what the sync said.
    pub fn close(&self) -> Result<(), StoreError> {
        let _one = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
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

impl Open {
    fn new(path: &Path, spaces: &[Space], options: &RocksOptions) -> Result<Self, StoreError> {
        let io = |error: std::io::Error| StoreError::Io {
            doing: "open",
            detail: format!("{}: {error}", path.display()),
        };
        fs::create_dir_all(path).map_err(io)?;
        let exists = path.join("CURRENT").exists();
        if !exists && let Some(stray) = ladder::table_or_manifest(path).map_err(io)? {
            // RocksDB would take the folder for a new one and delete what it does not know.
            return Err(StoreError::Corrupt {
                space: path.display().to_string(),
                detail: format!("CURRENT is missing beside {stray}"),
            });
        }
        let cache = Cache::new_lru_cache(options.cache_bytes);
        let database = options.database(&cache);
        let db = options
            .families(path, &database, &cache, spaces, exists)
            .and_then(|families| DB::open_cf_descriptors(&database, path, families))
            .map_err(|error| understand(path, "*", "open", &error))?;
        let (_on_close, closed) = mpsc::channel();
        Ok(Self {
            db,
            cache,
            closing: AtomicBool::new(false),
            closed: Mutex::new(closed),
            _on_close,
        })
    }

    fn family(&self, space: Space) -> Result<&ColumnFamily, StoreError> {
        self.db
            .cf_handle(space.0)
            .ok_or(StoreError::UnknownSpace { space: space.0 })
    }

    fn names(&self, path: &Path) -> Result<Vec<String>, StoreError> {
        DB::list_cf(&rocksdb::Options::default(), path)
            .map_err(|error| understand(path, "*", "list tables", &error))
    }

    fn number(&self, property: &properties::PropName) -> Result<u64, StoreError> {
        let value = self.db.property_int_value(property);
        value
            .map(Option::unwrap_or_default)
            .map_err(|error| self.unread("*", &error))
    }

    fn family_number(
        &self,
        family: &ColumnFamily,
        property: &properties::PropName,
    ) -> Result<u64, StoreError> {
        let value = self.db.property_int_value_cf(family, property);
        value
            .map(Option::unwrap_or_default)
            .map_err(|error| self.unread("*", &error))
    }

    fn unread(&self, space: &str, error: &rocksdb::Error) -> StoreError {
        understand(self.db.path(), space, "read", error)
    }

    fn get(
        &self,
        space: Space,
        key: &[u8],
        options: &ReadOptions,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let found = self.db.get_cf_opt(self.family(space)?, key, options);
        found.map_err(|error| self.unread(space.0, &error))
    }

    fn scan(
        &self,
        space: Space,
        range: Range<'_>,
        direction: Direction,
        max: usize,
        mut options: ReadOptions,
    ) -> Result<Vec<Entry>, StoreError> {
        let family = self.family(space)?;
        if range.is_empty() || max == 0 {
            return Ok(Vec::new());
        }
        options.set_iterate_lower_bound(range.from);
        if let Some(to) = range.to {
            options.set_iterate_upper_bound(to);
        }
        options.fill_cache(max <= CACHED_SCAN_ENTRIES_MAX);
        let mut rows: DBRawIterator<'_> = self.db.raw_iterator_cf_opt(family, options);
        match direction {
            Direction::Forward => rows.seek_to_first(),
            Direction::Back => rows.seek_to_last(),
        }
        let mut found = Vec::new();
        while found.len() < max
            && let Some((key, value)) = rows.item()
        {
            found.push((key.to_vec(), value.to_vec()));
            match direction {
                Direction::Forward => rows.next(),
                Direction::Back => rows.prev(),
            }
        }
        // Without this an unreadable block would look like the end of the table.
        rows.status()
            .map_err(|error| self.unread(space.0, &error))?;
        Ok(found)
    }
}

/// One state of the database, inside [`Store::with_snapshot`].
struct Snapshot<'a> {
    open: &'a Open,
    at: SnapshotWithThreadMode<'a, DB>,
}

impl Snapshot<'_> {
    fn options(&self) -> Result<ReadOptions, StoreError> {
        if self.open.closing.load(Ordering::Acquire) {
            return Err(StoreError::Closed);
        }
        let mut options = ReadOptions::default();
        options.set_snapshot(&self.at);
        Ok(options)
    }
}

impl View for Snapshot<'_> {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.open.get(space, key, &self.options()?)
    }

    fn scan(
        &self,
        space: Space,
        range: Range<'_>,
        direction: Direction,
        max: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        self.open
            .scan(space, range, direction, max, self.options()?)
    }
}

impl View for RocksStore {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.open_now()?.get(space, key, &ReadOptions::default())
    }

    fn scan(
        &self,
        space: Space,
        range: Range<'_>,
        direction: Direction,
        max: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        self.open_now()?
            .scan(space, range, direction, max, ReadOptions::default())
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
        let view = Snapshot {
            open: &open,
            at: open.db.snapshot(),
        };
        job(&view);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
