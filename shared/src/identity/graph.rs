//! Where the identity graph is kept.
//!
//! Owns the trait that the engine works on, and an implementation in memory for tests and small sets. The server has its own.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    convert::Infallible,
    sync::Arc,
};

use super::{
    grouping::{Component, Group},
    pairs::Held,
    payload::Node,
    people::{People, Question},
    profile::KeyProfile,
    unit::Unit,
};
use crate::{
    id::Fingerprint,
    identifier::Identifier,
    matching::{Bits, Sketch},
};

/// One of those under a match key: its seed, and what tells most others from it.
pub type Holder = (Fingerprint, Sketch);

/// Who holds what names the events of a fingerprint: those events, where there are any; asked for as [`Graph::holders`].
#[must_use]
pub fn held_by_record(
    record: Fingerprint,
    known: bool,
    after: Option<&Fingerprint>,
    max: usize,
) -> Vec<Fingerprint> {
    let asked = max > 0 && after.is_none_or(|after| *after < record);
    (known && asked).then_some(record).into_iter().collect()
}

/// The tables of the identity graph. One writer; what is written is read back at once.
pub trait Graph {
    /// What can go wrong below.
    type Error;

    /// A node.
    ///
    /// # Errors
    /// Those of the store, here and below.
    fn node(&self, fingerprint: &Fingerprint) -> Result<Option<Node>, Self::Error>;
    /// Writes a node, or its earlier first time.
    ///
    /// # Errors
    /// Those of the store.
    fn put_node(&mut self, node: &Node) -> Result<(), Self::Error>;
    /// Removes a node, and what says in which component it is.
    ///
    /// # Errors
    /// Those of the store.
    fn remove_node(&mut self, fingerprint: &Fingerprint) -> Result<(), Self::Error>;
    /// Removes a holder of a value.
    ///
    /// # Errors
    /// Those of the store.
    fn remove_holder(&mut self, key: &Identifier, holder: &Fingerprint) -> Result<(), Self::Error>;
    /// Who holds a value, or is the record that it names ([`held_by_record`]): at most `max` of them, in order of fingerprint, those greater than `after`.
    ///
    /// # Errors
    /// Those of the store.
    fn holders(
        &self,
        key: &Identifier,
        after: Option<&Fingerprint>,
        max: usize,
    ) -> Result<Vec<Fingerprint>, Self::Error>;
    /// Notes a holder of a value. Called once per pair; a blind write.
    ///
    /// # Errors
    /// Those of the store.
    fn add_holder(&mut self, key: &Identifier, holder: &Fingerprint) -> Result<(), Self::Error>;
    /// The profile of a value; the default one if there is none.
    ///
    /// # Errors
    /// Those of the store.
    fn profile(&self, key: &Identifier) -> Result<KeyProfile, Self::Error>;
    /// Writes a profile. The default one is that of a value without a profile: it must leave nothing behind.
    ///
    /// # Errors
    /// Those of the store.
    fn put_profile(&mut self, key: &Identifier, profile: &KeyProfile) -> Result<(), Self::Error>;
    /// The id of the component a node is in.
    ///
    /// # Errors
    /// Those of the store.
    fn component_of(&self, member: &Fingerprint) -> Result<Option<Fingerprint>, Self::Error>;
    /// Writes the component a node is in.
    ///
    /// # Errors
    /// Those of the store.
    fn put_component_of(
        &mut self,
        member: &Fingerprint,
        component: &Fingerprint,
    ) -> Result<(), Self::Error>;
    /// A component by its id.
    ///
    /// # Errors
    /// Those of the store.
    fn component(&self, id: &Fingerprint) -> Result<Option<Component>, Self::Error>;
    /// Writes a component.
    ///
    /// # Errors
    /// Those of the store.
    fn put_component(&mut self, component: &Component) -> Result<(), Self::Error>;
    /// Removes a component that is no more.
    ///
    /// # Errors
    /// Those of the store.
    fn remove_component(&mut self, id: &Fingerprint) -> Result<(), Self::Error>;
    /// A customer by identifiers that can be compared with others, by its seed.
    ///
    /// # Errors
    /// Those of the store.
    fn unit(&self, seed: &Fingerprint) -> Result<Option<Arc<Held>>, Self::Error>;
    /// Writes one.
    ///
    /// # Errors
    /// Those of the store.
    fn put_unit(&mut self, held: &Arc<Held>) -> Result<(), Self::Error>;
    /// Removes one.
    ///
    /// # Errors
    /// Those of the store.
    fn remove_unit(&mut self, seed: &Fingerprint) -> Result<(), Self::Error>;
    /// Match keys that are asked for next, sorted: a store may read them at one go.
    ///
    /// # Errors
    /// Those of the store.
    fn read_ahead(&mut self, keys: &[u64]) -> Result<(), Self::Error> {
        let _ = keys;
        Ok(())
    }
    /// Which of them have a match key, in order; none when more than `max` have it.
    ///
    /// # Errors
    /// Those of the store.
    fn match_holders(&self, key: &u64, max: usize) -> Result<Option<Vec<Holder>>, Self::Error>;
    /// Notes one under a match key that it is not under. Gives those that had it before; none when more than `max` had it.
    ///
    /// # Errors
    /// Those of the store.
    fn add_match_holder(
        &mut self,
        key: &u64,
        holder: &Holder,
        max: usize,
    ) -> Result<Option<Vec<Holder>>, Self::Error>;
    /// Notes another sketch of one under a match key.
    ///
    /// # Errors
    /// Those of the store.
    fn change_match_holder(&mut self, key: &u64, holder: &Holder) -> Result<(), Self::Error>;
    /// Takes one that is there from under a match key.
    ///
    /// # Errors
    /// Those of the store.
    fn remove_match_holder(&mut self, key: &u64, seed: &Fingerprint) -> Result<(), Self::Error>;
    /// Whom one may be, with the odds.
    ///
    /// # Errors
    /// Those of the store.
    fn edges(&self, seed: &Fingerprint) -> Result<Vec<(Fingerprint, Bits)>, Self::Error>;
    /// Writes the odds that one is another, or removes them. Called for both ends.
    ///
    /// # Errors
    /// Those of the store.
    fn put_edge(
        &mut self,
        one: &Fingerprint,
        other: &Fingerprint,
        odds: Option<Bits>,
    ) -> Result<(), Self::Error>;
    /// All customers by identifiers that are the person one is, sorted, itself among them; none when it is alone.
    ///
    /// # Errors
    /// Those of the store.
    fn matched(&self, seed: &Fingerprint) -> Result<Option<Vec<Fingerprint>>, Self::Error>;
    /// Writes them, or removes them.
    ///
    /// # Errors
    /// Those of the store.
    fn put_matched(
        &mut self,
        seed: &Fingerprint,
        person: Option<&[Fingerprint]>,
    ) -> Result<(), Self::Error>;
    /// Whether a question stands.
    ///
    /// # Errors
    /// Those of the store.
    fn asks(&self, question: &Question) -> Result<bool, Self::Error>;
    /// Puts a question.
    ///
    /// # Errors
    /// Those of the store.
    fn put_question(&mut self, question: &Question) -> Result<(), Self::Error>;
    /// Takes one back.
    ///
    /// # Errors
    /// Those of the store.
    fn drop_question(&mut self, question: &Question) -> Result<(), Self::Error>;
}

/// The person a node belongs to, as a group of all its nodes.
///
/// # Errors
/// Those of the store.
pub fn person_of<G: Graph>(graph: &G, member: &Fingerprint) -> Result<Option<Group>, G::Error> {
    let Some(group) = group_of(graph, member)? else {
        return Ok(None);
    };
    match graph.matched(&group.seed)? {
        None => Ok(Some(group)),
        Some(person) => {
            let mut parts = Vec::with_capacity(person.len());
            for seed in person {
                parts.extend(group_of(graph, &seed)?);
            }
            Ok(Group::joined(&parts))
        }
    }
}

/// The group a node is in by identifiers.
///
/// # Errors
/// Those of the store.
pub fn group_of<G: Graph>(graph: &G, member: &Fingerprint) -> Result<Option<Group>, G::Error> {
    let Some(id) = graph.component_of(member)? else {
        return Ok(None);
    };
    let component = graph.component(&id)?;
    Ok(component.and_then(|component| component.group_of(member).cloned()))
}

/// The graph in memory.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct MemoryGraph {
    nodes: HashMap<Fingerprint, Node>,
    holders: HashMap<Identifier, BTreeSet<Fingerprint>>,
    profiles: HashMap<Identifier, KeyProfile>,
    places: HashMap<Fingerprint, Fingerprint>,
    components: HashMap<Fingerprint, Component>,
    units: HashMap<Fingerprint, Arc<Held>>,
    match_holders: HashMap<u64, BTreeMap<Fingerprint, Sketch>>,
    edges: BTreeMap<(Fingerprint, Fingerprint), Bits>,
    matched: HashMap<Fingerprint, Vec<Fingerprint>>,
    questions: BTreeSet<Question>,
}

impl MemoryGraph {
    /// All components, by id.
    #[must_use]
    pub fn components(&self) -> Vec<Component> {
        let mut components: Vec<Component> = self.components.values().cloned().collect();
        components.sort_unstable_by_key(|component| component.id);
        components
    }

    /// Those that can be compared with others, by seed.
    #[must_use]
    pub fn units(&self) -> Vec<Unit> {
        let mut units: Vec<Unit> = self.units.values().map(|one| one.unit().clone()).collect();
        units.sort_unstable_by_key(|unit| unit.seed);
        units
    }

    /// What matching makes of them.
    #[must_use]
    pub fn people(&self) -> People {
        People {
            persons: self.matched.values().cloned().collect(),
            questions: self.questions.clone(),
        }
    }

    /// All nodes, by fingerprint.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        let mut nodes: Vec<&Node> = self.nodes.values().collect();
        nodes.sort_unstable_by_key(|node| node.fingerprint);
        nodes.into_iter()
    }
}

impl Graph for MemoryGraph {
    type Error = Infallible;

    fn node(&self, fingerprint: &Fingerprint) -> Result<Option<Node>, Infallible> {
        Ok(self.nodes.get(fingerprint).cloned())
    }

    fn put_node(&mut self, node: &Node) -> Result<(), Infallible> {
        self.nodes.insert(node.fingerprint, node.clone());
        Ok(())
    }

    fn remove_node(&mut self, fingerprint: &Fingerprint) -> Result<(), Infallible> {
        self.nodes.remove(fingerprint);
        self.places.remove(fingerprint);
        Ok(())
    }

    fn remove_holder(&mut self, key: &Identifier, holder: &Fingerprint) -> Result<(), Infallible> {
        if let Some(holders) = self.holders.get_mut(key) {
            holders.remove(holder);
            if holders.is_empty() {
                self.holders.remove(key);
            }
        }
        Ok(())
    }

    fn holders(
        &self,
        key: &Identifier,
        after: Option<&Fingerprint>,
        max: usize,
    ) -> Result<Vec<Fingerprint>, Infallible> {
        use std::ops::Bound;
        if let Some(record) = key.record() {
            let known = self.nodes.contains_key(&record);
            return Ok(held_by_record(record, known, after, max));
        }
        let from = after.map_or(Bound::Unbounded, |after| Bound::Excluded(*after));
        Ok(self.holders.get(key).map_or_else(Vec::new, |holders| {
            let range = holders.range((from, Bound::Unbounded));
            range.take(max).copied().collect()
        }))
    }

    fn add_holder(&mut self, key: &Identifier, holder: &Fingerprint) -> Result<(), Infallible> {
        let holders = self.holders.entry(key.clone()).or_default();
        holders.insert(*holder);
        Ok(())
    }

    fn profile(&self, key: &Identifier) -> Result<KeyProfile, Infallible> {
        Ok(self.profiles.get(key).cloned().unwrap_or_default())
    }

    fn put_profile(&mut self, key: &Identifier, profile: &KeyProfile) -> Result<(), Infallible> {
        if *profile == KeyProfile::default() {
            self.profiles.remove(key);
        } else {
            self.profiles.insert(key.clone(), profile.clone());
        }
        Ok(())
    }

    fn component_of(&self, member: &Fingerprint) -> Result<Option<Fingerprint>, Infallible> {
        Ok(self.places.get(member).copied())
    }

    fn put_component_of(
        &mut self,
        member: &Fingerprint,
        component: &Fingerprint,
    ) -> Result<(), Infallible> {
        self.places.insert(*member, *component);
        Ok(())
    }

    fn component(&self, id: &Fingerprint) -> Result<Option<Component>, Infallible> {
        Ok(self.components.get(id).cloned())
    }

    fn put_component(&mut self, component: &Component) -> Result<(), Infallible> {
        self.components.insert(component.id, component.clone());
        Ok(())
    }

    fn remove_component(&mut self, id: &Fingerprint) -> Result<(), Infallible> {
        self.components.remove(id);
        Ok(())
    }

    fn unit(&self, seed: &Fingerprint) -> Result<Option<Arc<Held>>, Infallible> {
        Ok(self.units.get(seed).cloned())
    }

    fn put_unit(&mut self, held: &Arc<Held>) -> Result<(), Infallible> {
        self.units.insert(held.unit().seed, held.clone());
        Ok(())
    }

    fn remove_unit(&mut self, seed: &Fingerprint) -> Result<(), Infallible> {
        self.units.remove(seed);
        Ok(())
    }

    fn match_holders(&self, key: &u64, max: usize) -> Result<Option<Vec<Holder>>, Infallible> {
        let Some(holders) = self.match_holders.get(key) else {
            return Ok(Some(Vec::new()));
        };
        let all = || holders.iter().map(|(seed, sketch)| (*seed, *sketch));
        Ok((holders.len() <= max).then(|| all().collect()))
    }

    fn add_match_holder(
        &mut self,
        key: &u64,
        holder: &Holder,
        max: usize,
    ) -> Result<Option<Vec<Holder>>, Infallible> {
        let before = self.match_holders(key, max)?;
        self.change_match_holder(key, holder)?;
        Ok(before)
    }

    fn change_match_holder(&mut self, key: &u64, holder: &Holder) -> Result<(), Infallible> {
        let holders = self.match_holders.entry(*key).or_default();
        holders.insert(holder.0, holder.1);
        Ok(())
    }

    fn remove_match_holder(&mut self, key: &u64, seed: &Fingerprint) -> Result<(), Infallible> {
        if let Some(holders) = self.match_holders.get_mut(key) {
            holders.remove(seed);
            if holders.is_empty() {
                self.match_holders.remove(key);
            }
        }
        Ok(())
    }

    fn edges(&self, seed: &Fingerprint) -> Result<Vec<(Fingerprint, Bits)>, Infallible> {
        let least = (*seed, Fingerprint([0; 16]));
        let from = self
            .edges
            .range(least..)
            .take_while(|((one, _), _)| one == seed);
        Ok(from.map(|((_, other), odds)| (*other, *odds)).collect())
    }

    fn put_edge(
        &mut self,
        one: &Fingerprint,
        other: &Fingerprint,
        odds: Option<Bits>,
    ) -> Result<(), Infallible> {
        match odds {
            Some(odds) => self.edges.insert((*one, *other), odds),
            None => self.edges.remove(&(*one, *other)),
        };
        Ok(())
    }

    fn matched(&self, seed: &Fingerprint) -> Result<Option<Vec<Fingerprint>>, Infallible> {
        Ok(self.matched.get(seed).cloned())
    }

    fn put_matched(
        &mut self,
        seed: &Fingerprint,
        person: Option<&[Fingerprint]>,
    ) -> Result<(), Infallible> {
        match person {
            Some(person) => self.matched.insert(*seed, person.to_vec()),
            None => self.matched.remove(seed),
        };
        Ok(())
    }

    fn asks(&self, question: &Question) -> Result<bool, Infallible> {
        Ok(self.questions.contains(question))
    }

    fn put_question(&mut self, question: &Question) -> Result<(), Infallible> {
        self.questions.insert(*question);
        Ok(())
    }

    fn drop_question(&mut self, question: &Question) -> Result<(), Infallible> {
        self.questions.remove(question);
        Ok(())
    }
}
