//! What every engine must do, as a suite that every engine runs. For tests only: it panics on the first broken promise.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
};

use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};

use super::{
    BATCH_BYTES_MAX, Batch, Direction, Durable, Entry, KEY_BYTES_MAX, Overlay, Range, Space, Store,
    StoreError, View, clear_spaces, entries, prefix_entries, scan_prefix, snapshot,
};

/// The tables an engine under test must have been opened with.
pub const SPACES: [Space; 2] = [Space("contract_a"), Space("contract_b")];
const A: Space = SPACES[0];
const B: Space = SPACES[1];
/// Random histories in the model tests.
const HISTORIES: u32 = 40;

/// Runs the whole suite; `make` gives an empty store with [`SPACES`] each time.
///
/// # Panics
/// At the first promise that the engine breaks.
pub fn check<S: Store>(make: impl Fn() -> S) {
    a_batch_is_applied_in_order(&make());
    scans_are_ordered_and_bounded(&make());
    prefixes_and_ranges_end_where_they_should(&make());
    the_last_possible_key_is_in_every_open_range(&make());
    empty_keys_and_values_are_kept(&make());
    large_values_are_kept(&make());
    a_batch_over_a_limit_leaves_nothing(&make());
    a_snapshot_does_not_see_later_writes(&make());
    pages_cover_a_range_once(&make());
    readers_never_see_half_a_batch(&make());
    histories_match_the_model(&make);
}

#[track_caller]
fn ok<T>(result: Result<T, StoreError>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("the store failed: {error}"),
    }
}

#[track_caller]
fn put(store: &impl Store, space: Space, keys: &[&[u8]]) {
    let mut batch = Batch::new();
    for key in keys {
        batch.put(space, *key, [b"=", *key].concat());
    }
    ok(store.commit(batch, Durable::Yes));
}

#[track_caller]
fn keys(
    view: &dyn View,
    space: Space,
    range: Range<'_>,
    direction: Direction,
    max: usize,
) -> Vec<Vec<u8>> {
    let found = ok(view.scan(space, range, direction, max));
    if direction == Direction::Forward {
        let mut shown = Vec::new();
        let mut each = |key: &[u8], value: &[u8]| shown.push((key.to_vec(), value.to_vec()));
        let count = ok(view.visit(space, range, max, &mut each));
        assert_eq!((count, &shown), (found.len(), &found));
    }
    found.into_iter().map(|(key, _)| key).collect()
}

fn a_batch_is_applied_in_order(store: &impl Store) {
    ok(store.commit(Batch::new(), Durable::Yes));
    let mut batch = Batch::new();
    batch.put(A, b"k", b"1");
    batch.put(A, b"k", b"2");
    batch.put(A, b"gone", b"1");
    batch.delete(A, b"gone");
    batch.delete(A, b"never there");
    batch.put(B, b"old", b"1");
    batch.delete_range(B, b"a", Some(b"z".to_vec()));
    batch.put(B, b"new", b"1");
    ok(store.commit(batch, Durable::Later));
    assert_eq!(ok(store.get(A, b"k")), Some(b"2".to_vec()));
    assert_eq!(ok(store.get(A, b"gone")), None);
    assert_eq!(ok(store.get(B, b"old")), None);
    assert_eq!(ok(store.get(B, b"new")), Some(b"1".to_vec()));
    assert_eq!(ok(store.get(A, b"new")), None, "tables are apart");
    ok(clear_spaces(store, &SPACES));
    assert!(keys(store, A, Range::ALL, Direction::Forward, 9).is_empty());
    assert!(keys(store, B, Range::ALL, Direction::Forward, 9).is_empty());
}

fn scans_are_ordered_and_bounded(store: &impl Store) {
    put(store, A, &[b"b", b"a\0", b"\xFF", b"a", b"\0", b"ab"]);
    let order: [&[u8]; 6] = [b"\0", b"a", b"a\0", b"ab", b"b", b"\xFF"];
    assert_eq!(keys(store, A, Range::ALL, Direction::Forward, 9), order);
    assert_eq!(
        keys(store, A, Range::ALL, Direction::Forward, 2),
        order[..2]
    );
    assert!(keys(store, A, Range::ALL, Direction::Forward, 0).is_empty());
    let back: Vec<_> = order.into_iter().rev().collect();
    assert_eq!(keys(store, A, Range::ALL, Direction::Back, 9), back);
    assert_eq!(keys(store, A, Range::ALL, Direction::Back, 2), back[..2]);
    let (key, value) = ok(store.scan(A, Range::starting(b"ab"), Direction::Forward, 1)).remove(0);
    assert_eq!(
        (key.as_slice(), value.as_slice()),
        (&b"ab"[..], &b"=ab"[..])
    );
}

fn prefixes_and_ranges_end_where_they_should(store: &impl Store) {
    put(
        store,
        A,
        &[
            b"a",
            b"ab",
            b"ac",
            b"b",
            b"\xFE\xFF",
            b"\xFF",
            b"\xFF\xFF",
            b"\xFF\xFFx",
        ],
    );
    let found = |range, direction| keys(store, A, range, direction, 9);
    let between = Range::between(b"ab", b"b");
    assert_eq!(found(between, Direction::Forward), [b"ab", b"ac"]);
    assert_eq!(found(between, Direction::Back), [b"ac", b"ab"]);
    assert!(
        found(Range::between(b"b", b"ab"), Direction::Forward).is_empty(),
        "an inverted range is empty"
    );
    assert!(found(Range::between(b"b", b"ab"), Direction::Back).is_empty());
    assert!(found(Range::between(b"b", b"b"), Direction::Forward).is_empty());
    assert!(found(Range::between(b"", b""), Direction::Back).is_empty());
    let prefix = |prefix: &[u8]| ok(scan_prefix(store, A, prefix, Direction::Back, 9)).len();
    assert_eq!(
        [
            prefix(b"a"),
            prefix(b"\xFE"),
            prefix(b"\xFF"),
            prefix(b"\xFF\xFF")
        ],
        [3, 1, 3, 2]
    );
    assert_eq!([prefix(b""), prefix(b"x")], [8, 0]);
    let mut batch = Batch::new();
    batch.delete_range(A, b"ab", Some(b"b".to_vec()));
    batch.delete_range(A, b"z", Some(b"a".to_vec()));
    batch.delete_range(A, b"\xFF", None);
    ok(store.commit(batch, Durable::Yes));
    let left: [&[u8]; 3] = [b"a", b"b", b"\xFE\xFF"];
    assert_eq!(found(Range::ALL, Direction::Forward), left);
}

fn the_last_possible_key_is_in_every_open_range(store: &impl Store) {
    let last = vec![0xFF; KEY_BYTES_MAX];
    put(store, A, &[b"a", &last]);
    assert_eq!(
        keys(store, A, Range::starting(b"b"), Direction::Forward, 9),
        std::slice::from_ref(&last)
    );
    assert_eq!(keys(store, A, Range::ALL, Direction::Back, 1), [last]);
    ok(clear_spaces(store, &[A]));
    assert!(keys(store, A, Range::ALL, Direction::Back, 9).is_empty());
}

fn empty_keys_and_values_are_kept(store: &impl Store) {
    let mut batch = Batch::new();
    batch.put(A, [], b"of the empty key");
    batch.put(A, b"k", []);
    ok(store.commit(batch, Durable::Yes));
    assert_eq!(ok(store.get(A, b"")), Some(b"of the empty key".to_vec()));
    assert_eq!(ok(store.get(A, b"k")), Some(Vec::new()));
    assert_eq!(
        keys(store, A, Range::ALL, Direction::Forward, 9),
        [&b""[..], b"k"]
    );
    assert_eq!(
        keys(store, A, Range::ALL, Direction::Back, 9),
        [&b"k"[..], b""]
    );
    assert_eq!(
        keys(store, A, Range::between(b"", b"k"), Direction::Forward, 9),
        [b""]
    );
}

fn large_values_are_kept(store: &impl Store) {
    let large: Vec<u8> = (0..5_000_000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let mut batch = Batch::new();
    batch.put(A, b"large", large.clone());
    ok(store.commit(batch, Durable::Yes));
    assert!(ok(store.get(A, b"large")).as_ref() == Some(&large));
    assert!(ok(store.scan(A, Range::ALL, Direction::Back, 1)) == [(b"large".to_vec(), large)]);
}

fn a_batch_over_a_limit_leaves_nothing(store: &impl Store) {
    let mut batch = Batch::new();
    batch.put(A, b"before", b"1");
    batch.put(A, vec![7; KEY_BYTES_MAX + 1], b"1");
    let refused = store.commit(batch, Durable::Yes);
    assert!(
        matches!(refused, Err(StoreError::TooLarge { bytes, .. }) if bytes == KEY_BYTES_MAX + 1)
    );
    let mut batch = Batch::new();
    batch.put(A, b"before", vec![0; BATCH_BYTES_MAX]);
    let refused = store.commit(batch, Durable::Yes);
    assert!(matches!(
        refused,
        Err(StoreError::TooLarge {
            limit: BATCH_BYTES_MAX,
            ..
        })
    ));
    assert_eq!(ok(store.get(A, b"before")), None);
    put(store, A, &[b"after"]);
}

fn a_snapshot_does_not_see_later_writes(store: &impl Store) {
    put(store, A, &[b"a", b"b"]);
    let seen = ok(snapshot(store, |view| {
        let mut batch = Batch::new();
        batch.delete_range(A, b"a", None);
        batch.put(A, b"c", b"1");
        batch.put(B, b"c", b"1");
        ok(store.commit(batch, Durable::Yes));
        assert_eq!(ok(view.get(A, b"a")), Some(b"=a".to_vec()));
        assert_eq!(ok(view.get(B, b"c")), None);
        keys(view, A, Range::ALL, Direction::Back, 9)
    }));
    assert_eq!(seen, [b"b", b"a"]);
    assert_eq!(keys(store, A, Range::ALL, Direction::Forward, 9), [b"c"]);
}

fn pages_cover_a_range_once(store: &impl Store) {
    let mut batch = Batch::new();
    for n in 0..3000_u32 {
        batch.put(
            A,
            n.to_be_bytes(),
            vec![1; if n % 500 == 0 { 100_000 } else { 10 }],
        );
    }
    ok(store.commit(batch, Durable::Yes));
    let walk = |from: u32, to: u32, direction| -> Vec<u32> {
        let (from, to) = (from.to_be_bytes(), to.to_be_bytes());
        entries(store, A, Range::between(&from, &to), direction)
            .map(|entry| u32::from_be_bytes(ok(entry).0.try_into().unwrap_or_default()))
            .collect()
    };
    assert!(walk(0, 3000, Direction::Forward).into_iter().eq(0..3000));
    assert!(
        walk(7, 2990, Direction::Back)
            .into_iter()
            .eq((7..2990).rev())
    );
    assert_eq!(
        prefix_entries(store, A, &[0, 0, 1], Direction::Forward).count(),
        256
    );
    assert_eq!(walk(5, 5, Direction::Forward), [0; 0]);
}

fn readers_never_see_half_a_batch(store: &impl Store) {
    const ROUNDS: u64 = 300;
    let done = AtomicBool::new(false);
    let same = |rows: &[Entry]| rows.windows(2).all(|pair| pair[0].1 == pair[1].1);
    std::thread::scope(|threads| {
        for _ in 0..3 {
            threads.spawn(|| {
                let mut newest = Vec::new();
                while !done.load(Ordering::Acquire) {
                    let rows = ok(store.scan(A, Range::ALL, Direction::Forward, 99));
                    assert!(same(&rows), "one scan is one state");
                    let (mut rows, other) = ok(snapshot(store, |view| {
                        let rows = ok(view.scan(A, Range::ALL, Direction::Back, 99));
                        (rows, ok(view.scan(B, Range::ALL, Direction::Forward, 99)))
                    }));
                    rows.extend(other);
                    assert!(same(&rows), "one snapshot is one state over all tables");
                    let value = rows.pop().map(|(_, value)| value).unwrap_or_default();
                    assert!(value >= newest, "time does not run backwards");
                    newest = value;
                }
            });
        }
        for round in 0..ROUNDS {
            let mut batch = Batch::new();
            batch.clear_space(B);
            for key in 0..8_u8 {
                batch.put(A, [key], round.to_be_bytes());
                batch.put(B, [key], round.to_be_bytes());
            }
            let durable = if round % 50 == 0 {
                Durable::Yes
            } else {
                Durable::Later
            };
            let committed = store.commit(batch, durable);
            if committed.is_err() || round + 1 == ROUNDS {
                done.store(true, Ordering::Release);
            }
            ok(committed);
        }
    });
}

#[derive(Debug, Clone)]
enum Step {
    Put(usize, Vec<u8>, Vec<u8>),
    Delete(usize, Vec<u8>),
    DeleteRange(usize, Vec<u8>, Option<Vec<u8>>),
    /// Range, backwards, at most.
    Scan(usize, Vec<u8>, Option<Vec<u8>>, bool, usize),
    ReadAhead(usize, Vec<Vec<u8>>),
    Commit,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    // Few bytes and short keys, so that steps meet.
    let key = || {
        proptest::collection::vec(
            prop_oneof![Just(0_u8), Just(1), Just(0xFE), Just(0xFF)],
            0..4,
        )
    };
    let end = move || proptest::option::weighted(0.7, key());
    let value = proptest::collection::vec(any::<u8>(), 0..3);
    let step = prop_oneof![
        6 => (0..2_usize, key(), value).prop_map(|(space, key, value)| Step::Put(space, key, value)),
        2 => (0..2_usize, key()).prop_map(|(space, key)| Step::Delete(space, key)),
        1 => (0..2_usize, key(), end()).prop_map(|(space, from, to)| Step::DeleteRange(space, from, to)),
        3 => (0..2_usize, key(), end(), any::<bool>(), 0..6_usize)
            .prop_map(|(space, from, to, back, max)| Step::Scan(space, from, to, back, max)),
        1 => (0..2_usize, proptest::collection::vec(key(), 0..4)).prop_map(|(space, keys)| Step::ReadAhead(space, keys)),
        1 => Just(Step::Commit),
    ];
    proptest::collection::vec(step, 0..80)
}

type Model = [BTreeMap<Vec<u8>, Vec<u8>>; 2];

fn model_scan(model: &Model, space: usize, range: Range<'_>, back: bool, max: usize) -> Vec<Entry> {
    let found = model[space].range::<[u8], _>(range.bounds());
    let found = found.map(|(key, value)| (key.clone(), value.clone()));
    if back {
        found.rev().take(max).collect()
    } else {
        found.take(max).collect()
    }
}

/// Batches, overlays and the plain map agree at every step of random histories.
fn histories_match_the_model<S: Store>(make: &impl Fn() -> S) {
    let mut runner = TestRunner::new(Config {
        cases: HISTORIES,
        failure_persistence: None,
        ..Config::default()
    });
    let outcome = runner.run(&steps(), |steps| {
        // The first store takes batches as written, the second what an overlay makes of them.
        let (plain, layered) = (make(), make());
        let mut model = Model::default();
        let mut rest = steps.as_slice();
        while !rest.is_empty() {
            let mut overlay = Overlay::new(&layered);
            let mut batch = Batch::new();
            while let Some((step, later)) = rest.split_first() {
                rest = later;
                match step.clone() {
                    Step::Put(space, key, value) => {
                        batch.put(SPACES[space], key.clone(), value.clone());
                        overlay.put(SPACES[space], key.clone(), value.clone());
                        model[space].insert(key, value);
                    }
                    Step::Delete(space, key) => {
                        batch.delete(SPACES[space], key.clone());
                        overlay.delete(SPACES[space], key.clone());
                        model[space].remove(&key);
                    }
                    Step::DeleteRange(space, from, to) => {
                        let range = Range {
                            from: &from,
                            to: to.as_deref(),
                        };
                        ok(overlay.delete_range(SPACES[space], range));
                        model[space].retain(|key, _| {
                            *key < from || to.as_ref().is_some_and(|to| key >= to)
                        });
                        batch.delete_range(SPACES[space], from, to);
                    }
                    Step::Scan(space, from, to, back, max) => {
                        let range = Range {
                            from: &from,
                            to: to.as_deref(),
                        };
                        let direction = if back {
                            Direction::Back
                        } else {
                            Direction::Forward
                        };
                        let expected = model_scan(&model, space, range, back, max);
                        prop_assert_eq!(
                            ok(overlay.scan(SPACES[space], range, direction, max)),
                            expected
                        );
                        prop_assert_eq!(
                            ok(overlay.get(SPACES[space], &from)),
                            model[space].get(&from).cloned()
                        );
                    }
                    Step::ReadAhead(space, keys) => {
                        ok(overlay.read_ahead(SPACES[space], keys.clone()));
                        let expected: Vec<_> = keys
                            .iter()
                            .map(|key| model[space].get(key).cloned())
                            .collect();
                        prop_assert_eq!(ok(overlay.get_many(SPACES[space], &keys)), expected);
                    }
                    Step::Commit => break,
                }
            }
            ok(plain.commit(batch, Durable::Later));
            let written = overlay.into_batch();
            ok(layered.commit(written, Durable::Later));
            for (space, rows) in SPACES.into_iter().zip(&model) {
                let expected: Vec<Entry> = rows.clone().into_iter().collect();
                prop_assert_eq!(
                    &ok(plain.scan(space, Range::ALL, Direction::Forward, 999)),
                    &expected
                );
                prop_assert_eq!(
                    &ok(layered.scan(space, Range::ALL, Direction::Forward, 999)),
                    &expected
                );
                // What is there and what is not, side by side.
                let keys = rows
                    .keys()
                    .flat_map(|key| [key.clone(), [key, &[7][..]].concat()]);
                let keys: Vec<Vec<u8>> = keys.collect();
                let expected: Vec<_> = keys.iter().map(|key| rows.get(key).cloned()).collect();
                prop_assert_eq!(ok(plain.get_many(space, &keys)), expected);
            }
        }
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{
        super::{Fault, FaultyStore, MemStore},
        *,
    };

    #[test]
    fn the_memory_engine_keeps_the_contract() {
        check(MemStore::new);
    }

    #[test]
    fn the_faulty_engine_without_faults_keeps_the_contract() {
        check(|| FaultyStore::new(0, Fault::Refused));
    }

    #[test]
    fn a_store_can_be_shared_as_a_trait_object() {
        let store: Arc<dyn Store> = Arc::new(MemStore::new());
        let mut batch = Batch::new();
        batch.put(A, b"k", b"1");
        store.commit(batch, Durable::Yes).unwrap();
        let view: &dyn View = &*store;
        assert_eq!(entries(view, A, Range::ALL, Direction::Forward).count(), 1);
        assert!(
            snapshot(&*store, |view| view.get(A, b"k"))
                .unwrap()
                .unwrap()
                .is_some()
        );
    }
}
