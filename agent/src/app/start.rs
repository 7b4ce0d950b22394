//! What the agent starts with: its store, its log and the epoch in which it writes, whatever is in its folder.
//!
//! Owns the epoch marker. What is damaged is moved aside, and its place taken by something new: nothing here waits for a
//! repair, and nothing is deleted.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
};

use tokio::task::spawn_blocking;
use trenza_shared::{
    id::{AgentId, Epoch},
    net::serve::{Limits, Listener},
    store::{
        RocksStore, StoreError,
        rocks::{move_aside, open_or_set_aside},
    },
};

use super::{PROBE, StartError, store_options};
use crate::{
    config::Config,
    log::{Fresh, Log},
    state::{App, random},
    sync::uplink::replace,
    tables::{SERVER, SPACES, STATE},
};

/// A greater number in the marker is damage: nobody begins so many epochs.
const EPOCH_MAX: Epoch = Epoch::MAX / 2;
/// Longest marker that is read: a number and a line break. Unit: bytes.
const MARKER_BYTES_MAX: usize = 32;

/// The file with the highest epoch that this device used: outside the store, so that it outlives a damaged one.
pub(super) struct Marker {
    path: PathBuf,
    taking: Mutex<()>,
}

/// What the marker says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Used {
    /// There is none.
    Nothing,
    /// The highest epoch.
    UpTo(Epoch),
    /// It is there, and is no number.
    Unreadable,
}

impl Used {
    fn of(file: io::Result<Vec<u8>>) -> Self {
        match file {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::Nothing,
            Err(_) => Self::Unreadable,
            Ok(bytes) if bytes.len() > MARKER_BYTES_MAX => Self::Unreadable,
            Ok(bytes) => std::str::from_utf8(&bytes)
                .ok()
                .and_then(|text| text.trim().parse().ok())
                .filter(|epoch| *epoch <= EPOCH_MAX)
                .map_or(Self::Unreadable, Self::UpTo),
        }
    }

    fn epoch(self) -> Epoch {
        match self {
            Self::UpTo(epoch) => epoch,
            Self::Nothing | Self::Unreadable => 0,
        }
    }
}

/// The epoch in which to write, and whether it is a new one. `stored` is the store's own.
///
/// A marker that cannot be read may have been ahead of the store, so it ends the store's epoch as damage does. Where nothing
/// is known any more the server may know the epoch all the same; sync notices then, and takes one after it.
fn begin(used: Used, stored: Option<Epoch>) -> (Epoch, bool) {
    match stored {
        Some(epoch) if used != Used::Unreadable => (epoch, false),
        stored => {
            let last = used.epoch().max(stored.unwrap_or_default());
            (last.saturating_add(1), true)
        }
    }
}

impl Marker {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            taking: Mutex::new(()),
        }
    }

    fn used(&self) -> Used {
        Used::of(fs::read(&self.path))
    }

    /// Takes an epoch after `used` and after all that were taken.
    pub(super) fn next(&self, used: Epoch) -> Epoch {
        let _one = self.taking.lock().unwrap_or_else(PoisonError::into_inner);
        let next = self.used().epoch().max(used).saturating_add(1);
        self.write(next);
        next
    }

    /// Before the first entry of a new epoch is written: the marker may be ahead of the store, never behind. One that cannot
    /// be written stops nobody: the store and the server know the epoch too.
    fn write(&self, epoch: Epoch) {
        let text = format!("{epoch}\n");
        let written = replace(&self.path, text.as_bytes()).or_else(|_| {
            for in_the_way in [self.path.clone(), self.path.with_extension("next")] {
                if in_the_way.exists() {
                    move_aside(&in_the_way)?;
                }
            }
            replace(&self.path, text.as_bytes())
        });
        if let Err(error) = written {
            tracing::warn!(error = %error, log.epoch = epoch, "cannot write {}; check the owner and the permissions of its folder", self.path.display());
        }
    }
}

/// Opens the store and the log in it.
pub(super) fn open(
    config: &Config,
    dir: &Path,
    id: AgentId,
    marker: &Marker,
) -> Result<(Arc<RocksStore>, Log, JoinHandle<()>), StartError> {
    let mut spaces = SPACES.to_vec();
    spaces.push(PROBE);
    let opened = open_or_set_aside(dir.join(&config.store.dir), &spaces, store_options(config))?;
    if let Some(damage) = &opened.damage {
        tracing::error!(error = %damage.reason, store.aside = %damage.folder.display(), "the store cannot be opened and was moved aside; starting empty in a new epoch");
    }
    if let Some(error) = &opened.unkept {
        tracing::warn!(error = %error, "files of the store could not be kept under another name while it was opened");
    }
    let rocks = Arc::new(opened.store);
    let (log, thread) = match open_log(&rocks, id, marker) {
        Err(error @ StoreError::Corrupt { .. }) => {
            let aside = rocks.start_empty()?;
            tracing::error!(error = %error, store.aside = %aside.display(), "the store cannot be read and was moved aside; starting empty in a new epoch");
            open_log(&rocks, id, marker)?
        }
        opened => opened?,
    };
    Ok((rocks, log, thread))
}

fn open_log(
    rocks: &Arc<RocksStore>,
    id: AgentId,
    marker: &Marker,
) -> Result<(Log, JoinHandle<()>), StoreError> {
    // Everything that a start needs is read before anything is written.
    SERVER.get(&**rocks, &())?;
    let stored = STATE.get(&**rocks, &())?.map(|state| state.epoch);
    let used = marker.used();
    let (epoch, damaged) = begin(used, stored);
    let highest = used.epoch().max(epoch);
    if used != Used::UpTo(highest) {
        marker.write(highest);
    }
    let fresh = Fresh {
        epoch,
        salt_root: random(),
        damaged,
    };
    Log::open(rocks.clone(), id, fresh)
}

/// Opens a failed store again, and an empty one in the place of a damaged one; gives where that was moved.
pub(super) fn mend(rocks: &RocksStore, error: &StoreError) -> Result<Option<PathBuf>, StoreError> {
    let damaged =
        |error: &StoreError| matches!(error, StoreError::Corrupt { .. }) && rocks.path().exists();
    if damaged(error) {
        return rocks.start_empty().map(Some);
    }
    match rocks.reopen() {
        Err(again) if damaged(&again) => rocks.start_empty().map(Some),
        opened => opened.map(|()| None),
    }
}

/// After the store was emptied under the running log: it goes on in a new epoch.
pub(super) async fn renew(app: &App, marker: &Arc<Marker>) {
    let (taking, used) = (marker.clone(), app.log.epoch());
    let renewed = match spawn_blocking(move || taking.next(used)).await {
        Ok(epoch) => app
            .log
            .renew(epoch, random())
            .await
            .map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    if let Err(error) = renewed {
        tracing::error!(error = %error, "no new epoch yet: sync takes one when the server misses entries");
    }
    app.salvage.wake.notify_one();
}

/// The local socket; none where it cannot be made, which keeps no agent from taking visits in.
pub(super) async fn local_socket(path: &Path, limits: Limits) -> Option<Listener> {
    let bound = match Listener::bind_unix(path, limits.clone()).await {
        Err(_) if path.is_dir() && move_aside(path).is_ok() => {
            Listener::bind_unix(path, limits).await
        }
        bound => bound,
    };
    bound
        .inspect_err(|error| tracing::warn!(error = %error, "no local socket: ask GET /v1/status instead of trenza-agent status"))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(bytes: &[u8]) -> Used {
        Used::of(Ok(bytes.to_vec()))
    }

    #[test]
    fn a_marker_is_a_number_or_damaged() {
        assert_eq!(used(b"7\n"), Used::UpTo(7));
        for bad in [&b""[..], b"\0\0", b"-1", b"7 8", b"4294967295", &[b'1'; 99]] {
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
        assert_eq!(begin(Used::Nothing, None), (1, true));
        assert_eq!(begin(Used::UpTo(4), None), (5, true));
        assert_eq!(begin(Used::Unreadable, Some(4)), (5, true));
        assert_eq!(begin(Used::UpTo(4), Some(4)), (4, false));
        assert_eq!(begin(Used::Nothing, Some(4)), (4, false));
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
}
