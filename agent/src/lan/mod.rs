//! Neighbours: agents of one venue exchange what they hold over the local network, and whoever has a way to the server brings it
//! there for all.
//!
//! Owns what is known of other agents. Never touches the device's own log but to read it. A neighbour is an agent whose
//! certificate is of the same authority and names the same venue; what it passes on is believed by its origin's signature
//! alone.

pub mod carried; // what is kept of others
pub mod clocks; // what time it is for the venue: pure
pub mod credentials; // who this device is to its neighbours
pub mod deliver; // from here to the server
pub mod delivered; // what others brought there for this device
pub mod find; // who is near
pub mod members; // who they are, and how they stand
pub mod plan; // what to give, what to bring: pure
pub mod serve; // the listener
pub mod start; // how it starts
pub mod talk; // calling a neighbour
#[cfg(test)]
mod tests;
pub mod today; // what the venue took in today

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;
use trenza_shared::{
    clock::Clock,
    id::{AgentId, BootId, Epoch, Lane, Seq},
    net::pki::PkiError,
    store::StoreError,
    wire::carried::{
        BadSigned, CARRIED_LANES_MAX, Clocks, Held, LaneName, MEMBERS_MAX, Meet, Member, Signed,
    },
    wire::sync::LaneHave,
};

use crate::{
    config::LanSection,
    link::{self, LinkCell},
    log::{self, Log},
    merge,
    room::{Room, RoomCell},
    sync::uplink::CredentialsError,
    tables::{PEERS, PeerRow},
    time::KnownTime,
};
use carried::{Carried, CarryError, Taken};
use clocks::{Anchor, BOOTS_PER_AGENT_MAX, Voice};
use credentials::Credentials;
use plan::Heard;

/// A neighbour that was not heard for so many meetings counts as gone.
const MEETINGS_MISSED_MAX: u64 = 5;
/// Shortest time after which a neighbour counts as gone. Unit: ms.
const FRESH_MS_MIN: u64 = 10_000;

/// Why something of a neighbour was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LanError {
    /// Forged, edited or damaged.
    #[error(transparent)]
    Bad(#[from] BadSigned),
    /// Signed by an agent of another venue.
    #[error("the frame is of an agent of the venue {0:?}")]
    OtherVenue(String),
    /// The server takes nothing more of its origin.
    #[error("the right of {0} was taken back")]
    Revoked(AgentId),
    /// No room, or the store.
    #[error(transparent)]
    Carry(#[from] CarryError),
    /// The device's own log cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Key and certificate cannot be read.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// A frame cannot be signed.
    #[error(transparent)]
    Pki(#[from] PkiError),
}

/// What is known of an agent of the venue.
#[derive(Clone)]
struct Known {
    row: PeerRow,
    heard: Option<Heard>,
    /// What it said of its clocks, by boot: the last word of each.
    boots: BTreeMap<u64, Anchor>,
}

impl Known {
    fn new(row: PeerRow) -> Self {
        Self {
            row,
            heard: None,
            boots: BTreeMap::new(),
        }
    }

    /// The last word of its clocks.
    fn anchor(&self) -> Option<&Anchor> {
        self.boots.values().max_by_key(|anchor| anchor.at_boot_ms)
    }

    /// Takes a word of its clocks.
    fn note(&mut self, anchor: Anchor) {
        self.boots.insert(anchor.clocks.boot, anchor);
        if self.boots.len() > BOOTS_PER_AGENT_MAX {
            let oldest = self.boots.iter().min_by_key(|(_, one)| one.at_boot_ms);
            if let Some(boot) = oldest.map(|(boot, _)| *boot) {
                self.boots.remove(&boot);
            }
        }
    }
}

/// What the parts of the agent share about its neighbours.
pub struct Lan {
    /// The settings.
    pub settings: LanSection,
    /// Who this device is to them.
    pub credentials: Credentials,
    /// What is kept of them.
    pub carried: Carried,
    log: Log,
    link: Arc<LinkCell>,
    clock: Arc<dyn Clock>,
    boot: BootId,
    zone: jiff::tz::TimeZone,
    touchpoint: String,
    key: String,
    room: Arc<RoomCell>,
    known: Mutex<BTreeMap<AgentId, Known>>,
    delivered: Mutex<delivered::Said>,
    /// By address: what went wrong last; empty when nothing did.
    problems: Mutex<BTreeMap<String, String>>,
    /// Where today begins in each of the own lanes: the day, and the number.
    begins: Mutex<BTreeMap<(Epoch, Lane), (i64, Seq)>>,
    taken: watch::Sender<u64>,
    today: today::VenueToday,
}

/// What [`Lan::open`] needs of the process.
pub struct LanParts {
    /// The settings.
    pub settings: LanSection,
    /// Who this device is.
    pub credentials: Credentials,
    /// The own log.
    pub log: Log,
    /// What is known of the server.
    pub link: Arc<LinkCell>,
    /// The device's clocks.
    pub clock: Arc<dyn Clock>,
    /// This boot.
    pub boot: BootId,
    /// Zone of the place.
    pub zone: jiff::tz::TimeZone,
    /// Name of the place.
    pub touchpoint: String,
    /// The kiosk's write key.
    pub key: String,
    /// How much room there is for visits.
    pub room: Arc<RoomCell>,
}

impl Lan {
    /// Opens what is remembered of neighbours.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn open(parts: LanParts) -> Result<Self, StoreError> {
        let store = parts.log.store().clone();
        let known = PEERS
            .rows(&*store)
            .map(|row| row.map(|(agent, row)| (agent, Known::new(row))))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            carried: Carried::open(store, parts.settings.carry_bytes_max)?,
            settings: parts.settings,
            credentials: parts.credentials,
            log: parts.log,
            link: parts.link,
            clock: parts.clock,
            boot: parts.boot,
            today: today::VenueToday::new(parts.zone.clone()),
            zone: parts.zone,
            touchpoint: parts.touchpoint,
            key: parts.key,
            room: parts.room,
            known: Mutex::new(known),
            delivered: Mutex::default(),
            problems: Mutex::default(),
            begins: Mutex::default(),
            taken: watch::channel(0).0,
        })
    }

    /// This agent.
    pub fn me(&self) -> AgentId {
        self.log.agent()
    }

    /// How this device's own clocks stand.
    fn own_clocks(&self) -> Clocks {
        let (told, boot) = (self.link.told(), self.boot.number());
        Clocks {
            boot,
            boottime_ms: self.clock.boottime_ms(),
            now_ms: KnownTime::new(boot, &told, &*self.clock).now_ms(&*self.clock),
            measured: told.measured.is_some_and(|measured| measured.boot == boot),
        }
    }

    /// How the clock of this boot runs, as all that are near agree: a device that woke in 1970 counts the same day as the others.
    pub fn time(&self) -> KnownTime {
        let own = self.own_clocks();
        let others: Vec<Voice> = self
            .known()
            .values()
            .filter_map(Known::anchor)
            .map(|anchor| anchor.voice(own.boottime_ms))
            .collect();
        let voice = Voice {
            now_ms: own.now_ms,
            measured: own.measured,
        };
        let now_ms = clocks::agreed_ms(voice, &others, self.link.passed_ms());
        KnownTime::agreed(own.boot, now_ms, own.boottime_ms)
    }

    /// What time it is, as all that are near agree. Unit: ms since 1970.
    pub fn now_ms(&self) -> i64 {
        self.time().now_ms(&*self.clock)
    }

    /// The own log's ends, as they grow.
    pub fn heads(&self) -> watch::Receiver<Arc<log::Heads>> {
        self.log.heads()
    }

    /// Counts frames of others that were kept.
    pub fn taken(&self) -> watch::Receiver<u64> {
        self.taken.subscribe()
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<AgentId, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fresh_ms(&self) -> u64 {
        FRESH_MS_MIN.max(
            self.settings
                .hello_every_ms
                .saturating_mul(MEETINGS_MISSED_MAX),
        )
    }

    /// The server took this agent's right back: it gets nothing of its neighbours any more.
    pub fn own_right_is_gone(&self) -> bool {
        self.link.now().revoked
    }

    /// Whose right was taken back, as the server told.
    pub fn revoked(&self) -> Vec<AgentId> {
        self.link.told().revoked.clone()
    }

    /// Gives up what is kept of others, who keep it themselves: this device has no right to it. Writes the disk.
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub fn give_up_carried(&self) -> Result<(), StoreError> {
        let gone = self.carried.clear()?;
        if gone > 0 {
            tracing::warn!(
                lan.frames = gone,
                "this agent was revoked: what it carried for neighbours is gone from it"
            );
        }
        Ok(())
    }

    /// What this agent says first when it meets another. Reads the disk.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn meet(&self) -> Result<Meet, StoreError> {
        let now_boot_ms = self.clock.boottime_ms();
        let mut members = vec![Member {
            agent: self.me(),
            touchpoint: self.touchpoint.clone(),
            key: self.key.clone(),
            uplink: self.link.now().up,
            age_ms: 0,
            clocks: Some(self.own_clocks()),
        }];
        members.extend(self.known().iter().filter_map(|(agent, known)| {
            let heard = known.heard?;
            Some(Member {
                agent: *agent,
                touchpoint: known.row.touchpoint.clone(),
                key: known.row.key.clone(),
                uplink: heard.uplink,
                age_ms: now_boot_ms.saturating_sub(heard.at_boot_ms),
                clocks: known.anchor().map(|anchor| anchor.clocks),
            })
        }));
        members.truncate(MEMBERS_MAX);
        Ok(Meet {
            program: env!("CARGO_PKG_VERSION").into(),
            members,
            held: self.held()?,
            delivered: self.delivered(),
        })
    }

    /// What this agent can give: its own lanes, then what it carries. Reads the disk.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn held(&self) -> Result<Vec<Held>, StoreError> {
        let mut held = Vec::new();
        let told = self.link.now().told;
        for ((epoch, lane), head) in self.log.ends().iter().rev() {
            let oldest = log::oldest(&**self.log.store(), *epoch, *lane)?;
            if head.seq == 0 || oldest == 0 {
                continue;
            }
            let acked = link::have(&told.lanes, *epoch, *lane).acked;
            let today = self.begins(*epoch, *lane)?;
            held.push(Held {
                name: LaneName {
                    agent: self.me(),
                    epoch: *epoch,
                    lane: *lane,
                },
                first: oldest.max(today.min(acked.saturating_add(1))).min(head.seq),
                last: head.seq,
                head: head.hash,
            });
        }
        held.extend(self.carried.held());
        held.truncate(CARRIED_LANES_MAX);
        Ok(held)
    }

    /// Where today begins in a lane: what is older and on the server is of no use to a neighbour.
    fn begins(&self, epoch: Epoch, lane: Lane) -> Result<Seq, StoreError> {
        let (from_ms, _) = merge::day_around(self.now_ms(), &self.zone);
        let mut begins = self.begins.lock().unwrap_or_else(PoisonError::into_inner);
        match begins.get(&(epoch, lane)) {
            Some((day, seq)) if *day == from_ms => Ok(*seq),
            _ => {
                let store = self.log.store();
                let seq = merge::first_of_day(&**store, epoch, lane, self.time(), from_ms)?;
                begins.insert((epoch, lane), (from_ms, seq));
                Ok(seq)
            }
        }
    }

    /// The frame after a number, of this agent or of another that it carries. Reads the disk.
    ///
    /// # Errors
    /// [`LanError`].
    pub fn next(&self, name: &LaneName, after: Seq) -> Result<Option<Signed>, LanError> {
        if name.agent != self.me() {
            return Ok(self.carried.next(name, after)?);
        }
        let Some(head) = self.log.ends().get(&(name.epoch, name.lane)).copied() else {
            return Ok(None);
        };
        let store = self.log.store();
        let frame = log::next_frame(&**store, name.epoch, name.lane, after, head.seq, head.seq)?;
        // What was captured under another id, before a copy became an agent of its own, cannot be signed under this one.
        let frame = frame.filter(|frame| frame.agent == name.agent);
        Ok(frame
            .map(|frame| self.credentials.sign(frame))
            .transpose()?)
    }

    /// Makes room for visits, which always come before what is carried: where it is short, what the server has goes at once; where
    /// nothing more can be taken in, all of it does. Its origins keep it. Writes the disk.
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub fn make_room(&self) -> Result<(), StoreError> {
        let before = self.carried.bytes();
        let gone = match self.room.now().room {
            Room::Plenty | Room::Failed => return Ok(()),
            Room::Short => self.carried.tidy(i64::MAX)?,
            Room::Full => self.carried.clear()?,
        };
        if gone > 0 {
            tracing::warn!(
                lan.frames = gone,
                "what was carried for neighbours makes room for visits"
            );
            // At least a byte: an empty lane takes room too.
            let bytes = before.saturating_sub(self.carried.bytes());
            self.room.pruned(bytes.max(1));
        }
        metrics::gauge!("trenza_agent_carried_bytes").set(self.carried.bytes() as f64);
        Ok(())
    }

    /// Keeps a frame that came from a neighbour, once its origin's signature proves it. Writes the disk.
    ///
    /// # Errors
    /// [`LanError`]; nothing was kept then.
    pub fn take(&self, signed: &Signed) -> Result<Taken, LanError> {
        let (owner, entries) = signed.open(self.credentials.ca())?;
        if owner.venue != self.credentials.venue() {
            return Err(LanError::OtherVenue(owner.venue));
        }
        let frame = &signed.frame;
        if owner.agent == self.me() {
            return Ok(Taken::Known(LaneHave {
                acked: frame.last(),
                ..LaneHave::nothing(frame.epoch, frame.lane)
            }));
        }
        if self.is_revoked(&owner.agent) {
            return Err(LanError::Revoked(owner.agent));
        }
        if self.room.now().room != Room::Plenty {
            metrics::counter!("trenza_agent_carry_refused_total").increment(1);
            return Err(CarryError::Full {
                bytes_max: self.settings.carry_bytes_max,
            }
            .into());
        }
        let now_ms = self.now_ms();
        let full =
            |taken: &Result<Taken, CarryError>| matches!(taken, Err(CarryError::Full { .. }));
        let mut taken = self.carried.take(signed, &entries, now_ms);
        if full(&taken) {
            // What the server has already goes first.
            self.carried.tidy(i64::MAX)?;
            taken = self.carried.take(signed, &entries, now_ms);
        }
        match &taken {
            Ok(Taken::Kept(_)) => {
                metrics::counter!("trenza_agent_carried_entries_total")
                    .increment(u64::from(signed.frame.count));
                self.taken.send_modify(|count| *count += 1);
            }
            Ok(Taken::Fork(have)) => {
                tracing::warn!(lan.origin = %owner.agent, log.epoch = have.epoch, "two histories of one agent: the first one is carried")
            }
            Err(CarryError::Full { .. }) => {
                metrics::counter!("trenza_agent_carry_refused_total").increment(1)
            }
            Ok(Taken::Known(_)) | Err(CarryError::Store(_)) => {}
        }
        metrics::gauge!("trenza_agent_carried_bytes").set(self.carried.bytes() as f64);
        Ok(taken?)
    }
}
