//! A set that only grows.
//!
//! Owns nothing but the set: what it holds can be hidden by a rule, never taken out. Bounded by who fills it.

use std::collections::BTreeSet;

use crdts::{CvRDT, GSet};

use super::Join;

/// Members, each once, in their order.
///
/// **Laws.** Set union.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GrowSet<T: Ord> {
    members: GSet<T>,
}

impl<T: Ord> Default for GrowSet<T> {
    fn default() -> Self {
        Self {
            members: GSet::default(),
        }
    }
}

impl<T: Ord + Clone> GrowSet<T> {
    /// Puts a member in.
    pub fn insert(&mut self, member: T) {
        self.members.insert(member);
    }

    /// Whether it is in.
    #[must_use]
    pub fn contains(&self, member: &T) -> bool {
        self.members.contains(member)
    }

    /// The members, sorted.
    #[must_use]
    pub fn read(&self) -> BTreeSet<T> {
        self.members.read()
    }
}

impl<T: Ord> FromIterator<T> for GrowSet<T> {
    fn from_iter<I: IntoIterator<Item = T>>(members: I) -> Self {
        let mut set = Self::default();
        for member in members {
            set.members.insert(member);
        }
        set
    }
}

impl<T: Ord + Clone> Join for GrowSet<T> {
    fn join(&mut self, other: &Self) {
        self.members.merge(other.members.clone());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::crdt::laws;

    proptest! {
        #[test]
        fn the_laws_hold(a in prop::collection::vec(0u8..20, 0..20), b in prop::collection::vec(0u8..20, 0..20), c in prop::collection::vec(0u8..20, 0..20)) {
            let set = |members: Vec<u8>| members.into_iter().collect::<GrowSet<u8>>();
            prop_assert!(a.iter().all(|one| set(a.clone()).contains(one)));
            laws::hold(&set(a), &set(b), &set(c))?;
        }
    }
}
