//! As what a person belongs to an account, from when to when.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    clock::{format_ms, parse_time_ms},
    identity::payload::day_of,
};

/// Longest name of a role; a longer one stays a trait. Unit: bytes.
pub const ROLE_BYTES_MAX: usize = 64;
/// Greatest weight of a role: the whole say.
pub const WEIGHT_MAX: u8 = 100;

const DAY_MS: i64 = 86_400_000;

/// One statement of as what somebody belongs to an account.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Relation {
    /// What they are there, in the words of whoever said it; empty for a mere member.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub role: String,
    /// How much say they have. Unit: percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u8>,
    /// Whether they decide.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decides: Option<bool>,
    /// Whether they pay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pays: Option<bool>,
    /// Whether they use what is bought.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uses: Option<bool>,
    /// Whether they advise or order what others pay for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prescribes: Option<bool>,
    /// First day on which it holds. Unit: UTC days since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<i32>,
    /// Last day on which it holds. Unit: UTC days since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<i32>,
}

impl Relation {
    /// Takes what says how somebody belongs out of a group's traits; gives what is left. A member that cannot be read as what it should be
    /// is left, so it shows as a trait of the account.
    pub(super) fn read(traits: &Map<String, Value>) -> (Self, Vec<(&str, &Value)>) {
        let mut relation = Self::default();
        let mut rest = Vec::new();
        for (name, value) in traits {
            if !relation.take(name, value) {
                rest.push((name.as_str(), value));
            }
        }
        (relation, rest)
    }

    fn take(&mut self, name: &str, value: &Value) -> bool {
        fn set<T>(to: &mut Option<T>, value: Option<T>) -> bool {
            let read = value.is_some();
            if read {
                *to = value;
            }
            read
        }
        match name {
            "role" => {
                let text = value.as_str().map(str::trim).unwrap_or_default();
                let fits = !text.is_empty() && text.len() <= ROLE_BYTES_MAX;
                if fits {
                    text.clone_into(&mut self.role);
                }
                fits
            }
            "weight" => {
                let weight = value.as_u64().and_then(|weight| u8::try_from(weight).ok());
                set(
                    &mut self.weight,
                    weight.filter(|weight| *weight <= WEIGHT_MAX),
                )
            }
            "decides" => set(&mut self.decides, value.as_bool()),
            "pays" => set(&mut self.pays, value.as_bool()),
            "uses" => set(&mut self.uses, value.as_bool()),
            "prescribes" => set(&mut self.prescribes, value.as_bool()),
            "from" => set(&mut self.from, value.as_str().and_then(day)),
            "to" => set(&mut self.to, value.as_str().and_then(day)),
            _ => false,
        }
    }

    /// Whether it holds on a day (UTC days since 1970). What names no day holds always.
    #[must_use]
    pub fn holds(&self, day: i32) -> bool {
        self.from.is_none_or(|from| from <= day) && self.to.is_none_or(|to| day <= to)
    }

    /// A day as `2026-03-14`.
    #[must_use]
    pub fn date(day: i32) -> String {
        format_ms(i64::from(day) * DAY_MS)
            .chars()
            .take_while(|char| *char != 'T')
            .collect()
    }
}

/// A date (`2026-03-14`), or the UTC day of a moment (RFC 3339).
fn day(text: &str) -> Option<i32> {
    let text = text.trim();
    let at_ms = parse_time_ms(text).or_else(|| parse_time_ms(&format!("{text}T00:00:00Z")))?;
    Some(day_of(at_ms))
}
