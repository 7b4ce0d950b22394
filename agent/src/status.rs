//! How the agent stands, in figures: `GET /v1/status`, `trenza-agent status`, the kiosk's footer.
//!
//! Owns the sums over lanes. Computed from the data at every question: there is no second source of truth.

mod stopped; // of an agent that has no store open

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use trenza_shared::{
    clock::format_ms,
    id::{AgentId, Epoch, Lane, Seq},
    probe::disk_free_bytes,
    store::{StoreError, View},
    wire::{
        dropped::Reason,
        sync::{Began, LaneHave},
    },
};

use crate::{
    lan::{delivered::Brought, members::Neighbour},
    link::{self, have},
    log::{self, Drops, Heads},
    reserve::Reserve,
    room::Room,
    salvage::{self, Aside, Progress},
    state::App,
    sync::kept,
    tables::BEGAN,
    time::KnownTime,
};

pub use stopped::stopped;

/// What `status --json` prints.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Who.
    pub agent: AgentId,
    /// The epoch in which it writes.
    pub epoch: Epoch,
    /// Events taken in, all lanes together.
    pub head_seq: u64,
    /// Events that the server has.
    pub acked_seq: u64,
    /// Events that it does not have yet.
    pub waiting: u64,
    /// How long the oldest of them has waited; 0 when none waits. Unit: ms.
    pub oldest_waiting_ms: u64,
    /// The server's clock less this device's; null before the first talk. Unit: ms.
    pub clock_offset_ms: Option<i64>,
    /// Free space where the log lives, the reserve not counted in. Unit: bytes.
    pub disk_free_bytes: u64,
    /// What the reserve would give back on a full disk. Unit: bytes.
    #[serde(default)]
    pub reserve_bytes: u64,
    /// How it stands with room for visits.
    #[serde(default)]
    pub room: Room,
    /// Size of the store's files. Unit: bytes.
    #[serde(default)]
    pub store_bytes: u64,
    /// Low-priority events that were given up for want of room before the server had them.
    #[serde(default)]
    pub dropped: u64,
    /// Which, the latest last; at most [`RANGES_MAX`].
    #[serde(default)]
    pub dropped_ranges: Vec<DroppedRange>,
    /// Why no visits can be taken in; empty when they can.
    #[serde(default)]
    pub room_problem: String,
    /// "up" when the server answered last time, else "down".
    pub server: String,
    /// Events that the server refuses, or that cannot be read any more: kept on this device and not delivered.
    #[serde(default)]
    pub kept: u64,
    /// Why, for the last of them; empty where there is none.
    #[serde(default)]
    pub kept_reason: String,
    /// The server refuses this agent: it was revoked, or is not known there. Capture goes on.
    pub refused: bool,
    /// It said that this agent was revoked.
    #[serde(default)]
    pub revoked: bool,
    /// It is there, and wants to be asked later.
    #[serde(default)]
    pub busy: bool,
    /// Why the `https` listener was given no certificate; empty otherwise.
    #[serde(default)]
    pub https_problem: String,
    /// What went wrong last between agent and server; empty when nothing did.
    pub problem: String,
    /// What comes back out of a store that was damaged.
    #[serde(default)]
    pub salvage: Progress,
    /// What stands beside the store: damaged ones, and what opening one would have thrown away.
    #[serde(default)]
    pub aside: Vec<Aside>,
    /// The last time that this device went on without what it had written before; null where it never did.
    #[serde(default)]
    pub began: Option<BeganAnew>,
    /// Why the settings are not those of the file: it is damaged; empty otherwise.
    #[serde(default)]
    pub settings_problem: String,
    /// Version of the program.
    pub program: String,
    /// The venue that this agent belongs to; empty for none, and where it does not exchange.
    #[serde(default)]
    pub venue: String,
    /// Other agents of the venue.
    #[serde(default)]
    pub neighbours: Vec<Neighbour>,
    /// Of the events that wait, those that neighbours say they brought to the server: they wait for its own word alone.
    #[serde(default)]
    pub delivered: Vec<Brought>,
}

/// The store was gone, went back in time, or was damaged and moved aside: what was there and was not sent may be lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BeganAnew {
    /// The epoch in which a new store began.
    pub epoch: Epoch,
    /// When, by the device's clock. RFC 3339.
    pub at: String,
    /// Numbers of events that are known to have been given out before: the server may have them.
    pub given_out: u64,
    /// The old store was damaged and stands aside; else it was gone, or went back in time.
    pub aside: bool,
}

impl BeganAnew {
    fn of(began: &Began) -> Self {
        Self {
            epoch: began.epoch,
            at: format_ms(began.at_ms),
            given_out: began.ends.iter().map(|end| end.seq).sum(),
            aside: began.aside,
        }
    }

    /// As a person is told.
    pub fn sentence(&self) -> String {
        let Self { epoch, at, .. } = self;
        let lost = match self.given_out {
            0 => String::new(),
            given => format!(" (at least {given} had been taken in)"),
        };
        if self.aside {
            format!(
                "the store was damaged: a new one began in epoch {epoch} at {at}, and what can be read of the old one comes back by itself"
            )
        } else {
            format!(
                "the store was gone or went back in time: a new one began in epoch {epoch} at {at}. What had not been sent by then{lost} is lost, or still on its old disk or folder; the server's fleet page says what it has"
            )
        }
    }
}

impl Status {
    /// How the server stands, in a word or two for people.
    pub fn server_word(&self) -> &str {
        match self {
            Self {
                refused: true,
                revoked: true,
                ..
            } => "refused (revoked)",
            Self { refused: true, .. } => "refused",
            Self { busy: true, .. } => "busy",
            _ => &self.server,
        }
    }

    /// Events that nobody brought to the server yet, as far as is known here.
    pub fn to_send(&self) -> u64 {
        without(self.waiting, &self.delivered)
    }
}

/// What is left of what waits without what was brought.
pub fn without(waiting: u64, brought: &[Brought]) -> u64 {
    let brought = brought.iter().map(|one| one.events);
    brought.fold(waiting, u64::saturating_sub)
}

/// Ranges told in a status.
pub const RANGES_MAX: usize = 32;

/// Entries that were given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DroppedRange {
    /// Life of the log.
    pub epoch: Epoch,
    /// Which of its logs.
    pub lane: Lane,
    /// The first number.
    pub first: Seq,
    /// The last.
    pub last: Seq,
    /// How many of them the server did not have.
    pub count: u64,
    /// Why.
    pub reason: Reason,
    /// When the last of them was given up, by the device's clock. RFC 3339.
    pub at: String,
}

/// The last ranges.
pub fn dropped_ranges(drops: &Drops) -> Vec<DroppedRange> {
    let all = drops
        .ranges()
        .map(|(epoch, lane, first, row)| DroppedRange {
            epoch,
            lane,
            first,
            last: row.last,
            count: row.lost,
            reason: row.reason,
            at: format_ms(row.at_ms),
        });
    let mut last: Vec<_> = all.rev().take(RANGES_MAX).collect();
    last.reverse();
    last
}

/// Events taken in, acknowledged, waiting and dropped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Events taken in.
    pub head: u64,
    /// Events that the server has.
    pub acked: u64,
    /// Events that it does not have yet.
    pub waiting: u64,
    /// Events that were given up.
    pub dropped: u64,
    /// When the oldest that waits was taken in. Unit: ms since 1970.
    pub oldest_ms: Option<i64>,
}

/// Sums the lanes up, all but the age of the oldest event. head = acked + waiting + dropped.
fn counted(heads: &Heads, told: &[LaneHave], drops: &Drops) -> Figures {
    let events = heads.iter().filter(|((_, lane), _)| lane.has_events());
    let head = events.map(|(_, head)| head.seq).sum::<u64>();
    let (waiting, dropped) = (link::waiting(heads, told, drops), drops.count());
    Figures {
        head,
        waiting,
        dropped,
        acked: head.saturating_sub(waiting + dropped),
        oldest_ms: None,
    }
}

/// Sums the lanes up.
///
/// # Errors
/// The store cannot be read.
pub fn figures(
    view: &dyn View,
    heads: &Heads,
    told: &[LaneHave],
    drops: &Drops,
    time: KnownTime,
) -> Result<Figures, StoreError> {
    let mut sums = counted(heads, told, drops);
    for ((epoch, lane), head) in heads.iter().filter(|((_, lane), _)| lane.has_events()) {
        let missing = have(told, *epoch, *lane).missing(1, head.seq);
        let missing = drops.still(*epoch, *lane, missing);
        if let Some(oldest) = missing.first() {
            let open = log::open_at(view, *epoch, *lane, *oldest.start())?;
            let at_ms = open.map(|open| time.taken_ms(&open));
            sums.oldest_ms = sums.oldest_ms.into_iter().chain(at_ms).min();
        }
    }
    Ok(sums)
}

/// Events that cannot be delivered.
#[derive(Default)]
struct Keeping {
    /// Of them, those behind the acknowledgement.
    passed: u64,
    /// The others.
    missing: u64,
    reason: String,
}

fn keeping(view: &dyn View, told: &[LaneHave]) -> Result<Keeping, StoreError> {
    let mut kept = Keeping::default();
    let mut last_ms = i64::MIN;
    for ((epoch, lane, first), row) in kept::all(view)? {
        if !lane.has_events() {
            continue;
        }
        let missing = have(told, epoch, lane).missing(first, row.last);
        let missing: u64 = missing.iter().map(|run| run.end() - run.start() + 1).sum();
        kept.missing += missing;
        kept.passed += (row.last - first + 1).saturating_sub(missing);
        if row.at_ms >= last_ms {
            (last_ms, kept.reason) = (row.at_ms, row.reason);
        }
    }
    Ok(kept)
}

/// How a running agent stands. Reads the disk: call it where blocking is allowed.
///
/// # Errors
/// The store cannot be read, though the disk is well. On a failed disk only the age of the oldest event is missing, and what is kept
/// and not delivered: a status is never needed more.
pub fn of(app: &App) -> Result<Status, StoreError> {
    let (link, seen, lan) = (app.link.now(), app.room.now(), app.lan.as_ref());
    let (heads, drops) = (app.log.ends(), app.log.drops());
    let read = || {
        let began = BEGAN.get(&*app.store, &())?;
        let began = began.map(|row| BeganAnew::of(&row.0));
        let sums = figures(&*app.store, &heads, &link.told.lanes, &drops, app.time())?;
        Ok((sums, keeping(&*app.store, &link.told.lanes)?, began))
    };
    let (sums, kept, began) = match read() {
        Err(
            StoreError::Corrupt { .. }
            | StoreError::Io { .. }
            | StoreError::Full { .. }
            | StoreError::Closed,
        ) => {
            tracing::debug!("the status goes without what only the store tells");
            (
                counted(&heads, &link.told.lanes, &drops),
                Keeping::default(),
                None,
            )
        }
        read => read?,
    };
    Ok(Status {
        room: seen.room,
        store_bytes: seen.facts.used_bytes,
        room_problem: seen.problem().unwrap_or_default(),
        agent: app.log.agent(),
        epoch: app.log.epoch(),
        head_seq: sums.head,
        acked_seq: sums.acked.saturating_sub(kept.passed),
        waiting: sums.waiting.saturating_sub(kept.missing),
        kept: kept.missing + kept.passed,
        kept_reason: kept.reason,
        dropped: sums.dropped,
        dropped_ranges: dropped_ranges(&drops),
        oldest_waiting_ms: age_ms(sums.oldest_ms, app.now_ms()),
        clock_offset_ms: link.told.clock_offset_ms,
        disk_free_bytes: disk_free_bytes(&app.dir),
        reserve_bytes: Reserve::in_folder(&app.dir).bytes(),
        server: if link.up { "up" } else { "down" }.into(),
        refused: link.refused,
        revoked: link.revoked,
        busy: link.busy,
        https_problem: link.https_problem,
        problem: link.problem,
        salvage: app.salvage.progress(),
        aside: aside(app.dir.join(&app.config.store.dir)),
        began,
        settings_problem: app.config.problem.clone(),
        program: env!("CARGO_PKG_VERSION").into(),
        venue: lan.map(|lan| lan.credentials.venue()).unwrap_or_default(),
        neighbours: lan.map(|lan| lan.neighbours()).unwrap_or_default(),
        delivered: lan.map(|lan| lan.brought()).unwrap_or_default(),
    })
}

/// What stands beside a store; nothing where the system does not say.
fn aside(store_dir: PathBuf) -> Vec<Aside> {
    salvage::aside(&store_dir).unwrap_or_else(|error| {
        tracing::debug!(error = %error, "what stands beside the store cannot be read");
        Vec::new()
    })
}

/// How long ago an instant was; 0 for none and for the future.
pub fn age_ms(at_ms: Option<i64>, now_ms: i64) -> u64 {
    at_ms
        .and_then(|at| u64::try_from(now_ms.saturating_sub(at)).ok())
        .unwrap_or(0)
}
