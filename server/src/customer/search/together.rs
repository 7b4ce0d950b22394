//! Who bears several words that are each borne by very many: found without listing the bearers of any.
//!
//! The bearers of every word stand in order. What all have in common is found by going through them side by side, each time to the
//! first that none has passed yet; of frequent words that have much in common a small part of the rows is read.

use std::collections::VecDeque;

use trenza_shared::{
    id::Fingerprint,
    store::{Direction, Key, Range, StoreError, View, prefix_end},
};

use super::{FOUND_MAX, Term};
use crate::tables::WORDS;

/// Most work of one search. Unit: rows that are read.
const WORK_MAX: usize = 100_000;
/// What it costs to begin to read. Unit: rows.
const BEGIN_ROWS: usize = 32;
/// Fewest and most rows of one word that are read at once.
const PAGE_ROWS: (usize, usize) = (16, 256);
/// Begins every letter that is not ASCII.
const FIRST_OF_OTHERS: u8 = 0x80;
/// Most words of names that stand for one beginning.
const WORDS_MAX: usize = 64;

/// Those who bear, in one fingerprint, some term of every word.
pub struct Together {
    /// The least first; at most [`FOUND_MAX`].
    pub found: Vec<Fingerprint>,
    /// Of those who bear words of letters alone, nobody is left out.
    pub whole: bool,
}

/// Finds those whom every list has.
///
/// # Errors
/// The store cannot be read.
pub fn together(view: &dyn View, mut lists: Vec<Bearers>) -> Result<Together, StoreError> {
    let (mut found, mut from, mut work) = (Vec::new(), Fingerprint([0; 16]), 0);
    for list in &mut lists {
        list.seek(view, from, &mut work)?;
    }
    // The rarest leads: the others are asked for nobody that it does not have.
    lists.sort_by(|one, other| one.about().total_cmp(&other.about()));
    let whole = lists.iter().all(|list| list.whole);
    'next: while found.len() < FOUND_MAX && work < WORK_MAX {
        for list in &mut lists {
            let Some(at) = list.seek(view, from, &mut work)? else {
                return Ok(Together { found, whole });
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
    Ok(Together {
        found,
        whole: false,
    })
}

fn after(fingerprint: Fingerprint) -> Option<Fingerprint> {
    let next = u128::from_be_bytes(fingerprint.0).checked_add(1)?;
    Some(Fingerprint(next.to_be_bytes()))
}

/// Words of names that begin so, in order; at most [`WORDS_MAX`].
fn begun(view: &dyn View, start: &str) -> Result<Vec<String>, StoreError> {
    let end = prefix_end(start.as_bytes());
    let mut from = start.as_bytes().to_vec();
    let mut words = Vec::new();
    while words.len() < WORDS_MAX && end.as_ref().is_none_or(|end| from < *end) {
        let range = Range {
            from: &from,
            to: end.as_deref(),
        };
        let rows = view.scan(WORDS.space(), range, Direction::Forward, 1)?;
        let Some(row) = rows.first() else { break };
        let ((word, _), _) = WORDS.read(row)?;
        let no_letter = |char: char| char.is_ascii() && !char.is_ascii_lowercase();
        // Numbers and addresses are no names, and very many begin like one: on to what has a letter there.
        from = match word.find(no_letter) {
            Some(at) => {
                let (before, rest) = word.split_at(at);
                let next = if rest < "a" { b'a' } else { FIRST_OF_OTHERS };
                before.bytes().chain([next]).collect()
            }
            None => {
                let last = (word.clone(), Fingerprint([0xFF; 16])).to_key();
                words.push(word);
                last.into_iter().chain([0]).collect()
            }
        };
    }
    Ok(words)
}

/// Who bears any of some words, in order, read page by page.
pub struct Bearers {
    lists: Vec<OfWord>,
    /// No word is left out.
    whole: bool,
}

struct OfWord {
    word: String,
    page: VecDeque<Fingerprint>,
    page_rows: usize,
    /// How often the page was asked.
    asked: usize,
    /// Nobody after those of the page.
    ends: bool,
}

impl Bearers {
    /// Those who bear some term. Of a beginning, names alone.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn of(view: &dyn View, terms: &[Term]) -> Result<Self, StoreError> {
        let (mut words, mut whole) = (Vec::<String>::new(), true);
        for term in terms {
            match term {
                Term::Whole(word) => words.push(word.clone()),
                Term::Beginning(start) => {
                    words.push(start.clone());
                    let begun = begun(view, start)?;
                    whole &= begun.len() < WORDS_MAX;
                    words.extend(begun);
                }
            }
        }
        words.sort_unstable();
        words.dedup();
        let lists = words.into_iter().map(|word| OfWord {
            word,
            page: VecDeque::new(),
            page_rows: PAGE_ROWS.0,
            asked: 0,
            ends: false,
        });
        let lists = lists.collect();
        Ok(Self { lists, whole })
    }

    /// Those who were listed before, in order: all there are.
    pub fn listed(bearers: &[Fingerprint]) -> Self {
        let all = OfWord {
            word: String::new(),
            page: bearers.iter().copied().collect(),
            page_rows: PAGE_ROWS.0,
            asked: 0,
            ends: true,
        };
        Self {
            lists: vec![all],
            whole: true,
        }
    }

    /// The first at or after `from`.
    fn seek(
        &mut self,
        view: &dyn View,
        from: Fingerprint,
        work: &mut usize,
    ) -> Result<Option<Fingerprint>, StoreError> {
        let mut first = None;
        for list in &mut self.lists {
            if let Some(at) = list.seek(view, from, work)? {
                first = Some(first.map_or(at, |first: Fingerprint| first.min(at)));
            }
        }
        Ok(first)
    }

    /// About how many they are, by their first page: fingerprints are spread evenly.
    fn about(&self) -> f64 {
        self.lists.iter().map(OfWord::about).sum()
    }
}

impl OfWord {
    fn seek(
        &mut self,
        view: &dyn View,
        from: Fingerprint,
        work: &mut usize,
    ) -> Result<Option<Fingerprint>, StoreError> {
        while self.page.front().is_some_and(|first| *first < from) {
            self.page.pop_front();
        }
        if self.page.is_empty() && !self.ends {
            // Where most of a page is passed over, less is read next time.
            let (fewest, most) = PAGE_ROWS;
            let rows = if 4 * self.asked >= self.page_rows {
                2 * self.page_rows
            } else {
                self.page_rows / 2
            };
            (self.page_rows, self.asked) = (rows.clamp(fewest, most), 0);
            let prefix = self.word.to_key();
            let (start, end) = ((self.word.clone(), from).to_key(), prefix_end(&prefix));
            let range = Range {
                from: &start,
                to: end.as_deref(),
            };
            self.page = WORDS.noted(view, range, self.page_rows)?.into();
            *work += BEGIN_ROWS + self.page.len();
            self.ends = self.page.len() < self.page_rows;
        }
        self.asked += 1;
        Ok(self.page.front().copied())
    }

    fn about(&self) -> f64 {
        let rows = self.page.len() as f64;
        match self.page.back() {
            Some(last) if !self.ends => {
                let part = u128::from_be_bytes(last.0) as f64 / u128::MAX as f64;
                rows / part.max(f64::MIN_POSITIVE)
            }
            _ => rows,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use trenza_shared::store::{Batch, Durable, MemStore, Store};

    use super::*;

    /// Words that begin alike: names, numbers, addresses, signs.
    fn word() -> impl Strategy<Value = String> {
        "[ab]{0,2}[abñ1.@~_{]{0,3}".prop_filter("a word", |word| !word.is_empty())
    }

    fn store_of(rows: &[(String, u8)]) -> MemStore {
        let (store, mut batch) = (MemStore::new(), Batch::new());
        for (word, who) in rows {
            let key = (word.clone(), Fingerprint([*who; 16]));
            WORDS.put(&mut batch, &key, &true).unwrap();
        }
        store.commit(batch, Durable::Yes).unwrap();
        store
    }

    fn is_name(word: &str) -> bool {
        word.chars()
            .all(|char| !char.is_ascii() || char.is_ascii_lowercase())
    }

    proptest! {
        #[test]
        fn who_bears_all_is_found_as_by_looking_at_everybody(
            rows in prop::collection::vec((word(), 0..40u8), 0..200),
            wanted in prop::collection::vec(prop::collection::vec((word(), any::<bool>()), 1..3), 1..3),
        ) {
            let store = store_of(&rows);
            let wanted: Vec<Vec<Term>> = wanted.into_iter().map(|terms| {
                let terms = terms.into_iter();
                terms.map(|(word, whole)| if whole { Term::Whole(word) } else { Term::Beginning(word) }).collect()
            }).collect();
            let names = |start: &str| -> BTreeSet<&String> {
                rows.iter().map(|(word, _)| word).filter(|word| is_name(word) && word.starts_with(start)).collect()
            };
            for term in wanted.iter().flatten() {
                if let Term::Beginning(start) = term {
                    let found = begun(&store, start).unwrap();
                    let all: Vec<String> = names(start).into_iter().take(WORDS_MAX).cloned().collect();
                    prop_assert_eq!(found, all);
                }
            }
            let bears = |who: u8, term: &Term| rows.iter().any(|(word, by)| *by == who && match term {
                Term::Whole(whole) => word == whole,
                Term::Beginning(start) => word == start || names(start).into_iter().take(WORDS_MAX).any(|name| name == word),
            });
            let all = (0..40).filter(|who| wanted.iter().all(|terms| terms.iter().any(|term| bears(*who, term))));
            let all: Vec<Fingerprint> = all.map(|who| Fingerprint([who; 16])).collect();
            let lists = wanted.iter().map(|terms| Bearers::of(&store, terms).unwrap());
            let told = together(&store, lists.collect()).unwrap();
            prop_assert_eq!(told.found, all);
            prop_assert!(told.whole || wanted.iter().flatten().any(|term| matches!(term, Term::Beginning(start) if names(start).len() >= WORDS_MAX)));
        }
    }
}
