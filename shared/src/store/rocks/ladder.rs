//! The start ladder: open, or set aside and start empty. A program that captures visits always starts, and at once: nothing is
//! repaired on the way, what was set aside is salvaged while the program runs.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{
    super::{Space, StoreError},
    Open, RocksOptions, RocksStore, aside,
};

/// The store could not be opened: it is new and empty, the old one is kept for salvage. Positions may have been lost, so an
/// agent starts a new epoch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Damage {
    /// Why it would not open.
    pub reason: String,
    /// Where the old files are: `NAME.damaged-N` beside the store.
    pub folder: PathBuf,
}

/// A store that was opened by [`open_or_set_aside`].
pub struct Opened {
    /// The store.
    pub store: RocksStore,
    /// What had to be set aside for it.
    pub damage: Option<Damage>,
    /// Why files that opening may delete could not be kept under other names: the store is open all the same.
    pub unkept: Option<io::Error>,
}

/// Opens the store; if that fails moves its folder aside and starts empty.
///
/// A store that is open elsewhere or a full disk is an error, and nothing is touched. Everything else, also files of another
/// owner or folders in their place, leads to the empty store.
///
/// Tables and logs that the store had and did not take over stay as links in `NAME.before-N`: RocksDB takes a manifest or a
/// log that was cut for the whole truth, and deletes what it does not know.
///
/// # Errors
/// [`StoreError::Busy`], [`StoreError::Full`] as [`RocksStore::open`]; [`StoreError::Io`] when even an empty store cannot be
/// opened there.
pub fn open_or_set_aside(
    path: impl Into<PathBuf>,
    spaces: &[Space],
    options: RocksOptions,
) -> Result<Opened, StoreError> {
    let path = path.into();
    let (before, mut unkept) = match aside::link_before(&path) {
        Ok(folder) => (folder, None),
        Err(error) => (None, Some(error)),
    };
    let mut tidied = |done: io::Result<()>| unkept = unkept.take().or(done.err());
    let first = match RocksStore::open(&path, spaces, options.clone()) {
        Ok(store) => {
            if let Some(folder) = before {
                let live = store.open_now()?.table_files()?;
                tidied(aside::drop_links(&folder, &live));
            }
            return Ok(Opened {
                store,
                damage: None,
                unkept,
            });
        }
        Err(error) => error,
    };
    if matches!(
        first,
        StoreError::Busy { .. } | StoreError::Full { .. } | StoreError::Closed
    ) {
        if let Some(folder) = before {
            tidied(aside::drop_links_of(&folder, &path));
        }
        return Err(first);
    }
    let folder = match set_aside(&path) {
        // On a disk that takes no change at all nothing is damaged: what keeps the store from opening is what has to be told.
        Err(_) if matches!(first, StoreError::Io { .. }) => {
            if let Some(folder) = before {
                tidied(aside::drop_links_of(&folder, &path));
            }
            return Err(first);
        }
        aside => aside?,
    };
    if let Some(before) = before {
        tidied(aside::drop_links_of(&before, &folder));
    }
    let store = RocksStore::open(&path, spaces, options)?;
    let reason = first.to_string();
    Ok(Opened {
        store,
        damage: Some(Damage { reason, folder }),
        unkept,
    })
}

fn set_aside(path: &Path) -> Result<PathBuf, StoreError> {
    aside::move_aside(path).map_err(|error| StoreError::Io {
        doing: "move the damaged store aside",
        detail: format!("{}: {error}", path.display()),
    })
}

impl RocksStore {
    /// Closes the files, moves their folder aside and goes on with an empty store in its place: what helps after
    /// [`StoreError::Corrupt`]. Gives the folder with the old files. Reads and writes get [`StoreError::Closed`] meanwhile.
    ///
    /// # Errors
    /// As [`RocksStore::reopen`].
    pub fn start_empty(&self) -> Result<PathBuf, StoreError> {
        let _one = self.changing();
        self.shut()?;
        let folder = set_aside(&self.path)?;
        self.begin(Open::new(&self.path, &self.spaces, &self.options)?);
        Ok(folder)
    }
}
