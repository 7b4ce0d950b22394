//! Space kept for a full disk, so that visits, acknowledgements and deletions still find room when somebody fills it.
//!
//! Owns one file beside the store. Losing it costs nothing.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use crate::config::files;

/// Size of the file. Unit: bytes.
pub const RESERVE_BYTES: u64 = 32 * 1024 * 1024;
/// The file is made only where it leaves this many times as much.
const LEAVES_FACTOR: u64 = 4;

/// The file.
#[derive(Debug, Clone)]
pub struct Reserve(PathBuf);

impl Reserve {
    /// The reserve in the agent's folder.
    pub fn in_folder(dir: &Path) -> Self {
        Self(dir.join(files::RESERVE))
    }

    /// Makes the file where there is none and plenty of space; not being able to is no error.
    pub fn keep(&self, free_bytes: u64) {
        if self.0.exists() || free_bytes < RESERVE_BYTES * (1 + LEAVES_FACTOR) {
            return;
        }
        let made = File::create(&self.0)
            .map_err(|error| error.to_string())
            .and_then(|file| {
                rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, RESERVE_BYTES)
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

    #[test]
    fn the_reserve_is_made_where_there_is_room_and_given_back_once() {
        let dir = tempfile::tempdir().unwrap();
        let reserve = Reserve::in_folder(dir.path());
        reserve.keep(RESERVE_BYTES);
        assert!(!reserve.release(), "too little was free");
        reserve.keep(RESERVE_BYTES * 10);
        assert_eq!(reserve.bytes(), RESERVE_BYTES);
        assert!(reserve.release() && !reserve.release());
        assert_eq!(reserve.bytes(), 0);
    }
}
