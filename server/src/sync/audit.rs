//! The proof that nothing is missing: every record of every lane is read again, and every link of its chain checked.
//!
//! Owns the comparison of what is stored with itself; believes nothing but the entries' bytes. A pure read.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use trenza_shared::{
    clock::format_ms,
    id::{AgentId, Epoch, Lane, Seq},
    store::{Direction, StoreError, View},
    wire::{entry::CHAIN_START, frame::chain_over, sync::Segment},
};

use super::{
    began,
    dropped::{self, Range},
    fleet::Gap,
    gaps::{self, Said},
    segments,
};
use crate::tables::{
    AGENTS, AgentState, CONTACTS, DROPPED, Hop, LOG, LOST, LaneRow, MARKS, META, MarkRow,
};

/// Most damages told of one lane; the rest is counted.
const DAMAGES_MAX: usize = 20;

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audit {
    /// Nothing is damaged, nothing is lost, and nobody is left who could say otherwise.
    pub ok: bool,
    /// Events of agents that are stored, each link checked; what agents say of their clocks is counted in its lane alone.
    pub events: u64,
    /// Every lane, by agent, epoch and lane.
    pub lanes: Vec<LaneAudit>,
    /// Agents in force that were not heard since this store began, or was restored: what they hold is not known.
    #[serde(default)]
    pub unheard: Vec<AgentId>,
    /// Agents that still read a store of theirs that was damaged: what of the gaps is lost is not known yet.
    #[serde(default)]
    pub searching: Vec<AgentId>,
    /// Records of the log that were acknowledged and are gone since the store was damaged: those of agents came, or come, again.
    #[serde(default)]
    pub lost: Vec<LostRecords>,
}

/// A run of the log's records that is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostRecords {
    /// The first.
    pub from: u64,
    /// The last.
    pub to: u64,
    /// When that was noticed. RFC 3339.
    pub noticed_at: String,
}

/// What was found of one lane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneAudit {
    /// Who captured it.
    pub agent: AgentId,
    /// Life of its log.
    pub epoch: Epoch,
    /// Which of its logs.
    pub lane: Lane,
    /// The first number that is stored; 0 where nothing is.
    pub from: Seq,
    /// The last.
    pub to: Seq,
    /// How many are.
    pub count: u64,
    /// In how many records.
    pub records: u64,
    /// Every link from the first number to the last leads on, but for the gaps.
    pub chain_ok: bool,
    /// Numbers up to the last one given out that are not stored.
    pub gaps: Vec<Gap>,
    /// Numbers that were given up for want of room, as the agent told: no gaps.
    #[serde(default)]
    pub dropped: Vec<Range>,
    /// What is damaged, and where.
    pub damage: Vec<String>,
    /// Damages that are not told.
    pub more_damage: u64,
}

/// Reads everything again, or everything of one agent.
///
/// # Errors
/// The store cannot be read at all. What cannot be read in it is damage.
pub fn audit(view: &dyn View, only: Option<AgentId>) -> Result<Audit, StoreError> {
    let mut rows = BTreeMap::new();
    for row in segments::all(view) {
        let (key, row) = row?;
        rows.insert(key, row);
    }
    // Of a lane of which nothing came, too, an agent may have given something up, or have lost it.
    for row in DROPPED.rows(view) {
        let ((agent, epoch, lane, ..), _) = row?;
        rows.entry((agent, epoch, lane)).or_default();
    }
    let mut heard = BTreeMap::new();
    for row in CONTACTS.rows(view) {
        let (agent, contact) = row?;
        heard.insert(agent, contact.at_ms);
        for (epoch, lane) in began::lanes(&contact) {
            rows.entry((agent, epoch, lane)).or_default();
        }
    }
    let asked = |agent: &AgentId| only.is_none_or(|only| only == *agent);
    let unheard = unheard(view, &heard, &asked)?;
    let (mut lanes, mut searching) = (Vec::new(), BTreeSet::new());
    for (key, row) in rows {
        if asked(&key.0) {
            let (found, unsure) = lane(view, key, &row)?;
            lanes.push(found);
            searching.extend(unsure.then_some(key.0));
        }
    }
    let lost = LOST.rows(view).map(|row| {
        let ((_, from), row) = row?;
        Ok::<_, StoreError>(LostRecords {
            from,
            to: row.to,
            noticed_at: format_ms(row.noticed_ms),
        })
    });
    // They are of no agent more than of another.
    let lost: Vec<_> = lost.filter(|_| only.is_none()).collect::<Result<_, _>>()?;
    let whole = lanes
        .iter()
        .all(|lane| lane.damage.is_empty() && lane.gaps.iter().all(|gap| gap.on_device));
    Ok(Audit {
        ok: whole && lost.is_empty() && unheard.is_empty() && searching.is_empty(),
        events: lanes
            .iter()
            .filter(|lane| lane.lane != Lane::Clock)
            .map(|lane| lane.count)
            .sum(),
        lanes,
        unheard,
        searching: searching.into_iter().collect(),
        lost,
    })
}

/// Agents in force from before this life of the store that said nothing in it. `heard` is when who said something last.
fn unheard(
    view: &dyn View,
    heard: &BTreeMap<AgentId, i64>,
    asked: &dyn Fn(&AgentId) -> bool,
) -> Result<Vec<AgentId>, StoreError> {
    let generation = META.get(view, &())?.map_or(0, |meta| meta.generation);
    // A generation is the wall clock at its beginning.
    let began_ms = i64::try_from(generation).unwrap_or(i64::MAX);
    let mut unheard = Vec::new();
    for row in AGENTS.rows(view) {
        let (agent, row) = row?;
        let before = |at_ms: i64| at_ms < began_ms;
        let silent = heard.get(&agent).is_none_or(|at_ms| before(*at_ms));
        if asked(&agent) && row.state == AgentState::Active && before(row.enrolled_ms) && silent {
            unheard.push(agent);
        }
    }
    Ok(unheard)
}

/// What was found, and whether it is not known yet what of its gaps is lost.
fn lane(
    view: &dyn View,
    (agent, epoch, lane): (AgentId, Epoch, Lane),
    row: &LaneRow,
) -> Result<(LaneAudit, bool), StoreError> {
    let mut found = LaneAudit {
        agent,
        epoch,
        lane,
        from: 0,
        to: 0,
        count: 0,
        records: 0,
        chain_ok: true,
        gaps: Vec::new(),
        dropped: Vec::new(),
        damage: Vec::new(),
        more_damage: 0,
    };
    let mut segments: Vec<Segment> = Vec::new();
    for mark in MARKS.rows_of(view, &(agent, epoch, lane), Direction::Forward) {
        let ((.., last), mark) = match mark {
            Ok(mark) => mark,
            Err(error) => {
                found.damaged(error.to_string());
                break;
            }
        };
        found.records += 1;
        match record(view, (agent, epoch, lane), last, &mark) {
            Ok(next) => match segments.last_mut() {
                Some(open) if open.last >= next.first => {
                    found.damaged(format!("{} to {} is stored twice", next.first, open.last));
                }
                Some(open) if open.last + 1 == next.first => {
                    if open.head != next.previous {
                        found.damaged(format!(
                            "what is stored from {} does not follow {}",
                            next.first, open.last
                        ));
                    }
                    (open.last, open.head) = (next.last, next.head);
                }
                _ => segments.push(next),
            },
            Err(damage) => found.damaged(damage),
        }
    }
    if let Some(first) = segments.first()
        && first.first == 1
        && first.previous != CHAIN_START
    {
        found.damaged("the chain does not begin where chains begin".into());
    }
    if segments != row.segments {
        let told = |segments: &[Segment]| {
            let runs = segments
                .iter()
                .map(|one| format!("{}-{}", one.first, one.last));
            runs.collect::<Vec<_>>().join(", ")
        };
        found.damaged(format!(
            "the records hold {}, the lane says {}",
            told(&segments),
            told(&row.segments)
        ));
    }
    found.from = segments.first().map_or(0, |one| one.first);
    found.to = segments.last().map_or(0, |one| one.last);
    let contact = CONTACTS.get(view, &agent)?;
    let hello = contact.as_ref().map(|contact| &contact.hello);
    let mut heads = hello.into_iter().flat_map(|hello| &hello.lanes);
    let given_up = dropped::of_agent(view, &agent)?;
    let said = Said {
        head: heads.find(|head| (head.epoch, head.lane) == (epoch, lane)),
        given_up: given_up.get(&(epoch, lane)).map_or(&[], Vec::as_slice),
        began: hello.and_then(|hello| hello.began.as_ref()),
        earlier: contact
            .as_ref()
            .and_then(|contact| contact.earlier.as_ref()),
    };
    let lacking = gaps::lacking((epoch, lane), &segments, said);
    (found.dropped, found.gaps) = (lacking.dropped, lacking.gaps);
    found.count = segments.iter().map(|one| one.last - one.first + 1).sum();
    Ok((found, lacking.unsure))
}

impl LaneAudit {
    fn damaged(&mut self, what: String) {
        self.chain_ok = false;
        if self.damage.len() < DAMAGES_MAX {
            self.damage.push(what);
        } else {
            self.more_damage += 1;
        }
    }
}

/// What a record of a lane really holds, or what is wrong with it.
fn record(
    view: &dyn View,
    key: (AgentId, Epoch, Lane),
    last: Seq,
    mark: &MarkRow,
) -> Result<Segment, String> {
    let number = mark.record;
    let wrong =
        |what: &dyn std::fmt::Display| format!("record {number}, {} to {last}: {what}", mark.first);
    let row = LOG.get(view, &number).map_err(|error| wrong(&error))?;
    let row = row.ok_or_else(|| wrong(&"it is not in the log"))?;
    let Hop::Agent {
        agent,
        epoch,
        lane,
        first,
    } = row.hop
    else {
        return Err(wrong(&"it is not an agent's"));
    };
    if (agent, epoch, lane) != key || first != mark.first {
        return Err(wrong(&"it is of another lane or another place"));
    }
    let links = row.links.ok_or_else(|| wrong(&"it has no links"))?;
    let entries = row.run.unpack().map_err(|error| wrong(&error))?;
    let held = first.saturating_add(entries.len() as u64).saturating_sub(1);
    if entries.len() != row.count as usize || held != last {
        return Err(wrong(&format_args!("it holds {} entries", entries.len())));
    }
    let head = chain_over(links.previous, &links.salt_key, first, &entries);
    if head != links.head || head != mark.head {
        return Err(wrong(&"a byte was changed: its chain leads elsewhere"));
    }
    Ok(Segment {
        first,
        last,
        previous: links.previous,
        head,
    })
}
