//! What the agent starts with: its store, its log and the epoch in which it writes, whatever is in its folder.
//!
//! What is damaged is moved aside, and its place taken by something new: nothing here waits for a
//! repair, and nothing is deleted.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    thread::JoinHandle,
};

use tokio::task::spawn_blocking;
use trenza_shared::{
    id::AgentId,
    net::serve::{Limits, Listener},
    store::{
        Batch, Durable, RocksStore, Store as _, StoreError,
        rocks::{move_aside, open_or_set_aside},
    },
};

use super::{PROBE, StartError, store_options};
use crate::{
    config::Config,
    log::{self, Fresh, Log},
    marker::{Marker, Reached, begin, beginning},
    reserve::Reserve,
    salvage,
    state::{App, random},
    tables::{BEGAN, BeganRow, SERVER, SPACES, STATE},
};

/// The store, the log in it, and the log's thread.
pub(super) type Opened = (Arc<RocksStore>, Log, JoinHandle<()>);

/// Opens the store and the log in it. To open it takes some room: where there is none the reserve is given back for it.
pub(super) fn open(
    config: &Config,
    dir: &Path,
    id: AgentId,
    marker: &Marker,
    now_ms: i64,
) -> Result<Opened, StartError> {
    match open_once(config, dir, id, marker, now_ms) {
        Err(StartError::Store(error @ StoreError::Full { .. }))
            if Reserve::in_folder(dir).release() =>
        {
            tracing::warn!(error = %error, "the disk is full: the reserve was given back so that the store opens");
            open_once(config, dir, id, marker, now_ms)
        }
        opened => opened,
    }
}

fn open_once(
    config: &Config,
    dir: &Path,
    id: AgentId,
    marker: &Marker,
    now_ms: i64,
) -> Result<Opened, StartError> {
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
    let (log, thread) = match open_log(&rocks, id, marker, now_ms) {
        Err(error @ StoreError::Corrupt { .. }) => {
            let aside = rocks.start_empty()?;
            tracing::error!(error = %error, store.aside = %aside.display(), "the store cannot be read and was moved aside; starting empty in a new epoch");
            open_log(&rocks, id, marker, now_ms)?
        }
        opened => opened?,
    };
    Ok((rocks, log, thread))
}

fn open_log(
    rocks: &Arc<RocksStore>,
    id: AgentId,
    marker: &Marker,
    now_ms: i64,
) -> Result<(Log, JoinHandle<()>), StoreError> {
    // Everything that a start needs is read before anything is written.
    SERVER.get(&**rocks, &())?;
    let stored = match STATE.get(&**rocks, &())? {
        Some(state) => Some(Reached::of(&log::heads(&**rocks, &state)?)),
        None => None,
    };
    let used = marker.used();
    let (epoch, damaged) = begin(&used, stored.as_ref());
    let aside = salvage::waits(rocks.path());
    let began = beginning(&used, stored.as_ref(), (epoch, aside), now_ms);
    match (&stored, &began) {
        (Some(stored), _) if damaged => tracing::warn!(
            log.epoch = stored.epoch,
            "the store holds less than this device had written, or its marker is damaged: going on in a new epoch"
        ),
        (None, Some(began)) if !aside => tracing::error!(
            log.epoch = began.epoch,
            log.before = ?used,
            "the store that this device wrote is gone, and a new, empty one begins: what was not sent by then is lost, or on the old disk"
        ),
        _ => {}
    }
    if let Some(began) = began {
        let mut batch = Batch::new();
        BEGAN.put(&mut batch, &(), &BeganRow(began))?;
        rocks.commit(batch, Durable::Yes)?;
    }
    marker.begun(epoch);
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

/// Notes that a damaged store was moved out of the way of the running log.
pub(super) fn note_beginning(app: &App, marker: &Marker) -> Result<(), StoreError> {
    let used = marker.used();
    let epoch = used.epoch().max(app.log.epoch()).saturating_add(1);
    let Some(began) = beginning(&used, None, (epoch, true), app.clock.wall_ms()) else {
        return Ok(());
    };
    app.salvage.note_began(&*app.store, |_| Some(began))
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
