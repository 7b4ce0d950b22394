//! Whether two full names can be one person's.
//!
//! Lenient to how names are written: swapped or missing surnames, initials, nicknames, spelling by ear, one typing
//! mistake. Strict where families differ: other given names under the same surnames, other surnames. Symmetric, and true
//! of a name and itself.

use super::birthday::are_generations;
use super::phonetic::{skeleton, sound_alike};
use super::tables::{ABBREVIATED_SURNAMES, COMPOUNDS, GIVEN, NICKNAMES, SURNAMES};

/// Shortest token in which one typing mistake is forgiven. Unit: letters.
const TYPO_LETTERS_MIN: usize = 5;

/// A full name, given names and surnames, and a birthday.
pub(crate) type Called<'a> = ((&'a [String], &'a [String]), Option<&'a str>);

/// Names of both can be one person's, and no generation lies between their birthdays.
pub(crate) fn can_be_one(one: Called<'_>, other: Called<'_>) -> bool {
    let born = one.1.zip(other.1);
    compatible(one.0, other.0) && !born.is_some_and(|(one, other)| are_generations(one, other))
}

/// Given names and surnames of both can be one person's.
pub(super) fn compatible(one: (&[String], &[String]), other: (&[String], &[String])) -> bool {
    if one == other {
        return true;
    }
    let (given, surnames) = (expand_given(one.0), expand_surnames(one.1));
    let (other_given, other_surnames) = (expand_given(other.0), expand_surnames(other.1));
    given_compatible(&given, &other_given) && surnames_compatible(&surnames, &other_surnames)
        || same_row(&given, &surnames, &other_given, &other_surnames)
        || given == other_surnames && surnames == other_given
}

/// One name for counting: nicknames resolved, spelled by ear, surnames in alphabetical order.
pub(super) fn key(given: &[String], surnames: &[String]) -> String {
    let canonical = |token: &&str| skeleton(full_forms(token).first().unwrap_or(token));
    let given: Vec<String> = expand_given(given).iter().map(canonical).collect();
    let mut surnames: Vec<String> = expand_surnames(surnames)
        .into_iter()
        .map(skeleton)
        .collect();
    surnames.sort_unstable();
    format!("{}|{}", given.join(" "), surnames.join(" "))
}

/// Is this a common given name?
pub(super) fn is_given(token: &str) -> bool {
    GIVEN.binary_search(&token).is_ok()
        || NICKNAMES.binary_search_by_key(&token, |row| row.0).is_ok()
        || COMPOUNDS.binary_search_by_key(&token, |row| row.0).is_ok()
}

/// Is this a common surname?
pub(super) fn is_surname(token: &str) -> bool {
    SURNAMES.binary_search(&token).is_ok()
}

/// How alike two names are, from the same to not at all.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Likeness {
    /// Written alike.
    Same,
    /// A nickname, a spelling by ear, or some of the names left out.
    Alike,
    /// One is the other's initial.
    Initial,
    /// Few letters differ.
    Close,
    /// Of several surnames one is shared, as among relatives.
    Shared,
    /// Another name.
    Other,
}

/// Whether names are the same however they are parted into words.
pub(crate) fn same_letters(one: &[String], other: &[String]) -> bool {
    let letters = |names: &'_ [String]| {
        names
            .iter()
            .flat_map(|name| name.bytes())
            .collect::<Vec<u8>>()
    };
    one == other || (one.len() != 1 || other.len() != 1) && letters(one) == letters(other)
}

/// How alike given names are.
pub(crate) fn given_likeness(one: &[String], other: &[String]) -> Likeness {
    if same_letters(one, other) {
        return Likeness::Same;
    }
    let (a, b) = (expand_given(one), expand_given(other));
    if given_compatible(&a, &b) {
        let initial = |names: &[&str]| names.iter().all(|name| name.chars().count() == 1);
        return match initial(&a) || initial(&b) {
            true => Likeness::Initial,
            false => Likeness::Alike,
        };
    }
    match (a.first(), b.first()) {
        (Some(a), Some(b)) if close(a, b, is_given) && !differ_in_gender(a, b) => Likeness::Close,
        _ if close(&one.concat(), &other.concat(), is_given) => Likeness::Close,
        _ => Likeness::Other,
    }
}

/// How alike surnames are.
pub(crate) fn surname_likeness(one: &[String], other: &[String]) -> Likeness {
    if same_letters(one, other) {
        return Likeness::Same;
    }
    let (a, b) = (expand_surnames(one), expand_surnames(other));
    if surnames_compatible(&a, &b) {
        return Likeness::Alike;
    }
    if close(&one.concat(), &other.concat(), is_surname) {
        return Likeness::Close;
    }
    let shared = |x: &&str| b.iter().any(|y| surname_alike(x, y) && x.len() > 1);
    if a.iter().any(shared) {
        return Likeness::Shared;
    }
    let near = |x: &&str| b.iter().any(|y| close(x, y, is_surname));
    if a.iter().any(near) {
        return Likeness::Close;
    }
    Likeness::Other
}

/// Few letters differ: a quarter of the longer one, or nearly all stand in their places; unless both are common names.
fn close(one: &str, other: &str, is_common: fn(&str) -> bool) -> bool {
    let (a, b) = (Letters::of(one), Letters::of(other));
    let letters = a.count.max(b.count);
    if letters < 3 {
        return false;
    }
    let edits = (letters / 4).max(1);
    // An edit takes away one letter at most and brings one at most.
    let few = a.count.abs_diff(b.count) <= edits && a.beside(&b) <= edits && b.beside(&a) <= edits;
    let alike = letters >= 5 && a.may_be_like(&b, JARO_WINKLER_MIN);
    (few || alike)
        && !(is_common(one) && is_common(other))
        && (few && strsim::osa_distance(one, other) <= edits
            || alike && JARO_WINKLER_MIN <= strsim::jaro_winkler(one, other))
}

/// Whether two words have a likeness of Jaro and Winkler of at least `least`.
pub(crate) fn jaro_winkler_from(one: &str, other: &str, least: f64) -> bool {
    one == other
        || Letters::of(one).may_be_like(&Letters::of(other), least)
            && strsim::jaro_winkler(one, other) >= least
}

/// Which letters a word has, and how many: what tells most pairs of words apart before they are compared.
struct Letters {
    count: usize,
    /// A bit for each, shared by some.
    set: u64,
}

impl Letters {
    fn of(word: &str) -> Self {
        let (mut count, mut set) = (0, 0);
        for letter in word.chars() {
            count += 1;
            set |= 1 << (u32::from(letter) % 64);
        }
        Self { count, set }
    }

    /// At least so many of its letters are not in the other word.
    fn beside(&self, other: &Self) -> usize {
        (self.set & !other.set).count_ones() as usize
    }

    /// Whether the likeness of Jaro and Winkler may be `least` or more. Jaro's is at most a third of the shares of letters in common
    /// and one more; Winkler adds four tenths of what is missing at most.
    fn may_be_like(&self, other: &Self, least: f64) -> bool {
        let jaro = (least - 0.4) / 0.6;
        let common = (self.count - self.beside(other)).min(other.count - other.beside(self));
        let shares = |count: usize| common as f64 / count.max(1) as f64;
        shares(self.count) + shares(other.count) + 1.0 >= 3.0 * jaro - 1e-9
    }
}

/// Likeness of Jaro and Winkler from which two names may be one, mistyped.
const JARO_WINKLER_MIN: f64 = 0.9;

fn expand_given(tokens: &[String]) -> Vec<&str> {
    let mut expanded = Vec::with_capacity(tokens.len() + 1);
    for token in tokens {
        match COMPOUNDS.binary_search_by_key(&token.as_str(), |row| row.0) {
            Ok(at) => expanded.extend_from_slice(COMPOUNDS[at].1),
            Err(_) => expanded.push(token.as_str()),
        }
    }
    expanded
}

fn expand_surnames(tokens: &[String]) -> Vec<&str> {
    let full =
        |token: &String| ABBREVIATED_SURNAMES.binary_search_by_key(&token.as_str(), |row| row.0);
    tokens
        .iter()
        .map(|token| full(token).map_or(token.as_str(), |at| ABBREVIATED_SURNAMES[at].1))
        .collect()
}

/// The names that a given name is short for.
pub(super) fn full_forms(token: &str) -> &'static [&'static str] {
    NICKNAMES
        .binary_search_by_key(&token, |row| row.0)
        .map_or(&[], |at| NICKNAMES[at].1)
}

/// The shorter is the longer with names left out, in order: María is María José, Carlos is Juan Carlos, but María is not
/// José María and José is not María José.
fn given_compatible(one: &[&str], other: &[&str]) -> bool {
    let (short, long) = if one.len() <= other.len() {
        (one, other)
    } else {
        (other, one)
    };
    if one.len() != other.len() && short.len() == 1 && leads_only(short[0]) {
        return given_alike(short[0], long[0]);
    }
    let mut rest = long.iter();
    let in_order = short
        .iter()
        .all(|token| rest.by_ref().any(|other| given_alike(token, other)));
    in_order || one.concat() == other.concat()
}

/// Names that change their meaning in second place: José María is a man, María José and María Jesús are women.
fn leads_only(token: &str) -> bool {
    matches!(token, "maria" | "jose" | "jesus")
}

fn given_alike(one: &str, other: &str) -> bool {
    one == other
        || is_initial_of(one, other)
        || is_initial_of(other, one)
        || share_full_form(one, other)
        || sound_alike(one, other)
        || is_typo(one, other, is_given) && !differ_in_gender(one, other)
}

fn share_full_form(one: &str, other: &str) -> bool {
    let (forms, other_forms) = (full_forms(one), full_forms(other));
    forms.contains(&other)
        || other_forms.contains(&one)
        || forms.iter().any(|form| other_forms.contains(form))
}

/// Every surname of the side with fewer is one of the other's, each once, in any order.
fn surnames_compatible(one: &[&str], other: &[&str]) -> bool {
    let (short, long) = if one.len() <= other.len() {
        (one, other)
    } else {
        (other, one)
    };
    matches_each(short, long, 0)
}

/// A matching of every `short` token with its own `long` token; `taken` is a set of bits. Names have at most
/// `NAME_TOKENS_MAX` tokens, and few of them are alike, so the search ends soon.
fn matches_each(short: &[&str], long: &[&str], taken: u32) -> bool {
    let Some((first, rest)) = short.split_first() else {
        return true;
    };
    long.iter().enumerate().any(|(at, token)| {
        taken & 1 << at == 0
            && surname_alike(first, token)
            && matches_each(rest, long, taken | 1 << at)
    })
}

fn surname_alike(one: &str, other: &str) -> bool {
    one == other
        || is_initial_of(one, other)
        || is_initial_of(other, one)
        || sound_alike(one, other)
        || is_typo(one, other, is_surname)
}

/// The same row of names, split elsewhere into given names and surnames.
fn same_row(
    given: &[&str],
    surnames: &[&str],
    other_given: &[&str],
    other_surnames: &[&str],
) -> bool {
    let row = given.iter().chain(surnames);
    let other_row = other_given.iter().chain(other_surnames);
    given.len() + surnames.len() == other_given.len() + other_surnames.len()
        && row
            .zip(other_row)
            .all(|(one, other)| sound_alike(one, other))
}

fn is_initial_of(one: &str, other: &str) -> bool {
    let mut letters = one.chars();
    letters
        .next()
        .is_some_and(|initial| letters.next().is_none() && other.starts_with(initial))
}

/// One letter wrong, missing, too much or two swapped, in tokens long enough, unless both are common names.
fn is_typo(one: &str, other: &str, is_common: fn(&str) -> bool) -> bool {
    let long_enough = |token: &str| token.len() >= TYPO_LETTERS_MIN && token.is_ascii();
    long_enough(one)
        && long_enough(other)
        && one_edit_apart(one.as_bytes(), other.as_bytes())
        && !(is_common(one) && is_common(other))
}

/// Whether one letter is wrong, missing or too much, or two neighbours are swapped.
pub(crate) fn one_edit(one: &str, other: &str) -> bool {
    match one.is_ascii() && other.is_ascii() {
        true => one_edit_apart(one.as_bytes(), other.as_bytes()),
        false => strsim::osa_distance(one, other) == 1,
    }
}

/// Whether the Damerau-Levenshtein distance is 1: what stands between the common beginning and end is one letter on one
/// side or on both, or two letters swapped.
fn one_edit_apart(one: &[u8], other: &[u8]) -> bool {
    if one.len().abs_diff(other.len()) > 1 {
        return false;
    }
    let begin = one.iter().zip(other).take_while(|(a, b)| a == b).count();
    let (one, other) = (&one[begin..], &other[begin..]);
    let end = one
        .iter()
        .rev()
        .zip(other.iter().rev())
        .take_while(|(a, b)| a == b)
        .count();
    match (&one[..one.len() - end], &other[..other.len() - end]) {
        ([_], [_]) | ([_], []) | ([], [_]) => true,
        ([a, b], [c, d]) => a == d && b == c,
        _ => false,
    }
}

/// Fernando and Fernanda, Daniel and Daniela: brother and sister, not a typing mistake.
fn differ_in_gender(one: &str, other: &str) -> bool {
    let feminine_of = |woman: &str, man: &str| {
        woman
            .strip_suffix('a')
            .is_some_and(|stem| stem == man || man.strip_suffix(['o', 'e']) == Some(stem))
    };
    feminine_of(one, other) || feminine_of(other, one)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn one_edit_is_a_distance_of_one(one in "[a-c]{0,6}", other in "[a-c]{0,6}") {
            let expected = strsim::osa_distance(&one, &other) == 1;
            prop_assert_eq!(one_edit_apart(one.as_bytes(), other.as_bytes()), expected);
            prop_assert_eq!(one_edit(&one, &other), expected);
        }

        /// What is told apart by its letters alone is far apart.
        #[test]
        fn close_words_are_found_whatever_their_letters(one in "[a-eñ]{0,9}", other in "[a-eñ]{0,9}", least in 0.85..1.0_f64) {
            let letters = one.chars().count().max(other.chars().count());
            let near = strsim::osa_distance(&one, &other) <= (letters / 4).max(1);
            let like = letters >= 5 && strsim::jaro_winkler(&one, &other) >= JARO_WINKLER_MIN;
            prop_assert_eq!(close(&one, &other, |_| false), letters >= 3 && (near || like));
            let expected = strsim::jaro_winkler(&one, &other) >= least;
            prop_assert_eq!(jaro_winkler_from(&one, &other, least), expected);
        }
    }
}
