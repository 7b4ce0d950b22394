//! The shapes on disk and on the wire: frozen, versioned, MessagePack with named fields behind one version byte.
//!
//! A new shape is a new version with a conversion, never an edit of an old one. Every decoder takes hostile bytes.

pub mod carried; // what agents of a venue tell each other, and what one brings for another
pub mod dropped; // entries that a device gave up, and what is left to wait for
pub mod entry; // one event in a log: an open part and a personal part
pub mod frame; // a run of entries of one lane
pub mod guard; // packed bytes that outlive a lost sector
pub mod pulse; // nothing new
pub mod sync; // hello, welcome, acknowledgement

use serde::{Serialize, de::DeserializeOwned};

/// Bytes that are not the shape they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Nothing there.
    #[error("{what}: empty where a version byte should be")]
    Empty {
        /// The shape that was expected.
        what: &'static str,
    },
    /// Written by a newer program.
    #[error("{what}: version {version} is unknown to this program; update it")]
    UnknownVersion {
        /// The shape that was expected.
        what: &'static str,
        /// The version byte found.
        version: u8,
    },
    /// Damaged, or something else.
    #[error("{what}: {reason}")]
    Malformed {
        /// The shape that was expected.
        what: &'static str,
        /// What the decoder said.
        reason: String,
    },
}

impl WireError {
    /// A value that decodes but cannot be.
    pub fn malformed(what: &'static str, reason: impl ToString) -> Self {
        Self::Malformed {
            what,
            reason: reason.to_string(),
        }
    }
}

/// A shape with its version byte.
pub trait Shape: Serialize + DeserializeOwned {
    /// Named in errors.
    const WHAT: &'static str;
    /// The version that this program writes.
    const VERSION: u8 = 1;

    /// The version byte and the named MessagePack.
    fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![Self::VERSION];
        rmp_serde::encode::write_named(&mut out, self)
            .expect("writing MessagePack of plain data to memory cannot fail");
        out
    }

    /// Reads what [`Shape::to_bytes`] wrote.
    ///
    /// # Errors
    /// Never panics, whatever the bytes.
    fn from_bytes(bytes: &[u8]) -> Result<Self, WireError> {
        match bytes.split_first() {
            None => Err(WireError::Empty { what: Self::WHAT }),
            Some((&version, body)) if version == Self::VERSION => {
                rmp_serde::from_slice(body).map_err(|error| WireError::malformed(Self::WHAT, error))
            }
            Some((&version, _)) => Err(WireError::UnknownVersion {
                what: Self::WHAT,
                version,
            }),
        }
    }
}
