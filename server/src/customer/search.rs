//! Finding customers by fragments of names and identifiers.
//!
//! Every word of a query is looked for as it was typed: as the beginning of any word of a customer. Where that finds few,
//! names are looked for as well by any part, by their sound, by what they are short for, and in spite of typing mistakes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use trenza_shared::{
    id::Fingerprint,
    identity::Group,
    person::{Spelling, is_mistyped, looked_for, spellings},
    store::{Direction, Key, StoreError, Table, Value, View, scan_prefix},
};

use super::record::{FOUND_MAX, group_of};
use crate::{
    evidence,
    identity::read,
    tables::{SPELLINGS, WORDS},
};

/// Most words of a query that count.
const QUERY_WORDS_MAX: usize = 6;
/// Most fingerprints listed of one word; words of more are looked for together.
const HITS_MAX: usize = 2_000;
/// So many found as they were typed are enough: names are not looked for as they may be spelt otherwise.
const ENOUGH: usize = 10;
/// Most customers looked at whose words stand in several fingerprints; where somebody bears all in one, none.
const SCATTERED_MAX: usize = 200;
/// Most other spellings of one word that are listed under one form.
const SPELLINGS_MAX: usize = 30;
/// Most rows read to find who bears several frequent words.
const JOINED_ROWS_MAX: usize = 40_000;
/// Rows of one word read at once.
const PAGE_ROWS: usize = 256;
/// Most fingerprints of a customer whose words are compared.
const MEMBERS_MAX: usize = 200;

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

/// Customers of which every word of the query is some word, at most [`FOUND_MAX`]: as typed before otherwise spelt, each by seed.
///
/// # Errors
/// The store cannot be read.
pub fn find(view: &dyn View, query: &str) -> Result<Vec<Group>, StoreError> {
    let typed = words(query);
    if typed.is_empty() {
        return Ok(Vec::new());
    }
    let as_typed: Vec<Vec<Term>> = typed
        .iter()
        .map(|word| vec![Term::Beginning(word.clone())])
        .collect();
    let mut found: Vec<Group> = matching(view, &as_typed)?.into_values().collect();
    // Whoever types an address or a number means it as it is.
    let is_name = !query.contains('@') && !query.chars().any(|char| char.is_ascii_digit());
    if is_name && found.len() < ENOUGH {
        let mut wider = as_typed;
        for (terms, word) in wider.iter_mut().zip(&typed) {
            terms.extend(otherwise(view, word)?);
        }
        for (seed, group) in matching(view, &wider)? {
            if found.iter().all(|known| known.seed != seed) {
                found.push(group);
            }
        }
        found.truncate(FOUND_MAX);
    }
    Ok(found)
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
    let rows = scan_prefix(view, table.space(), prefix, Direction::Forward, max)?;
    rows.iter()
        .map(|row| table.read(row).map(|((_, of), _)| of))
        .collect()
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

/// Customers who bear some term of every word, by seed; at most [`FOUND_MAX`].
fn matching(
    view: &dyn View,
    wanted: &[Vec<Term>],
) -> Result<BTreeMap<Fingerprint, Group>, StoreError> {
    let mut lists = Vec::with_capacity(wanted.len());
    for terms in wanted {
        lists.push((bearers(view, terms)?, terms.as_slice()));
    }
    // Whoever bears every word bears the rarest.
    lists.sort_by_key(|(list, _)| list.len());
    let mut found = BTreeMap::new();
    let Some(((rarest, _), others)) = lists.split_first() else {
        return Ok(found);
    };
    if rarest.len() > HITS_MAX {
        // So many bear each of them that those are looked for who bear all at once.
        for fingerprint in together(view, wanted)? {
            add(view, &fingerprint, &mut found, |_| Ok(true))?;
        }
    }
    // Names stand together: nearly everybody is found in one place.
    let mut rest = Vec::new();
    for fingerprint in rarest {
        if found.len() >= FOUND_MAX {
            break;
        }
        let mut all = true;
        for (list, terms) in others {
            all = all && bears(view, fingerprint, list, terms)?;
        }
        match all {
            true => add(view, fingerprint, &mut found, |_| Ok(true))?,
            false => rest.push(*fingerprint),
        }
    }
    let scattered = if found.is_empty() { SCATTERED_MAX } else { 0 };
    for fingerprint in rest.into_iter().take(scattered) {
        add(view, &fingerprint, &mut found, |group| {
            bears_all(view, group, &fingerprint, wanted)
        })?;
    }
    Ok(found)
}

/// Whether a fingerprint bears a word: the list tells, where it names everybody who does.
fn bears(
    view: &dyn View,
    fingerprint: &Fingerprint,
    list: &BTreeSet<Fingerprint>,
    terms: &[Term],
) -> Result<bool, StoreError> {
    if list.contains(fingerprint) {
        return Ok(true);
    }
    match terms.first() {
        Some(Term::Beginning(word) | Term::Whole(word)) if list.len() > HITS_MAX => {
            WORDS.has(view, &(word.clone(), *fingerprint))
        }
        _ => Ok(false),
    }
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

/// Who bears any of some terms; more than [`HITS_MAX`] says that there are too many to list.
fn bearers(view: &dyn View, terms: &[Term]) -> Result<BTreeSet<Fingerprint>, StoreError> {
    let mut found = BTreeSet::new();
    for term in terms {
        found.append(&mut match term {
            Term::Beginning(start) => beginning(view, WORDS, start)?,
            Term::Whole(word) => {
                let noted = noted(view, WORDS, &word.to_key(), HITS_MAX + 1)?;
                noted.into_iter().collect()
            }
        });
        if found.len() > HITS_MAX {
            break;
        }
    }
    Ok(found)
}

/// Who bears, in one fingerprint, all of some frequent words as they were typed; what [`JOINED_ROWS_MAX`] rows tell.
fn together(view: &dyn View, wanted: &[Vec<Term>]) -> Result<Vec<Fingerprint>, StoreError> {
    let typed = wanted.iter().filter_map(|terms| match terms.first() {
        Some(Term::Beginning(word) | Term::Whole(word)) => Some(Bearers::of(word)),
        None => None,
    });
    let mut lists: Vec<Bearers<'_>> = typed.collect();
    let (mut found, mut from, mut rows) = (Vec::new(), Fingerprint([0; 16]), 0);
    'next: while found.len() < FOUND_MAX && rows < JOINED_ROWS_MAX {
        for list in &mut lists {
            let Some(at) = list.seek(view, from, &mut rows)? else {
                break 'next;
            };
            if at != from {
                from = at;
                continue 'next;
            }
        }
        found.push(from);
        let Some(next) = after(from) else { break };
        from = next;
    }
    Ok(found)
}

fn after(fingerprint: Fingerprint) -> Option<Fingerprint> {
    let next = u128::from_be_bytes(fingerprint.0).checked_add(1)?;
    Some(Fingerprint(next.to_be_bytes()))
}

/// Who bears a word, in order, read page by page.
struct Bearers<'a> {
    word: &'a String,
    page: VecDeque<Fingerprint>,
}

impl<'a> Bearers<'a> {
    fn of(word: &'a String) -> Self {
        Self {
            word,
            page: VecDeque::new(),
        }
    }

    /// The first at or after `from`.
    fn seek(
        &mut self,
        view: &dyn View,
        from: Fingerprint,
        rows: &mut usize,
    ) -> Result<Option<Fingerprint>, StoreError> {
        while self.page.front().is_some_and(|first| *first < from) {
            self.page.pop_front();
        }
        if self.page.is_empty() {
            let key = (self.word.clone(), from);
            let page = WORDS.scan_prefix_from(view, self.word, &key, PAGE_ROWS)?;
            *rows += PAGE_ROWS;
            self.page = page.into_iter().map(|((_, one), _)| one).collect();
        }
        Ok(self.page.front().copied())
    }
}
