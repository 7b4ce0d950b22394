//! What came of a folder: a file in it, so that it outlives the store.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use trenza_shared::store::rocks::kept;

use crate::sync::uplink::replace;

/// End of the report's file name. It lies beside the folder: that may be of another owner, or a file.
const END: &str = ".salvaged";

/// What came of a folder.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Entries read, each counted once in however many files it was.
    pub found: u64,
    /// Of those, appended to the log again.
    pub appended: u64,
    /// Places that could not be read.
    pub unreadable: u64,
    /// When it was done. Unit: ms since 1970.
    pub done_ms: i64,
    /// Numbers that the log is known to have given out by then; 0 where that is not known.
    #[serde(default)]
    pub given_out: u64,
    /// Of those, found.
    #[serde(default)]
    pub given_out_found: u64,
}

impl Report {
    /// Whether a folder has one, and so was salvaged.
    pub fn is_of(folder: &Path) -> bool {
        file(folder).exists()
    }

    /// The report on a folder; none before it was salvaged. One that is damaged itself says nothing but that: all zeros.
    ///
    /// # Errors
    /// The file is there and the system does not give it.
    pub fn read(folder: &Path) -> io::Result<Option<Self>> {
        match fs::read(file(folder)) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes).unwrap_or_default())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes it down, durably: from here on the folder is salvaged.
    ///
    /// # Errors
    /// What the system says.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        replace(&file(folder), serde_json::to_string(self)?.as_bytes())
    }
}

/// The reports on all folders beside a store that were salvaged.
///
/// # Errors
/// What the system says.
pub fn reports(store_dir: &Path) -> io::Result<Vec<Report>> {
    let mut found = Vec::new();
    for kept in kept(store_dir)? {
        found.extend(Report::read(&kept.path)?);
    }
    Ok(found)
}

/// Removes a folder, then the report on it.
///
/// # Errors
/// What the system says; the report stays then.
pub fn remove(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        fs::remove_dir_all(folder)?;
    } else {
        fs::remove_file(folder)?;
    }
    match fs::remove_file(file(folder)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn file(folder: &Path) -> PathBuf {
    let mut name = folder.as_os_str().to_owned();
    name.push(END);
    name.into()
}
