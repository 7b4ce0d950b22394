use std::ops::RangeInclusive;

use proptest::prelude::*;
use trenza_shared::{
    id::{AgentId, ChainHash, Lane},
    store::{Fault, FaultyStore, MemStore},
    wire::{
        entry::{CHAIN_START, SALT_BLOCK, SaltRoot},
        frame::chain_over,
    },
};

use super::*;

const AGENT: AgentId = AgentId([1; 16]);
const KEY: LaneKey = (AGENT, 1, Lane::Visits);
const SALT: SaltRoot = SaltRoot([1; 32]);

/// What a copy of the agent wrote under a number: after `fork` each branch has its own.
fn entry(branch: &str, fork: Seq, seq: Seq) -> Entry {
    let branch = if seq > fork { branch } else { "" };
    Entry {
        open: vec![1],
        personal: format!("{branch}{seq}").into_bytes(),
    }
}

/// A frame of a branch; within the first salt block.
pub(in crate::sync) fn frame(branch: &str, fork: Seq, range: RangeInclusive<Seq>) -> Frame {
    let (first, last) = range.into_inner();
    assert!(last <= SALT_BLOCK);
    let key = SALT.block_key(1, Lane::Visits, 1);
    let all: Vec<Entry> = (1..=last).map(|seq| entry(branch, fork, seq)).collect();
    let (before, held) = all.split_at(usize::try_from(first - 1).unwrap());
    let previous = chain_over(CHAIN_START, &key, 1, before);
    Frame::seal(AGENT, 1, Lane::Visits, first, previous, key, held)
}

pub(in crate::sync) fn writer(store: Arc<dyn Store>) -> Writer {
    Writer {
        store,
        next: Some(1),
        told: watch::channel(0).0,
    }
}

/// Hands frames in, those of one slice in one commit.
pub(in crate::sync) fn put(writer: &mut Writer, frames: &[Frame]) -> Vec<(Outcome, Vec<Mark>)> {
    let arrivals = frames.iter().cloned().map(|frame| Arrival::frame(1, frame));
    let answers = writer.commit(arrivals.collect());
    let outcome = |answer| match answer {
        Ok(Placed::Frame { outcome, marks, .. }) => (outcome, marks),
        other => panic!("{other:?}"),
    };
    answers.into_iter().map(outcome).collect()
}

/// Every stored entry of the lane by its number, as often as it is stored.
fn numbers(store: &dyn Store) -> Vec<(Seq, Vec<u8>)> {
    let mut out = Vec::new();
    for row in LOG.rows(store) {
        let (_, row) = row.unwrap();
        let Hop::Agent { first, .. } = row.hop else {
            continue;
        };
        let entries = row.run.unpack().unwrap();
        assert_eq!(entries.len(), row.count as usize);
        out.extend((first..).zip(entries.into_iter().map(|entry| entry.personal)));
    }
    out.sort();
    out
}

/// A commit that was reported as failed may be there all the same. Writing over its record would lose a frame that its agent
/// is later told is stored.
#[tokio::test]
async fn a_commit_that_failed_and_is_there_is_never_written_over() {
    let store = Arc::new(FaultyStore::new(1, Fault::AppliedButReported));
    let (log, _thread) = Log::open(store.clone()).unwrap();
    let one = frame("", 0, 1..=1);
    log.append(Arrival::frame(1, one.clone()))
        .await
        .unwrap_err();
    store.fail_every(0, Fault::Refused);
    let own = Arrival::own(2, Hop::Own, &[entry("own", 0, 1)]);
    assert_eq!(log.append(own).await.unwrap(), Placed::Own(2));
    let known = Placed::Frame {
        outcome: Outcome::Known,
        lane: LaneRow::up_to(1, one.head),
        marks: Vec::new(),
    };
    assert_eq!(
        log.append(Arrival::frame(3, one.clone())).await.unwrap(),
        known
    );
    assert_eq!(LOG.get(&*store, &1).unwrap().unwrap().run, one.run);
}

#[test]
fn of_frames_that_overlap_only_the_rest_is_stored() {
    let store = Arc::new(MemStore::new());
    let mut writer = writer(store.clone());
    let own = |range| frame("", 0, range);
    let frames = [
        own(21..=30),
        own(1..=10),
        own(1..=10),
        own(5..=35),
        own(2..=33),
    ];
    let outcomes: Vec<Outcome> = put(&mut writer, &frames)
        .into_iter()
        .map(|(one, _)| one)
        .collect();
    use Outcome::{Known, Stored};
    assert_eq!(outcomes, [Stored, Stored, Known, Stored, Known]);
    let row = segments::lane(&*store, &KEY).unwrap();
    assert_eq!(row, LaneRow::up_to(35, own(1..=35).head));
    let stored = numbers(&*store);
    assert_eq!(stored.len(), 35);
    for (seq, hash) in chain::stored(&*store, KEY, 1, 35).unwrap() {
        assert_eq!(hash, own(1..=seq).head);
    }
}

#[test]
fn a_fork_is_located_where_the_frame_holds_the_place_and_otherwise_by_marks() {
    let store = Arc::new(MemStore::new());
    let mut writer = writer(store.clone());
    for last in 1..=40 {
        put(&mut writer, &[frame("a", 150, 5 * last - 4..=5 * last)]);
    }
    let mut exact = |frame: Frame| {
        let (outcome, marks) = put(&mut writer, &[frame]).remove(0);
        assert_eq!(outcome, Outcome::Fork);
        marks
    };
    let at = |seq| Mark {
        seq,
        hash: frame("a", 150, 1..=seq).head,
    };
    assert_eq!(exact(frame("b", 150, 148..=155)), [at(150)]);
    assert_eq!(exact(frame("b", 150, 151..=155)), [at(150)]);
    let marks = exact(frame("b", 150, 201..=203));
    assert!(marks.windows(2).all(|two| two[0].seq > two[1].seq));
    let common = marks
        .iter()
        .find(|mark| frame("b", 150, 1..=mark.seq).head == mark.hash);
    assert_eq!(common, Some(&at(120)), "{marks:?}");
    assert_eq!(numbers(&*store).len(), 200);
}

/// One copy stored a number after a gap, another one what follows: that is equal, and still behind where the two part.
#[test]
fn what_is_equal_behind_another_branch_is_not_in_common() {
    let mut writer = writer(Arc::new(MemStore::new()));
    let forks = |writer: &mut Writer, frame: Frame| {
        let (outcome, marks) = put(writer, &[frame]).remove(0);
        assert_eq!(outcome, Outcome::Fork);
        marks
    };
    put(&mut writer, &[frame("b", 1, 3..=3), frame("a", 1, 5..=11)]);
    assert_eq!(forks(&mut writer, frame("a", 1, 1..=11)), []);
    put(&mut writer, &[frame("b", 1, 1..=1)]);
    let one = frame("a", 1, 1..=1).head;
    let marks = forks(&mut writer, frame("a", 1, 1..=11));
    assert_eq!(marks, [Mark { seq: 1, hash: one }]);
}

proptest! {
    /// Frames of one chain in any order, cut anyhow, some in one commit, some twice: every number is stored once, and the lane says so.
    #[test]
    fn every_number_is_stored_once(frames in proptest::collection::vec((1u64..60, 0u64..15), 1..25), at_once in 1usize..5) {
        let store = Arc::new(MemStore::new());
        let mut writer = writer(store.clone());
        let mut all = std::collections::BTreeSet::new();
        let frames: Vec<Frame> = frames.into_iter().map(|(first, more)| { all.extend(first..=first + more); frame("", 0, first..=first + more) }).collect();
        for group in frames.chunks(at_once) {
            put(&mut writer, group);
        }
        let stored = numbers(&*store);
        prop_assert_eq!(stored.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), all.iter().copied().collect::<Vec<_>>());
        prop_assert!(stored.iter().all(|(seq, text)| *text == entry("", 0, *seq).personal));
        let row = segments::lane(&*store, &KEY).unwrap();
        prop_assert_eq!(row.count(), all.len() as u64);
        for segment in &row.segments {
            prop_assert_eq!(segment.head, frame("", 0, 1..=segment.last).head);
            let again = chain::stored(&*store, KEY, segment.first, segment.last).unwrap();
            prop_assert_eq!(again.get(&segment.last), Some(&segment.head));
        }
    }

    /// Two copies of an agent: whatever is stored of the second is consistent with the first, number by number, or is refused as a fork.
    #[test]
    fn a_second_branch_never_mixes_with_the_first(fork in 0u64..40, frames in proptest::collection::vec((any::<bool>(), 1u64..40, 0u64..10), 1..25)) {
        let store = Arc::new(MemStore::new());
        let mut writer = writer(store.clone());
        for (second, first, more) in frames {
            let branch = if second { "b" } else { "a" };
            let sent = frame(branch, fork, first..=first + more);
            let (outcome, marks) = put(&mut writer, std::slice::from_ref(&sent)).remove(0);
            let stored = numbers(&*store);
            if outcome == Outcome::Fork {
                prop_assert!(sent.last() > fork);
                for mark in marks {
                    let ours = frame(branch, fork, 1..=mark.seq).head;
                    prop_assert!(mark.seq > fork || mark.hash == ours);
                }
            } else {
                for seq in first..=first + more {
                    let text = entry(branch, fork, seq).personal;
                    prop_assert!(stored.contains(&(seq, text)));
                }
            }
            let row = segments::lane(&*store, &KEY).unwrap();
            for segment in &row.segments {
                let one = |branch| frame(branch, fork, 1..=segment.last).head;
                prop_assert!([one("a"), one("b")].contains(&segment.head));
                let first = frame(if one("a") == segment.head { "a" } else { "b" }, fork, segment.first..=segment.last);
                prop_assert_eq!(first.previous, segment.previous);
            }
        }
    }
}

#[test]
fn a_lane_begins_at_the_start_of_the_chain() {
    let mut writer = writer(Arc::new(MemStore::new()));
    let key = SALT.block_key(1, Lane::Visits, 1);
    let odd = Frame::seal(
        AGENT,
        1,
        Lane::Visits,
        1,
        ChainHash([5; 32]),
        key,
        &[entry("", 0, 1)],
    );
    assert_eq!(put(&mut writer, &[odd])[0].0, Outcome::Fork);
}

/// Every kind of damage that can be done to what is stored is found, and where it is.
#[test]
fn an_audit_finds_what_was_changed_or_is_gone() {
    use crate::sync::audit::audit;
    let store = Arc::new(MemStore::new());
    let mut writer = writer(store.clone());
    let frames = [(1, 10), (11, 20), (31, 40)].map(|(first, last)| frame("", 0, first..=last));
    put(&mut writer, &frames);
    let whole = audit(&*store, None).unwrap();
    let lane = &whole.lanes[0];
    assert!(
        !whole.ok && lane.chain_ok,
        "a gap that nobody can fill is a loss: {whole:?}"
    );
    assert_eq!(
        (lane.from, lane.to, lane.count, lane.records),
        (1, 40, 30, 3)
    );
    assert_eq!(
        (lane.gaps[0].from, lane.gaps[0].to, lane.gaps.len()),
        (21, 30, 1)
    );
    put(&mut writer, &[frame("", 0, 21..=30)]);
    assert!(audit(&*store, Some(AGENT)).unwrap().ok);
    assert!(
        audit(&*store, Some(AgentId([9; 16])))
            .unwrap()
            .lanes
            .is_empty()
    );
    type Change<'a> = (&'a str, &'a dyn Fn(&mut RecordRow));
    let changes: [Change<'_>; 4] = [
        ("a byte", &|row| {
            let mut entries = row.run.unpack().unwrap();
            entries[3].personal[0] ^= 1;
            row.run = Run::pack(&entries);
        }),
        ("an entry", &|row| {
            let mut entries = row.run.unpack().unwrap();
            entries.pop();
            row.run = Run::pack(&entries);
        }),
        ("the packing", &|row| row.run.0[0] = 9),
        ("its place", &|row| {
            row.hop = Hop::Agent {
                agent: AGENT,
                epoch: 1,
                lane: Lane::Visits,
                first: 12,
            }
        }),
    ];
    for (what, change) in changes {
        let damaged = store.fork();
        let mut row = LOG.get(&damaged, &2).unwrap().unwrap();
        change(&mut row);
        let mut batch = trenza_shared::store::Batch::new();
        LOG.put(&mut batch, &2, &row).unwrap();
        damaged.commit(batch, Durable::Yes).unwrap();
        let found = audit(&damaged, None).unwrap();
        assert!(!found.ok && !found.lanes[0].chain_ok, "{what}");
        assert!(
            found.lanes[0].damage[0].contains("record 2, 11 to 20"),
            "{what}: {found:?}"
        );
    }
    let damaged = store.fork();
    let mut batch = trenza_shared::store::Batch::new();
    LOG.delete(&mut batch, &3);
    damaged.commit(batch, Durable::Yes).unwrap();
    let found = audit(&damaged, None).unwrap();
    assert!(
        found.lanes[0].damage[0].contains("not in the log"),
        "{found:?}"
    );
    let damaged = store.fork();
    let mut batch = trenza_shared::store::Batch::new();
    MARKS.delete(&mut batch, &(AGENT, 1, Lane::Visits, 20));
    damaged.commit(batch, Durable::Yes).unwrap();
    assert!(!audit(&damaged, None).unwrap().ok);
}

/// Time of this process on the processor. Unit: s.
fn cpu_s() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let after = stat.rsplit(')').next().unwrap();
    let fields: Vec<&str> = after.split_whitespace().collect();
    let ticks: f64 = fields[11..13]
        .iter()
        .map(|ticks| ticks.parse::<f64>().unwrap())
        .sum();
    ticks / 100.0
}

/// What a frame costs the server from its bytes to stable storage, in one thread on a real store:
/// `cargo test --release -p trenza-server --lib durable_events -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement, not a check"]
fn durable_events_a_second_of_one_core() {
    use trenza_shared::{
        store::{RocksStore, rocks::RocksOptions},
        wire::Shape as _,
    };
    const FRAMES: u64 = 400;
    let dir = tempfile::tempdir().unwrap();
    let store = RocksStore::open(
        dir.path(),
        &crate::tables::spaces(),
        RocksOptions::default(),
    )
    .unwrap();
    let mut writer = writer(Arc::new(store));
    let mut previous = CHAIN_START;
    let frames: Vec<Vec<u8>> = (0..FRAMES)
        .map(|block| {
            let first = block * SALT_BLOCK + 1;
            let key = SALT.block_key(1, Lane::Visits, first);
            let entries: Vec<Entry> = (first..first + SALT_BLOCK)
                .map(|seq| Entry {
                    open: vec![1; 60],
                    personal: format!("{{\"type\":\"track\",\"event\":\"Visit\",\"messageId\":\"m-{seq}\",\"anonymousId\":\"a-{}\",\"properties\":{{\"text\":\"{}\"}}}}", seq % 997, "ñandú ".repeat(24)).into_bytes(),
                })
                .collect();
            let frame = Frame::seal(AGENT, 1, Lane::Visits, first, previous, key, &entries);
            previous = frame.head;
            frame.to_bytes()
        })
        .collect();
    let bytes: usize = frames.iter().map(Vec::len).sum();
    let (wall, cpu) = (Instant::now(), cpu_s());
    for group in frames.chunks(4) {
        let opened = group.iter().map(|bytes| {
            let frame = Frame::from_bytes(bytes).unwrap();
            frame.open().unwrap();
            frame
        });
        let opened: Vec<Frame> = opened.collect();
        assert!(
            put(&mut writer, &opened)
                .iter()
                .all(|(outcome, _)| *outcome == Outcome::Stored)
        );
    }
    let (wall, cpu) = (wall.elapsed().as_secs_f64(), cpu_s() - cpu);
    let events = (FRAMES * SALT_BLOCK) as f64;
    println!(
        "{events} events, {:.0} bytes an event on the wire: {:.0} durable events a second of wall time, {:.0} a second of processor time",
        bytes as f64 / events,
        events / wall,
        events / cpu
    );
}
