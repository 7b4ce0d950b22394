//! What it costs on disk that an event which comes again is known, whatever became of it since: the table that each program asks.

use std::path::Path;

use anyhow::ensure;
use serde_json::{Value, json};
use trenza_server::tables::MESSAGES;
use trenza_shared::store::{Direction, Range, RocksStore, Space, entries, rocks::RocksOptions};

/// The agent's table: one row for each event of the last 45 days at least.
const KNOWN: Space = Space("known");
/// After every key of these tables, which are of fixed length.
const END: [u8; 17] = [0xFF; 17];

/// Of the stores of two programs that were stopped, in bytes an event.
pub fn run(agent: &Path, server: &Path) -> anyhow::Result<Value> {
    println!("  on disk for knowing an event that comes again, with index and filter:");
    let mut report = serde_json::Map::new();
    for (name, store, space) in [
        ("agent", agent, KNOWN),
        ("server", server, MESSAGES.space()),
    ] {
        let (rows, bytes) = cost(store, space)?;
        let by_event = bytes as f64 / rows as f64;
        println!("    {name:<16} {by_event:>7.1} bytes an event ({rows} known)");
        report.insert(
            name.into(),
            json!({"events": rows, "bytes_per_event": by_event}),
        );
    }
    Ok(Value::Object(report))
}

/// Rows of a table, and its files once they are joined, filters and indexes included.
fn cost(store: &Path, space: Space) -> anyhow::Result<(u64, u64)> {
    ensure!(store.exists(), "there is no store in {}", store.display());
    let options = RocksOptions {
        point_lookups: vec![space],
        ..RocksOptions::default()
    };
    let store = RocksStore::open(store, &[space], options)?;
    store.flush()?;
    store.pack(space, &[], &END)?;
    let mut rows = 0;
    for entry in entries(&store, space, Range::ALL, Direction::Forward) {
        entry?;
        rows += 1;
    }
    let sizes = store.sizes()?;
    let size = sizes.iter().find(|size| size.space == space.0);
    let bytes = size.map_or(0, |size| size.file_bytes);
    ensure!(rows > 0 && bytes > 0, "{} of the store is empty", space.0);
    store.close()?;
    Ok((rows, bytes))
}
