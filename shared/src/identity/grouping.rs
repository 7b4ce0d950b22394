//! The answer of resolution: who is one person, what is shared, what was refused.
//!
//! Owns the shapes. Every list is sorted, so equal answers are equal bytes.

use serde::{Deserialize, Serialize};

use crate::{
    id::{DecisionId, Fingerprint},
    identifier::{Identifier, Kind},
};

/// What keeps two persons apart.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Clash {
    /// Two values of which a person has at most one.
    Exclusive {
        /// The smaller value.
        one: Identifier,
        /// The greater value.
        other: Identifier,
    },
    /// Two full names that cannot be one person's. As folded, given names first.
    Names {
        /// The smaller name.
        one: String,
        /// The greater name.
        other: String,
    },
    /// A person decided so.
    Decision {
        /// The decision.
        id: DecisionId,
        /// Held on one side.
        one: Identifier,
        /// Held on the other side.
        other: Identifier,
    },
    /// Two of one name with dates of birth a generation apart: parent and child.
    Births {
        /// `YYYY-MM-DD`.
        one: String,
        /// `YYYY-MM-DD`.
        other: String,
    },
}

/// Why a value links nobody, or not this group.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SharedWhy {
    /// More persons hold it than the cap.
    TooMany,
    /// Somebody declared it shared.
    Declared(DecisionId),
    /// The rules list it as everybody's.
    Listed,
    /// Its holders contradict each other.
    Contradiction(Clash),
    /// It would join this group to two persons who contradict each other, so it joins it to neither.
    Ambiguous(Clash),
    /// Linking by it would give a person more values of a kind than allowed.
    Limit {
        /// The kind.
        kind: Kind,
        /// Most values a person may have.
        max: u32,
    },
}

/// A value that links nobody, or not this group.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct SharedKey {
    /// The value.
    pub identifier: Identifier,
    /// Why.
    pub why: SharedWhy,
}

/// One person: the fingerprints whose events are theirs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Group {
    /// The member with the earliest event time, then the smallest hash. The customer id is derived from it.
    pub seed: Fingerprint,
    /// Event time of the seed. Unit: ms since 1970.
    pub seed_at_ms: i64,
    /// Sorted.
    pub members: Vec<Fingerprint>,
    /// Values the members hold that link nobody, or not them. Sorted by value.
    pub shared: Vec<SharedKey>,
}

impl Group {
    /// Whether a fingerprint is one of its members.
    #[must_use]
    pub fn has(&self, member: &Fingerprint) -> bool {
        self.members.binary_search(member).is_ok()
    }

    /// What of it a value is that links nobody, or not it.
    #[must_use]
    pub fn shared_key(&self, value: &Identifier) -> Option<&SharedKey> {
        self.shared.iter().find(|key| key.identifier == *value)
    }

    /// Several groups as one person.
    #[must_use]
    pub fn joined(groups: &[Self]) -> Option<Self> {
        let first = groups.iter().min_by_key(|one| (one.seed_at_ms, one.seed))?;
        let mut joined = Self {
            members: Vec::new(),
            shared: Vec::new(),
            ..first.clone()
        };
        for group in groups {
            joined.members.extend(&group.members);
            joined.shared.extend(group.shared.iter().cloned());
        }
        joined.members.sort_unstable();
        joined.shared.sort_unstable();
        joined
            .shared
            .dedup_by(|one, other| one.identifier == other.identifier);
        Some(joined)
    }
}

/// Persons that evidence would have made one. For the review queue.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Refusal {
    /// The evidence.
    pub cause: Cause,
    /// Why it was refused.
    pub why: SharedWhy,
    /// Seeds of the groups it would have joined; sorted, at most [`REFUSAL_GROUPS_MAX`].
    pub groups: Vec<Fingerprint>,
}

/// Most groups one refusal names.
pub const REFUSAL_GROUPS_MAX: usize = 32;

/// What would have merged persons.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// A value they hold.
    Key(Identifier),
    /// A decision that they are the same.
    Decision(DecisionId),
}

/// Nodes connected by values that may link, resolved together: the unit of recomputation.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Component {
    /// Smallest member: names the component in the graph's tables.
    pub id: Fingerprint,
    /// The persons, by seed.
    pub groups: Vec<Group>,
    /// What was refused inside, sorted.
    pub refusals: Vec<Refusal>,
}

impl Component {
    /// All members of all groups.
    pub fn members(&self) -> impl Iterator<Item = &Fingerprint> {
        self.groups.iter().flat_map(|group| &group.members)
    }

    /// The group that holds `member`.
    #[must_use]
    pub fn group_of(&self, member: &Fingerprint) -> Option<&Group> {
        self.groups
            .iter()
            .find(|group| group.members.binary_search(member).is_ok())
    }
}
