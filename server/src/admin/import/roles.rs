//! What a row says of as what its person belongs to an account.
//!
//! Owns what refuses the row. The reading itself is that of every group event: what it cannot read stays a trait of the account.

use trenza_shared::account::GroupSaid;

/// What of a role is what, and how to write it.
const MEMBERS: [(&str, &str); 8] = [
    ("role", "write at most 64 bytes"),
    ("weight", "write a whole number from 0 to 100 (percent)"),
    ("decides", TRUTH),
    ("pays", TRUTH),
    ("uses", TRUTH),
    ("prescribes", TRUTH),
    ("from", DAY),
    ("to", DAY),
];
const TRUTH: &str = "write true or false; mapped as = \"boolean\" it may be sí, no or x";
const DAY: &str = "write a day as 2026-03-14; mapped as = \"date\" it may be 14/03/2026";
/// Longest part of a value that is shown. Unit: characters.
const SHOWN_CHARS_MAX: usize = 40;

/// Why a role cannot be what the row says; none when it is right.
pub fn unfit(said: &GroupSaid) -> Option<String> {
    for (member, reason) in MEMBERS {
        // What was read is no trait any more.
        if let Some((_, value)) = said.traits.iter().find(|(name, _)| name == member) {
            let shown: String = value.chars().take(SHOWN_CHARS_MAX).collect();
            return Some(format!("{member}: it is {shown}; {reason}"));
        }
    }
    match (said.relation.from, said.relation.to) {
        (Some(from), Some(to)) if to < from => {
            Some("to: the last day is before the first".to_owned())
        }
        _ => None,
    }
}
