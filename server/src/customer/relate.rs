//! That somebody belongs to an account, as the event that says so.
//!
//! Owns the shape of that event: an ordinary group event, which is captured like any other, so it replicates and replays. Stores
//! nothing.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use trenza_shared::{
    account::GroupSaid,
    clock::format_ms,
    event::{BadEvent, Event, Taking},
    identifier::{Identifier, Place, normalise},
};

use super::record::Record;

/// Longest name of an account. Unit: characters.
const NAME_CHARS_MAX: usize = 200;

/// As what somebody belongs to it, as people and programs give it.
#[derive(Deserialize, Clone, Debug, Default)]
#[serde(default)]
pub struct Relating {
    /// What they are there.
    pub role: String,
    /// How much say they have. Unit: percent.
    pub weight: Option<u64>,
    /// Whether they decide.
    pub decides: Option<bool>,
    /// Whether they pay.
    pub pays: Option<bool>,
    /// Whether they use what is bought.
    pub uses: Option<bool>,
    /// Whether they advise or order what others pay for.
    pub prescribes: Option<bool>,
    /// First day, as 2026-03-14.
    pub from: String,
    /// Last day.
    pub to: String,
}

/// Which account, in the words of its issuer.
#[derive(Clone, Debug)]
pub struct To {
    /// Its id there.
    pub value: String,
    /// What to call it from now on; empty for what it is called.
    pub name: String,
    /// Whether it becomes a household.
    pub household: bool,
}

/// Why there is no such event.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unfit {
    /// The person has no value by which the event could name them.
    #[error("this record has no value of its own by which an event could name it")]
    Nameless,
    /// Something is not what it should be.
    #[error("{member}: {reason}")]
    Member {
        /// Which member.
        member: &'static str,
        /// What it should be.
        reason: &'static str,
    },
    /// It is no event.
    #[error(transparent)]
    Event(#[from] BadEvent),
}

/// The event. `who` says so, at `at_ms`; `place` is that of the source it is captured under.
///
/// # Errors
/// [`Unfit`] says what is wrong.
pub fn event(
    record: &Record,
    to: &To,
    relating: &Relating,
    who: &str,
    at_ms: i64,
    message_id: &str,
    place: &Place<'_>,
) -> Result<Event, Unfit> {
    let name = to.name.trim();
    if name.chars().count() > NAME_CHARS_MAX {
        return Err(Unfit::Member {
            member: "name",
            reason: "write at most 200 characters",
        });
    }
    let mut traits = Map::new();
    let mut put = |name: &str, value: Value| {
        if !value.is_null() && value != "" {
            traits.insert(name.to_owned(), value);
        }
    };
    put("name", name.into());
    if to.household {
        put("type", trenza_shared::account::HOUSEHOLD.into());
    }
    put("role", relating.role.trim().into());
    put("weight", json!(relating.weight));
    put("decides", json!(relating.decides));
    put("pays", json!(relating.pays));
    put("uses", json!(relating.uses));
    put("prescribes", json!(relating.prescribes));
    put("from", relating.from.trim().into());
    put("to", relating.to.trim().into());
    let person = naming(record, place).ok_or(Unfit::Nameless)?;
    let mut trenza = json!({"staff": who});
    if let Some(facet) = person.facet() {
        trenza["facet"] = facet.name().into();
    }
    let body = json!({
        "type": "group",
        "messageId": message_id,
        "timestamp": format_ms(at_ms),
        "groupId": to.value,
        "traits": traits,
        "context": {
            "externalIds": [{"type": person.kind.name(), "id": person.value}],
            "trenza": trenza,
        },
    });
    let event = Event::take(&body.to_string(), Taking::default())?;
    let said = GroupSaid::of(&event, place).ok_or(Unfit::Member {
        member: "groupId",
        reason: "write an id of at most 256 bytes that means one account",
    })?;
    for (member, reason) in [
        ("role", "write at most 64 bytes"),
        ("weight", "write a whole number from 0 to 100"),
        ("from", "write a day as 2026-03-14"),
        ("to", "write a day as 2026-03-14"),
    ] {
        if said.traits.iter().any(|(name, _)| name == member) {
            return Err(Unfit::Member { member, reason });
        }
    }
    if let (Some(from), Some(to)) = (said.relation.from, said.relation.to)
        && to < from
    {
        return Err(Unfit::Member {
            member: "to",
            reason: "the last day is before the first",
        });
    }
    Ok(event)
}

/// The strongest value that is theirs alone and reads as itself where the event is captured.
fn naming<'a>(record: &'a Record, place: &Place<'_>) -> Option<&'a Identifier> {
    let shared: BTreeSet<Identifier> = record.shared();
    let mut own = record
        .customer
        .identifiers
        .keys()
        .filter(|one| !shared.contains(one));
    own.find(|one| {
        normalise(one.kind, &one.value, place).is_ok_and(|read| read.inside(one.facet()) == **one)
    })
}
