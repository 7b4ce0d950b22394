//! The marker: a file beside the store that says which epoch this device used last, and how far its log went in it.
//!
//! It outlives a damaged store, and it betrays one that was set back: a store that ends before its marker lost numbers that were
//! given out, and whatever is appended to it has to go into a new epoch. The marker may be behind the store, never ahead of it: it
//! is written after the commit, now and then, and costs no fsync. A marker *ahead* therefore means a restored store.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::FileExt as _,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::watch, task::spawn_blocking, time::sleep};
use trenza_shared::{
    id::{Epoch, Lane, Seq},
    store::rocks::move_aside,
    wire::sync::{Began, LaneEnd},
};

use crate::{log::Heads, sync::uplink::replace};

/// A greater number in the marker is damage: nobody begins so many epochs.
const EPOCH_MAX: Epoch = Epoch::MAX / 2;
/// Its length: always the same, so that it is written in place. Unit: bytes.
const MARKER_BYTES: usize = 128;
/// How often it is written at most, while the log grows.
const EVERY: Duration = Duration::from_secs(2);

/// How far a log went: its last epoch, and the last number of each of its lanes in it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Reached {
    /// The epoch.
    pub epoch: Epoch,
    /// Lanes that are empty are left out.
    pub ends: BTreeMap<Lane, Seq>,
}

impl Reached {
    /// Of a log that ends there.
    pub fn of(heads: &Heads) -> Self {
        let epoch = heads.keys().map(|(epoch, _)| *epoch).max();
        let epoch = epoch.unwrap_or_default();
        let ends = heads
            .iter()
            .filter(|((of, _), head)| *of == epoch && head.seq > 0);
        Self {
            epoch,
            ends: ends.map(|((_, lane), head)| (*lane, head.seq)).collect(),
        }
    }

    /// Whether it went further than `other`: numbers were given out of which `other` knows nothing.
    pub fn is_ahead_of(&self, other: &Self) -> bool {
        self.epoch > other.epoch
            || self.epoch == other.epoch
                && self
                    .ends
                    .iter()
                    .any(|(lane, seq)| seq > other.ends.get(lane).unwrap_or(&0))
    }

    /// As it stands in the file: `7 0:3 1:120`, the epoch, then lane and last number; filled up with spaces.
    fn text(&self) -> String {
        let mut text = self.epoch.to_string();
        for (lane, seq) in &self.ends {
            text.push_str(&format!(" {}:{seq}", u8::from(*lane)));
        }
        format!("{text:<width$}\n", width = MARKER_BYTES - 1)
    }

    fn read(text: &str) -> Option<Self> {
        let mut words = text.split_ascii_whitespace();
        let epoch = words
            .next()?
            .parse()
            .ok()
            .filter(|epoch| *epoch <= EPOCH_MAX)?;
        let ends = words.map(|word| {
            let (lane, seq) = word.split_once(':')?;
            Some((
                Lane::try_from(lane.parse::<u8>().ok()?).ok()?,
                seq.parse().ok()?,
            ))
        });
        let ends = ends.collect::<Option<_>>()?;
        Some(Self { epoch, ends })
    }
}

/// What the marker says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Used {
    /// There is none.
    Nothing,
    /// So far.
    UpTo(Reached),
    /// It is there, and cannot be understood.
    Unreadable,
}

impl Used {
    fn of(file: io::Result<Vec<u8>>) -> Self {
        match file {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::Nothing,
            Err(_) => Self::Unreadable,
            Ok(bytes) if bytes.len() > MARKER_BYTES => Self::Unreadable,
            Ok(bytes) => std::str::from_utf8(&bytes)
                .ok()
                .and_then(Reached::read)
                .map_or(Self::Unreadable, Self::UpTo),
        }
    }

    /// The highest epoch; 0 where none is known.
    pub fn epoch(&self) -> Epoch {
        match self {
            Self::UpTo(reached) => reached.epoch,
            Self::Nothing | Self::Unreadable => 0,
        }
    }
}

/// The epoch in which to write, and whether it is a new one. `stored` is how far the store went.
///
/// A marker that cannot be read may have been ahead of the store, so it ends the store's epoch as one that is ahead does. Where
/// nothing is known any more the server may know the epoch all the same; sync notices then, and takes one after it.
pub fn begin(used: &Used, stored: Option<&Reached>) -> (Epoch, bool) {
    let set_back = |stored: &Reached| match used {
        Used::Nothing => false,
        Used::UpTo(reached) => reached.is_ahead_of(stored),
        Used::Unreadable => true,
    };
    match stored {
        Some(stored) if !set_back(stored) => (stored.epoch, false),
        stored => {
            let last = stored.map_or(0, |stored| stored.epoch).max(used.epoch());
            (last.saturating_add(1), true)
        }
    }
}

/// What is told of a log that goes on in `epoch`: nothing where it simply goes on, or is the first one. `stored` is how far the store
/// went, `aside` that a damaged one was moved out of the way.
pub fn beginning(
    used: &Used,
    stored: Option<&Reached>,
    (epoch, aside): (Epoch, bool),
    at_ms: i64,
) -> Option<Began> {
    let known = match (used, stored) {
        (Used::UpTo(reached), None) => Some(reached),
        (Used::UpTo(reached), Some(stored)) if reached.is_ahead_of(stored) => Some(reached),
        // A store that goes on, whose marker alone is damaged or behind, lacks nothing that is known.
        (_, Some(_)) => return None,
        (Used::Nothing, None) if !aside => return None,
        (Used::Nothing | Used::Unreadable, None) => None,
    };
    let ends = known.map(|reached| {
        let ends = reached.ends.iter().filter(|(lane, _)| lane.has_events());
        let end = |(lane, seq): (&Lane, &Seq)| LaneEnd {
            epoch: reached.epoch,
            lane: *lane,
            seq: *seq,
        };
        ends.map(end).collect()
    });
    Some(Began {
        epoch,
        at_ms,
        ends: ends.unwrap_or_default(),
        aside,
        back: Vec::new(),
        searching: aside,
    })
}

/// The file.
pub struct Marker {
    path: PathBuf,
    /// What it says, as far as this process wrote it.
    written: Mutex<Option<Reached>>,
}

impl Marker {
    /// At that path.
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            written: Mutex::new(None),
        }
    }

    fn written(&self) -> MutexGuard<'_, Option<Reached>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it says.
    pub fn used(&self) -> Used {
        Used::of(fs::read(&self.path))
    }

    /// Takes an epoch after `used` and after all that were taken, durably.
    pub fn next(&self, used: Epoch) -> Epoch {
        let mut written = self.written();
        let next = self.used().epoch().max(used).saturating_add(1);
        self.write(&mut written, next);
        next
    }

    /// Goes on in `epoch`, if a later one was not taken.
    pub fn begun(&self, epoch: Epoch) {
        let mut written = self.written();
        let used = self.used();
        match used {
            Used::UpTo(reached) if reached.epoch >= epoch => *written = Some(reached),
            _ => self.write(&mut written, epoch),
        }
    }

    /// Before the first entry of a new epoch is written: its number may be ahead of the store's, never behind. One that cannot
    /// be written stops nobody: the store and the server know the epoch too.
    fn write(&self, written: &mut Option<Reached>, epoch: Epoch) {
        let reached = Reached {
            epoch,
            ends: BTreeMap::new(),
        };
        let text = reached.text();
        let done = replace(&self.path, text.as_bytes()).or_else(|_| {
            for in_the_way in [self.path.clone(), self.path.with_extension("next")] {
                if in_the_way.exists() {
                    move_aside(&in_the_way)?;
                }
            }
            replace(&self.path, text.as_bytes())
        });
        *written = Some(reached);
        if let Err(error) = done {
            tracing::warn!(error = %error, log.epoch = epoch, "cannot write {}; check the owner and the permissions of its folder", self.path.display());
        }
    }

    /// Notes how far the log went, in place and without an fsync: what is lost with the power leaves it behind the store.
    pub fn note(&self, reached: &Reached) {
        let mut written = self.written();
        // A later epoch was taken and is not begun yet, or it is known already.
        if written
            .as_ref()
            .is_none_or(|known| known.epoch != reached.epoch || known == reached)
        {
            return;
        }
        let done = fs::OpenOptions::new()
            .write(true)
            .open(&self.path)
            .and_then(|file| file.write_all_at(reached.text().as_bytes(), 0));
        match done {
            Ok(()) => *written = Some(reached.clone()),
            // It stays behind, and is tried again at the next entry.
            Err(error) => {
                tracing::debug!(error = %error, "{} was not brought up to date", self.path.display());
            }
        }
    }
}

/// Notes how far the log goes, until `stop` says true or the log is closed. What is noted last is up to whoever closes the log.
pub async fn run(
    marker: Arc<Marker>,
    mut heads: watch::Receiver<Arc<Heads>>,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        let reached = Reached::of(&heads.borrow_and_update());
        let noting = marker.clone();
        if let Err(error) = spawn_blocking(move || noting.note(&reached)).await {
            tracing::warn!(error = %error, "the marker could not be brought up to date");
        }
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = sleep(EVERY) => {}
        }
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            changed = heads.changed() => if changed.is_err() { return },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn used(bytes: &[u8]) -> Used {
        Used::of(Ok(bytes.to_vec()))
    }

    fn reached(epoch: Epoch, ends: &[(Lane, Seq)]) -> Reached {
        Reached {
            epoch,
            ends: ends.iter().copied().collect(),
        }
    }

    #[test]
    fn a_marker_is_an_epoch_with_ends_or_damaged() {
        // As programs wrote it that noted the epoch alone.
        assert_eq!(used(b"7\n"), Used::UpTo(reached(7, &[])));
        let full = reached(EPOCH_MAX, &Lane::ALL.map(|lane| (lane, Seq::MAX)));
        assert_eq!(full.text().len(), MARKER_BYTES);
        assert_eq!(used(full.text().as_bytes()), Used::UpTo(full));
        for bad in [
            &b""[..],
            b"\0\0",
            b"-1",
            b"7 8",
            b"7 9:1",
            b"7 1:",
            b"4294967295",
            &[b'1'; 199],
        ] {
            assert_eq!(used(bad), Used::Unreadable, "{bad:?}");
        }
        assert_eq!(Used::of(Err(io::ErrorKind::NotFound.into())), Used::Nothing);
        assert_eq!(
            Used::of(Err(io::ErrorKind::PermissionDenied.into())),
            Used::Unreadable
        );
    }

    #[test]
    fn a_new_epoch_begins_where_positions_may_have_been_lost() {
        let at = |epoch, visits| reached(epoch, &[(Lane::Visits, visits)]);
        let upto = |epoch, visits| Used::UpTo(at(epoch, visits));
        assert_eq!(begin(&Used::Nothing, None), (1, true));
        assert_eq!(begin(&upto(4, 0), None), (5, true));
        assert_eq!(begin(&Used::Unreadable, Some(&at(4, 9))), (5, true));
        assert_eq!(begin(&Used::Nothing, Some(&at(4, 9))), (4, false));
        assert_eq!(begin(&upto(4, 9), Some(&at(4, 9))), (4, false));
        // Behind, as after a power loss, or as an older program left it.
        assert_eq!(begin(&upto(4, 5), Some(&at(4, 9))), (4, false));
        assert_eq!(begin(&upto(3, 99), Some(&at(4, 9))), (4, false));
        // Ahead: the store was set back.
        assert_eq!(begin(&upto(4, 10), Some(&at(4, 9))), (5, true));
        assert_eq!(begin(&upto(5, 0), Some(&at(4, 9))), (6, true));
        let urgent = Used::UpTo(reached(4, &[(Lane::Urgent, 1)]));
        assert_eq!(begin(&urgent, Some(&at(4, 9))), (5, true));
    }

    #[test]
    fn a_store_that_is_gone_or_went_back_is_told_and_one_that_goes_on_is_not() {
        let at = |epoch, visits| reached(epoch, &[(Lane::Visits, visits), (Lane::Clock, 3)]);
        let told = |used: Used, stored: Option<&Reached>, aside| {
            let began = beginning(&used, stored, (5, aside), 7)?;
            assert_eq!((began.epoch, began.at_ms, began.aside), (5, 7, aside));
            Some(began.ends.iter().map(|end| (end.epoch, end.seq)).collect())
        };
        let none: Vec<(Epoch, Seq)> = vec![];
        assert_eq!(told(Used::UpTo(at(4, 9)), None, false), Some(vec![(4, 9)]));
        assert_eq!(told(Used::UpTo(at(4, 9)), None, true), Some(vec![(4, 9)]));
        assert_eq!(told(Used::Unreadable, None, false), Some(none.clone()));
        assert_eq!(told(Used::Nothing, None, true), Some(none));
        assert_eq!(told(Used::Nothing, None, false), None, "the first start");
        let stored = at(4, 8);
        let back = told(Used::UpTo(at(4, 9)), Some(&stored), false);
        assert_eq!(back, Some(vec![(4, 9)]));
        for goes_on in [
            Used::UpTo(at(4, 8)),
            Used::UpTo(at(4, 5)),
            Used::Unreadable,
            Used::Nothing,
        ] {
            assert_eq!(told(goes_on, Some(&stored), false), None);
        }
    }

    proptest! {
        /// Whatever was noted, a store that holds as much goes on, and one that holds less never does.
        #[test]
        fn only_a_store_that_holds_what_was_noted_goes_on(
            epoch in 1u32..9, noted in proptest::collection::vec(0u64..5, 3), held in proptest::collection::vec(0u64..5, 3),
        ) {
            let lanes = |seqs: &[Seq]| {
                let ends = Lane::ALL.into_iter().zip(seqs.iter().copied());
                reached(epoch, &ends.filter(|(_, seq)| *seq > 0).collect::<Vec<_>>())
            };
            let marker = used(lanes(&noted).text().as_bytes());
            let holds = noted.iter().zip(&held).all(|(noted, held)| held >= noted);
            let expected = if holds { (epoch, false) } else { (epoch + 1, true) };
            prop_assert_eq!(begin(&marker, Some(&lanes(&held))), expected);
        }
    }

    #[test]
    fn an_epoch_is_taken_once_also_where_folders_are_in_the_way() {
        let dir = tempfile::tempdir().unwrap();
        let marker = Marker::new(dir.path().join("epoch"));
        assert_eq!((marker.next(0), marker.next(0), marker.next(9)), (1, 2, 10));
        fs::remove_file(dir.path().join("epoch")).unwrap();
        fs::create_dir(dir.path().join("epoch")).unwrap();
        fs::create_dir(dir.path().join("epoch.next")).unwrap();
        assert_eq!((marker.next(10), marker.next(0)), (11, 12));
    }

    #[test]
    fn what_is_noted_is_read_and_never_of_an_epoch_that_is_over() {
        let dir = tempfile::tempdir().unwrap();
        let marker = Marker::new(dir.path().join("epoch"));
        marker.begun(3);
        let now = reached(3, &[(Lane::Visits, 7), (Lane::Clock, 1)]);
        marker.note(&now);
        assert_eq!(marker.used(), Used::UpTo(now.clone()));
        // The same in another process, which goes on from there.
        let again = Marker::new(dir.path().join("epoch"));
        again.begun(3);
        assert_eq!(again.used(), Used::UpTo(now.clone()));
        assert_eq!(again.next(3), 4);
        again.note(&reached(3, &[(Lane::Visits, 9)]));
        assert_eq!(again.used(), Used::UpTo(reached(4, &[])));
    }
}
