//! The loop that follows the log and applies it; the only writer of the derived tables and of the feed.

use std::{sync::Arc, time::Duration};

use metrics::gauge;
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{error, info};
use trenza_shared::{
    clock::Clock,
    id::DecisionId,
    identity::{self, Decision, Decisions, Outcome},
    store::{Batch, Direction, Durable, Overlay, Store, StoreError, View, clear_spaces},
};

use super::{
    apply::{Applier, Fed},
    cursor,
    publish::Anew,
    stored::{next_batch, next_records},
};
use crate::{
    homes::Homes,
    tables::{APPLIED, DECISIONS, DERIVED, DecisionRow, FEED, FeedRow, Hop, RULED, RecordRow},
};

/// Most records applied in one batch.
const RECORDS_MAX: usize = 256;
/// Most entries of a record that may come before its turn: one of a backlog has many more.
const LIVE_ENTRIES_MAX: u32 = 64;
/// So many records are enough before their turn at a time, between two batches in turn.
const LIVE_RECORDS_MAX: usize = 64;
/// Records looked at in one go, and how often at a time: a record may have the size of a frame.
const LOOK_RECORDS: usize = 16;
const LOOKS_MAX: usize = 16;
/// Most commands that wait.
const COMMANDS_MAX: usize = 64;
/// Pause after a store error, before the step is tried again.
const RETRY: Duration = Duration::from_millis(250);

pub use decide::Preview;

/// Why a decision was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum DecideError {
    /// Its shape is wrong.
    #[error(transparent)]
    Bad(#[from] identity::BadDecision),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The program is stopping.
    #[error("the server is stopping")]
    Stopping,
}

enum Command {
    Decide {
        decision: Box<Decision>,
        answer: oneshot::Sender<Result<Outcome, DecideError>>,
    },
    Preview {
        decision: Box<Decision>,
        answer: oneshot::Sender<Result<Preview, DecideError>>,
    },
    Replay {
        answer: oneshot::Sender<Result<(), StoreError>>,
    },
    Show {
        anew: Box<Anew>,
        answer: oneshot::Sender<Result<Showing, StoreError>>,
    },
}

/// What came of showing what was derived anew.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Showing {
    /// It is shown.
    Shown,
    /// Nothing was done: too much came meanwhile.
    Late,
    /// Nothing was done: what is shown is being rebuilt, and must reach this record before it can be compared.
    Behind(u64),
}

/// A handle to the loop.
#[derive(Clone)]
pub struct Resolver {
    commands: mpsc::Sender<Command>,
    applied: watch::Receiver<u64>,
    decisions: watch::Receiver<Arc<Decisions>>,
}

impl Resolver {
    /// The last record in the derived tables, as it grows.
    pub fn applied(&self) -> watch::Receiver<u64> {
        self.applied.clone()
    }

    /// The decisions in force.
    pub fn decisions(&self) -> Arc<Decisions> {
        self.decisions.borrow().clone()
    }

    /// The same, as they grow.
    pub fn decided(&self) -> watch::Receiver<Arc<Decisions>> {
        self.decisions.clone()
    }

    /// Stores a decision and carries it out.
    ///
    /// # Errors
    /// [`DecideError`].
    pub async fn decide(&self, decision: Decision) -> Result<Outcome, DecideError> {
        let decision = Box::new(decision);
        self.ask(|answer| Command::Decide { decision, answer })
            .await
    }

    /// What a decision would do; changes nothing.
    ///
    /// # Errors
    /// [`DecideError`].
    pub async fn preview(&self, decision: Decision) -> Result<Preview, DecideError> {
        let decision = Box::new(decision);
        self.ask(|answer| Command::Preview { decision, answer })
            .await
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<T, DecideError>>) -> Command,
    ) -> Result<T, DecideError> {
        let (answer, done) = oneshot::channel();
        self.commands
            .send(command(answer))
            .await
            .map_err(|_| DecideError::Stopping)?;
        done.await.map_err(|_| DecideError::Stopping)?
    }

    /// Throws the derived tables away and rebuilds them; returns once they have been thrown away.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn replay(&self) -> Result<(), StoreError> {
        let (answer, done) = oneshot::channel();
        self.commands
            .send(Command::Replay { answer })
            .await
            .map_err(|_| StoreError::Closed)?;
        done.await.map_err(|_| StoreError::Closed)?
    }

    /// Shows what was derived anew in place of what is shown.
    ///
    /// # Errors
    /// One of the stores fails; it is as if it had not been asked.
    pub async fn show(&self, anew: Anew) -> Result<Showing, StoreError> {
        let (answer, done) = oneshot::channel();
        let anew = Box::new(anew);
        self.commands
            .send(Command::Show { anew, answer })
            .await
            .map_err(|_| StoreError::Closed)?;
        done.await.map_err(|_| StoreError::Closed)?
    }
}

/// The state of the loop.
struct Loop {
    store: Arc<Homes>,
    applier: Applier,
    decisions: Decisions,
    clock: Arc<dyn Clock>,
    told: watch::Sender<u64>,
    told_decisions: watch::Sender<Arc<Decisions>>,
    /// Up to this record all were looked at for what is live.
    looked: u64,
    /// A commit failed, of which nobody knows what it left behind: memory must be read anew.
    unsure: bool,
}

/// Whether a record is of what happens now: of an agent that has nothing else to send, or of the server's own listeners.
fn is_live(record: &RecordRow) -> bool {
    record.count <= LIVE_ENTRIES_MAX && !matches!(record.hop, Hop::Import(_))
}

/// Reads every decision.
///
/// # Errors
/// The store cannot be read.
pub fn load_decisions(view: &dyn View) -> Result<Decisions, StoreError> {
    let rows: Result<Vec<(DecisionId, DecisionRow)>, _> = DECISIONS.rows(view).collect();
    Ok(Decisions::of(rows?.into_iter().map(|(_, row)| row.0)))
}

/// Prepares the loop: a handle to it, and the loop itself to be spawned. It ends when `stop` says so.
///
/// # Errors
/// The store cannot be read.
pub fn run(
    store: Arc<Homes>,
    applier: Applier,
    clock: Arc<dyn Clock>,
    log_last: watch::Receiver<u64>,
    stop: watch::Receiver<bool>,
) -> Result<(Resolver, impl Future<Output = ()> + Send), StoreError> {
    let ruled = RULED.get(&*store, &())?;
    if (ruled.is_some() || APPLIED.has(&*store, &())?)
        && ruled.as_deref() != Some(applier.rules.now().digest().as_slice())
    {
        info!("derived tables follow other rules, rebuilding");
        clear_spaces(&*store, &DERIVED)?;
    }
    let decisions = load_decisions(&*store)?;
    let (told, applied) = watch::channel(cursor::applied(&*store)?);
    let (told_decisions, seen) = watch::channel(Arc::new(decisions.clone()));
    let (commands, waiting) = mpsc::channel(COMMANDS_MAX);
    let state = Loop {
        store,
        applier,
        decisions,
        clock,
        told,
        told_decisions,
        looked: 0,
        unsure: false,
    };
    Ok((
        Resolver {
            commands,
            applied,
            decisions: seen,
        },
        follow(state, waiting, log_last, stop),
    ))
}

async fn follow(
    mut state: Loop,
    mut waiting: mpsc::Receiver<Command>,
    mut log_last: watch::Receiver<u64>,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        while let Ok(command) = waiting.try_recv() {
            state = blocking(state, |state| state.command(command)).await;
        }
        if *stop.borrow() {
            return;
        }
        let end = *log_last.borrow_and_update();
        if end > *state.told.borrow() {
            let (back, result) = blocking_result(state, move |state| state.step(end)).await;
            state = back;
            if let Err(failure) = result {
                error!(error = %failure, "records not applied, trying again");
                tokio::time::sleep(RETRY).await;
            }
            continue;
        }
        tokio::select! {
            command = waiting.recv() => match command {
                Some(command) => state = blocking(state, |state| state.command(command)).await,
                None => return,
            },
            changed = log_last.changed() => if changed.is_err() { return },
            _ = stop.changed() => return,
        }
    }
}

async fn blocking(state: Loop, job: impl FnOnce(&mut Loop) + Send + 'static) -> Loop {
    blocking_result(state, move |state| job(state)).await.0
}

async fn blocking_result<T: Send + 'static>(
    mut state: Loop,
    job: impl FnOnce(&mut Loop) -> T + Send + 'static,
) -> (Loop, T) {
    let done = tokio::task::spawn_blocking(move || {
        let result = job(&mut state);
        (state, result)
    });
    match done.await {
        Ok(done) => done,
        // A panic while applying leaves derived tables that nobody may trust to be complete: stop loudly.
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

impl Loop {
    /// Applies the next records, and what is live of those after them: a visit of now does not wait behind a backlog of weeks.
    fn step(&mut self, end: u64) -> Result<(), StoreError> {
        self.settle()?;
        let last = self.in_turn()?;
        if last < end {
            self.live(last, end)?;
        }
        Ok(())
    }

    /// Applies the next records; gives the one up to which all are.
    fn in_turn(&mut self) -> Result<u64, StoreError> {
        let applied = *self.told.borrow();
        let mut records = next_batch(&*self.store, applied, RECORDS_MAX)?;
        let Some(mut last) = records.last().map(|(number, _)| *number) else {
            return Ok(applied);
        };
        let ahead = cursor::ahead(&*self.store, applied, last)?;
        records.retain(|(number, _)| !ahead.contains(number));
        // One batch is either wholly told already (a replay) or not at all.
        let mut told = true;
        for (at, (number, _)) in records.iter().enumerate() {
            let one = cursor::is_told(&*self.store, *number)?;
            if at > 0 && one != told {
                last = number - 1;
                break;
            }
            told = one;
        }
        records.retain(|(number, _)| *number <= last);
        let mut overlay = Overlay::new(&*self.store);
        let fed = self
            .applier
            .apply(&mut overlay, &self.decisions, &records)?;
        cursor::passed(&mut overlay, last)?;
        cursor::told(&mut overlay, last)?;
        let mut batch = overlay.into_batch();
        if !told {
            self.tell(&mut batch, &fed)?;
        }
        self.commit(batch, Durable::Later)?;
        self.told.send_replace(last);
        gauge!("trenza_server_applied_record").set(last as f64);
        Ok(last)
    }

    /// Applies what is live of the records after `last`, up to `end`, before its turn.
    fn live(&mut self, last: u64, end: u64) -> Result<(), StoreError> {
        self.looked = self.looked.max(last);
        let (mut told, mut new) = (Vec::new(), Vec::new());
        for _ in 0..LOOKS_MAX {
            if self.looked >= end || told.len() + new.len() >= LIVE_RECORDS_MAX {
                break;
            }
            let page = next_records(&*self.store, self.looked, LOOK_RECORDS)?;
            self.looked = page.last().map_or(end, |(number, _)| *number);
            for (number, record) in page {
                if !is_live(&record) || cursor::is_ahead(&*self.store, number)? {
                    continue;
                }
                let to = if cursor::is_told(&*self.store, number)? {
                    &mut told
                } else {
                    &mut new
                };
                to.push((number, record));
            }
        }
        for (records, is_new) in [(told, false), (new, true)] {
            if records.is_empty() {
                continue;
            }
            let mut overlay = Overlay::new(&*self.store);
            let fed = self
                .applier
                .apply(&mut overlay, &self.decisions, &records)?;
            let numbers: Vec<u64> = records.iter().map(|(number, _)| *number).collect();
            cursor::went_ahead(&mut overlay, &numbers)?;
            let mut batch = overlay.into_batch();
            if is_new {
                self.tell(&mut batch, &fed)?;
            }
            self.commit(batch, Durable::Later)?;
            // Whoever waits for changes looks again.
            self.told.send_modify(|_| {});
        }
        Ok(())
    }

    fn tell(&self, batch: &mut Batch, fed: &[Fed]) -> Result<(), StoreError> {
        let next = FEED
            .scan(&*self.store, None, None, Direction::Back, 1)?
            .pop()
            .map_or(1, |(number, _)| number + 1);
        let at_ms = self.clock.wall_ms();
        for (number, one) in (next..).zip(fed) {
            let row = FeedRow {
                kind: one.kind.into(),
                customer: one.customer,
                others: one.others.clone(),
                at_ms,
            };
            FEED.put(batch, &number, &row)?;
        }
        Ok(())
    }

    fn command(&mut self, command: Command) {
        // Whoever asked may have gone; what was asked is done all the same.
        match command {
            Command::Decide { decision, answer } => {
                let _gone = answer.send(self.decide(*decision));
            }
            Command::Preview { decision, answer } => {
                let _gone = answer.send(self.preview(*decision));
            }
            Command::Replay { answer } => {
                let result = clear_spaces(&*self.store, &DERIVED);
                if result.is_ok() {
                    info!("derived tables thrown away, rebuilding");
                    self.told.send_replace(0);
                    self.looked = 0;
                }
                let _gone = answer.send(result);
            }
            Command::Show { anew, answer } => {
                let _gone = answer.send(self.show(&anew));
            }
        }
    }

    fn commit(&mut self, batch: Batch, durable: Durable) -> Result<(), StoreError> {
        let result = self.store.commit(batch, durable);
        self.unsure |= result.is_err();
        result
    }

    /// After a failed commit, believes the store alone: what was reported as failed may be there all the same, and applying a
    /// record twice would count its events twice.
    fn settle(&mut self) -> Result<(), StoreError> {
        if self.unsure {
            self.decisions = load_decisions(&*self.store)?;
            self.told_decisions
                .send_replace(Arc::new(self.decisions.clone()));
            self.told.send_replace(cursor::applied(&*self.store)?);
            self.looked = 0;
            self.unsure = false;
        }
        Ok(())
    }
}

mod decide; // decisions, carried out or looked at
mod show; // what was derived anew
#[cfg(test)]
mod tests;
