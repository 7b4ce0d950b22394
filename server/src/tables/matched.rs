//! Rows of what matching derives: who may be compared, who may be whom, who is one person.

use serde::{Deserialize, Serialize};
use trenza_shared::{id::Fingerprint, identity::Unit, matching::Bits, store::Row};

/// A customer by identifiers, as it is compared with others.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnitRow(pub Unit);
impl Row for UnitRow {}

/// The odds that two customers by identifiers are one person.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EdgeRow(pub Bits);
impl Row for EdgeRow {}

/// The customers by identifiers that are one person.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MatchedRow(pub Vec<Fingerprint>);
impl Row for MatchedRow {}
