//! One folder that was put aside: every frame in it is in the log in the end, or was archived by the server.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    io,
    path::PathBuf,
    sync::atomic::Ordering,
    time::Duration,
};

use tokio::runtime::Handle;
use trenza_shared::{
    group_commit::GroupError,
    id::{Epoch, Lane, Seq},
    store::{
        Batch, Durable,
        rocks::{Kept, Kind},
    },
    wire::{
        entry::Entry,
        frame::{FRAME_BYTES_MAX, FRAME_EVENTS_MAX, Frame, chain_over},
        sync::{BACK_MAX, Began, LaneHave, LaneRun},
    },
};

use super::{Progress, Report, SalvageError, Salvager, files, report, runs::Runs};
use crate::{
    log::{self, Append},
    sync::diverge::again,
    tables::{BEGAN, SALVAGED},
};

/// Pause while visits fill the log's queue: they go first.
const BUSY_PAUSE: Duration = Duration::from_millis(50);

/// Numbers that were found so far, over all folders and files: what is in several of them counts once.
pub(super) type Seen = BTreeMap<(Epoch, Lane), Runs>;

/// Salvages one folder and writes its report; removes it at once where it holds nothing that was missing.
pub(super) fn folder(
    on: &Salvager,
    kept: &Kept,
    seen: &mut Seen,
    now_ms: i64,
) -> Result<(), SalvageError> {
    let all = files::files(&kept.path)?;
    if kept.kind == Kind::Before && every_whole_log(&all)? {
        let mut progress = on.salvage.progress();
        progress.files = progress.files.saturating_sub(all.len() as u64);
        on.salvage.set(progress);
        return Ok(report::remove(&kept.path)?);
    }
    let mut work = Work {
        on,
        archived: archived(on, &all)?,
        pile: BTreeMap::new(),
        keys: BTreeSet::new(),
        bytes: 0,
        before: on.salvage.progress(),
        report: Report::default(),
        seen,
    };
    let mut unread = None;
    for file in &all {
        let damaged = files::frames(file, |frame, entries| work.take(&frame, entries));
        match damaged {
            Ok(damaged) => work.report.unreadable += damaged,
            // A file of another owner: the others are read all the same, and this one once somebody has seen to it.
            Err(SalvageError::Files(error)) => {
                tracing::warn!(error = %error, "cannot salvage {}; check its owner and permissions", file.display());
                unread = Some(error);
            }
            Err(error) => return Err(error),
        }
        work.flush()?;
        work.before.files = work.before.files.saturating_sub(1);
        work.tell();
    }
    if let Some(error) = unread {
        return Err(error.into());
    }
    let (given_out, given_out_found) = given_out(on, work.seen)?;
    let report = Report {
        done_ms: now_ms,
        given_out,
        given_out_found,
        ..work.report
    };
    // Before the report: without that this folder is read once more.
    on.note_found(work.seen)?;
    if kept.kind == Kind::Before && report.appended == 0 && report.unreadable == 0 {
        return Ok(report::remove(&kept.path)?);
    }
    report.write(&kept.path)?;
    tracing::warn!(
        store.aside = %kept.path.display(), salvage.found = report.found, salvage.appended = report.appended,
        salvage.unreadable = report.unreadable, "a damaged store was salvaged"
    );
    Ok(())
}

fn every_whole_log(files: &[PathBuf]) -> io::Result<bool> {
    for file in files {
        if !files::is_whole_log(file)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// How many numbers the log had given out before it went on without that store, and how many of them were found.
fn given_out(on: &Salvager, seen: &Seen) -> Result<(u64, u64), SalvageError> {
    let began = BEGAN.get(&**on.log.store(), &())?.map(|row| row.0);
    let ends = began.filter(|began| began.aside).map(|began| began.ends);
    let (mut given, mut found) = (0, 0);
    for end in ends.unwrap_or_default() {
        given += end.seq;
        let runs = seen.get(&(end.epoch, end.lane));
        found += runs.map_or(0, |runs| runs.count_to(end.seq));
    }
    Ok((given, found))
}

/// What was found of the lives before the last beginning, with what is known of them already: the longest runs.
fn back(began: &Began, seen: &Seen) -> Vec<LaneRun> {
    let mut all = Seen::new();
    for run in &began.back {
        let runs = all.entry((run.epoch, run.lane)).or_default();
        runs.add(run.first, run.last);
    }
    for ((epoch, lane), found) in seen.iter().filter(|((epoch, _), _)| *epoch < began.epoch) {
        let runs = all.entry((*epoch, *lane)).or_default();
        for (first, last) in found.iter() {
            runs.add(first, last);
        }
    }
    let mut back: Vec<LaneRun> = Vec::new();
    for ((epoch, lane), runs) in all {
        back.extend(runs.iter().map(|(first, last)| LaneRun {
            epoch,
            lane,
            first,
            last,
        }));
    }
    if back.len() > BACK_MAX {
        back.sort_by_key(|run| Reverse(run.last - run.first));
        back.truncate(BACK_MAX);
    }
    back
}

/// Up to where the server has archived the very history that lies in these files; nothing without its word.
fn archived(on: &Salvager, all: &[PathBuf]) -> Result<BTreeMap<(Epoch, Lane), Seq>, SalvageError> {
    let link = on.link.now();
    let told = || link.told.lanes.iter().filter(|have| have.archived > 0);
    let mut same = BTreeMap::new();
    if !link.up || told().next().is_none() {
        return Ok(same);
    }
    for file in all {
        let looked = files::frames(file, |frame, entries| {
            on.go_on()?;
            for have in told().filter(|have| agrees(have, &frame, &entries)) {
                same.insert((have.epoch, have.lane), have.archived.min(have.acked));
            }
            Ok::<_, SalvageError>(())
        });
        match looked {
            Ok(_) | Err(SalvageError::Files(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(same)
}

/// Whether a frame shows that the server's lane is this one: the chain is the same where the server's ends.
fn agrees(have: &LaneHave, frame: &Frame, entries: &[Entry]) -> bool {
    let holds = (frame.epoch, frame.lane) == (have.epoch, have.lane)
        && (frame.first..=frame.last()).contains(&have.acked);
    let count = usize::try_from(have.acked.wrapping_sub(frame.first)).unwrap_or(usize::MAX);
    holds
        && entries.get(..=count).is_some_and(|entries| {
            chain_over(frame.previous, &frame.salt_key, frame.first, entries) == have.hash
        })
}

impl Salvager {
    /// Makes known what was found, for the server's count of what is missing.
    fn note_found(&self, seen: &Seen) -> Result<(), SalvageError> {
        let noted = self.salvage.note_began(&**self.log.store(), |began| {
            let mut began = began?;
            began.back = back(&began, seen);
            Some(began)
        });
        Ok(noted?)
    }

    fn go_on(&self) -> Result<(), SalvageError> {
        if self.stopping.load(Ordering::Acquire) {
            return Err(SalvageError::Stopped);
        }
        Ok(())
    }
}

struct Work<'a> {
    on: &'a Salvager,
    archived: BTreeMap<(Epoch, Lane), Seq>,
    /// What is appended next, and the keys under which it is remembered.
    pile: BTreeMap<Lane, Vec<Entry>>,
    keys: BTreeSet<[u8; 16]>,
    bytes: usize,
    /// How all stood before this folder.
    before: Progress,
    report: Report,
    seen: &'a mut Seen,
}

impl Work<'_> {
    fn take(&mut self, frame: &Frame, entries: Vec<Entry>) -> Result<(), SalvageError> {
        self.on.go_on()?;
        let runs = self.seen.entry((frame.epoch, frame.lane)).or_default();
        self.report.found += runs.add(frame.first, frame.last());
        if self.is_kept(frame)? {
            return Ok(());
        }
        for entry in entries {
            let key = key(&entry);
            if self.keys.contains(&key) || SALVAGED.has(&**self.on.log.store(), &key)? {
                continue;
            }
            self.keys.insert(key);
            self.bytes += entry.bytes();
            self.pile.entry(frame.lane).or_default().push(entry);
        }
        if self.bytes >= FRAME_BYTES_MAX || self.keys.len() >= FRAME_EVENTS_MAX {
            self.flush()?;
            self.tell();
        }
        Ok(())
    }

    /// Whether the running store or the server has these very entries.
    fn is_kept(&self, frame: &Frame) -> Result<bool, SalvageError> {
        let (epoch, lane, last) = (frame.epoch, frame.lane, frame.last());
        let there = self
            .archived
            .get(&(epoch, lane))
            .is_some_and(|archived| last <= *archived);
        Ok(there || log::hash_at(&**self.on.log.store(), epoch, lane, last)? == Some(frame.head))
    }

    fn flush(&mut self) -> Result<(), SalvageError> {
        for (lane, entries) in std::mem::take(&mut self.pile) {
            let count = entries.len() as u64;
            let entries: Vec<_> = entries.into_iter().map(again).collect();
            loop {
                let entries = entries.clone();
                match Handle::current().block_on(self.on.log.append(Append { lane, entries })) {
                    Ok(_) => break,
                    Err(GroupError::Busy) => {
                        self.on.go_on()?;
                        std::thread::sleep(BUSY_PAUSE);
                    }
                    Err(error) => return Err(SalvageError::Log(error.to_string())),
                }
            }
            self.report.appended += count;
            metrics::counter!("trenza_agent_salvaged_total").increment(count);
        }
        let mut batch = Batch::new();
        for key in std::mem::take(&mut self.keys) {
            SALVAGED.put(&mut batch, &key, &())?;
        }
        self.bytes = 0;
        if !batch.is_empty() {
            // After the log has them: a kill in between appends them twice, never not at all.
            self.on.log.store().commit(batch, Durable::Later)?;
        }
        Ok(())
    }

    fn tell(&self) {
        let mut progress = self.before;
        progress.add(&self.report);
        self.on.salvage.set(progress);
    }
}

/// What an entry is remembered by: its bytes.
fn key(entry: &Entry) -> [u8; 16] {
    let mut hash = blake3::Hasher::new();
    hash.update(&(entry.open.len() as u64).to_be_bytes())
        .update(&entry.open)
        .update(&entry.personal);
    let mut key = [0; 16];
    key.copy_from_slice(&hash.finalize().as_bytes()[..16]);
    key
}
