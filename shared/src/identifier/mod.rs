//! Identifiers of persons: typed, validated, normalised, so that equal people compare equal.
//!
//! Owns the kinds and their normal forms. Never guesses who somebody is: that is `identity`. Pure: a normal form is a
//! function of the text typed and the place where it was typed, and normalising a normal form gives it again.

mod blocked;
pub mod email;
mod invalid;
mod lookup;
mod national_id;
mod opaque;
mod phone;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{facet::Facet, id::Fingerprint};

pub use invalid::Invalid;
pub use lookup::parse_lookup;
pub use national_id::Document;
pub use phone::calling_code;

/// What a value names a person by. The text form is the `KIND` of the contract.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// DNI, NIE, RUT, CUIT, CURP, CPF: exclusive per country and type.
    NationalId,
    /// Number of an account in a core system.
    AccountId,
    /// Loyalty card.
    LoyaltyId,
    /// Login of the organisation's own systems.
    UserId,
    /// Badge of an event.
    BadgeId,
    /// E-mail address.
    Email,
    /// Telephone number.
    Phone,
    /// First-party visitor id of a browser or of one kiosk visit.
    AnonymousId,
    /// What events of equal identity say, by their fingerprint. Only decisions name it, where a record has no value that is its own
    /// alone; it is captured nowhere and holds under the rules that read those events so.
    Record,
}

impl Kind {
    /// Every kind that is captured, in the order of the enum.
    pub const ALL: [Kind; 8] = [
        Kind::NationalId,
        Kind::AccountId,
        Kind::LoyaltyId,
        Kind::UserId,
        Kind::BadgeId,
        Kind::Email,
        Kind::Phone,
        Kind::AnonymousId,
    ];

    /// The `KIND` of the contract, as in traits, URLs and answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Kind::NationalId => "nationalId",
            Kind::AccountId => "accountId",
            Kind::LoyaltyId => "loyaltyId",
            Kind::UserId => "userId",
            Kind::BadgeId => "badgeId",
            Kind::Email => "email",
            Kind::Phone => "phone",
            Kind::AnonymousId => "anonymousId",
            Kind::Record => "record",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Kind {
    type Err = Invalid;

    /// Reads the exact name of the contract.
    ///
    /// # Errors
    /// [`Invalid::UnknownKind`] for anything else.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Kind::ALL
            .into_iter()
            .find(|kind| kind.name() == text)
            .ok_or(Invalid::UnknownKind)
    }
}

/// A valid identifier in its normal form. Made only by [`normalise`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Identifier {
    /// What it is.
    pub kind: Kind,
    /// Within what it is unique: empty for the whole organisation, a source's namespace, or `ES-DNI` and the like. That of a
    /// value that links only on the professional side ends with `#professional`.
    pub scope: String,
    /// The normalised value.
    pub value: String,
}

impl Identifier {
    /// What names the events of a fingerprint in a decision.
    #[must_use]
    pub fn of_record(fingerprint: &Fingerprint) -> Self {
        Self {
            kind: Kind::Record,
            scope: String::new(),
            value: fingerprint.to_string(),
        }
    }

    /// The fingerprint, of what names events by it.
    #[must_use]
    pub fn record(&self) -> Option<Fingerprint> {
        match self.kind {
            Kind::Record => self.value.parse().ok(),
            _ => None,
        }
    }

    /// `KIND:VALUE` with the value percent-encoded, as it stands in a URL; [`parse_lookup`] reads it back.
    #[must_use]
    pub fn to_lookup(&self) -> String {
        lookup::encode(self)
    }

    /// The same value as one that links only inside a side. The personal side is that of whoever names none, so a value of it is as it
    /// is. Of a value that is inside a side already nothing changes.
    #[must_use]
    pub fn inside(mut self, facet: Option<Facet>) -> Self {
        if facet == Some(Facet::Professional) && self.facet().is_none() {
            self.scope.push_str(PROFESSIONAL);
        }
        self
    }

    /// The side that it links inside; none where it links all sides, or is the personal one's.
    #[must_use]
    pub fn facet(&self) -> Option<Facet> {
        (self.kind != Kind::NationalId && self.scope.ends_with(PROFESSIONAL))
            .then_some(Facet::Professional)
    }

    /// Within what it is unique, whatever the side.
    #[must_use]
    pub fn namespace(&self) -> &str {
        match self.facet() {
            Some(_) => self.scope.trim_end_matches(PROFESSIONAL),
            None => &self.scope,
        }
    }
}

/// Ends the scope of a value that links inside the professional side alone.
const PROFESSIONAL: &str = "#professional";

/// `KIND:VALUE`, the value as it is (for a URL use [`Identifier::to_lookup`]).
impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind.name(), self.value)
    }
}

/// Where a value was typed: decides how national formats are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place<'a> {
    /// ISO 3166-1 alpha-2, as `ES`; lower case is tolerated.
    pub country: &'a str,
    /// Namespace of the source; empty means organisation-wide.
    pub namespace: &'a str,
}

/// Most bytes of raw text looked at, for any kind. A person's identifier is far shorter.
pub const RAW_BYTES_MAX: usize = 1024;

/// Reads what a person or a program gave as an identifier of `kind` at `place`, into its normal form.
///
/// # Errors
/// [`Invalid`] says what is wrong and what to do; such a value is evidence of nothing and links nobody.
pub fn normalise(kind: Kind, raw: &str, place: &Place) -> Result<Identifier, Invalid> {
    if raw.len() > RAW_BYTES_MAX {
        return Err(Invalid::TooLong {
            kind,
            bytes_max: RAW_BYTES_MAX,
        });
    }
    let text = trim(raw);
    if text.is_empty() {
        return Err(Invalid::Empty { kind });
    }
    let (scope, value) = match kind {
        Kind::Email => (String::new(), email::normal_form(text)?),
        Kind::Phone => (String::new(), phone::normal_form(text, place.country)?),
        Kind::NationalId => {
            let (document, value) = national_id::normal_form(text, place.country)?;
            (document.scope().to_owned(), value)
        }
        Kind::UserId | Kind::AccountId | Kind::LoyaltyId | Kind::BadgeId | Kind::AnonymousId => {
            (place.namespace.to_owned(), opaque::normal_form(kind, text)?)
        }
        Kind::Record => return Err(Invalid::UnknownKind),
    };
    Ok(Identifier { kind, scope, value })
}

/// Without white space and the invisible marks that copying from pages and chats leaves at the ends.
fn trim(raw: &str) -> &str {
    raw.trim_matches(|c: char| c.is_whitespace() || is_invisible(c))
}

/// Zero-width and direction marks: never typed on purpose.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}' | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{ad}')
}

#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;
