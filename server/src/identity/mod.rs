//! The identity graph in the server's store.
//!
//! Owns the tables of the graph. What they mean is decided in the shared core.

pub mod postings; // who is under a match key

use std::{cmp::Reverse, sync::Arc};

use trenza_shared::{
    id::Fingerprint,
    identifier::Identifier,
    identity::{
        Component, Graph, Group, Held, Holder, KeyProfile, Node, Question, held_by_record, key_hash,
    },
    matching::Bits,
    store::{Direction, Key, Overlay, StoreError, View, Writer},
};

use crate::tables::{
    COMPONENT_OF, COMPONENTS, ComponentRow, EDGES, EdgeRow, HOLDERS, MATCH_KEYS, MATCHED,
    MatchedRow, NODES, NodeRow, PROFILES, ProfileRow, QUESTIONS, UNITS, UnitRow,
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

    /// Holders of a value or of what names a record, in order, after a given one.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn holders(
        view: &(impl View + ?Sized),
        key: &Identifier,
        after: Option<&Fingerprint>,
        max: usize,
    ) -> Result<Vec<Fingerprint>, StoreError> {
        if let Some(record) = key.record() {
            let known = NODES.get(view, &record)?.is_some();
            return Ok(held_by_record(record, known, after, max));
        }
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

    /// The customers by identifiers that are one person with this one; none when it is alone.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn matched(
        view: &(impl View + ?Sized),
        seed: &Fingerprint,
    ) -> Result<Option<Vec<Fingerprint>>, StoreError> {
        Ok(MATCHED.get(view, seed)?.map(|row| row.0))
    }

    /// The person of a node, as a group of all its nodes.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn person(
        view: &(impl View + ?Sized),
        member: &Fingerprint,
    ) -> Result<Option<Group>, StoreError> {
        let Some(group) = by_identifiers(view, member)? else {
            return Ok(None);
        };
        let Some(person) = matched(view, &group.seed)? else {
            return Ok(Some(group));
        };
        let mut parts = Vec::with_capacity(person.len());
        for seed in &person {
            parts.extend(by_identifiers(view, seed)?);
        }
        Ok(Group::joined(&parts))
    }

    /// The customer by identifiers of a node.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn by_identifiers(
        view: &(impl View + ?Sized),
        member: &Fingerprint,
    ) -> Result<Option<Group>, StoreError> {
        let Some(id) = component_of(view, member)? else {
            return Ok(None);
        };
        Ok(component(view, &id)?.and_then(|component| component.group_of(member).cloned()))
    }

    /// Questions in the order of the list, those after a given one.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn questions(
        view: &(impl View + ?Sized),
        after: Option<&Question>,
        max: usize,
    ) -> Result<Vec<Question>, StoreError> {
        let after = after.map(question_key);
        let rows = QUESTIONS.scan(
            view,
            after.as_ref(),
            None,
            Direction::Forward,
            max.saturating_add(1),
        )?;
        let rows = rows.into_iter().map(|(key, ())| key);
        let rows = rows.filter(|key| Some(key) != after.as_ref()).take(max);
        Ok(rows.map(|key| question_of(&key)).collect())
    }
}

/// The key of a question: the surer, the smaller.
pub fn question_key(question: &Question) -> (u32, Fingerprint, Fingerprint) {
    let rank = i64::from(i32::MAX) - i64::from(question.odds.0);
    (rank as u32, question.one, question.other)
}

/// The question of a key.
pub fn question_of(key: &(u32, Fingerprint, Fingerprint)) -> Question {
    let (rank, one, other) = *key;
    Question {
        odds: Reverse((i64::from(i32::MAX) - i64::from(rank)) as Bits),
        one,
        other,
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

    fn unit(&self, seed: &Fingerprint) -> Result<Option<Arc<Held>>, StoreError> {
        let row = UNITS.get(&*self.0, seed)?;
        Ok(row.map(|row| Arc::new(Held::new(row.0))))
    }

    fn put_unit(&mut self, held: &Arc<Held>) -> Result<(), StoreError> {
        let unit = held.unit();
        UNITS.put(self.0, &unit.seed, &UnitRow(unit.clone()))
    }

    fn remove_unit(&mut self, seed: &Fingerprint) -> Result<(), StoreError> {
        UNITS.delete(self.0, seed);
        Ok(())
    }

    fn read_ahead(&mut self, keys: &[u64]) -> Result<(), StoreError> {
        let keys = keys.iter().map(Key::to_key);
        self.0.read_ahead(MATCH_KEYS.space(), keys)
    }

    fn match_holders(&self, key: &u64, max: usize) -> Result<Option<Vec<Holder>>, StoreError> {
        postings::holders(&*self.0, *key, max)
    }

    fn add_match_holder(
        &mut self,
        key: &u64,
        holder: &Holder,
        max: usize,
    ) -> Result<Option<Vec<Holder>>, StoreError> {
        postings::add(self.0, *key, holder, max)
    }

    fn change_match_holder(&mut self, key: &u64, holder: &Holder) -> Result<(), StoreError> {
        postings::change(self.0, *key, holder)
    }

    fn remove_match_holder(&mut self, key: &u64, seed: &Fingerprint) -> Result<(), StoreError> {
        postings::remove(self.0, *key, seed)
    }

    fn edges(&self, seed: &Fingerprint) -> Result<Vec<(Fingerprint, Bits)>, StoreError> {
        let rows = EDGES.scan_prefix(&*self.0, seed, Direction::Forward, usize::MAX)?;
        Ok(rows
            .into_iter()
            .map(|((_, other), row)| (other, row.0))
            .collect())
    }

    fn put_edge(
        &mut self,
        one: &Fingerprint,
        other: &Fingerprint,
        odds: Option<Bits>,
    ) -> Result<(), StoreError> {
        match odds {
            Some(odds) => EDGES.put(self.0, &(*one, *other), &EdgeRow(odds)),
            None => {
                EDGES.delete(self.0, &(*one, *other));
                Ok(())
            }
        }
    }

    fn matched(&self, seed: &Fingerprint) -> Result<Option<Vec<Fingerprint>>, StoreError> {
        read::matched(&*self.0, seed)
    }

    fn put_matched(
        &mut self,
        seed: &Fingerprint,
        person: Option<&[Fingerprint]>,
    ) -> Result<(), StoreError> {
        match person {
            Some(person) => MATCHED.put(self.0, seed, &MatchedRow(person.to_vec())),
            None => {
                MATCHED.delete(self.0, seed);
                Ok(())
            }
        }
    }

    fn asks(&self, question: &Question) -> Result<bool, StoreError> {
        Ok(QUESTIONS.get(&*self.0, &question_key(question))?.is_some())
    }

    fn put_question(&mut self, question: &Question) -> Result<(), StoreError> {
        QUESTIONS.put(self.0, &question_key(question), &())
    }

    fn drop_question(&mut self, question: &Question) -> Result<(), StoreError> {
        QUESTIONS.delete(self.0, &question_key(question));
        Ok(())
    }
}
