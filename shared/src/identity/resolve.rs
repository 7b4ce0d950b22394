//! Canonical local resolution: which nodes are one person.
//!
//! Owns the clustering, a pure function of the *set* of nodes, the active decisions, the rules and the hot values. Reads no
//! store, no clock; the order of its arguments changes nothing.
//!
//! Evidence is weighed tier by tier: decisions that two values are one person's, then exclusive kinds, owned, shareable,
//! ephemeral. In a tier every key joins the clusters of its holders, unless two of them contradict each other: two values of
//! which a person has one, incompatible full names, a *not same*. Then, judged by the clusters that stronger tiers made:
//!
//! * two holders contradict each other themselves: the key becomes *generic* and links nobody;
//! * one holder stands between two persons who contradict each other and fits both (an event with the e-mails of both
//!   spouses): it is *ambiguous*, and links nobody by any key of the tier, so that neither person loses a value to it;
//! * otherwise two chains of such holders meet at the key, and the key becomes generic.
//!
//! The tier is then clustered again from where it began, without what was found, until nothing new is found. What was found
//! only grows, by at least one (node, key) pair a round, so it ends; after [`ROUNDS_MAX`] rounds ambiguous holders are no
//! longer told apart and every contradictory key becomes generic, so there are at most `ROUNDS_MAX` rounds more than keys.
//! So nothing links against a contradiction between persons, also when it lies in the persons and not in the
//! direct holders; and stronger evidence never depends on weaker.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    cluster::{Clusters, Judge, Summary, over_limit},
    decisions::Active,
    grouping::{Cause, Clash, Component, Group, REFUSAL_GROUPS_MAX, Refusal, SharedKey, SharedWhy},
    payload::Node,
    problem::{Off, Problem},
    rules::Rules,
    unit::{Name, Side, Unit, contacts, merged},
};
use crate::{
    id::{DecisionId, Fingerprint},
    identifier::Identifier,
};

/// Rounds of one tier in which ambiguous holders are told apart from generic keys.
pub const ROUNDS_MAX: usize = 32;

/// What resolution by identifiers makes of nodes.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Resolved {
    /// The connected components with their groups, by id.
    pub components: Vec<Component>,
    /// The groups that can be compared with others; none where the rules do not match.
    pub units: Vec<Unit>,
}

/// Groups nodes by identifiers.
///
/// `hot` says which values name too many persons to link any (see [`super::KeyProfile`]); it must be the same for equal sets.
#[must_use]
pub fn resolve<'a>(
    nodes: impl IntoIterator<Item = &'a Node>,
    active: &'a Active,
    rules: &Rules,
    hot: &dyn Fn(&Identifier) -> bool,
) -> Resolved {
    let problem = Problem::new(nodes, active, rules, hot);
    let mut solver = Solver::new(&problem, rules);
    solver.decisions();
    for keys in problem.tiers.values() {
        solver.tier(keys);
    }
    let components = solver.components();
    let units = if rules.matching.on {
        solver.units(&components, active)
    } else {
        Vec::new()
    };
    Resolved { components, units }
}

struct Solver<'a> {
    problem: &'a Problem<'a>,
    cap: usize,
    clusters: Clusters,
    judge: Judge,
    /// Keys found to link nobody.
    generic: BTreeMap<u32, SharedWhy>,
    /// (Key, node): the node does not link by the key.
    muted: BTreeMap<(u32, u32), SharedWhy>,
    /// Keys that joined some of their holders and not all.
    limited: BTreeMap<u32, SharedWhy>,
    /// Decisions that could not be followed.
    refused: BTreeMap<DecisionId, (SharedWhy, u32, u32)>,
}

/// What stands against a key.
enum Against {
    /// The key links nobody.
    Generic(SharedWhy),
    /// These holders stand between two persons.
    Ambiguous(Vec<u32>, Clash),
}

impl<'a> Solver<'a> {
    fn new(problem: &'a Problem<'a>, rules: &Rules) -> Self {
        Self {
            problem,
            cap: rules.cap,
            clusters: Clusters::alone(problem),
            judge: Judge::default(),
            generic: BTreeMap::new(),
            muted: problem.muted.clone(),
            limited: BTreeMap::new(),
            refused: BTreeMap::new(),
        }
    }

    /// Joins the holders of both sides of every *same*. A person outranks names, but not two exclusive values nor a *not
    /// same*; and a side whose own holders contradict each other says nothing.
    fn decisions(&mut self) {
        for (one, other, id) in &self.problem.same {
            let sides =
                [*one, *other].map(|key| self.roots(&self.problem.keys[key as usize].links));
            let [Some(first), Some(second)] =
                [sides[0].first(), sides[1].first()].map(|root| root.copied())
            else {
                continue;
            };
            let mut clash = None;
            let mut sums = Vec::new();
            for side in &sides {
                let mut sum = Summary::default();
                for root in side {
                    clash = clash.or_else(|| {
                        let next = self.clusters.summary(*root);
                        self.judge.clash(self.problem, &sum, next, false)
                    });
                    sum.absorb(self.clusters.summary(*root));
                }
                sums.push(sum);
            }
            clash = clash.or_else(|| self.judge.clash(self.problem, &sums[0], &sums[1], true));
            if let Some(clash) = clash {
                let why = SharedWhy::Contradiction(clash);
                self.refused.insert(*id, (why, *one, *other));
                continue;
            }
            let mut root = self.clusters.merge(first, second);
            for next in sides.into_iter().flatten() {
                root = self.clusters.merge(root, next);
            }
            self.clusters.summary_mut(root).unite_names();
        }
        self.clusters.flatten();
    }

    /// Weighs the evidence of one tier, again and again from where it began, until nothing new stands against a key.
    fn tier(&mut self, keys: &[u32]) {
        let base = self.clusters.clone();
        for round in 0.. {
            let mut found = Vec::new();
            for key in keys {
                if self.generic.contains_key(key) {
                    continue;
                }
                for run in self.runs(*key) {
                    if let Err(against) = self.link(*key, &run, &base) {
                        found.push((*key, against));
                        break;
                    }
                }
            }
            if found.is_empty() {
                break;
            }
            for (key, against) in found {
                match *against {
                    Against::Generic(why) => {
                        self.generic.insert(key, why);
                    }
                    Against::Ambiguous(_, clash) if round >= ROUNDS_MAX => {
                        self.generic.insert(key, SharedWhy::Contradiction(clash));
                    }
                    Against::Ambiguous(nodes, clash) => self.mute(keys, &nodes, &clash),
                }
            }
            self.limited.retain(|key, _| !keys.contains(key));
            self.clusters = base.clone();
        }
        self.clusters.flatten();
    }

    /// Takes the keys of a tier away from nodes. One that links nobody anyway is left out: its other holders may be resolved
    /// elsewhere, and must not show in the answer about these.
    fn mute(&mut self, tier: &[u32], nodes: &[u32], clash: &Clash) {
        let Some(first) = tier.first() else { return };
        let kind = self.problem.keys[*first as usize].identifier.kind;
        for node in nodes {
            for key in &self.problem.keys_of[*node as usize] {
                let weighed = &self.problem.keys[*key as usize];
                if weighed.joins() && weighed.identifier.kind == kind {
                    self.muted
                        .entry((*key, *node))
                        .or_insert_with(|| SharedWhy::Ambiguous(clash.clone()));
                }
            }
        }
    }

    /// The holders that a key may link, in runs within which neighbours are near enough in time.
    fn runs(&self, key: u32) -> Vec<Vec<u32>> {
        let links = &self.problem.keys[key as usize].links;
        let mut holders: Vec<u32> = links
            .iter()
            .copied()
            .filter(|node| !self.muted.contains_key(&(key, *node)))
            .collect();
        let Some(window) = self.problem.keys[key as usize].rule.window_days else {
            return vec![holders];
        };
        let day =
            |node: &u32| i64::from(self.problem.nodes[*node as usize].payload.day.unwrap_or(0));
        holders.sort_by_key(|node| (day(node), *node));
        holders
            .chunk_by(|one, other| day(other) - day(one) <= i64::from(window))
            .map(<[u32]>::to_vec)
            .collect()
    }

    /// The distinct clusters of some nodes, in the nodes' order.
    fn roots(&self, nodes: &[u32]) -> Vec<u32> {
        let mut seen = BTreeSet::new();
        nodes
            .iter()
            .map(|node| self.clusters.find(*node))
            .filter(|root| seen.insert(*root))
            .collect()
    }

    /// Joins the clusters of a key's holders, or says what stands against it; then nothing is joined.
    fn link(&mut self, key: u32, run: &[u32], base: &Clusters) -> Result<(), Box<Against>> {
        let roots = self.roots(run);
        if roots.len() < 2 {
            return Ok(());
        }
        let mut bins: Vec<(Summary, Vec<u32>)> = Vec::new();
        let mut limit = None;
        for root in roots.iter().copied() {
            let summary = self.clusters.summary(root);
            for (bin, _) in &bins {
                if let Some(clash) = self.judge.clash(self.problem, bin, summary, false) {
                    return Err(Box::new(self.against(run, &roots, base, clash)));
                }
            }
            let open =
                bins.iter()
                    .position(|(bin, _)| match over_limit(self.problem, bin, summary) {
                        None => true,
                        Some(why) => {
                            limit = Some(why);
                            false
                        }
                    });
            match open {
                Some(at) => {
                    bins[at].0.absorb(summary);
                    bins[at].1.push(root);
                }
                None if bins.len() >= self.cap => {
                    return Err(Box::new(Against::Generic(SharedWhy::TooMany)));
                }
                None => bins.push((summary.clone(), vec![root])),
            }
        }
        if let (Some(why), true) = (limit, bins.len() > 1) {
            self.limited.insert(key, why);
        }
        for (_, members) in bins {
            let mut rest = members.into_iter();
            if let Some(mut root) = rest.next() {
                for next in rest {
                    root = self.clusters.merge(root, next);
                }
            }
        }
        Ok(())
    }

    /// Finds what is at fault in a contradiction among the clusters of a key's holders.
    fn against(&mut self, run: &[u32], roots: &[u32], base: &Clusters, clash: Clash) -> Against {
        let generic = |clash| Against::Generic(SharedWhy::Contradiction(clash));
        let bound: Vec<u32> = roots
            .iter()
            .copied()
            .filter(|root| !self.clusters.summary(*root).free())
            .collect();
        if bound.len() > self.cap {
            return generic(clash);
        }
        // Holders as the stronger tiers left them, with the cluster each is in by now.
        let mut holders: BTreeMap<u32, (u32, Vec<u32>)> = BTreeMap::new();
        for node in run {
            let entry = holders.entry(base.find(*node));
            let (_, nodes) = entry.or_insert_with(|| (self.clusters.find(*node), Vec::new()));
            nodes.push(*node);
        }
        let mut all = Summary::default();
        for holder in holders.keys() {
            let summary = base.summary(*holder);
            if let Some(clash) = self.judge.clash(self.problem, &all, summary, false) {
                return generic(clash);
            }
            all.absorb(summary);
        }
        // A cluster that contradicts another, through a holder that does not: that holder stands in between.
        let mut sides: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for (holder, (root, nodes)) in &holders {
            let (mut fits, mut stands_between) = (true, false);
            for rival in bound.iter().filter(|rival| *rival != root) {
                let theirs = self.clusters.summary(*rival);
                let own = base.summary(*holder);
                fits &= self.judge.clash(self.problem, own, theirs, false).is_none();
                let whole = self.clusters.summary(*root);
                stands_between |= self
                    .judge
                    .clash(self.problem, whole, theirs, false)
                    .is_some();
            }
            if fits && stands_between {
                sides.entry(*root).or_default().extend(nodes);
            }
        }
        let mut sides = sides.into_values();
        match (sides.next(), sides.next()) {
            (Some(nodes), None) => Against::Ambiguous(nodes, clash),
            _ => generic(clash),
        }
    }
}

mod answer;
