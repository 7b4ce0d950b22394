//! The sides of one person: at home and at work.
//!
//! Owns their names. A person has one record whatever the side; a side has its own identifiers and its own consents.

use serde::{Deserialize, Serialize};

/// A side of a person. An event names one in `context.trenza.facet`, or none.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Facet {
    /// At home.
    Personal,
    /// At work.
    Professional,
}

impl Facet {
    /// Every side.
    pub const ALL: [Self; 2] = [Self::Personal, Self::Professional];

    /// As in events and answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Personal => "personal",
            Self::Professional => "professional",
        }
    }

    /// Reads the exact name; none for anything else.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|facet| facet.name() == name)
    }

    /// Stands for the side in hashes. Frozen.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Personal => 1,
            Self::Professional => 2,
        }
    }
}
