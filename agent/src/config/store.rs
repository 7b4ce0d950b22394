//! `[store]`: what may be used of the disk, and how large the parts of a store are.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::room::Limits;

/// Smallest quota of the store: its own files need some room before any event. Unit: bytes.
pub const QUOTA_BYTES_MIN: u64 = 16 * 1024 * 1024;

/// `[store]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreSection {
    /// Its folder, relative to the settings file.
    pub dir: PathBuf,
    /// Block cache. Unit: bytes.
    pub cache_bytes: usize,
    /// New rows of one table in memory. Unit: bytes.
    pub write_buffer_bytes: usize,
    /// Most that the store may take of the disk. Unit: bytes.
    pub quota_bytes: u64,
    /// Free space, the reserve of 32 MiB at most counted in, below which no further events are taken in: once the reserve was needed, it
    /// is for acknowledgements and deletions. Unit: bytes.
    pub free_bytes_min: u64,
}

/// New files of a table that may wait to be joined with others, on a machine that is busy.
const NEW_FILES: u64 = 8;

/// How large the parts of a store are, by its quota: what it needs beside its rows, while files are joined, is part of the quota.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sizes {
    /// New rows of a table in memory. Unit: bytes.
    pub write_buffer: u64,
    /// Write-ahead log. Unit: bytes.
    pub wal: u64,
    /// A table's file. Unit: bytes.
    pub file: u64,
    /// The level with which new files are joined. Unit: bytes.
    pub level: u64,
}

impl Sizes {
    /// Most that the store needs for a while beside what it holds: new files, joined with a level that is somewhat too large. Unit: bytes.
    pub fn work(&self) -> u64 {
        NEW_FILES * self.write_buffer + self.level + self.level / 2
    }
}

impl StoreSection {
    /// How large its parts are.
    pub fn sizes(&self) -> Sizes {
        const MIB: u64 = 1024 * 1024;
        let part = |of: u64, least: u64, most: u64| (self.quota_bytes / of).clamp(least, most);
        let write_buffer = u64::try_from(self.write_buffer_bytes).unwrap_or(u64::MAX);
        Sizes {
            write_buffer: write_buffer.min(part(64, MIB / 4, u64::MAX)),
            wal: part(16, MIB, 16 * MIB),
            file: part(64, MIB / 4, 16 * MIB),
            level: part(16, MIB, 64 * MIB),
        }
    }

    /// What may be used of the disk.
    pub fn room(&self) -> Limits {
        Limits {
            quota_bytes: self.quota_bytes.saturating_sub(self.sizes().work()),
            work_bytes: self.sizes().work(),
            free_bytes_min: self.free_bytes_min,
        }
    }
}

impl Default for StoreSection {
    fn default() -> Self {
        Self {
            dir: "store".into(),
            cache_bytes: 4 * 1024 * 1024,
            write_buffer_bytes: 4 * 1024 * 1024,
            quota_bytes: 4 * 1024 * 1024 * 1024,
            free_bytes_min: 40 * 1024 * 1024,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_store_needs_for_its_work_is_a_part_of_every_quota() {
        for mib in [16, 64, 300, 4_096, 1 << 20] {
            let section = StoreSection {
                quota_bytes: mib << 20,
                ..StoreSection::default()
            };
            let (sizes, room) = (section.sizes(), section.room());
            assert_eq!(room.quota_bytes + sizes.work(), section.quota_bytes);
            assert!(
                sizes.work() + sizes.wal < section.quota_bytes / 2,
                "{mib} MiB: {sizes:?}"
            );
            assert!(sizes.file <= sizes.level && sizes.write_buffer <= sizes.level);
        }
        let usual = StoreSection::default().sizes();
        assert!(
            usual.work() * 30 < StoreSection::default().quota_bytes,
            "{usual:?}"
        );
    }
}
