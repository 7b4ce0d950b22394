use std::sync::Arc;

use proptest::prelude::*;
use trenza_shared::{
    event::EventType,
    group_commit::GroupError,
    id::{AgentId, Lane},
    store::{Direction, Fault, FaultyStore, MemStore, Store, View},
    wire::{
        entry::{Entry, Open, SALT_BLOCK, What},
        frame::{FRAME_BYTES_MAX, FRAME_EVENTS_MAX},
    },
};

use super::*;

const AGENT: AgentId = AgentId([7; 16]);
const FRESH: Fresh = Fresh {
    epoch: 1,
    salt_root: [5; 32],
    damaged: false,
};

fn entry(text: &str, at_ms: i64) -> NewEntry {
    let open = Open {
        what: What::Event(EventType::Track),
        captured_ms: at_ms,
        boottime_ms: 1,
        boot: 0,
        offset_min: 60,
        key: "wk".into(),
        unverified: false,
        bot: None,
        sent_lag_ms: 0,
    };
    NewEntry {
        identity: None,
        entry: Entry::clear(&open, text),
    }
}

/// What a client sends.
fn text(id: &str, content: u8) -> String {
    format!(
        r#"{{"type":"track","userId":"u","messageId":"{id}","properties":{{"content":{content}}}}}"#
    )
}

pub(super) fn named(log: &Log, id: &str, content: u8) -> NewEntry {
    let text = text(id, content);
    let event = Captured::quick(&text, Default::default()).unwrap();
    NewEntry {
        identity: Some(log.fingerprint(&event)),
        ..entry(&text, 1)
    }
}

pub(super) fn visits(entries: Vec<NewEntry>) -> Append {
    Append {
        lane: Lane::Visits,
        entries,
    }
}

pub(super) fn open(store: &Arc<dyn Store>) -> (Log, std::thread::JoinHandle<()>) {
    Log::open(store.clone(), AGENT, FRESH).unwrap()
}

pub(super) fn close((log, thread): (Log, std::thread::JoinHandle<()>)) {
    drop(log);
    thread.join().unwrap();
}

pub(super) fn head(log: &Log, epoch: u32) -> Head {
    log.ends()[&(epoch, Lane::Visits)]
}

/// Every entry after `acked`, frame by frame, each checked as the server checks it.
pub(super) fn sent(view: &dyn View, epoch: u32, mut acked: Seq, head: Head) -> Vec<Entry> {
    let mut all = Vec::new();
    let mut previous = None;
    while let Some(frame) =
        next_frame(view, epoch, Lane::Visits, acked, head.seq, head.seq).unwrap()
    {
        assert_eq!(frame.first, acked + 1);
        assert!(
            previous.is_none_or(|hash| hash == frame.previous),
            "the chain continues from frame to frame"
        );
        let entries = frame.open().unwrap();
        assert!(entries.len() <= FRAME_EVENTS_MAX);
        assert!(
            entries.len() == 1
                || entries.iter().map(Entry::bytes).sum::<usize>() <= FRAME_BYTES_MAX
        );
        (acked, previous) = (frame.last(), Some(frame.head));
        all.extend(entries);
    }
    assert_eq!(acked, head.seq);
    assert!(previous.is_none_or(|hash| hash == head.hash));
    all
}

#[tokio::test]
async fn the_chain_goes_on_after_the_log_was_closed() {
    let store: Arc<dyn Store> = Arc::new(MemStore::new());
    let first = open(&store);
    first
        .0
        .append(visits(vec![entry("a", 1), entry("b", 1)]))
        .await
        .unwrap();
    let before = head(&first.0, 1);
    close(first);
    let second = open(&store);
    assert_eq!(head(&second.0, 1), before);
    second.0.append(visits(vec![entry("c", 1)])).await.unwrap();
    assert_eq!(sent(&*store, 1, 0, head(&second.0, 1)).len(), 3);
    close(second);
}

#[tokio::test]
async fn a_retry_is_dropped_and_other_content_under_the_same_id_is_kept() {
    let store: Arc<dyn Store> = Arc::new(MemStore::new());
    let log = open(&store);
    assert_eq!(
        log.0
            .append(visits(vec![named(&log.0, "m", 1), named(&log.0, "m", 1)]))
            .await,
        Ok(1)
    );
    assert_eq!(
        log.0
            .append(visits(vec![
                named(&log.0, "m", 1),
                named(&log.0, "m", 2),
                named(&log.0, "n", 1)
            ]))
            .await,
        Ok(1)
    );
    close(log);
    let log = open(&store);
    assert_eq!(
        log.0
            .append(visits(vec![named(&log.0, "m", 2), named(&log.0, "n", 1)]))
            .await,
        Ok(2)
    );
    assert_eq!(head(&log.0, 1).seq, 3);
    close(log);
}

#[tokio::test]
async fn a_large_request_is_split_at_salt_blocks_and_at_the_bytes_of_a_frame() {
    let store: Arc<dyn Store> = Arc::new(MemStore::new());
    let log = open(&store);
    log.0
        .append(visits(
            (0..2_500).map(|n| entry(&n.to_string(), 1)).collect(),
        ))
        .await
        .unwrap();
    let big = "x".repeat(100_000);
    log.0
        .append(visits((0..5).map(|_| entry(&big, 1)).collect()))
        .await
        .unwrap();
    for (_, chunk) in LOG
        .scan_prefix(&*store, &(1, Lane::Visits), Direction::Forward, 100)
        .unwrap()
    {
        let chunk = chunk.0;
        chunk.open().unwrap();
        assert_eq!(
            (chunk.first - 1) / SALT_BLOCK,
            (chunk.last() - 1) / SALT_BLOCK
        );
    }
    assert_eq!(sent(&*store, 1, 0, head(&log.0, 1)).len(), 2_505);
    close(log);
}

#[tokio::test]
async fn a_refused_commit_leaves_the_heads_as_they_were() {
    let faulty = Arc::new(FaultyStore::new(0, Fault::Full));
    let store: Arc<dyn Store> = faulty.clone();
    let log = open(&store);
    log.0.append(visits(vec![entry("a", 1)])).await.unwrap();
    let before = head(&log.0, 1);
    faulty.fail_every(1, Fault::Full);
    let refused = log.0.append(visits(vec![named(&log.0, "b", 1)])).await;
    assert!(matches!(
        refused,
        Err(GroupError::Refused(AppendError::Store(
            StoreError::Full { .. }
        )))
    ));
    assert_eq!(head(&log.0, 1), before);
    faulty.fail_every(0, Fault::Full);
    assert_eq!(
        log.0.append(visits(vec![named(&log.0, "b", 1)])).await,
        Ok(0)
    );
    assert_eq!(sent(&*store, 1, 0, head(&log.0, 1)).len(), 2);
    close(log);
}

#[tokio::test]
async fn a_commit_that_was_there_after_all_is_neither_lost_nor_doubled() {
    let faulty = Arc::new(FaultyStore::new(0, Fault::AppliedButReported));
    let store: Arc<dyn Store> = faulty.clone();
    let log = open(&store);
    log.0
        .append(visits(vec![named(&log.0, "a", 1)]))
        .await
        .unwrap();
    faulty.fail_every(1, Fault::AppliedButReported);
    let many: Vec<NewEntry> = (0..1_500)
        .map(|n| named(&log.0, &format!("b{n}"), 1))
        .collect();
    assert!(log.0.append(visits(many.clone())).await.is_err());
    // Nobody was told: sync must not send it yet.
    assert_eq!(head(&log.0, 1).seq, 1);
    assert_eq!(sent(&*store, 1, 0, head(&log.0, 1)).len(), 1);
    faulty.fail_every(0, Fault::Full);
    assert_eq!(
        log.0.append(visits(many)).await,
        Ok(1_500),
        "the client's retry finds all of it"
    );
    log.0
        .append(visits(vec![named(&log.0, "c", 1)]))
        .await
        .unwrap();
    assert_eq!(sent(&*store, 1, 0, head(&log.0, 1)).len(), 1_502);
    close(log);
}

#[tokio::test]
async fn a_new_epoch_begins_a_chain_of_its_own_and_a_left_lane_ends_where_it_went_on() {
    let store: Arc<dyn Store> = Arc::new(MemStore::new());
    let log = open(&store);
    log.0.append(visits(vec![entry("a", 1)])).await.unwrap();
    log.0.renew(4, [9; 32]).await.unwrap();
    assert_eq!((log.0.epoch(), head(&log.0, 4)), (4, Head::START));
    log.0.append(visits(vec![entry("b", 1)])).await.unwrap();
    assert_eq!((head(&log.0, 1).seq, head(&log.0, 4).seq), (1, 1));
    let left = |after| Lineage {
        from: 1,
        lane: Lane::Visits,
        after,
        into: 4,
    };
    let whole = head(&log.0, 1);
    let leave = async |after| {
        log.0
            .leave(1, Lane::Visits, Left::Sent(left(after)))
            .await
            .unwrap()
    };
    leave(1).await;
    assert_eq!(head(&log.0, 1), whole);
    leave(0).await;
    assert!(!log.0.ends().contains_key(&(1, Lane::Visits)));
    close(log);
    let log = open(&store);
    assert_eq!(log.0.epoch(), 4);
    assert!(!log.0.ends().contains_key(&(1, Lane::Visits)));
    close(log);
    let (log, thread) = Log::open(
        store,
        AGENT,
        Fresh {
            damaged: true,
            ..FRESH
        },
    )
    .unwrap();
    assert_eq!(
        log.epoch(),
        5,
        "after damage even a known epoch is not gone on with"
    );
    close((log, thread));
}

#[tokio::test]
async fn only_what_may_go_is_deleted_and_never_the_lanes_end() {
    let store: Arc<dyn Store> = Arc::new(MemStore::new());
    let log = open(&store);
    for n in 1..=10 {
        log.0.append(visits(vec![entry("x", n)])).await.unwrap();
    }
    let pruned = |until| prune(&*store, 1, Lane::Visits, until).unwrap().chunks;
    assert_eq!(pruned(0), 0);
    assert_eq!(pruned(4), 4);
    assert_eq!(oldest(&*store, 1, Lane::Visits).unwrap(), 5);
    assert_eq!(pruned(7), 3);
    assert_eq!(pruned(10), 2);
    assert_eq!(oldest(&*store, 1, Lane::Visits).unwrap(), 10);
    let end = head(&log.0, 1);
    close(log);
    let log = open(&store);
    assert_eq!(head(&log.0, 1), end);
    close(log);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn frames_joined_or_cut_are_the_log_from_any_place(commits in proptest::collection::vec(1usize..400, 1..12), from in 0.0f64..1.0, settled in 0usize..4) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let store: Arc<dyn Store> = Arc::new(MemStore::new());
        let log = open(&store);
        let mut texts = Vec::new();
        runtime.block_on(async {
            for count in commits {
                let some: Vec<String> = (0..count).map(|n| format!("{}-{n}", texts.len())).collect();
                log.0.append(visits(some.iter().map(|text| entry(text, 1)).collect())).await.unwrap();
                texts.extend(some);
            }
        });
        let mut packer = Packer::new(3);
        for _ in 0..settled {
            let _some = settle(&*store, &mut packer, 1, Lane::Visits, head(&log.0, 1).seq, false).unwrap();
        }
        let acked = (texts.len() as f64 * from) as u64;
        let got = sent(&*store, 1, acked, head(&log.0, 1));
        let got: Vec<&str> = got.iter().map(|entry| entry.text().unwrap()).collect();
        prop_assert_eq!(&got[..], &texts[acked as usize..]);
        if acked > 0 {
            let hash = hash_at(&*store, 1, Lane::Visits, acked).unwrap().unwrap();
            let next = next_frame(&*store, 1, Lane::Visits, acked, Seq::MAX, head(&log.0, 1).seq).unwrap();
            prop_assert!(next.is_none_or(|frame| frame.previous == hash));
        }
        close(log);
    }
}

#[tokio::test]
async fn a_retry_of_what_is_no_longer_on_the_device_is_stored_again() {
    let store: Arc<dyn Store> = Arc::new(MemStore::new());
    let log = open(&store);
    for id in ["m", "n"] {
        let append = visits(vec![named(&log.0, id, 1)]);
        assert_eq!(log.0.append(append).await, Ok(0));
    }
    // Retention: the server has it, and may yet be set back to before it had.
    assert_eq!(prune(&*store, 1, Lane::Visits, 1).unwrap().chunks, 1);
    let append = visits(vec![named(&log.0, "m", 1), named(&log.0, "n", 1)]);
    assert_eq!(log.0.append(append).await, Ok(1));
    assert_eq!(sent(&*store, 1, 1, head(&log.0, 1)).len(), 2);
    // From now on it is known at its new place.
    let append = visits(vec![named(&log.0, "m", 1)]);
    assert_eq!(log.0.append(append).await, Ok(1));
    close(log);
}
