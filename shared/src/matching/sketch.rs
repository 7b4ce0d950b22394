//! A record in a few bytes, to lie beside every key under which it may meet others.
//!
//! Owns what of a record tells most pairs apart without reading the other one. Stored: its bytes never change their meaning.

use super::{
    Subject,
    place::{PLACE_BYTES, Whereabouts},
};

/// Bytes of a stored sketch.
pub const SKETCH_BYTES: usize = WORDS * 4 + PLACE_BYTES + 2;

/// Words of four bytes that stand before the place.
const WORDS: usize = 5;

/// What most pairs are told apart by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sketch {
    /// Eight digits of four bits, the year first.
    pub(super) birth: Option<u32>,
    /// Stands for the letters of all given names; 0 when there are none.
    pub(super) given: u32,
    /// The same of the surnames.
    pub(super) surnames: u32,
    /// Which letters the part before the `@` has, where there is one address.
    pub(super) email: Contact,
    /// How often the number has each digit, in three bits, where there is one number.
    pub(super) phone: Contact,
    /// Gender.
    pub(super) gender: Gender,
    /// Whether a document is known.
    pub(super) document: bool,
    /// Whether the given names, or the surnames, are initials alone.
    pub(super) initials: bool,
    /// Where it is.
    pub(super) place: Whereabouts,
}

/// What is known of values of which a record may have several.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Contact {
    None,
    One(u32),
    Several,
}

/// What is known of the gender.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Gender {
    Unknown,
    Male,
    Female,
    Another,
}

impl Sketch {
    /// Of a record.
    #[must_use]
    pub fn of(one: &Subject) -> Self {
        let nibbles = |birth: [u8; 8]| {
            birth
                .iter()
                .fold(0, |all, digit| all << 4 | u32::from(digit & 15))
        };
        Self {
            birth: one.birth.map(nibbles),
            given: letters(&one.given),
            surnames: letters(&one.surnames),
            email: contact(&one.emails, |email| {
                let (local, rest) = email.split_once('@')?;
                let set = local
                    .chars()
                    .fold(0, |set, letter| set | 1 << (u32::from(letter) % 32));
                (!rest.contains('@')).then_some(set)
            }),
            phone: contact(&one.phones, |phone| Some(counted(phone))),
            gender: match one.gender.as_deref() {
                None => Gender::Unknown,
                Some("male") => Gender::Male,
                Some("female") => Gender::Female,
                Some(_) => Gender::Another,
            },
            document: !one.documents.is_empty(),
            initials: [&one.given, &one.surnames].into_iter().any(|names| {
                !names.is_empty() && names.iter().all(|name| name.chars().count() == 1)
            }),
            place: Whereabouts::of(one),
        }
    }

    /// As stored.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; SKETCH_BYTES] {
        let kind = |contact| match contact {
            Contact::None => 0,
            Contact::One(_) => 1,
            Contact::Several => 2,
        };
        let value = |contact| match contact {
            Contact::One(value) => value,
            Contact::None | Contact::Several => 0,
        };
        let flags = self.gender as u8
            | kind(self.email) << 2
            | kind(self.phone) << 4
            | u8::from(self.document) << 6
            | u8::from(self.birth.is_some()) << 7;
        let words = [
            self.birth.unwrap_or(0),
            self.given,
            self.surnames,
            value(self.email),
            value(self.phone),
        ];
        let bytes = words.into_iter().flat_map(u32::to_be_bytes);
        let rest = [flags, u8::from(self.initials)];
        let bytes = bytes.chain(self.place.to_bytes()).chain(rest);
        let mut out = [0; SKETCH_BYTES];
        for (to, byte) in out.iter_mut().zip(bytes) {
            *to = byte;
        }
        out
    }

    /// Reads a stored one.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; SKETCH_BYTES]) -> Self {
        let word = |nth: usize| {
            let of = bytes.iter().skip(nth * 4).take(4);
            of.fold(0, |all, byte| all << 8 | u32::from(*byte))
        };
        let flags = bytes[SKETCH_BYTES - 2];
        let mut place = [0; PLACE_BYTES];
        place.copy_from_slice(&bytes[WORDS * 4..SKETCH_BYTES - 2]);
        let contact = |kind: u8, nth| match kind & 3 {
            0 => Contact::None,
            1 => Contact::One(word(nth)),
            _ => Contact::Several,
        };
        Self {
            birth: (flags >> 7 == 1).then(|| word(0)),
            given: word(1),
            surnames: word(2),
            email: contact(flags >> 2, 3),
            phone: contact(flags >> 4, 4),
            gender: match flags & 3 {
                0 => Gender::Unknown,
                1 => Gender::Male,
                2 => Gender::Female,
                _ => Gender::Another,
            },
            document: flags >> 6 & 1 == 1,
            initials: bytes[SKETCH_BYTES - 1] == 1,
            place: Whereabouts::from_bytes(&place),
        }
    }

    /// The eight digits of the birthday.
    pub(super) fn digits(&self) -> Option<[u8; 8]> {
        let birth = self.birth?;
        let mut digits = [0; 8];
        for (digit, at) in digits.iter_mut().zip((0..8).rev()) {
            *digit = (birth >> (4 * at) & 15) as u8;
        }
        Some(digits)
    }
}

/// How many digits more one number has of each than the other, and fewer. Numbers that are one edit apart have two at most.
pub(super) fn digits_apart(one: u32, other: u32) -> u32 {
    let count = |of: u32, digit: u32| of >> (3 * digit) & 7;
    (0..10)
        .map(|digit| count(one, digit).abs_diff(count(other, digit)))
        .sum()
}

/// How many letters one address has and the other has not. Addresses that are one edit apart have two at most.
pub(super) fn letters_apart(one: u32, other: u32) -> u32 {
    (one ^ other).count_ones()
}

fn letters(names: &[String]) -> u32 {
    if names.is_empty() {
        return 0;
    }
    let hash = blake3::hash(names.concat().as_bytes());
    let four = hash.as_bytes().iter().take(4);
    four.fold(0, |all, byte| all << 8 | u32::from(*byte)).max(1)
}

fn counted(phone: &str) -> u32 {
    let mut counts = 0;
    for digit in phone.chars().filter_map(|letter| letter.to_digit(10)) {
        if counts >> (3 * digit) & 7 < 7 {
            counts += 1 << (3 * digit);
        }
    }
    counts
}

fn contact(values: &[String], of: impl Fn(&str) -> Option<u32>) -> Contact {
    match values {
        [] => Contact::None,
        [one] => of(one).map_or(Contact::Several, Contact::One),
        _ => Contact::Several,
    }
}
