//! Finding customers by fragments of names and identifiers.
//!
//! Every word of a query is looked for as it was typed: as the beginning of any word of a customer. Where that finds few,
//! names are looked for as well by any part, by their sound, by what they are short for, and in spite of typing mistakes.

mod together; // who bears frequent words, all at once

use std::collections::{BTreeMap, BTreeSet};

use trenza_shared::{
    id::Fingerprint,
    identity::Group,
    person::{Spelling, is_mistyped, looked_for, spellings},
    store::{Key, Range, StoreError, Table, Value, View, prefix_end},
};

use together::{Bearers, together};

use super::{
    lookup::{self, Scopes},
    record::{FOUND_MAX, group_of},
};
use crate::{
    evidence,
    identity::read,
    tables::{SPELLINGS, WORDS},
};

/// Most words of a query that count.
const QUERY_WORDS_MAX: usize = 6;
/// Most fingerprints listed of one word; words of more are looked for together.
const HITS_MAX: usize = 2_000;
/// Most fingerprints of which the words themselves are compared with those that too many bear to be listed; so few at once.
const COMPARED_MAX: usize = 200;
const COMPARED_FEW: usize = 100;
/// So many found as they were typed are enough: names are not looked for as they may be spelt otherwise.
const ENOUGH: usize = 10;
/// Most customers looked at whose words stand in several fingerprints; where somebody bears all in one, none.
const SCATTERED_MAX: usize = 200;
/// Most other spellings of one word that are listed under one form.
const SPELLINGS_MAX: usize = 30;
/// Most fingerprints of a customer whose words are compared.
const MEMBERS_MAX: usize = 200;

/// Fewer digits are no beginning of a telephone number.
const NUMBER_DIGITS_MIN: usize = 3;
/// What is dialled for a call abroad, before the country's code.
const ABROAD: &str = "00";

/// A word that customers may bear.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Term {
    /// Any word that begins so.
    Beginning(String),
    /// This one.
    Whole(String),
}

impl Term {
    fn is_among(&self, words: &BTreeSet<String>) -> bool {
        match self {
            Self::Whole(word) => words.contains(word),
            Self::Beginning(start) => words
                .range(start.clone()..)
                .next()
                .is_some_and(|word| word.starts_with(start)),
        }
    }
}

/// What a query found.
#[derive(Default)]
pub struct Found {
    /// At most [`FOUND_MAX`]: as typed before otherwise spelt, each by seed.
    pub groups: Vec<Group>,
    /// There may be more: some of those who bear its words were not looked at.
    pub more: bool,
}

/// Whom a text that somebody typed may mean: who holds it as a whole value first, since whoever types one means it, then who bears
/// its words.
///
/// # Errors
/// The store cannot be read.
pub fn whoever(view: &dyn View, scopes: &Scopes, text: &str) -> Result<Found, StoreError> {
    let groups = lookup::groups(view, &scopes.guesses(text))?;
    let mut found = Found {
        groups,
        more: false,
    };
    // Nobody types the whole of an address to find another that begins like it.
    if text.contains('@') && !found.groups.is_empty() {
        found.groups.truncate(FOUND_MAX);
        return Ok(found);
    }
    let codes = scopes.calling_codes();
    let by_words = find(view, text, &codes)?;
    found.add(by_words);
    if found.groups.is_empty() {
        let joined = numbers_joined(text);
        if joined != text {
            found.add(find(view, &joined, &codes)?);
        }
    }
    found.groups.truncate(FOUND_MAX);
    Ok(found)
}

impl Found {
    fn add(&mut self, other: Self) {
        for group in other.groups {
            if self.groups.iter().all(|known| known.seed != group.seed) {
                self.groups.push(group);
            }
        }
        self.more |= other.more;
    }
}

/// The same text with the parts of a number in one piece, as in `600 111 222`.
fn numbers_joined(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let is_gap = |char: &char| matches!(char, ' ' | '.' | '-' | '/' | '(' | ')');
    let mut joined = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(char) = chars.get(at) {
        let gap = chars
            .iter()
            .skip(at)
            .take_while(|char| is_gap(char))
            .count();
        let digit = |char: Option<&char>| char.is_some_and(char::is_ascii_digit);
        if gap > 0 && digit(joined.chars().last().as_ref()) && digit(chars.get(at + gap)) {
            at += gap;
            continue;
        }
        joined.push(*char);
        at += 1;
    }
    joined
}

/// Customers of which every word of the query is some word. `codes` may stand before what of a number was typed without.
///
/// # Errors
/// The store cannot be read.
pub fn find(view: &dyn View, query: &str, codes: &BTreeSet<String>) -> Result<Found, StoreError> {
    let typed = words(query);
    if typed.is_empty() {
        return Ok(Found::default());
    }
    let as_typed: Vec<Vec<Term>> = typed.iter().map(|word| begun(word, codes)).collect();
    // Whoever types an address or a number means it as it is.
    let is_name = !query.contains('@') && !query.chars().any(|char| char.is_ascii_digit());
    let (found, mut more) = matching(view, &as_typed, !is_name)?;
    let mut groups: Vec<Group> = found.into_values().collect();
    if is_name && groups.len() < ENOUGH {
        let mut wider = as_typed;
        for (terms, word) in wider.iter_mut().zip(&typed) {
            terms.extend(otherwise(view, word)?);
        }
        let found;
        (found, more) = matching(view, &wider, true)?;
        for (seed, group) in found {
            if groups.iter().all(|known| known.seed != seed) {
                groups.push(group);
            }
        }
    }
    more |= groups.len() >= FOUND_MAX;
    groups.truncate(FOUND_MAX);
    Ok(Found { groups, more })
}

/// What begins as a word was typed; a number also as it is called from abroad, which is how it is stored.
fn begun(word: &str, codes: &BTreeSet<String>) -> Vec<Term> {
    let mut terms = vec![Term::Beginning(word.to_owned())];
    if word.len() >= NUMBER_DIGITS_MIN && word.bytes().all(|byte| byte.is_ascii_digit()) {
        match word.strip_prefix(ABROAD) {
            Some(rest) if !rest.is_empty() => terms.push(Term::Beginning(rest.to_owned())),
            _ => {
                let abroad = codes
                    .iter()
                    .map(|code| Term::Beginning(format!("{code}{word}")));
                terms.extend(abroad);
            }
        }
    }
    terms
}

/// The words of a query that count.
pub fn words(query: &str) -> BTreeSet<String> {
    let words = looked_for(query).into_iter();
    words.take(QUERY_WORDS_MAX).collect()
}

/// Whatever is noted under words that begin so; of very many, more than are ever listed.
///
/// # Errors
/// The store cannot be read.
pub fn beginning<K: Key + Ord, V: Value>(
    view: &dyn View,
    table: Table<(String, K), V>,
    start: &str,
) -> Result<BTreeSet<K>, StoreError> {
    // A text key ends with two zero bytes; without them it is the prefix of every word that begins so.
    let noted = noted(view, table, start.as_bytes(), HITS_MAX + 1)?;
    Ok(noted.into_iter().collect())
}

fn noted<K: Key, V: Value>(
    view: &dyn View,
    table: Table<(String, K), V>,
    prefix: &[u8],
    max: usize,
) -> Result<Vec<K>, StoreError> {
    let end = prefix_end(prefix);
    let range = Range {
        from: prefix,
        to: end.as_deref(),
    };
    table.noted(view, range, max)
}

/// How else a word may be spelt, the nearest first.
fn otherwise(view: &dyn View, word: &str) -> Result<Vec<Term>, StoreError> {
    let listed = |prefix: &[u8]| noted(view, SPELLINGS, prefix, SPELLINGS_MAX);
    let mut terms: Vec<Term> = Vec::new();
    for spelling in spellings(word) {
        let mut other = match &spelling {
            Spelling::Full(full) => vec![full.clone()],
            Spelling::Part(part) => listed(part.as_bytes())?,
            Spelling::ShortFor(form) | Spelling::Sound(form) | Spelling::Mistyped(form) => {
                listed(&form.to_key())?
            }
        };
        if matches!(spelling, Spelling::Mistyped(_)) {
            other.retain(|listed| is_mistyped(word, listed));
        }
        for other in other.into_iter().map(Term::Whole) {
            if !terms.contains(&other) {
                terms.push(other);
            }
        }
    }
    Ok(terms)
}

/// Customers who bear some term of every word, by seed, at most [`FOUND_MAX`], and whether there may be more. Where too many bear each
/// word, only a `thorough` search looks for more than those who bear them as they were typed.
fn matching(
    view: &dyn View,
    wanted: &[Vec<Term>],
    thorough: bool,
) -> Result<(BTreeMap<Fingerprint, Group>, bool), StoreError> {
    let lists = listed(view, wanted)?;
    let mut found = BTreeMap::new();
    let Some((rarest, others)) = lists.split_first() else {
        return Ok((found, false));
    };
    let few = rarest.whole && rarest.bearers.len() <= COMPARED_FEW;
    if !few && lists.iter().any(|list| !list.whole) {
        // So many bear some of them that those are looked for who bear all at once.
        let bearers = lists.iter().map(|list| match list.whole {
            true => Ok(Bearers::listed(&list.bearers)),
            false => Bearers::of(view, list.terms),
        });
        let all = together(view, bearers.collect::<Result<_, _>>()?)?;
        for fingerprint in all.found {
            add(view, &fingerprint, &mut found, |_| Ok(true))?;
        }
        let enough = found.len() >= FOUND_MAX || (all.whole && !found.is_empty());
        if !thorough || enough {
            return Ok((found, true));
        }
    }
    let (mut more, mut compared) = (!rarest.whole, 0);
    // Names stand together: nearly everybody is found in one place.
    let mut rest = Vec::new();
    for fingerprint in &rarest.bearers {
        if found.len() >= FOUND_MAX {
            break;
        }
        let lacks = |list: &&Listed<'_>| list.bearers.binary_search(fingerprint).is_err();
        let mut open = others.iter().filter(lacks).peekable();
        // Lists that are whole come first.
        if open.peek().is_some_and(|list| list.whole) {
            rest.push(*fingerprint);
            continue;
        }
        // Who bears the others is not listed to the end: its own words tell.
        if open.peek().is_some() {
            compared += 1;
            if compared > COMPARED_MAX {
                more = true;
                break;
            }
            let node = read::node(view, fingerprint)?;
            let borne = node.map(|node| evidence::words(&node.payload).into_keys().collect());
            let borne: BTreeSet<String> = borne.unwrap_or_default();
            if !open.all(|list| list.terms.iter().any(|term| term.is_among(&borne))) {
                rest.push(*fingerprint);
                continue;
            }
        }
        add(view, fingerprint, &mut found, |_| Ok(true))?;
    }
    if found.is_empty() {
        more |= rest.len() > SCATTERED_MAX;
        for fingerprint in rest.into_iter().take(SCATTERED_MAX) {
            add(view, &fingerprint, &mut found, |group| {
                bears_all(view, group, &fingerprint, wanted)
            })?;
        }
    }
    Ok((found, more))
}

/// Adds the customer of a fingerprint, unless there are enough, or it is there, or it is not one of those wanted.
fn add(
    view: &dyn View,
    fingerprint: &Fingerprint,
    found: &mut BTreeMap<Fingerprint, Group>,
    is_wanted: impl Fn(&Group) -> Result<bool, StoreError>,
) -> Result<(), StoreError> {
    if found.len() >= FOUND_MAX {
        return Ok(());
    }
    if let Some(group) = group_of(view, fingerprint)?
        && !found.contains_key(&group.seed)
        && is_wanted(&group)?
    {
        found.insert(group.seed, group);
    }
    Ok(())
}

/// Whether a customer bears some term of every word. The fingerprint that was found is asked first: names stand together.
fn bears_all(
    view: &dyn View,
    group: &Group,
    found: &Fingerprint,
    wanted: &[Vec<Term>],
) -> Result<bool, StoreError> {
    let mut borne = BTreeSet::new();
    let others = group.members.iter().filter(|member| *member != found);
    for member in [found].into_iter().chain(others).take(MEMBERS_MAX) {
        if let Some(node) = read::node(view, member)? {
            borne.extend(evidence::words(&node.payload).into_keys());
        }
        let all = |terms: &Vec<Term>| terms.iter().any(|term| term.is_among(&borne));
        if wanted.iter().all(all) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Who bears a word of a query.
struct Listed<'a> {
    terms: &'a [Term],
    /// In order, each once.
    bearers: Vec<Fingerprint>,
    /// Nobody else does.
    whole: bool,
}

/// Who bears each word, at most about [`HITS_MAX`] of each term; the rarest word first: whoever bears every word bears that.
fn listed<'a>(view: &dyn View, wanted: &'a [Vec<Term>]) -> Result<Vec<Listed<'a>>, StoreError> {
    let mut lists = Vec::with_capacity(wanted.len());
    for terms in wanted {
        let (mut bearers, mut whole) = (Vec::new(), true);
        for term in terms {
            // A text key ends with two zero bytes; without them it is the prefix of every word that begins so.
            let noted: Vec<Fingerprint> = match term {
                Term::Beginning(start) => noted(view, WORDS, start.as_bytes(), HITS_MAX + 1)?,
                Term::Whole(word) => noted(view, WORDS, &word.to_key(), HITS_MAX + 1)?,
            };
            whole &= noted.len() <= HITS_MAX;
            bearers.extend(noted);
            if bearers.len() > 2 * HITS_MAX {
                whole = false;
                break;
            }
        }
        bearers.sort_unstable();
        bearers.dedup();
        lists.push(Listed {
            terms,
            bearers,
            whole,
        });
    }
    lists.sort_by_key(|list| (!list.whole, list.bearers.len()));
    Ok(lists)
}
