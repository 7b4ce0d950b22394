//! The start ladder: open, repair, set aside. A program that captures visits always starts.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use rocksdb::{Cache, DB};

use super::{
    super::{Space, StoreError},
    RocksOptions, RocksStore,
    failure::understand,
};

/// How many damaged folders are kept side by side at most.
const DAMAGED_FOLDERS_MAX: u32 = 1000;

/// What the start had to do because the folder was damaged. Tell a person, and treat the content as incomplete: positions
/// may have been lost, so an agent starts a new epoch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Damage {
    /// RocksDB repaired the files; what it could not read lies in the folder `lost` inside.
    Repaired {
        /// Why it would not open.
        reason: String,
    },
    /// Repair failed: the store is new and empty, the old one is kept for salvage.
    SetAside {
        /// Why it would not open, and why repair failed.
        reason: String,
        /// Where the old files are: `NAME.damaged-N` beside the store.
        folder: PathBuf,
    },
}

/// Opens the store; if its files are damaged repairs it; if that fails moves the folder aside and starts empty.
///
/// Only damage leads down the ladder: a store that is open elsewhere, a full disk or missing permissions are errors, and
/// nothing is touched.
///
/// # Errors
/// [`StoreError::Busy`], [`StoreError::Full`], [`StoreError::Io`] as [`RocksStore::open`].
pub fn open_or_quarantine(
    path: impl Into<PathBuf>,
    spaces: &[Space],
    options: RocksOptions,
) -> Result<(RocksStore, Option<Damage>), StoreError> {
    let path = path.into();
    let first = match RocksStore::open(&path, spaces, options.clone()) {
        Ok(store) => return Ok((store, None)),
        Err(error @ StoreError::Corrupt { .. }) => error,
        Err(error) => return Err(error),
    };
    let repaired = DB::repair(
        &options.database(&Cache::new_lru_cache(options.cache_bytes)),
        &path,
    )
    .map_err(|error| understand(&path, "*", "repair", &error))
    .and_then(|()| RocksStore::open(&path, spaces, options.clone()));
    let second = match repaired {
        Ok(store) => {
            return Ok((
                store,
                Some(Damage::Repaired {
                    reason: first.to_string(),
                }),
            ));
        }
        Err(error @ (StoreError::Busy { .. } | StoreError::Full { .. })) => return Err(error),
        Err(error) => error,
    };
    let folder = set_aside(&path).map_err(|error| StoreError::Io {
        doing: "move the damaged store aside",
        detail: format!("{}: {error}", path.display()),
    })?;
    let store = RocksStore::open(&path, spaces, options)?;
    let reason = format!("{first}; repair: {second}");
    Ok((store, Some(Damage::SetAside { reason, folder })))
}

fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    for n in 1..=DAMAGED_FOLDERS_MAX {
        let aside = path.with_file_name(format!("{name}.damaged-{n}"));
        if !aside.exists() {
            fs::rename(path, &aside)?;
            return Ok(aside);
        }
    }
    Err(io::Error::other(format!(
        "{DAMAGED_FOLDERS_MAX} damaged folders are there already; remove some"
    )))
}

/// A file that only a RocksDB folder with content has.
pub(super) fn table_or_manifest(path: &Path) -> io::Result<Option<String>> {
    for entry in fs::read_dir(path)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let log = name
            .strip_suffix(".log")
            .is_some_and(|stem| stem.bytes().all(|byte| byte.is_ascii_digit()));
        if name.starts_with("MANIFEST-") || name.ends_with(".sst") || log {
            return Ok(Some(name));
        }
    }
    Ok(None)
}
