//! Where a record is, in a few bytes: how many signs of one place it and another may share at most.
//!
//! Owns the bound of what [`place`](super::compare::place) says. Stored: its bytes never change their meaning.

use super::Subject;

/// Bytes of a stored place.
pub(super) const PLACE_BYTES: usize = 12;

/// A length from here on stands for every greater one, of which nothing is known.
const LONG: u8 = u8::MAX;

/// What tells most places apart.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Whereabouts {
    /// Which pairs of neighbouring letters the street has: a bit for each, shared by some.
    pairs: u32,
    /// Which letters the town has, likewise.
    letters: u32,
    /// One more than the street has pairs; 0 when it is not known.
    street: u8,
    /// One more than the town has letters; 0 when it is not known.
    city: u8,
    /// Stands for the postal code; 0 when it is not known.
    code: u8,
    /// Stands for the number of the house; 0 when it is not known.
    number: u8,
}

impl Whereabouts {
    pub(super) fn of(one: &Subject) -> Self {
        let street = one.street.as_deref().unwrap_or_default();
        let city = one.city.as_deref().unwrap_or_default();
        let pairs = street.chars().zip(street.chars().skip(1));
        Self {
            pairs: pairs.clone().fold(0, |set, pair| set | bit(pair)),
            letters: city
                .chars()
                .fold(0, |set, letter| set | 1 << (u32::from(letter) % 32)),
            street: length(one.street.is_some(), pairs.count()),
            city: length(one.city.is_some(), city.chars().count()),
            code: stands_for(one.postal_code.as_deref()),
            number: stands_for(one.number.as_deref()),
        }
    }

    pub(super) fn to_bytes(self) -> [u8; PLACE_BYTES] {
        let [a, b, c, d] = self.pairs.to_be_bytes();
        let [e, f, g, h] = self.letters.to_be_bytes();
        let Self {
            street,
            city,
            code,
            number,
            ..
        } = self;
        [a, b, c, d, e, f, g, h, street, city, code, number]
    }

    pub(super) fn from_bytes(bytes: &[u8; PLACE_BYTES]) -> Self {
        let [a, b, c, d, e, f, g, h, street, city, code, number] = *bytes;
        Self {
            pairs: u32::from_be_bytes([a, b, c, d]),
            letters: u32::from_be_bytes([e, f, g, h]),
            street,
            city,
            code,
            number,
        }
    }

    /// At most so many signs of one place are shared; none when no sign is known of both, or a single one but the street that may be shared.
    pub(super) fn signs_shared_most(&self, other: &Self) -> Option<usize> {
        let both = |one: u8, other: u8| one > 0 && other > 0;
        let (street, city) = (both(self.street, other.street), both(self.city, other.city));
        let (code, number) = (both(self.code, other.code), both(self.number, other.number));
        if !(street || city || code || number) {
            return None;
        }
        let one_town = city && self.may_be_one_town(other);
        let signs = [
            one_town,
            code && (self.code == other.code || one_town),
            number && self.number == other.number,
        ];
        let is_one = [street, city, code, number]
            .into_iter()
            .filter(|known| *known)
            .count()
            == 1;
        if is_one && signs.contains(&true) {
            return None;
        }
        let street = if street { self.street_most(other) } else { 0 };
        Some(street + signs.into_iter().filter(|sign| *sign).count())
    }

    /// A pair that one street has and the other has not is none that they share.
    fn street_most(&self, other: &Self) -> usize {
        if self.street == LONG || other.street == LONG {
            return 2;
        }
        let (all, others) = (usize::from(self.street) - 1, usize::from(other.street) - 1);
        let shared = all
            .saturating_sub(beside(self.pairs, other.pairs))
            .min(others.saturating_sub(beside(other.pairs, self.pairs)));
        match all + others {
            sum if 8 * shared >= 3 * sum => 2,
            sum if 4 * shared >= sum => 1,
            _ => 0,
        }
    }

    /// Towns are one from a likeness of Jaro and Winkler of 0.92, hence of Jaro's of 13/15 at least; so the shares of letters that
    /// are not the other's add up to 2/5 at most.
    fn may_be_one_town(&self, other: &Self) -> bool {
        if self.city == LONG || other.city == LONG {
            return true;
        }
        let (all, others) = (usize::from(self.city) - 1, usize::from(other.city) - 1);
        let (ours, theirs) = (
            beside(self.letters, other.letters),
            beside(other.letters, self.letters),
        );
        5 * (ours * others + theirs * all) <= 2 * all * others
    }
}

/// At least so many are in the one that are not in the other.
fn beside(one: u32, other: u32) -> usize {
    (one & !other).count_ones() as usize
}

fn bit((one, next): (char, char)) -> u32 {
    let mixed =
        u32::from(one).wrapping_mul(0x9e37_79b1) ^ u32::from(next).wrapping_mul(0x85eb_ca6b);
    1 << (mixed >> 27)
}

fn length(known: bool, count: usize) -> u8 {
    match known {
        true => u8::try_from(count + 1).unwrap_or(LONG),
        false => 0,
    }
}

fn stands_for(text: Option<&str>) -> u8 {
    text.map_or(0, |text| {
        let [first, ..] = *blake3::hash(text.as_bytes()).as_bytes();
        first.max(1)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::matching::compare::place;

    fn subject() -> impl Strategy<Value = Subject> {
        let text =
            |pattern: &'static str| prop::option::of(prop::string::string_regex(pattern).unwrap());
        (
            text("[a-d]{0,6}(vía)?[a-d]{0,6}"),
            text("[1-3]"),
            text("[a-f]{0,4}(madrid)?[a-f]{0,2}"),
            text("2800[1-3]"),
            text("x|y"),
        )
            .prop_map(|(street, number, city, postal_code, state)| Subject {
                street,
                number,
                city,
                postal_code,
                state,
                ..Subject::default()
            })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4_096, ..ProptestConfig::default() })]

        #[test]
        fn two_records_never_share_more_of_a_place_than_their_whereabouts_allow(one in subject(), other in subject()) {
            let (a, b) = (Whereabouts::of(&one), Whereabouts::of(&other));
            prop_assert_eq!(Whereabouts::from_bytes(&a.to_bytes()), a);
            let level = place(&one, &other);
            match a.signs_shared_most(&b) {
                None => prop_assert!([0, 5, 6, 7].contains(&level), "{}", level),
                Some(most) => prop_assert!((5_usize.saturating_sub(most).max(1)..=5).contains(&usize::from(level)), "{} {}", most, level),
            }
            prop_assert_eq!(a.signs_shared_most(&b), b.signs_shared_most(&a));
        }
    }

    #[test]
    fn places_that_have_nothing_in_common_are_told_apart() {
        let of = |street: &str, number: &str, city: &str, code: &str| {
            Whereabouts::of(&Subject {
                street: Some(street.into()),
                number: Some(number.into()),
                city: Some(city.into()),
                postal_code: Some(code.into()),
                ..Subject::default()
            })
        };
        let home = of("granvia12", "12", "soria", "42001");
        assert_eq!(home.signs_shared_most(&home), Some(5));
        let far = of("avdelpuerto3", "3", "malaga", "29016");
        assert_eq!(home.signs_shared_most(&far), Some(0));
    }
}
