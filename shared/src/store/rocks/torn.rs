//! What a power loss tore in the files that RocksDB appends to, cut off before they are read.
//!
//! Owns three cases that RocksDB does not handle itself: it skips a block of the write-ahead log that reads as zeros and goes on
//! behind it, which would show later batches without earlier ones; it refuses a manifest whose last, unsynced record is torn;
//! and it reads the header of a recycled file's record for ever where the file began with another kind
//! (<https://github.com/facebook/rocksdb/issues/13333>). An fsync covers the whole file, so what follows the first tear was
//! never promised to anybody.
//! Format: <https://github.com/facebook/rocksdb/wiki/Write-Ahead-Log-File-Format>.

use std::{
    fs::{self, File},
    io::{self, Read as _, Seek as _},
    path::{Path, PathBuf},
};

/// Records do not cross blocks. Unit: bytes.
const BLOCK: usize = 32 * 1024;
/// Checksum, length and type of a record. Unit: bytes.
const HEADER: usize = 7;
/// A record of a kind with a longer header. They are only in recycled files, of which there are none: a flipped bit made it.
const RECYCLED: [u8; 6] = [5, 6, 7, 8, 11, 131];
/// Most that is cut off a manifest: more is no torn write but damage, which is not hidden. Unit: bytes.
const MANIFEST_TAIL_MAX: u64 = 64 * 1024;

/// What ends the good part of a file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// A header at which RocksDB would not stop reading.
    Endless,
    /// The same, or a header of zeros with something behind it.
    Hole,
    /// The same, or a checksum that does not fit.
    BadRecord,
}

/// Makes a folder and those above it. Each name is synced in the folder that holds it, or a power loss could take the whole
/// store away with the name.
pub(super) fn create_folder(folder: &Path) -> io::Result<()> {
    if folder.as_os_str().is_empty() || folder.is_dir() {
        return Ok(());
    }
    let above = folder.parent().unwrap_or(Path::new(""));
    create_folder(above)?;
    fs::create_dir_all(folder)?;
    let holder = if above.as_os_str().is_empty() {
        Path::new(".")
    } else {
        above
    };
    File::open(holder)?.sync_all()
}

/// Cuts torn ends off the files in a store's folder. True when there is a write-ahead log.
///
/// # Errors
/// [`io::ErrorKind::InvalidData`] where what is left cannot be given to RocksDB.
pub(super) fn trim(folder: &Path) -> io::Result<bool> {
    let logs = logs(folder)?;
    for log in &logs {
        cut(log, Rule::Hole, u64::MAX)?;
    }
    if let Some(manifest) = manifest(folder)? {
        cut(&manifest, Rule::BadRecord, MANIFEST_TAIL_MAX)?;
        ends(&manifest)?;
    }
    Ok(!logs.is_empty())
}

/// Whether RocksDB comes to an end with the files of a folder that must stay as they are.
///
/// # Errors
/// [`io::ErrorKind::InvalidData`] where it does not.
pub(super) fn check(folder: &Path) -> io::Result<()> {
    for file in logs(folder)?.into_iter().chain(manifest(folder)?) {
        ends(&file)?;
    }
    Ok(())
}

fn logs(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "log") {
            found.push(path);
        }
    }
    Ok(found)
}

fn manifest(folder: &Path) -> io::Result<Option<PathBuf>> {
    let current = fs::read_to_string(folder.join("CURRENT"))?;
    let manifest = folder.join(current.trim_end());
    Ok(manifest.is_file().then_some(manifest))
}

fn ends(path: &Path) -> io::Result<()> {
    match good_bytes(&mut File::open(path)?, Rule::Endless)? {
        None => Ok(()),
        Some(at) => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!(
                "{} is damaged at byte {at}: a record of an unknown kind",
                path.display()
            ),
        )),
    }
}

fn cut(path: &Path, rule: Rule, most: u64) -> io::Result<()> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    let Some(good) = good_bytes(&mut file, rule)? else {
        return Ok(());
    };
    if size.saturating_sub(good) > most {
        return Ok(());
    }
    // The good part in a new file: who keeps the old one by a link keeps all of it.
    let next = path.with_extension("cut");
    let mut whole = File::create(&next)?;
    file.rewind()?;
    io::copy(&mut file.take(good), &mut whole)?;
    whole.sync_all()?;
    fs::rename(&next, path)?;
    path.parent()
        .map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

/// Where the good part ends; none when all of it is good, or there are only zeros behind it.
fn good_bytes(file: &mut File, rule: Rule) -> io::Result<Option<u64>> {
    let mut block = Vec::with_capacity(BLOCK);
    let (mut from, mut torn) = (0, None);
    loop {
        block.clear();
        file.take(BLOCK as u64).read_to_end(&mut block)?;
        if block.is_empty() {
            return Ok(None);
        }
        if let Some(good) = torn {
            if block.iter().any(|byte| *byte != 0) {
                return Ok(Some(good));
            }
        } else if let Some(at) = first_bad(&block, rule) {
            if rule != Rule::Hole || block[at..].iter().any(|byte| *byte != 0) {
                return Ok(Some(from + at as u64));
            }
            torn = Some(from + at as u64);
        }
        from += block.len() as u64;
    }
}

/// Where the first bad record of a block begins.
fn first_bad(block: &[u8], rule: Rule) -> Option<usize> {
    let mut at = 0;
    while at + HEADER <= block.len() {
        let header = &block[at..at + HEADER];
        let length = usize::from(u16::from_le_bytes([header[4], header[5]]));
        let (kind, end) = (header[6], at + HEADER + length);
        if RECYCLED.contains(&kind) {
            return Some(at);
        }
        if kind == 0 && length == 0 {
            return (rule != Rule::Endless).then_some(at);
        }
        if end > block.len() {
            // The end of a file in the middle of a record, or a length that is none: RocksDB stops here by itself.
            return (rule == Rule::BadRecord).then_some(at);
        }
        if rule != Rule::Hole {
            let stored = u32::from_le_bytes([header[0], header[1], header[2], header[3]]);
            if unmasked(stored) != crc32c::crc32c(&block[at + 6..end]) {
                // RocksDB looks at no more of this block.
                return (rule == Rule::BadRecord).then_some(at);
            }
        }
        at = end;
    }
    None
}

/// RocksDB stores checksums of data that may hold checksums masked.
fn unmasked(masked: u32) -> u32 {
    masked.wrapping_sub(0xa282_ead8).rotate_right(17)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(payload: &[u8]) -> Vec<u8> {
        let mut body = vec![1];
        body.extend_from_slice(payload);
        let masked = crc32c::crc32c(&body)
            .rotate_left(17)
            .wrapping_add(0xa282_ead8);
        let mut out = masked.to_le_bytes().to_vec();
        out.extend_from_slice(&u16::try_from(payload.len()).unwrap().to_le_bytes());
        out.extend_from_slice(&body);
        out
    }

    fn left(bytes: &[u8], rule: Rule, most: u64) -> u64 {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("000004.log");
        fs::write(&path, bytes).unwrap();
        cut(&path, rule, most).unwrap();
        fs::metadata(&path).unwrap().len()
    }

    #[test]
    fn what_follows_a_hole_goes_and_a_whole_file_stays() {
        let one = record(&[7; 1_000]);
        let hole = [one.clone(), vec![0; BLOCK - one.len()], one.clone()].concat();
        let zeros_behind = [one.clone(), vec![0; 3 * BLOCK]].concat();
        let torn_payload = [one[..500].to_vec(), vec![0; one.len() - 500], one.clone()].concat();
        let size = |bytes: &[u8]| bytes.len() as u64;
        for (bytes, rule, expected) in [
            (&one, Rule::Hole, size(&one)),
            (&one, Rule::BadRecord, size(&one)),
            (&hole, Rule::Hole, size(&one)),
            (&hole, Rule::BadRecord, size(&one)),
            (&zeros_behind, Rule::Hole, size(&zeros_behind)),
            (&torn_payload, Rule::Hole, size(&torn_payload)),
            (&torn_payload, Rule::BadRecord, 0),
        ] {
            assert_eq!(left(bytes, rule, u64::MAX), expected);
        }
        assert_eq!(
            left(&hole, Rule::BadRecord, 10),
            size(&hole),
            "damage is not hidden"
        );
    }

    #[test]
    fn a_record_that_rocksdb_would_read_for_ever_ends_the_file_under_every_rule() {
        let one = record(&[7; 100]);
        for kind in RECYCLED {
            let mut bytes = [one.clone(), one.clone(), one.clone()].concat();
            bytes[one.len() + 6] = kind;
            for rule in [Rule::Endless, Rule::Hole, Rule::BadRecord] {
                assert_eq!(left(&bytes, rule, u64::MAX), one.len() as u64, "{kind}");
            }
            // Behind a checksum that does not fit RocksDB skips the rest of the block.
            bytes[10] ^= 1;
            assert_eq!(left(&bytes, Rule::Endless, u64::MAX), bytes.len() as u64);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_grow(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..3 * BLOCK)) {
            for rule in [Rule::Endless, Rule::Hole, Rule::BadRecord] {
                proptest::prop_assert!(left(&bytes, rule, u64::MAX) <= bytes.len() as u64);
            }
        }
    }
}
