//! Organisations and households: what group events say of one, and of who belongs to it as what.
//!
//! Owns the reading of a group event and the fold of many. An account never links persons: who belongs to it hangs on the
//! fingerprints of the events that say so, so a merge or a split of persons takes their roles along. Never reads a clock: whether
//! a role holds on a day is asked with that day.

mod relation;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    canonical,
    crdt::{Join, Latest, Marker},
    event::{Event, EventType, at},
    evidence::Observation,
    id::AccountId,
    identifier::{self, Kind, Place},
};

pub use relation::{Relation, WEIGHT_MAX};

/// Most traits of an account; of more, the least names are kept.
pub const TRAITS_MAX: usize = 64;
/// Longest name of a trait; a longer one stays in the event. Unit: bytes.
pub const TRAIT_NAME_BYTES_MAX: usize = 256;
/// Longest value of a trait, as JSON; a longer one stays in the event. Unit: bytes.
pub const TRAIT_BYTES_MAX: usize = 4 * 1024;
/// Most roles of one fingerprint in one account; of more, the least names are kept.
pub const ROLES_MAX: usize = 32;
/// `type` of an account that is a household.
pub const HOUSEHOLD: &str = "household";

/// What a group event says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GroupSaid {
    /// Within what the id is unique: empty for the whole organisation, else the source's namespace.
    pub scope: String,
    /// The id that its issuer gave it.
    pub value: String,
    /// What it says of the account: name and canonical JSON, sorted by name.
    pub traits: Vec<(String, String)>,
    /// As what the person of the event belongs to it.
    pub relation: Relation,
}

impl GroupSaid {
    /// Reads a group event taken in at `place`; none for any other event, and for an id that is none.
    #[must_use]
    pub fn of(event: &Event, place: &Place<'_>) -> Option<Self> {
        if event.kind != EventType::Group {
            return None;
        }
        let text = match event.body.get("groupId")? {
            Value::String(text) => text.clone(),
            number @ Value::Number(_) => canonical::to_string(number),
            _ => return None,
        };
        let id = identifier::normalise(Kind::AccountId, &text, place).ok()?;
        let none = Map::new();
        let traits = at(&event.body, &["traits"]).and_then(Value::as_object);
        let (relation, rest) = Relation::read(traits.unwrap_or(&none));
        let mut traits: Vec<(String, String)> = rest
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name.to_owned(), canonical::to_string(value)))
            .filter(|(name, value)| {
                name.len() <= TRAIT_NAME_BYTES_MAX && value.len() <= TRAIT_BYTES_MAX
            })
            .collect();
        traits.sort_unstable();
        traits.truncate(TRAITS_MAX);
        Some(Self {
            scope: id.scope,
            value: id.value,
            traits,
            relation,
        })
    }
}

/// What the events of one account and one fingerprint fold to, or those of a whole account.
///
/// **Laws.** A function of the set of its events: of every trait and every role the statement with the greatest marker, so a join.
/// Counts are sums over events, so each event is added once.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Part {
    /// How many events.
    pub events: u64,
    /// First event time; none before the first event. Unit: ms since 1970.
    pub first_ms: Option<i64>,
    /// Last event time. Unit: ms since 1970.
    pub last_ms: Option<i64>,
    /// What is said of the account, by name; values are canonical JSON.
    #[serde(default)]
    pub traits: BTreeMap<String, Latest<String>>,
    /// As what the person belongs to it, by role. Whoever says no role says the empty one.
    #[serde(default)]
    pub roles: BTreeMap<String, Latest<Relation>>,
}

impl Part {
    /// Takes in one event about the account; `person` where it is about somebody too. Each event is added once.
    pub fn add(&mut self, said: &Observation, group: &GroupSaid, person: bool) {
        let marker = || Marker {
            priority: said.priority,
            at_ms: said.at_ms,
            event: said.event,
            source: said.sources.first().cloned().unwrap_or_default(),
        };
        let mut one = Self {
            events: 1,
            first_ms: Some(said.at_ms),
            last_ms: Some(said.at_ms),
            ..Self::default()
        };
        for (name, value) in &group.traits {
            let claim = Latest::new(value.clone(), marker());
            one.traits.insert(name.clone(), claim);
        }
        if person {
            let role = group.relation.role.clone();
            let claim = Latest::new(group.relation.clone(), marker());
            one.roles.insert(role, claim);
        }
        self.absorb(&one);
    }

    /// Takes in what was folded from *other* events.
    pub fn absorb(&mut self, other: &Self) {
        let Self {
            events,
            first_ms,
            last_ms,
            traits,
            roles,
        } = other;
        self.events = self.events.saturating_add(*events);
        self.first_ms = [self.first_ms, *first_ms].into_iter().flatten().min();
        self.last_ms = self.last_ms.max(*last_ms);
        self.traits.join(traits);
        self.roles.join(roles);
        // The least are kept: one that falls out has that many before it for ever, so this remains a join.
        while self.traits.len() > TRAITS_MAX {
            self.traits.pop_last();
        }
        while self.roles.len() > ROLES_MAX {
            self.roles.pop_last();
        }
    }

    /// What it says of the account, without who belongs to it.
    #[must_use]
    pub fn without_roles(mut self) -> Self {
        self.roles.clear();
        self
    }

    /// The value of a trait, when it is a text that says something.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<String> {
        let text: String = serde_json::from_str(&self.traits.get(name)?.value).ok()?;
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        (!text.is_empty()).then_some(text)
    }

    /// Whether it is a household.
    #[must_use]
    pub fn is_household(&self) -> bool {
        self.text("type")
            .is_some_and(|kind| kind.eq_ignore_ascii_case(HOUSEHOLD))
    }
}

/// The roles of one person, of whose fingerprints these are the parts: of each role the latest statement.
#[must_use]
pub fn roles_of<'a>(parts: impl IntoIterator<Item = &'a Part>) -> Vec<Latest<Relation>> {
    let mut roles: BTreeMap<String, Latest<Relation>> = BTreeMap::new();
    for part in parts {
        roles.join(&part.roles);
    }
    // Who is somebody there is no mere member besides.
    if roles.len() > 1 {
        roles.remove("");
    }
    roles.into_values().collect()
}

/// The public id of an account: a keyed hash of what its issuer calls it, as a household may be called by a telephone number.
#[must_use]
pub fn account_id(id_key: &[u8; 32], scope: &str, value: &str) -> AccountId {
    let mut hasher = blake3::Hasher::new_keyed(id_key);
    hasher.update(b"trenza account id v1");
    for text in [scope, value] {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    let mut out = [0; 16];
    hasher.finalize_xof().fill(&mut out);
    AccountId(out)
}
