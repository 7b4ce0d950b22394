//! A customer as the identifiers make it, as matching sees it: one record, and what may contradict another.
//!
//! Owns what of a group's nodes is compared, and when two such customers contradict each other. A pure function of the set
//! of the group's nodes.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{
    cluster::{NAMES_MAX, ordered, unlike},
    grouping::{Clash, SharedWhy},
    payload::Node,
    rules::Rules,
};
use crate::{
    id::{DecisionId, Fingerprint},
    identifier::{Identifier, Kind},
    matching::{Pattern, Subject, compare_beside},
    person::{Called, Person, can_be_one},
};

/// Most e-mail addresses, and most telephone numbers, of one customer that are compared; of more, the first in their order.
const CONTACTS_MAX: usize = 4;

/// A full name, with the birthday of who bears it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Name {
    /// Folded given names.
    pub given: Vec<String>,
    /// Folded surnames.
    pub surnames: Vec<String>,
    /// `YYYY-MM-DD`.
    pub birthday: Option<String>,
}

impl Name {
    fn person(&self) -> Person {
        Person {
            given: self.given.clone(),
            surnames: self.surnames.clone(),
            birthday: self.birthday.clone(),
            ..Person::default()
        }
    }
}

/// On which side of a *not same* a customer stands.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Side {
    /// The decision.
    pub id: DecisionId,
    /// The smaller value of the pair.
    pub one: Identifier,
    /// The greater value.
    pub other: Identifier,
    /// Whether the customer holds the smaller value.
    pub first: bool,
}

/// One customer by identifiers that can be compared with others.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Unit {
    /// Seed of the group; names it.
    pub seed: Fingerprint,
    /// The fullest of what its nodes say of the person, field by field.
    pub person: Person,
    /// Telephone numbers and e-mail addresses, sorted.
    pub contacts: Vec<Identifier>,
    /// Values of which a person has at most one of a kind and scope, sorted.
    pub exclusive: Vec<Identifier>,
    /// Values of kinds of which a person has a limited number, sorted.
    pub limited: Vec<Identifier>,
    /// Full names; those joined by a decision stand together, and one of them is enough to fit.
    pub names: Vec<Vec<Name>>,
    /// Sides of *not same* decisions, sorted.
    pub sides: Vec<Side>,
}

impl Unit {
    /// The record that is compared.
    #[must_use]
    pub fn subject(&self) -> Subject {
        let mut subject = Subject::of(&self.person);
        for contact in &self.contacts {
            let values = match contact.kind {
                Kind::Email => &mut subject.emails,
                _ => &mut subject.phones,
            };
            Subject::add(values, &contact.value);
        }
        subject
    }

    /// What one record alone says, as a customer of its own; none when it cannot be compared.
    #[must_use]
    pub fn of_record(node: &Node) -> Option<Self> {
        let unit = Self {
            seed: node.fingerprint,
            person: node.payload.person.clone(),
            contacts: contacts(&[node]),
            exclusive: Vec::new(),
            limited: Vec::new(),
            names: Vec::new(),
            sides: Vec::new(),
        };
        unit.comparable().then_some(unit)
    }

    /// Whether it can be one of several: it is named, something more is known of it, and it does not contradict itself.
    #[must_use]
    pub fn comparable(&self) -> bool {
        let Person {
            given,
            surnames,
            birthday,
            birth_digits,
            street,
            city,
            postal_code,
            ..
        } = &self.person;
        let named = !given.is_empty() || !surnames.is_empty();
        let fields = [birthday, birth_digits, street, city, postal_code];
        let beside = fields.into_iter().any(Option::is_some) || !self.contacts.is_empty();
        named && beside && !self.doubled()
    }

    /// What it and another agree on. A value in common was judged as an identifier already: two that hold it and are two stay
    /// two by it, so it says nothing here.
    #[must_use]
    pub fn pattern(&self, other: &Self) -> Pattern {
        compare_beside(&self.subject(), &other.subject())
    }

    /// Whether it holds two values of which a person has one.
    fn doubled(&self) -> bool {
        self.exclusive
            .windows(2)
            .any(|pair| pair[0].kind == pair[1].kind && pair[0].scope == pair[1].scope)
    }
}

/// What keeps two apart.
pub(super) fn clash(one: &Unit, other: &Unit) -> Option<Clash> {
    exclusive(one, other)
        .or_else(|| decided(one, other))
        .or_else(|| names(one, other))
}

fn exclusive(one: &Unit, other: &Unit) -> Option<Clash> {
    for value in &one.exclusive {
        let rival = other.exclusive.iter().find(|rival| {
            rival.kind == value.kind && rival.scope == value.scope && *rival != value
        });
        if let Some(rival) = rival {
            let (one, other) = ordered(value.clone(), rival.clone());
            return Some(Clash::Exclusive { one, other });
        }
    }
    None
}

/// Whether two hold different values of which a person has one.
pub(super) fn doubtless_two(one: &Unit, other: &Unit) -> bool {
    exclusive(one, other).is_some()
}

fn decided(one: &Unit, other: &Unit) -> Option<Clash> {
    one.sides.iter().find_map(|side| {
        let against = Side {
            first: !side.first,
            ..side.clone()
        };
        other
            .sides
            .binary_search(&against)
            .is_ok()
            .then(|| Clash::Decision {
                id: side.id,
                one: side.one.clone(),
                other: side.other.clone(),
            })
    })
}

fn names(one: &Unit, other: &Unit) -> Option<Clash> {
    for names in &one.names {
        for others in &other.names {
            if !names.iter().any(|a| others.iter().any(|b| fit(a, b))) {
                let (one, other) = (names.first()?.person(), others.first()?.person());
                return Some(unlike((&one, &other)));
            }
        }
    }
    None
}

fn fit(one: &Name, other: &Name) -> bool {
    fn called(name: &Name) -> Called<'_> {
        ((&name.given, &name.surnames), name.birthday.as_deref())
    }
    can_be_one(called(one), called(other))
}

/// Whether two sets of customers cannot be one person together: two of them contradict each other, or a limit is broken.
pub(super) fn apart(ours: &[&Unit], theirs: &[&Unit], rules: &Rules) -> bool {
    let contradict = |one: &&Unit| theirs.iter().any(|other| clash(one, other).is_some());
    ours.iter().any(contradict) || over_limit(ours, theirs, rules).is_some()
}

/// The limit that joining both would break. A limit that one side breaks alone is not broken by joining.
pub(super) fn over_limit(ours: &[&Unit], theirs: &[&Unit], rules: &Rules) -> Option<SharedWhy> {
    fn named<'a>(units: &[&'a Unit]) -> BTreeSet<&'a Vec<Name>> {
        units.iter().flat_map(|unit| &unit.names).collect()
    }
    let (we, they) = (named(ours), named(theirs));
    let all = we.union(&they).count();
    if all > NAMES_MAX && all > we.len().max(they.len()) {
        return Some(SharedWhy::TooMany);
    }
    fn limited<'a>(units: &[&'a Unit]) -> BTreeMap<Kind, BTreeSet<&'a Identifier>> {
        let mut out: BTreeMap<Kind, BTreeSet<&Identifier>> = BTreeMap::new();
        for value in units.iter().flat_map(|unit| &unit.limited) {
            out.entry(value.kind).or_default().insert(value);
        }
        out
    }
    let (we, they) = (limited(ours), limited(theirs));
    we.iter().find_map(|(kind, values)| {
        let others = they.get(kind)?;
        let max = rules.rule(*kind).max_per_person?;
        let all = values.union(others).count();
        (all > max as usize && all > values.len().max(others.len()))
            .then_some(SharedWhy::Limit { kind: *kind, max })
    })
}

/// The fullest of what nodes say of one person. Of equals the one that more nodes say, then the first in order.
pub(super) fn merged(nodes: &[&Node]) -> Person {
    let persons = || nodes.iter().map(|node| &node.payload.person);
    let name = best(persons().map(|one| (&one.given, &one.surnames)), |name| {
        let letters = |names: &[String]| -> usize {
            let whole = names.iter().map(String::len).filter(|length| *length > 1);
            whole.sum()
        };
        let (given, surnames) = (letters(name.0), letters(name.1));
        let known = usize::from(given > 0) + usize::from(surnames > 0);
        (known, given + surnames)
    });
    let known = |text: &Option<String>| usize::from(text.is_some());
    let place = best(
        persons().map(|one| {
            (
                &one.street,
                &one.city,
                &one.postal_code,
                &one.state,
                &one.country,
            )
        }),
        |place| {
            known(place.0) * 2 + known(place.1) + known(place.2) + known(place.3) + known(place.4)
        },
    );
    let birth = best(
        persons().map(|one| (&one.birthday, &one.birth_digits)),
        |birth| known(birth.0) * 2 + known(birth.1),
    );
    let gender = best(persons().map(|one| &one.gender), |gender| known(gender));
    let mut person = Person::default();
    if let Some((given, surnames)) = name {
        (person.given, person.surnames) = (given.clone(), surnames.clone());
    }
    if let Some((street, city, code, state, country)) = place {
        person.street.clone_from(street);
        person.city.clone_from(city);
        person.postal_code.clone_from(code);
        person.state.clone_from(state);
        person.country.clone_from(country);
    }
    if let Some((birthday, digits)) = birth {
        person.birthday.clone_from(birthday);
        person.birth_digits.clone_from(digits);
    }
    person.gender = gender.cloned().flatten();
    person
}

fn best<T: Ord + Copy, R: Ord>(
    values: impl Iterator<Item = T>,
    rank: impl Fn(&T) -> R,
) -> Option<T> {
    let mut counts: BTreeMap<T, usize> = BTreeMap::new();
    for value in values {
        *counts.entry(value).or_default() += 1;
    }
    // Of equals the last is taken by `max_by_key`, hence backwards.
    let best = counts
        .into_iter()
        .rev()
        .max_by_key(|(value, count)| (rank(value), *count));
    best.map(|(value, _)| value)
}

/// The contact values of a group's nodes that are compared.
pub(super) fn contacts(nodes: &[&Node]) -> Vec<Identifier> {
    let of = |kind: Kind| {
        let all: BTreeSet<&Identifier> = nodes
            .iter()
            .flat_map(|node| &node.payload.identifiers)
            .filter(|one| one.kind == kind)
            .collect();
        all.into_iter().take(CONTACTS_MAX).cloned()
    };
    of(Kind::Email).chain(of(Kind::Phone)).collect()
}
