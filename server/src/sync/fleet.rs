//! The fleet: what every agent said last, against what is stored.
//!
//! Owns the comparison that proves whether something is missing. A pure read; nothing here is a derived value.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use trenza_shared::{
    clock::format_ms,
    id::{AgentId, Epoch, Lane, Seq},
    store::{StoreError, View},
    wire::sync::{Kept, LANES_MAX, LaneHead, Lineage},
};

use crate::{
    registry::Registry,
    sync::{
        began::{self, BeganAnew},
        dropped::{self, Range, Ranges},
        gaps::{self, Said},
        segments,
    },
    tables::{AgentRow, AgentState, CONTACTS, ContactRow, LaneRow},
};

/// The fleet and its sums.
#[derive(Clone, Debug, Serialize)]
pub struct Fleet {
    /// By touchpoint, then id.
    pub agents: Vec<AgentStatus>,
    /// Over all of them.
    pub sums: Sums,
}

/// Sums over the fleet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sums {
    /// Agents.
    pub agents: u64,
    /// Of them, those that may speak.
    pub active: u64,
    /// Sequence numbers given out, as the agents said last.
    pub head_seq: u64,
    /// Sequence numbers stored here.
    pub acked_seq: u64,
    /// Events that wait on the agents, as they said last.
    pub waiting: u64,
    /// Sequence numbers given out and not stored.
    pub missing: u64,
    /// Of low-priority events that were given up for want of room: not counted as missing.
    pub dropped: u64,
}

/// One agent.
#[derive(Clone, Debug, Serialize)]
pub struct AgentStatus {
    /// Its id.
    pub id: AgentId,
    /// Where it stands.
    pub touchpoint: String,
    /// By which national formats are read there. ISO 3166-1 alpha-2.
    pub country: String,
    /// IANA name of its zone.
    pub zone: String,
    /// The venue whose agents exchange with each other; empty for one that stands alone.
    pub venue: String,
    /// Whether it may speak.
    pub state: AgentState,
    /// Version of its program; none before its first word.
    pub version: Option<String>,
    /// When it enrolled. RFC 3339.
    pub enrolled_at: String,
    /// When it spoke last. RFC 3339.
    pub last_contact_at: Option<String>,
    /// How long ago that was: up to then this answer is complete. Unit: ms.
    pub lag_ms: Option<i64>,
    /// The epoch in which it writes.
    pub epoch: Option<Epoch>,
    /// Sequence numbers given out, over all lanes; those that come under other numbers count once.
    pub head_seq: u64,
    /// Of them, stored here.
    pub acked_seq: u64,
    /// Sequence numbers given out and not stored.
    pub missing: u64,
    /// Which.
    pub gaps: Vec<Gap>,
    /// Sequence numbers of low-priority events that it gave up for want of room: not counted as missing.
    pub dropped: u64,
    /// Which, the last ones: at most [`dropped::RANGES_MAX`].
    pub dropped_ranges: Vec<Range>,
    /// Lane by lane.
    pub lanes: Vec<LaneStatus>,
    /// Events that wait on it, of those that it told of.
    pub waiting: Option<u64>,
    /// Its clock minus ours. Unit: ms.
    pub clock_offset_ms: Option<i64>,
    /// Free space where its log lies. Unit: bytes.
    pub disk_free_bytes: Option<u64>,
    /// Of which agent it is a copy; none for one that a person enrolled.
    pub copy_of: Option<CopyOf>,
    /// Agents that are copies of it.
    pub copies: Vec<AgentId>,
    /// Numbers that it keeps and cannot deliver, and why: refused here for good, or no longer readable there.
    pub kept: Vec<Kept>,
    /// A contradiction under known numbers: another copy of it exists.
    pub fork: Option<String>,
    /// Lanes that it left because of one, and where they go on.
    pub lineage: Vec<Lineage>,
    /// The last time that it began anew, without what it had written before; null where it never did.
    pub began: Option<BeganAnew>,
}

/// Where a copy comes from: its folder was copied, and it became an agent of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CopyOf {
    /// The agent whose folder was copied.
    pub agent: AgentId,
    /// The epoch in which the copy wrote last under that id.
    pub epoch: Epoch,
    /// When it became an agent of its own. RFC 3339.
    pub at: String,
}

impl CopyOf {
    /// As people and programs are told.
    pub fn of(row: &AgentRow) -> Option<Self> {
        row.copy_of.as_ref().map(|parent| Self {
            agent: parent.agent,
            epoch: parent.epoch,
            at: format_ms(parent.at_ms),
        })
    }
}

/// Sequence numbers that were given out and are not stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Life of the log.
    pub epoch: Epoch,
    /// Which of its logs.
    pub lane: Lane,
    /// The first.
    pub from: Seq,
    /// The last.
    pub to: Seq,
    /// Whether the agent still holds all of them, so that they will come.
    pub on_device: bool,
}

/// One lane of one life of an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LaneStatus {
    /// Life of the log.
    pub epoch: Epoch,
    /// Which of its logs.
    pub lane: Lane,
    /// Last number given out, as far as is known.
    pub head_seq: Seq,
    /// Everything up to here is stored.
    pub acked_seq: Seq,
    /// First number still on the device; none for a lane that it does not name any more.
    pub oldest_on_device: Option<Seq>,
}

/// Reads the fleet.
///
/// # Errors
/// The store cannot be read.
pub fn read(view: &dyn View, registry: &Registry, now_ms: i64) -> Result<Fleet, StoreError> {
    let mut agents = Vec::new();
    for (id, row) in registry.agents() {
        let stored = segments::of_agent(view, &id)
            .take(LANES_MAX)
            .map(|row| row.map(|((_, epoch, lane), row)| ((epoch, lane), row)))
            .collect::<Result<_, _>>()?;
        let contact = CONTACTS.get(view, &id)?;
        let said = dropped::of_agent(view, &id)?;
        agents.push(status(
            (id, &row),
            contact.as_ref(),
            (&stored, &said),
            now_ms,
        ));
    }
    agents.sort_by(|left, right| {
        left.touchpoint
            .cmp(&right.touchpoint)
            .then(left.id.cmp(&right.id))
    });
    note_copies(&mut agents);
    let mut sums = Sums::default();
    for agent in &agents {
        sums.agents += 1;
        sums.active += u64::from(agent.state == AgentState::Active);
        sums.head_seq += agent.head_seq;
        sums.acked_seq += agent.acked_seq;
        sums.waiting += agent.waiting.unwrap_or(0);
        sums.missing += agent.missing;
        sums.dropped += agent.dropped;
    }
    Ok(Fleet { agents, sums })
}

/// Tells every agent of its copies.
fn note_copies(agents: &mut [AgentStatus]) {
    let mut copies: BTreeMap<AgentId, Vec<AgentId>> = BTreeMap::new();
    for agent in agents.iter() {
        if let Some(parent) = &agent.copy_of {
            copies.entry(parent.agent).or_default().push(agent.id);
        }
    }
    for agent in agents {
        agent.copies = copies.remove(&agent.id).unwrap_or_default();
    }
}

/// One agent: what it said against what is stored.
fn status(
    (id, row): (AgentId, &AgentRow),
    contact: Option<&ContactRow>,
    (stored, given_up): (&BTreeMap<(Epoch, Lane), LaneRow>, &Ranges),
    now_ms: i64,
) -> AgentStatus {
    let hello = contact.map(|contact| &contact.hello);
    let said: BTreeMap<(Epoch, Lane), &LaneHead> = hello
        .iter()
        .flat_map(|hello| &hello.lanes)
        .map(|head| ((head.epoch, head.lane), head))
        .collect();
    let mut lanes = Vec::new();
    let (mut missing, mut dropped_ranges) = (Vec::<Gap>::new(), Vec::<Range>::new());
    let keys: std::collections::BTreeSet<(Epoch, Lane)> = said
        .keys()
        .chain(stored.keys())
        .chain(given_up.keys())
        .copied()
        .chain(contact.into_iter().flat_map(began::lanes))
        .collect();
    let mut again = 0;
    for (epoch, lane) in keys {
        let head = said.get(&(epoch, lane)).copied();
        let row = stored.get(&(epoch, lane));
        let segments = row.map_or(&[][..], |row| &row.segments);
        let said = Said {
            head,
            given_up: given_up.get(&(epoch, lane)).map_or(&[], Vec::as_slice),
            began: hello.and_then(|hello| hello.began.as_ref()),
            earlier: contact.and_then(|contact| contact.earlier.as_ref()),
        };
        let lacking = gaps::lacking((epoch, lane), segments, said);
        dropped_ranges.extend(lacking.dropped);
        missing.extend(lacking.gaps);
        again += if lane.has_events() { lacking.again } else { 0 };
        lanes.push(LaneStatus {
            epoch,
            lane,
            head_seq: lacking.head,
            acked_seq: row.map_or(0, LaneRow::count),
            oldest_on_device: head.map(|head| head.oldest),
        });
    }
    // What is told of the clock is no event; that none of it is missing matters all the same.
    let of_events = || lanes.iter().filter(|lane| lane.lane.has_events());
    let not_here = missing
        .iter()
        .filter(|gap| gap.lane.has_events())
        .map(|gap| gap.to - gap.from + 1)
        .sum();
    AgentStatus {
        id,
        touchpoint: row.touchpoint.clone(),
        country: row.country.clone(),
        zone: row.zone.clone(),
        venue: row.venue.clone(),
        state: row.state,
        version: hello.map(|hello| hello.program.clone()),
        enrolled_at: format_ms(row.enrolled_ms),
        last_contact_at: contact.map(|contact| format_ms(contact.at_ms)),
        lag_ms: contact.map(|contact| now_ms.saturating_sub(contact.at_ms).max(0)),
        epoch: hello.map(|hello| hello.epoch),
        head_seq: of_events().map(|lane| lane.head_seq).sum::<u64>() - again,
        acked_seq: of_events().map(|lane| lane.acked_seq).sum(),
        missing: missing.iter().map(|gap| gap.to - gap.from + 1).sum(),
        gaps: missing,
        lanes,
        dropped: dropped_ranges.iter().map(|one| one.to - one.from + 1).sum(),
        dropped_ranges: {
            let told = dropped_ranges.len().saturating_sub(dropped::RANGES_MAX);
            dropped_ranges.split_off(told)
        },
        // Frames that came since are waiting no more.
        waiting: hello.map(|hello| hello.waiting.min(not_here)),
        clock_offset_ms: contact.map(|contact| {
            // The agent tells our clock less its own.
            let ours_less_its = contact.hello.clock_offset_ms;
            ours_less_its.map_or(
                contact.hello.wall_ms.saturating_sub(contact.at_ms),
                i64::saturating_neg,
            )
        }),
        disk_free_bytes: hello.map(|hello| hello.disk_free_bytes),
        copy_of: CopyOf::of(row),
        copies: Vec::new(),
        kept: hello.map_or_else(Vec::new, |hello| hello.kept.clone()),
        fork: contact.and_then(|contact| contact.fork.clone()),
        lineage: contact.map_or_else(Vec::new, |contact| contact.lineage.clone()),
        began: contact.and_then(|contact| began::anew(contact, stored)),
    }
}
