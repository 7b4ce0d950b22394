//! Whom the direct holders of a value say they are, counted without keeping them all.
//!
//! Owns the predicate *hot*: a value that names more distinct persons than the cap links nothing and is never traversed, so the
//! work of one event stays bounded. Order-free: a profile is a function of the set of holders, however they came.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{
    payload::{Payload, key_hash, kind_code},
    rules::{Class, Rules},
};
use crate::identifier::Identifier;

/// Distinct signs of different persons among the direct holders of one value. Bounded: at most `cap` signs a dimension.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct KeyProfile {
    /// More distinct signs than the cap in some dimension; then nothing else is kept.
    hot: bool,
    /// Dimension (a kind within a scope, or the full name) to the hashes of the distinct values seen.
    signs: BTreeMap<u64, BTreeSet<u64>>,
}

impl KeyProfile {
    /// Whether the value names too many persons to link any of them.
    #[must_use]
    pub fn hot(&self) -> bool {
        self.hot
    }

    /// Counts one more holder of `key`. Repeats change nothing; many visits of one person never make a value hot, and
    /// ephemeral identifiers do not count.
    ///
    /// Once hot it stays hot, as the set of holders only grows; so whether the cap was crossed, and everything that is kept,
    /// does not depend on the order. Says whether it changed by it.
    pub fn add(&mut self, key: &Identifier, holder: &Payload, rules: &Rules) -> bool {
        if self.hot {
            return false;
        }
        let mut changed = false;
        for (dimension, sign) in signs(key, holder, rules) {
            let seen = self.signs.entry(dimension).or_default();
            changed |= seen.insert(sign);
            if seen.len() > rules.cap {
                self.hot = true;
            }
        }
        if self.hot {
            self.signs.clear();
        }
        changed
    }
}

/// The signs by which `holder` can be told from other holders of `key`.
fn signs(key: &Identifier, holder: &Payload, rules: &Rules) -> Vec<(u64, u64)> {
    let mut out: Vec<(u64, u64)> = holder
        .identifiers
        .iter()
        .filter(|other| *other != key)
        .filter_map(|other| {
            // Several ids of one exclusive scope are several persons; other kinds are counted whatever their namespace.
            let scope = match rules.rule(other.kind).class {
                Class::Exclusive => other.scope.as_str(),
                Class::Owned | Class::Shareable | Class::RoleScoped => "",
                Class::Ephemeral | Class::Blocked => return None,
            };
            Some((
                short(&[&[kind_code(other.kind)], scope.as_bytes()]),
                short(&[&key_hash(other)]),
            ))
        })
        .collect();
    if let Some(name) = holder.person.name_key() {
        out.push((short(&[b"\0name"]), short(&[name.as_bytes()])));
    }
    out
}

/// Eight bytes of BLAKE3: enough to count a few dozen.
fn short(parts: &[&[u8]]) -> u64 {
    let hash = blake3::hash(&parts.concat());
    let mut out = [0; 8];
    for (slot, byte) in out.iter_mut().zip(hash.as_bytes()) {
        *slot = *byte;
    }
    u64::from_le_bytes(out)
}
