//! Words of a record as it wrote them: what is compared is folded, and has neither accents nor capitals.
//!
//! Owns the way back, for what people read. Compares nothing.

use std::collections::BTreeMap;

use serde_json::Value;
use trenza_shared::{
    fragment::Customer,
    person::{Person, fold},
};

/// Longest street that is shown. Unit: characters.
const STREET_CHARS_MAX: usize = 120;
/// Traits whose words are written as in the record, with accents and capitals.
const WRITTEN: [&str; 6] = [
    "firstName",
    "lastName",
    "secondLastName",
    "name",
    "address",
    "city",
];

/// The words of one record or more as they were written, by what they fold to.
#[derive(Default)]
pub struct Written {
    words: BTreeMap<String, String>,
    /// Streets as they were written.
    streets: Vec<String>,
}

impl Written {
    /// Those of one record.
    pub fn of(customer: &Customer) -> Self {
        let mut written = Self::default();
        written.learn(customer);
        written
    }

    /// Those of another record beside them.
    pub fn learn(&mut self, customer: &Customer) {
        let registers = WRITTEN.iter().filter_map(|name| customer.traits.get(*name));
        for claim in registers.flat_map(|register| register.claims()) {
            if let Ok(value) = serde_json::from_str(&claim.val) {
                self.add(&value);
            }
        }
    }

    fn add(&mut self, value: &Value) {
        match value {
            Value::String(text) => {
                for word in text.split(|c: char| !c.is_alphanumeric()) {
                    let known = self
                        .words
                        .entry(fold(word))
                        .or_insert_with(|| word.to_owned());
                    if care(word) > care(known) {
                        word.clone_into(known);
                    }
                }
            }
            Value::Object(members) => {
                if let Some(Value::String(street)) = members.get("street") {
                    self.streets.push(street.clone());
                }
                members.values().for_each(|value| self.add(value));
            }
            _ => {}
        }
    }

    /// Folded words as they were written; with a capital where nobody wrote them.
    pub fn words(&self, folded: &str) -> String {
        let words = folded.split(' ').map(|word| match self.words.get(word) {
            Some(written) => written.clone(),
            None => {
                let mut letters = word.chars();
                let first = letters.next().into_iter().flat_map(char::to_uppercase);
                first.chain(letters).collect()
            }
        });
        words.collect::<Vec<_>>().join(" ")
    }

    /// A folded street as it was written: matching leaves out `calle` and the like.
    pub fn street(&self, folded: &str) -> String {
        let as_written = self.streets.iter().find(|written| {
            let traits = serde_json::json!({"address": {"street": written}});
            let read = traits.as_object().map(Person::from_traits);
            read.is_some_and(|person| person.street.as_deref() == Some(folded))
        });
        as_written.map_or_else(
            || self.words(folded),
            |written| written.trim().chars().take(STREET_CHARS_MAX).collect(),
        )
    }

    /// An address on one line.
    pub fn address(&self, person: &Person) -> Option<String> {
        let street = person.street.as_deref().map(|street| self.street(street));
        let code = person.postal_code.as_deref().map(str::to_uppercase);
        let rest =
            [&person.city, &person.state].map(|one| one.as_deref().map(|one| self.words(one)));
        let parts: Vec<String> = [street, code].into_iter().chain(rest).flatten().collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    }
}

/// With how much care a word is written: ANA and ana are both written better as Ana, Garcia better as García.
fn care(word: &str) -> (bool, bool) {
    let is_mixed = word != word.to_uppercase() && word != word.to_lowercase();
    (is_mixed, !word.is_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_ways_to_write_a_word_the_most_careful_one_is_shown() {
        for order in [
            ["garcía", "GARCIA", "Garcia", "García"],
            ["García", "Garcia", "GARCIA", "garcía"],
        ] {
            let mut written = Written::default();
            order.iter().for_each(|word| written.add(&(*word).into()));
            assert_eq!(written.words("ana garcia"), "Ana García");
        }
    }
}
