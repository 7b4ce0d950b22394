//! Two records side by side: of each field what both say, how far that agrees, and what it weighs.
//!
//! Owns how a comparison is shown. Compares and weighs nothing: the score says how far fields agree, and what it leaves out is
//! shown as left out.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use trenza_shared::{
    fragment::{Customer, mask},
    identifier::{Identifier, Kind},
    identity::{Sentence, Unit, odds, said_of},
    matching::{Bits, FIELDS, Field, Score, Term},
    person::{Person, fold},
};

use super::{fact, text::Lang};
use crate::{
    customer::{record::Record, review::Doubt},
    evidence::Home,
};

/// Most values of one field and record that are shown.
const VALUES_MAX: usize = 4;
/// What stands for a value that is not shown.
const HIDDEN: &str = "***";
/// Traits whose words are written as in the record, with accents and capitals.
const WRITTEN: [&str; 6] = [
    "firstName",
    "lastName",
    "secondLastName",
    "name",
    "address",
    "city",
];
/// Below these odds a question is not very sure, or fairly. Unit: thousandths of a bit; 8 to 1 and 128 to 1.
const SURE_BITS: [Bits; 2] = [3_000, 7_000];
/// What is taken off for families is not told where it is next to nothing. Unit: thousandths of a bit.
const FAMILY_BITS_MIN: Bits = 500;

/// How two values stand to each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
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

/// One field of both.
pub struct Row {
    /// What it is.
    pub name: &'static str,
    /// What each says; nothing where it says nothing.
    pub values: [Vec<String>; 2],
    /// How they stand to each other; none where that is not looked at.
    pub verdict: Option<Verdict>,
    /// The same in a word or two.
    pub tag: &'static str,
    /// How far they agree.
    pub says: &'static str,
    /// What it weighs: so many to one.
    pub weight: String,
    /// Whether it speaks against.
    pub against: bool,
}

impl Row {
    /// Whether the two stand against each other.
    pub fn differs(&self) -> bool {
        self.verdict == Some(Verdict::Differs)
    }

    /// Whether it counts at all.
    pub fn counts(&self) -> bool {
        matches!(
            self.verdict,
            Some(Verdict::Agrees | Verdict::Nearly | Verdict::Differs)
        )
    }
}

/// How sure a question is, taken apart.
pub struct Sure {
    /// In a word.
    pub word: &'static str,
    /// So many to one.
    pub odds: String,
    /// From where they would be one unasked; none where they are there already.
    pub link: Option<String>,
    /// How rare it is that any two are one.
    pub begin: String,
    /// What is taken off as families agree so too.
    pub family: Option<String>,
}

fn told(t: Lang, bits: Bits) -> String {
    let Sentence { es, en } = odds(bits);
    t.pick(es, en)
}

/// How sure it is that two are one.
pub fn sure(t: Lang, score: &Score, link: Bits) -> Sure {
    let [little, fairly] = SURE_BITS;
    Sure {
        word: match score.odds {
            bits if bits < little => t.sure_little(),
            bits if bits < fairly => t.sure_fairly(),
            _ => t.sure_much(),
        },
        odds: told(t, score.odds),
        link: (score.odds < link).then(|| told(t, link)),
        begin: told(t, score.prior),
        family: (score.family <= -FAMILY_BITS_MIN).then(|| told(t, score.family)),
    }
}

/// The fields of which either record says something, in the order in which people look.
pub fn rows(t: Lang, doubt: &Doubt, masked: bool) -> Vec<Row> {
    let mut rows: Vec<Row> = FIELDS
        .into_iter()
        .filter_map(|field| row(t, doubt, field, masked))
        .collect();
    let others = [&doubt.records[0], &doubt.records[1]].map(|record| {
        let others = record
            .customer
            .identifiers
            .keys()
            .filter(|one| !matches!(one.kind, Kind::Email | Kind::Phone | Kind::NationalId));
        let shown = others.map(|one| format!("{}: {}", t.kind(one.kind), fact::value(one, masked)));
        shown.take(VALUES_MAX).collect::<Vec<_>>()
    });
    if others.iter().any(|values| !values.is_empty()) {
        rows.push(Row {
            name: t.other_values_row(),
            values: others,
            verdict: None,
            tag: "",
            says: "",
            weight: String::new(),
            against: false,
        });
    }
    rows
}

fn row(t: Lang, doubt: &Doubt, field: Field, masked: bool) -> Option<Row> {
    let side = |at: usize| values(t, &doubt.records[at], &doubt.units[at], field, masked);
    let values = [side(0), side(1)];
    if values.iter().all(Vec::is_empty) {
        return None;
    }
    let term = doubt.score.terms.iter().find(|term| term.field == field);
    let (verdict, says) = match term {
        Some(term) => {
            let (es, en) = said_of(term.field, term.level);
            (verdict(term), t.pick(es, en))
        }
        None if values.iter().any(Vec::is_empty) => (Verdict::Missing, ""),
        None => unweighed(t, doubt, field),
    };
    Some(Row {
        name: t.compared(field),
        values,
        verdict: Some(verdict),
        tag: match verdict {
            Verdict::Agrees => t.agrees(),
            Verdict::Nearly => t.nearly(),
            Verdict::Differs => t.differs(),
            Verdict::Missing => t.missing(),
            Verdict::NotCompared => t.not_compared(),
        },
        says,
        weight: term.map(|term| told(t, term.bits)).unwrap_or_default(),
        against: verdict == Verdict::Differs || term.is_some_and(|term| term.bits < 0),
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
fn unweighed(t: Lang, doubt: &Doubt, field: Field) -> (Verdict, &'static str) {
    let kind = match field {
        Field::Document => Kind::NationalId,
        Field::Phone => Kind::Phone,
        Field::Email => Kind::Email,
        _ => return (Verdict::NotCompared, t.other_signs()),
    };
    let of = |at: usize| {
        let all = doubt.records[at].customer.identifiers.keys();
        all.filter(|one| one.kind == kind)
            .collect::<BTreeSet<&Identifier>>()
    };
    let (ours, theirs) = (of(0), of(1));
    if !ours.is_disjoint(&theirs) {
        return (Verdict::Agrees, t.counted_before());
    }
    let one_kind = ours
        .iter()
        .any(|one| theirs.iter().any(|other| one.scope == other.scope));
    match (field, one_kind) {
        (Field::Document, true) => (Verdict::Differs, t.other_document()),
        (Field::Document, false) => (Verdict::NotCompared, t.other_kind()),
        _ => (Verdict::NotCompared, t.other_signs()),
    }
}

/// What a record says of a field, as who reads may see it.
fn values(t: Lang, record: &Record, unit: &Unit, field: Field, masked: bool) -> Vec<String> {
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
        all.map(|one| fact::value(one, masked)).collect()
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
            let gender = person.gender.as_deref().map(|gender| match gender {
                "male" => t.male().to_owned(),
                "female" => t.female().to_owned(),
                other => other.to_owned(),
            });
            gender.map(hidden).into_iter().collect()
        }
        Field::Document => held(Kind::NationalId),
        Field::Phone => held(Kind::Phone),
        Field::Email => held(Kind::Email),
    }
}

/// Why two may live together, in words.
pub fn because(t: Lang, record: &Record, homes: &[Home], masked: bool) -> Vec<String> {
    let written = Written::of(&record.customer);
    let mut addresses: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut said = Vec::new();
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
            Home::Landline(phone) => {
                said.push(format!(
                    "{}, {}",
                    t.home_landline(),
                    fact::value(phone, masked)
                ));
            }
        }
    }
    let addresses = addresses.into_iter().map(|(address, surnames)| {
        let and = match surnames.len() {
            1 => t.home_surname(),
            _ => t.home_surnames(),
        };
        format!(
            "{}, {address}, {and} {}",
            t.home_address(),
            surnames.join(" ")
        )
    });
    addresses.chain(said).collect()
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
            |written| fact::cut(written.trim(), 120),
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
