//! What is kept of others: limits, order, copies, deleting.

use std::sync::Arc;

use trenza_shared::{
    id::{AgentId, Lane, Seq},
    store::MemStore,
    wire::{
        Shape,
        carried::{CarriedLane, LaneName, Signed},
        entry::{CHAIN_START, Entry, Open, SaltRoot, What},
        frame::{Frame, chain_over},
        sync::LaneHave,
    },
};

use super::{
    carried::{Carried, CarryError, Taken},
    today::{Boots, VenueToday},
};

const NOW: i64 = 1_773_480_000_000;
const ORIGIN: AgentId = AgentId([1; 16]);

fn name() -> LaneName {
    LaneName {
        agent: ORIGIN,
        epoch: 1,
        lane: Lane::Visits,
    }
}

/// The entries of a lane of one branch of history; all branches are one up to `fork`.
fn entries(branch: u8, fork: Seq, last: Seq) -> Vec<Entry> {
    (1..=last)
        .map(|seq| {
            let branch = if seq > fork { branch } else { 0 };
            let open = Open {
                what: What::Event(trenza_shared::event::EventType::Track),
                captured_ms: NOW,
                boottime_ms: 1,
                boot: 0,
                offset_min: 60,
                key: "wk_staff".into(),
                unverified: false,
                bot: None,
                sent_lag_ms: 0,
            };
            Entry::clear(&open, &format!("{branch}-{seq}"))
        })
        .collect()
}

/// The frame of the numbers `first` to `last`. Its signature is not looked at here: that is done before.
fn frame(branch: u8, fork: Seq, first: Seq, last: Seq) -> (Signed, Vec<Entry>) {
    let all = entries(branch, fork, last);
    let key = SaltRoot([7; 32]).block_key(1, Lane::Visits, first);
    let (before, own) = all.split_at(usize::try_from(first - 1).unwrap());
    let previous = chain_over(CHAIN_START, &key, 1, before);
    let signed = Signed {
        frame: Frame::seal(ORIGIN, 1, Lane::Visits, first, previous, key, own),
        certificate: vec![1; 600],
        signature: vec![2; 70],
    };
    (signed, own.to_vec())
}

fn open(bytes_max: u64) -> (Arc<MemStore>, Carried) {
    let store = Arc::new(MemStore::new());
    let carried = Carried::open(store.clone(), bytes_max).unwrap();
    (store, carried)
}

fn take(carried: &Carried, (branch, fork, first, last): (u8, Seq, Seq, Seq)) -> Taken {
    let (signed, entries) = frame(branch, fork, first, last);
    carried.take(&signed, &entries, NOW).unwrap()
}

fn kept(taken: &Taken) -> Option<Seq> {
    match taken {
        Taken::Kept(have) => Some(have.acked),
        Taken::Known(_) | Taken::Fork(_) => None,
    }
}

fn server_has(acked: Seq, refused: bool) -> CarriedLane {
    CarriedLane {
        agent: ORIGIN,
        have: LaneHave {
            acked,
            ..LaneHave::nothing(1, Lane::Visits)
        },
        refused,
    }
}

#[test]
fn frames_that_overlap_and_come_twice_are_kept_once_and_given_without_a_gap() {
    let (store, carried) = open(1 << 20);
    assert_eq!(kept(&take(&carried, (0, 99, 1, 3))), Some(3));
    assert!(matches!(take(&carried, (0, 99, 1, 3)), Taken::Known(_)));
    assert!(matches!(take(&carried, (0, 99, 2, 3)), Taken::Known(_)));
    assert_eq!(kept(&take(&carried, (0, 99, 2, 5))), Some(5));
    assert_eq!(kept(&take(&carried, (0, 99, 2, 7))), Some(7));
    assert_eq!(kept(&take(&carried, (0, 99, 8, 9))), Some(9));
    let mut after = 0;
    while let Some(signed) = carried.next(&name(), after).unwrap() {
        assert!(signed.frame.first <= after + 1, "no gap");
        assert!(signed.frame.last() > after, "it goes on");
        after = signed.frame.last();
    }
    assert_eq!(after, 9);
    // Bytes are those of what is kept, also after a new start.
    let bytes: u64 = [(1, 3), (2, 7), (8, 9)]
        .map(|(first, last)| frame(0, 99, first, last).0.to_bytes().len() as u64)
        .iter()
        .sum();
    assert_eq!(carried.bytes(), bytes);
    let again = Carried::open(store, 1 << 20).unwrap();
    assert_eq!((again.bytes(), again.held()), (bytes, carried.held()));
}

#[test]
fn of_two_copies_of_an_agent_the_first_is_carried() {
    let (_store, carried) = open(1 << 20);
    take(&carried, (0, 2, 1, 4));
    for other in [(9, 2, 5, 6), (9, 2, 3, 6), (9, 2, 1, 9)] {
        assert!(matches!(take(&carried, other), Taken::Fork(have) if have.acked == 4));
    }
    assert_eq!(kept(&take(&carried, (0, 2, 5, 6))), Some(6));
}

#[test]
fn what_does_not_fit_is_refused_until_the_server_has_what_is_there() {
    let one = frame(0, 99, 1, 3).0.to_bytes().len() as u64;
    let (_store, carried) = open(one * 2 + one / 2);
    take(&carried, (0, 99, 1, 3));
    take(&carried, (0, 99, 4, 6));
    let (signed, entries) = frame(0, 99, 7, 9);
    let full = carried.take(&signed, &entries, NOW);
    assert!(matches!(full, Err(CarryError::Full { .. })), "{full:?}");
    carried.tidy(i64::MAX).unwrap();
    assert!(
        carried.take(&signed, &entries, NOW).is_err(),
        "nobody has it yet"
    );
    carried.heard_of_server(&server_has(3, false));
    carried.tidy(i64::MAX).unwrap();
    assert_eq!(carried.held()[0].first, 4);
    assert!(carried.take(&signed, &entries, NOW).is_ok());
}

#[test]
fn what_the_server_has_goes_after_its_time_and_the_last_frame_stays() {
    let (_store, carried) = open(1 << 20);
    for first in [1, 4, 7] {
        take(&carried, (0, 99, first, first + 2));
    }
    assert_eq!(carried.waiting(), [(name(), 9)]);
    carried.heard_of_server(&server_has(9, false));
    assert_eq!(carried.waiting(), [(name(), 0)]);
    carried.tidy(NOW).unwrap();
    assert_eq!(carried.held()[0].first, 1, "not before its time");
    carried.tidy(NOW + 1).unwrap();
    let held = carried.held();
    assert_eq!((held[0].first, held[0].last), (7, 9));
    // Of an agent whose right was taken back nothing stays.
    carried.heard_of_server(&server_has(0, true));
    assert_eq!(carried.on_server(&name()), None);
    carried.tidy(NOW + 1).unwrap();
    assert!(carried.held().is_empty() && carried.bytes() == 0);
}

#[test]
fn each_entry_counts_once_in_the_venues_day_however_it_came() {
    let (store, carried) = open(1 << 20);
    let today = VenueToday::new(jiff::tz::TimeZone::UTC);
    let keys = [(ORIGIN, "wk_staff".to_owned())].into_iter().collect();
    let visits = |carried: &Carried| {
        let counted = today
            .visits(&*store, &carried.held(), &keys, &Boots::new(), NOW)
            .unwrap();
        counted[&ORIGIN]
    };
    assert_eq!(visits(&carried), 0);
    take(&carried, (0, 99, 1, 3));
    assert_eq!(visits(&carried), 3);
    take(&carried, (0, 99, 2, 7));
    assert_eq!(visits(&carried), 7);
    assert_eq!(visits(&carried), 7);
    // The origin goes on in another epoch and appends again what it held.
    let all = entries(0, 99, 8);
    let key = SaltRoot([8; 32]).block_key(2, Lane::Visits, 1);
    let signed = Signed {
        frame: Frame::seal(ORIGIN, 2, Lane::Visits, 1, CHAIN_START, key, &all),
        certificate: Vec::new(),
        signature: Vec::new(),
    };
    carried.take(&signed, &all, NOW).unwrap();
    assert_eq!(visits(&carried), 8);
    let fresh = VenueToday::new(jiff::tz::TimeZone::UTC);
    let counted = fresh
        .visits(&*store, &carried.held(), &keys, &Boots::new(), NOW)
        .unwrap();
    assert_eq!(counted[&ORIGIN], 8);
    let tomorrow = NOW + 24 * 3_600_000;
    let counted = fresh
        .visits(&*store, &carried.held(), &keys, &Boots::new(), tomorrow)
        .unwrap();
    assert_eq!(counted[&ORIGIN], 0);
}

/// A frame of a lane whose entries came in at such times of the boot clock, in boot 5, on a device whose wall clock says 1970.
fn of_1970(lane: Lane, epoch: u32, what: &[(What, u64)]) -> (Signed, Vec<Entry>) {
    let entries: Vec<Entry> = what
        .iter()
        .map(|(what, boottime_ms)| {
            let open = Open {
                what: what.clone(),
                captured_ms: i64::try_from(*boottime_ms).unwrap(),
                boottime_ms: *boottime_ms,
                boot: 5,
                offset_min: 0,
                key: "wk_staff".into(),
                unverified: false,
                bot: None,
                sent_lag_ms: 0,
            };
            Entry::clear(&open, &format!("{lane:?}-{boottime_ms}"))
        })
        .collect();
    let key = SaltRoot([7; 32]).block_key(epoch, lane, 1);
    let signed = Signed {
        frame: Frame::seal(ORIGIN, epoch, lane, 1, CHAIN_START, key, &entries),
        certificate: Vec::new(),
        signature: Vec::new(),
    };
    (signed, entries)
}

#[test]
fn a_neighbour_whose_clock_says_1970_counts_by_its_boot_clock() {
    const HOUR: u64 = 3_600_000;
    let visit = What::Event(trenza_shared::event::EventType::Track);
    let (store, carried) = open(1 << 20);
    let today = VenueToday::new(jiff::tz::TimeZone::UTC);
    let keys = [(ORIGIN, "wk_staff".to_owned())].into_iter().collect();
    let visits = |boots: &Boots| {
        let counted = today.visits(&*store, &carried.held(), &keys, boots, NOW);
        counted.unwrap()[&ORIGIN]
    };
    // NOW is 09:20: an hour after the boot is today, and so is eight hours after one that began at midnight.
    let at = [HOUR, 2 * HOUR, 8 * HOUR].map(|at| (visit.clone(), at));
    let (signed, entries) = of_1970(Lane::Visits, 1, &at);
    carried.take(&signed, &entries, NOW).unwrap();
    assert_eq!(visits(&Boots::new()), 0, "by its wall clock it was 1970");
    let midnight = NOW - 9 * i64::try_from(HOUR).unwrap() - 20 * 60_000;
    let heard = |began_ms| Boots::from([((ORIGIN, 5), began_ms)]);
    assert_eq!(visits(&heard(midnight)), 3, "heard of it, it counts");
    assert_eq!(visits(&Boots::new()), 3, "and goes on counting");
    assert_eq!(visits(&heard(midnight + 900)), 3);
    assert_eq!(
        visits(&heard(midnight - i64::try_from(2 * HOUR).unwrap())),
        2
    );
    // What the server measured is better than what was heard.
    let measured = What::Clock {
        server_ms: midnight + 60_000,
        round_trip_ms: 10,
    };
    let (signed, entries) = of_1970(Lane::Clock, 1, &[(measured, 60_000)]);
    carried.take(&signed, &entries, NOW).unwrap();
    assert_eq!(visits(&heard(0)), 3);
}

#[test]
fn everything_goes_where_the_devices_own_visits_need_the_room() {
    let (store, carried) = open(1 << 20);
    take(&carried, (0, 99, 1, 3));
    take(&carried, (0, 99, 4, 6));
    assert_eq!(carried.tidy(i64::MAX).unwrap(), 0, "nobody has it yet");
    assert_eq!(carried.clear().unwrap(), 1);
    assert_eq!((carried.bytes(), carried.held().len()), (0, 0));
    assert!(carried.next(&name(), 0).unwrap().is_none());
    let again = Carried::open(store, 1 << 20).unwrap();
    assert!(again.held().is_empty());
    assert_eq!(kept(&take(&carried, (0, 99, 1, 6))), Some(6));
}
