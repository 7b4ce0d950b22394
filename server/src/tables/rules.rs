//! The rules of identity as they were published, and by which of the two homes the derived tables are shown.

use serde::{Deserialize, Serialize};
use trenza_shared::{
    id::{CustomerId, EventId},
    identity::Rules,
    store::{Row, Space, Table},
};

/// A version of the rules of identity.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RulesRow {
    /// The rules.
    pub rules: Rules,
    /// Who published them.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When. Unit: ms since 1970.
    pub at_ms: i64,
}
impl Row for RulesRow {}

/// An event of a customer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FormerRow(pub EventId);
impl Row for FormerRow {}

/// Version -> the rules that were published under it. Before the first, the rules of the program hold, as version 1.
pub const RULES: Table<u32, RulesRow> = Table::new(Space("rules"));
/// Customer id that other rules would make of other events -> an event of that customer: ids once shown go on leading to it.
pub const FORMER: Table<CustomerId, FormerRow> = Table::new(Space("former"));
/// One row: whether the derived tables are shown from their second home. Of this store alone, no part of a backup.
pub const SECOND_SHOWN: Table<(), u64> = Table::new(Space("second_shown"));

/// The second homes of the derived tables, in their order.
pub const SECOND: [Space; super::DERIVED.len()] = [
    Space("event_2"),
    Space("clock_2"),
    Space("taken_2"),
    Space("dropped_2"),
    Space("message_2"),
    Space("rejected_2"),
    Space("timeline_2"),
    Space("fragment_2"),
    Space("node_2"),
    Space("holder_2"),
    Space("profile_2"),
    Space("component_of_2"),
    Space("component_2"),
    Space("unit_2"),
    Space("match_key_2"),
    Space("match_holder_2"),
    Space("edge_2"),
    Space("matched_2"),
    Space("question_2"),
    Space("id_2"),
    Space("word_2"),
    Space("spelling_2"),
    Space("account_2"),
    Space("member_2"),
    Space("account_line_2"),
    Space("accounts_of_2"),
    Space("account_word_2"),
    Space("home_2"),
    Space("applied_2"),
    Space("ruled_2"),
    Space("ahead_2"),
];
