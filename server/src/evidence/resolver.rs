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
    stored::next_records,
};
use crate::{
    identity::StoredGraph,
    tables::{APPLIED, DECISIONS, DERIVED, DecisionRow, FED, FEED, FeedRow, RULED},
};

/// Most records applied in one batch.
const RECORDS_MAX: usize = 256;
/// Most entries applied in one batch, unless a single record has more.
const ENTRIES_MAX: u32 = 4_000;
/// Most commands that wait.
const COMMANDS_MAX: usize = 64;
/// Pause after a store error, before the step is tried again.
const RETRY: Duration = Duration::from_millis(250);

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
        preview: bool,
        answer: oneshot::Sender<Result<Outcome, DecideError>>,
    },
    Replay {
        answer: oneshot::Sender<Result<(), StoreError>>,
    },
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

    /// Stores a decision and carries it out; a preview changes nothing.
    ///
    /// # Errors
    /// [`DecideError`].
    pub async fn decide(&self, decision: Decision, preview: bool) -> Result<Outcome, DecideError> {
        let (answer, done) = oneshot::channel();
        let command = Command::Decide {
            decision: Box::new(decision),
            preview,
            answer,
        };
        self.commands
            .send(command)
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
}

/// The state of the loop.
struct Loop {
    store: Arc<dyn Store>,
    applier: Applier,
    decisions: Decisions,
    clock: Arc<dyn Clock>,
    told: watch::Sender<u64>,
    told_decisions: watch::Sender<Arc<Decisions>>,
    /// A commit failed, of which nobody knows what it left behind: memory must be read anew.
    unsure: bool,
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
    store: Arc<dyn Store>,
    applier: Applier,
    clock: Arc<dyn Clock>,
    log_last: watch::Receiver<u64>,
    stop: watch::Receiver<bool>,
) -> Result<(Resolver, impl Future<Output = ()> + Send), StoreError> {
    let ruled = RULED.get(&*store, &())?;
    if APPLIED.get(&*store, &())?.is_some()
        && ruled.as_deref() != Some(applier.rules.digest().as_slice())
    {
        info!("derived tables follow other rules, rebuilding");
        clear_spaces(&*store, &DERIVED)?;
    }
    let decisions = load_decisions(&*store)?;
    let (told, applied) = watch::channel(APPLIED.get(&*store, &())?.unwrap_or(0));
    let (told_decisions, seen) = watch::channel(Arc::new(decisions.clone()));
    let (commands, waiting) = mpsc::channel(COMMANDS_MAX);
    let state = Loop {
        store,
        applier,
        decisions,
        clock,
        told,
        told_decisions,
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
        let behind = *log_last.borrow_and_update() > *state.told.borrow();
        if behind {
            let (back, result) = blocking_result(state, Loop::step).await;
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
    /// Applies the next records.
    fn step(&mut self) -> Result<(), StoreError> {
        self.settle()?;
        let applied = *self.told.borrow();
        let mut records = next_records(&*self.store, applied, RECORDS_MAX)?;
        let mut entries = 0;
        let within = records.iter().take_while(|(_, record)| {
            let before = entries;
            entries += record.count;
            before == 0 || entries <= ENTRIES_MAX
        });
        let within = within.count();
        records.truncate(within);
        let Some(last) = records.last().map(|(number, _)| *number) else {
            return Ok(());
        };
        let fed_until = FED.get(&*self.store, &())?.unwrap_or(0);
        // One batch is either wholly told already (a replay) or not at all.
        if applied < fed_until && last > fed_until {
            records.retain(|(number, _)| *number <= fed_until);
        }
        let last = records.last().map_or(last, |(number, _)| *number);
        let mut overlay = Overlay::new(&*self.store);
        let fed = self
            .applier
            .apply(&mut overlay, &self.decisions, &records)?;
        let mut batch = overlay.into_batch();
        if last > fed_until {
            self.tell(&mut batch, &fed)?;
            FED.put(&mut batch, &(), &last)?;
        }
        self.commit(batch, Durable::Later)?;
        self.told.send_replace(last);
        gauge!("trenza_server_applied_record").set(last as f64);
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
            Command::Decide {
                decision,
                preview,
                answer,
            } => {
                let _gone = answer.send(self.decide(*decision, preview));
            }
            Command::Replay { answer } => {
                let result = clear_spaces(&*self.store, &DERIVED);
                if result.is_ok() {
                    info!("derived tables thrown away, rebuilding");
                    self.told.send_replace(0);
                }
                let _gone = answer.send(result);
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
            self.told
                .send_replace(APPLIED.get(&*self.store, &())?.unwrap_or(0));
            self.unsure = false;
        }
        Ok(())
    }

    fn decide(&mut self, decision: Decision, preview: bool) -> Result<Outcome, DecideError> {
        self.settle()?;
        let store = self.store.clone();
        let mut overlay = Overlay::new(&*store);
        let unwrap = |error| match error {
            identity::DecideError::Bad(bad) => DecideError::Bad(bad),
            identity::DecideError::Store(error) => DecideError::Store(error),
        };
        let mut decisions = self.decisions.clone();
        let outcome = identity::decide(
            &mut StoredGraph(&mut overlay),
            &mut decisions,
            decision.clone(),
            &self.applier.rules,
        )
        .map_err(unwrap)?;
        // What it would do is what it does to a state that nobody keeps.
        if preview {
            return Ok(outcome);
        }
        let mut batch = overlay.into_batch();
        DECISIONS.put(&mut batch, &decision.id, &DecisionRow(decision.clone()))?;
        self.tell(&mut batch, &self.applier.feed(&outcome.changes))?;
        self.commit(batch, Durable::Yes)?;
        self.decisions = decisions;
        self.told_decisions
            .send_replace(Arc::new(self.decisions.clone()));
        Ok(outcome)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::{body::Body, http::Request};
    use serde_json::json;
    use trenza_shared::store::{Fault, FaultyStore};

    use crate::{
        evidence::replay,
        tables::Role,
        testing::{Server, WEB},
    };

    /// A commit that was reported as failed may be there all the same; its records must not be applied again.
    #[tokio::test(flavor = "multi_thread")]
    async fn records_are_applied_once_when_commits_fail_and_are_there() {
        let store = Arc::new(FaultyStore::new(0, Fault::Refused));
        let server = Server::over(store.clone()).await;
        for number in 0..12 {
            let event = json!({"type": "track", "event": "Visit", "userId": "u-1", "messageId": format!("m-{number}")});
            let body = json!({"batch": [event]}).to_string();
            // Every other commit fails from here on: the log's or the resolver's.
            store.fail_every(2, Fault::AppliedButReported);
            let post = || {
                Request::post("/v1/batch")
                    .header("x-write-key", WEB)
                    .body(Body::from(body.clone()))
                    .unwrap()
            };
            let first = server.send(post()).await;
            store.fail_every(0, Fault::Refused);
            if first.status != 200 {
                assert_eq!(server.send(post()).await.status, 200);
            }
        }
        let last = json!({"type": "identify", "userId": "u-1", "messageId": "last"});
        server.capture(WEB, &[last]).await;
        let found = server
            .get(Role::Admin, "/v1/customers?identifier=userId:u-1")
            .await;
        assert_eq!(
            found.json["customers"][0]["counters"]["events"], 13,
            "{}",
            found.text
        );
        let fresh = trenza_shared::store::MemStore::new();
        let verified = trenza_shared::store::snapshot(&*store, |view| {
            replay::verify_in(view, &server.app.applier, &fresh)
        });
        assert!(verified.unwrap().unwrap().difference.is_none());
        server.close().await;
    }
}
