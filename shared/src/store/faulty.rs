//! A store that fails on demand, for simulations of disks that are full, slow to sync, or lose their power.

use std::sync::{Mutex, PoisonError};

use super::{
    Batch, Direction, Durable, Entry, MemStore, Range, Space, Store, StoreError, View, mem::State,
};

/// What goes wrong with a commit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Nothing was written, and the caller is told so.
    Refused,
    /// It was written, and the caller is told that it was not: the "maybe committed" case.
    AppliedButReported,
    /// No room on the device.
    Full,
}

struct Plan {
    /// Every n-th commit fails; 0: none.
    every: u64,
    fault: Fault,
    commits: u64,
    /// What a power loss leaves.
    durable: State,
}

/// A memory store with faults. It counts commits, so the same calls give the same faults.
pub struct FaultyStore {
    inner: MemStore,
    plan: Mutex<Plan>,
}

impl FaultyStore {
    /// Fails every `every`-th commit with `fault` (0: never).
    pub fn new(every: u64, fault: Fault) -> Self {
        let plan = Plan {
            every,
            fault,
            commits: 0,
            durable: State::default(),
        };
        Self {
            inner: MemStore::new(),
            plan: Mutex::new(plan),
        }
    }

    /// Changes the plan from the next commit on.
    pub fn fail_every(&self, every: u64, fault: Fault) {
        let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        (plan.every, plan.fault, plan.commits) = (every, fault, 0);
    }

    /// A power loss: everything after the last durable commit is gone.
    pub fn crash(&self) {
        let plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        self.inner.replace(plan.durable.clone());
    }
}

impl View for FaultyStore {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.get(space, key)
    }

    fn scan(
        &self,
        space: Space,
        range: Range<'_>,
        direction: Direction,
        max: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        self.inner.scan(space, range, direction, max)
    }
}

impl Store for FaultyStore {
    fn commit(&self, batch: Batch, durable: Durable) -> Result<(), StoreError> {
        let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        plan.commits += 1;
        let fails = plan.every != 0 && plan.commits.is_multiple_of(plan.every);
        if !fails || plan.fault == Fault::AppliedButReported {
            self.inner.commit(batch, durable)?;
            if durable == Durable::Yes {
                plan.durable = self.inner.current();
            }
        }
        match plan.fault {
            _ if !fails => Ok(()),
            Fault::Full => Err(StoreError::Full {
                detail: "a planned fault".into(),
            }),
            Fault::Refused | Fault::AppliedButReported => Err(StoreError::Io {
                doing: "commit",
                detail: "a planned fault".into(),
            }),
        }
    }

    fn with_snapshot(&self, job: &mut dyn FnMut(&dyn View)) -> Result<(), StoreError> {
        self.inner.with_snapshot(job)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Space = Space("a");

    fn put_one(store: &dyn Store, key: &[u8], durable: Durable) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        batch.put(A, key, b"1");
        store.commit(batch, durable)
    }

    #[test]
    fn a_power_loss_takes_what_was_not_durable_and_nothing_else() {
        let store = FaultyStore::new(0, Fault::Full);
        put_one(&store, b"1", Durable::Later).unwrap();
        put_one(&store, b"2", Durable::Yes).unwrap();
        put_one(&store, b"3", Durable::Later).unwrap();
        store.crash();
        let left = store.scan(A, Range::ALL, Direction::Forward, 9).unwrap();
        let left: Vec<_> = left.into_iter().map(|(key, _)| key).collect();
        assert_eq!(left, [b"1", b"2"]);
        store.fail_every(2, Fault::AppliedButReported);
        put_one(&store, b"4", Durable::Yes).unwrap();
        assert!(put_one(&store, b"5", Durable::Yes).unwrap_err().may_pass());
        assert!(
            store.get(A, b"5").unwrap().is_some(),
            "applied, though reported as failed"
        );
        store.fail_every(1, Fault::Full);
        assert!(matches!(
            put_one(&store, b"6", Durable::Yes),
            Err(StoreError::Full { .. })
        ));
        assert_eq!(store.get(A, b"6").unwrap(), None);
    }
}
