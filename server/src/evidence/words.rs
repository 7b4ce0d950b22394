//! The searchable words of a person.

use std::collections::{BTreeMap, BTreeSet};

use trenza_shared::{
    identifier::{Identifier, Kind},
    identity::Payload,
    person::fold,
};

use crate::tables::AccountRow;

/// Longest word of the search index. Unit: bytes.
const WORD_BYTES_MAX: usize = 64;

/// Most surnames of one person that are looked at.
const SURNAMES_MAX: usize = 3;
/// Beginnings of numbers of landlines, E.164: a line that rings in a home. Of countries where a number does not tell, none.
const LANDLINES: [&str; 2] = ["+348", "+349"];

/// Most words indexed of one fingerprint.
const WORDS_MAX: usize = 48;

/// The searchable words of an account: of its name, of its number in a register, and the id that its issuer gave it.
pub fn account_words(row: &AccountRow) -> BTreeSet<String> {
    let traits = ["name", "nationalId"]
        .into_iter()
        .filter_map(|name| row.whole.text(name));
    let texts = traits.chain([row.value.clone()]);
    let words: BTreeSet<String> = texts.flat_map(|text| split(&text)).collect();
    words.into_iter().take(WORDS_MAX).collect()
}

/// What says that people may live together.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Home {
    /// An address with a surname.
    Address {
        /// Street and number, folded.
        street: String,
        /// Postal code, else the town, folded.
        place: String,
        /// A surname, folded.
        surname: String,
    },
    /// A landline.
    Landline(Identifier),
}

/// What says that people may live together: an address with a surname, a landline. Many share each; that they are one person it
/// never says.
pub fn homes(payload: &Payload) -> BTreeMap<[u8; 16], Home> {
    let person = &payload.person;
    let place = person.postal_code.as_ref().or(person.city.as_ref());
    let mut out = BTreeMap::new();
    if let (Some(street), Some(place)) = (&person.street, place) {
        for surname in person.surnames.iter().take(SURNAMES_MAX) {
            let home = Home::Address {
                street: street.clone(),
                place: place.clone(),
                surname: surname.clone(),
            };
            out.insert(hashed(&[street, place, surname]), home);
        }
    }
    let phones = payload.identifiers.iter().filter(|one| {
        one.kind == Kind::Phone && LANDLINES.iter().any(|start| one.value.starts_with(start))
    });
    out.extend(phones.map(|one| (hashed(&[&one.value]), Home::Landline(one.clone()))));
    out
}

fn hashed(parts: &[&str]) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    let mut out = [0; 16];
    hasher.finalize_xof().fill(&mut out);
    out
}

/// The searchable words of a payload: folded parts of names and identifiers, and of each whether it is one of a name.
pub fn words(payload: &Payload) -> BTreeMap<String, bool> {
    let person = &payload.person;
    let names = person.given.iter().chain(&person.surnames);
    let names = names.chain(person.company.iter());
    let values = payload.identifiers.iter();
    let values = values.filter(|one| one.kind != Kind::AnonymousId);
    let mut out = BTreeMap::new();
    for name in names {
        out.extend(split(name).map(|word| (word, true)));
    }
    for word in values.flat_map(|one| split(&one.value)) {
        out.entry(word).or_default();
    }
    out.into_iter().take(WORDS_MAX).collect()
}

/// The words of a text, and the whole of it where it is one word.
fn split(text: &str) -> impl Iterator<Item = String> + use<> {
    let folded = fold(text);
    let whole = folded.trim_start_matches('+');
    let whole = (!whole.contains(' ')).then_some(whole);
    let words: Vec<String> = folded
        .split(|char: char| !char.is_alphanumeric())
        .chain(whole)
        .filter(|word| word.chars().count() >= 2)
        .map(shortened)
        .collect();
    words.into_iter()
}

fn shortened(word: &str) -> String {
    word.char_indices()
        .take_while(|(at, char)| at + char.len_utf8() <= WORD_BYTES_MAX)
        .map(|(_, char)| char)
        .collect()
}
