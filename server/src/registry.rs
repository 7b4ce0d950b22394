//! Sources and agents, in memory: what judging a write key and naming an origin need without I/O.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, RwLock},
};

use trenza_shared::{
    evidence::Origin,
    id::AgentId,
    skew::Corrected,
    store::{Batch, Durable, Store, StoreError, View},
    wire::sync::{Origins, REVOKED_MAX},
};

use crate::tables::{AGENTS, AgentRow, AgentState, OriginRow, SOURCES, SourceRow};

/// The configured sources and the enrolled agents. Written through: a change is stored before it is seen.
pub struct Registry {
    store: Arc<dyn Store>,
    inner: RwLock<Inner>,
}

#[derive(Default)]
struct Inner {
    sources: BTreeMap<String, SourceRow>,
    agents: BTreeMap<AgentId, AgentRow>,
    /// By venue: whose right was taken back.
    revoked: BTreeMap<String, BTreeSet<AgentId>>,
}

impl Inner {
    fn note_agent(&mut self, id: AgentId, row: AgentRow) {
        if !row.venue.is_empty() {
            let revoked = self.revoked.entry(row.venue.clone()).or_default();
            match row.state {
                AgentState::Revoked => revoked.insert(id),
                AgentState::Active => revoked.remove(&id),
            };
        }
        self.agents.insert(id, row);
    }
}

impl Registry {
    /// Reads what is stored.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn open(store: Arc<dyn Store>) -> Result<Self, StoreError> {
        let view: &dyn View = &*store;
        let sources = SOURCES.rows(view).collect::<Result<_, _>>()?;
        let mut inner = Inner {
            sources,
            ..Inner::default()
        };
        for row in AGENTS.rows(view) {
            let (id, row) = row?;
            inner.note_agent(id, row);
        }
        Ok(Self {
            inner: RwLock::new(inner),
            store,
        })
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Inner> {
        // A panic elsewhere cannot leave a half-made map here: every write is one insert.
        self.inner
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The source of a write key.
    pub fn source(&self, key: &str) -> Option<SourceRow> {
        self.read().sources.get(key).cloned()
    }

    /// A source by its key or its name, with its key; of two with one name, that which is in use.
    pub fn source_named(&self, named: &str) -> Option<(String, SourceRow)> {
        self.sources()
            .into_iter()
            .filter(|(key, row)| key == named || row.name == named)
            .min_by_key(|(_, row)| row.revoked)
    }

    /// Every source with its key.
    pub fn sources(&self) -> BTreeMap<String, SourceRow> {
        self.read().sources.clone()
    }

    /// An agent.
    pub fn agent(&self, id: &AgentId) -> Option<AgentRow> {
        self.read().agents.get(id).cloned()
    }

    /// An agent as it is stored: after a commit that failed and is there all the same, the store knows better than the memory.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn recall_agent(&self, id: &AgentId) -> Result<Option<AgentRow>, StoreError> {
        let row = AGENTS.get(&*self.store, id)?;
        if let Some(row) = &row {
            self.inner
                .write()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .note_agent(*id, row.clone());
        }
        Ok(row)
    }

    /// The fleet.
    pub fn agents(&self) -> BTreeMap<AgentId, AgentRow> {
        self.read().agents.clone()
    }

    /// Agents of the same venue whose right was taken back; of more than [`REVOKED_MAX`], some.
    pub fn revoked_near(&self, id: &AgentId) -> Vec<AgentId> {
        let inner = self.read();
        let venue = inner.agents.get(id).map(|row| &row.venue);
        let revoked = venue.and_then(|venue| inner.revoked.get(venue));
        let others = revoked.into_iter().flatten().take(REVOKED_MAX);
        others.copied().collect()
    }

    /// Write keys that are in force.
    pub fn write_keys(&self) -> Vec<String> {
        self.read()
            .sources
            .iter()
            .filter(|(_, row)| !row.revoked)
            .map(|(key, _)| key.clone())
            .collect()
    }

    /// Of the keys in force that only some pages may use, which pages.
    pub fn origins(&self) -> Origins {
        self.read()
            .sources
            .iter()
            .filter(|(_, row)| !row.revoked && !row.origins.is_empty())
            .map(|(key, row)| (key.clone(), row.origins.clone()))
            .collect()
    }

    /// Adds or changes a source.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn put_source(&self, key: &str, row: &SourceRow) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        SOURCES.put(&mut batch, &key.to_owned(), row)?;
        self.store.commit(batch, Durable::Yes)?;
        self.note_source(key, row);
        Ok(())
    }

    /// Takes note of a source that a larger batch has stored.
    pub fn note_source(&self, key: &str, row: &SourceRow) {
        self.inner
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .sources
            .insert(key.to_owned(), row.clone());
    }

    /// Adds or changes an agent, together with what else belongs to the same step.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn put_agent(
        &self,
        id: &AgentId,
        row: &AgentRow,
        mut batch: Batch,
    ) -> Result<(), StoreError> {
        AGENTS.put(&mut batch, id, row)?;
        self.store.commit(batch, Durable::Yes)?;
        self.inner
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .note_agent(*id, row.clone());
        Ok(())
    }

    /// The full origin behind a stored one, whose time was corrected where that is possible; none when its key is not known.
    pub fn origin(&self, row: &OriginRow, corrected: Option<Corrected>) -> Option<Origin> {
        let inner = self.read();
        let source = inner.sources.get(&row.key)?;
        let agent = row.agent.and_then(|id| inner.agents.get(&id));
        Some(Origin {
            unsure: row.agent.is_some() && corrected.is_none(),
            captured_ms: corrected.map_or(row.captured_ms, |corrected| corrected.at_ms),
            wall_ms: row.captured_ms,
            source: source.name.clone(),
            priority: source.priority,
            country: source.country.clone(),
            namespace: source.namespace.clone(),
            agent: row.agent,
            touchpoint: agent.map(|agent| agent.touchpoint.clone()),
        })
    }
}

#[cfg(test)]
mod tests {
    use trenza_shared::store::{Fault, FaultyStore};

    use super::*;

    #[test]
    fn an_agent_whose_commit_failed_and_is_there_is_recalled() {
        let store = Arc::new(FaultyStore::new(0, Fault::AppliedButReported));
        let registry = Registry::open(store.clone()).unwrap();
        let (id, row) = (
            AgentId([7; 16]),
            AgentRow {
                touchpoint: "Tienda".into(),
                country: "ES".into(),
                zone: "Europe/Madrid".into(),
                venue: String::new(),
                write_key: "wk".into(),
                enrolled_ms: 1,
                state: AgentState::Active,
                copy_of: None,
            },
        );
        store.fail_every(1, Fault::AppliedButReported);
        assert!(registry.put_agent(&id, &row, Batch::new()).is_err());
        store.fail_every(0, Fault::AppliedButReported);
        assert!(registry.agent(&id).is_none(), "only the store knows it");
        let recalled = registry.recall_agent(&id).unwrap().unwrap();
        assert_eq!(recalled.touchpoint, "Tienda");
        assert!(registry.agent(&id).is_some());
        assert!(registry.recall_agent(&AgentId([8; 16])).unwrap().is_none());
    }
}
