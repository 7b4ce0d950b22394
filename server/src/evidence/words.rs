//! The searchable words of a person.

use std::collections::BTreeSet;

use trenza_shared::{identifier::Kind, identity::Payload, person::fold};

/// Longest word of the search index. Unit: bytes.
const WORD_BYTES_MAX: usize = 64;

/// Most words indexed of one fingerprint.
const WORDS_MAX: usize = 48;

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
    out.into_iter().take(WORDS_MAX).collect()
}

fn shortened(word: &str) -> String {
    word.char_indices()
        .take_while(|(at, char)| at + char.len_utf8() <= WORD_BYTES_MAX)
        .map(|(_, char)| char)
        .collect()
}
