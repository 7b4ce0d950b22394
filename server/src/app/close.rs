//! The end of the program: what was taken is written, and the store is closed before the process goes.

use std::{sync::Arc, time::Duration};

use tracing::warn;
use trenza_shared::store::{Batch, Durable, RocksStore};

use super::Running;
use crate::marker::{Marker, Reached};

/// Longest wait for a last look at the disk, which may hang.
const LOOK_MAX: Duration = Duration::from_secs(5);

/// Longest wait for requests that still hold the log.
const LOG_MAX: Duration = Duration::from_secs(5);

/// The store's files.
pub(super) struct OnDisk {
    pub(super) rocks: Arc<RocksStore>,
    /// Who looks after the disk, and holds the store while it does.
    pub(super) looking: tokio::task::JoinHandle<()>,
    /// How far the log went, and who notes it.
    pub(super) marker: Arc<Marker>,
    pub(super) noting: tokio::task::JoinHandle<()>,
}

/// Closes the store. A reader that a request left behind stops at its next read: one that went on while the process ends would
/// meet an engine that is being torn down under it.
pub(crate) async fn shut(rocks: Arc<RocksStore>) {
    match tokio::task::spawn_blocking(move || rocks.close()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            warn!(%error, "the store did not close cleanly; what was acknowledged is safe");
        }
        Err(error) => warn!(%error, "closing the store ended badly"),
    }
}

impl Running {
    /// What [`shut`] closes where there is no time to wait for the rest; none over a store that is not on a disk.
    pub(crate) fn rocks(&self) -> Option<Arc<RocksStore>> {
        self.disk.as_ref().map(|disk| disk.rocks.clone())
    }

    /// Stops following the log, waits until all is written and closes the store.
    pub async fn close(self) {
        let rocks = self.rocks();
        let Self {
            app,
            follower,
            disk,
            log_thread,
            stop,
        } = self;
        stop.send_replace(true);
        let mut marker = None;
        if let Some(on_disk) = disk {
            let both = async { tokio::join!(on_disk.looking, on_disk.noting) };
            if tokio::time::timeout(LOOK_MAX, both).await.is_err() {
                warn!("the disk does not answer");
            }
            marker = Some(on_disk.marker);
        }
        if let Err(error) = follower.await {
            warn!(%error, "the resolver ended badly");
        }
        let (store, last, generation) = (app.store.clone(), app.log.last(), app.generation);
        drop(app);
        let joined = tokio::task::spawn_blocking(move || log_thread.join());
        if tokio::time::timeout(LOG_MAX, joined).await.is_err() {
            warn!("requests were still open when the log closed");
        }
        if let Err(error) = store.commit(Batch::new(), Durable::Yes) {
            warn!(%error, "last sync failed; what was acknowledged is safe, derived tables will be caught up");
        }
        drop(store);
        if let Some(marker) = marker {
            let record = *last.borrow();
            marker.end(Reached { generation, record });
        }
        if let Some(rocks) = rocks {
            shut(rocks).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use trenza_shared::{
        clock::TestClock,
        store::{StoreError, snapshot},
    };

    use crate::{admin::init, app::App, config::Config, tables::META};

    /// Without the end of the read the process would run its exit handlers under it.
    #[tokio::test]
    async fn a_read_that_a_request_left_behind_ends_with_the_store() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("s");
        let made = init::init(&folder, "ES", "Europe/Madrid", &TestClock::at(0)).unwrap();
        let running = App::open(Config::load(&made.config).unwrap()).unwrap();
        let store = running.app.store.clone();
        let (started, begin) = mpsc::channel();
        let reader = std::thread::spawn(move || {
            let reading = snapshot(&*store, |view| {
                started.send(()).unwrap();
                loop {
                    if let Err(error) = META.get(view, &()) {
                        return error;
                    }
                }
            });
            reading.unwrap()
        });
        begin.recv().unwrap();
        running.close().await;
        assert_eq!(reader.join().unwrap(), StoreError::Closed);
    }
}
