//! What neighbours brought to the server for this device, while it has no way there itself: told to people, and to nobody else.
//!
//! Nothing is ever deleted or left unsent for it: that takes the server's own word.

use std::{
    collections::BTreeMap,
    sync::{MutexGuard, PoisonError},
};

use serde::{Deserialize, Serialize};
use trenza_shared::{
    id::{AgentId, Epoch, Lane, Seq},
    store::StoreError,
    wire::{
        carried::{CARRIED_LANES_MAX, Delivered, LaneName, Meet},
        sync::LaneHave,
    },
};

use super::Lan;
use crate::{
    link,
    log::{self, Heads},
};

/// Events of this device that a neighbour brought to the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brought {
    /// Who brought them.
    pub agent: AgentId,
    /// Where it stands; empty where that is not known.
    pub touchpoint: String,
    /// How many.
    pub events: u64,
}

/// What was said of each lane, this device's and others'.
pub(super) type Said = BTreeMap<LaneName, Delivered>;

/// Takes in what was said of a lane: whoever tells most is believed, and of equals the first. False where that is no news.
fn join(said: &mut Said, one: &Delivered) -> bool {
    let full = said.len() >= CARRIED_LANES_MAX;
    match said.get_mut(&one.name) {
        Some(known) if known.acked >= one.acked => return false,
        Some(known) => *known = one.clone(),
        None if full => return false,
        None => {
            said.insert(one.name, one.clone());
        }
    }
    true
}

/// Whether an entry of this device was brought, and by whom.
pub fn brought_by(said: &[Delivered], epoch: Epoch, lane: Lane, seq: Seq) -> Option<AgentId> {
    said.iter()
        .find(|one| (one.name.epoch, one.name.lane) == (epoch, lane) && seq <= one.acked)
        .map(|one| one.by)
}

/// Of the events that the server is not known to have, those that were brought there: how many, by whom.
fn brought(heads: &Heads, told: &[LaneHave], said: &[Delivered]) -> BTreeMap<AgentId, u64> {
    let mut counts = BTreeMap::new();
    for one in said.iter().filter(|one| one.name.lane.has_events()) {
        let (epoch, lane) = (one.name.epoch, one.name.lane);
        let last = heads.get(&(epoch, lane)).map_or(0, |head| head.seq);
        let runs = link::have(told, epoch, lane).missing(1, last.min(one.acked));
        let events: u64 = runs.iter().map(|run| run.end() - run.start() + 1).sum();
        if events > 0 {
            *counts.entry(one.by).or_default() += events;
        }
    }
    counts
}

impl Lan {
    fn said(&self) -> MutexGuard<'_, Said> {
        self.delivered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// What this agent passes on of it.
    pub(super) fn delivered(&self) -> Vec<Delivered> {
        self.said().values().cloned().collect()
    }

    /// The server told this agent what it has of a lane that it carries.
    pub(super) fn note_delivered(&self, name: &LaneName, have: &LaneHave) {
        if have.acked == 0 {
            return;
        }
        let one = Delivered {
            name: *name,
            acked: have.acked,
            hash: have.hash,
            by: self.me(),
        };
        if join(&mut self.said(), &one) {
            // The neighbours are to hear of it at once.
            self.taken.send_modify(|count| *count += 1);
        }
    }

    /// A neighbour said what was brought. Of this device's own lanes only what is its own history counts. Reads the disk.
    pub(super) fn hear_delivered(&self, meet: &Meet) -> Result<(), StoreError> {
        for one in meet.delivered.iter().take(CARRIED_LANES_MAX) {
            let known = self.said().get(&one.name).map_or(0, |known| known.acked);
            if known >= one.acked {
                continue;
            }
            if one.name.agent == self.me() {
                let (epoch, lane) = (one.name.epoch, one.name.lane);
                let own = log::hash_at(&**self.log.store(), epoch, lane, one.acked)?;
                if own != Some(one.hash) {
                    continue;
                }
            }
            join(&mut self.said(), one);
        }
        Ok(())
    }

    /// What is said of this device's own lanes; nothing while the server itself answers.
    pub fn delivered_mine(&self) -> Vec<Delivered> {
        if self.link.now().up {
            return Vec::new();
        }
        let me = self.me();
        let said = self.said();
        said.values()
            .filter(|one| one.name.agent == me)
            .cloned()
            .collect()
    }

    /// Name of the place of an agent; its id where the place is not known.
    pub fn place_of(&self, agent: &AgentId) -> String {
        let known = self.known();
        let place = known.get(agent).map(|known| known.row.touchpoint.clone());
        place
            .filter(|place| !place.is_empty())
            .unwrap_or_else(|| agent.to_string())
    }

    /// This device's events that neighbours brought to the server while it cannot ask itself.
    pub fn brought(&self) -> Vec<Brought> {
        let (heads, told) = (self.log.ends(), self.link.told());
        let counts = brought(&heads, &told.lanes, &self.delivered_mine());
        let brought = counts.into_iter().map(|(agent, events)| Brought {
            agent,
            touchpoint: self.place_of(&agent),
            events,
        });
        brought.collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use trenza_shared::id::ChainHash;

    use super::*;
    use crate::log::Head;

    fn name(lane: Lane) -> LaneName {
        LaneName {
            agent: AgentId([1; 16]),
            epoch: 1,
            lane,
        }
    }

    fn one(lane: Lane, acked: Seq, by: u8) -> Delivered {
        Delivered {
            name: name(lane),
            acked,
            hash: ChainHash([0; 32]),
            by: AgentId([by; 16]),
        }
    }

    #[test]
    fn only_what_waits_counts_as_brought() {
        let head = |seq| Head {
            seq,
            hash: ChainHash([0; 32]),
        };
        let heads: Heads = [
            ((1, Lane::Visits), head(20)),
            ((1, Lane::Clock), head(4)),
            ((2, Lane::Visits), head(3)),
        ]
        .into();
        let told = [LaneHave {
            acked: 5,
            ..LaneHave::nothing(1, Lane::Visits)
        }];
        let said = [one(Lane::Visits, 12, 7), one(Lane::Clock, 4, 7)];
        let counts = brought(&heads, &told, &said);
        assert_eq!(counts, [(AgentId([7; 16]), 7)].into());
        assert!(brought(&heads, &told, &[one(Lane::Visits, 5, 7)]).is_empty());
        // More than was ever given out counts nothing.
        assert_eq!(
            brought(&heads, &told, &[one(Lane::Visits, 99, 7)])[&AgentId([7; 16])],
            15
        );
        assert_eq!(brought_by(&said, 1, Lane::Visits, 12), Some(said[0].by));
        assert_eq!(brought_by(&said, 1, Lane::Visits, 13), None);
        assert_eq!(brought_by(&said, 2, Lane::Visits, 1), None);
    }

    proptest! {
        /// Whatever the order in which it is heard, the same is known in the end: how far a lane is.
        #[test]
        fn what_is_heard_joins(said in proptest::collection::vec((0usize..3, 1u64..50, 1u8..4), 0..20).prop_flat_map(|said| (Just(said.clone()), Just(said).prop_shuffle()))) {
            let fold = |all: &[(usize, Seq, u8)]| {
                let mut said = Said::new();
                for (lane, acked, by) in all {
                    join(&mut said, &one(Lane::ALL[*lane], *acked, *by));
                }
                said.into_values().map(|one| (one.name, one.acked)).collect::<Vec<_>>()
            };
            prop_assert_eq!(fold(&said.0), fold(&said.1));
        }
    }
}
