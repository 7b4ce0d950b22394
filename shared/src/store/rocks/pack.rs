//! Giving back to the disk what deletions left.

use rocksdb::{CompactOptions, WaitForCompactOptions};

use super::{RocksStore, Space, StoreError};

impl RocksStore {
    /// Gives the space of what was deleted of a table from `from` (inclusive) to `to` (exclusive) back to the disk. Rewrites the files that
    /// hold some of it, so it needs as much room meanwhile as what stays of them.
    ///
    /// # Errors
    /// When the disk fails or is full, or the store is closed.
    pub fn pack(&self, space: Space, from: &[u8], to: &[u8]) -> Result<(), StoreError> {
        let open = self.open_now()?;
        let family = open.family(space)?;
        let mut options = CompactOptions::default();
        options.set_exclusive_manual_compaction(false);
        open.db
            .compact_range_cf_opt(family, Some(from), Some(to), &options);
        // The call itself says nothing of its failure.
        self.health()
    }

    /// Waits until nothing is left to be written out or compacted: what is measured then does not pay for what came before.
    ///
    /// # Errors
    /// When the disk fails or is full, or the store is closed.
    pub fn settle(&self) -> Result<(), StoreError> {
        let mut options = WaitForCompactOptions::default();
        options.set_flush(true);
        let waited = self.open_now()?.db.wait_for_compact(&options);
        waited.map_err(|error| self.broken("compact", &error))
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::store::{
        Batch, Direction, Durable, Range, Store as _, View as _, contract::SPACES,
        rocks::RocksOptions,
    };

    #[test]
    fn packing_gives_the_space_of_what_was_deleted_back() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("store");
        let store = RocksStore::open(path, &SPACES, RocksOptions::default()).unwrap();
        let noise =
            |n: u32| (0..10_000_u32).map(move |at| ((at * 7 + n).wrapping_mul(at) >> 9) as u8);
        for n in 0..200_u8 {
            let value: Vec<u8> = noise(n.into()).collect();
            let mut batch = Batch::new();
            batch.put(SPACES[0], [n], value);
            store.commit(batch, Durable::Later).unwrap();
        }
        store.flush().unwrap();
        let size = || {
            store
                .sizes()
                .unwrap()
                .iter()
                .map(|size| size.file_bytes)
                .sum::<u64>()
        };
        let before = size();
        let mut batch = Batch::new();
        batch.delete_range(SPACES[0], [0], Some(vec![190]));
        store.commit(batch, Durable::Yes).unwrap();
        store.pack(SPACES[0], &[0], &[190]).unwrap();
        let left = store
            .scan(SPACES[0], Range::ALL, Direction::Forward, 200)
            .unwrap();
        assert_eq!(left.len(), 10);
        assert!(size() < before / 5, "{before} bytes, then {}", size());
    }
}
