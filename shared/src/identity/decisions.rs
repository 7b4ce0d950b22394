//! Which decisions hold: a pure function of the set of decisions.
//!
//! Owns the rule. A decision is live unless a live one undoes it. On one pair of identifiers the live decisions that no other
//! live one on the pair observed are its heads; the pair is *not same* when a head says so, else *same*. So *not same* beats a
//! concurrent *same*, only a decision that observed it overrides it, and undoing the later one brings the earlier one back.
//! No clock is asked; of several decisions that say the same, the one of the earliest time is told.

use std::collections::{BTreeMap, BTreeSet};

use super::decision::{BadDecision, Decision, DecisionKind};
use crate::{
    id::{DecisionId, Fingerprint},
    identifier::Identifier,
};

/// Two identifiers, the smaller first.
pub type Pair = (Identifier, Identifier);

/// All decisions ever taken, and what holds of them. Decisions are few (people take them), so they stay in memory.
#[derive(Clone, Default, Debug)]
pub struct Decisions {
    all: BTreeMap<DecisionId, Decision>,
    live: BTreeSet<DecisionId>,
    active: Active,
}

/// What holds.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Active {
    same: BTreeMap<Pair, DecisionId>,
    not_same: BTreeMap<Pair, DecisionId>,
    shared: BTreeMap<Identifier, DecisionId>,
    households: BTreeMap<DecisionId, Vec<Identifier>>,
    partners: BTreeMap<Identifier, BTreeSet<Identifier>>,
    /// Every value in `same`, `not_same` and `shared`.
    named: BTreeSet<Identifier>,
    /// Those of `named` that name events by their fingerprint.
    records: BTreeMap<Fingerprint, Identifier>,
}

impl Decisions {
    /// The set of these decisions, in whatever order. Those that fail [`Decision::check`] are left out.
    #[must_use]
    pub fn of(decisions: impl IntoIterator<Item = Decision>) -> Self {
        let all = decisions
            .into_iter()
            .filter(|decision| decision.check().is_ok())
            .map(|decision| (decision.id, decision))
            .collect();
        let mut decisions = Self {
            all,
            ..Self::default()
        };
        decisions.weigh();
        decisions
    }

    /// Adds one; `false` when it was known.
    ///
    /// # Errors
    /// [`BadDecision`] when its shape or id is wrong; then nothing changed.
    pub fn insert(&mut self, decision: Decision) -> Result<bool, BadDecision> {
        decision.check()?;
        if self.all.contains_key(&decision.id) {
            return Ok(false);
        }
        self.all.insert(decision.id, decision);
        self.weigh();
        Ok(true)
    }

    fn weigh(&mut self) {
        self.live = live(&self.all);
        self.active = Active::of(&self.all, &self.live);
    }

    /// One by its id.
    #[must_use]
    pub fn get(&self, id: &DecisionId) -> Option<&Decision> {
        self.all.get(id)
    }

    /// Whether one is there and was not taken back.
    #[must_use]
    pub fn stands(&self, id: &DecisionId) -> bool {
        self.live.contains(id)
    }

    /// Those that stand and say the same as one does, itself left out.
    pub fn equal<'a>(&'a self, one: &'a Decision) -> impl Iterator<Item = &'a Decision> {
        let standing = self.live.iter().filter_map(|id| self.all.get(id));
        standing.filter(move |other| {
            other.id != one.id && other.kind == one.kind && other.subjects == one.subjects
        })
    }

    /// All of them, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Decision> {
        self.all.values()
    }

    /// What holds.
    #[must_use]
    pub fn active(&self) -> &Active {
        &self.active
    }

    /// What a new decision about `subjects` should name as observed: the decisions about any of them that no other known one
    /// observed.
    #[must_use]
    pub fn heads(&self, subjects: &[Identifier]) -> Vec<DecisionId> {
        let about: Vec<&Decision> = self
            .all
            .values()
            .filter(|decision| {
                let told = match decision.undoes.and_then(|target| self.all.get(&target)) {
                    Some(target) => &target.subjects,
                    None => &decision.subjects,
                };
                told.iter().any(|subject| subjects.contains(subject))
            })
            .collect();
        let below: BTreeSet<DecisionId> = about
            .iter()
            .flat_map(|decision| decision.observes.iter().chain(&decision.undoes))
            .copied()
            .collect();
        about
            .iter()
            .map(|decision| decision.id)
            .filter(|id| !below.contains(id))
            .collect()
    }
}

impl Active {
    fn of(all: &BTreeMap<DecisionId, Decision>, live: &BTreeSet<DecisionId>) -> Self {
        let mut active = Self::default();
        let mut pairs: BTreeMap<Pair, Vec<&Decision>> = BTreeMap::new();
        let mut living: Vec<&Decision> = live.iter().filter_map(|id| all.get(id)).collect();
        // Of several that say the same the first is told: one that repeats it changes nothing.
        living.sort_by_key(|decision| (decision.at_ms, decision.id));
        for decision in living {
            match decision.kind {
                DecisionKind::Same | DecisionKind::NotSame => {
                    for (at, one) in decision.subjects.iter().enumerate() {
                        for other in decision.subjects.iter().skip(at + 1) {
                            pairs
                                .entry((one.clone(), other.clone()))
                                .or_default()
                                .push(decision);
                        }
                    }
                }
                DecisionKind::SharedIdentifier => {
                    for subject in &decision.subjects {
                        active.shared.entry(subject.clone()).or_insert(decision.id);
                    }
                }
                DecisionKind::Household => {
                    active
                        .households
                        .insert(decision.id, decision.subjects.clone());
                }
                DecisionKind::Undo => {}
            }
        }
        for (pair, decisions) in pairs {
            let head = heads(&decisions, all);
            let holds = |kind| head.iter().find(|one| one.kind == kind).map(|one| one.id);
            if let Some(id) = holds(DecisionKind::NotSame) {
                active.not_same.insert(pair, id);
            } else if let Some(id) = holds(DecisionKind::Same) {
                let (one, other) = pair.clone();
                active
                    .partners
                    .entry(one.clone())
                    .or_default()
                    .insert(other.clone());
                active.partners.entry(other).or_default().insert(one);
                active.same.insert(pair, id);
            }
        }
        let pairs = active.same.keys().chain(active.not_same.keys());
        let named = pairs.flat_map(|(one, other)| [one, other]);
        active.named = named.chain(active.shared.keys()).cloned().collect();
        let records = active.named.iter();
        active.records = records
            .filter_map(|one| Some((one.record()?, one.clone())))
            .collect();
        active
    }

    /// Pairs whose holders are one person, with the decision.
    #[must_use]
    pub fn same(&self) -> &BTreeMap<Pair, DecisionId> {
        &self.same
    }

    /// Pairs whose holders are not one person, with the decision.
    #[must_use]
    pub fn not_same(&self) -> &BTreeMap<Pair, DecisionId> {
        &self.not_same
    }

    /// The decision that declared `identifier` shared.
    #[must_use]
    pub fn shared(&self, identifier: &Identifier) -> Option<DecisionId> {
        self.shared.get(identifier).copied()
    }

    /// Whether some decision that holds is about the identifier's links.
    #[must_use]
    pub fn names(&self, identifier: &Identifier) -> bool {
        self.named.contains(identifier)
    }

    /// What decisions that hold call the events of a fingerprint, beside the values they hold.
    #[must_use]
    pub fn record(&self, fingerprint: &Fingerprint) -> Option<&Identifier> {
        self.records.get(fingerprint)
    }

    /// Households, by decision.
    #[must_use]
    pub fn households(&self) -> &BTreeMap<DecisionId, Vec<Identifier>> {
        &self.households
    }

    /// The identifiers whose holders may be grouped otherwise by `other` than by this: those of every pair and of every shared
    /// value that only one of the two has, and the partners of those values, whom they may link or not.
    #[must_use]
    pub fn differing(&self, other: &Self) -> BTreeSet<Identifier> {
        let mut out = BTreeSet::new();
        for (one, other) in [(self, other), (other, self)] {
            for (pairs, others) in [(&one.same, &other.same), (&one.not_same, &other.not_same)] {
                for (pair, id) in pairs {
                    if others.get(pair) != Some(id) {
                        out.extend([pair.0.clone(), pair.1.clone()]);
                    }
                }
            }
            for (key, id) in &one.shared {
                if other.shared.get(key) != Some(id) {
                    out.insert(key.clone());
                    out.extend(one.partners(key).chain(other.partners(key)).cloned());
                }
            }
        }
        out
    }

    /// The identifiers declared the same person's as `identifier`, itself left out.
    pub fn partners(&self, identifier: &Identifier) -> impl Iterator<Item = &Identifier> {
        self.partners.get(identifier).into_iter().flatten()
    }
}

/// The decisions that no live decision undoes. Ids are content hashes, so an undo cannot be part of a circle; one that claimed
/// to be would be dead.
fn live(all: &BTreeMap<DecisionId, Decision>) -> BTreeSet<DecisionId> {
    let mut waiting: BTreeMap<DecisionId, usize> = BTreeMap::new();
    for target in all.values().filter_map(|decision| decision.undoes) {
        *waiting.entry(target).or_default() += 1;
    }
    let mut ready: Vec<DecisionId> = all
        .keys()
        .filter(|id| !waiting.contains_key(*id))
        .copied()
        .collect();
    let (mut live, mut undone) = (BTreeSet::new(), BTreeSet::new());
    while let Some(id) = ready.pop() {
        let stands = !undone.contains(&id);
        if stands {
            live.insert(id);
        }
        let Some(target) = all.get(&id).and_then(|decision| decision.undoes) else {
            continue;
        };
        if stands {
            undone.insert(target);
        }
        if let Some(left) = waiting.get_mut(&target) {
            *left -= 1;
            if *left == 0 && all.contains_key(&target) {
                ready.push(target);
            }
        }
    }
    live
}

/// Of the live decisions on one pair, those that no other of them observed, directly or through any chain of decisions.
fn heads<'a>(
    decisions: &[&'a Decision],
    all: &BTreeMap<DecisionId, Decision>,
) -> Vec<&'a Decision> {
    let one_kind = decisions
        .windows(2)
        .all(|pair| pair[0].kind == pair[1].kind);
    if one_kind {
        return decisions.to_vec();
    }
    let mut observed = BTreeSet::new();
    for decision in decisions {
        let mut seen = BTreeSet::from([decision.id]);
        let mut open = vec![decision.id];
        while let Some(below) = open.pop().and_then(|id| all.get(&id)) {
            for id in below.observes.iter().chain(&below.undoes) {
                if seen.insert(*id) && all.contains_key(id) {
                    open.push(*id);
                }
            }
        }
        seen.remove(&decision.id);
        observed.extend(seen);
    }
    decisions
        .iter()
        .filter(|decision| !observed.contains(&decision.id))
        .copied()
        .collect()
}
