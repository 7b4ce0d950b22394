//! The venue's other agents: who they are, and how they stand.

use std::{collections::BTreeMap, sync::PoisonError};

use serde::{Deserialize, Serialize};
use trenza_shared::{
    id::AgentId,
    store::{Batch, Durable, StoreError},
    wire::carried::{MEMBERS_MAX, Meet},
};

use super::{
    Known, Lan,
    clocks::Anchor,
    plan::{self, Heard},
};
use crate::tables::{PEERS, PeerRow};

/// Longest name of a place that is kept. Unit: characters.
const NAME_CHARS_MAX: usize = 100;

/// How a neighbour stands, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Neighbour {
    /// Who.
    pub agent: AgentId,
    /// Where it stands.
    pub touchpoint: String,
    /// How long ago it was heard; null when not since the start. Unit: ms.
    pub seen_ms: Option<u64>,
    /// It was heard lately, and things are exchanged with it.
    pub near: bool,
    /// An admin took its right back: nothing is exchanged with it.
    #[serde(default)]
    pub revoked: bool,
    /// Its entries kept here that the server does not have, as far as it was asked.
    pub carried_waiting: u64,
}

impl Lan {
    /// Remembers what a neighbour said of itself and of others.
    ///
    /// # Errors
    /// The store cannot be written; it is known all the same.
    pub fn hear(&self, meet: &Meet) -> Result<(), StoreError> {
        let now_boot_ms = self.clock.boottime_ms();
        let mut batch = Batch::new();
        for (at, member) in meet.members.iter().take(MEMBERS_MAX).enumerate() {
            if member.agent == self.me() {
                continue;
            }
            let heard = Heard {
                uplink: member.uplink,
                at_boot_ms: now_boot_ms.saturating_sub(member.age_ms),
            };
            let short = |text: &str| text.chars().take(NAME_CHARS_MAX).collect::<String>();
            let mut known = self.known();
            let before = known.get(&member.agent);
            if !plan::is_news(before.and_then(|known| known.heard), heard, at == 0) {
                continue;
            }
            let row = PeerRow {
                touchpoint: short(&member.touchpoint),
                key: short(&member.key),
                revoked: before.is_some_and(|known| known.row.revoked),
            };
            if before.is_none_or(|known| known.row != row) {
                if before.is_none() && known.len() >= MEMBERS_MAX {
                    continue;
                }
                PEERS.put(&mut batch, &member.agent, &row)?;
            }
            let one = known
                .entry(member.agent)
                .or_insert_with(|| Known::new(row.clone()));
            (one.row, one.heard) = (row, Some(heard));
            if let Some(clocks) = member.clocks {
                one.note(Anchor {
                    at_boot_ms: heard.at_boot_ms,
                    clocks,
                });
            }
        }
        self.hear_delivered(meet)?;
        let near = self.neighbours().iter().filter(|one| one.near).count();
        metrics::gauge!("trenza_agent_neighbours").set(near as f64);
        if batch.is_empty() {
            return Ok(());
        }
        self.log.store().commit(batch, Durable::Later)
    }

    /// The server said whether it still takes anything of an agent.
    ///
    /// # Errors
    /// The store cannot be written; it is known all the same.
    pub fn note_revoked(&self, agent: &AgentId, revoked: bool) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        if let Some(known) = self.known().get_mut(agent)
            && known.row.revoked != revoked
        {
            known.row.revoked = revoked;
            PEERS.put(&mut batch, agent, &known.row)?;
        }
        if batch.is_empty() {
            return Ok(());
        }
        self.log.store().commit(batch, Durable::Later)
    }

    /// The server told that it takes nothing more of this agent.
    pub fn is_revoked(&self, agent: &AgentId) -> bool {
        self.link.told().revoked.contains(agent)
            || self
                .known()
                .get(agent)
                .is_some_and(|known| known.row.revoked)
    }

    /// Whether this device brings what `origin` captured to the server now.
    pub fn brings(&self, origin: &AgentId) -> bool {
        let heard = self.known().get(origin).and_then(|known| known.heard);
        plan::brings(heard, self.clock.boottime_ms(), self.fresh_ms())
    }

    /// How the neighbours stand: by place, then id.
    pub fn neighbours(&self) -> Vec<Neighbour> {
        let now_boot_ms = self.clock.boottime_ms();
        let waiting = self.carried.waiting();
        let told = self.link.told();
        let revoked =
            |agent: &AgentId, known: &Known| known.row.revoked || told.revoked.contains(agent);
        let known = self.known();
        let mut all: Vec<Neighbour> = known
            .iter()
            .map(|(agent, known)| Neighbour {
                agent: *agent,
                touchpoint: known.row.touchpoint.clone(),
                seen_ms: known
                    .heard
                    .map(|heard| now_boot_ms.saturating_sub(heard.at_boot_ms)),
                near: !revoked(agent, known)
                    && known
                        .heard
                        .is_some_and(|heard| heard.is_fresh(now_boot_ms, self.fresh_ms())),
                revoked: revoked(agent, known),
                carried_waiting: waiting
                    .iter()
                    .filter(|(name, _)| name.agent == *agent && name.lane.has_events())
                    .map(|(_, count)| count)
                    .sum(),
            })
            .collect();
        all.sort_by(|one, other| {
            one.touchpoint
                .cmp(&other.touchpoint)
                .then(one.agent.cmp(&other.agent))
        });
        all
    }

    /// Visits that the staff of the other agents registered today, as far as they are known here. Reads the disk.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn visits_today(&self) -> Result<BTreeMap<AgentId, u64>, StoreError> {
        let (now_ms, now_boot_ms) = (self.now_ms(), self.clock.boottime_ms());
        let (mut keys, mut boots) = (BTreeMap::new(), BTreeMap::new());
        for (agent, known) in self.known().iter() {
            keys.insert(*agent, known.row.key.clone());
            for (boot, anchor) in &known.boots {
                boots.insert((*agent, *boot), anchor.began_ms(now_ms, now_boot_ms));
            }
        }
        let held = self.carried.held();
        self.today
            .visits(&**self.log.store(), &held, &keys, &boots, now_ms)
    }

    /// What went wrong last at each address that is called; empty when nothing did.
    pub fn problems(&self) -> BTreeMap<String, String> {
        self.problems
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn note_problem(&self, url: &str, problem: String) -> bool {
        let mut problems = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
        let news = problems.get(url) != Some(&problem);
        problems.insert(url.to_owned(), problem);
        news
    }
}
