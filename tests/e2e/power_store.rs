//! The power goes at every fsync of the store: what was acknowledged is there, and never a batch without those before it.

use anyhow::{Context as _, ensure};
use trenza_shared::store::{
    Batch, Direction, Durable, Range, RocksStore, Space, Store as _, StoreError, View as _,
    rocks::RocksOptions,
};
use trenza_tests::disk::{Disk, Image, Side, number};

/// Rows of all kinds of batch, by their number.
const ALL: Space = Space("all");
/// The same rows again: a batch is whole.
const AGAIN: Space = Space("again");
/// Batches of the short run; `TRENZA_APPENDS` asks for more.
const APPENDS: u64 = 60;
/// Cuts at each sync point; `TRENZA_CUTS` asks for more.
const CUTS: u64 = 2;
/// Every so many batches one is not synced by itself.
const LATER_EVERY: u64 = 4;

/// Small, so that a short run flushes and compacts too.
fn options() -> RocksOptions {
    RocksOptions {
        write_buffer_bytes: 64 * 1024,
        write_buffers_bytes_max: 128 * 1024,
        wal_bytes_max: 128 * 1024,
        ..RocksOptions::default()
    }
}

/// A row that no compression makes small: several blocks of the write-ahead log.
fn row(number: u64) -> Vec<u8> {
    let bytes = 100 + usize::try_from(number * 977 % 9_000).unwrap_or(0);
    let mut state = number;
    std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    })
    .take(bytes)
    .collect()
}

fn append(store: &RocksStore, number: u64) -> anyhow::Result<Durable> {
    let mut batch = Batch::new();
    batch.put(ALL, number.to_be_bytes(), row(number));
    batch.put(AGAIN, number.to_be_bytes(), row(number));
    let durable = match number % LATER_EVERY {
        0 => Durable::Later,
        _ => Durable::Yes,
    };
    store.commit(batch, durable)?;
    Ok(durable)
}

/// How many rows there are; they must be the first ones, whole, and in both tables.
fn rows(store: &RocksStore) -> anyhow::Result<u64> {
    let all = store.scan(ALL, Range::ALL, Direction::Forward, usize::MAX)?;
    let again = store.scan(AGAIN, Range::ALL, Direction::Forward, usize::MAX)?;
    ensure!(
        all == again,
        "half a batch: {} and {} rows",
        all.len(),
        again.len()
    );
    for (number, (key, value)) in (0..).zip(&all) {
        ensure!(
            *key == u64::to_be_bytes(number),
            "row {number} is missing, later ones are there"
        );
        ensure!(*value == row(number), "row {number} is another");
    }
    Ok(all.len() as u64)
}

/// Rows that were acknowledged before this moment.
fn promised(acknowledged: &[(u64, u64)], image: &Image) -> u64 {
    let done = match image.side {
        Side::Before => image.sync - 1,
        Side::After => image.sync,
    };
    let known = acknowledged.iter().filter(|(_, syncs)| *syncs <= done);
    known.map(|(number, _)| number + 1).max().unwrap_or(0)
}

#[test]
fn a_cut_at_any_fsync_of_the_store_loses_nothing_acknowledged() -> anyhow::Result<()> {
    let Some(disk) = Disk::mount()? else {
        return Ok(());
    };
    let (seed, appends, cuts) = (
        number("TRENZA_SEED", 7)?,
        number("TRENZA_APPENDS", APPENDS)?,
        number("TRENZA_CUTS", CUTS)?,
    );
    println!("TRENZA_SEED={seed} TRENZA_APPENDS={appends} TRENZA_CUTS={cuts}");
    let path = disk.path().join("store");
    disk.record();
    let store = RocksStore::open(&path, &[ALL, AGAIN], options())?;
    let mut acknowledged = Vec::new();
    for number in 0..appends {
        if append(&store, number)? == Durable::Yes {
            acknowledged.push((number, disk.counters().syncs));
        }
    }
    store.close()?;
    drop(store);
    let images = disk.recorded();
    let (mut cut, mut kept_more) = (0, 0);
    for image in &images {
        let promised = promised(&acknowledged, image);
        for nth in 0..cuts {
            let seed = seed + cut * cuts + nth;
            let at = || format!("sync {} {:?}, seed {seed}", image.sync, image.side);
            disk.show(image, seed)?;
            let store = match RocksStore::open(&path, &[ALL, AGAIN], options()) {
                // A folder that was never made to the end: there is nothing in it yet.
                Err(StoreError::Corrupt { .. }) if promised == 0 => continue,
                opened => opened.with_context(at)?,
            };
            let found = rows(&store).with_context(at)?;
            ensure!(
                found >= promised,
                "{}: {found} rows, {promised} acknowledged",
                at()
            );
            kept_more += u64::from(found > promised);
            // And it goes on from there.
            append(&store, found).with_context(at)?;
            ensure!(rows(&store).with_context(at)? == found + 1, "{}", at());
            store.close().with_context(at)?;
        }
        cut += 1;
    }
    println!(
        "{} moments, {} cuts; {kept_more} left more than was promised",
        images.len(),
        cut * cuts
    );
    ensure!(
        images.len() as u64 > appends,
        "too few sync points: {}",
        images.len()
    );
    Ok(())
}
