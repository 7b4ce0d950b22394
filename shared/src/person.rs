//! What is known of a person by name, birth and address, normalised for matching.
//!
//! Owns folding of names and whether two names can be one person's. A name alone never links anybody.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Person fields of an event's traits, folded: no accents, lower case, single spaces.
#[derive(Default, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Person {
    /// Given names, in order.
    pub given: Vec<String>,
    /// Surnames, in order, without particles.
    pub surnames: Vec<String>,
    /// Date of birth, `YYYY-MM-DD`.
    pub birthday: Option<String>,
    /// Street and number.
    pub street: Option<String>,
    /// Town.
    pub city: Option<String>,
    /// Postal code, capitals without spaces.
    pub postal_code: Option<String>,
    /// Province or state.
    pub state: Option<String>,
    /// Country.
    pub country: Option<String>,
    /// Gender as given.
    pub gender: Option<String>,
    /// Employer or firm.
    pub company: Option<String>,
}

impl Person {
    /// Reads the person fields of traits; what is missing or of another type is left out.
    #[must_use]
    pub fn from_traits(traits: &Map<String, Value>) -> Person {
        let text = |name: &str| {
            traits
                .get(name)
                .and_then(Value::as_str)
                .map(fold)
                .unwrap_or_default()
        };
        let tokens = |text: String| {
            text.split(' ')
                .filter(|t| !t.is_empty())
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let mut surnames = tokens(text("lastName"));
        surnames.extend(tokens(text("secondLastName")));
        Person {
            given: tokens(text("firstName")),
            surnames,
            ..Person::default()
        }
    }

    /// Whether nothing at all is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Person::default()
    }

    /// Given names and surnames, when both are known.
    #[must_use]
    pub fn full_name(&self) -> Option<(&[String], &[String])> {
        (!self.given.is_empty() && !self.surnames.is_empty())
            .then_some((&self.given, &self.surnames))
    }

    /// Whether two people can be one by their names. True when either lacks a full name.
    #[must_use]
    pub fn names_compatible(&self, other: &Person) -> bool {
        match (self.full_name(), other.full_name()) {
            (Some((given, surnames)), Some((other_given, other_surnames))) => {
                given.first() == other_given.first() && surnames.first() == other_surnames.first()
            }
            _ => true,
        }
    }

    /// A canonical form of the full name, for counting distinct names.
    #[must_use]
    pub fn name_key(&self) -> Option<String> {
        self.full_name()
            .map(|(given, surnames)| format!("{} {}", given.join(" "), surnames.join(" ")))
    }
}

/// Folds text for search and comparison: compatibility forms, no accents (ñ becomes n), lower case, single spaces.
#[must_use]
pub fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for c in text
        .nfkd()
        .filter(|c| !is_combining_mark(*c))
        .flat_map(char::to_lowercase)
    {
        if c.is_whitespace() || c.is_control() {
            if !folded.is_empty() && !folded.ends_with(' ') {
                folded.push(' ');
            }
        } else {
            folded.push(c);
        }
    }
    if folded.ends_with(' ') {
        folded.pop();
    }
    folded
}
