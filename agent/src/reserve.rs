//! Space kept for a full disk, so that visits, acknowledgements and deletions still find room when somebody fills it.
//!
//! Owns one file beside the store. Losing it costs nothing.

use std::{
    fs::{self, OpenOptions},
    path::{Path, PathBuf},
};

use crate::config::files;

/// Size of the file where the disk is large enough. Unit: bytes.
pub const RESERVE_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// Its size on the smallest disk that has one: less would not open a store. Unit: bytes.
pub const RESERVE_BYTES_MIN: u64 = 4 * 1024 * 1024;
/// The file leaves this many times as much.
const LEAVES_FACTOR: u64 = 4;

/// Size of the reserve where so much is free, the reserve counted in: 32, 16, 8 or 4 MiB, the largest that leaves four times as much;
/// 0 where none does. Unit: bytes.
pub fn fitting(free_bytes: u64) -> u64 {
    let mut size = RESERVE_BYTES_MAX;
    while size >= RESERVE_BYTES_MIN {
        if free_bytes >= size * (1 + LEAVES_FACTOR) {
            return size;
        }
        size /= 2;
    }
    0
}

/// The file.
#[derive(Debug, Clone)]
pub struct Reserve(PathBuf);

impl Reserve {
    /// The reserve in the agent's folder.
    pub fn in_folder(dir: &Path) -> Self {
        Self(dir.join(files::RESERVE))
    }

    /// Makes the file as large as the free space allows, and larger where there is more by now; one that is there never gets smaller.
    /// Not being able to is no error.
    pub fn keep(&self, free_bytes: u64) {
        let (has, wanted) = (
            self.bytes(),
            fitting(free_bytes.saturating_add(self.bytes())),
        );
        if wanted <= has {
            return;
        }
        let made = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&self.0)
            .map_err(|error| error.to_string())
            .and_then(|file| {
                rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, wanted)
                    .map_err(|error| error.to_string())
            });
        if let Err(error) = made {
            tracing::debug!(error = %error, "no reserve of disk space");
            self.release();
        }
    }

    /// Size of the file; 0 where there is none. Unit: bytes.
    pub fn bytes(&self) -> u64 {
        fs::metadata(&self.0).map_or(0, |file| file.len())
    }

    /// Gives the space back; true when there was some.
    pub fn release(&self) -> bool {
        fs::remove_file(&self.0).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    #[test]
    fn the_reserve_is_as_large_as_the_disk_allows_and_given_back_once() {
        let dir = tempfile::tempdir().unwrap();
        let reserve = Reserve::in_folder(dir.path());
        reserve.keep(19 * MIB);
        assert!(!reserve.release(), "too little was free");
        reserve.keep(110 * MIB);
        assert_eq!(reserve.bytes(), 16 * MIB);
        reserve.keep(30 * MIB);
        assert_eq!(reserve.bytes(), 16 * MIB, "what is kept stays");
        reserve.keep(400 * MIB);
        assert_eq!(reserve.bytes(), 32 * MIB, "there is more room by now");
        assert!(reserve.release() && !reserve.release());
        assert_eq!(reserve.bytes(), 0);
    }

    #[test]
    fn every_disk_from_20_mib_on_has_a_reserve_that_leaves_four_times_as_much() {
        assert_eq!(fitting(20 * MIB - 1), 0);
        let mut last = 0;
        for free in (20..500).map(|mib| mib * MIB) {
            let size = fitting(free);
            assert!((RESERVE_BYTES_MIN..=RESERVE_BYTES_MAX).contains(&size));
            assert!(free - size >= size * LEAVES_FACTOR && size >= last);
            last = size;
        }
        assert_eq!(last, RESERVE_BYTES_MAX);
    }
}
