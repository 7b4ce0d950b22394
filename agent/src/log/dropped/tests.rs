use std::sync::Arc;

use trenza_shared::{
    store::{Direction, Fault, FaultyStore, MemStore, Store},
    wire::{Shape as _, sync::LaneHave},
};

use super::*;
use crate::log::{
    Append, Log, NewEntry, next_frame,
    tests::{close, named, open},
};

const LOW: (Epoch, Lane) = (1, Lane::Low);

fn what(bytes: u64, lanes: Vec<LaneHave>) -> Yield {
    Yield {
        bytes,
        reason: Reason::Quota,
        told: Arc::new(ServerRow {
            lanes,
            ..ServerRow::default()
        }),
        captured_ms: 7,
        boottime_ms: 5,
        boot: 3,
    }
}

/// Requests of two low-priority events and a visit each: every one a chunk in both lanes.
async fn fill(log: &Log, requests: std::ops::Range<u32>) {
    for request in requests {
        let low = |part: &str| named(log, &format!("{part}{request}"), 1);
        let append = |lane, entries: Vec<NewEntry>| Append { lane, entries };
        log.append_all(vec![
            append(Lane::Low, vec![low("a"), low("b")]),
            append(Lane::Visits, vec![low("v")]),
        ])
        .await
        .unwrap();
    }
}

fn left(store: &dyn View, lane: Lane) -> Vec<Seq> {
    let rows = LOG.scan_prefix(store, &(1_u32, lane), Direction::Forward, 100);
    let rows = rows.unwrap().into_iter();
    rows.flat_map(|(_, ChunkRow(chunk))| chunk.first..=chunk.last())
        .collect()
}

/// What the log tells the server.
fn told(store: &dyn View) -> Vec<Dropped> {
    let frame = next_frame(store, 1, Lane::Clock, 0, Seq::MAX, Seq::MAX).unwrap();
    let entries = frame.map_or_else(Vec::new, |frame| frame.open().unwrap());
    let opens = entries
        .iter()
        .map(|entry| Open::from_bytes(&entry.open).unwrap());
    opens
        .filter_map(|open| match open.what {
            What::Dropped(dropped) => Some(dropped),
            _ => None,
        })
        .collect()
}

fn ranges(log: &Log) -> Vec<(Seq, Seq, u64)> {
    let drops = log.drops();
    let ranges = drops
        .ranges()
        .map(|(.., first, row)| (first, row.last, row.lost));
    ranges.collect()
}

#[tokio::test]
async fn only_as_much_as_is_needed_goes_the_oldest_first_and_never_a_visit() {
    let store: Arc<dyn Store> = Arc::new(MemStore::new());
    let log = open(&store);
    fill(&log.0, 0..10).await;
    let before: Vec<_> = LOG.rows(&*store).map(Result::unwrap).collect();
    let chain = |seq| {
        let chunk = before
            .iter()
            .find(|((.., lane, first), _)| (*lane, *first) == (Lane::Low, seq));
        chunk.map(|(_, ChunkRow(chunk))| chunk.previous).unwrap()
    };
    let done = log.0.give_up(what(1, vec![])).await.unwrap();
    assert!(done.entries == 2 && done.bytes > 0);
    // The server has the next two already, and one that came after a gap.
    let have = LaneHave {
        acked: 4,
        ..LaneHave::nothing(1, Lane::Low)
    };
    let done = log
        .0
        .give_up(what(2 * done.bytes + done.bytes / 2, vec![have]))
        .await
        .unwrap();
    assert_eq!(done.entries, 4);
    assert_eq!(left(&*store, Lane::Low), (9..=20).collect::<Vec<_>>());
    assert_eq!(left(&*store, Lane::Visits), (1..=10).collect::<Vec<_>>());
    assert_eq!(ranges(&log.0), [(1, 8, 6)], "what follows is one range");
    assert_eq!(log.0.drops().count(), 6);
    let told = told(&*store);
    let told: Vec<_> = told
        .iter()
        .map(|one| (one.first, one.last, one.previous, one.head))
        .collect();
    assert_eq!(
        told,
        [(1, 2, chain(1), chain(3)), (3, 8, chain(3), chain(9))]
    );
    // All that can go goes; the last chunk keeps the head.
    while log.0.give_up(what(u64::MAX, vec![])).await.unwrap().bytes > 0 {}
    assert_eq!(left(&*store, Lane::Low), [19, 20]);
    let (head, drops) = (log.0.ends()[&LOW], log.0.drops());
    close(log);
    let again = open(&store);
    assert_eq!((again.0.ends()[&LOW], again.0.drops()), (head, drops));
    close(again);
}

#[tokio::test]
async fn after_a_failed_commit_all_of_it_happened_or_nothing() {
    for fault in [Fault::Refused, Fault::AppliedButReported] {
        let disk = Arc::new(FaultyStore::new(0, fault));
        let store: Arc<dyn Store> = disk.clone();
        let log = open(&store);
        fill(&log.0, 0..5).await;
        disk.fail_every(1, fault);
        assert!(log.0.give_up(what(1, vec![])).await.is_err());
        disk.fail_every(0, fault);
        fill(&log.0, 5..6).await;
        let gone = fault == Fault::AppliedButReported;
        assert_eq!(left(&*store, Lane::Low).contains(&1), !gone, "{fault:?}");
        assert_eq!(told(&*store).len(), usize::from(gone));
        assert_eq!(log.0.drops().count(), if gone { 2 } else { 0 });
        close(log);
    }
}

#[tokio::test]
async fn what_was_given_up_is_not_waited_for() {
    let store: Arc<dyn Store> = Arc::new(MemStore::new());
    let log = open(&store);
    fill(&log.0, 0..5).await;
    let waiting = || link::waiting(&log.0.ends(), &[], &log.0.drops());
    assert_eq!(waiting(), 15);
    log.0.give_up(what(1, vec![])).await.unwrap();
    assert_eq!(waiting(), 13);
    assert_eq!(log.0.drops().count() + waiting(), 15);
    close(log);
}

#[test]
fn ranges_join_where_they_touch_and_many_that_do_not_end_a_life() {
    let row = |last, reason| DroppedRow {
        last,
        lost: 1,
        reason,
        at_ms: 0,
    };
    let mut drops = Drops::default();
    drops.add((1, Lane::Low, 1), row(5, Reason::Quota));
    drops.add((1, Lane::Low, 6), row(9, Reason::Quota));
    drops.add((1, Lane::Low, 10), row(11, Reason::Disk));
    drops.add((2, Lane::Low, 12), row(12, Reason::Disk));
    let all: Vec<_> = drops
        .ranges()
        .map(|(epoch, _, first, row)| (epoch, first, row.last, row.lost))
        .collect();
    assert_eq!(all, [(1, 1, 9, 2), (1, 10, 11, 1), (2, 12, 12, 1)]);
    assert_eq!(drops.still(1, Lane::Low, vec![4..=20]), [12..=20]);
    assert_eq!(drops.still(1, Lane::Visits, vec![4..=20]), [4..=20]);
    for n in 0..RANGES_MAX as u64 {
        assert!(!drops.wants_new_life(3), "after {n} holes");
        drops.add((3, Lane::Low, 2 * n + 1), row(2 * n + 1, Reason::Disk));
    }
    assert!(drops.wants_new_life(3) && !drops.wants_new_life(1));
}
