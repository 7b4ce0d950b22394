//! Two records side by side: of each field what both say, and how far that agrees.
//!
//! Owns what of a comparison is shown, in no language. Compares and weighs nothing: the score says how far fields agree, and what it
//! leaves out is shown as left out.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use trenza_shared::{
    fragment::mask::{self, HIDDEN},
    identifier::{Identifier, Kind},
    identity::Unit,
    matching::{FIELDS, Field, Term},
};

use super::{record::Record, review::Doubt, written::Written};
use crate::evidence::Home;

/// Most values of one field and record that are shown.
pub const VALUES_MAX: usize = 4;

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
    let written = [0, 1].map(|at: usize| Written::of(&doubt.records[at].customer));
    let fields = FIELDS.into_iter();
    fields
        .filter_map(|field| compared(doubt, &written, field, masked))
        .collect()
}

fn compared(doubt: &Doubt, written: &[Written; 2], field: Field, masked: bool) -> Option<Compared> {
    let side = |at: usize| {
        let (record, unit) = (&doubt.records[at], &doubt.units[at]);
        values(record, unit, &written[at], field, masked)
    };
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
pub fn value(identifier: &Identifier, masked: bool) -> String {
    if masked {
        mask::identifier(identifier)
    } else {
        identifier.value.clone()
    }
}

/// What a record says of a field, as who reads may see it.
fn values(
    record: &Record,
    unit: &Unit,
    written: &Written,
    field: Field,
    masked: bool,
) -> Vec<String> {
    let person = &unit.person;
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
