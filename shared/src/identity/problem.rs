//! The nodes of a resolution in small numbers: identifiers, names and not-same labels interned, keys with their holders.
//!
//! Owns the canonical order of everything. Decides nothing.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use super::{
    decisions::Active,
    grouping::{Clash, SharedWhy},
    payload::{Node, key_hash},
    rules::{Class, KindRule, Rules},
};
use crate::{
    id::DecisionId,
    identifier::{Identifier, Kind},
    person::Person,
};

/// Evidence of one rank is weighed together: class, then strength (stronger first), then kind.
pub(super) type Tier = (Class, Reverse<u16>, Kind);

/// Why a key links nobody from the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Off {
    Hot,
    Listed,
    Declared(DecisionId),
}

/// A value and who holds it.
pub(super) struct Key<'a> {
    pub identifier: &'a Identifier,
    pub rule: KindRule,
    pub off: Option<Off>,
    /// Positions of nodes, ascending.
    pub holders: Vec<u32>,
    /// Those of its holders that it may link.
    pub links: Vec<u32>,
}

/// An active *not same*, by positions of keys.
pub(super) struct NotSame {
    pub one: u32,
    pub other: u32,
    pub id: DecisionId,
}

/// What is to be resolved.
pub(super) struct Problem<'a> {
    /// By fingerprint, each once.
    pub nodes: Vec<&'a Node>,
    /// By identifier.
    pub keys: Vec<Key<'a>>,
    /// Per node, the positions of its keys, ascending.
    pub keys_of: Vec<Vec<u32>>,
    /// Distinct full names, sorted.
    pub names: Vec<Person>,
    /// Per node, the position of its full name.
    pub name_of: Vec<Option<u32>>,
    pub not_same: Vec<NotSame>,
    /// Per node: position in `not_same`, and whether it holds the first (not the second) or the second (not the first).
    pub labels_of: Vec<Vec<(u32, bool)>>,
    /// Same pairs of which both sides are held and may link.
    pub same: Vec<(u32, u32, DecisionId)>,
    /// (Key, node): the node proves nothing by the key, which others hold too.
    pub muted: BTreeMap<(u32, u32), SharedWhy>,
    /// Linking keys by tier, in order of hash within one.
    pub tiers: BTreeMap<Tier, Vec<u32>>,
}

impl<'a> Problem<'a> {
    pub fn new(
        nodes: impl IntoIterator<Item = &'a Node>,
        active: &'a Active,
        rules: &Rules,
        hot: &dyn Fn(&Identifier) -> bool,
    ) -> Self {
        let mut nodes: Vec<&Node> = nodes.into_iter().collect();
        nodes.sort_by_key(|node| (node.fingerprint, node.first_at_ms));
        nodes.dedup_by_key(|node| node.fingerprint);
        let mut holders: BTreeMap<&Identifier, Vec<u32>> = BTreeMap::new();
        for (at, node) in nodes.iter().enumerate() {
            for identifier in &node.payload.identifiers {
                holders.entry(identifier).or_default().push(at as u32);
            }
            if let Some(record) = active.record(&node.fingerprint) {
                holders.insert(record, vec![at as u32]);
            }
        }
        let keys: Vec<Key> = holders
            .into_iter()
            .map(|(identifier, holders)| Key {
                identifier,
                rule: rules.rule(identifier.kind),
                off: match active.shared(identifier) {
                    Some(id) => Some(Off::Declared(id)),
                    None if rules.shared.holds(identifier) => Some(Off::Listed),
                    None => hot(identifier).then_some(Off::Hot),
                },
                links: holders.clone(),
                holders,
            })
            .collect();
        let mut keys_of = vec![Vec::new(); nodes.len()];
        for (at, key) in keys.iter().enumerate() {
            for holder in &key.holders {
                keys_of[*holder as usize].push(at as u32);
            }
        }
        let mut problem = Self {
            name_of: Vec::new(),
            names: Vec::new(),
            not_same: Vec::new(),
            labels_of: vec![Vec::new(); nodes.len()],
            same: Vec::new(),
            muted: BTreeMap::new(),
            tiers: BTreeMap::new(),
            nodes,
            keys,
            keys_of,
        };
        problem.intern_names();
        problem.apply(active);
        problem.mute_ambiguous();
        problem.rank();
        problem
    }

    /// Where an identifier stands among the keys.
    pub fn key(&self, identifier: &Identifier) -> Option<u32> {
        self.keys
            .binary_search_by(|key| key.identifier.cmp(identifier))
            .ok()
            .map(|at| at as u32)
    }

    /// Names count by given names, surnames and birthday; the other person fields of a node play no part here. They are numbered in
    /// their own order, not in that of the nodes: which of a person's names an answer shows must not depend on strangers.
    fn intern_names(&mut self) {
        let key = |node: &&'a Node| {
            let person = &node.payload.person;
            let named = person.name_key().is_some();
            named.then_some((
                person.given.as_slice(),
                person.surnames.as_slice(),
                &person.birthday,
            ))
        };
        let of_nodes: Vec<Option<_>> = self.nodes.iter().map(key).collect();
        let known: BTreeSet<_> = of_nodes.iter().flatten().copied().collect();
        let known: BTreeMap<_, u32> = known.into_iter().zip(0..).collect();
        let name = |(given, surnames, birthday): &(&[String], &[String], &Option<String>)| Person {
            given: given.to_vec(),
            surnames: surnames.to_vec(),
            birthday: (*birthday).clone(),
            ..Person::default()
        };
        self.names = known.keys().map(name).collect();
        let at = |name: Option<_>| name.and_then(|name| known.get(&name).copied());
        self.name_of = of_nodes.into_iter().map(at).collect();
    }

    /// Brings in the decisions about identifiers that are held here.
    fn apply(&mut self, active: &Active) {
        for ((one, other), id) in active.same() {
            let (Some(one), Some(other)) = (self.key(one), self.key(other)) else {
                continue;
            };
            let links = |key: u32| self.keys[key as usize].off.is_none();
            if links(one) && links(other) {
                self.same.push((one, other, *id));
            }
        }
        // Two sides that nothing connects need no keeping apart, and must not show in the work on either: what is resolved together
        // is a matter of the moment.
        let part = self.connected();
        for ((one, other), id) in active.not_same() {
            let (Some(one), Some(other)) = (self.key(one), self.key(other)) else {
                continue;
            };
            let at = self.not_same.len() as u32;
            let sides = [one, other].map(|key| &self.keys[key as usize].holders);
            let parts = sides.map(|holders| -> BTreeSet<u32> {
                holders.iter().map(|node| part[*node as usize]).collect()
            });
            for (holders, first) in sides.into_iter().zip([true, false]) {
                for holder in holders {
                    let of = part[*holder as usize];
                    if parts.iter().all(|parts| parts.contains(&of)) {
                        self.labels_of[*holder as usize].push((at, first));
                    }
                }
            }
            self.not_same.push(NotSame {
                one,
                other,
                id: *id,
            });
        }
    }

    /// A node that holds both sides of a *not same* proves nothing by either, and takes no side. One that holds two values of
    /// which a person has at most one names two persons, and links nobody.
    fn mute_ambiguous(&mut self) {
        let mut mute: Vec<(u32, u32, Clash)> = Vec::new();
        for (node, labels) in self.labels_of.iter_mut().enumerate() {
            labels.sort_unstable();
            let both: Vec<u32> = labels
                .windows(2)
                .filter(|pair| pair[0].0 == pair[1].0)
                .map(|pair| pair[0].0)
                .collect();
            labels.retain(|(at, _)| !both.contains(at));
            for at in both {
                let pair = &self.not_same[at as usize];
                let [one, other] = [pair.one, pair.other].map(|key| &self.keys[key as usize]);
                let clash = Clash::Decision {
                    id: pair.id,
                    one: one.identifier.clone(),
                    other: other.identifier.clone(),
                };
                mute.extend([pair.one, pair.other].map(|key| (key, node as u32, clash.clone())));
            }
        }
        for (node, keys) in self.keys_of.iter().enumerate() {
            let doubled = keys.windows(2).find_map(|pair| {
                let [one, other] = [pair[0], pair[1]].map(|at| &self.keys[at as usize]);
                let is_double = one.constrains()
                    && other.constrains()
                    && one.identifier.kind == other.identifier.kind
                    && one.identifier.scope == other.identifier.scope;
                is_double.then(|| Clash::Exclusive {
                    one: one.identifier.clone(),
                    other: other.identifier.clone(),
                })
            });
            if let Some(clash) = doubled {
                mute.extend(keys.iter().map(|key| (*key, node as u32, clash.clone())));
            }
        }
        mute.sort_unstable();
        for (key, node, clash) in mute {
            let of = &mut self.keys[key as usize];
            if let Ok(at) = of.links.binary_search(&node) {
                of.links.remove(at);
            }
            // What links nobody anyway may have holders that are resolved elsewhere.
            if of.joins() && of.holders.len() > 1 {
                let why = SharedWhy::Ambiguous(clash);
                self.muted.entry((key, node)).or_insert(why);
            }
        }
    }

    /// Per node, the smallest node it is connected to by keys that may link and by decisions, whatever became of them.
    pub fn connected(&self) -> Vec<u32> {
        let mut parent: Vec<u32> = (0..self.nodes.len() as u32).collect();
        let mut join = |one: u32, other: u32| {
            let (one, other) = (find(&mut parent, one), find(&mut parent, other));
            parent[one.max(other) as usize] = one.min(other);
        };
        for key in &self.keys {
            if key.joins() {
                for pair in key.holders.windows(2) {
                    join(pair[0], pair[1]);
                }
            }
        }
        for (one, other, _) in &self.same {
            let first = |key: &u32| self.keys[*key as usize].holders.first().copied();
            if let (Some(one), Some(other)) = (first(one), first(other)) {
                join(one, other);
            }
        }
        (0..parent.len() as u32)
            .map(|node| find(&mut parent, node))
            .collect()
    }

    fn rank(&mut self) {
        let mut tiers: BTreeMap<Tier, Vec<([u8; 16], u32)>> = BTreeMap::new();
        for (at, key) in self.keys.iter().enumerate() {
            if !key.joins() || key.links.len() < 2 {
                continue;
            }
            let tier = (
                key.rule.class,
                Reverse(key.rule.strength),
                key.identifier.kind,
            );
            tiers
                .entry(tier)
                .or_default()
                .push((key_hash(key.identifier), at as u32));
        }
        self.tiers = tiers
            .into_iter()
            .map(|(tier, mut keys)| {
                keys.sort_unstable();
                (tier, keys.into_iter().map(|(_, key)| key).collect())
            })
            .collect();
    }
}

impl Key<'_> {
    /// Whether it connects its holders, so that they are resolved together.
    pub fn joins(&self) -> bool {
        self.off.is_none() && self.rule.class != Class::Blocked
    }

    /// Whether a person may hold no second value beside this one. A value that is everybody's constrains nobody.
    pub fn constrains(&self) -> bool {
        self.rule.class == Class::Exclusive && self.off.is_none()
    }
}

fn find(parent: &mut [u32], node: u32) -> u32 {
    let mut at = node;
    while parent[at as usize] != at {
        parent[at as usize] = parent[parent[at as usize] as usize];
        at = parent[at as usize];
    }
    at
}
