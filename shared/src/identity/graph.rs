//! Where the identity graph is kept.
//!
//! Owns the trait that the engine works on, and an implementation in memory for tests and small sets. The server has its own.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use super::{grouping::Component, payload::Node, profile::KeyProfile};
use crate::{id::Fingerprint, identifier::Identifier};

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
    /// Who holds a value: at most `max` of them, in order of fingerprint, those greater than `after`.
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
}

/// The graph in memory.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct MemoryGraph {
    nodes: BTreeMap<Fingerprint, Node>,
    holders: BTreeMap<Identifier, BTreeSet<Fingerprint>>,
    profiles: BTreeMap<Identifier, KeyProfile>,
    places: BTreeMap<Fingerprint, Fingerprint>,
    components: BTreeMap<Fingerprint, Component>,
}

impl MemoryGraph {
    /// All components, by id.
    #[must_use]
    pub fn components(&self) -> Vec<Component> {
        self.components.values().cloned().collect()
    }

    /// All nodes, by fingerprint.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values()
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
}
