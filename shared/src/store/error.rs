//! What can go wrong in a store, and what to do about it.

use std::path::PathBuf;

/// A store that could not do what was asked. Cheap to clone: one failed group commit answers many callers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The operating system refused. What a failed commit left on disk is unknown until the store is reopened.
    #[error(
        "store: {doing} failed: {detail}; check the disk and its permissions, the store reopens by itself"
    )]
    Io {
        /// The action, such as "commit".
        doing: &'static str,
        /// What the engine said.
        detail: String,
    },
    /// Bytes that are not what was written, or that this version cannot read.
    #[error(
        "store: table {space} is damaged: {detail}; a backup brings a server's store back (a derived table alone: `trenza-server replay`), an agent mends its own"
    )]
    Corrupt {
        /// Name of the table, or of the whole store's folder.
        space: String,
        /// The key (hexadecimal) and what is wrong.
        detail: String,
    },
    /// Another process holds the folder's lock.
    #[error("store: another trenza program has {} open; stop it, or ask it through its socket", path.display())]
    Busy {
        /// The store's folder.
        path: PathBuf,
    },
    /// No room left on the device (or its quota is used up). Reads still work.
    #[error("store: the disk is full ({detail}); free some space, the store goes on by itself")]
    Full {
        /// What the engine said.
        detail: String,
    },
    /// The store was closed, or is being reopened after an error.
    #[error("store: it is closed; try again in a moment, or restart the program")]
    Closed,
    /// A table that the program did not declare when it opened the store.
    #[error("store: table {space} was not declared; add it to the program's tables.rs")]
    UnknownSpace {
        /// Name of the table.
        space: &'static str,
    },
    /// A key or a batch over its limit; nothing of the batch was written.
    #[error(
        "store: {what} in table {space} has {bytes} bytes, the limit is {limit}; write less at once"
    )]
    TooLarge {
        /// "a key" or "a batch".
        what: &'static str,
        /// Name of the table.
        space: &'static str,
        /// Its size.
        bytes: usize,
        /// The most there may be.
        limit: usize,
    },
    /// A value that has no stored form (a fault in the program, never of the data on disk).
    #[error("store: a row for table {space} cannot be encoded: {detail}; report this as a fault")]
    Unencodable {
        /// Name of the table.
        space: &'static str,
        /// What the encoder said.
        detail: String,
    },
}

impl StoreError {
    /// True when the same call may succeed later without anybody changing the program or the data.
    pub fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Io { .. } | Self::Full { .. } | Self::Closed | Self::Busy { .. }
        )
    }

    /// Whether a store that could not be opened may open later, without anybody starting the program again.
    pub fn may_open_later(&self) -> bool {
        matches!(self, Self::Full { .. } | Self::Io { .. })
    }

    /// What is the matter, for somebody who may not see names of files.
    pub fn plainly(&self) -> &'static str {
        match self {
            Self::Full { .. } => "the disk is full",
            Self::Io { detail, .. } if detail.contains("Read-only file system") => {
                "the disk is read-only"
            }
            Self::Io { detail, .. } if detail.contains("Permission denied") => {
                "the disk does not let this program write"
            }
            Self::Io { .. } => "the disk fails",
            Self::Corrupt { .. } => "the store is damaged",
            Self::Busy { .. } | Self::Closed => "the store is not open",
            Self::UnknownSpace { .. } | Self::TooLarge { .. } | Self::Unencodable { .. } => {
                "the store refuses it"
            }
        }
    }
}
