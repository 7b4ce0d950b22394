//! Folding of text for search and comparison.

use std::borrow::Cow;

use unicode_normalization::char::{decompose_compatible, is_combining_mark};

/// Folds text for search and comparison: compatibility forms, no accents (ñ becomes n), lower case, white space and
/// control characters as single spaces, none at the ends. Folding folded text changes nothing.
#[must_use]
pub fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii() {
            push(&mut folded, c.to_ascii_lowercase());
            continue;
        }
        // Lower case comes first and last: some capitals decompose only as small letters, and some signs into capitals.
        for small in c.to_lowercase() {
            decompose_compatible(small, |plain| {
                if !is_combining_mark(plain) {
                    plain
                        .to_lowercase()
                        .for_each(|c| push_letter(&mut folded, c));
                }
            });
        }
    }
    folded.truncate(folded.trim_end().len());
    folded
}

fn push_letter(folded: &mut String, c: char) {
    match letters(c) {
        Some(letters) => folded.push_str(letters),
        None => push(folded, c),
    }
}

fn push(folded: &mut String, c: char) {
    if !c.is_whitespace() && !c.is_control() {
        folded.push(c);
    } else if !folded.is_empty() && !folded.ends_with(' ') {
        folded.push(' ');
    }
}

/// Letters that Unicode does not take apart but people type as others.
const fn letters(c: char) -> Option<&'static str> {
    match c {
        'ß' => Some("ss"),
        'æ' => Some("ae"),
        'œ' => Some("oe"),
        'ø' => Some("o"),
        'đ' | 'ð' => Some("d"),
        'ł' => Some("l"),
        'ı' => Some("i"),
        'þ' => Some("th"),
        _ => None,
    }
}

/// Most tokens of a name that count.
pub(super) const NAME_TOKENS_MAX: usize = 8;

/// Most bytes of a raw field that are read: longer ones are no name and no address.
pub(super) const FIELD_BYTES_MAX: usize = 512;

/// What joins names without being one.
const PARTICLES: [&str; 14] = [
    "de", "del", "la", "las", "los", "y", "e", "i", "da", "do", "dos", "das", "van", "von",
];

/// What people and programs write when there is no name.
const NOBODY: [&str; 16] = [
    "null",
    "undefined",
    "none",
    "nan",
    "test",
    "prueba",
    "unknown",
    "desconocido",
    "desconocida",
    "anonimo",
    "anonima",
    "anonymous",
    "xx",
    "xxx",
    "xxxx",
    "n/a",
];

/// The tokens of a name: folded, without particles, apostrophes joined (O'Brien is one), everything else apart.
pub(super) fn name_tokens(raw: &str) -> Vec<String> {
    let Some(folded) = folded_name(raw) else {
        return Vec::new();
    };
    let mut tokens = tokens(&folded);
    // Whatever signs or particles stand beside it: what is left is read again as a name of its own.
    if matches!(tokens.as_slice(), [one] if NOBODY.contains(&one.as_str())) {
        tokens.clear();
    }
    tokens
}

fn tokens(folded: &str) -> Vec<String> {
    let all = || {
        folded
            .split(|c: char| !c.is_alphanumeric())
            .filter(|token| !token.is_empty())
    };
    let mut tokens: Vec<String> = all()
        .filter(|token| !PARTICLES.contains(token))
        .take(NAME_TOKENS_MAX)
        .map(str::to_owned)
        .collect();
    if tokens.is_empty() {
        // A name of particles alone is a name: Mr. Los, Ms. Da.
        tokens = all().take(NAME_TOKENS_MAX).map(str::to_owned).collect();
    }
    tokens
}

/// The words by which somebody looks for a person, taken apart as names are.
#[must_use]
pub fn looked_for(raw: &str) -> Vec<String> {
    tokens(&folded_text(raw))
}

fn folded_name(raw: &str) -> Option<String> {
    if raw.len() > FIELD_BYTES_MAX {
        return None;
    }
    let folded = folded_text(raw);
    (!NOBODY.contains(&folded.trim())).then_some(folded)
}

fn folded_text(raw: &str) -> String {
    let is_apostrophe = |c: char| matches!(c, '\'' | '’' | '‘' | '`' | '´' | 'ʼ');
    let mut text = Cow::Borrowed(raw);
    if text.contains(is_apostrophe) {
        text = Cow::Owned(text.replace(is_apostrophe, ""));
    }
    // Mª and M.ª are María; Fco. is Francisco.
    if text.contains('ª') {
        text = Cow::Owned(text.replace(".ª", "ª"));
    }
    let mut folded = fold(&text);
    // Some signs, as that of a full-width keyboard, are apostrophes only once they are folded.
    folded.retain(|c| !is_apostrophe(c));
    folded
}

/// One folded field, if there is something in it.
pub(super) fn field(raw: &str) -> Option<String> {
    if raw.len() > FIELD_BYTES_MAX {
        return None;
    }
    let folded = fold(raw);
    (folded.chars().any(char::is_alphanumeric) && !NOBODY.contains(&folded.as_str()))
        .then_some(folded)
}
