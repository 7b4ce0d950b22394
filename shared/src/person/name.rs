//! One field with a whole name: where the given names end and the surnames begin, and what is a company's name instead.

use super::compare::{is_given, is_surname};
use super::fold::{field, name_tokens};

/// What a `name` turns out to be.
pub(super) enum Split {
    /// Given names and surnames; the latter may be empty.
    Person(Vec<String>, Vec<String>),
    /// A firm's name.
    Company(String),
    /// Nothing that names anybody.
    Nothing,
}

/// Forms of address before a name.
const TITLES: [&str; 15] = [
    "sr", "sra", "srta", "don", "dona", "dna", "dr", "dra", "mr", "mrs", "ms", "miss", "ing",
    "lic", "prof",
];

/// Legal forms at the end of a company's name, without dots. `sa` alone is also a surname: see [`legal_form`].
const LEGAL_FORMS: [&str; 18] = [
    "sl", "slu", "sll", "slp", "sau", "sal", "scoop", "srl", "sas", "spa", "ltda", "ltd", "inc",
    "llc", "gmbh", "eirl", "cb", "sa de cv",
];

/// Splits a whole name, with what is already known of it from other fields.
pub(super) fn split(raw: &str, given: &[String], surnames: &[String]) -> Split {
    if is_company(raw) {
        return company(raw).map_or(Split::Nothing, Split::Company);
    }
    let tokens = name_tokens(raw);
    if let Some(rest) = tokens.strip_prefix(given).filter(|_| !given.is_empty()) {
        return Split::Person(given.to_vec(), rest.to_vec());
    }
    if let Some(rest) = tokens
        .strip_suffix(surnames)
        .filter(|_| !surnames.is_empty())
    {
        return Split::Person(rest.to_vec(), surnames.to_vec());
    }
    if !given.is_empty() || !surnames.is_empty() || tokens.is_empty() {
        // The fields contradict each other: what stands in its own field is surer.
        return Split::Nothing;
    }
    match raw.split_once(',') {
        Some((last, first))
            if !first.contains(',')
                && !name_tokens(first).is_empty()
                && !name_tokens(last).is_empty() =>
        {
            Split::Person(name_tokens(first), name_tokens(last))
        }
        _ => straight(tokens),
    }
}

/// Given names first, then surnames.
fn straight(mut tokens: Vec<String>) -> Split {
    if tokens.len() > 2 && TITLES.contains(&tokens[0].as_str()) {
        tokens.remove(0);
    }
    let second_is_given = tokens.get(1).is_some_and(|token| is_given(token));
    let second_is_surname = tokens.get(1).is_some_and(|token| is_surname(token));
    let given = match tokens.len() {
        0..=2 => 1,
        // Juan Carlos Pérez, but Ana Martín García.
        3 if second_is_given && !second_is_surname => 2,
        3 => 1,
        4 if second_is_surname && !second_is_given => 1,
        // Juan Martín García López.
        4 => 2,
        more => {
            let leading = tokens.iter().take_while(|token| is_given(token)).count();
            if leading == 0 {
                more - 2
            } else {
                leading.min(more - 2)
            }
        }
    };
    let surnames = tokens.split_off(given.min(tokens.len()));
    Split::Person(tokens, surnames)
}

fn is_company(raw: &str) -> bool {
    legal_form(raw).is_some() || raw.contains('&') || raw.chars().any(|c| c.is_ascii_digit())
}

/// Where the legal form begins, if the text ends in one: `Acme, S.L.`, `Acme SL`, `Acme S.A.`; not `María Sá`.
fn legal_form(raw: &str) -> Option<usize> {
    let text = raw.trim_end();
    let at = text
        .rfind(|c: char| c.is_whitespace() || c == ',')
        .map(|at| at + 1)?;
    let word = text.get(at..)?;
    let bare: String = word
        .chars()
        .filter(|c| *c != '.')
        .collect::<String>()
        .to_ascii_lowercase();
    let dotted_sa = bare == "sa" && word.contains('.');
    (dotted_sa || LEGAL_FORMS.contains(&bare.as_str())).then_some(at)
}

/// A company's name, folded, without its legal form.
pub(super) fn company(raw: &str) -> Option<String> {
    let name = legal_form(raw).map_or(raw, |at| &raw[..at]);
    field(name.trim_end_matches(|c: char| c.is_whitespace() || c == ',')).or_else(|| field(raw))
}
