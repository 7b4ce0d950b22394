//! Two records side by side: of each field what both say, and how far that agrees.
//!
//! Owns what of a comparison is shown, in no language. Compares and weighs nothing: the score says how far fields agree, and what it
//! leaves out is shown as left out.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;
use trenza_shared::{
    fragment::{Customer, mask},
    identifier::{Identifier, Kind},
    identity::Unit,
    matching::{FIELDS, Field, Term},
    person::{Person, fold},
};

use super::{record::Record, review::Doubt};
use crate::evidence::Home;

/// Most values of one field and record that are shown.
pub const VALUES_MAX: usize = 4;
/// What stands for a value that is not shown.
pub const HIDDEN: &str = "***";
/// Longest street that is shown. Unit: characters.
const STREET_CHARS_MAX: usize = 120;
/// Traits whose words are written as in the record, with accents and capitals.
const WRITTEN: [&str; 6] = [
    "firstName",
    "lastName",
    "secondLastName",
    "name",
    "address",
    "city",
];

/// How two values stand to each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The same.
    Agrees,
    /// A slip, a short form, a part.
    Nearly,
    /// Another.
    Differs,
    /// One record does not say.
    Missing,
    /// Both say something that cannot be held against each other.
    NotCompared,
}

/// Why the score leaves a field out of which both say something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Left {
    /// A value in common was judged as an identifier already.
    Counted,
    /// Documents of one kind, and not the same.
    OtherDocument,
    /// Documents of two kinds.
    OtherKind,
    /// Nothing that can be held against each other.
    OtherSigns,
}

/// One field of both.
pub struct Compared {
    /// Which.
    pub field: Field,
    /// What each says, as it was written; nothing where it says nothing.
    pub values: [Vec<String>; 2],
    /// How they stand to each other.
    pub verdict: Verdict,
    /// What it weighs; none where it weighs nothing.
    pub term: Option<Term>,
    /// Why it weighs nothing though both say something.
    pub left: Option<Left>,
}

/// The fields of which either record says something, in the order in which people look.
pub fn fields(doubt: &Doubt, masked: bool) -> Vec<Compared> {
    let fields = FIELDS.into_iter();
    fields
        .filter_map(|field| compared(doubt, field, masked))
        .collect()
}

fn compared(doubt: &Doubt, field: Field, masked: bool) -> Option<Compared> {
    let side = |at: usize| values(&doubt.records[at], &doubt.units[at], field, masked);
    let values = [side(0), side(1)];
    if values.iter().all(Vec::is_empty) {
        return None;
    }
    let term = doubt.score.terms.iter().find(|term| term.field == field);
    let (verdict, left) = match term {
        Some(term) => (verdict(term), None),
        None if values.iter().any(Vec::is_empty) => (Verdict::Missing, None),
        None => {
            let (verdict, left) = unweighed(doubt, field);
            (verdict, Some(left))
        }
    };
    Some(Compared {
        field,
        values,
        verdict,
        term: term.copied(),
        left,
    })
}

/// How far a level goes.
fn verdict(term: &Term) -> Verdict {
    let differs = match term.field {
        Field::Given | Field::Surname => term.level == 5,
        Field::Birth | Field::Email => term.level == 4,
        Field::Place => term.level == 5 || term.level == 7,
        Field::Gender => term.level == 2,
        Field::Document | Field::Phone => term.level == 3,
    };
    match term.level {
        1 => Verdict::Agrees,
        _ if differs => Verdict::Differs,
        _ => Verdict::Nearly,
    }
}

/// What both say and the score leaves out.
fn unweighed(doubt: &Doubt, field: Field) -> (Verdict, Left) {
    let kind = match field {
        Field::Document => Kind::NationalId,
        Field::Phone => Kind::Phone,
        Field::Email => Kind::Email,
        _ => return (Verdict::NotCompared, Left::OtherSigns),
    };
    let of = |at: usize| {
        let all = doubt.records[at].customer.identifiers.keys();
        all.filter(|one| one.kind == kind)
            .collect::<BTreeSet<&Identifier>>()
    };
    let (ours, theirs) = (of(0), of(1));
    if !ours.is_disjoint(&theirs) {
        return (Verdict::Agrees, Left::Counted);
    }
    let one_kind = ours
        .iter()
        .any(|one| theirs.iter().any(|other| one.scope == other.scope));
    match (field, one_kind) {
        (Field::Document, true) => (Verdict::Differs, Left::OtherDocument),
        (Field::Document, false) => (Verdict::NotCompared, Left::OtherKind),
        _ => (Verdict::NotCompared, Left::OtherSigns),
    }
}

/// A value as who reads may see it.
fn value(identifier: &Identifier, masked: bool) -> String {
    if masked {
        mask::identifier(identifier)
    } else {
        identifier.value.clone()
    }
}

/// What a record says of a field, as who reads may see it.
fn values(record: &Record, unit: &Unit, field: Field, masked: bool) -> Vec<String> {
    let person = &unit.person;
    let written = Written::of(&record.customer);
    let hidden = |text: String| if masked { HIDDEN.to_owned() } else { text };
    let named = |names: &[String]| -> Vec<String> {
        let name = written.words(&names.join(" "));
        let shown = if masked { mask::name(&name) } else { name };
        (!names.is_empty()).then_some(shown).into_iter().collect()
    };
    let held = |kind: Kind| {
        let all = record.customer.identifiers.keys();
        let all = all.filter(|one| one.kind == kind).take(VALUES_MAX);
        all.map(|one| value(one, masked)).collect()
    };
    match field {
        Field::Given => named(&person.given),
        Field::Surname => named(&person.surnames),
        Field::Birth => {
            let born = person.birthday.clone().or_else(|| {
                let digits = person.birth_digits.as_ref()?;
                let (year, rest) = digits.split_at_checked(4)?;
                let (month, day) = rest.split_at_checked(2)?;
                Some(format!("{year}-{month}-{day}"))
            });
            born.map(hidden).into_iter().collect()
        }
        Field::Place => {
            let address = written.address(person);
            address.map(hidden).into_iter().collect()
        }
        Field::Gender => {
            let gender = person.gender.clone();
            gender.map(hidden).into_iter().collect()
        }
        Field::Document => held(Kind::NationalId),
        Field::Phone => held(Kind::Phone),
        Field::Email => held(Kind::Email),
    }
}

/// Something that two have in common by which they may live together, as who reads may see it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Shared {
    /// An address, and surnames.
    Address {
        /// Street and place, as one of them wrote it.
        address: String,
        /// Surnames that both have.
        surnames: Vec<String>,
    },
    /// A landline.
    Landline {
        /// E.164.
        phone: String,
    },
}

/// Why two may live together. `record` is one of the two.
pub fn because(record: &Record, homes: &[Home], masked: bool) -> Vec<Shared> {
    let written = Written::of(&record.customer);
    let mut addresses: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut lines = Vec::new();
    for home in homes {
        match home {
            Home::Address {
                street,
                place,
                surname,
            } => {
                let address = if masked {
                    HIDDEN.to_owned()
                } else {
                    format!("{}, {}", written.street(street), written.words(place))
                };
                let surname = written.words(surname);
                let surnames = addresses.entry(address).or_default();
                surnames.push(if masked {
                    mask::name(&surname)
                } else {
                    surname
                });
            }
            Home::Landline(phone) => lines.push(Shared::Landline {
                phone: value(phone, masked),
            }),
        }
    }
    let addresses = addresses.into_iter();
    let addresses = addresses.map(|(address, surnames)| Shared::Address { address, surnames });
    addresses.chain(lines).collect()
}

/// The words of a record as it was written, by what they fold to.
struct Written {
    words: BTreeMap<String, String>,
    /// Streets as they were written.
    streets: Vec<String>,
}

impl Written {
    fn of(customer: &Customer) -> Self {
        let mut written = Self {
            words: BTreeMap::new(),
            streets: Vec::new(),
        };
        let registers = WRITTEN.iter().filter_map(|name| customer.traits.get(*name));
        for claim in registers.flat_map(|register| register.claims()) {
            if let Ok(value) = serde_json::from_str(&claim.val) {
                written.add(&value);
            }
        }
        written
    }

    fn add(&mut self, value: &Value) {
        match value {
            Value::String(text) => {
                for word in text.split(|c: char| !c.is_alphanumeric()) {
                    let known = self
                        .words
                        .entry(fold(word))
                        .or_insert_with(|| word.to_owned());
                    // ANA and ana are both written better as Ana.
                    if *known == known.to_uppercase() || *known == known.to_lowercase() {
                        word.clone_into(known);
                    }
                }
            }
            Value::Object(members) => {
                if let Some(Value::String(street)) = members.get("street") {
                    self.streets.push(street.clone());
                }
                members.values().for_each(|value| self.add(value));
            }
            _ => {}
        }
    }

    /// Folded words as they were written; with a capital where nobody wrote them.
    fn words(&self, folded: &str) -> String {
        let words = folded.split(' ').map(|word| match self.words.get(word) {
            Some(written) => written.clone(),
            None => {
                let mut letters = word.chars();
                let first = letters.next().into_iter().flat_map(char::to_uppercase);
                first.chain(letters).collect()
            }
        });
        words.collect::<Vec<_>>().join(" ")
    }

    /// A folded street as it was written: matching leaves out `calle` and the like.
    fn street(&self, folded: &str) -> String {
        let as_written = self.streets.iter().find(|written| {
            let traits = serde_json::json!({"address": {"street": written}});
            let read = traits.as_object().map(Person::from_traits);
            read.is_some_and(|person| person.street.as_deref() == Some(folded))
        });
        as_written.map_or_else(
            || self.words(folded),
            |written| written.trim().chars().take(STREET_CHARS_MAX).collect(),
        )
    }

    /// An address on one line.
    fn address(&self, person: &Person) -> Option<String> {
        let street = person.street.as_deref().map(|street| self.street(street));
        let code = person.postal_code.as_deref().map(str::to_uppercase);
        let rest =
            [&person.city, &person.state].map(|one| one.as_deref().map(|one| self.words(one)));
        let parts: Vec<String> = [street, code].into_iter().chain(rest).flatten().collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    }
}
