//! An open database: reads, names, numbers.

use std::{
    collections::BTreeSet,
    io,
    path::Path,
    sync::{
        Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::Duration,
};

use rocksdb::{
    Cache, ColumnFamily, DB, DBRawIterator, LiveFile, ReadOptions, SnapshotWithThreadMode,
    properties,
};

use super::{
    super::{Direction, Entry, Range, Space, StoreError, View, prefix_end},
    RocksOptions, aside,
    failure::understand,
    torn,
};

/// Scans longer than this do not push other blocks out of the cache. Unit: entries.
const CACHED_SCAN_ENTRIES_MAX: usize = 256;

/// Rows read at one go. More are read in pieces, so that little stays pinned.
const READ_AT_ONCE_MAX: usize = 256;

/// Databases that are open or in the middle of closing, in the whole process.
static THERE: (Mutex<usize>, Condvar) = (Mutex::new(0), Condvar::new());

/// Waits until every database of the process is closed; false where one is open after all that time. A program asks for it last of all: on an
/// error, a thread of its own may be the last user of a store, and the end of the process takes the engine apart under it.
pub fn all_closed(patience: Duration) -> bool {
    let there = THERE.0.lock().unwrap_or_else(PoisonError::into_inner);
    let waited = THERE
        .1
        .wait_timeout_while(there, patience, |there| *there > 0);
    !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
}

/// One of those.
struct Counted;

impl Counted {
    fn one() -> Self {
        *THERE.0.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        Self
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        *THERE.0.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        THERE.1.notify_all();
    }
}

/// An open database. When the last user lets go, the files close and `closed` hears of it.
pub(super) struct Open {
    pub(super) db: DB,
    pub(super) cache: Cache,
    /// Tables with filters of prefixes, and how long those are. Unit: bytes.
    prefixes: Vec<(Space, usize)>,
    /// Long readers stop at their next read.
    pub(super) closing: AtomicBool,
    pub(super) closed: Mutex<mpsc::Receiver<()>>,
    /// Dropped after `db` (fields are dropped in order): the receiver sees the hang-up once the lock file is free.
    _on_close: mpsc::Sender<()>,
    /// After `db` too.
    _counted: Counted,
}

/// An error of looking at the files before RocksDB does.
fn unsound(path: &Path, error: io::Error) -> StoreError {
    if error.kind() == io::ErrorKind::InvalidData {
        let space = path.display().to_string();
        let detail = error.to_string();
        return StoreError::Corrupt { space, detail };
    }
    StoreError::Io {
        doing: "open",
        detail: format!("{}: {error}", path.display()),
    }
}

impl Open {
    pub(super) fn new(
        path: &Path,
        spaces: &[Space],
        options: &RocksOptions,
    ) -> Result<Self, StoreError> {
        let io = |error| unsound(path, error);
        torn::create_folder(path).map_err(io)?;
        let exists = path.join("CURRENT").exists();
        if !exists && let Some(stray) = aside::table_or_manifest(path).map_err(io)? {
            // RocksDB would take the folder for a new one and delete what it does not know.
            return Err(StoreError::Corrupt {
                space: path.display().to_string(),
                detail: format!("CURRENT is missing beside {stray}"),
            });
        }
        let linked = !exists || torn::trim(path).map_err(io)?;
        let cache = Cache::new_lru_cache(options.cache_bytes);
        let database = options
            .opening(&cache, linked)
            .map_err(|error| understand(path, "*", "open", &error))?;
        let db = options
            .families(path, &database, &cache, spaces, exists)
            .and_then(|families| DB::open_cf_descriptors(&database, path, families))
            .map_err(|error| understand(path, "*", "open", &error))?;
        Ok(Self::of(db, cache, options))
    }

    /// With the tables that are there, and without a write to the folder.
    pub(super) fn to_read(path: &Path, options: &RocksOptions) -> Result<Self, StoreError> {
        torn::check(path).map_err(|error| unsound(path, error))?;
        let cache = Cache::new_lru_cache(options.cache_bytes);
        let database = options.database(&cache);
        let db = options
            .families(path, &database, &cache, &[], true)
            .and_then(|families| {
                DB::open_cf_descriptors_read_only(&database, path, families, false)
            })
            .map_err(|error| understand(path, "*", "open", &error))?;
        Ok(Self::of(db, cache, options))
    }

    fn of(db: DB, cache: Cache, options: &RocksOptions) -> Self {
        let (_on_close, closed) = mpsc::channel();
        Self {
            db,
            cache,
            prefixes: options.prefixes.clone(),
            closing: AtomicBool::new(false),
            closed: Mutex::new(closed),
            _on_close,
            _counted: Counted::one(),
        }
    }

    pub(super) fn family(&self, space: Space) -> Result<&ColumnFamily, StoreError> {
        self.db
            .cf_handle(space.0)
            .ok_or(StoreError::UnknownSpace { space: space.0 })
    }

    pub(super) fn names(&self, path: &Path) -> Result<Vec<String>, StoreError> {
        DB::list_cf(&rocksdb::Options::default(), path)
            .map_err(|error| understand(path, "*", "list tables", &error))
    }

    /// Names of the table files that belong to it.
    pub(super) fn table_files(&self) -> Result<BTreeSet<String>, StoreError> {
        let files = self
            .db
            .live_files()
            .map_err(|error| self.unread("*", &error))?;
        let name = |file: LiveFile| file.name.trim_start_matches('/').to_owned();
        Ok(files.into_iter().map(name).collect())
    }

    pub(super) fn number(&self, property: &properties::PropName) -> Result<u64, StoreError> {
        let value = self.db.property_int_value(property);
        value
            .map(Option::unwrap_or_default)
            .map_err(|error| self.unread("*", &error))
    }

    pub(super) fn family_number(
        &self,
        family: &ColumnFamily,
        property: &properties::PropName,
    ) -> Result<u64, StoreError> {
        let value = self.db.property_int_value_cf(family, property);
        value
            .map(Option::unwrap_or_default)
            .map_err(|error| self.unread("*", &error))
    }

    pub(super) fn unread(&self, space: &str, error: &rocksdb::Error) -> StoreError {
        understand(self.db.path(), space, "read", error)
    }

    pub(super) fn get(
        &self,
        space: Space,
        key: &[u8],
        options: &ReadOptions,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let found = self.db.get_cf_opt(self.family(space)?, key, options);
        found.map_err(|error| self.unread(space.0, &error))
    }

    pub(super) fn get_many(
        &self,
        space: Space,
        keys: &[Vec<u8>],
        options: &ReadOptions,
    ) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let family = self.family(space)?;
        let mut values = Vec::with_capacity(keys.len());
        // What is found stays pinned until its piece is copied.
        for keys in keys.chunks(READ_AT_ONCE_MAX) {
            let sorted = keys.is_sorted();
            for found in self
                .db
                .batched_multi_get_cf_opt(family, keys, sorted, options)
            {
                let found = found.map_err(|error| self.unread(space.0, &error))?;
                values.push(found.map(|value| value.to_vec()));
            }
        }
        Ok(values)
    }

    pub(super) fn scan(
        &self,
        space: Space,
        range: Range<'_>,
        direction: Direction,
        max: usize,
        options: ReadOptions,
    ) -> Result<Vec<Entry>, StoreError> {
        let mut found = Vec::new();
        let mut keep = |key: &[u8], value: &[u8]| found.push((key.to_vec(), value.to_vec()));
        self.visit(space, range, direction, max, options, &mut keep)?;
        Ok(found)
    }

    pub(super) fn visit(
        &self,
        space: Space,
        range: Range<'_>,
        direction: Direction,
        max: usize,
        mut options: ReadOptions,
        each: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<usize, StoreError> {
        let family = self.family(space)?;
        if range.is_empty() || max == 0 {
            return Ok(0);
        }
        options.set_iterate_lower_bound(range.from);
        if let Some(to) = range.to {
            options.set_iterate_upper_bound(to);
        }
        options.fill_cache(max <= CACHED_SCAN_ENTRIES_MAX);
        // Below one prefix its filter may say that nothing is there; anything else must not ask it.
        let prefix = self.prefixes.iter().find(|(table, _)| *table == space);
        let below = direction == Direction::Forward
            && prefix.is_some_and(|(_, bytes)| is_below_one_prefix(range, *bytes));
        options.set_total_order_seek(!below);
        options.set_prefix_same_as_start(below);
        let mut rows: DBRawIterator<'_> = self.db.raw_iterator_cf_opt(family, options);
        match direction {
            Direction::Forward => rows.seek_to_first(),
            Direction::Back => rows.seek_to_last(),
        }
        let mut count = 0;
        while count < max
            && let Some((key, value)) = rows.item()
        {
            each(key, value);
            count += 1;
            match direction {
                Direction::Forward => rows.next(),
                Direction::Back => rows.prev(),
            }
        }
        // Without this an unreadable block would look like the end of the table.
        rows.status()
            .map_err(|error| self.unread(space.0, &error))?;
        Ok(count)
    }
}

/// Whether every key of a range has the same first `bytes`.
fn is_below_one_prefix(range: Range<'_>, bytes: usize) -> bool {
    let from = range.from.get(..bytes);
    from.is_some_and(|prefix| match (range.to, prefix_end(prefix)) {
        (Some(to), Some(end)) => to <= end.as_slice(),
        (_, None) => true,
        (None, Some(_)) => false,
    })
}

/// One state of the database, inside [`Store::with_snapshot`].
pub(super) struct Snapshot<'a> {
    open: &'a Open,
    at: SnapshotWithThreadMode<'a, DB>,
}

impl<'a> Snapshot<'a> {
    /// The state now.
    pub(super) fn of(open: &'a Open) -> Self {
        Self {
            open,
            at: open.db.snapshot(),
        }
    }

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
    fn get_many(&self, space: Space, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.open.get_many(space, keys, &self.options()?)
    }

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

    fn visit(
        &self,
        space: Space,
        range: Range<'_>,
        max: usize,
        each: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<usize, StoreError> {
        let options = self.options()?;
        self.open
            .visit(space, range, Direction::Forward, max, options, each)
    }
}
