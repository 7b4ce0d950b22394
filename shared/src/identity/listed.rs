//! Lists of values in the rules: exact ones, and all that begin or end alike.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::identifier::{Identifier, Kind, Place, normalise};

/// Most values and patterns of one list.
pub const LISTED_MAX: usize = 10_000;
/// Most patterns of one kind: every value is held against each of them.
const PATTERNS_MAX: usize = 200;
/// Longest value or pattern. Unit: characters.
const CHARS_MAX: usize = 256;
/// What a pattern must say beside its star: fewer signs would be most people's.
const SAID_MIN: usize = 3;
/// Stands for anything, at the beginning or at the end of a value.
const ANYTHING: char = '*';

/// Why a list is none.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadList {
    /// It has too many values.
    #[error("{0} values are listed; at most {LISTED_MAX} may be")]
    TooMany(usize),
    /// A kind has too many patterns.
    #[error("{0} has more than {PATTERNS_MAX} patterns")]
    TooManyPatterns(&'static str),
    /// A value that nothing can be.
    #[error("{kind} {value:?}: write 1 to {CHARS_MAX} characters")]
    Length {
        /// Its kind.
        kind: &'static str,
        /// As it was written.
        value: String,
    },
    /// A pattern that says too little, or that no pattern is.
    #[error(
        "{kind} {value:?}: one * may stand at the beginning or at the end, beside at least {SAID_MIN} other characters, as info@* or *@example.org"
    )]
    Pattern {
        /// Its kind.
        kind: &'static str,
        /// As it was written.
        value: String,
    },
}

/// Values by kind, whatever their scope. `info@*` and `*@example.org` stand for all that begin or end so.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(
    from = "BTreeMap<Kind, BTreeSet<String>>",
    into = "BTreeMap<Kind, BTreeSet<String>>"
)]
pub struct Listed(BTreeMap<Kind, Values>);

#[derive(Clone, PartialEq, Eq, Default, Debug)]
struct Values {
    whole: BTreeSet<String>,
    /// With their star.
    patterns: BTreeSet<String>,
}

impl From<BTreeMap<Kind, BTreeSet<String>>> for Listed {
    fn from(values: BTreeMap<Kind, BTreeSet<String>>) -> Self {
        let mut listed = Self::default();
        for (kind, values) in values {
            for value in values {
                listed.insert(kind, value);
            }
        }
        listed
    }
}

impl From<Listed> for BTreeMap<Kind, BTreeSet<String>> {
    fn from(listed: Listed) -> Self {
        let all = |values: Values| values.whole.into_iter().chain(values.patterns).collect();
        let kinds = listed.0.into_iter();
        kinds.map(|(kind, values)| (kind, all(values))).collect()
    }
}

impl Listed {
    /// Whether `identifier` is one of them.
    #[must_use]
    pub fn holds(&self, identifier: &Identifier) -> bool {
        let Some(Values { whole, patterns }) = self.0.get(&identifier.kind) else {
            return false;
        };
        let value = identifier.value.as_str();
        whole.contains(value)
            || patterns.iter().any(|pattern| {
                if let Some(end) = pattern.strip_prefix(ANYTHING) {
                    value.ends_with(end)
                } else {
                    let begin = pattern.strip_suffix(ANYTHING);
                    begin.is_some_and(|begin| value.starts_with(begin))
                }
            })
    }

    /// The list with every value as it is stored, so that `Info@Example.org` finds `info@example.org`.
    ///
    /// # Errors
    /// [`BadList`]
    pub fn normalised(&self, place: &Place<'_>) -> Result<Self, BadList> {
        let count = self.values().count();
        if count > LISTED_MAX {
            return Err(BadList::TooMany(count));
        }
        let mut out = Self::default();
        for (kind, value) in self.values() {
            out.insert(kind, one(kind, value, place)?);
        }
        let many = out
            .0
            .iter()
            .find(|(_, of)| of.patterns.len() > PATTERNS_MAX);
        match many {
            Some((kind, _)) => Err(BadList::TooManyPatterns(kind.name())),
            None => Ok(out),
        }
    }

    /// Every value and pattern with its kind.
    pub fn values(&self) -> impl Iterator<Item = (Kind, &String)> {
        self.0.iter().flat_map(|(kind, values)| {
            let all = values.whole.iter().chain(&values.patterns);
            all.map(|value| (*kind, value))
        })
    }

    /// Adds a value or a pattern.
    pub fn insert(&mut self, kind: Kind, value: impl Into<String>) {
        let (value, values) = (value.into(), self.0.entry(kind).or_default());
        if value.contains(ANYTHING) {
            values.patterns.insert(value);
        } else {
            values.whole.insert(value);
        }
    }
}

fn one(kind: Kind, written: &str, place: &Place<'_>) -> Result<String, BadList> {
    let (kind_name, value) = (kind.name(), written.trim());
    if value.is_empty() || value.chars().count() > CHARS_MAX {
        return Err(BadList::Length {
            kind: kind_name,
            value: written.chars().take(CHARS_MAX).collect(),
        });
    }
    if value.contains(ANYTHING) {
        let said = value
            .strip_prefix(ANYTHING)
            .or_else(|| value.strip_suffix(ANYTHING))
            .unwrap_or(value);
        if said.contains(ANYTHING) || said.chars().count() < SAID_MIN {
            return Err(BadList::Pattern {
                kind: kind_name,
                value: value.to_owned(),
            });
        }
        // E-mail addresses are stored in small letters; other kinds as they are.
        return Ok(if kind == Kind::Email {
            value.to_lowercase()
        } else {
            value.to_owned()
        });
    }
    // What is no value of its kind is never stored, and harmless in a list.
    Ok(normalise(kind, value, place).map_or_else(|_| value.to_owned(), |found| found.value))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAIN: Place<'static> = Place {
        country: "ES",
        namespace: "",
    };

    fn email(value: &str) -> Identifier {
        normalise(Kind::Email, value, &SPAIN).unwrap()
    }

    #[test]
    fn values_are_found_as_they_are_stored_and_patterns_by_an_end() {
        let mut list = Listed::default();
        for value in ["Bad@Example.org ", "info@*", "*@Kiosk.example.org"] {
            list.insert(Kind::Email, value);
        }
        list.insert(Kind::Phone, "600 111 222");
        let list = list.normalised(&SPAIN).unwrap();
        for held in ["bad@example.org", "info@anything.es", "x@kiosk.example.org"] {
            assert!(list.holds(&email(held)), "{held}");
        }
        for not in ["bad@example.com", "my.info@anything.es", "x@example.org"] {
            assert!(!list.holds(&email(not)), "{not}");
        }
        let phone = normalise(Kind::Phone, "+34 600111222", &SPAIN).unwrap();
        assert!(list.holds(&phone));
        assert_eq!(list.normalised(&SPAIN).unwrap(), list);
        let text = serde_json::to_string(&list).unwrap();
        assert_eq!(serde_json::from_str::<Listed>(&text).unwrap(), list);
    }

    #[test]
    fn a_pattern_that_would_be_most_peoples_is_refused() {
        for bad in ["*", "a*", "*es", "in*fo@", "*info*", "", "  "] {
            let mut list = Listed::default();
            list.insert(Kind::Email, bad);
            assert!(list.normalised(&SPAIN).is_err(), "{bad:?}");
        }
    }
}
