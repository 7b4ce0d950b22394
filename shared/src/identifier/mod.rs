//! Identifiers of persons: typed, validated, normalised, so that equal people compare equal.
//!
//! Owns the kinds and their normal forms. Never guesses who somebody is: that is `identity`.

use std::fmt;

use serde::{Deserialize, Serialize};

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
}

/// A valid identifier in its normal form. Made only by `normalise`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Identifier {
    /// What it is.
    pub kind: Kind,
    /// Within what it is unique: empty for the whole organisation, a source's namespace, or `ES-DNI` and the like.
    pub scope: String,
    /// The normalised value.
    pub value: String,
}

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}:{}", self.kind, self.value)
    }
}
