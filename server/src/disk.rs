//! How the server's disk stands: the floor of free space, the store that is opened again after an error, readiness.
//!
//! Owns the refusal of what would fill the disk: a store that meets its end while it follows the log stops following, and can no
//! longer delete. Reading, and what follows from what was taken in, goes on below the floor.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::watch;
use tracing::{error, warn};
use trenza_shared::{
    probe::{WriteProbe, disk_free_bytes},
    store::{Batch, RocksStore, StoreError},
};

use crate::{
    app::App,
    tables::{META, MetaRow},
};

/// How often the disk and the store's health are looked at. Space that comes back is used within 5 s.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How much room there is.
#[derive(Debug)]
pub struct Room {
    free_min: u64,
    free: AtomicU64,
    /// Why the store is closed, as long as it cannot be opened again.
    closed: Mutex<Option<StoreError>>,
}

impl Room {
    /// Nothing was measured yet: there counts as plenty. `free_min` is the floor. Unit: bytes.
    pub fn new(free_min: u64) -> Self {
        Self {
            free_min,
            free: AtomicU64::new(u64::MAX),
            closed: Mutex::new(None),
        }
    }

    /// Takes why the store cannot be opened again now, or that it is open; true when that is news.
    pub fn closed(&self, why: Option<StoreError>) -> bool {
        let mut closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        let plainly = |why: &Option<StoreError>| why.as_ref().map(StoreError::plainly);
        let news = plainly(&closed) != plainly(&why);
        *closed = why;
        news
    }

    /// Takes what is free now; true when that changes whether anything is taken in. Unit: bytes.
    pub fn measured(&self, free: u64) -> bool {
        let before = self.free.swap(free, Ordering::Relaxed);
        (before < self.free_min) != (free < self.free_min)
    }

    /// Whether anything may be taken in.
    ///
    /// # Errors
    /// [`StoreError::Full`], with what to do; else what keeps the store closed.
    pub fn check(&self) -> Result<(), StoreError> {
        let closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(why) = &*closed {
            return Err(why.clone());
        }
        let free = self.free.load(Ordering::Relaxed);
        if free >= self.free_min {
            return Ok(());
        }
        Err(StoreError::Full {
            detail: format!(
                "{} MiB are free, and store.free_mib_min keeps {} MiB",
                free >> 20,
                self.free_min >> 20
            ),
        })
    }
}

/// Looks at the disk, and opens the store again after an error of it, for as long as the program runs.
pub async fn look_after(room: Arc<Room>, rocks: Arc<RocksStore>, mut stop: watch::Receiver<bool>) {
    loop {
        let looking = rocks.clone();
        let looked = tokio::task::spawn_blocking(move || {
            let failed = looking.health().err();
            let mended = failed.map(|error| (error, looking.reopen()));
            (mended, disk_free_bytes(looking.path()))
        });
        match looked.await {
            Ok((mended, free)) => {
                metrics::gauge!("trenza_server_disk_free_bytes").set(free as f64);
                if room.measured(free) {
                    match room.check() {
                        Err(problem) => error!(%problem, "nothing more is taken in"),
                        Ok(()) => warn!("there is room again: events are taken in"),
                    }
                }
                match mended {
                    None => {
                        room.closed(None);
                    }
                    Some((error, Ok(()))) => {
                        room.closed(None);
                        warn!(%error, "the store had failed and was opened again")
                    }
                    // Told once and not at every look: the log may be on that disk.
                    Some((error, Err(again))) => {
                        if room.closed(Some(again.clone())) {
                            warn!(%error, error.again = %again, "the store failed and cannot be opened yet")
                        }
                    }
                }
            }
            Err(error) => warn!(%error, "looking after the store ended badly"),
        }
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// Readiness: room, a write and an fsync.
///
/// # Errors
/// What there is no room in, what the store said, or that it said nothing in time.
pub async fn is_ready(app: &App, probe: &WriteProbe) -> Result<(), String> {
    app.room.check().map_err(|error| error.to_string())?;
    let mut batch = Batch::new();
    let generation = app.generation;
    META.put(&mut batch, &(), &MetaRow { generation })
        .map_err(|error| error.to_string())?;
    probe.ask(app.store.clone(), batch).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn below_the_floor_nothing_is_taken_in_and_above_it_again() {
        let room = Room::new(256 << 20);
        assert!(room.check().is_ok(), "nothing was measured yet");
        assert!(!room.measured(256 << 20) && room.check().is_ok());
        assert!(room.measured((256 << 20) - 1));
        let refused = room.check().unwrap_err();
        assert!(matches!(refused, StoreError::Full { .. }));
        assert!(refused.to_string().contains("255 MiB"), "{refused}");
        assert!(!room.measured(0), "it was below before");
        assert!(room.measured(u64::MAX) && room.check().is_ok());
    }

    #[test]
    fn a_store_that_cannot_be_opened_again_is_told_by_its_cause_and_once() {
        let room = Room::new(0);
        let read_only = || StoreError::Io {
            doing: "open",
            detail: "While open a file for appending: /srv/LOG: Read-only file system".into(),
        };
        assert!(room.closed(Some(read_only())) && !room.closed(Some(read_only())));
        let why = room.check().unwrap_err();
        assert_eq!(why.plainly(), "the disk is read-only");
        assert!(room.closed(None) && room.check().is_ok());
    }
}
