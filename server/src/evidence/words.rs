//! The searchable words of a person.

use std::collections::BTreeSet;

use trenza_shared::{identifier::Kind, identity::Payload, person::fold};

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
    let mut out = BTreeSet::new();
    for text in traits.chain([row.value.clone()]) {
        add(&mut out, &text);
    }
    out.into_iter().take(WORDS_MAX).collect()
}

/// What says that people may live together: an address with a surname, a landline. Many share each; that they are one person it
/// never says.
pub fn homes(payload: &Payload) -> BTreeSet<[u8; 16]> {
    let person = &payload.person;
    let place = person.postal_code.as_ref().or(person.city.as_ref());
    let mut out = BTreeSet::new();
    if let (Some(street), Some(place)) = (&person.street, place) {
        for surname in person.surnames.iter().take(SURNAMES_MAX) {
            out.insert(hashed(&[street, place, surname]));
        }
    }
    let phones = payload.identifiers.iter().filter(|one| {
        one.kind == Kind::Phone && LANDLINES.iter().any(|start| one.value.starts_with(start))
    });
    out.extend(phones.map(|one| hashed(&[&one.value])));
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

/// The searchable words of a payload: folded parts of names and identifiers.
pub fn words(payload: &Payload) -> BTreeSet<String> {
    let person = &payload.person;
    let names = person
        .given
        .iter()
        .chain(&person.surnames)
        .chain(person.company.iter());
    let values = payload
        .identifiers
        .iter()
        .filter(|one| one.kind != Kind::AnonymousId)
        .map(|one| &one.value);
    let mut out = BTreeSet::new();
    for text in names.chain(values) {
        add(&mut out, text);
    }
    out.into_iter().take(WORDS_MAX).collect()
}

/// The words of a text, and the whole of it where it is one word.
fn add(out: &mut BTreeSet<String>, text: &str) {
    let folded = fold(text);
    for word in folded
        .split(|char: char| !char.is_alphanumeric())
        .filter(|word| word.chars().count() >= 2)
    {
        out.insert(shortened(word));
    }
    let whole = folded.trim_start_matches('+');
    if whole.len() >= 2 && !whole.contains(' ') {
        out.insert(shortened(whole));
    }
}

fn shortened(word: &str) -> String {
    word.char_indices()
        .take_while(|(at, char)| at + char.len_utf8() <= WORD_BYTES_MAX)
        .map(|(_, char)| char)
        .collect()
}
