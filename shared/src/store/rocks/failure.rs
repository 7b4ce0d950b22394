//! What RocksDB's errors mean for the program.

use std::path::Path;

use super::super::StoreError;

/// RocksDB's errors are texts; this is the only place that reads them. `space` `*` is the whole folder.
pub(super) fn understand(
    path: &Path,
    space: &str,
    doing: &'static str,
    error: &rocksdb::Error,
) -> StoreError {
    let corrupt = error.kind() == rocksdb::ErrorKind::Corruption;
    let closing = error.kind() == rocksdb::ErrorKind::ShutdownInProgress;
    sort(path, space, doing, error.to_string(), corrupt, closing)
}

fn sort(
    path: &Path,
    space: &str,
    doing: &'static str,
    detail: String,
    corrupt: bool,
    closing: bool,
) -> StoreError {
    let says = |part: &str| detail.contains(part);
    if says("While lock file") || says("lock hold by current process") {
        StoreError::Busy {
            path: path.to_path_buf(),
        }
    } else if says("No space left on device") || says("Disk quota exceeded") || says("NoSpace") {
        StoreError::Full { detail }
    } else if corrupt || (doing == "open" && says("No such file")) {
        // While opening, a missing file is one that CURRENT or the manifest names.
        let space = if space == "*" {
            path.display().to_string()
        } else {
            space.to_owned()
        };
        StoreError::Corrupt { space, detail }
    } else if closing {
        StoreError::Closed
    } else {
        StoreError::Io { doing, detail }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_a_missing_file_and_a_broken_disk_are_told_apart() {
        let path = Path::new("/data/store");
        let seen = |doing, text: &str| sort(path, "*", doing, text.into(), false, false);
        let full =
            "IO error: No space left on device: While appending to file: /data/store/000004.log";
        assert!(matches!(seen("commit", full), StoreError::Full { .. }));
        let missing =
            "IO error: No such file or directory: While opening: /data/store/MANIFEST-000005";
        let StoreError::Corrupt { space, .. } = seen("open", missing) else {
            panic!("not corrupt")
        };
        assert_eq!(space, "/data/store");
        assert!(matches!(
            seen("checkpoint", missing),
            StoreError::Io {
                doing: "checkpoint",
                ..
            }
        ));
        let broken = "IO error: Input/output error: While fsync: /data/store/000004.log";
        assert!(matches!(seen("commit", broken), StoreError::Io { .. }));
        assert!(!sort(path, "event", "read", "Corruption: x".into(), true, false).may_pass());
    }
}
