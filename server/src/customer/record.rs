//! One customer: found by id or identifier, joined of its fragments.

use std::collections::BTreeSet;

use trenza_shared::{
    fragment::{Customer, Fragment, customer, customer_beside},
    id::{CustomerId, Fingerprint},
    identifier::Identifier,
    identity::{Group, customer_id},
    store::{StoreError, View},
};

use super::beside;
use crate::{
    evidence::load_fragment,
    identity::read,
    tables::{EVENTS, FORMER, FormerRow, IDS},
};

/// Most customers named by one identifier (a shared phone has many holders).
pub const FOUND_MAX: usize = 50;
/// Most holders of a value that are looked at to find them.
const HOLDERS_MAX: usize = 10_000;

/// A customer with what the API says of it.
#[derive(Debug, Clone)]
pub struct Record {
    /// Its public id today.
    pub id: CustomerId,
    /// Every other id that leads here, sorted.
    pub aliases: Vec<CustomerId>,
    /// Its members and shared values.
    pub group: Group,
    /// Its joined fragments.
    pub customer: Customer,
}

impl Record {
    /// Values of it that are shared with others and link nobody.
    pub fn shared(&self) -> BTreeSet<Identifier> {
        self.group
            .shared
            .iter()
            .map(|key| key.identifier.clone())
            .collect()
    }
}

/// The customer of a fingerprint, as a group of all its fingerprints.
///
/// # Errors
/// The store cannot be read.
pub fn group_of(view: &dyn View, fingerprint: &Fingerprint) -> Result<Option<Group>, StoreError> {
    read::person(view, fingerprint)
}

/// Joins a group's fragments, with what is refused beside them.
///
/// # Errors
/// The store cannot be read.
pub fn load(view: &dyn View, id_key: &[u8; 32], group: Group) -> Result<Record, StoreError> {
    let fragments = fragments(view, &group)?;
    let refusing = beside::refusing(view, &group, &fragments)?;
    let joined = customer_beside(&fragments, &refusing);
    let mut aliases: Vec<CustomerId> = group
        .members
        .iter()
        .filter(|member| **member != group.seed)
        .map(|member| customer_id(id_key, member))
        .collect();
    aliases.sort_unstable();
    Ok(Record {
        id: customer_id(id_key, &group.seed),
        aliases,
        customer: joined,
        group,
    })
}

/// What a group's own fragments say, without its ids.
///
/// # Errors
/// The store cannot be read.
pub fn joined(view: &dyn View, group: &Group) -> Result<Customer, StoreError> {
    Ok(customer(&fragments(view, group)?))
}

fn fragments(view: &dyn View, group: &Group) -> Result<Vec<Fragment>, StoreError> {
    let mut fragments: Vec<Fragment> = Vec::with_capacity(group.members.len());
    for member in &group.members {
        fragments.extend(load_fragment(view, member)?);
    }
    Ok(fragments)
}

/// The customer to whom an id leads today, whatever it was when it was shown.
///
/// # Errors
/// The store cannot be read.
pub fn by_id(
    view: &dyn View,
    id_key: &[u8; 32],
    id: &CustomerId,
) -> Result<Option<Record>, StoreError> {
    group_by_id(view, id_key, id)?
        .map(|(_, group)| load(view, id_key, group))
        .transpose()
}

/// Most ids followed from one that was shown to one of today.
const FOLLOWED_MAX: usize = 16;

/// The group to which an id leads today, and the member whose id it is, or whose event it once was of.
///
/// # Errors
/// The store cannot be read.
pub fn group_by_id(
    view: &dyn View,
    id_key: &[u8; 32],
    id: &CustomerId,
) -> Result<Option<(Fingerprint, Group)>, StoreError> {
    let mut id = *id;
    for _ in 0..FOLLOWED_MAX {
        let Some(bytes) = IDS.get(view, &id)? else {
            return of_other_rules(view, &id);
        };
        let Ok(fingerprint) = <[u8; 16]>::try_from(bytes.as_slice()).map(Fingerprint) else {
            return Ok(None);
        };
        if let Some(group) = group_of(view, &fingerprint)? {
            return Ok(Some((fingerprint, group)));
        }
        // Its only event turned out to say something else, and is another fingerprint's.
        let next = customer_id(id_key, &fingerprint);
        if next == id {
            return Ok(None);
        }
        id = next;
    }
    Ok(None)
}

/// The group of an event that this id led to under other rules.
fn of_other_rules(
    view: &dyn View,
    id: &CustomerId,
) -> Result<Option<(Fingerprint, Group)>, StoreError> {
    let Some(FormerRow(event)) = FORMER.get(view, id)? else {
        return Ok(None);
    };
    let row = EVENTS.get(view, &event)?;
    let Some(fingerprint) = row.and_then(|row| row.fingerprint) else {
        return Ok(None);
    };
    Ok(group_of(view, &fingerprint)?.map(|group| (fingerprint, group)))
}

/// The groups that hold an identifier, by seed; at most [`FOUND_MAX`].
///
/// # Errors
/// The store cannot be read.
pub fn groups_with(view: &dyn View, identifier: &Identifier) -> Result<Vec<Group>, StoreError> {
    let mut groups: Vec<Group> = Vec::new();
    let mut seen = BTreeSet::new();
    for holder in read::holders(view, identifier, None, HOLDERS_MAX)? {
        if seen.contains(&holder) {
            continue;
        }
        if let Some(group) = group_of(view, &holder)? {
            seen.extend(group.members.iter().copied());
            groups.push(group);
            if groups.len() == FOUND_MAX {
                break;
            }
        }
    }
    groups.sort_by_key(|group| group.seed);
    Ok(groups)
}
