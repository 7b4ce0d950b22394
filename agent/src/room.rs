//! Room for visits: how full the disk and the store's quota are, what yields first, and what is said of it.
//!
//! Owns the judgement and its last result. Measuring and mending are `app`'s; deleting is `sync`'s, refusing is `capture`'s.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::{
    sync::{Notify, watch},
    time::timeout,
};
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

/// Longest wait for a new look at the disk.
const LOOK_WAIT_MAX: Duration = Duration::from_secs(2);
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
    /// There is no room in this.
    Full(Reason),
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

    /// [`Self::admit`], and once more after a new look, which `look` asks for, where only the guess between two looks says that there
    /// is no room: what was appended takes less once it is packed, and events of low priority give way when it is measured.
    ///
    /// # Errors
    /// Why they may not.
    pub async fn admit_or_look(
        &self,
        bytes: u64,
        yields: bool,
        look: &Notify,
    ) -> Result<(), Refusal> {
        let mut looks = self.seen.subscribe();
        let first = self.admit(bytes, yields);
        if !matches!(first, Err(Refusal::Full(_))) || self.now().room == Room::Full {
            return first;
        }
        look.notify_one();
        // Where nobody looks in time the guess stands.
        let _looked = timeout(LOOK_WAIT_MAX, looks.changed()).await;
        self.admit(bytes, yields)
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
            return Err(Refusal::Full(
                if soon.used_bytes >= self.limits.quota_bytes {
                    Reason::Quota
                } else {
                    Reason::Disk
                },
            ));
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
mod tests;
