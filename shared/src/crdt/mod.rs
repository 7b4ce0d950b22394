//! How two values become one: joins, so that neither order, nor repetition, nor path matters.
//!
//! Owns the types that state is folded into, one per file, and their laws. What replicas exchange is the grow-only set of events;
//! these types are what the events fold to. No clock is read here, no arrival counted, and no first come wins: where a type must be bounded, what
//! it keeps is the greatest or least by a total order. Built on the parts of the `crdts` crate that hold their laws (`VClock`,
//! `Dot`, `GSet`, `LWWReg` with a marker that is a total order); its `Map` and its counters are not used, since the first
//! brings overwritten values back and the second lose increments of a restored disk.

pub mod clock;
pub mod consent;
pub mod latest;
#[cfg(test)]
mod laws;
pub mod ledger;
pub mod min_max;
pub mod register;
pub mod set;

pub use clock::{LogId, VersionVector};
pub use consent::{Consent, ConsentState};
pub use latest::Latest;
pub use ledger::{Amount, Ledger};
pub use min_max::{Moment, Span};
pub use register::{Claim, Marker, Register};
pub use set::GrowSet;

use std::collections::BTreeMap;

/// A merge that is commutative, associative and idempotent.
pub trait Join {
    /// Takes in what `other` knows.
    fn join(&mut self, other: &Self);
}

/// Key by key; a key that one side lacks is taken as it is.
impl<K: Ord + Clone, V: Join + Clone> Join for BTreeMap<K, V> {
    fn join(&mut self, other: &Self) {
        for (key, theirs) in other {
            match self.get_mut(key) {
                Some(ours) => ours.join(theirs),
                None => {
                    self.insert(key.clone(), theirs.clone());
                }
            }
        }
    }
}
