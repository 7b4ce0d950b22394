//! The weights, and the score of a pair.
//!
//! Whole numbers throughout, so that a score is the same on every machine and in every order of adding.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{FIELDS, Field, Pattern, Subject};

/// A logarithm to base 2. Unit: thousandths of a bit.
pub type Bits = i32;

/// What a pair of records can be.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(usize)]
pub enum Class {
    /// One person twice.
    Person,
    /// Two of one family or household.
    Family,
    /// Two that have nothing to do with each other.
    Strangers,
}

/// Every class, in the order of the tables.
pub(super) const CLASSES: [Class; 3] = [Class::Person, Class::Family, Class::Strangers];

/// The weights of one population.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Among how many records the shares below are.
    pub records: u64,
    /// By class, field and level: the logarithm of how probable the level is in the class; that of the unknown level is 0.
    pub levels: [Vec<Vec<Bits>>; 3],
    /// By class: the logarithm of its share among all pairs.
    pub shares: [Bits; 3],
    /// The logarithm of how frequent a given name is, of frequent ones.
    pub given: BTreeMap<String, Bits>,
    /// The same of surnames.
    pub surnames: BTreeMap<String, Bits>,
    /// What a name that is in neither table counts as.
    pub rare: Bits,
}

/// What one field says of two records.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Term {
    /// The field.
    pub field: Field,
    /// How far it agrees.
    pub level: u8,
    /// How much more, or less, probable that is of one person than of strangers. Unit: thousandths of a bit.
    pub bits: Bits,
}

/// The odds of a pair, taken apart. Terms, `prior` and `family` add up to the odds, or to more where less is allowed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Score {
    /// The logarithm of the odds that they are one person.
    pub odds: Bits,
    /// Of every field that both have.
    pub terms: Vec<Term>,
    /// How rare it is, before anything is compared, that two are one person.
    pub prior: Bits,
    /// What is taken off because two of one family agree so as well.
    pub family: Bits,
}

/// The highest odds of a pair that agrees on `pattern`, whatever the weights say. A name alone never links, and nothing links
/// two whose names and birthdays are known and different, unless they show one document.
fn ceiling(pattern: &Pattern) -> Bits {
    let level = |field: Field| pattern[field as usize];
    if level(Field::Document) == 1 {
        return Bits::MAX;
    }
    if level(Field::Given) == 5 && level(Field::Surname) == 5 && level(Field::Birth) == 4 {
        return NEVER;
    }
    let agree = |field: Field, most: u8| (1..=most).contains(&level(field));
    let beside_the_name = agree(Field::Birth, 3)
        || agree(Field::Place, 3)
        || agree(Field::Document, 2)
        || agree(Field::Phone, 2)
        || agree(Field::Email, 3);
    if beside_the_name {
        Bits::MAX
    } else {
        NAME_ALONE
    }
}

/// The highest odds of two who have nothing but their names in common: less than even.
const NAME_ALONE: Bits = -1;

/// How much less probable than by itself and by itself it is that two of one family have one given name, or two that may be one,
/// *and* one birthday: a son is named after his father, a twin is born with his brother, but twins are named to be told apart.
/// By the level of the given names.
pub(super) fn twins_of_one_name(given: u8) -> Bits {
    match given {
        1 => TWINS_OF_ONE_NAME,
        2 => TWINS_OF_LIKE_NAMES,
        _ => 0,
    }
}

/// The same name twice.
pub(super) const TWINS_OF_ONE_NAME: Bits = -6_000;
/// A short form, another spelling, one name more. "Ana" and "Ana Belén" have been seen.
pub(super) const TWINS_OF_LIKE_NAMES: Bits = -4_000;

/// The odds of two whose given name, surname and birthday are all known and all different: whatever they share, they are two.
const NEVER: Bits = -20_000;

impl Model {
    /// What is known before anything was seen, with the names of some records counted.
    #[must_use]
    pub fn untrained(subjects: &[Subject]) -> Self {
        let table = |rows: &[&[f64]; FIELDS.len()]| -> Vec<Vec<Bits>> {
            let row = |row: &&[f64]| {
                [0].into_iter()
                    .chain(row.iter().map(|share| bits(*share)))
                    .collect()
            };
            rows.iter().map(row).collect()
        };
        let (given, rare) = frequencies(subjects.iter().map(|one| one.given.as_slice()));
        let (surnames, rare_surname) =
            frequencies(subjects.iter().map(|one| one.surnames.as_slice()));
        Self {
            records: 20_000,
            levels: [table(&PERSON), table(&FAMILY), table(&STRANGERS)],
            shares: [1e-4, 1e-4, 1.0].map(bits),
            given,
            surnames,
            rare: rare.max(rare_surname),
        }
    }

    /// The logarithm of the odds that two records that agree on `pattern` are one person's.
    #[must_use]
    pub fn odds(&self, one: &Subject, other: &Subject, pattern: &Pattern) -> Bits {
        self.odds_among(one, other, pattern, 0)
    }

    /// The same where a pair of one person, or of one family, is rarer by `prior` than where the weights were learned.
    #[must_use]
    pub fn odds_among(
        &self,
        one: &Subject,
        other: &Subject,
        pattern: &Pattern,
        prior: Bits,
    ) -> Bits {
        let [person, family, strangers] = self.sums(one, other, pattern);
        (person - prior - sum(family - prior, strangers)).min(ceiling(pattern))
    }

    /// The odds of [`Self::odds_among`], term by term.
    #[must_use]
    pub fn score(&self, one: &Subject, other: &Subject, pattern: &Pattern, prior: Bits) -> Score {
        let [person, strangers] = [Class::Person as usize, Class::Strangers as usize];
        let sums = self.sums(one, other, pattern);
        let mut bare = *pattern;
        // The frequencies of names stand in the sums of strangers alone.
        for field in [Field::Given, Field::Surname] {
            bare[field as usize] = 0;
        }
        let rest = self.sums(one, other, &bare)[strangers];
        let terms = FIELDS.into_iter().filter_map(|field| {
            let level = pattern[field as usize];
            let of = |class: usize| self.levels[class][field as usize][usize::from(level)];
            let stranger = match field {
                Field::Given | Field::Surname => {
                    let mut alone = bare;
                    alone[field as usize] = level;
                    self.sums(one, other, &alone)[strangers] - rest
                }
                _ => of(strangers),
            };
            (level > 0).then(|| Term {
                field,
                level,
                bits: of(person) - stranger,
            })
        });
        let apart = sums[person] - prior - sums[strangers];
        let family = sums[strangers] - sum(sums[Class::Family as usize] - prior, sums[strangers]);
        Score {
            odds: (apart + family).min(ceiling(pattern)),
            terms: terms.collect(),
            prior: self.shares[person] - self.shares[strangers] - prior,
            family,
        }
    }

    /// How much rarer pairs of one person are among so many records than among those of the weights.
    #[must_use]
    pub fn prior(&self, records: u64) -> Bits {
        logarithm(records) - logarithm(self.records)
    }

    /// By class: how probable it is that two records agree so.
    pub(super) fn sums(&self, one: &Subject, other: &Subject, pattern: &Pattern) -> [Bits; 3] {
        let mut sums = self.shares;
        for (sum, class) in sums.iter_mut().zip(CLASSES) {
            for field in FIELDS {
                let level = pattern[field as usize];
                if level > 0 {
                    *sum += self.levels[class as usize][field as usize][usize::from(level)];
                }
            }
        }
        if pattern[Field::Birth as usize] == 1 {
            sums[Class::Family as usize] += twins_of_one_name(pattern[Field::Given as usize]);
        }
        // That two strangers have one name is as probable as the name is frequent.
        let given = self.levels[Class::Strangers as usize][Field::Given as usize][1];
        let surname = self.levels[Class::Strangers as usize][Field::Surname as usize][1];
        if pattern[Field::Given as usize] == 1 {
            sums[Class::Strangers as usize] += self.frequency_of(Field::Given, one, other) - given;
        }
        if pattern[Field::Surname as usize] == 1 {
            sums[Class::Strangers as usize] +=
                self.frequency_of(Field::Surname, one, other) - surname;
        }
        sums
    }

    /// The logarithm of how frequent the given names, or the surnames, of two records are: that of the rarer.
    pub(super) fn frequency_of(&self, field: Field, one: &Subject, other: &Subject) -> Bits {
        match field {
            Field::Given => self.frequency(&self.given, &one.given, &other.given),
            _ => self.frequency(&self.surnames, &one.surnames, &other.surnames),
        }
    }

    fn frequency(&self, known: &BTreeMap<String, Bits>, one: &[String], other: &[String]) -> Bits {
        let of = |names: &[String]| -> Bits {
            names
                .iter()
                .map(|name| known.get(name).copied().unwrap_or(self.rare))
                .sum()
        };
        of(one).max(of(other))
    }
}

/// As what share of the records a name counts at least that is seen less often.
const RARE_MIN: f64 = 1e-4;
/// Fewer names than these say nothing of how frequent a rare one is.
const FEW: f64 = 2_000.0;
/// How often a name must be seen to have a frequency of its own.
const SEEN_MIN: u64 = 4;

/// The frequency of every name that is seen often enough, and what the others count as.
fn frequencies<'a>(names: impl Iterator<Item = &'a [String]>) -> (BTreeMap<String, Bits>, Bits) {
    let mut counts: BTreeMap<&String, u64> = BTreeMap::new();
    let mut all = 0;
    for name in names.flatten() {
        *counts.entry(name).or_default() += 1;
        all += 1;
    }
    let share = |count: u64| count as f64 / all.max(1) as f64;
    let often = counts.into_iter().filter(|(_, count)| *count >= SEEN_MIN);
    let known = often
        .map(|(name, count)| (name.clone(), bits(share(count))))
        .collect();
    let rare = 2.0 / (all as f64).clamp(FEW, 2.0 / RARE_MIN);
    (known, bits(rare))
}

/// The logarithm of a whole number, linear between powers of two: near enough, and the same everywhere.
fn logarithm(number: u64) -> Bits {
    let number = number.max(1);
    let whole = number.ilog2();
    let rest = u128::from(number - (1 << whole)) * 1000;
    whole as Bits * 1000 + (rest >> whole) as Bits
}

/// The logarithm of a probability.
pub(super) fn bits(probability: f64) -> Bits {
    (probability.log2() * 1000.0).round() as Bits
}

// How probable each level of each field is, before anything was seen: in the order of the fields, the unknown level left out.
#[rustfmt::skip]
const PERSON: [&[f64]; 8] = [
    &[0.78, 0.08, 0.03, 0.1, 0.01], &[0.75, 0.05, 0.12, 0.02, 0.06], &[0.85, 0.09, 0.03, 0.03],
    &[0.62, 0.15, 0.08, 0.04, 0.04, 0.06, 0.01], &[0.97, 0.03], &[0.9, 0.08, 0.02], &[0.7, 0.05, 0.25],
    &[0.6, 0.1, 0.05, 0.25],
];
#[rustfmt::skip]
const FAMILY: [&[f64]; 8] = [
    &[0.03, 0.03, 0.02, 0.04, 0.88], &[0.55, 0.2, 0.03, 0.15, 0.07], &[0.02, 0.005, 0.03, 0.945],
    &[0.72, 0.08, 0.04, 0.05, 0.05, 0.05, 0.01], &[0.4, 0.6], &[0.0001, 0.01, 0.9899], &[0.45, 0.02, 0.53],
    &[0.1, 0.1, 0.02, 0.78],
];
#[rustfmt::skip]
const STRANGERS: [&[f64]; 8] = [
    &[0.005, 0.005, 0.01, 0.02, 0.96], &[0.003, 0.003, 0.01, 0.01, 0.974], &[0.0001, 0.001, 0.01, 0.9889],
    &[0.00001, 0.00003, 0.001, 0.03, 0.769, 0.1, 0.1], &[0.5, 0.5], &[0.000001, 0.00001, 0.999989],
    &[0.000001, 0.00001, 0.999989], &[0.000001, 0.0005, 0.00001, 0.9995],
];

/// The logarithm of the sum of two numbers given by theirs.
pub(super) fn sum(one: Bits, other: Bits) -> Bits {
    let (more, less) = (one.max(other), one.min(other));
    let apart = (more.saturating_sub(less) / 250) as usize;
    more + ADDED.get(apart).copied().unwrap_or(0)
}

/// log2(1 + 2^-x) in thousandths, for x from 0 in steps of a quarter.
#[rustfmt::skip]
const ADDED: [Bits; 48] = [
    1000, 880, 772, 674, 585, 506, 437, 376, 322, 275, 235, 199, 170, 144, 122, 103,
    87, 74, 62, 53, 44, 37, 32, 27, 22, 19, 16, 13, 11, 9, 8, 7,
    6, 5, 4, 3, 3, 2, 2, 2, 1, 1, 1, 1, 1, 1, 0, 0,
];
