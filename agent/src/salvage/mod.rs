//! What was in a damaged store comes back, while the agent goes on.
//!
//! Owns the folders that a start put aside: reads them, appends to the log what is in no store any more, removes them in the
//! end. Knows nothing of how the engine arranges its files: it looks for frames in their bytes. Appending twice does no harm,
//! the server knows equal events by their content; so it may be killed at any moment and begins again.

mod carve; // frames in raw bytes: pure
pub(crate) mod files; // bytes of files, piece by piece
mod report; // what came of a folder
mod runs; // numbers that were found: pure
mod work; // one folder

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, atomic::AtomicBool, atomic::Ordering},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::{
    sync::{Notify, watch},
    task::spawn_blocking,
    time::{sleep, timeout},
};
use trenza_shared::{
    store::{
        Batch, Direction, Durable, Store, StoreError,
        rocks::{Kept, Kind, kept},
    },
    wire::sync::Began,
};

use crate::{
    link::LinkCell,
    log::Log,
    tables::{BEGAN, BeganRow, SALVAGED},
};

pub use report::{Report, reports};

/// Longest wait for the server's word on what it has archived, which need not be appended again.
const SERVER_WAIT_MAX: Duration = Duration::from_secs(20);
/// Pause after something went wrong, such as a full disk.
const RETRY_AFTER: Duration = Duration::from_secs(30);
/// How often folders are looked at that are kept for a while.
const TIDY_EVERY: Duration = Duration::from_secs(3600);
/// Most salvaged folders kept, whatever their age.
const SALVAGED_FOLDERS_MAX: usize = 4;
const HOUR_MS: i64 = 3_600_000;

/// How the salvage stands, over all folders that are still there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    /// Files still to be read; 0 = nothing is being salvaged.
    pub files: u64,
    /// Entries read, each counted once in however many files it was.
    pub found: u64,
    /// Of those, appended to the log again: the rest was there already, or the server has archived it.
    pub appended: u64,
    /// Places where something was stored and cannot be read any more.
    pub unreadable: u64,
}

/// What the rest of the agent sees of the salvage.
#[derive(Debug, Default)]
pub struct Salvage {
    /// Told when a folder was put aside.
    pub wake: Notify,
    progress: Mutex<Progress>,
    /// One change of what is told of the last beginning at a time.
    beginning: Mutex<()>,
}

impl Salvage {
    /// How it stands.
    pub fn progress(&self) -> Progress {
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is told of the last beginning; none leaves it as it is.
    ///
    /// # Errors
    /// The store.
    pub fn note_began(
        &self,
        store: &dyn Store,
        change: impl FnOnce(Option<Began>) -> Option<Began>,
    ) -> Result<(), StoreError> {
        let _one = self
            .beginning
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let before = BEGAN.get(store, &())?.map(|row| row.0);
        let Some(after) = change(before.clone()) else {
            return Ok(());
        };
        if before.as_ref() == Some(&after) {
            return Ok(());
        }
        let mut batch = Batch::new();
        BEGAN.put(&mut batch, &(), &BeganRow(after))?;
        store.commit(batch, Durable::Yes)
    }

    fn set(&self, progress: Progress) {
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner) = progress;
    }
}

/// Why a salvage stopped; it begins again by itself.
#[derive(Debug, thiserror::Error)]
pub enum SalvageError {
    /// A folder or a file.
    #[error("cannot read or write what was put aside: {0}")]
    Files(#[from] io::Error),
    /// The running store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The log took nothing more in.
    #[error("the log does not take what was salvaged: {0}")]
    Log(String),
    /// The program is stopping.
    #[error("the program is stopping")]
    Stopped,
}

/// The one worker.
#[derive(Clone)]
pub struct Salvager {
    /// Where the store is: what was put aside is beside it.
    pub store_dir: PathBuf,
    /// Where it is appended.
    pub log: Log,
    /// What the server has.
    pub link: Arc<LinkCell>,
    /// What is told.
    pub salvage: Arc<Salvage>,
    /// How long a folder stays after it was salvaged. Unit: hours.
    pub keep_hours: u64,
    /// Says when to stop.
    pub stopping: Arc<AtomicBool>,
}

impl Salvager {
    /// Salvages what there is and what will be, until `stop` says true. `now_ms` is the device's wall clock.
    pub async fn run(self, now_ms: impl Fn() -> i64, mut stop: watch::Receiver<bool>) {
        loop {
            if self.waits_for_salvage() {
                tokio::select! {
                    _ = stop.wait_for(|stop| *stop) => return,
                    () = self.server_word() => {}
                }
            }
            let (worker, now_ms) = (self.clone(), now_ms());
            let mut pass = spawn_blocking(move || worker.pass(now_ms));
            let first = tokio::select! {
                passed = &mut pass => Some(passed),
                _ = stop.wait_for(|stop| *stop) => None,
            };
            let passed = match first {
                Some(passed) => passed,
                None => {
                    self.stopping.store(true, Ordering::Release);
                    pass.await
                }
            };
            let passed = passed.unwrap_or_else(|error| Err(SalvageError::Log(error.to_string())));
            let pause = match passed {
                Ok(()) => TIDY_EVERY,
                Err(SalvageError::Stopped) => return,
                Err(error) => {
                    tracing::warn!(error = %error, "the salvage of a damaged store goes on later");
                    RETRY_AFTER
                }
            };
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                () = self.salvage.wake.notified() => {}
                () = sleep(pause) => {}
            }
        }
    }

    fn waits_for_salvage(&self) -> bool {
        kept(&self.store_dir).is_ok_and(|all| all.iter().any(|kept| !Report::is_of(&kept.path)))
    }

    async fn server_word(&self) {
        let mut link = self.link.watch();
        let told = timeout(SERVER_WAIT_MAX, link.wait_for(|link| link.up)).await;
        if told.is_err() {
            tracing::info!(
                "the server is away: all that is salvaged is sent again, it knows what it has"
            );
        }
    }

    /// Salvages every folder that was put aside, then removes those that were kept long enough. Blocks; needs a Tokio runtime
    /// around it.
    ///
    /// # Errors
    /// [`SalvageError`]; what was appended until then stays, and the next pass does not append it again.
    pub fn pass(&self, now_ms: i64) -> Result<(), SalvageError> {
        let mut progress = Progress::default();
        for report in reports(&self.store_dir)? {
            progress.add(&report);
        }
        let waiting = self.waiting()?;
        for kept in &waiting {
            progress.files += files::files(&kept.path).map_or(1, |files| files.len() as u64);
        }
        self.salvage.set(progress);
        let (mut trouble, mut seen) = (None, work::Seen::new());
        for kept in waiting {
            match work::folder(self, &kept, &mut seen, now_ms) {
                // The others are not to wait for this one.
                Err(error @ SalvageError::Files(_)) => trouble = Some(error),
                done => done?,
            }
        }
        if trouble.is_none() && self.waiting()?.is_empty() {
            self.salvage.note_began(&**self.log.store(), |began| {
                let searching = false;
                began.map(|began| Began { searching, ..began })
            })?;
        }
        self.tidy(now_ms)?;
        trouble.map_or(Ok(()), Err)
    }

    fn waiting(&self) -> io::Result<Vec<Kept>> {
        let mut waiting = kept(&self.store_dir)?;
        waiting.retain(|kept| !Report::is_of(&kept.path));
        Ok(waiting)
    }

    /// Removes salvaged folders that are too old or too many, and forgets what was appended out of them.
    fn tidy(&self, now_ms: i64) -> Result<(), SalvageError> {
        let keep_ms = i64::try_from(self.keep_hours)
            .unwrap_or(i64::MAX)
            .saturating_mul(HOUR_MS);
        let done: Vec<Kept> = kept(&self.store_dir)?;
        let too_many = done.len().saturating_sub(SALVAGED_FOLDERS_MAX);
        for (n, kept) in done.iter().enumerate() {
            let Some(report) = Report::read(&kept.path)? else {
                continue;
            };
            if n < too_many || now_ms.saturating_sub(report.done_ms) > keep_ms {
                match report::remove(&kept.path) {
                    Ok(()) => {
                        tracing::info!(store.aside = %kept.path.display(), "a salvaged store was removed")
                    }
                    Err(error) => {
                        tracing::warn!(error = %error, "cannot remove {}, which was salvaged; remove it by hand", kept.path.display())
                    }
                }
            }
        }
        let store = self.log.store();
        if self.waiting()?.is_empty()
            && !SALVAGED
                .scan(&**store, None, None, Direction::Forward, 1)?
                .is_empty()
        {
            let mut batch = Batch::new();
            batch.clear_space(SALVAGED.space());
            store.commit(batch, Durable::Later)?;
        }
        Ok(())
    }
}

impl Progress {
    fn add(&mut self, report: &Report) {
        self.found += report.found;
        self.appended += report.appended;
        self.unreadable += report.unreadable;
    }
}

/// Whether a damaged store stands beside `store_dir` that was not salvaged yet.
pub fn waits(store_dir: &Path) -> bool {
    kept(store_dir).is_ok_and(|all| {
        let damaged = |kept: &&Kept| kept.kind == Kind::Damaged && !Report::is_of(&kept.path);
        all.iter().any(|kept| damaged(&kept))
    })
}

/// What stands beside the store, for people: the name, and whether it was salvaged.
///
/// # Errors
/// The folder beside the store cannot be read.
pub fn aside(store_dir: &Path) -> io::Result<Vec<Aside>> {
    let all = kept(store_dir)?.into_iter().map(|kept| Aside {
        salvaged: Report::is_of(&kept.path),
        name: kept
            .path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default(),
    });
    Ok(all.collect())
}

/// A store that was moved out of the way, or what opening one would have thrown away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aside {
    /// Its name in the agent's folder.
    pub name: String,
    /// What could be read of it is in the log again. It goes by itself once it has stood for the retention.
    pub salvaged: bool,
}

impl Aside {
    /// What to do with it.
    pub fn what(&self) -> &'static str {
        if self.salvaged {
            "salvaged: it goes by itself after sync.retention_hours, and may be deleted once nothing waits"
        } else {
            "not salvaged yet: do not delete it, what it holds may be nowhere else"
        }
    }
}

/// What there is to say to a person of what was salvaged: whether all is well, and a sentence.
///
/// # Errors
/// The folder beside the store cannot be read.
pub fn summary(store_dir: &Path) -> io::Result<(bool, String)> {
    let waiting = kept(store_dir)?
        .iter()
        .filter(|kept| kept.kind == Kind::Damaged && !Report::is_of(&kept.path))
        .count();
    Ok(told(waiting, &reports(store_dir)?))
}

fn told(waiting: usize, reports: &[Report]) -> (bool, String) {
    let mut sum = Progress::default();
    for report in reports {
        sum.add(report);
    }
    // What was known last covers what was known before.
    let last = reports.iter().max_by_key(|report| report.given_out);
    let (given, found) = last.map_or((0, 0), |last| (last.given_out, last.given_out_found));
    if waiting > 0 {
        let stores = if waiting == 1 {
            "store waits"
        } else {
            "stores wait"
        };
        return (
            false,
            format!(
                "{waiting} damaged {stores} to be salvaged; the running agent does it by itself"
            ),
        );
    }
    if sum == Progress::default() && reports.is_empty() {
        return (true, "no damaged store stands here".into());
    }
    let mut text = format!("{} entries of a damaged store came back", sum.found);
    if sum.unreadable > 0 {
        text.push_str(&format!(
            ", {} places could not be read any more: look after the disk",
            sum.unreadable
        ));
    }
    let lacking = given.saturating_sub(found);
    match (given, lacking) {
        (0, _) => text.push_str("; how many it held is not known"),
        (_, 0) => text.push_str(&format!(", all of the {given} that are known to have been taken in")),
        _ => text.push_str(&format!(
            "; of the {given} numbers that are known to have been given out {lacking} were not found: those that the server has are safe, the others are lost (its fleet page tells what it has)"
        )),
    }
    (sum.unreadable == 0 && lacking == 0, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(found: u64, unreadable: u64, given_out: u64, given_out_found: u64) -> Report {
        Report {
            found,
            unreadable,
            given_out,
            given_out_found,
            ..Report::default()
        }
    }

    #[test]
    fn all_is_said_only_where_all_is_known() {
        for (waiting, reports, ok, part) in [
            (0, vec![], true, "no damaged store"),
            (1, vec![], false, "1 damaged store waits"),
            (
                0,
                vec![report(125, 0, 0, 0)],
                true,
                "how many it held is not known",
            ),
            (
                0,
                vec![report(125, 0, 1_000, 125)],
                false,
                "875 were not found",
            ),
            (
                0,
                vec![report(1_003, 0, 1_000, 1_000)],
                true,
                "all of the 1000",
            ),
            (
                0,
                vec![report(990, 1, 1_000, 990)],
                false,
                "1 places could not be read",
            ),
        ] {
            let (well, text) = told(waiting, &reports);
            assert!(well == ok && text.contains(part), "{text}");
            assert!(ok || !text.contains("all of"), "{text}");
        }
    }
}
