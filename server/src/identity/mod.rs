//! The identity graph in the server's store.
//!
//! Owns the tables of the graph. What they mean is decided in the shared core.

use trenza_shared::{
    id::Fingerprint,
    identifier::Identifier,
    identity::{Component, Graph, KeyProfile, Node, key_hash},
    store::{Direction, Overlay, StoreError, View, Writer},
};

use crate::tables::{
    COMPONENT_OF, COMPONENTS, ComponentRow, HOLDERS, NODES, NodeRow, PROFILES, ProfileRow,
};

/// The graph over an overlay: what is written is read back at once and committed by the caller.
pub struct StoredGraph<'a, 'b>(pub &'a mut Overlay<'b>);

/// Reads of the graph over any view.
pub mod read {
    use super::*;

    /// A node.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn node(
        view: &(impl View + ?Sized),
        fingerprint: &Fingerprint,
    ) -> Result<Option<Node>, StoreError> {
        Ok(NODES.get(view, fingerprint)?.map(|row| row.0))
    }

    /// Holders of a value, in order, after a given one.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn holders(
        view: &(impl View + ?Sized),
        key: &Identifier,
        after: Option<&Fingerprint>,
        max: usize,
    ) -> Result<Vec<Fingerprint>, StoreError> {
        let hash = key_hash(key);
        let rows = match after {
            None => HOLDERS.scan_prefix(view, &hash, Direction::Forward, max)?,
            Some(after) => {
                let mut rows = HOLDERS.scan_prefix_from(
                    view,
                    &hash,
                    &(hash, *after),
                    max.saturating_add(1),
                )?;
                rows.retain(|((_, holder), ())| holder != after);
                rows.truncate(max);
                rows
            }
        };
        Ok(rows.into_iter().map(|((_, holder), ())| holder).collect())
    }

    /// The id of the component a node is in.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn component_of(
        view: &(impl View + ?Sized),
        member: &Fingerprint,
    ) -> Result<Option<Fingerprint>, StoreError> {
        let bytes = COMPONENT_OF.get(view, member)?;
        Ok(bytes
            .and_then(|bytes| <[u8; 16]>::try_from(bytes.as_slice()).ok())
            .map(Fingerprint))
    }

    /// A component.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn component(
        view: &(impl View + ?Sized),
        id: &Fingerprint,
    ) -> Result<Option<Component>, StoreError> {
        Ok(COMPONENTS.get(view, id)?.map(|row| row.0))
    }
}

impl<'b> Graph for StoredGraph<'_, 'b> {
    type Error = StoreError;

    fn node(&self, fingerprint: &Fingerprint) -> Result<Option<Node>, StoreError> {
        read::node(&*self.0, fingerprint)
    }

    fn put_node(&mut self, node: &Node) -> Result<(), StoreError> {
        NODES.put(self.0, &node.fingerprint, &NodeRow(node.clone()))
    }

    fn remove_node(&mut self, fingerprint: &Fingerprint) -> Result<(), StoreError> {
        NODES.delete(self.0, fingerprint);
        COMPONENT_OF.delete(self.0, fingerprint);
        Ok(())
    }

    fn remove_holder(&mut self, key: &Identifier, holder: &Fingerprint) -> Result<(), StoreError> {
        HOLDERS.delete(self.0, &(key_hash(key), *holder));
        Ok(())
    }

    fn holders(
        &self,
        key: &Identifier,
        after: Option<&Fingerprint>,
        max: usize,
    ) -> Result<Vec<Fingerprint>, StoreError> {
        read::holders(&*self.0, key, after, max)
    }

    fn add_holder(&mut self, key: &Identifier, holder: &Fingerprint) -> Result<(), StoreError> {
        HOLDERS.put(self.0, &(key_hash(key), *holder), &())
    }

    fn profile(&self, key: &Identifier) -> Result<KeyProfile, StoreError> {
        Ok(PROFILES
            .get(&*self.0, &key_hash(key))?
            .map(|row| row.0)
            .unwrap_or_default())
    }

    fn put_profile(&mut self, key: &Identifier, profile: &KeyProfile) -> Result<(), StoreError> {
        if *profile == KeyProfile::default() {
            PROFILES.delete(self.0, &key_hash(key));
            return Ok(());
        }
        PROFILES.put(self.0, &key_hash(key), &ProfileRow(profile.clone()))
    }

    fn component_of(&self, member: &Fingerprint) -> Result<Option<Fingerprint>, StoreError> {
        read::component_of(&*self.0, member)
    }

    fn put_component_of(
        &mut self,
        member: &Fingerprint,
        component: &Fingerprint,
    ) -> Result<(), StoreError> {
        self.0.put_raw(
            COMPONENT_OF.space(),
            member.0.to_vec(),
            component.0.to_vec(),
        );
        Ok(())
    }

    fn component(&self, id: &Fingerprint) -> Result<Option<Component>, StoreError> {
        read::component(&*self.0, id)
    }

    fn put_component(&mut self, component: &Component) -> Result<(), StoreError> {
        COMPONENTS.put(self.0, &component.id, &ComponentRow(component.clone()))
    }

    fn remove_component(&mut self, id: &Fingerprint) -> Result<(), StoreError> {
        COMPONENTS.delete(self.0, id);
        Ok(())
    }
}
