//! Organisations and households as they are shown: what is said of one, who belongs to it today, and to what a person belongs.
//!
//! Owns the join of accounts with persons and with the households that people decided. Decides nothing, merges nobody.

use std::collections::{BTreeMap, BTreeSet};

use trenza_shared::{
    account::{Part, Relation, account_id, roles_of},
    crdt::Latest,
    fragment::Customer,
    id::{AccountId, DecisionId, Fingerprint},
    identifier::Identifier,
    identity::{Active, Group},
    store::{Direction, StoreError, View},
};

use super::{
    record::{self, Record, group_of, groups_with},
    search,
};
use crate::tables::{ACCOUNT_WORDS, ACCOUNTS, ACCOUNTS_OF, AccountRow, MEMBERS, NOBODY, PartRow};

/// Most accounts of a page.
pub const PAGE_MAX: usize = 100;
/// Most persons of one account that are shown.
pub const MEMBERS_MAX: usize = 200;
/// Most fingerprints of one account that are looked at to find them.
const PARTS_MAX: usize = 5_000;
/// Most persons by whom a household is named.
const NAMED_MAX: usize = 6;
/// Most accounts of one person that are shown.
const BELONGS_MAX: usize = 50;

/// An account as it is shown.
#[derive(Clone, Debug)]
pub struct Account {
    /// Its public id.
    pub id: AccountId,
    /// What its events say; empty where there is none but a decision.
    pub row: AccountRow,
    /// Whether it is a household.
    pub household: bool,
    /// The decision that says that its members live together.
    pub decision: Option<DecisionId>,
    /// Who they are, where nothing but the decision names it.
    pub living: Vec<Customer>,
}

/// As what somebody belongs to it.
pub type Roles = Vec<Latest<Relation>>;

/// A person who belongs to an account.
pub struct Member {
    /// Who.
    pub record: Record,
    /// As what; empty for one whom a decision alone put there.
    pub roles: Roles,
}

/// An account with those who belong to it.
pub struct Whole {
    /// The account.
    pub account: Account,
    /// The persons, by id; at most [`MEMBERS_MAX`].
    pub members: Vec<Member>,
    /// Whether there are more.
    pub more: bool,
}

impl Account {
    fn of(id: AccountId, row: AccountRow) -> Self {
        Self {
            household: row.whole.is_household(),
            decision: None,
            living: Vec::new(),
            row,
            id,
        }
    }

    /// What to call it: its name, else its number in a register, else the id that its issuer gave it. Empty where a decision made it
    /// and nobody named it: the id of a decision is nobody's name.
    pub fn name(&self) -> String {
        self.said_name()
            .unwrap_or_else(|| match self.is_nameless() {
                true => String::new(),
                false => self.row.value.clone(),
            })
    }

    fn said_name(&self) -> Option<String> {
        let mut names = ["name", "nationalId"].into_iter();
        names.find_map(|name| self.row.whole.text(name))
    }

    /// Whether nothing but a decision speaks of it by a name.
    pub fn is_nameless(&self) -> bool {
        self.decision.is_some() && self.said_name().is_none()
    }
}

/// The households that people decided, by the id under which they are shown.
fn decided(id_key: &[u8; 32], active: &Active) -> BTreeMap<AccountId, DecisionId> {
    let ids = active.households().keys();
    ids.map(|id| (account_id(id_key, "", &id.to_string()), *id))
        .collect()
}

/// An account by its id.
///
/// # Errors
/// The store cannot be read.
pub fn find(
    view: &dyn View,
    id_key: &[u8; 32],
    active: &Active,
    id: &AccountId,
) -> Result<Option<Account>, StoreError> {
    found(view, &decided(id_key, active), active, id)
}

/// An account by its id, from its events, a decision, or both.
fn found(
    view: &dyn View,
    households: &BTreeMap<AccountId, DecisionId>,
    active: &Active,
    id: &AccountId,
) -> Result<Option<Account>, StoreError> {
    let row = ACCOUNTS.get(view, id)?;
    let decision = households.get(id).copied();
    let row = match (row, decision) {
        (None, None) => return Ok(None),
        (Some(row), _) => row,
        (None, Some(decision)) => AccountRow {
            value: decision.to_string(),
            ..AccountRow::default()
        },
    };
    let mut account = Account::of(*id, row);
    account.household |= decision.is_some();
    account.decision = decision;
    if account.is_nameless() {
        account.living = living(view, active, decision)?;
    }
    Ok(Some(account))
}

/// Those of whom a decision says that they live together, each once.
fn living(
    view: &dyn View,
    active: &Active,
    decision: Option<DecisionId>,
) -> Result<Vec<Customer>, StoreError> {
    let subjects = decision.and_then(|id| active.households().get(&id));
    let mut persons: Vec<Group> = Vec::new();
    for subject in subjects.into_iter().flatten() {
        for group in groups_with(view, subject)? {
            if persons.iter().all(|known| known.seed != group.seed) {
                persons.push(group);
            }
        }
    }
    let named = persons.iter().take(NAMED_MAX);
    named.map(|group| record::joined(view, group)).collect()
}

/// A page of accounts by id: all of them, or those of which every word of `query` begins some word. Gives the last id of a page after which
/// there may be more.
///
/// # Errors
/// The store cannot be read.
pub fn list(
    view: &dyn View,
    id_key: &[u8; 32],
    active: &Active,
    query: &str,
    after: Option<AccountId>,
    limit: usize,
) -> Result<(Vec<Account>, Option<AccountId>), StoreError> {
    let households = decided(id_key, active);
    let words = search::words(query);
    let mut ids: BTreeSet<AccountId> = BTreeSet::new();
    if words.is_empty() {
        // One more than is shown, and the one before, where the scan begins.
        let rows = ACCOUNTS.scan(view, after.as_ref(), None, Direction::Forward, limit + 2)?;
        ids.extend(rows.into_iter().map(|(id, _)| id));
        ids.extend(households.keys());
    } else {
        for (nth, word) in words.iter().enumerate() {
            let hits = search::beginning(view, ACCOUNT_WORDS, word)?;
            if nth == 0 {
                ids = hits;
            } else {
                ids.retain(|id| hits.contains(id));
            }
        }
    }
    let mut page: Vec<AccountId> = ids
        .into_iter()
        .filter(|id| after.is_none_or(|after| *id > after))
        .collect();
    let more = page.len() > limit;
    page.truncate(limit);
    let next = page.last().copied().filter(|_| more);
    let mut accounts = Vec::with_capacity(page.len());
    for id in page {
        accounts.extend(found(view, &households, active, &id)?);
    }
    Ok((accounts, next))
}

/// An account with those who belong to it.
///
/// # Errors
/// The store cannot be read.
pub fn one(
    view: &dyn View,
    id_key: &[u8; 32],
    active: &Active,
    id: &AccountId,
) -> Result<Option<Whole>, StoreError> {
    let Some(account) = found(view, &decided(id_key, active), active, id)? else {
        return Ok(None);
    };
    let rows = MEMBERS.scan_prefix(view, id, Direction::Forward, PARTS_MAX)?;
    let mut more = rows.len() == PARTS_MAX;
    let mut persons: BTreeMap<Fingerprint, (Group, Vec<Part>)> = BTreeMap::new();
    let mut known: BTreeMap<Fingerprint, Fingerprint> = BTreeMap::new();
    for ((_, fingerprint), PartRow(part)) in rows {
        if fingerprint == NOBODY {
            continue;
        }
        let seed = match known.get(&fingerprint) {
            Some(seed) => Some(*seed),
            None => group_of(view, &fingerprint)?.map(|group| {
                let seed = group.seed;
                known.extend(group.members.iter().map(|member| (*member, seed)));
                persons.entry(seed).or_insert((group, Vec::new()));
                seed
            }),
        };
        if let Some((_, parts)) = seed.and_then(|seed| persons.get_mut(&seed)) {
            parts.push(part);
        }
    }
    if let Some(subjects) = account.decision.and_then(|id| active.households().get(&id)) {
        for subject in subjects {
            for group in groups_with(view, subject)? {
                persons.entry(group.seed).or_insert((group, Vec::new()));
            }
        }
    }
    let mut members = Vec::new();
    for (group, parts) in persons.into_values() {
        if members.len() == MEMBERS_MAX {
            more = true;
            break;
        }
        members.push(Member {
            record: record::load(view, id_key, group)?,
            roles: roles_of(&parts),
        });
    }
    members.sort_by_key(|member| member.record.id);
    Ok(Some(Whole {
        account,
        members,
        more,
    }))
}

/// To what a person belongs and as what, by id; at most 50 of them.
///
/// # Errors
/// The store cannot be read.
pub fn of(
    view: &dyn View,
    id_key: &[u8; 32],
    active: &Active,
    record: &Record,
) -> Result<Vec<(Account, Roles)>, StoreError> {
    let mut parts: BTreeMap<AccountId, Vec<Part>> = BTreeMap::new();
    if record.customer.counters.contains_key("type.group") {
        for member in &record.group.members {
            let rows = ACCOUNTS_OF.scan_prefix(view, member, Direction::Forward, BELONGS_MAX)?;
            for ((_, account), ()) in rows {
                let part = MEMBERS.get(view, &(account, *member))?;
                parts
                    .entry(account)
                    .or_default()
                    .extend(part.map(|row| row.0));
            }
        }
    }
    let households = decided(id_key, active);
    for (account, decision) in &households {
        let subjects = active.households().get(decision);
        let held = |one: &Identifier| match one.record() {
            Some(named) => record.group.members.contains(&named),
            None => record.customer.identifiers.contains_key(one),
        };
        if subjects.is_some_and(|subjects| subjects.iter().any(held)) {
            parts.entry(*account).or_default();
        }
    }
    let mut out = Vec::new();
    for (id, parts) in parts.iter().take(BELONGS_MAX) {
        if let Some(account) = found(view, &households, active, id)? {
            out.push((account, roles_of(parts)));
        }
    }
    Ok(out)
}
