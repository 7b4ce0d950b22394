//! Looks after the disk and the store while the agent runs: measures, gives the reserve back, opens the store again, or an empty
//! one in the place of a damaged one.

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::{sync::watch, task::spawn_blocking, time::sleep};
use trenza_shared::{
    probe::{REOPEN_FREE_MIN, disk_free_bytes},
    store::{RocksStore, StoreError},
};

use super::{make_room::make_room, start};
use crate::{
    marker::Marker,
    reserve::Reserve,
    room::{Facts, Room, folder_bytes},
    state::App,
};

/// How often it looks. Space that comes back is used within 5 s.
const EVERY: Duration = Duration::from_secs(1);
/// Shortest pause after a store that could not be opened again, whoever asks.
const PAUSE: Duration = Duration::from_secs(1);

/// What is looked after.
struct Watched {
    rocks: Arc<RocksStore>,
    reserve: Reserve,
    dir: PathBuf,
    store: PathBuf,
}

/// What was found.
struct Found {
    facts: Facts,
    /// The store had failed and works again; empty, where it was damaged and moved.
    mended: Option<(StoreError, Option<PathBuf>)>,
    /// Why it could not be opened again.
    again: Option<StoreError>,
}

impl Watched {
    fn look(&self) -> Found {
        let (mut failure, mut mended, mut again) = (None, None, None);
        match self.rocks.health() {
            Ok(()) => self.reserve.keep(disk_free_bytes(&self.dir)),
            Err(error) => {
                let full = matches!(error, StoreError::Full { .. });
                if full && self.reserve.release() {
                    tracing::warn!(
                        "the disk is full: the reserve was given back so that acknowledgements and deletions still find room"
                    );
                }
                // It would close first, and then nothing could be read either.
                if full && disk_free_bytes(&self.dir) < REOPEN_FREE_MIN {
                    failure = Some(error);
                } else {
                    match start::mend(&self.rocks, &error) {
                        Ok(aside) => mended = Some((error, aside)),
                        Err(reason) => (failure, again) = (Some(error), Some(reason)),
                    }
                }
            }
        }
        let facts = Facts {
            used_bytes: folder_bytes(&self.store).unwrap_or_else(|error| {
                tracing::debug!(error = %error, "the store's size cannot be read");
                0
            }),
            free_bytes: disk_free_bytes(&self.dir) + self.reserve.bytes(),
            failure,
        };
        Found {
            facts,
            mended,
            again,
        }
    }
}

/// Looks until `stop` says true.
pub(super) async fn run(
    app: App,
    rocks: Arc<RocksStore>,
    marker: Arc<Marker>,
    mut stop: watch::Receiver<bool>,
) {
    let watched = Arc::new(Watched {
        rocks: rocks.clone(),
        reserve: Reserve::in_folder(&app.dir),
        dir: app.dir.clone(),
        store: app.dir.join(&app.config.store.dir),
    });
    let (mut told, mut narrow) = (String::new(), String::new());
    loop {
        let looking = watched.clone();
        let failed = match spawn_blocking(move || looking.look()).await {
            Ok(mut found) => {
                if let Some((error, aside)) = found.mended.take() {
                    mended(&app, &marker, &error, aside).await;
                }
                settle(&app, found, &mut told)
            }
            Err(error) => {
                tracing::error!(error = %error, "looking after the store ended with a panic");
                true
            }
        };
        let problem = match make_room(&app, &rocks, &marker).await {
            Ok(changed) => {
                if changed {
                    // Measured again at once: there may be more to do.
                    app.mend.notify_one();
                }
                String::new()
            }
            Err(problem) => problem,
        };
        if !problem.is_empty() && problem != narrow {
            tracing::warn!(error = %problem, "no room could be made yet; trying again");
        }
        narrow = problem;
        // However often somebody asks, a failed store is not tried again at once.
        if failed {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                () = sleep(PAUSE) => {}
            }
        }
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = app.mend.notified() => {}
            () = sleep(EVERY) => {}
        }
    }
}

/// Tells that the store works again; an empty one goes on in a new epoch.
async fn mended(app: &App, marker: &Arc<Marker>, error: &StoreError, aside: Option<PathBuf>) {
    match aside {
        None => tracing::warn!(error = %error, "the store had failed and was opened again"),
        Some(aside) => {
            tracing::error!(error = %error, store.aside = %aside.display(), "the store was damaged and moved aside; going on empty in a new epoch");
            let (noting, marking) = (app.clone(), marker.clone());
            let noted = spawn_blocking(move || start::note_beginning(&noting, &marking)).await;
            if !matches!(noted, Ok(Ok(()))) {
                tracing::warn!("that a new store began could not be noted in it");
            }
            start::renew(app, marker).await;
        }
    }
}

/// Makes known what was found; true where the store still fails.
fn settle(app: &App, found: Found, told: &mut String) -> bool {
    let Found { facts, again, .. } = found;
    let failed = facts.failure.is_some();
    // Told once and not at every look: the log may be on the disk that is full.
    let problem = again.map(|error| error.to_string()).unwrap_or_default();
    if !problem.is_empty() && problem != *told {
        tracing::error!(error = %problem, "the store failed and cannot be opened again yet");
    }
    *told = problem;
    metrics::gauge!("trenza_agent_store_bytes").set(facts.used_bytes as f64);
    metrics::gauge!("trenza_agent_disk_free_bytes").set(facts.free_bytes as f64);
    let (before, now) = app.room.measured(facts);
    let takes = matches!(now, Room::Plenty | Room::Short);
    metrics::gauge!("trenza_agent_takes_events").set(f64::from(u8::from(takes)));
    if before != now {
        match app.room.now().problem() {
            Some(problem) => tracing::error!(room.problem = %problem, "no events can be taken in"),
            None => tracing::warn!(room = ?now, "events are taken in"),
        }
        // What was archived goes at once where room is short, and not at the next hello.
        app.send_now.notify_one();
    }
    failed
}
