//! That somebody belongs to an account, as the event that says so.
//!
//! Owns the shape of that event: an ordinary group event, which is captured like any other, so it replicates and replays. Stores
//! nothing.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use trenza_shared::{
    account::{GroupSaid, Relation},
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

impl Relating {
    /// With what it leaves open as it was `known` of the same role: who ends one need not say again what it was. Of a role that is over
    /// only its end may be corrected; whoever takes it up again begins anew.
    #[must_use]
    pub fn over(mut self, known: &Relation, today: i32) -> Self {
        let ends = self.from.trim().is_empty() && !self.to.trim().is_empty();
        if !ends && !known.holds(today) {
            return self;
        }
        let date = |said: String, known: Option<i32>| match said.trim() {
            "" => known.map(Relation::date).unwrap_or_default(),
            _ => said,
        };
        self.weight = self.weight.or(known.weight.map(u64::from));
        self.decides = self.decides.or(known.decides);
        self.pays = self.pays.or(known.pays);
        self.uses = self.uses.or(known.uses);
        self.prescribes = self.prescribes.or(known.prescribes);
        self.from = date(self.from, known.from);
        self.to = date(self.to, known.to);
        self
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_ends_a_role_keeps_what_it_was_and_who_takes_it_up_again_begins_anew() {
        let known = Relation {
            role: "Gerente".into(),
            weight: Some(70),
            decides: Some(true),
            from: Some(20_454),
            ..Relation::default()
        };
        let ends = Relating {
            to: "2026-06-30".into(),
            pays: Some(true),
            ..Relating::default()
        };
        let said = ends.over(&known, 20_600);
        assert_eq!(
            (said.weight, said.decides, said.pays),
            (Some(70), Some(true), Some(true))
        );
        assert_eq!((&*said.from, &*said.to), ("2026-01-01", "2026-06-30"));
        let over = Relation {
            to: Some(20_634),
            ..known
        };
        let corrected = Relating {
            to: "2026-07-31".into(),
            ..Relating::default()
        };
        let corrected = corrected.over(&over, 20_700);
        assert_eq!(
            (&*corrected.from, &*corrected.to),
            ("2026-01-01", "2026-07-31")
        );
        let again = Relating {
            from: "2026-10-01".into(),
            ..Relating::default()
        };
        let again = again.over(&over, 20_700);
        assert_eq!(
            (again.weight, &*again.from, &*again.to),
            (None, "2026-10-01", "")
        );
    }
}
