//! A store that fails on demand, for simulations of disks that are full, slow to sync, or lose their power.

use std::sync::{Mutex, MutexGuard, PoisonError};

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
    /// After so many more commits the program dies; true: that last one is still there.
    dies: Option<(u64, bool)>,
    /// The program is dead: nothing can be read or written.
    dead: bool,
    /// What a power loss leaves.
    durable: State,
}

impl Plan {
    fn alive(&self) -> Result<(), StoreError> {
        if self.dead {
            Err(StoreError::Closed)
        } else {
            Ok(())
        }
    }

    fn clear(&mut self) {
        (self.every, self.dies, self.dead) = (0, None, false);
    }
}

/// A memory store with faults. It counts commits, so the same calls give the same faults.
pub struct FaultyStore {
    inner: MemStore,
    plan: Mutex<Plan>,
}

impl FaultyStore {
    /// Fails every `every`-th commit with `fault` (0: never).
    pub fn new(every: u64, fault: Fault) -> Self {
        Self::holding(MemStore::new(), every, fault)
    }

    fn holding(inner: MemStore, every: u64, fault: Fault) -> Self {
        let plan = Plan {
            every,
            fault,
            commits: 0,
            dies: None,
            dead: false,
            durable: inner.current(),
        };
        Self {
            inner,
            plan: Mutex::new(plan),
        }
    }

    /// What a copy of the disk holds now: an independent store without faults.
    pub fn image(&self) -> Self {
        Self::holding(self.inner.fork(), 0, Fault::Refused)
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the program die at the commit after `commits` more: `applied` says whether that one is on the disk. From then on
    /// nothing can be read or written until [`Self::crash`] or [`Self::restart`].
    pub fn die_after(&self, commits: u64, applied: bool) {
        self.plan().dies = Some((commits, applied));
    }

    /// Whether the program died.
    pub fn is_dead(&self) -> bool {
        self.plan().dead
    }

    /// The program starts again after it alone died: all that was committed is there. Ends every planned fault.
    pub fn restart(&self) {
        self.plan().clear();
    }

    /// Changes the plan from the next commit on.
    pub fn fail_every(&self, every: u64, fault: Fault) {
        let mut plan = self.plan();
        (plan.every, plan.fault, plan.commits) = (every, fault, 0);
    }

    /// A power loss: everything after the last durable commit is gone. Ends every planned fault.
    pub fn crash(&self) {
        let mut plan = self.plan();
        plan.clear();
        self.inner.replace(plan.durable.clone());
    }
}

impl View for FaultyStore {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.plan().alive()?;
        self.inner.get(space, key)
    }

    fn scan(
        &self,
        space: Space,
        range: Range<'_>,
        direction: Direction,
        max: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        self.plan().alive()?;
        self.inner.scan(space, range, direction, max)
    }
}

impl Store for FaultyStore {
    fn commit(&self, batch: Batch, durable: Durable) -> Result<(), StoreError> {
        let mut plan = self.plan();
        plan.alive()?;
        match &mut plan.dies {
            None => {}
            Some((0, applied)) => {
                let applied = *applied;
                plan.dead = true;
                if applied {
                    self.inner.commit(batch, durable)?;
                    if durable == Durable::Yes {
                        plan.durable = self.inner.current();
                    }
                }
                return Err(StoreError::Closed);
            }
            Some((left, _)) => *left -= 1,
        }
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
        self.plan().alive()?;
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

    #[test]
    fn a_program_dies_at_the_commit_that_was_planned() {
        for (applied, power) in [(false, false), (true, false), (true, true)] {
            let store = FaultyStore::new(0, Fault::Full);
            store.die_after(1, applied);
            put_one(&store, b"1", Durable::Yes).unwrap();
            assert_eq!(
                put_one(&store, b"2", Durable::Later),
                Err(StoreError::Closed)
            );
            assert!(store.is_dead());
            assert_eq!(store.get(A, b"1"), Err(StoreError::Closed));
            if power {
                store.crash();
            } else {
                store.restart();
            }
            let copy = store.image();
            put_one(&store, b"3", Durable::Yes).unwrap();
            let there = |store: &FaultyStore, key: &[u8]| store.get(A, key).unwrap().is_some();
            assert!(there(&copy, b"1") && !there(&copy, b"3"));
            assert_eq!(there(&store, b"2"), applied && !power);
        }
    }
}
