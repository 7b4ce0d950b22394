//! What is known of the server: whether it answers, what it has, by how much its clock differs.
//!
//! Owns the one row that remembers it over a restart. Never talks: that is `sync`.

use std::{collections::BTreeSet, sync::Arc};

use tokio::sync::watch;
use trenza_shared::{
    clock::BUILT_MS,
    id::{Epoch, Lane},
    store::{Batch, Durable, Store, StoreError},
    wire::{
        dropped,
        sync::{LaneHave, Welcome},
    },
};

use crate::{
    log::{Drops, Heads},
    tables::{Measured, SERVER, ServerRow},
};

/// How the server stands, as far as the agent knows.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    /// It answered last time.
    pub up: bool,
    /// Since when that has been so, by the device's clock. Unit: ms since 1970.
    pub since_ms: i64,
    /// It refuses this agent (revoked, or not known there).
    pub refused: bool,
    /// It said that this agent's right was taken back.
    pub revoked: bool,
    /// It is there, and has too much to do or cannot take anything now.
    pub busy: bool,
    /// What went wrong last; empty when nothing did.
    pub problem: String,
    /// Why it gave no certificate for the `https` listener; empty when it did, or was not asked.
    pub https_problem: String,
    /// What it told.
    pub told: Arc<ServerRow>,
    /// The write keys of the organisation.
    pub keys: Arc<BTreeSet<String>>,
}

/// What is known of a server that does not take what is sent.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Down {
    /// It refuses this agent for good.
    pub refused: bool,
    /// Because this agent's right was taken back.
    pub revoked: bool,
    /// It is there and wants to be asked later.
    pub busy: bool,
}

/// The link, as seen and changed by sync; others only look.
pub struct LinkCell {
    store: Arc<dyn Store>,
    state: watch::Sender<Link>,
}

impl LinkCell {
    /// Starts with what was remembered: the server counts as absent until it answers.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn open(store: Arc<dyn Store>, now_ms: i64) -> Result<Self, StoreError> {
        let told = SERVER.get(&*store, &())?.unwrap_or_default();
        let keys = Arc::new(told.write_keys.iter().cloned().collect());
        let link = Link {
            up: false,
            since_ms: now_ms,
            refused: false,
            revoked: false,
            busy: false,
            problem: String::new(),
            https_problem: String::new(),
            told: Arc::new(told),
            keys,
        };
        Ok(Self {
            store,
            state: watch::channel(link).0,
        })
    }

    /// How it stands now.
    pub fn now(&self) -> Link {
        self.state.borrow().clone()
    }

    /// A time that has surely passed: the build's, or the last one that the server told, also before a restart. Unit: ms since
    /// 1970.
    pub fn passed_ms(&self) -> i64 {
        self.told().server_ms.max(BUILT_MS)
    }

    /// What the server told.
    pub fn told(&self) -> Arc<ServerRow> {
        self.state.borrow().told.clone()
    }

    /// Follows its changes.
    pub fn watch(&self) -> watch::Receiver<Link> {
        self.state.subscribe()
    }

    /// The server answered.
    pub fn up(&self, now_ms: i64) {
        self.state.send_modify(|link| {
            if !link.up {
                link.since_ms = now_ms;
            }
            (link.up, link.refused, link.revoked, link.busy) = (true, false, false, false);
            link.problem.clear();
        });
    }

    /// What came of asking for the certificate of the `https` listener; empty for success.
    pub fn https(&self, problem: String) {
        self.state.send_modify(|link| link.https_problem = problem);
    }

    /// The server did not answer, or refused.
    pub fn down(&self, now_ms: i64, why: Down, problem: String) {
        self.state.send_modify(|link| {
            if link.up {
                link.since_ms = now_ms;
            }
            (link.up, link.refused, link.busy) = (false, why.refused, why.busy);
            link.problem = problem;
            // Only the server itself can say otherwise.
            link.revoked |= why.revoked;
        });
    }

    /// Takes a welcome as the truth, and remembers it when it says something new.
    ///
    /// # Errors
    /// The store cannot be written; it is known all the same.
    pub fn welcome(
        &self,
        welcome: Welcome,
        clock_offset_ms: Option<i64>,
    ) -> Result<(), StoreError> {
        let row = ServerRow {
            generation: welcome.generation,
            lanes: welcome.lanes,
            write_keys: welcome.write_keys,
            origins: welcome.origins,
            program: welcome.program,
            clock_offset_ms,
            server_ms: welcome.sent_ms,
            measured: self.state.borrow().told.measured,
            revoked: welcome.revoked,
        };
        self.remember(row)
    }

    /// Takes what was stated of this device's clock.
    ///
    /// # Errors
    /// The store cannot be written; it is known all the same.
    pub fn measured(&self, measured: Measured) -> Result<(), StoreError> {
        let mut row = (*self.state.borrow().told).clone();
        row.measured = Some(measured);
        self.remember(row)
    }

    /// Takes an acknowledgement as the truth about one lane. Answers may overtake each other: one that says less than what is
    /// known is of an earlier moment. A server that lost something says so in its welcome.
    ///
    /// # Errors
    /// The store cannot be written; it is known all the same.
    pub fn acknowledged(&self, have: LaneHave) -> Result<(), StoreError> {
        let mut row = (*self.state.borrow().told).clone();
        match row
            .lanes
            .iter_mut()
            .find(|known| known.epoch == have.epoch && known.lane == have.lane)
        {
            Some(known) if known.holds(&have) && !have.holds(known) => return Ok(()),
            Some(known) => *known = have,
            None => row.lanes.push(have),
        }
        self.remember(row)
    }

    /// Forgets what the server has: the log goes on under another id.
    ///
    /// # Errors
    /// The store cannot be written; it is forgotten all the same.
    pub fn forget_lanes(&self) -> Result<(), StoreError> {
        let mut row = (*self.state.borrow().told).clone();
        row.lanes.clear();
        self.remember(row)
    }

    fn remember(&self, row: ServerRow) -> Result<(), StoreError> {
        let before = self.state.borrow().told.clone();
        self.state.send_modify(|link| {
            if row.write_keys != link.told.write_keys {
                link.keys = Arc::new(row.write_keys.iter().cloned().collect());
            }
            link.told = Arc::new(row.clone());
        });
        // Only a hint for the next start, which asks the server anyway: it needs no fsync, and a quiet hello no write at all.
        let quiet = ServerRow {
            server_ms: before.server_ms,
            clock_offset_ms: before.clock_offset_ms,
            ..row.clone()
        } == *before;
        if quiet && row.server_ms - before.server_ms < QUIET_WRITE_EVERY_MS {
            return Ok(());
        }
        let mut batch = Batch::new();
        SERVER.put(&mut batch, &(), &row)?;
        self.store.commit(batch, Durable::Later)
    }
}

/// How often the server's time alone is written down: flash wears. Unit: ms.
const QUIET_WRITE_EVERY_MS: i64 = 600_000;

/// What the server has of a lane.
pub fn have(lanes: &[LaneHave], epoch: Epoch, lane: Lane) -> LaneHave {
    lanes
        .iter()
        .find(|have| have.epoch == epoch && have.lane == lane)
        .cloned()
        .unwrap_or_else(|| LaneHave::nothing(epoch, lane))
}

/// Events that the server does not have yet and that can still come.
pub fn waiting(heads: &Heads, lanes: &[LaneHave], drops: &Drops) -> u64 {
    heads
        .iter()
        .filter(|((_, lane), _)| lane.has_events())
        .map(|((epoch, lane), head)| {
            let missing = have(lanes, *epoch, *lane).missing(1, head.seq);
            dropped::count(&drops.still(*epoch, *lane, missing))
        })
        .sum()
}
