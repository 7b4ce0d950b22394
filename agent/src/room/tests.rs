//! How full the disk and the quota are, and what is refused then.

use super::*;

const LIMITS: Limits = Limits {
    quota_bytes: 1_000,
    work_bytes: 200,
    free_bytes_min: 100,
};

fn facts(used_bytes: u64, free_bytes: u64, failure: Option<StoreError>) -> Facts {
    Facts {
        used_bytes,
        free_bytes,
        failure,
    }
}

#[test]
fn archived_events_yield_first_and_then_new_ones_are_refused() {
    let full = StoreError::Full { detail: "x".into() };
    let broken = StoreError::Closed;
    for (used, free, failure, expected) in [
        (899, 200, None, Room::Plenty),
        (900, 200, None, Room::Short),
        (999, 200, None, Room::Short),
        (1_000, 200, None, Room::Full),
        (0, 199, None, Room::Short),
        (0, 100, None, Room::Short),
        (0, 99, None, Room::Full),
        (0, 9_999, Some(full), Room::Full),
        (0, 9_999, Some(broken), Room::Failed),
    ] {
        assert_eq!(
            judge(&facts(used, free, failure), &LIMITS),
            expected,
            "{used} {free}"
        );
    }
}

#[test]
fn a_quota_that_is_used_up_is_not_called_a_full_disk() {
    let limits = Limits {
        quota_bytes: 18 << 20,
        work_bytes: 6 << 20,
        free_bytes_min: 40 << 20,
    };
    let cell = RoomCell::new(limits);
    let told = |used: u64, free: u64, failure| {
        cell.measured(facts(used << 20, free << 20, failure));
        let seen = cell.now();
        (seen.short(), seen.problem().unwrap_or_default())
    };
    assert_eq!(told(10, 39_620, None), (None, String::new()));
    let (short, text) = told(21, 39_620, None);
    assert_eq!(short, Some(Short::Quota));
    for part in [
        "quota: it has 21 MiB",
        "store.quota_bytes is 24 MiB",
        "6 MiB are kept back",
    ] {
        assert!(text.contains(part), "{text}");
    }
    assert!(!text.contains("full"), "{text}");
    let (short, text) = told(21, 39, None);
    assert_eq!(short, Some(Short::Disk));
    assert!(text.contains("the disk is full: 39 MiB"), "{text}");
    let full = StoreError::Full { detail: "x".into() };
    assert_eq!(told(1, 39_620, Some(full)).0, Some(Short::Disk));
    assert_eq!(
        told(1, 39_620, Some(StoreError::Closed)).0,
        Some(Short::Failed)
    );
}

#[test]
fn what_was_admitted_counts_before_it_is_measured() {
    let cell = RoomCell::new(LIMITS);
    let visit = |bytes| cell.admit(bytes, false);
    assert_eq!(visit(60), Ok(()), "nothing was measured yet");
    cell.measured(facts(900, 500, None));
    assert_eq!(visit(60), Ok(()));
    assert_eq!(visit(60), Err(Refusal::Full(Reason::Quota)));
    assert_eq!(visit(10), Ok(()), "a smaller one still fits");
    cell.measured(facts(0, LIMITS.free_bytes_min - 1, None));
    assert_eq!(visit(10), Err(Refusal::Full(Reason::Disk)));
    cell.measured(facts(800, 500, None));
    assert_eq!(visit(60), Ok(()));
}

#[test]
fn archived_events_go_down_to_three_quarters_and_no_further() {
    for (used, free, bytes) in [
        (750, 300, 0),
        (751, 300, 1),
        (1_000, 300, 250),
        (0, 299, 1),
        (950, 90, 210),
    ] {
        assert_eq!(spare(&facts(used, free, None), &LIMITS), bytes);
    }
}

#[test]
fn much_that_was_deleted_is_given_back_at_once_and_little_only_where_room_is_short() {
    let cell = RoomCell::new(LIMITS);
    cell.measured(facts(500, 500, None));
    cell.pruned(99);
    assert!(!cell.wants_packing());
    cell.pruned(1);
    assert!(cell.wants_packing());
    assert!(!cell.wants_packing(), "it was done");
    cell.measured(facts(900, 500, None));
    assert!(!cell.wants_packing(), "nothing to give back");
    cell.pruned(1);
    assert!(cell.wants_packing());
}

#[tokio::test]
async fn where_only_the_guess_says_full_it_is_looked_again_before_a_visit_is_refused() {
    let (cell, look) = (RoomCell::new(LIMITS), Notify::new());
    cell.measured(facts(800, 500, None));
    assert_eq!(cell.admit(190, false), Ok(()));
    assert_eq!(cell.admit(20, false), Err(Refusal::Full(Reason::Quota)));
    // What was appended takes less than was guessed.
    let looking = async {
        look.notified().await;
        cell.measured(facts(850, 500, None));
    };
    let (admitted, ()) = tokio::join!(cell.admit_or_look(20, false, &look), looking);
    assert_eq!(admitted, Ok(()));
    let looking = async {
        look.notified().await;
        cell.measured(facts(1_000, 500, None));
    };
    assert_eq!(cell.admit(110, false), Ok(()));
    let (admitted, ()) = tokio::join!(cell.admit_or_look(20, false, &look), looking);
    assert_eq!(admitted, Err(Refusal::Full(Reason::Quota)));
    // What was measured is no guess: nobody looks, and nobody waits.
    let refused = cell.admit_or_look(20, false, &look).await;
    assert_eq!(refused, Err(Refusal::Full(Reason::Quota)));
}

#[test]
fn room_that_is_laid_out_ahead_of_a_file_counts() {
    let folder = tempfile::TempDir::new().unwrap();
    fs::write(folder.path().join("one"), [7; 10_000]).unwrap();
    let ahead = fs::File::create(folder.path().join("ahead")).unwrap();
    rustix::fs::fallocate(&ahead, rustix::fs::FallocateFlags::KEEP_SIZE, 0, 1_000_000).unwrap();
    let bytes = folder_bytes(folder.path()).unwrap();
    assert!((1_010_000..1_100_000).contains(&bytes), "{bytes}");
}

#[test]
fn what_has_a_low_priority_gives_way_before_a_visit_is_refused() {
    let cell = RoomCell::new(LIMITS);
    cell.measured(facts(950, 500, None));
    assert_eq!(cell.admit(10, true), Ok(()));
    cell.measured(facts(960, 500, None));
    assert_eq!(cell.admit(10, true), Err(Refusal::KeptForVisits));
    assert_eq!(cell.admit(10, false), Ok(()));
    for (used, free, failure, bytes, reason) in [
        (950, 150, None, 0, Reason::Quota),
        (951, 150, None, 11, Reason::Quota),
        (0, 149, None, 13, Reason::Disk),
        (960, 140, None, 20, Reason::Quota),
        (960, 10, None, 152, Reason::Disk),
        (999, 10, Some(StoreError::Closed), 0, Reason::Quota),
    ] {
        let expected = (bytes > 0).then_some(Excess { bytes, reason });
        assert_eq!(excess(&facts(used, free, failure), &LIMITS), expected);
    }
}

proptest::proptest! {
    #[test]
    fn more_room_is_never_judged_worse(used in 0..2_000_u64, free in 0..500_u64, less in 0..500_u64, more in 0..500_u64) {
        let rank = |facts: &Facts| judge(facts, &LIMITS) as u8;
        let worse = facts(used, free, None);
        let better = facts(used.saturating_sub(less), free + more, None);
        proptest::prop_assert!(rank(&better) <= rank(&worse));
        let excess = |facts: &Facts| excess(facts, &LIMITS);
        proptest::prop_assert!(excess(&worse).is_some() || excess(&better).is_none());
        proptest::prop_assert!(spare(&better, &LIMITS) <= spare(&worse, &LIMITS));
        // What is archived goes before anything else has to.
        proptest::prop_assert!(judge(&worse, &LIMITS) == Room::Plenty || spare(&worse, &LIMITS) > 0);
        // Low-priority events give way before a visit is refused.
        proptest::prop_assert!(judge(&worse, &LIMITS) != Room::Full || excess(&worse).is_some());
    }
}
