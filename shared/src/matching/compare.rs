//! What two records agree on, field by field, as small levels.
//!
//! Owns the levels. Symmetric: what is compared does not depend on which record comes first.

use serde::{Deserialize, Serialize};

use super::Subject;
use crate::person::{Likeness, given_likeness, jaro_winkler_from, one_edit, surname_likeness};

/// What is compared.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(usize)]
pub enum Field {
    /// Given names.
    Given,
    /// Surnames.
    Surname,
    /// Date of birth.
    Birth,
    /// Street, number, town, postal code and state together: they are not independent of one another.
    Place,
    /// Gender.
    Gender,
    /// National id, also a mistyped one.
    Document,
    /// Telephone.
    Phone,
    /// E-mail.
    Email,
}

/// Every field, in the order of [`Pattern`].
pub const FIELDS: [Field; 8] = [
    Field::Given,
    Field::Surname,
    Field::Birth,
    Field::Place,
    Field::Gender,
    Field::Document,
    Field::Phone,
    Field::Email,
];

/// A level of every field. Level 0 is always "not known on one side".
pub type Pattern = [u8; FIELDS.len()];

impl Field {
    /// How many levels it has, the unknown one among them.
    #[must_use]
    pub fn levels(self) -> usize {
        match self {
            Self::Given => 6,
            Self::Surname => 6,
            Self::Birth => 5,
            Self::Place => 8,
            Self::Gender => 3,
            Self::Document | Self::Phone => 4,
            Self::Email => 5,
        }
    }
}

/// What two records agree on.
#[must_use]
pub fn compare(one: &Subject, other: &Subject) -> Pattern {
    let (given, surname) = names(one, other);
    [
        given,
        surname,
        birth(one.birth, other.birth),
        place(one, other),
        gender(one, other),
        best(&one.documents, &other.documents, near),
        best(&one.phones, &other.phones, near),
        best(&one.emails, &other.emails, email),
    ]
}

/// What two records agree on beside the documents, numbers and addresses that they have in common: there that is "not known".
#[must_use]
pub fn compare_beside(one: &Subject, other: &Subject) -> Pattern {
    let mut pattern = contacts_beside(one, other);
    let (given, surname) = names(one, other);
    pattern[Field::Given as usize] = given;
    pattern[Field::Surname as usize] = surname;
    pattern[Field::Place as usize] = place(one, other);
    pattern
}

/// The cheap part of [`compare_beside`]: birthday, gender, documents, telephones and e-mail addresses; nothing of the rest.
pub(super) fn contacts_beside(one: &Subject, other: &Subject) -> Pattern {
    let beside = |level| if level == 1 { 0 } else { level };
    let mut pattern = [0; FIELDS.len()];
    pattern[Field::Birth as usize] = birth(one.birth, other.birth);
    pattern[Field::Gender as usize] = gender(one, other);
    pattern[Field::Document as usize] = beside(best(&one.documents, &other.documents, near));
    pattern[Field::Phone as usize] = beside(best(&one.phones, &other.phones, near));
    pattern[Field::Email as usize] = beside(best(&one.emails, &other.emails, email));
    pattern
}

/// Given names: 1 same, 2 alike, 3 initial, 4 close, 5 other. Surnames: 1 same, 2 alike, 3 close, 4 some shared, 5 other.
///
/// Names in each other's place count as if they stood right: that both agree crosswise is as rare among strangers. Where one alone
/// does and nothing agrees as it stands, it counts as the surname: relatives have that in common.
pub(super) fn names(one: &Subject, other: &Subject) -> (u8, u8) {
    let straight = (
        given(&one.given, &other.given),
        surname(&one.surnames, &other.surnames),
    );
    if straight.0 < 5 && straight.1 < 5 {
        return straight;
    }
    let crossed = |one: &Subject, other: &Subject| {
        (
            given(&one.given, &other.surnames),
            surname(&one.surnames, &other.given),
        )
    };
    // Which of two crossed names is the given one must not depend on which record comes first.
    let mut ways = [crossed(one, other), crossed(other, one)];
    ways.sort_unstable();
    let [less, more] = ways;
    let agree = |way: &(u8, u8)| matches!(way, (1..=4, 1..=3));
    match more {
        _ if agree(&more) => more,
        _ if agree(&less) => less,
        (5, 1 | 2) if straight == (5, 5) => more,
        _ => straight,
    }
}

fn given(one: &[String], other: &[String]) -> u8 {
    if one.is_empty() || other.is_empty() {
        return 0;
    }
    match given_likeness(one, other) {
        Likeness::Same => 1,
        Likeness::Alike => 2,
        Likeness::Initial => 3,
        Likeness::Close => 4,
        Likeness::Shared | Likeness::Other => 5,
    }
}

fn surname(one: &[String], other: &[String]) -> u8 {
    if one.is_empty() || other.is_empty() {
        return 0;
    }
    match surname_likeness(one, other) {
        Likeness::Same => 1,
        Likeness::Alike | Likeness::Initial => 2,
        Likeness::Close => 3,
        Likeness::Shared => 4,
        Likeness::Other => 5,
    }
}

/// 1 same, 2 a digit wrong, two digits or day and month swapped, 3 two of year, month and day the same, 4 another. Twice the same date that
/// does not exist says nothing: programs write one where they have none.
pub(super) fn birth(one: Option<[u8; 8]>, other: Option<[u8; 8]>) -> u8 {
    let (Some(one), Some(other)) = (one, other) else {
        return 0;
    };
    if one == other {
        return u8::from(exists(one));
    }
    let mut wrong = (0..8).filter(|at| one[*at] != other[*at]);
    let swapped = match (wrong.next(), wrong.next(), wrong.next()) {
        (Some(_), None, _) => true,
        (Some(a), Some(b), None) => one[a] == other[b] && one[b] == other[a] && b - a <= 2,
        _ => false,
    };
    let turned = one[..4] == other[..4] && one[4..6] == other[6..] && one[6..] == other[4..6];
    if swapped || turned {
        return 2;
    }
    let parts = [0..4, 4..6, 6..8];
    match parts
        .into_iter()
        .filter(|part| one[part.clone()] == other[part.clone()])
        .count()
    {
        2 => 3,
        _ => 4,
    }
}

/// Whether eight digits are a date.
fn exists(digits: [u8; 8]) -> bool {
    let number = |part: &[u8]| {
        let digit = |sum: i16, digit: &u8| sum * 10 + i16::from(digit & 0x0F);
        part.iter().fold(0, digit)
    };
    let (year, month, day) = (
        number(&digits[..4]),
        number(&digits[4..6]),
        number(&digits[6..]),
    );
    let part = |number: i16| i8::try_from(number).unwrap_or_default();
    jiff::civil::Date::new(year, part(month), part(day)).is_ok()
}

/// 1 to 5: five or four, three, two, one and none of the signs of one place agree: the street (which counts twice), the number,
/// the town and the postal code. One of them alone that agrees says nothing. 6: nothing is known but the same state. 7: nothing but another one.
pub(super) fn place(one: &Subject, other: &Subject) -> u8 {
    let same = |a: &Option<String>, b: &Option<String>| Some(a.as_ref()? == b.as_ref()?);
    let city = match (&one.city, &other.city) {
        (Some(a), Some(b)) => Some(jaro_winkler_from(a, b, CITY_MIN)),
        _ => None,
    };
    let street = match (&one.street, &other.street) {
        (Some(a), Some(b)) => Some(match bigrams(a, b) {
            alike if alike >= STREET_MIN => 2,
            alike if alike >= STREET_HALF_MIN => 1,
            _ => 0,
        }),
        _ => None,
    };
    let code = match (&one.postal_code, &other.postal_code) {
        (Some(a), Some(b)) => Some(a == b || city == Some(true) && one_edit(a, b)),
        _ => None,
    };
    let single = [same(&one.number, &other.number), city, code];
    if street.is_none() && single.iter().all(Option::is_none) {
        return match same(&one.state, &other.state) {
            Some(true) => 6,
            Some(false) => 7,
            None => 0,
        };
    }
    let known = [street.is_some()]
        .into_iter()
        .chain(single.iter().map(Option::is_some));
    let is_one = known.filter(|known| *known).count() == 1;
    if is_one && single.contains(&Some(true)) {
        return 0;
    }
    let points = street.unwrap_or(0) + single.iter().filter(|sign| **sign == Some(true)).count();
    match points {
        0 => 5,
        1 => 4,
        2 => 3,
        3 => 2,
        _ => 1,
    }
}

/// Likeness from which two towns are one.
const CITY_MIN: f64 = 0.92;
/// Likeness from which two streets are one.
const STREET_MIN: f64 = 0.75;
/// Likeness from which two streets may be one.
const STREET_HALF_MIN: f64 = 0.5;

/// Sørensen and Dice's likeness of the pairs of neighbouring letters: insensitive to the order of words.
fn bigrams(one: &str, other: &str) -> f64 {
    let pairs = |text: &str| {
        let letters = text.chars().zip(text.chars().skip(1));
        let mut pairs: Vec<(char, char)> = letters.collect();
        pairs.sort_unstable();
        pairs
    };
    let (a, b) = (pairs(one), pairs(other));
    let all = a.len() + b.len();
    if all == 0 {
        return f64::from(u8::from(one == other));
    }
    let (mut both, mut rest) = (0_u32, b.iter().peekable());
    for pair in &a {
        while rest.next_if(|other| *other < pair).is_some() {}
        both += u32::from(rest.next_if_eq(&pair).is_some());
    }
    2.0 * f64::from(both) / all as f64
}

/// 1 same, 2 different.
fn gender(one: &Subject, other: &Subject) -> u8 {
    match (&one.gender, &other.gender) {
        (Some(a), Some(b)) => 1 + u8::from(a != b),
        _ => 0,
    }
}

/// The best level of any two values.
fn best(one: &[String], other: &[String], level: fn(&str, &str) -> u8) -> u8 {
    let pairs = one.iter().flat_map(|a| other.iter().map(move |b| (a, b)));
    pairs.map(|(a, b)| level(a, b)).min().unwrap_or(0)
}

/// 1 same, 2 one character wrong or two swapped, 3 other.
fn near(one: &str, other: &str) -> u8 {
    match one == other {
        true => 1,
        false if one_edit(one, other) => 2,
        false => 3,
    }
}

/// 1 same, 2 the same name at another provider, 3 a character wrong, 4 other.
fn email(one: &str, other: &str) -> u8 {
    if one == other {
        return 1;
    }
    let (local, other_local) = (one.split('@').next(), other.split('@').next());
    match local == other_local {
        true => 2,
        false if one_edit(one, other) => 3,
        false => 4,
    }
}
