use std::sync::Arc;

use trenza_shared::{
    store::{Fault, FaultyStore, MemStore},
    wire::frame::FRAME_EVENTS_MAX,
};

use super::{
    super::{
        Head, Log, NewEntry, heads, oldest, prune,
        tests::{close, head, named, open, sent, visits},
    },
    *,
};
use crate::tables::STATE;

const LANE: Lane = Lane::Visits;
const DAY_MS: i64 = 86_400_000;

/// Settles all of epoch 1 that is due.
fn settle_all(store: &dyn Store, log: &Log) -> Step {
    let mut packer = Packer::new(3);
    let mut sum = Step::default();
    while let Some(step) = settle(store, &mut packer, 1, LANE, head(log, 1).seq, false).unwrap() {
        sum.entries += step.entries;
        sum.duplicates += step.duplicates;
    }
    sum
}

fn chunks(store: &dyn Store) -> Vec<Frame> {
    let rows = LOG
        .scan_prefix(store, &(1, LANE), Direction::Forward, usize::MAX)
        .unwrap();
    rows.into_iter().map(|(_, ChunkRow(chunk))| chunk).collect()
}

async fn singles(log: &Log, from: usize, to: usize) {
    for n in from..to {
        log.append(visits(vec![named(log, &format!("m{n}"), 1)]))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn small_chunks_become_full_frames_and_the_log_stays_what_it_was() {
    let store: Arc<dyn Store> = Arc::new(MemStore::new());
    let log = open(&store);
    singles(&log.0, 0, 2_300).await;
    let before = sent(&*store, 1, 0, head(&log.0, 1));
    let hashes: Vec<_> = (1..=2_300)
        .map(|seq| super::super::hash_at(&*store, 1, LANE, seq).unwrap())
        .collect();
    assert_eq!(settle_all(&*store, &log.0).entries, 2_000);
    let chunks = chunks(&*store);
    assert_eq!(chunks.len(), 2 + 300, "the last block is not complete");
    assert_eq!(chunks[0].open().unwrap().len(), FRAME_EVENTS_MAX);
    assert_eq!(sent(&*store, 1, 0, head(&log.0, 1)), before);
    assert_eq!(sent(&*store, 1, 1_234, head(&log.0, 1)), before[1_234..]);
    for (hash, seq) in hashes.into_iter().zip(1..) {
        assert_eq!(
            super::super::hash_at(&*store, 1, LANE, seq).unwrap(),
            hash,
            "entry {seq}"
        );
    }
    assert_eq!(settle_all(&*store, &log.0), Step::default(), "once");
    close(log);
}

#[tokio::test]
async fn a_lane_that_is_settled_to_its_end_goes_on_from_there() {
    let store: Arc<dyn Store> = Arc::new(MemStore::new());
    let log = open(&store);
    singles(&log.0, 0, 1_000).await;
    let end = head(&log.0, 1);
    assert_eq!(settle_all(&*store, &log.0).entries, 1_000);
    assert_eq!(chunks(&*store).len(), 1);
    close(log);
    let state = STATE.get(&*store, &()).unwrap().unwrap();
    assert_eq!(heads(&*store, &state).unwrap()[&(1, LANE)], end);
    let log = open(&store);
    singles(&log.0, 1_000, 1_010).await;
    assert_eq!(sent(&*store, 1, 0, head(&log.0, 1)).len(), 1_010);
    close(log);
}

#[tokio::test]
async fn a_retry_that_memory_does_not_know_is_counted_once_settled() {
    let store: Arc<dyn Store> = Arc::new(MemStore::new());
    let log = open(&store);
    singles(&log.0, 0, 1_000).await;
    assert_eq!(settle_all(&*store, &log.0).duplicates, 0);
    let again = |id: &str, content| NewEntry {
        identity: None,
        ..named(&log.0, id, content)
    };
    // Two settled long ago, one twice in one block, and other content under a known id.
    let late = vec![
        again("m1", 1),
        again("m2", 1),
        again("new", 1),
        again("new", 1),
        again("m3", 2),
    ];
    log.0.append(visits(late)).await.unwrap();
    singles(&log.0, 1_000, 1_995).await;
    assert_eq!(
        settle_all(&*store, &log.0),
        Step {
            entries: 1_000,
            duplicates: 3
        }
    );
    close(log);
}

#[tokio::test]
async fn the_last_block_of_an_epoch_that_is_over_is_settled_too() {
    let store: Arc<dyn Store> = Arc::new(MemStore::new());
    let log = open(&store);
    singles(&log.0, 0, 30).await;
    let end = head(&log.0, 1);
    let mut packer = Packer::new(3);
    let step = settle(&*store, &mut packer, 1, LANE, end.seq, true).unwrap();
    assert_eq!(step.map(|step| step.entries), Some(30));
    assert_eq!(chunks(&*store).len(), 1);
    assert_eq!(
        settle(&*store, &mut packer, 1, LANE, end.seq, true).unwrap(),
        None
    );
    assert_eq!(sent(&*store, 1, 0, end).len(), 30);
    close(log);
}

#[tokio::test]
async fn a_commit_that_fails_or_only_says_so_leaves_the_log_whole() {
    for fault in [Fault::Full, Fault::AppliedButReported] {
        let faulty = Arc::new(FaultyStore::new(0, Fault::Full));
        let store: Arc<dyn Store> = faulty.clone();
        let log = open(&store);
        singles(&log.0, 0, 1_100).await;
        let before = sent(&*store, 1, 0, head(&log.0, 1));
        faulty.fail_every(1, fault);
        let failed = settle(&*store, &mut Packer::new(3), 1, LANE, 1_100, false);
        assert!(failed.is_err());
        faulty.fail_every(0, fault);
        assert_eq!(sent(&*store, 1, 0, head(&log.0, 1)), before);
        let step = settle_all(&*store, &log.0);
        assert_eq!(step.duplicates, 0, "settled once, whatever was reported");
        assert_eq!(chunks(&*store).len(), 101);
        assert_eq!(sent(&*store, 1, 0, head(&log.0, 1)), before);
        close(log);
    }
}

#[tokio::test]
async fn a_chunk_that_cannot_be_read_is_left_as_it_is_and_does_not_hold_up_the_rest() {
    let store: Arc<dyn Store> = Arc::new(MemStore::new());
    let log = open(&store);
    singles(&log.0, 0, 3_000).await;
    let damaged = Frame {
        run: trenza_shared::wire::frame::Run(vec![1, 0, 0, 0, 9, 9]),
        ..chunks(&*store).swap_remove(1_500)
    };
    let mut batch = Batch::new();
    let key = (1, LANE, damaged.first);
    LOG.put(&mut batch, &key, &ChunkRow(damaged.clone()))
        .unwrap();
    store.commit(batch, Durable::Yes).unwrap();
    settle_all(&*store, &log.0);
    let left = chunks(&*store);
    assert!(left.contains(&damaged));
    assert_eq!(left.first().unwrap().count, 1_000);
    assert_eq!(left.last().unwrap().count, 1_000);
    assert_eq!(
        left.iter().map(|chunk| chunk.count).sum::<u32>(),
        3_000,
        "nothing is gone"
    );
    close(log);
}

/// A lane that was left goes out only up to where it went on elsewhere, which may be within what was joined meanwhile.
#[tokio::test]
async fn a_lane_that_ends_within_what_was_joined_is_sent_up_to_there() {
    let store: Arc<dyn Store> = Arc::new(MemStore::new());
    let log = open(&store);
    singles(&log.0, 0, 1_100).await;
    let whole = sent(&*store, 1, 0, head(&log.0, 1));
    settle_all(&*store, &log.0);
    for seq in [1, 7, 999, 1_000, 1_001] {
        let hash = super::super::hash_at(&*store, 1, LANE, seq)
            .unwrap()
            .unwrap();
        let count = usize::try_from(seq).unwrap();
        for acked in [0, 3, seq - 1, seq] {
            let from = usize::try_from(acked).unwrap();
            if from <= count {
                assert_eq!(
                    sent(&*store, 1, acked, Head { seq, hash }),
                    whole[from..count]
                );
            }
        }
    }
    let joined = chunks(&*store).remove(0);
    assert_eq!(joined.count, 1_000, "what is joined stays");
    close(log);
}

#[tokio::test]
async fn what_is_joined_is_deleted_only_when_all_of_it_is_archived() {
    let store: Arc<dyn Store> = Arc::new(MemStore::new());
    let log = open(&store);
    singles(&log.0, 0, 2_100).await;
    settle_all(&*store, &log.0);
    assert_eq!(prune(&*store, 1, LANE, 999).unwrap().chunks, 0);
    assert_eq!(prune(&*store, 1, LANE, 1_999).unwrap().chunks, 1);
    assert_eq!(oldest(&*store, 1, LANE).unwrap(), 1_001);
    assert_eq!(sent(&*store, 1, 1_000, head(&log.0, 1)).len(), 1_100);
    close(log);
}

#[test]
fn events_are_remembered_for_a_period_at_least_and_forgotten_after_two() {
    let store = MemStore::new();
    let now = period(1_000 * DAY_MS);
    let mut batch = Batch::new();
    for known in [0, now - 2, now - 1, now, now + 1, now + 2, u32::MAX] {
        KNOWN.put(&mut batch, &(known, 7), &()).unwrap();
    }
    store.commit(batch, Durable::Yes).unwrap();
    assert!(forget(&store, 1_000 * DAY_MS).unwrap());
    let left = KNOWN
        .scan(&store, None, None, Direction::Forward, 9)
        .unwrap();
    let left: Vec<u32> = left.into_iter().map(|((period, _), ())| period).collect();
    assert_eq!(left, [now - 1, now, now + 1]);
    assert!(!forget(&store, 1_000 * DAY_MS).unwrap());
    assert_eq!(period(1_000 * DAY_MS + KNOWN_DAYS * DAY_MS), now + 1);
}

proptest::proptest! {
    #[test]
    fn an_event_is_known_for_its_days_to_the_millisecond(at_ms in 0i64..4_000_000_000_000, later_ms in 0..=KNOWN_DAYS * DAY_MS) {
        let store = MemStore::new();
        let mut batch = Batch::new();
        let key = (period(at_ms), 7);
        KNOWN.put(&mut batch, &key, &()).unwrap();
        store.commit(batch, Durable::Yes).unwrap();
        forget(&store, at_ms + later_ms).unwrap();
        proptest::prop_assert!(KNOWN.has(&store, &key).unwrap());
        forget(&store, at_ms + 3 * KNOWN_DAYS * DAY_MS).unwrap();
        proptest::prop_assert!(!KNOWN.has(&store, &key).unwrap());
        // What remembering it costs, before the store packs it.
        proptest::prop_assert_eq!(key.to_key().len(), 12);
    }
}
