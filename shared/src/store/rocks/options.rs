//! How RocksDB is set up: little memory, little disk, nothing unbounded.

use std::{collections::BTreeSet, path::Path};

use rocksdb::{
    BlockBasedIndexType, BlockBasedOptions, Cache, ColumnFamilyDescriptor, DB, DBCompressionType,
    DBRecoveryMode, LogLevel, Options, SliceTransform,
};

use super::super::Space;

/// RocksDB's own column family; it stays empty.
pub(super) const DEFAULT_FAMILY: &str = "default";
/// Info logs kept, and the size of each. Unit of the second: bytes.
const INFO_LOGS_MAX: usize = 2;
const INFO_LOG_BYTES_MAX: usize = 1024 * 1024;
/// A manifest is rewritten past this size. Unit: bytes.
const MANIFEST_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Room is laid out ahead of the manifest in pieces of this size. Unit: bytes.
const MANIFEST_AHEAD_BYTES: usize = 128 * 1024;
/// Memory is taken in pieces of this size, so that a table with few rows costs little. Unit: bytes.
const ARENA_BYTES: usize = 64 * 1024;
/// Written data is handed to the disk in pieces of this size, so that no sync has to wait for much. Unit: bytes.
const SYNC_BYTES: u64 = 512 * 1024;
/// The filter of what is still in memory, as a share of its size: ten bits for an entry of some sixty bytes.
const MEMORY_FILTER_SHARE: f64 = 0.02;
/// Bits of Bloom filter per key: 1 % wrong guesses.
const BLOOM_BITS: f64 = 10.0;
/// Filters and indexes come in pieces of this size. Unit: bytes.
const META_BLOCK_BYTES: usize = 4 * 1024;
/// Read ahead of a compaction, in each file that it reads. Unit: bytes.
const COMPACTION_READ_BYTES: usize = 256 * 1024;

/// How blocks are compressed on disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Compression {
    /// Smallest; best for flash.
    Zstd,
    /// Cheapest.
    Lz4,
    /// Not at all.
    None,
}

/// What one store may use. The defaults suit an agent on a small machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RocksOptions {
    /// Blocks, indexes and filters of all tables together. Unit: bytes.
    pub cache_bytes: usize,
    /// Unsorted new rows of one table before they go to a file. Unit: bytes.
    pub write_buffer_bytes: usize,
    /// Unsorted new rows of all tables together. Unit: bytes.
    pub write_buffers_bytes_max: usize,
    /// Write-ahead log before the oldest table is forced to a file: bounds the time to start. Unit: bytes.
    pub wal_bytes_max: u64,
    /// A table's file. Unit: bytes.
    pub file_bytes: u64,
    /// The level of a table's files that new ones are joined with: a joining needs as much room again meanwhile. Unit: bytes.
    pub level_bytes: u64,
    /// File handles.
    pub open_files_max: i32,
    /// Threads that flush and compact.
    pub background_jobs: i32,
    /// Of every table.
    pub compression: Compression,
    /// Tables read mostly by exact key, often one that is absent: they get Bloom filters.
    pub point_lookups: Vec<Space>,
    /// Tables of which mostly all keys with the same first so many bytes are asked for, often with none there: those get filters too.
    pub prefixes: Vec<(Space, usize)>,
    /// Tables that are not compressed, whatever `compression` says: their values are packed already, and lie in the file as they
    /// are, so that they can be found in a damaged one.
    pub plain: Vec<Space>,
}

impl Default for RocksOptions {
    fn default() -> Self {
        Self {
            cache_bytes: 8 * 1024 * 1024,
            write_buffer_bytes: 4 * 1024 * 1024,
            write_buffers_bytes_max: 16 * 1024 * 1024,
            wal_bytes_max: 64 * 1024 * 1024,
            file_bytes: 64 * 1024 * 1024,
            level_bytes: 256 * 1024 * 1024,
            open_files_max: 256,
            background_jobs: 2,
            compression: Compression::Zstd,
            point_lookups: Vec::new(),
            prefixes: Vec::new(),
            plain: Vec::new(),
        }
    }
}

impl RocksOptions {
    /// Options to open a folder for writing.
    ///
    /// `linked`: each write-ahead log says how the one before it ended. Without it a power loss that takes the unsynced end of
    /// one log and leaves the beginning of the next would show later batches without earlier ones. Not for a folder without
    /// any log, as a repair leaves it: RocksDB would take them for lost.
    pub(super) fn opening(&self, cache: &Cache, linked: bool) -> Result<Options, rocksdb::Error> {
        let mut options = self.database(cache);
        if linked {
            return options.get_options_from_string("track_and_verify_wals=true");
        }
        Ok(options)
    }

    /// Options of the database, and of families nobody declared.
    pub(super) fn database(&self, cache: &Cache) -> Options {
        let mut options = self.family(cache, DEFAULT_FAMILY);
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        // After a power loss the state is that of some moment, never one with a hole in it.
        options.set_wal_recovery_mode(DBRecoveryMode::PointInTime);
        options.set_recycle_log_file_num(0); // an old record in a recycled file could pass for a new one
        options.set_manual_wal_flush(false);
        options.set_max_total_wal_size(self.wal_bytes_max);
        options.set_db_write_buffer_size(self.write_buffers_bytes_max);
        options.set_paranoid_checks(true); // a damaged file stops writes instead of spreading
        options.set_max_open_files(self.open_files_max);
        options.set_max_background_jobs(self.background_jobs);
        options.set_compaction_readahead_size(COMPACTION_READ_BYTES);
        options.set_bytes_per_sync(SYNC_BYTES);
        options.set_wal_bytes_per_sync(SYNC_BYTES);
        options.set_keep_log_file_num(INFO_LOGS_MAX);
        options.set_max_log_file_size(INFO_LOG_BYTES_MAX);
        options.set_log_level(LogLevel::Warn);
        options.set_stats_dump_period_sec(0);
        options.set_max_manifest_file_size(MANIFEST_BYTES_MAX);
        options.set_manifest_preallocation_size(MANIFEST_AHEAD_BYTES);
        options
    }

    fn family(&self, cache: &Cache, name: &str) -> Options {
        let named = |spaces: &[Space]| spaces.iter().any(|space| space.0 == name);
        let mut options = Options::default();
        let mut blocks = BlockBasedOptions::default();
        blocks.set_block_cache(cache);
        // Inside the cache, so that memory does not grow with the data.
        blocks.set_cache_index_and_filter_blocks(true);
        blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);
        // In pieces: the indexes of a store of some gigabytes, each whole, are greater than the cache.
        blocks.set_index_type(BlockBasedIndexType::TwoLevelIndexSearch);
        blocks.set_metadata_block_size(META_BLOCK_BYTES);
        let prefix = self.prefixes.iter().find(|(space, _)| space.0 == name);
        if named(&self.point_lookups) || prefix.is_some() {
            blocks.set_bloom_filter(BLOOM_BITS, false);
            blocks.set_optimize_filters_for_memory(true);
            // In pieces too: the one filter of a large file is greater than the cache, and its keys are held in memory while it is made.
            blocks.set_partition_filters(true);
        }
        if let Some((_, bytes)) = prefix {
            blocks.set_whole_key_filtering(false);
            options.set_prefix_extractor(SliceTransform::create_fixed_prefix(*bytes));
            options.set_memtable_prefix_bloom_ratio(MEMORY_FILTER_SHARE);
        }
        options.set_block_based_table_factory(&blocks);
        options.set_write_buffer_size(self.write_buffer_bytes);
        if named(&self.point_lookups) {
            // What is asked for is mostly not there: a filter knows it before every list in memory is searched.
            options.set_memtable_whole_key_filtering(true);
            options.set_memtable_prefix_bloom_ratio(MEMORY_FILTER_SHARE);
        }
        options.set_arena_block_size(ARENA_BYTES);
        options.set_target_file_size_base(self.file_bytes);
        options.set_max_bytes_for_level_base(self.level_bytes);
        // What is joined at once lies on the disk twice until it is done.
        options.set_max_compaction_bytes(self.level_bytes);
        let compression = if named(&self.plain) {
            Compression::None
        } else {
            self.compression
        };
        options.set_compression_type(match compression {
            Compression::Zstd => DBCompressionType::Zstd,
            Compression::Lz4 => DBCompressionType::Lz4,
            Compression::None => DBCompressionType::None,
        });
        options
    }

    /// The declared families, and those that a newer version of the program left in the folder: without them RocksDB would
    /// refuse to open.
    pub(super) fn families(
        &self,
        path: &Path,
        database: &Options,
        cache: &Cache,
        spaces: &[Space],
        exists: bool,
    ) -> Result<Vec<ColumnFamilyDescriptor>, rocksdb::Error> {
        let mut names: BTreeSet<String> = spaces.iter().map(|space| space.0.to_owned()).collect();
        names.insert(DEFAULT_FAMILY.to_owned());
        if exists {
            names.extend(DB::list_cf(database, path)?);
        }
        Ok(names
            .into_iter()
            .map(|name| {
                let options = self.family(cache, &name);
                ColumnFamilyDescriptor::new(name, options)
            })
            .collect())
    }
}
