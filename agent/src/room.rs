//! Room for visits: how full the disk and the store's quota are, what yields first, and what is said of it.
//!
//! Owns the judgement and its last result. Measuring and mending are `app`'s; deleting is `sync`'s, refusing is `capture`'s.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use trenza_shared::{store::StoreError, wire::dropped::Reason};

/// Share of the quota from which on archived events go before their retention ends. Unit: percent.
const SHORT_PERCENT: u64 = 90;
/// Share of the quota from which on low-priority events yield: what is left is for visits. Unit: percent.
const YIELD_PERCENT: u64 = 95;
/// Share of the quota that is made free at a time beside what is needed, so that it is not done for every event. Unit: percent.
const STEP_PERCENT: u64 = 1;
/// The same of the floor of free space.
const STEP_FLOOR: u64 = 8;
/// Share of the quota down to which archived events go then: the others stay for their retention. Unit: percent.
const EASY_PERCENT: u64 = 75;
/// So many times the floor free, to which archived events make room.
const EASY_FLOORS: u64 = 3;
/// Share of the quota that, once deleted, is given back at once even where there is room: less waits for RocksDB's own joining of
/// files, which spares the flash. Unit: percent.
const PACK_PERCENT: u64 = 10;
/// So many times the floor free, and archived events still stay for their retention.
const SHORT_FLOORS: u64 = 2;

/// Unit in which a file system tells what a file occupies, whatever its own blocks are (`st_blocks`, POSIX). Unit: bytes.
const BLOCK_BYTES: u64 = 512;

/// What was measured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Size of the store's files. Unit: bytes.
    pub used_bytes: u64,
    /// Free space of the disk, the reserve too as long as it is kept. Unit: bytes.
    pub free_bytes: u64,
    /// The store's first failure since it was opened.
    pub failure: Option<StoreError>,
}

/// What may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most that the store's files may have. Unit: bytes.
    pub quota_bytes: u64,
    /// What is kept back of `store.quota_bytes` beside that, for joining files. Unit: bytes.
    pub work_bytes: u64,
    /// Space that is left for acknowledgements and deletions. Unit: bytes.
    pub free_bytes_min: u64,
}

/// How it stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Room {
    /// Nothing to do.
    #[default]
    Plenty,
    /// Archived events go before their retention ends.
    Short,
    /// Further events are refused; what is there is sent, acknowledged and deleted.
    Full,
    /// The disk fails; the store is opened again and again.
    Failed,
}

/// Judges the facts.
pub fn judge(facts: &Facts, limits: &Limits) -> Room {
    let floor = limits.free_bytes_min;
    let short = limits.quota_bytes / 100 * SHORT_PERCENT;
    match &facts.failure {
        Some(StoreError::Full { .. }) => Room::Full,
        Some(_) => Room::Failed,
        None if facts.free_bytes < floor || facts.used_bytes >= limits.quota_bytes => Room::Full,
        None if facts.free_bytes < floor * SHORT_FLOORS || facts.used_bytes >= short => Room::Short,
        None => Room::Plenty,
    }
}

/// How much of what is archived goes before its retention ends, so that room is not short again at once. Unit: bytes.
pub fn spare(facts: &Facts, limits: &Limits) -> u64 {
    let easy = limits.quota_bytes / 100 * EASY_PERCENT;
    let free = limits.free_bytes_min.saturating_mul(EASY_FLOORS);
    let over = facts.used_bytes.saturating_sub(easy);
    over.max(free.saturating_sub(facts.free_bytes))
}

/// What low-priority events have to make room for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Excess {
    /// How much. Unit: bytes.
    pub bytes: u64,
    /// What is short.
    pub reason: Reason,
}

/// By how much low-priority events have to give way so that visits find room; none while all have theirs, and where the disk fails.
pub fn excess(facts: &Facts, limits: &Limits) -> Option<Excess> {
    if facts.failure.is_some() {
        return None;
    }
    let quota = limits.quota_bytes / 100;
    let floor = limits.free_bytes_min + limits.free_bytes_min / 2;
    let (over, under) = (
        facts.used_bytes.saturating_sub(quota * YIELD_PERCENT),
        floor.saturating_sub(facts.free_bytes),
    );
    match (over, under) {
        (0, 0) => None,
        (over, under) if over >= under => Some(Excess {
            bytes: over.saturating_add(quota * STEP_PERCENT),
            reason: Reason::Quota,
        }),
        (_, under) => Some(Excess {
            bytes: under.saturating_add(limits.free_bytes_min / STEP_FLOOR),
            reason: Reason::Disk,
        }),
    }
}

/// Why something is not taken in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// There is no room.
    Full,
    /// It has a low priority, and what room is left is for visits.
    KeptForVisits,
}

impl Limits {
    /// The quota as it stands in the settings, for people.
    pub fn told(&self) -> String {
        let mib = |bytes: u64| bytes >> 20;
        format!(
            "store.quota_bytes is {} MiB, of which {} MiB are kept back for joining files",
            mib(self.quota_bytes.saturating_add(self.work_bytes)),
            mib(self.work_bytes)
        )
    }
}

/// Why no visit can be taken in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Short {
    /// The disk has too little room.
    Disk,
    /// The disk has room, and the store may not have more of it.
    Quota,
    /// The disk fails.
    Failed,
}

/// The last judgement, with its facts.
#[derive(Clone, Debug)]
pub struct Seen {
    /// How it stands.
    pub room: Room,
    /// What was measured.
    pub facts: Facts,
    /// What may be used.
    pub limits: Limits,
}

impl Seen {
    /// What is short; none while visits can be taken in.
    pub fn short(&self) -> Option<Short> {
        match (self.room, &self.facts.failure) {
            (Room::Plenty | Room::Short, _) => None,
            (Room::Failed, _) => Some(Short::Failed),
            (Room::Full, None) if self.facts.free_bytes >= self.limits.free_bytes_min => {
                Some(Short::Quota)
            }
            (Room::Full, _) => Some(Short::Disk),
        }
    }

    /// Why visits cannot be taken in, for people and programs; none when they can.
    pub fn problem(&self) -> Option<String> {
        let mib = |bytes: u64| bytes >> 20;
        match (self.short()?, &self.facts.failure) {
            (_, Some(error)) => Some(error.to_string()),
            (Short::Quota, None) => Some(format!(
                "the store has used up its quota: it has {} MiB, and {}. {} MiB of the disk are free: raise store.quota_bytes, or let it reach the server; it goes on by itself",
                mib(self.facts.used_bytes),
                self.limits.told(),
                mib(self.facts.free_bytes),
            )),
            (_, None) => Some(format!(
                "the disk is full: {} MiB are free, the reserve counted in, and {} must be (store.free_bytes_min); free some space, it goes on by itself",
                mib(self.facts.free_bytes),
                mib(self.limits.free_bytes_min),
            )),
        }
    }
}

/// Room as the agent knows it, between two looks too.
#[derive(Debug)]
pub struct RoomCell {
    limits: Limits,
    seen: watch::Sender<Seen>,
    /// Appended since the last look. Unit: bytes.
    since: AtomicU64,
    /// Deleted since the store was packed last. Unit: bytes.
    pruned: AtomicU64,
}

impl RoomCell {
    /// Nothing was measured yet: there counts as plenty.
    pub fn new(limits: Limits) -> Self {
        let facts = Facts {
            free_bytes: u64::MAX,
            ..Facts::default()
        };
        let room = judge(&facts, &limits);
        Self {
            limits,
            seen: watch::channel(Seen {
                room,
                facts,
                limits,
            })
            .0,
            since: AtomicU64::new(0),
            pruned: AtomicU64::new(0),
        }
    }

    /// Takes what was measured; gives the judgement before and now.
    pub fn measured(&self, facts: Facts) -> (Room, Room) {
        self.since.store(0, Ordering::Relaxed);
        let room = judge(&facts, &self.limits);
        let before = self.seen.send_replace(Seen {
            room,
            facts,
            limits: self.limits,
        });
        (before.room, room)
    }

    /// How it stood at the last look.
    pub fn now(&self) -> Seen {
        self.seen.borrow().clone()
    }

    /// So many bytes were deleted; their space comes back when the store is packed.
    pub fn pruned(&self, bytes: u64) {
        self.pruned.fetch_add(bytes, Ordering::Relaxed);
    }

    /// What may be used.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Whether to pack the store now: something was deleted since it last said yes, and room is short or that was much.
    pub fn wants_packing(&self) -> bool {
        let least = match self.now().room {
            Room::Plenty => self.limits.quota_bytes / 100 * PACK_PERCENT,
            Room::Short | Room::Full | Room::Failed => 1,
        };
        let pruned = self.pruned.load(Ordering::Relaxed);
        if pruned < least {
            return false;
        }
        self.pruned.fetch_sub(pruned, Ordering::Relaxed);
        true
    }

    /// Whether `bytes` more may be appended, of what `yields` or not. Those that may count at once, before the next look measures them.
    ///
    /// # Errors
    /// Why they may not.
    pub fn admit(&self, bytes: u64, yields: bool) -> Result<(), Refusal> {
        let seen = self.now();
        // Older ones give way now, or there are none left that could.
        if yields && excess(&seen.facts, &self.limits).is_some() {
            return Err(Refusal::KeptForVisits);
        }
        let since = self.since.load(Ordering::Relaxed).saturating_add(bytes);
        let soon = Facts {
            used_bytes: seen.facts.used_bytes.saturating_add(since),
            ..seen.facts
        };
        if seen.room == Room::Full || judge(&soon, &self.limits) == Room::Full {
            return Err(Refusal::Full);
        }
        self.since.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }
}

/// What all files in a folder occupy: of a file that is being written that is more than its size, since room is laid out ahead of
/// it. Unit: bytes.
///
/// # Errors
/// The folder cannot be read.
pub fn folder_bytes(folder: &Path) -> io::Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(folder)? {
        // A file may vanish between its name and its size.
        if let Ok(found) = entry?.metadata()
            && found.is_file()
        {
            sum += (found.blocks() * BLOCK_BYTES).max(found.len());
        }
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
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
        assert_eq!(visit(60), Err(Refusal::Full));
        assert_eq!(visit(10), Ok(()), "a smaller one still fits");
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
}
