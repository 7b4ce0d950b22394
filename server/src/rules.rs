//! The rules of identity: those in force, and every version that was published.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use trenza_shared::{
    identity::Rules,
    store::{StoreError, View},
};

use crate::tables::{RULED, RULES, RulesRow};

/// The rules by which what is shown was derived. Clones share them.
#[derive(Clone)]
pub struct InForce(Arc<RwLock<Arc<Rules>>>);

impl InForce {
    /// These rules, until others take their place.
    #[must_use]
    pub fn of(rules: Rules) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(rules))))
    }

    /// Those of this moment.
    #[must_use]
    pub fn now(&self) -> Arc<Rules> {
        let rules = self.0.read().unwrap_or_else(PoisonError::into_inner);
        rules.clone()
    }

    /// Others take their place.
    pub fn replace(&self, rules: Arc<Rules>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = rules;
    }
}

/// Every version that was published, and the program's own as the first.
///
/// # Errors
/// The store cannot be read.
pub fn published(view: &dyn View) -> Result<BTreeMap<u32, RulesRow>, StoreError> {
    let own = RulesRow {
        rules: Rules::default(),
        by: String::new(),
        reason: String::new(),
        at_ms: 0,
    };
    let mut versions = BTreeMap::from([(own.rules.version, own)]);
    for row in RULES.rows(view) {
        versions.extend([row?]);
    }
    Ok(versions)
}

/// The rules of a start.
pub struct AtStart {
    /// Those by which what is stored was derived; where no published ones are, the last, by which it is to be derived anew.
    pub in_force: Rules,
    /// The last that were published, where what is stored was derived by others.
    pub wanted: Option<Rules>,
}

/// What the derived tables say by which rules they were derived, and what was published since.
///
/// # Errors
/// The store cannot be read.
pub fn at_start(view: &dyn View) -> Result<AtStart, StoreError> {
    let ruled = RULED.get(view, &())?;
    let mut versions = published(view)?;
    let last = versions.pop_last().map(|(_, row)| row.rules);
    let last = last.unwrap_or_default();
    let is = |rules: &Rules| ruled.as_deref() == Some(rules.digest().as_slice());
    if is(&last) {
        return Ok(AtStart {
            in_force: last,
            wanted: None,
        });
    }
    // The last version was on its way: what is shown stays until everything is there.
    let mut before = versions.into_values().map(|row| row.rules);
    Ok(match before.find(is) {
        Some(before) => AtStart {
            in_force: before,
            wanted: Some(last),
        },
        None => AtStart {
            in_force: last,
            wanted: None,
        },
    })
}

#[cfg(test)]
mod tests {
    use trenza_shared::store::{Batch, Durable, MemStore, Store as _};

    use super::*;

    fn store(published: &[u32], ruled: Option<&Rules>) -> MemStore {
        let (store, mut batch) = (MemStore::new(), Batch::new());
        for version in published {
            let row = RulesRow {
                rules: rules(*version),
                by: "ana".into(),
                reason: "a test".into(),
                at_ms: 1,
            };
            RULES.put(&mut batch, version, &row).unwrap();
        }
        if let Some(ruled) = ruled {
            RULED
                .put(&mut batch, &(), &ruled.digest().to_vec())
                .unwrap();
        }
        store.commit(batch, Durable::Yes).unwrap();
        store
    }

    fn rules(version: u32) -> Rules {
        Rules {
            version,
            ..Rules::default()
        }
    }

    #[test]
    fn a_start_goes_on_by_the_rules_of_what_is_shown_and_wants_the_last_that_were_published() {
        let versions = |store: &MemStore| {
            let AtStart { in_force, wanted } = at_start(store).unwrap();
            (in_force.version, wanted.map(|rules| rules.version))
        };
        assert_eq!(versions(&store(&[], None)), (1, None));
        assert_eq!(versions(&store(&[], Some(&rules(1)))), (1, None));
        assert_eq!(versions(&store(&[2, 3], Some(&rules(3)))), (3, None));
        assert_eq!(versions(&store(&[2, 3], Some(&rules(2)))), (2, Some(3)));
        assert_eq!(versions(&store(&[2], Some(&rules(1)))), (1, Some(2)));
        // Derived by a program of another meaning, or by nothing.
        assert_eq!(versions(&store(&[2, 3], Some(&rules(9)))), (3, None));
        assert_eq!(versions(&store(&[2], None)), (2, None));
    }
}
