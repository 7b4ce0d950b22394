//! From `KIND:VALUE`, as people and programs give it, to the identifiers it may mean.
//!
//! Owns the question of scopes: a value is looked for in the whole organisation and in every namespace of its sources.

use std::collections::BTreeSet;

use trenza_shared::{
    facet::Facet,
    identifier::{Identifier, Invalid, Kind, Place, RAW_BYTES_MAX, calling_code, parse_lookup},
    identity::Group,
    store::{StoreError, View},
};

use super::record::{FOUND_MAX, groups_with};
use crate::{identity::read, registry::Registry};

/// Where values may have been captured: the organisation's place first, then every other of a source.
#[derive(Clone, Debug, Default)]
pub struct Scopes {
    country: String,
    namespaces: BTreeSet<String>,
    countries: BTreeSet<String>,
}

impl Scopes {
    /// The scopes of the sources that are configured now.
    pub fn of(registry: &Registry, place: &Place<'_>) -> Self {
        let mut scopes = Self {
            country: place.country.to_owned(),
            ..Self::default()
        };
        for source in registry.sources().into_values() {
            scopes.namespaces.insert(source.namespace);
            scopes.countries.insert(source.country);
        }
        scopes.namespaces.remove("");
        scopes
    }

    /// What `text` may mean, the likeliest first; never empty. The text is as typed: nothing in it is encoded. A value that is
    /// none at the organisation's place is read by the formats of the sources' countries.
    ///
    /// # Errors
    /// Says what is wrong with it at the organisation's place.
    pub fn identifiers(&self, text: &str) -> Result<Vec<Identifier>, Invalid> {
        // The look-up decodes as of a URL; a percent sign that is part of the value survives it like this.
        let text = text.replace('%', "%25");
        let read =
            |country: &str, namespace: &str| parse_lookup(&text, &Place { country, namespace });
        let first = read(&self.country, "").or_else(|invalid| {
            let mut elsewhere = self
                .countries
                .iter()
                .filter_map(|country| read(country, "").ok());
            elsewhere.next().ok_or(invalid)
        })?;
        let mut found = vec![first];
        for namespace in &self.namespaces {
            if let Ok(scoped) = read(&self.country, namespace)
                && !found.contains(&scoped)
            {
                found.push(scoped);
            }
        }
        // By rules under which its kind is a role's, a value of the professional side is another one.
        let sides: Vec<Identifier> = found
            .iter()
            .filter(|one| one.kind != Kind::NationalId)
            .map(|one| one.clone().inside(Some(Facet::Professional)))
            .collect();
        found.extend(sides);
        Ok(found)
    }
}

impl Scopes {
    /// What stands before the telephone numbers of the countries where values are captured, once each.
    pub fn calling_codes(&self) -> BTreeSet<String> {
        let countries = self.countries.iter().chain([&self.country]);
        countries
            .filter_map(|country| calling_code(country))
            .collect()
    }

    /// What a text that somebody typed may be: `KIND:VALUE`, or a bare value of any kind.
    pub fn guesses(&self, text: &str) -> Vec<Identifier> {
        let text = text.trim();
        if text.is_empty() || text.len() > RAW_BYTES_MAX {
            return Vec::new();
        }
        let mut found = self.identifiers(text).unwrap_or_default();
        for kind in Kind::ALL {
            let named = format!("{}:{text}", kind.name());
            for identifier in self.identifiers(&named).unwrap_or_default() {
                if !found.contains(&identifier) {
                    found.push(identifier);
                }
            }
        }
        found
    }
}

/// The customers that hold any of some identifiers, by seed; at most [`FOUND_MAX`].
///
/// # Errors
/// The store cannot be read.
pub fn groups(view: &dyn View, identifiers: &[Identifier]) -> Result<Vec<Group>, StoreError> {
    let mut found: Vec<Group> = Vec::new();
    for identifier in identifiers {
        for group in groups_with(view, identifier)? {
            if found.iter().all(|known| known.seed != group.seed) {
                found.push(group);
            }
        }
    }
    found.sort_by_key(|group| group.seed);
    found.truncate(FOUND_MAX);
    Ok(found)
}

/// The identifier among those a text may mean that somebody holds, else the likeliest.
///
/// # Errors
/// The store cannot be read.
pub fn held(view: &dyn View, identifiers: &[Identifier]) -> Result<Option<Identifier>, StoreError> {
    for identifier in identifiers {
        if !read::holders(view, identifier, None, 1)?.is_empty() {
            return Ok(Some(identifier.clone()));
        }
    }
    Ok(identifiers.first().cloned())
}
