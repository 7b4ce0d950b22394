//! Events that are of one of several persons and of nobody alone: a telephone of two who contradict each other, a visitor id that both
//! left, or both their logins at once, after people were parted.
//!
//! Owns finding them, and whom they may be of. What they refuse is refused for everybody they may be of, what they allow for nobody.

use std::collections::BTreeSet;

use trenza_shared::{
    fragment::Fragment,
    id::Fingerprint,
    identifier::Identifier,
    identity::{Group, SharedKey, SharedWhy},
    store::{StoreError, View},
};

use crate::{evidence::load_fragment, identity::read};

/// Most shared values of one customer that are looked at.
const VALUES_MAX: usize = 32;
/// Most holders of one value that are looked at.
const HOLDERS_MAX: usize = 1_000;
/// Most fingerprints of such events under one value.
const MEMBERS_MAX: usize = 256;

/// Whether an event with this value alone is of one of its holders. What too many hold, or the rules call everybody's, is not.
fn is_of_some(key: &SharedKey) -> bool {
    match key.why {
        SharedWhy::Contradiction(_)
        | SharedWhy::Ambiguous(_)
        | SharedWhy::Declared(_)
        | SharedWhy::Limit { .. } => true,
        SharedWhy::TooMany | SharedWhy::Listed => false,
    }
}

fn values(group: &Group) -> impl Iterator<Item = &Identifier> {
    let keys = group.shared.iter().filter(|key| is_of_some(key));
    keys.map(|key| &key.identifier).take(VALUES_MAX)
}

/// What those events say that may be this person's and are nobody's alone, of those that refuse something. `own` are the group's
/// fragments.
///
/// # Errors
/// The store cannot be read.
pub fn refusing(
    view: &dyn View,
    group: &Group,
    own: &[Fragment],
) -> Result<Vec<Fragment>, StoreError> {
    // A value that is this person's own may still stand in what holds another's as well.
    let own = own.iter().flat_map(|fragment| fragment.identifiers.keys());
    let own = own.filter(|value| group.shared_key(value).is_none());
    let own: BTreeSet<&Identifier> = own.take(VALUES_MAX).collect();
    let mut found = Vec::new();
    let others = sharing(view, group, values(group).chain(own))?;
    for other in others {
        if other.members.len() > MEMBERS_MAX || !is_nobodys_alone(view, &other)? {
            continue;
        }
        for member in &other.members {
            let fragment = load_fragment(view, member)?;
            found.extend(fragment.filter(Fragment::refuses));
        }
    }
    Ok(found)
}

/// Whom events may be of that are nobody's alone, by seed; nobody where they are somebody's.
///
/// # Errors
/// The store cannot be read.
pub fn concerned(view: &dyn View, group: &Group) -> Result<BTreeSet<Fingerprint>, StoreError> {
    if values(group).next().is_none() || !is_nobodys_alone(view, group)? {
        return Ok(BTreeSet::new());
    }
    let others = sharing(view, group, values(group))?;
    Ok(others.iter().map(|one| one.seed).collect())
}

/// The others that hold one of these values of a group.
fn sharing<'a>(
    view: &dyn View,
    group: &Group,
    values: impl Iterator<Item = &'a Identifier>,
) -> Result<Vec<Group>, StoreError> {
    let mut seen: BTreeSet<Fingerprint> = group.members.iter().copied().collect();
    let mut found = Vec::new();
    for value in values {
        for holder in read::holders(view, value, None, HOLDERS_MAX)? {
            if seen.contains(&holder) {
                continue;
            }
            if let Some(other) = read::person(view, &holder)? {
                let both = [group, &other];
                if !both
                    .iter()
                    .any(|one| one.shared_key(value).is_some_and(is_of_some))
                {
                    continue;
                }
                seen.extend(other.members.iter().copied());
                found.push(other);
            }
        }
    }
    Ok(found)
}

/// Whether a group is no person of its own: it might be one of two who contradict each other, or has nothing but shared values.
fn is_nobodys_alone(view: &dyn View, group: &Group) -> Result<bool, StoreError> {
    let between = |key: &SharedKey| matches!(key.why, SharedWhy::Ambiguous(_));
    if group.shared.iter().any(between) {
        return Ok(true);
    }
    if group.shared.is_empty() || group.members.len() > MEMBERS_MAX {
        return Ok(false);
    }
    let shared: BTreeSet<&Identifier> = group.shared.iter().map(|key| &key.identifier).collect();
    for member in &group.members {
        let Some(node) = read::node(view, member)? else {
            continue;
        };
        let person = &node.payload.person;
        let named = !person.given.is_empty() || !person.surnames.is_empty();
        if named
            || node
                .payload
                .identifiers
                .iter()
                .any(|one| !shared.contains(one))
        {
            return Ok(false);
        }
    }
    Ok(true)
}
