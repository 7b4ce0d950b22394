//! A record as it is compared: the person fields and contact values, taken apart once.

use crate::person::{Person, skeleton};

/// Most values of one kind that are compared; of more, the first in their order.
const VALUES_MAX: usize = 4;

/// Shortest word of a street that tells it from others. Unit: letters.
const WORD_LETTERS_MIN: usize = 4;

/// What of a record is compared.
#[derive(Clone, Default, Debug)]
pub struct Subject {
    /// Folded given names.
    pub given: Vec<String>,
    /// Folded surnames.
    pub surnames: Vec<String>,
    /// Eight digits, year first.
    pub birth: Option<[u8; 8]>,
    /// Street and number without spaces.
    pub street: Option<String>,
    /// The words of the street.
    pub words: Vec<String>,
    /// The number of the house.
    pub number: Option<String>,
    /// Town.
    pub city: Option<String>,
    /// Postal code.
    pub postal_code: Option<String>,
    /// Province or state.
    pub state: Option<String>,
    /// `male`, `female` or as given.
    pub gender: Option<String>,
    /// National ids, also mistyped ones.
    pub documents: Vec<String>,
    /// Telephone numbers, E.164.
    pub phones: Vec<String>,
    /// E-mail addresses.
    pub emails: Vec<String>,
}

impl Subject {
    /// Of a person's fields; contact values are added by the caller.
    #[must_use]
    pub fn of(person: &Person) -> Self {
        let street = person.street.as_deref();
        let number = street.and_then(|street| {
            let digits = |word: &&str| word.bytes().all(|b| b.is_ascii_digit());
            street.split(' ').find(digits).map(str::to_owned)
        });
        Self {
            given: person.given.clone(),
            surnames: person.surnames.clone(),
            birth: person
                .birthday
                .as_deref()
                .or(person.birth_digits.as_deref())
                .and_then(digits),
            street: street.map(|street| street.replace(' ', "")),
            words: street
                .into_iter()
                .flat_map(|street| street.split(' '))
                .filter(|word| {
                    word.bytes().all(|b| b.is_ascii_alphabetic()) && word.len() >= WORD_LETTERS_MIN
                })
                .map(str::to_owned)
                .take(VALUES_MAX)
                .collect(),
            number,
            city: person.city.as_deref().map(|city| city.replace(' ', "")),
            postal_code: person.postal_code.clone(),
            state: person.state.clone(),
            gender: person.gender.clone(),
            ..Self::default()
        }
    }

    /// Adds a contact value, unless it is there or there are enough of them.
    pub fn add(values: &mut Vec<String>, value: &str) {
        if values.len() < VALUES_MAX && !values.iter().any(|one| one == value) {
            values.push(value.to_owned());
        }
    }

    pub(super) fn given_sound(&self) -> Option<String> {
        self.given.first().map(|name| skeleton(name))
    }

    pub(super) fn surname_sounds(&self) -> impl Iterator<Item = String> + '_ {
        self.surnames.iter().map(|name| skeleton(name))
    }
}

/// The eight digits of a date, also of one that does not exist: a mistyped birthday is evidence too.
#[must_use]
pub fn digits(date: &str) -> Option<[u8; 8]> {
    let mut digits = date.bytes().filter(u8::is_ascii_digit);
    let mut out = [0; 8];
    for slot in &mut out {
        *slot = digits.next()?;
    }
    digits.next().is_none().then_some(out)
}
