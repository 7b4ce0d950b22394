//! A disk whose power can be cut, that can be full, fail or hang: a FUSE file system in memory.
//!
//! Owns the mount and the controls of a test. What was written and not synced is lost, torn or kept at random at a cut, from a
//! seed. Needs `/dev/fuse` and the right to mount; [`Disk::mount`] says plainly where it cannot.

mod fuse;
pub mod model;
mod state;

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context as _, ensure};
use fuser::{BackgroundSession, Config, MountOption};

pub use state::{Counters, Failure, Image, Op, Side};

use crate::process::{LOOK, PATIENCE};
use fuse::Fuse;

/// A mounted disk; unmounted when dropped.
pub struct Disk {
    path: PathBuf,
    fuse: Fuse,
    _session: BackgroundSession,
    _folder: tempfile::TempDir,
}

impl Disk {
    /// An empty disk in a folder of its own. `None` where this machine cannot mount one: why is on stderr, and the test ends
    /// without having shown anything.
    ///
    /// # Errors
    /// No temporary folder can be made.
    pub fn mount() -> anyhow::Result<Option<Self>> {
        let folder = tempfile::tempdir()?;
        let mut config = Config::default();
        config.mount_options = vec![MountOption::FSName("trenza-test-disk".into())];
        let fuse = Fuse::default();
        match fuser::spawn_mount(fuse.clone(), folder.path(), &config) {
            Ok(session) => Ok(Some(Self {
                path: folder.path().to_owned(),
                fuse,
                _session: session,
                _folder: folder,
            })),
            Err(error) => {
                eprintln!(
                    "SKIPPED, nothing was tested: no simulated disk can be mounted here ({error}); it needs /dev/fuse and root, or fuse3 installed"
                );
                Ok(None)
            }
        }
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes everything on it survive, as `sync` does.
    pub fn sync_all(&self) {
        self.fuse.state().model.sync_all();
    }

    /// Arms a cut at the `nth` fsync from now: from then on every change fails, until [`Disk::restore`].
    pub fn cut_at_sync(&self, nth: u64, side: Side) {
        let mut state = self.fuse.state();
        let at = state.counters.syncs + nth;
        state.cut_at(at, side);
    }

    /// Whether an armed cut has happened.
    pub fn is_dark(&self) -> bool {
        self.fuse.state().dark.is_some()
    }

    /// Turns the power off at this very moment.
    pub fn cut(&self) {
        let mut state = self.fuse.state();
        if state.dark.is_none() {
            state.dark = Some(state.model.clone());
        }
    }

    /// Turns the power on again: the disk is as the cut (now, if there was none) left it, by the chance of `seed`. The programs
    /// on it must have ended.
    ///
    /// # Errors
    /// A program still has a file open.
    pub fn restore(&self, seed: u64) -> anyhow::Result<()> {
        self.closed()?;
        self.fuse.state().restore(seed);
        Ok(())
    }

    /// Keeps the state of the disk at every fsync from now on.
    pub fn record(&self) {
        self.fuse.state().images = Some(Vec::new());
    }

    /// What was recorded; ends the recording.
    pub fn recorded(&self) -> Vec<Image> {
        self.fuse.state().images.take().unwrap_or_default()
    }

    /// Shows what a cut at a recorded moment leaves, by the chance of `seed`.
    ///
    /// # Errors
    /// A program still has a file open.
    pub fn show(&self, image: &Image, seed: u64) -> anyhow::Result<()> {
        self.closed()?;
        self.fuse.state().show(&image.model, seed);
        Ok(())
    }

    /// Leaves room for so many bytes from now on; `None`: plenty.
    pub fn free(&self, bytes: Option<u64>) {
        let mut state = self.fuse.state();
        let used = state.model.used();
        state.capacity = bytes.map(|bytes| used + bytes);
    }

    /// Bytes that are free. Unit: bytes.
    pub fn free_bytes(&self) -> u64 {
        self.fuse.state().free()
    }

    /// Every `nth` request fails; 0: none does.
    pub fn fail_every(&self, nth: u64, op: Op, failure: Failure) {
        self.fuse.state().fail_every(nth, op, failure);
    }

    /// Keeps every fsync waiting, or answers them all.
    pub fn hang(&self, hangs: bool) {
        self.fuse.state().hangs = hangs;
        if !hangs {
            self.fuse.let_go();
        }
    }

    /// What was done to it so far.
    pub fn counters(&self) -> Counters {
        self.fuse.state().counters
    }

    /// Waits until no program has a file open: the kernel tells of a killed program's files a moment later.
    fn closed(&self) -> anyhow::Result<()> {
        let start = Instant::now();
        loop {
            let open = self.fuse.state().model.open_files();
            if open == 0 {
                return Ok(());
            }
            ensure!(
                start.elapsed() < PATIENCE,
                "{open} files of the simulated disk are still open"
            );
            std::thread::sleep(LOOK);
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.hang(false); // what hangs would keep its program, and so the mount
    }
}

/// A number from the environment, such as a seed or how long to go on.
///
/// # Errors
/// It is set and is no number.
pub fn number(name: &str, default: u64) -> anyhow::Result<u64> {
    match std::env::var(name) {
        Ok(text) => text
            .parse()
            .with_context(|| format!("{name}={text} is no number")),
        Err(_) => Ok(default),
    }
}
