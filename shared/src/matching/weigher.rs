//! The odds of very many pairs of which nearly all are far from any link: a pair is compared no further than it takes to know that.
//!
//! Owns the upper bounds of the odds of a pair: by what a sketch says, and by a part of the records. Changes nothing: what it gives is what
//! [`Model::odds_among`] says of [`compare_beside`](super::compare_beside).

use super::{
    Bits, Class, FIELDS, Field, Model, Pattern, Sketch, Subject,
    compare::{birth, contacts_beside, names, place},
    model::{TWINS_OF_LIKE_NAMES, TWINS_OF_ONE_NAME},
    sketch::{Contact, Gender, digits_apart, letters_apart},
};
use crate::person::same_letters;

/// Most signs of one place that two records share.
const PLACE_SIGNS: usize = 5;
/// The level of given names of which one is the other's initial.
const INITIAL: usize = 3;

/// More levels than any field has.
const LEVELS: usize = 8;

/// Whom a person twice is told from, in the order of [`Odds`].
const OTHERS: [Class; 2] = [Class::Strangers, Class::Family];

/// How much more probable something is of one person than of strangers, and than of a family. The odds of a pair are at most the
/// smaller.
type Odds = [Bits; OTHERS.len()];

/// Weighs pairs by a model among so many records.
pub struct Weigher<'a> {
    model: &'a Model,
    prior: Bits,
    shares: Odds,
    /// By field and level.
    levels: [[Odds; LEVELS]; FIELDS.len()],
    /// By field: the most that a level but the first may say.
    most: [Odds; FIELDS.len()],
    /// The same of given names of which none is an initial.
    most_given: Odds,
    /// By how many signs of one place are shared at most: the most that places may say.
    most_place: [Odds; PLACE_SIGNS + 1],
    /// The most that places may say of which nothing is known but the state, or one sign.
    most_state: Odds,
}

/// One record for which others are sought.
#[derive(Clone, Copy)]
pub struct Sought {
    sketch: Sketch,
    digits: Option<[u8; 8]>,
    /// What it says when another has its given names, and its surnames.
    same: [Odds; 2],
}

impl<'a> Weigher<'a> {
    /// By `model`, where a pair of one person is rarer by `prior` than where its weights were learned.
    #[must_use]
    pub fn new(model: &'a Model, prior: Bits) -> Self {
        let person = Class::Person as usize;
        let mut levels = [[[0; 2]; LEVELS]; FIELDS.len()];
        let mut most = [[Bits::MIN; 2]; FIELDS.len()];
        for field in FIELDS {
            let (rows, most) = (&mut levels[field as usize], &mut most[field as usize]);
            for (level, row) in rows.iter_mut().enumerate().take(field.levels()).skip(1) {
                let of = |class: usize| model.levels[class][field as usize][level];
                *row = OTHERS.map(|other| of(person) - of(other as usize));
                if level > 1 {
                    *most = greater(*most, *row);
                }
            }
        }
        let [own, family, strangers] = model.shares;
        let most_of = |field: Field, of: &mut dyn Iterator<Item = usize>| {
            of.map(|level| levels[field as usize][level])
                .reduce(greater)
                .unwrap_or_default()
        };
        let place = Field::Place;
        Self {
            model,
            prior,
            shares: [own - prior - strangers, own - family],
            most,
            most_given: most_of(
                Field::Given,
                &mut (2..Field::Given.levels()).filter(|level| *level != INITIAL),
            ),
            // So many signs or fewer.
            most_place: std::array::from_fn(|signs| {
                most_of(place, &mut (PLACE_SIGNS.saturating_sub(signs).max(1)..=5))
            }),
            most_state: greater([0, 0], most_of(place, &mut (5..place.levels()))),
            levels,
        }
    }

    /// The odds of a pair, documents, numbers and addresses in common left out of account; none where they are less than `least`.
    #[must_use]
    pub fn odds_from(&self, one: &Subject, other: &Subject, least: Bits) -> Option<Bits> {
        let mut pattern = contacts_beside(one, other);
        let mut odds = self.shares;
        for field in FIELDS {
            add(
                &mut odds,
                self.levels[field as usize][usize::from(pattern[field as usize])],
            );
        }
        add(&mut odds, self.place_most());
        let mut most = odds;
        for field in [Field::Given, Field::Surname] {
            add(&mut most, self.name_most(field, one, other, &pattern));
        }
        if most[0].min(most[1]) < least {
            return None;
        }
        let (given, surname) = names(one, other);
        pattern[Field::Given as usize] = given;
        pattern[Field::Surname as usize] = surname;
        for (field, level) in [(Field::Given, given), (Field::Surname, surname)] {
            add(
                &mut odds,
                match level {
                    1 => self.same_name(field, one, other, &pattern),
                    _ => self.levels[field as usize][usize::from(level)],
                },
            );
        }
        if given == 2 && pattern[Field::Birth as usize] == 1 {
            odds[1] -= TWINS_OF_LIKE_NAMES;
        }
        if odds[0].min(odds[1]) < least {
            return None;
        }
        pattern[Field::Place as usize] = place(one, other);
        let odds = self.model.odds_among(one, other, &pattern, self.prior);
        (odds >= least).then_some(odds)
    }

    /// Prepares to seek others than one record.
    #[must_use]
    pub fn seek(&self, one: &Subject) -> Sought {
        let sketch = Sketch::of(one);
        let unborn = [0; FIELDS.len()];
        let same =
            [Field::Given, Field::Surname].map(|field| self.same_name(field, one, one, &unborn));
        Sought {
            digits: sketch.digits(),
            sketch,
            same,
        }
    }

    /// Whether the odds of a record that is sought and one of which a sketch is known may be `least`; false when they surely are
    /// less.
    #[must_use]
    pub fn may_reach(&self, sought: &Sought, other: &Sketch, least: Bits) -> bool {
        let one = &sought.sketch;
        let level = |field: Field, level: u8| self.levels[field as usize][usize::from(level)];
        let open = |field: Field| greater(self.most[field as usize], [0, 0]);
        let born = birth(sought.digits, other.digits());
        let mut odds = self.shares;
        add(&mut odds, level(Field::Birth, born));
        add(
            &mut odds,
            match one.place.signs_shared_most(&other.place) {
                Some(signs) => self.most_place[signs.min(PLACE_SIGNS)],
                None => self.most_state,
            },
        );
        let given = match one.initials || other.initials {
            true => self.most[Field::Given as usize],
            false => self.most_given,
        };
        let names = [
            (Field::Given, one.given, other.given, given),
            (
                Field::Surname,
                one.surnames,
                other.surnames,
                self.most[Field::Surname as usize],
            ),
        ];
        let crossed = one.given == other.surnames || one.surnames == other.given;
        for ((field, own, straight, most), same) in names.into_iter().zip(sought.same) {
            if own == 0 || straight == 0 {
                continue;
            }
            if own != straight && !crossed {
                add(&mut odds, most);
                if field == Field::Given && born == 1 {
                    odds[1] -= TWINS_OF_LIKE_NAMES;
                }
                continue;
            }
            add(&mut odds, greater(most, same));
            if field == Field::Given && born == 1 {
                odds[1] -= TWINS_OF_ONE_NAME;
            }
        }
        add(
            &mut odds,
            match (one.gender, other.gender) {
                (Gender::Unknown, _) | (_, Gender::Unknown) => [0, 0],
                (Gender::Another, Gender::Another) => {
                    greater(level(Field::Gender, 1), level(Field::Gender, 2))
                }
                (one, other) => level(Field::Gender, 1 + u8::from(one != other)),
            },
        );
        if one.document && other.document {
            add(&mut odds, open(Field::Document));
        }
        add(
            &mut odds,
            match (one.phone, other.phone) {
                (Contact::None, _) | (_, Contact::None) => [0, 0],
                (Contact::One(one), Contact::One(other)) if digits_apart(one, other) > 2 => {
                    level(Field::Phone, 3)
                }
                _ => open(Field::Phone),
            },
        );
        add(
            &mut odds,
            match (one.email, other.email) {
                (Contact::None, _) | (_, Contact::None) => [0, 0],
                (Contact::One(one), Contact::One(other)) if letters_apart(one, other) > 2 => {
                    level(Field::Email, 4)
                }
                _ => open(Field::Email),
            },
        );
        odds[0].min(odds[1]) >= least
    }

    /// The most that places may say.
    fn place_most(&self) -> Odds {
        let [first, rest] = [
            self.levels[Field::Place as usize][1],
            self.most[Field::Place as usize],
        ];
        greater(greater(first, rest), [0, 0])
    }

    /// The most that names may say, before they are compared: whether they are the same is seen at once.
    fn name_most(&self, field: Field, one: &Subject, other: &Subject, pattern: &Pattern) -> Odds {
        let (own, straight, crossed) = match field {
            Field::Given => (&one.given, &other.given, &other.surnames),
            _ => (&one.surnames, &other.surnames, &other.given),
        };
        if own.is_empty() || straight.is_empty() {
            return [0, 0];
        }
        let mut most = self.most[field as usize];
        if field == Field::Given && pattern[Field::Birth as usize] == 1 {
            most[1] -= TWINS_OF_LIKE_NAMES;
        }
        if !same_letters(own, straight) && !same_letters(own, crossed) {
            return most;
        }
        let same = self.same_name(field, one, other, pattern);
        greater(most, same)
    }

    /// What it says that names are the same: the rarer they are, the more.
    fn same_name(&self, field: Field, one: &Subject, other: &Subject, pattern: &Pattern) -> Odds {
        let [_, mut family] = self.levels[field as usize][1];
        if field == Field::Given && pattern[Field::Birth as usize] == 1 {
            family -= TWINS_OF_ONE_NAME;
        }
        let person = self.model.levels[Class::Person as usize][field as usize][1];
        [person - self.model.frequency_of(field, one, other), family]
    }
}

fn greater(one: Odds, other: Odds) -> Odds {
    [one[0].max(other[0]), one[1].max(other[1])]
}

fn add(odds: &mut Odds, more: Odds) {
    for (sum, more) in odds.iter_mut().zip(more) {
        *sum += more;
    }
}
