//! Reading what was put aside: which files, and the frames in each, with fixed memory.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use trenza_shared::{
    store::rocks::wal,
    wire::{entry::Entry, frame::Frame},
};

use super::carve::carve;

/// How much is read at a time; a multiple of a log's block. Unit: bytes.
const PIECE_BYTES: usize = 32 * wal::BLOCK_BYTES;
/// How deep folders in a folder are looked into.
const DEPTH_MAX: usize = 4;

/// All files below `path`, or `path` itself, by name. Links are not followed.
///
/// # Errors
/// What the system says of the first folder that cannot be read.
pub fn files(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    add_files(path, DEPTH_MAX, &mut found)?;
    found.sort();
    Ok(found)
}

fn add_files(path: &Path, depth: usize, found: &mut Vec<PathBuf>) -> io::Result<()> {
    let kind = fs::symlink_metadata(path)?.file_type();
    if kind.is_file() {
        found.push(path.to_owned());
    } else if kind.is_dir() && depth > 0 {
        for entry in fs::read_dir(path)? {
            add_files(&entry?.path(), depth - 1, found)?;
        }
    }
    Ok(())
}

fn is_log(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| wal::is_log(&name.to_string_lossy()))
}

/// Whether a file is a write-ahead log without a damaged byte, whose last record is whole: the store has read all of it.
///
/// # Errors
/// What the system says.
pub fn is_whole_log(path: &Path) -> io::Result<bool> {
    if !is_log(path) {
        return Ok(false);
    }
    let (mut whole, mut unfinished, mut stripped) = (true, false, Vec::new());
    let unread = in_pieces(path, |piece, _| {
        for block in piece.chunks(wal::BLOCK_BYTES) {
            stripped.clear();
            let block = wal::strip(block, &mut stripped);
            whole &= block.sound;
            unfinished = block.unfinished;
        }
        Ok::<_, io::Error>(())
    })?;
    Ok(whole && !unfinished && unread == 0)
}

/// Gives every frame of a file to `each`; returns how many frames and blocks do not read.
///
/// # Errors
/// What the system or `each` says.
pub fn frames<E: From<io::Error>>(
    path: &Path,
    mut each: impl FnMut(Frame, Vec<Entry>) -> Result<(), E>,
) -> Result<u64, E> {
    let log = is_log(path);
    let (mut held, mut damaged) = (Vec::new(), 0);
    let unread = in_pieces::<E>(path, |piece, end| {
        if log {
            for block in piece.chunks(wal::BLOCK_BYTES) {
                wal::strip(block, &mut held);
            }
        } else {
            held.extend_from_slice(piece);
        }
        let carved = carve(&held, end, &mut each)?;
        damaged += carved.damaged;
        held.drain(..carved.used);
        Ok(())
    })?;
    Ok(damaged + unread)
}

/// Gives a file piece by piece; the last, which may be empty, comes with true. A block that the disk cannot read comes as
/// zeros; returns how many those were.
fn in_pieces<E: From<io::Error>>(
    path: &Path,
    mut each: impl FnMut(&[u8], bool) -> Result<(), E>,
) -> Result<u64, E> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let (mut at, mut unread) = (0, 0);
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let filled = usize::try_from(length - at).map_or(PIECE_BYTES, |left| left.min(PIECE_BYTES));
        for (from, block) in (at..)
            .step_by(wal::BLOCK_BYTES)
            .zip(piece[..filled].chunks_mut(wal::BLOCK_BYTES))
        {
            if let Err(error) = file.read_exact_at(block, from) {
                tracing::warn!(error = %error, file = %path.display(), file.at = from, "a block of a damaged store cannot be read");
                block.fill(0);
                unread += 1;
            }
        }
        at += filled as u64;
        let end = at == length;
        each(&piece[..filled], end)?;
        if end {
            return Ok(unread);
        }
    }
}
