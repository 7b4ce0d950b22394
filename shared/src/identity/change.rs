//! What became of persons: the difference of two groupings.
//!
//! Owns the comparison. A pure function; says nothing of the events behind.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::grouping::Group;
use crate::id::Fingerprint;

/// One thing that became of a person. Persons are named by their seeds: old ones as before, new ones as after.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// A person nobody knew of.
    Created {
        /// The new person.
        seed: Fingerprint,
    },
    /// The events of several persons are one person's.
    Merged {
        /// The person they are now.
        into: Fingerprint,
        /// Every person that was, or gave a part of, it before; sorted, at least two.
        from: Vec<Fingerprint>,
    },
    /// The events of one person are several persons'.
    Split {
        /// The person before.
        from: Fingerprint,
        /// Every person that holds a part of it now; sorted, at least two.
        into: Vec<Fingerprint>,
    },
    /// The same person by an earlier event: the id is another, the old one its alias.
    Reseeded {
        /// The seed before.
        from: Fingerprint,
        /// The seed now.
        to: Fingerprint,
    },
    /// The same person, with other members or other shared values.
    Updated {
        /// The person.
        seed: Fingerprint,
    },
}

/// What an insertion or a decision did.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Outcome {
    /// What became of persons; sorted.
    pub changes: Vec<Change>,
    /// Every person that is new or changed, by seed; each needs its record folded again.
    pub changed: Vec<Group>,
    /// Seeds under which no person stands any more; sorted.
    pub gone: Vec<Fingerprint>,
}

impl Outcome {
    /// Compares the persons that were with those that are; both over the same nodes, but for new ones.
    #[must_use]
    pub fn between(before: &[Group], after: &[Group]) -> Self {
        let old: BTreeMap<Fingerprint, &Group> = by_seed(before);
        let new: BTreeMap<Fingerprint, &Group> = by_seed(after);
        let mut was: BTreeMap<Fingerprint, Fingerprint> = BTreeMap::new();
        for (seed, group) in &old {
            was.extend(group.members.iter().map(|member| (*member, *seed)));
        }
        let mut parts: BTreeMap<Fingerprint, BTreeSet<Fingerprint>> = BTreeMap::new();
        let mut sources: BTreeMap<Fingerprint, BTreeSet<Fingerprint>> = BTreeMap::new();
        for (seed, group) in &new {
            let from: BTreeSet<Fingerprint> = group
                .members
                .iter()
                .filter_map(|member| was.get(member).copied())
                .collect();
            for one in &from {
                parts.entry(*one).or_default().insert(*seed);
            }
            sources.insert(*seed, from);
        }
        let mut outcome = Self::default();
        for (from, into) in &parts {
            if into.len() > 1 {
                outcome.changes.push(Change::Split {
                    from: *from,
                    into: into.iter().copied().collect(),
                });
            }
        }
        for (seed, from) in sources {
            let mut sole = from.iter();
            let change = match (sole.next(), sole.next()) {
                (None, _) => Some(Change::Created { seed }),
                (Some(_), Some(_)) => Some(Change::Merged {
                    into: seed,
                    from: from.iter().copied().collect(),
                }),
                (Some(one), None) => {
                    let whole = parts.get(one).is_some_and(|into| into.len() == 1);
                    if *one != seed && whole {
                        Some(Change::Reseeded {
                            from: *one,
                            to: seed,
                        })
                    } else if old.get(&seed) != new.get(&seed) {
                        whole.then_some(Change::Updated { seed })
                    } else {
                        None
                    }
                }
            };
            outcome.changes.extend(change);
            if old.get(&seed) != new.get(&seed) {
                outcome
                    .changed
                    .extend(new.get(&seed).map(|group| (*group).clone()));
            }
        }
        outcome.gone = old
            .keys()
            .filter(|seed| !new.contains_key(seed))
            .copied()
            .collect();
        outcome.changes.sort();
        outcome
    }
}

fn by_seed(groups: &[Group]) -> BTreeMap<Fingerprint, &Group> {
    groups.iter().map(|group| (group.seed, group)).collect()
}
