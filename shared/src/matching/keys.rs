//! Under which keys a record may meet another: only records with a common key are ever compared.
//!
//! Owns the choice of keys. A key that too many persons share is left aside by whoever counts its holders; so every pair of
//! fields that tells people apart has a key of its own, unless whoever agrees on it agrees on another pair that tells people apart as
//! well: every key costs a row, and every one that many share costs comparisons.

use super::Subject;

/// Most keys of one record.
pub const KEYS_MAX: usize = 48;

/// The keys of a record, sorted, each once: the first eight bytes of BLAKE3 of their parts.
#[must_use]
pub fn keys(one: &Subject) -> Vec<u64> {
    with(one, true)
}

/// The same without its numbers and addresses, where whoever has one in common was judged by it already.
#[must_use]
pub fn keys_beside(one: &Subject) -> Vec<u64> {
    with(one, false)
}

fn with(one: &Subject, contacts: bool) -> Vec<u64> {
    let mut out = Keys::default();
    let given = one.given_sound();
    let given = given.as_deref();
    let surnames: Vec<String> = one.surname_sounds().take(3).collect();
    let birth = one.birth.as_ref().map(|birth| &birth[..]);
    let initial = |name: &str| name.get(..1).map(str::to_owned);
    for value in &one.documents {
        out.key(b"document", &[value.as_bytes()]);
    }
    if contacts {
        for value in &one.phones {
            out.key(b"phone", &[value.as_bytes()]);
        }
    }
    for value in &one.emails {
        if contacts {
            out.key(b"email", &[value.as_bytes()]);
        }
        if let Some(local) = value.split('@').next() {
            out.key(b"local part", &[local.as_bytes()]);
        }
    }
    if let Some(birth) = birth {
        let mut sorted = birth.to_vec();
        sorted.sort_unstable();
        // Names in no order: they may stand in each other's place.
        for name in given.into_iter().chain(surnames.iter().map(String::as_str)) {
            if let Some(initial) = initial(name) {
                out.key(b"digits of birth, initial", &[&sorted, initial.as_bytes()]);
            }
            out.key(b"year and month, name", &[&birth[..6], name.as_bytes()]);
            out.key(
                b"year and day, name",
                &[&birth[..4], &birth[6..], name.as_bytes()],
            );
            out.key(b"month and day, name", &[&birth[4..], name.as_bytes()]);
        }
        if let Some(state) = &one.state {
            out.key(b"birth, state", &[birth, state.as_bytes()]);
        }
    }
    for surname in &surnames {
        let Some(given) = given else { break };
        let mut pair = [given, surname.as_str()];
        pair.sort_unstable();
        let [a, b] = pair.map(str::as_bytes);
        out.key(b"names", &[a, b]);
        if let Some(city) = &one.city {
            out.key(b"names, city", &[a, b, city.as_bytes()]);
        }
        if let Some(birth) = birth {
            out.key(b"names, year", &[a, b, &birth[..4]]);
        }
    }
    for word in &one.words {
        for (of, place) in [
            (b"street, number", &one.number),
            (b"street, code  ", &one.postal_code),
            (b"street, city  ", &one.city),
        ] {
            if let Some(place) = place {
                out.key(of, &[word.as_bytes(), place.as_bytes()]);
            }
        }
    }
    for place in [&one.city, &one.postal_code] {
        if let (Some(place), Some(number)) = (place, &one.number) {
            out.key(b"place, number", &[place.as_bytes(), number.as_bytes()]);
        }
    }
    if let (Some(given), Some(surname)) = (given, surnames.first()) {
        let begin = |name: &str| name.chars().take(3).collect::<String>();
        out.key(
            b"given, beginning",
            &[given.as_bytes(), begin(surname).as_bytes()],
        );
        out.key(
            b"surname, beginning",
            &[surname.as_bytes(), begin(given).as_bytes()],
        );
    }
    for name in given.into_iter().chain(surnames.iter().map(String::as_str)) {
        if let Some(code) = &one.postal_code {
            out.key(b"code, name", &[code.as_bytes(), name.as_bytes()]);
        }
    }
    let mut keys = out.keys;
    keys.truncate(KEYS_MAX);
    keys.sort_unstable();
    keys.dedup();
    keys
}

#[derive(Default)]
struct Keys {
    keys: Vec<u64>,
    /// The parts of one key, one after the other: hashed at one go, which is several times faster.
    parts: Vec<u8>,
}

impl Keys {
    fn key(&mut self, of: &[u8], parts: &[&[u8]]) {
        self.parts.clear();
        self.parts.extend_from_slice(of);
        for part in parts {
            self.parts.extend((part.len() as u64).to_le_bytes());
            self.parts.extend_from_slice(part);
        }
        let hash = blake3::hash(&self.parts);
        let first = hash.as_bytes().iter().take(8);
        self.keys
            .push(first.rev().fold(0, |key, byte| key << 8 | u64::from(*byte)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys are stored.
    #[test]
    fn a_key_never_changes() {
        let mut keys = Keys::default();
        keys.key(b"names", &[b"ana", b"lopes"]);
        let mut hasher = blake3::Hasher::new();
        for part in [
            &b"names"[..],
            &[3, 0, 0, 0, 0, 0, 0, 0],
            b"ana",
            &[5, 0, 0, 0, 0, 0, 0, 0],
            b"lopes",
        ] {
            hasher.update(part);
        }
        let mut first = [0; 8];
        hasher.finalize_xof().fill(&mut first);
        assert_eq!(keys.keys, [u64::from_le_bytes(first)]);
    }
}
