//! Finding customers by fragments of names and identifiers.

use std::collections::BTreeSet;

use trenza_shared::{
    identity::Group,
    person::fold,
    store::{Direction, Key, Range, StoreError, Table, View, prefix_end},
};

use super::record::{FOUND_MAX, group_of};
use crate::tables::WORDS;

/// Most words of a query that count.
const QUERY_WORDS_MAX: usize = 6;
/// Most hits looked at per word.
const HITS_MAX: usize = 5_000;

/// Customers of which every word of the query begins some word, by seed; at most [`FOUND_MAX`].
///
/// # Errors
/// The store cannot be read.
pub fn find(view: &dyn View, query: &str) -> Result<Vec<Group>, StoreError> {
    let mut groups: Option<Vec<Group>> = None;
    for word in words(query) {
        let mut seen = BTreeSet::new();
        let mut found = Vec::new();
        for fingerprint in beginning(view, WORDS, &word)? {
            if seen.contains(&fingerprint) {
                continue;
            }
            if let Some(group) = group_of(view, &fingerprint)? {
                seen.extend(group.members.iter().copied());
                found.push(group);
            }
        }
        groups = Some(match groups {
            None => found,
            Some(before) => before
                .into_iter()
                .filter(|group| found.iter().any(|other| other.seed == group.seed))
                .collect(),
        });
    }
    let mut groups = groups.unwrap_or_default();
    groups.sort_by_key(|group| group.seed);
    groups.truncate(FOUND_MAX);
    Ok(groups)
}

/// The words of a query that count, folded.
pub fn words(query: &str) -> Vec<String> {
    fold(query)
        .split(|char: char| !char.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .take(QUERY_WORDS_MAX)
        .map(str::to_owned)
        .collect()
}

/// Whatever is noted under words that begin so; at most [`HITS_MAX`].
///
/// # Errors
/// The store cannot be read.
pub fn beginning<K: Key + Ord>(
    view: &dyn View,
    table: Table<(String, K), ()>,
    word: &str,
) -> Result<BTreeSet<K>, StoreError> {
    // A text key ends with two zero bytes; without them it is the prefix of every word that begins so.
    let prefix = word.as_bytes();
    let to = prefix_end(prefix);
    let rows = view.scan(
        table.space(),
        Range {
            from: prefix,
            to: to.as_deref(),
        },
        Direction::Forward,
        HITS_MAX,
    )?;
    rows.iter()
        .map(|entry| table.read(entry).map(|((_, of), ())| of))
        .collect()
}
