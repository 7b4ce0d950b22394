//! The marker: a file beside the store that says how far the log went. It betrays a store that lost records it had acknowledged, for
//! RocksDB takes a write-ahead log that is damaged or cut for one that ends there.
//!
//! Owns the file and what follows from it. It is written after the commit, now and then, and costs no fsync: it may be behind the store,
//! never ahead of it.

use std::{
    fs, io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{sync::watch, task::spawn_blocking};
use trenza_shared::{
    clock::Clock,
    id::to_hex,
    store::{Batch, Durable, Store, StoreError},
};

use crate::tables::{LOST, LostRow};

/// Its length: always the same, so that it is written in place. Unit: bytes.
const BYTES: usize = 64;
/// How often it is written at most, while the log grows.
const EVERY: Duration = Duration::from_secs(1);

/// How far a log went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reached {
    /// Of which life of the store: a restore begins another.
    pub generation: u64,
    /// The last record.
    pub record: u64,
}

impl Reached {
    /// As it stands in the file, with a checksum: a torn one must not pass for a later one.
    fn text(self) -> String {
        let text = format!("{} {}", self.generation, self.record);
        let text = format!("{text} {}", checksum(&text));
        format!("{text:<width$}\n", width = BYTES - 1)
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let (said, sum) = text.trim_end().rsplit_once(' ')?;
        let (generation, record) = said.split_once(' ')?;
        if sum != checksum(said) {
            return None;
        }
        Some(Self {
            generation: generation.parse().ok()?,
            record: record.parse().ok()?,
        })
    }

    /// The records that were there once and are not any more: the first and the last.
    fn lost(self, now: Self) -> Option<(u64, u64)> {
        (self.generation == now.generation && self.record > now.record)
            .then_some((now.record + 1, self.record))
    }
}

fn checksum(text: &str) -> String {
    to_hex(&blake3::hash(text.as_bytes()).as_bytes()[..4])
}

/// The file.
pub struct Marker {
    path: PathBuf,
}

impl Marker {
    /// Of the store in that folder.
    pub fn of(store: &Path) -> Self {
        Self {
            path: store.with_extension("reached"),
        }
    }

    fn note(&self, reached: Reached) -> io::Result<()> {
        let file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&self.path)?;
        file.write_all_at(reached.text().as_bytes(), 0)
    }

    /// Compares the store as it was opened with what the file says, and keeps for good what is lost.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn compare(
        &self,
        store: &dyn Store,
        now: Reached,
        clock: &dyn Clock,
    ) -> Result<(), StoreError> {
        let said = match fs::read(&self.path) {
            Ok(bytes) => Reached::read(&bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => {
                tracing::warn!(%error, "cannot read {}; whether the log is whole is not known", self.path.display());
                return Ok(());
            }
        };
        let Some((from, to)) = said.and_then(|said| said.lost(now)) else {
            return Ok(());
        };
        let noticed_ms = clock.wall_ms();
        let mut batch = Batch::new();
        LOST.put(
            &mut batch,
            &(now.generation, from),
            &LostRow { to, noticed_ms },
        )?;
        store.commit(batch, Durable::Yes)?;
        tracing::error!(
            log.from = from,
            log.to = to,
            "records that were acknowledged are not in the store any more: its write-ahead log was damaged, cut or deleted, or the folder is an older one. Agents send theirs again; what websites and imports sent is lost unless a backup holds it (`trenza-server restore`). `trenza-server verify` tells of it"
        );
        Ok(())
    }

    /// Notes how far the log goes, until `stop` says true.
    pub async fn follow(
        self: Arc<Self>,
        generation: u64,
        mut last: watch::Receiver<u64>,
        mut stop: watch::Receiver<bool>,
    ) {
        let mut told = false;
        loop {
            let record = *last.borrow_and_update();
            let marker = self.clone();
            let noting = move || marker.note(Reached { generation, record });
            let noted = spawn_blocking(noting)
                .await
                .map_err(io::Error::other)
                .flatten();
            // Told once: the file is on the store's disk, which tells of itself.
            if let Err(error) = &noted
                && !told
            {
                tracing::warn!(%error, "cannot write {}; a damaged log might go unnoticed", self.path.display());
            }
            told = noted.is_err();
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                () = tokio::time::sleep(EVERY) => {}
            }
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                changed = last.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Notes the end, once nothing more is written.
    pub fn end(&self, reached: Reached) {
        if let Err(error) = self.note(reached) {
            tracing::debug!(%error, "{} was not brought up to date", self.path.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use trenza_shared::{clock::TestClock, store::MemStore};

    use super::*;

    #[test]
    fn a_log_that_ends_before_its_marker_lost_records_and_that_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let marker = Marker::of(&folder.path().join("store"));
        let (store, clock) = (MemStore::new(), TestClock::at(7));
        let reached = |generation, record| Reached { generation, record };
        let lost = |now| {
            marker.compare(&store, now, &clock).unwrap();
            let rows = LOST.rows(&store).map(Result::unwrap);
            rows.map(|((_, from), row)| (from, row.to))
                .collect::<Vec<_>>()
        };
        assert_eq!(lost(reached(1, 0)), [], "there is no marker yet");
        marker.note(reached(1, 1_000_000)).unwrap();
        marker.note(reached(1, 90)).unwrap();
        for whole in [reached(1, 90), reached(1, 91), reached(2, 0)] {
            assert_eq!(lost(whole), [], "{whole:?}");
        }
        assert_eq!(lost(reached(1, 40)), [(41, 90)]);
        marker.note(reached(1, 40)).unwrap();
        assert_eq!(lost(reached(1, 50)), [(41, 90)]);
        let torn = reached(1, 99).text().replace("99", "999");
        for damaged in ["", "nonsense", &torn] {
            fs::write(&marker.path, damaged).unwrap();
            assert_eq!(lost(reached(1, 0)), [(41, 90)], "it proves nothing");
        }
        let longest = reached(u64::MAX, u64::MAX);
        assert_eq!(longest.text().len(), BYTES);
        assert_eq!(Reached::read(longest.text().as_bytes()), Some(longest));
    }
}
