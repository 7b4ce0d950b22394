//! Files put aside: what a damaged store held, and what opening one might have thrown away.
//!
//! Owns the names `NAME.damaged-N` and `NAME.before-N` beside a store. Never deletes what holds rows.

use std::{
    collections::BTreeSet,
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

/// How many folders of one kind are kept side by side at most.
const KEPT_MAX: u32 = 1000;

/// Why a folder was put aside.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// A whole store that could not be opened or read: `NAME.damaged-N`.
    Damaged,
    /// Links to the files that a store had before it was opened and that it did not take over: `NAME.before-N`.
    Before,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Damaged => "damaged",
            Self::Before => "before",
        }
    }
}

/// A folder that was put aside.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Kept {
    /// Its number: a later one is greater.
    pub number: u32,
    /// Why it is there.
    pub kind: Kind,
    /// Where it is.
    pub path: PathBuf,
}

/// What was put aside beside `path`, of either kind, oldest first.
///
/// # Errors
/// The folder that holds `path` cannot be read.
pub fn kept(path: &Path) -> io::Result<Vec<Kept>> {
    let mut found = numbered(path)?;
    found.retain(|(_, rest)| rest.is_empty());
    let mut found: Vec<Kept> = found.into_iter().map(|(kept, _)| kept).collect();
    found.sort();
    Ok(found)
}

/// Everything beside `path` whose name begins as that of something put aside, with the rest of its name: none for what was put
/// aside itself, `.salvaged` for what was written about it.
fn numbered(path: &Path) -> io::Result<Vec<(Kept, String)>> {
    let name = name_of(path);
    let dir = match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let file = entry.file_name().to_string_lossy().into_owned();
        let Some(rest) = file.strip_prefix(&format!("{name}.")) else {
            continue;
        };
        for kind in [Kind::Damaged, Kind::Before] {
            let Some(rest) = rest.strip_prefix(&format!("{}-", kind.word())) else {
                continue;
            };
            let (number, rest) = match rest.split_once('.') {
                Some((number, _)) => rest.split_at(number.len()),
                None => (rest, ""),
            };
            if let Ok(number) = number.parse() {
                let path = entry.path();
                found.push((Kept { number, kind, path }, rest.to_owned()));
            }
        }
    }
    Ok(found)
}

/// Renames a file or folder to the next free `NAME.damaged-N` beside it; gives the new name.
///
/// # Errors
/// What the system says; it is where it was then.
pub fn move_aside(path: &Path) -> io::Result<PathBuf> {
    let aside = free_name(path, Kind::Damaged)?;
    fs::rename(path, &aside)?;
    Ok(aside)
}

/// Makes the folder `NAME.before-N` with links to the tables and logs of the store in `path`; none where there are none.
/// Opening a store may delete tables that a cut manifest does not name, and logs it could read only in part.
///
/// # Errors
/// What the system says, for example that the file system knows no links; nothing is left behind then.
pub(super) fn link_before(path: &Path) -> io::Result<Option<PathBuf>> {
    let files = match rows_in(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        files => files?,
    };
    if files.is_empty() {
        return Ok(None);
    }
    let folder = free_name(path, Kind::Before)?;
    fs::create_dir(&folder)?;
    let linked = files
        .iter()
        .try_for_each(|name| fs::hard_link(path.join(name), folder.join(name)));
    if let Err(error) = linked {
        fs::remove_dir_all(&folder)?;
        return Err(error);
    }
    Ok(Some(folder))
}

/// Removes the links to tables that the open store has, and the folder when nothing is left. The logs stay: whether all of
/// them was taken over is seen only by reading them.
///
/// # Errors
/// What the system says; a link too many does no harm.
pub(super) fn drop_links(folder: &Path, live: &BTreeSet<String>) -> io::Result<()> {
    let mut left = 0;
    for name in rows_in(folder)? {
        if live.contains(&name) {
            fs::remove_file(folder.join(&name))?;
        } else {
            left += 1;
        }
    }
    if left == 0 {
        fs::remove_dir(folder)?;
    }
    Ok(())
}

/// After the whole store was moved to `aside`: keeps of the links only what the store lost while it was opened. A log of which a
/// torn end was cut off is another file under the old name, and what follows its tear may still read well.
///
/// # Errors
/// What the system says; a link too many does no harm.
pub(super) fn drop_links_of(folder: &Path, aside: &Path) -> io::Result<()> {
    let inode = |path: &Path| fs::metadata(path).map(|about| (about.dev(), about.ino()));
    let mut same = BTreeSet::new();
    for name in rows_in(aside)? {
        if inode(&aside.join(&name)).ok() == inode(&folder.join(&name)).ok() {
            same.insert(name);
        }
    }
    drop_links(folder, &same)
}

/// Names of the files with rows: tables, and logs that are not empty.
fn rows_in(path: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let about = entry.metadata()?;
        if about.is_file() && about.len() > 0 && (name.ends_with(".sst") || is_log(&name)) {
            names.push(name);
        }
    }
    Ok(names)
}

/// Whether a file is called as a write-ahead log.
pub(super) fn is_log(name: &str) -> bool {
    name.strip_suffix(".log")
        .is_some_and(|stem| stem.bytes().all(|byte| byte.is_ascii_digit()))
}

/// A file that only a RocksDB folder with content has.
pub(super) fn table_or_manifest(path: &Path) -> io::Result<Option<String>> {
    for entry in fs::read_dir(path)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.starts_with("MANIFEST-") || name.ends_with(".sst") || is_log(&name) {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

fn free_name(path: &Path, kind: Kind) -> io::Result<PathBuf> {
    // A report whose folder is gone already, since the program ended in between, is not to pass for that of the next folder.
    let taken = numbered(path)?;
    let last = taken.iter().map(|(kept, _)| kept.number).max().unwrap_or(0);
    let beside =
        |number| path.with_file_name(format!("{}.{}-{number}", name_of(path), kind.word()));
    if last >= KEPT_MAX {
        return Err(io::Error::other(format!(
            "{} exists, and {KEPT_MAX} is the most; remove old ones",
            beside(last).display()
        )));
    }
    Ok(beside(last + 1))
}

fn name_of(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}
