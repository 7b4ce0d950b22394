//! Whether a write reaches the disk, asked without piling up on a disk that hangs; and how much room is left on it.

use std::{path::Path, sync::Arc, time::Duration};

use tokio::{
    sync::Mutex,
    task::spawn_blocking,
    time::{Instant, timeout_at},
};

use crate::store::{Batch, Durable, Store, StoreError};

/// Longest that a probe waits. Short enough that readiness fails within 5 s of the disk.
pub const PROBE_MAX: Duration = Duration::from_secs(3);

/// With less free a store is not opened on a full disk: it would only fill it again. Unit: bytes.
pub const REOPEN_FREE_MIN: u64 = 1024 * 1024;
/// Longest pause between two tries on a full disk on which nothing changes: each try writes, and flash wears.
const FULL_PAUSE: Duration = Duration::from_secs(4);

/// Whether to try again to open a store that did not open because of `why`: on a full disk only where that may help, and not all the
/// time. `free_then` is what was free after the last try, `since` how long ago that was. Units: bytes.
pub fn may_open_now(why: &StoreError, free_then: u64, free: u64, since: Duration) -> bool {
    let full = matches!(why, StoreError::Full { .. });
    let grew = free >= free_then.saturating_add(REOPEN_FREE_MIN);
    !full || (free >= REOPEN_FREE_MIN && (grew || since >= FULL_PAUSE))
}

/// Space of a folder's disk that the program may still use; 0 where the system does not say. Unit: bytes.
pub fn disk_free_bytes(dir: &Path) -> u64 {
    rustix::fs::statvfs(dir).map_or(0, |fs| fs.f_bavail.saturating_mul(fs.f_frsize))
}

/// Asks a store to write; clones share their turn. However many ask, one thread at most waits for the disk.
#[derive(Clone, Debug, Default)]
pub struct WriteProbe {
    turn: Arc<Mutex<()>>,
}

impl WriteProbe {
    /// Commits `batch` and syncs it: only that proves that events can be taken in.
    ///
    /// # Errors
    /// What the store said, or that it said nothing within [`PROBE_MAX`].
    pub async fn ask(&self, store: Arc<dyn Store>, batch: Batch) -> Result<(), String> {
        let until = Instant::now() + PROBE_MAX;
        let late = |_| format!("a write did not reach the disk within {PROBE_MAX:?}");
        let turn = timeout_at(until, self.turn.clone().lock_owned())
            .await
            .map_err(late)?;
        let written = spawn_blocking(move || {
            let written = store.commit(batch, Durable::Yes);
            drop(turn);
            written
        });
        timeout_at(until, written)
            .await
            .map_err(late)?
            .map_err(|error| error.to_string())?
            .map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    };

    use super::*;
    use crate::store::{Direction, Entry, Range, Space, StoreError, View};

    #[test]
    fn a_full_disk_is_tried_when_it_has_more_room_and_now_and_then() {
        const MIB: u64 = 1024 * 1024;
        let full = StoreError::Full { detail: "x".into() };
        let soon = Duration::from_millis(900);
        let tries = |free_then, free, since| may_open_now(&full, free_then, free, since);
        assert!(!tries(0, 0, FULL_PAUSE * 9), "it would only fill again");
        assert!(tries(0, MIB, soon), "space came back");
        assert!(!tries(20 * MIB, 20 * MIB, soon));
        assert!(tries(20 * MIB, 20 * MIB, FULL_PAUSE));
        assert!(may_open_now(&StoreError::Closed, 0, 0, soon));
    }

    /// A disk that answers once the test lets it.
    struct Hanging {
        gate: std::sync::Mutex<mpsc::Receiver<()>>,
        inside: AtomicUsize,
    }

    impl View for Hanging {
        fn get(&self, _: Space, _: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
            Ok(None)
        }

        fn scan(
            &self,
            _: Space,
            _: Range<'_>,
            _: Direction,
            _: usize,
        ) -> Result<Vec<Entry>, StoreError> {
            Ok(Vec::new())
        }
    }

    impl Store for Hanging {
        fn commit(&self, _: Batch, _: Durable) -> Result<(), StoreError> {
            self.inside.fetch_add(1, Ordering::SeqCst);
            let open = self.gate.lock().unwrap().recv();
            open.map_err(|_| StoreError::Closed)
        }

        fn with_snapshot(&self, _: &mut dyn FnMut(&dyn View)) -> Result<(), StoreError> {
            Ok(())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_disk_that_hangs_holds_one_thread_and_every_answer_comes_in_time() {
        let (open, gate) = mpsc::channel();
        let disk = Arc::new(Hanging {
            gate: std::sync::Mutex::new(gate),
            inside: AtomicUsize::new(0),
        });
        let probe = WriteProbe::default();
        let asked = Instant::now();
        let many: Vec<_> = (0..50)
            .map(|_| {
                let (probe, disk) = (probe.clone(), disk.clone());
                tokio::spawn(async move { probe.ask(disk, Batch::new()).await })
            })
            .collect();
        // Paused time does not go on by itself while a thread is held.
        while disk.inside.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        tokio::time::advance(PROBE_MAX + Duration::from_millis(1)).await;
        for one in many {
            assert!(one.await.unwrap().unwrap_err().contains("did not reach"));
        }
        assert!(asked.elapsed() <= PROBE_MAX + Duration::from_millis(10));
        assert_eq!(disk.inside.load(Ordering::SeqCst), 1);
        open.send(()).unwrap();
        open.send(()).unwrap();
        tokio::time::resume();
        assert_eq!(probe.ask(disk, Batch::new()).await, Ok(()));
    }
}
