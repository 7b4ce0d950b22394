//! Who may live together: persons whose address and a surname, or whose landline, are the same, and who are not one person and of whom nobody is asked whether they are.
//!
//! Owns finding them, each pair once. Proposes; that they are a household somebody decides, and persons they stay.

use std::collections::{BTreeMap, BTreeSet};

use trenza_shared::{
    id::{AccountId, Fingerprint},
    identifier::Identifier,
    identity::{Active, Group},
    store::{Direction, StoreError, View},
};

use super::{
    accounts,
    record::{self, Record, group_of},
    review::{asks, subjects},
};
use crate::{
    evidence::{Home as Shared, homes},
    identity::read,
    tables::HOMES,
};

/// Hash of an address with a surname, or of a landline.
pub type Home = [u8; 16];

/// Most persons of one home: where there are more it is an office or a residence.
const PERSONS_MAX: usize = 8;
/// Most rows of one home that are looked at.
const ROWS_MAX: usize = 200;
/// Most homes that are looked at for one page.
const HOMES_MAX: usize = 2_000;
/// Most fingerprints of a person that are looked at.
const MEMBERS_MAX: usize = 500;

/// Two who may live together.
pub struct Candidate {
    /// The two persons.
    pub records: [Record; 2],
    /// What names each of them in a decision, which answers.
    pub subjects: [Identifier; 2],
    /// What says so; never empty.
    pub because: Vec<Shared>,
}

/// A page of them by home, at most about `limit`, and the last home looked at, if there may be more.
///
/// # Errors
/// The store cannot be read.
pub fn page(
    view: &dyn View,
    id_key: &[u8; 32],
    active: &Active,
    after: Option<Home>,
    limit: usize,
) -> Result<(Vec<Candidate>, Option<Home>), StoreError> {
    let mut found = Vec::new();
    let mut at = after;
    for _ in 0..HOMES_MAX {
        let Some(home) = next(view, at)? else {
            return Ok((found, None));
        };
        at = Some(home);
        found.extend(of(view, id_key, active, &home)?);
        if found.len() >= limit {
            break;
        }
    }
    Ok((found, at))
}

/// The first home after another.
fn next(view: &dyn View, after: Option<Home>) -> Result<Option<Home>, StoreError> {
    let from = after.map(|home| (home, Fingerprint([255; 16])));
    let rows = HOMES.scan(view, from.as_ref(), None, Direction::Forward, 2)?;
    let mut homes = rows.into_iter().map(|((home, _), ())| home);
    Ok(homes.find(|home| Some(*home) != after))
}

/// Who lives there and is not known to live together.
fn of(
    view: &dyn View,
    id_key: &[u8; 32],
    active: &Active,
    home: &Home,
) -> Result<Vec<Candidate>, StoreError> {
    let rows = HOMES.scan_prefix(view, home, Direction::Forward, ROWS_MAX)?;
    if rows.len() == ROWS_MAX {
        return Ok(Vec::new());
    }
    let mut persons: BTreeMap<Fingerprint, Group> = BTreeMap::new();
    for ((_, fingerprint), ()) in rows {
        if persons
            .values()
            .any(|one| one.members.contains(&fingerprint))
        {
            continue;
        }
        if let Some(group) = group_of(view, &fingerprint)? {
            persons.insert(group.seed, group);
        }
    }
    if !(2..=PERSONS_MAX).contains(&persons.len()) {
        return Ok(Vec::new());
    }
    let mut each = Vec::with_capacity(persons.len());
    for group in persons.into_values() {
        let homes = homes_of(view, &group)?;
        let record = record::load(view, id_key, group)?;
        let known = households(view, id_key, active, &record)?;
        each.push((record, homes, known));
    }
    let mut found = Vec::new();
    for (nth, (one, our_homes, ours)) in each.iter().enumerate() {
        for (other, their_homes, theirs) in each.iter().skip(nth + 1) {
            // A pair with several homes in common is told at the first of them.
            let common = our_homes
                .iter()
                .filter(|(hash, _)| their_homes.contains_key(*hash));
            let first = common.clone().next().map(|(hash, _)| hash);
            if first != Some(home) || !ours.is_disjoint(theirs) {
                continue;
            }
            // Whether they are one person comes first: the answer may be that nobody lives with anybody.
            if asks(view, &one.group, &other.group)? {
                continue;
            }
            let subjects = subjects(view, &one.group, &other.group)?;
            found.push(Candidate {
                records: [one.clone(), other.clone()],
                subjects,
                because: common.map(|(_, why)| why.clone()).collect(),
            });
        }
    }
    Ok(found)
}

fn homes_of(view: &dyn View, group: &Group) -> Result<BTreeMap<Home, Shared>, StoreError> {
    let mut all = BTreeMap::new();
    for member in group.members.iter().take(MEMBERS_MAX) {
        if let Some(node) = read::node(view, member)? {
            all.extend(homes(&node.payload));
        }
    }
    Ok(all)
}

fn households(
    view: &dyn View,
    id_key: &[u8; 32],
    active: &Active,
    record: &Record,
) -> Result<BTreeSet<AccountId>, StoreError> {
    let all = accounts::of(view, id_key, active, record)?;
    let homes = all.into_iter().filter(|(account, _)| account.household);
    Ok(homes.map(|(account, _)| account.id).collect())
}
