//! What is known of a person by name, birth and address, normalised for matching.
//!
//! Owns reading the person fields of traits, folding them, and whether two names can be one person's. Never links
//! anybody: a name alone is no reason to.

mod address;
mod birthday;
mod compare;
mod fold;
mod name;
mod phonetic;
mod spelling;
mod tables;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub(crate) use compare::{
    Called, Likeness, can_be_one, given_likeness, jaro_winkler_from, one_edit, same_letters,
    surname_likeness,
};
pub use fold::{fold, looked_for};
pub(crate) use phonetic::skeleton;
pub use spelling::{Spelling, forms, is_mistyped, spellings};

/// Person fields of an event's traits, folded: no accents, lower case, single spaces.
#[derive(Default, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Person {
    /// Given names, in order, without particles.
    pub given: Vec<String>,
    /// Surnames, in order, without particles.
    pub surnames: Vec<String>,
    /// Date of birth, `YYYY-MM-DD`.
    pub birthday: Option<String>,
    /// Eight digits, year first, of a date of birth that does not exist: a mistyped one is no birthday, but tells people apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub birth_digits: Option<String>,
    /// Street and number; `calle` and the like left out, other kinds of street abbreviated.
    pub street: Option<String>,
    /// Town.
    pub city: Option<String>,
    /// Postal code, letters and digits only.
    pub postal_code: Option<String>,
    /// Province or state.
    pub state: Option<String>,
    /// Country, ISO 3166-1 alpha-2 in lower case when its name is known, else as given.
    pub country: Option<String>,
    /// `male`, `female`, or as given. A bare `m` says nothing: it is *male* in English and *mujer* in Spanish.
    pub gender: Option<String>,
    /// Employer or firm, without its legal form.
    pub company: Option<String>,
}

impl Person {
    /// Reads the person fields of traits; what is missing, of another type or obviously a filler is left out.
    #[must_use]
    pub fn from_traits(traits: &Map<String, Value>) -> Person {
        let named = |field: &str| {
            traits
                .get(field)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let mut given = fold::name_tokens(named("firstName"));
        let mut surnames = fold::name_tokens(named("lastName"));
        surnames.extend(fold::name_tokens(named("secondLastName")));
        surnames.truncate(fold::NAME_TOKENS_MAX);
        let company = traits
            .get("company")
            .and_then(|company| company.as_str().or_else(|| company.get("name")?.as_str()));
        let mut company = company.and_then(name::company);
        if given.is_empty() || surnames.is_empty() {
            match name::split(named("name"), &given, &surnames) {
                name::Split::Person(all_given, all_surnames) => {
                    (given, surnames) = (all_given, all_surnames)
                }
                name::Split::Company(firm) => company = company.or(Some(firm)),
                name::Split::Nothing => {}
            }
        }
        let address = address::Address::from_traits(traits);
        let born = traits.get("birthday").and_then(Value::as_str);
        let birthday = born.and_then(birthday::normal_form);
        Person {
            given,
            surnames,
            birth_digits: match birthday {
                Some(_) => None,
                None => born.and_then(birthday::digits),
            },
            birthday,
            street: address.street,
            city: address.city,
            postal_code: address.postal_code,
            state: address.state,
            country: address.country,
            gender: traits
                .get("gender")
                .and_then(Value::as_str)
                .and_then(gender),
            company,
        }
    }

    /// Whether nothing at all is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self {
            given,
            surnames,
            birthday,
            birth_digits,
            street,
            city,
            postal_code,
            state,
            country,
            gender,
            company,
        } = self;
        let fields = [
            birthday,
            birth_digits,
            street,
            city,
            postal_code,
            state,
            country,
            gender,
            company,
        ];
        given.is_empty() && surnames.is_empty() && fields.into_iter().all(Option::is_none)
    }

    /// Given names and surnames, when both are known.
    #[must_use]
    pub fn full_name(&self) -> Option<(&[String], &[String])> {
        (!self.given.is_empty() && !self.surnames.is_empty())
            .then_some((&self.given, &self.surnames))
    }

    /// Whether two people can be one by their names. True when either lacks a full name.
    ///
    /// Symmetric, but not transitive: `M. García` can be María and can be Marta.
    #[must_use]
    pub fn names_compatible(&self, other: &Person) -> bool {
        match (self.full_name(), other.full_name()) {
            (Some(one), Some(other)) => compare::compatible(one, other),
            _ => true,
        }
    }

    /// Whether two people of full names can be one: their names go together, and no generation lies between their birthdays. True when
    /// either lacks a full name: of the unnamed nothing is known that is theirs alone.
    ///
    /// Symmetric, but not transitive.
    #[must_use]
    pub fn compatible(&self, other: &Person) -> bool {
        match (self.full_name(), other.full_name()) {
            (Some(one), Some(theirs)) => can_be_one(
                (one, self.birthday.as_deref()),
                (theirs, other.birthday.as_deref()),
            ),
            _ => true,
        }
    }

    /// Forgets a date of birth after the day of an event: nobody is there before being born, and programs write far-off dates for none.
    /// Unit: ms since 1970.
    #[must_use]
    pub fn born_by(mut self, at_ms: i64) -> Self {
        let born = self.birthday.as_deref().or(self.birth_digits.as_deref());
        if born.is_some_and(|born| birthday::is_after(born, at_ms)) {
            (self.birthday, self.birth_digits) = (None, None);
        }
        self
    }

    /// A canonical form of the full name, for counting distinct names: nicknames resolved, spelled by ear, surnames in
    /// alphabetical order. Names that are merely compatible may have different keys.
    #[must_use]
    pub fn name_key(&self) -> Option<String> {
        self.full_name()
            .map(|(given, surnames)| compare::key(given, surnames))
    }
}

fn gender(raw: &str) -> Option<String> {
    let folded = fold::field(raw)?;
    match folded.as_str() {
        "m" => None,
        "male" | "man" | "hombre" | "h" | "varon" | "masculino" | "homem" => {
            Some("male".to_owned())
        }
        "female" | "woman" | "mujer" | "f" | "femenino" | "feminino" | "mulher" => {
            Some("female".to_owned())
        }
        _ => Some(folded),
    }
}

#[cfg(test)]
mod tests;
