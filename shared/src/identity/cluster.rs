//! Clusters of nodes under construction: what each holds that may contradict another.
//!
//! Owns the constraints. Clusters only grow, so two that contradict each other do so for ever.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{
    grouping::{Clash, SharedWhy},
    problem::Problem,
};
use crate::{identifier::Kind, person::Person};

/// Most full names that one person may be known by. More are not one person, whatever links them.
pub(super) const NAMES_MAX: usize = 64;

/// What a cluster holds that others may contradict.
#[derive(Clone, Default)]
pub(super) struct Summary {
    /// Keys of which a person has at most one per kind and scope.
    pub exclusive: BTreeSet<u32>,
    /// Full names, each with a birthday; those joined by a decision stand together, and one of them is enough to fit.
    pub names: Vec<Vec<u32>>,
    /// Sides of *not same* decisions.
    labels: BTreeSet<(u32, bool)>,
    /// Keys of kinds of which a person has a limited number.
    pub limited: BTreeMap<Kind, BTreeSet<u32>>,
}

impl Summary {
    fn of(problem: &Problem, node: usize) -> Self {
        let mut summary = Self {
            labels: problem.labels_of[node].iter().copied().collect(),
            names: problem.name_of[node]
                .iter()
                .map(|name| vec![*name])
                .collect(),
            ..Self::default()
        };
        for at in &problem.keys_of[node] {
            let key = &problem.keys[*at as usize];
            if key.constrains() {
                summary.exclusive.insert(*at);
            }
            if key.rule.max_per_person.is_some() && key.off.is_none() {
                let values = summary.limited.entry(key.identifier.kind).or_default();
                values.insert(*at);
            }
        }
        summary
    }

    /// Whether it cannot contradict anything.
    pub fn free(&self) -> bool {
        self.exclusive.is_empty() && self.names.is_empty() && self.labels.is_empty()
    }

    /// Takes in another.
    pub fn absorb(&mut self, other: &Self) {
        self.exclusive.extend(&other.exclusive);
        for name in &other.names {
            if !self.names.contains(name) {
                self.names.push(name.clone());
            }
        }
        self.labels.extend(&other.labels);
        for (kind, values) in &other.limited {
            self.limited.entry(*kind).or_default().extend(values);
        }
    }

    /// Declares all its names to be one person's.
    pub fn unite_names(&mut self) {
        let mut all: Vec<u32> = self.names.drain(..).flatten().collect();
        all.sort_unstable();
        all.dedup();
        if !all.is_empty() {
            self.names.push(all);
        }
    }

    fn weight(&self) -> usize {
        self.exclusive.len() + self.names.len() + self.labels.len() + self.limited.len()
    }
}

/// Judges whether summaries go together; remembers names it compared.
#[derive(Default)]
pub(super) struct Judge {
    compared: HashMap<(u32, u32), bool>,
}

impl Judge {
    /// What keeps two summaries apart, names left out of account when `waive_names`.
    pub fn clash(
        &mut self,
        problem: &Problem,
        one: &Summary,
        other: &Summary,
        waive_names: bool,
    ) -> Option<Clash> {
        exclusive(problem, one, other)
            .or_else(|| decided(problem, one, other))
            .or_else(|| {
                if waive_names {
                    None
                } else {
                    self.names(problem, one, other)
                }
            })
    }

    fn names(&mut self, problem: &Problem, one: &Summary, other: &Summary) -> Option<Clash> {
        for names in &one.names {
            for others in &other.names {
                let fits = names
                    .iter()
                    .any(|a| others.iter().any(|b| self.fit(problem, *a, *b)));
                if !fits {
                    let first = |names: &[u32]| Some(&problem.names[*names.first()? as usize]);
                    return first(names).zip(first(others)).map(unlike);
                }
            }
        }
        None
    }

    fn fit(&mut self, problem: &Problem, one: u32, other: u32) -> bool {
        if one == other {
            return true;
        }
        let pair = (one.min(other), one.max(other));
        *self.compared.entry(pair).or_insert_with(|| {
            problem.names[pair.0 as usize].compatible(&problem.names[pair.1 as usize])
        })
    }
}

/// What keeps two persons apart who are not compatible.
pub(super) fn unlike((one, other): (&Person, &Person)) -> Clash {
    if one.names_compatible(other)
        && let Some((one, other)) = one.birthday.clone().zip(other.birthday.clone())
    {
        let (one, other) = ordered(one, other);
        return Clash::Births { one, other };
    }
    let text = |person: &Person| shown(&person.given, &person.surnames);
    let (one, other) = ordered(text(one), text(other));
    Clash::Names { one, other }
}

/// The limit that joining both would break. A limit that one side breaks alone is not broken by joining.
pub(super) fn over_limit(problem: &Problem, one: &Summary, other: &Summary) -> Option<SharedWhy> {
    if one.names.len() + other.names.len() > NAMES_MAX {
        let fresh = other.names.iter().any(|name| !one.names.contains(name));
        let back = one.names.iter().any(|name| !other.names.contains(name));
        if fresh && back {
            return Some(SharedWhy::TooMany);
        }
    }
    for (kind, values) in &other.limited {
        let Some(known) = one.limited.get(kind) else {
            continue;
        };
        let max = values
            .first()
            .and_then(|at| problem.keys[*at as usize].rule.max_per_person)
            .unwrap_or(u32::MAX);
        let union = known.union(values).count();
        if union > max as usize && union > known.len().max(values.len()) {
            return Some(SharedWhy::Limit { kind: *kind, max });
        }
    }
    None
}

fn exclusive(problem: &Problem, one: &Summary, other: &Summary) -> Option<Clash> {
    let (few, many) = if one.exclusive.len() <= other.exclusive.len() {
        (one, other)
    } else {
        (other, one)
    };
    for at in &few.exclusive {
        let key = problem.keys[*at as usize].identifier;
        // Keys of one kind and scope stand side by side: the nearest on either side is enough.
        let near = [
            many.exclusive.range(..at).next_back(),
            many.exclusive.range(at + 1..).next(),
        ];
        for rival in near.into_iter().flatten() {
            let rival = problem.keys[*rival as usize].identifier;
            if rival.kind == key.kind && rival.scope == key.scope {
                let (one, other) = ordered(key.clone(), rival.clone());
                return Some(Clash::Exclusive { one, other });
            }
        }
    }
    None
}

fn decided(problem: &Problem, one: &Summary, other: &Summary) -> Option<Clash> {
    let (few, many) = if one.labels.len() <= other.labels.len() {
        (one, other)
    } else {
        (other, one)
    };
    few.labels.iter().find_map(|(at, side)| {
        many.labels.contains(&(*at, !side)).then(|| {
            let pair = &problem.not_same[*at as usize];
            Clash::Decision {
                id: pair.id,
                one: problem.keys[pair.one as usize].identifier.clone(),
                other: problem.keys[pair.other as usize].identifier.clone(),
            }
        })
    })
}

pub(super) fn ordered<T: Ord>(one: T, other: T) -> (T, T) {
    if one <= other {
        (one, other)
    } else {
        (other, one)
    }
}

/// A full name as folded, given names first.
pub(super) fn shown(given: &[String], surnames: &[String]) -> String {
    let words: Vec<&str> = given.iter().chain(surnames).map(String::as_str).collect();
    words.join(" ")
}

/// Disjoint clusters of nodes with their summaries.
#[derive(Clone)]
pub(super) struct Clusters {
    parent: Vec<u32>,
    size: Vec<u32>,
    summaries: Vec<Summary>,
}

impl Clusters {
    /// Every node alone.
    pub fn alone(problem: &Problem) -> Self {
        let count = problem.nodes.len();
        Self {
            parent: (0..count as u32).collect(),
            size: vec![1; count],
            summaries: (0..count).map(|node| Summary::of(problem, node)).collect(),
        }
    }

    /// The cluster of a node, named by one of its members.
    pub fn find(&self, node: u32) -> u32 {
        let mut at = node;
        while self.parent[at as usize] != at {
            at = self.parent[at as usize];
        }
        at
    }

    /// What a cluster holds.
    pub fn summary(&self, root: u32) -> &Summary {
        &self.summaries[root as usize]
    }

    /// What a cluster holds, to be changed.
    pub fn summary_mut(&mut self, root: u32) -> &mut Summary {
        &mut self.summaries[root as usize]
    }

    /// Makes one cluster of two. The heavier summary takes in the lighter, so that each value moves rarely.
    pub fn merge(&mut self, one: u32, other: u32) -> u32 {
        let (one, other) = (self.find(one), self.find(other));
        if one == other {
            return one;
        }
        let size = |root: u32| self.size[root as usize];
        let (into, from) = if size(one) >= size(other) {
            (one, other)
        } else {
            (other, one)
        };
        self.size[into as usize] += self.size[from as usize];
        self.parent[from as usize] = into;
        let mut moved = std::mem::take(&mut self.summaries[from as usize]);
        let kept = &mut self.summaries[into as usize];
        if moved.weight() > kept.weight() {
            std::mem::swap(&mut moved, kept);
        }
        kept.absorb(&moved);
        into
    }

    /// Points every node straight at its cluster.
    pub fn flatten(&mut self) {
        for node in 0..self.parent.len() as u32 {
            self.parent[node as usize] = self.find(node);
        }
    }
}
