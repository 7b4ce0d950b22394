//! Weights of matching, learned from the customers that there are.
//!
//! Owns which of very many are looked at: some customers, and some pairs of those alike enough to be compared, so that each had the same
//! chance. The same store gives the same weights.

use std::{collections::BTreeMap, rc::Rc};

use trenza_shared::{
    id::Fingerprint,
    identity::{Held, Lesson, Rules},
    matching::Model,
    store::{StoreError, View},
};

use crate::{
    identity::{postings, read},
    tables::{MATCH_KEYS, UNITS},
};

/// About so many customers tell how often names are and how one person is written twice: half as many to this many.
const SAMPLED_MAX: usize = 20_000;
/// With how many others each of them is compared to know how strangers agree.
const STRANGERS: usize = 20;
/// Most pairs of customers with a common key that are compared.
const PAIRS_MAX: u64 = 200_000;
/// Most customers, and most keys, remembered meanwhile.
const REMEMBERED_MAX: usize = 20_000;

/// An odd number whose multiples look like chance: 2^64 by the golden ratio.
const MIX: u64 = 0x9E37_79B9_7F4A_7C15;

/// What was learned.
pub struct Learned {
    /// The weights.
    pub model: Model,
    /// Customers by identifiers that can be compared.
    pub customers: u64,
    /// Pairs seen, as [`Lesson::pairs`] tells them.
    pub pairs: [u64; 4],
}

/// Learns from everybody; `start` holds where little is seen.
///
/// # Errors
/// The store cannot be read.
pub fn learned(view: &dyn View, rules: &Rules, start: &Model) -> Result<Learned, StoreError> {
    let mut lesson = Lesson::default();
    let customers = sampled(view, rules, &mut lesson)?;
    let one_in = candidates(view, rules, &mut lesson)?;
    let pairs = lesson.pairs();
    Ok(Learned {
        model: lesson.learned(customers, one_in, start),
        customers,
        pairs,
    })
}

/// Looks at some customers by themselves and beside others; how many there are.
fn sampled(view: &dyn View, rules: &Rules, lesson: &mut Lesson) -> Result<u64, StoreError> {
    let mut count = 0;
    // Seeds are hashes: those that end in so many zero bits are a sample, and half of them end in one more.
    let (mut zeros, mut taken) = (0, Vec::new());
    let ends = |seed: &Fingerprint| u128::from_be_bytes(seed.0).trailing_zeros();
    for row in UNITS.rows(view) {
        let (seed, unit) = row?;
        count += 1;
        if ends(&seed) >= zeros {
            taken.push(unit.0);
        }
        if taken.len() > SAMPLED_MAX {
            zeros += 1;
            taken.retain(|unit| ends(&unit.seed) >= zeros);
        }
    }
    for (nth, unit) in taken.iter().enumerate() {
        let mut nodes = Vec::new();
        let group = read::by_identifiers(view, &unit.seed)?;
        for member in group.into_iter().flat_map(|group| group.members) {
            nodes.extend(read::node(view, &member)?);
        }
        lesson.customer(unit, &nodes, rules);
        for other in taken.iter().skip(nth + 1).take(STRANGERS) {
            lesson.strangers(unit, other);
        }
    }
    Ok(count)
}

/// Looks at pairs with a common key; one in how many it saw.
fn candidates(view: &dyn View, rules: &Rules, lesson: &mut Lesson) -> Result<u64, StoreError> {
    let max = rules.matching.holders_max;
    let mut units = Remembered::default();
    let mut usable: BTreeMap<u64, bool> = BTreeMap::new();
    let (mut pairs, mut last) = (0, u64::MAX);
    // Keys are hashes too: those up to one of them are a sample. Of the keys that a pair has in common one stands for it.
    for row in MATCH_KEYS.rows(view) {
        let (key, _) = row?;
        let Some(holders) = postings::holders(view, key, max)? else {
            continue;
        };
        for (nth, (one, _)) in holders.iter().enumerate() {
            for (other, _) in &holders[nth + 1..] {
                let (Some(one), Some(other)) = (units.get(view, one)?, units.get(view, other)?)
                else {
                    continue;
                };
                let salt = salt(&one, &other);
                let mut stands = None;
                for common in one.keys() {
                    if other.keys().binary_search(common).is_err() {
                        continue;
                    }
                    if usable.len() > REMEMBERED_MAX {
                        usable.clear();
                    }
                    let known = match usable.get(common) {
                        Some(known) => *known,
                        None => postings::holders(view, *common, max)?.is_some(),
                    };
                    usable.insert(*common, known);
                    if known {
                        stands = stands.max(Some(((common ^ salt).wrapping_mul(MIX), *common)));
                    }
                }
                if stands.is_some_and(|(_, stands)| stands == key) {
                    lesson.candidates(one.unit(), other.unit());
                    pairs += 1;
                }
            }
        }
        if pairs >= PAIRS_MAX {
            last = key;
            break;
        }
    }
    Ok((u64::MAX / last.max(1)).max(1))
}

/// Which of their common keys stands for two is by chance, but for the same two always the same.
fn salt(one: &Held, other: &Held) -> u64 {
    let [one, other] = [one, other].map(|held| u128::from_be_bytes(held.unit().seed.0));
    (one ^ other) as u64
}

/// Customers that were read lately.
#[derive(Default)]
struct Remembered {
    units: BTreeMap<Fingerprint, Option<Rc<Held>>>,
}

impl Remembered {
    fn get(&mut self, view: &dyn View, seed: &Fingerprint) -> Result<Option<Rc<Held>>, StoreError> {
        if let Some(known) = self.units.get(seed) {
            return Ok(known.clone());
        }
        if self.units.len() >= REMEMBERED_MAX {
            self.units.clear();
        }
        let unit = UNITS.get(view, seed)?;
        let held = unit.map(|row| Rc::new(Held::new(row.0)));
        self.units.insert(*seed, held.clone());
        Ok(held)
    }
}

#[cfg(test)]
mod tests;
