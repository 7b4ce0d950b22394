//! Every table of the agent's store: its key and its value.

use serde::{Deserialize, Serialize};
use trenza_shared::{
    id::{AgentId, ChainHash, Epoch, Lane, Seq},
    skew::Fact,
    store::{Row, Space, Table},
    wire::{
        carried::Signed,
        dropped::Reason,
        frame::Frame,
        sync::{Began, LaneHave, Lineage, Origins},
    },
};

/// A run of entries as it was committed; the key names its first sequence number.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ChunkRow(pub Frame);
impl Row for ChunkRow {}

/// What the agent knows of itself that no configuration says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateRow {
    /// The epoch in which it writes.
    pub epoch: Epoch,
    /// Root of the salts of its chain.
    #[serde(with = "serde_bytes")]
    pub salt_root: Vec<u8>,
    /// Lanes that another copy of this agent went on with, or that the server can no longer follow: what they held was
    /// appended again in a later epoch.
    #[serde(default)]
    pub left: Vec<(Epoch, Lane)>,
    /// Of lanes that were left: up to where they are still sent, because what follows went on elsewhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lineage: Vec<Lineage>,
    /// Of lanes that were written under another id: what was left to the server.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trusted: Vec<Trusted>,
}
impl Row for StateRow {}

/// The last time that the log went on without what was written before.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BeganRow(pub Began);
impl Row for BeganRow {}

/// The part of a lane that a server had when this device left it for an id of its own: not appended again, for as long as that
/// server has the same history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trusted {
    /// Life of the log.
    pub epoch: Epoch,
    /// Which of its logs.
    pub lane: Lane,
    /// The last number that the server had.
    pub upto: Seq,
    /// Which history it had then.
    pub generation: u64,
}

/// What cannot be delivered: from the number in the key on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptRow {
    /// The last number.
    pub last: Seq,
    /// Short, stable name of the reason.
    pub code: String,
    /// Sentence.
    pub reason: String,
    /// When it was found out. Unit: ms since 1970.
    pub at_ms: i64,
    /// Version of this program then.
    pub program: String,
    /// Version of the server then; empty where it is not known.
    pub server: String,
}
impl Row for KeptRow {}

/// What the server told last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerRow {
    /// Changes on every restore of the server.
    pub generation: u64,
    /// What it has, per lane and epoch.
    pub lanes: Vec<LaneHave>,
    /// Write keys of the organisation.
    pub write_keys: Vec<String>,
    /// Which pages may use some of them.
    #[serde(default)]
    pub origins: Origins,
    /// Version of its program; empty where it did not tell.
    #[serde(default)]
    pub program: String,
    /// Its clock less ours, best of the last talks. Unit: ms.
    pub clock_offset_ms: Option<i64>,
    /// Its wall clock at the last talk. Unit: ms since 1970.
    pub server_ms: i64,
    /// What was last stated of this device's clock.
    #[serde(default)]
    pub measured: Option<Measured>,
    /// Agents of the venue whose right was taken back.
    #[serde(default)]
    pub revoked: Vec<AgentId>,
}
impl Row for ServerRow {}

/// The clock of a boot, measured against the server's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measured {
    /// Which boot, as [`BootId::number`](trenza_shared::id::BootId::number).
    pub boot: u64,
    /// Under which id it was stated: a copy that got one of its own states it again.
    pub agent: AgentId,
    /// The measurement.
    pub fact: Fact,
}

/// Where the log ended at a time of the server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarkRow {
    /// Last number of each lane.
    pub ends: Vec<(Epoch, Lane, Seq)>,
}
impl Row for MarkRow {}

/// Entries that were given up for want of room, from the number in the key on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DroppedRow {
    /// The last number.
    pub last: Seq,
    /// How many of them the server did not have.
    pub lost: u64,
    /// Why.
    pub reason: Reason,
    /// When the last of them was, by the device's clock. Unit: ms since 1970.
    pub at_ms: i64,
}
impl Row for DroppedRow {}

/// A frame of another agent of the venue, as its origin signed it.
#[derive(Clone, Serialize, Deserialize)]
pub struct PeerFrameRow {
    /// The frame.
    pub signed: Signed,
    /// When it was taken. Unit: ms since 1970.
    pub taken_ms: i64,
}
impl Row for PeerFrameRow {}

/// What is kept of one lane of another agent. Changes with its frames, in one batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerLaneRow {
    /// First number kept.
    pub first: Seq,
    /// Last number kept.
    pub last: Seq,
    /// Chain after it.
    pub head: ChainHash,
    /// Of its frames. Unit: bytes.
    pub bytes: u64,
}
impl Row for PeerLaneRow {}

/// Another agent of the venue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerRow {
    /// Where it stands.
    pub touchpoint: String,
    /// Its kiosk's write key.
    pub key: String,
    /// The server said that its right was taken back.
    pub revoked: bool,
}
impl Row for PeerRow {}

/// The log: (epoch, lane, first sequence number) -> chunk.
pub const LOG: Table<(Epoch, Lane, Seq), ChunkRow> = Table::new(Space("log"));
/// Events that are settled, to count late retries: (45 days' number, start of the content id).
pub const KNOWN: Table<(u32, u64), ()> = Table::new(Space("known"));
/// (epoch, lane) -> last sequence number that is settled.
pub const SETTLED: Table<(Epoch, Lane), Seq> = Table::new(Space("settled"));
/// One row: the agent's own state.
pub const STATE: Table<(), StateRow> = Table::new(Space("state"));
/// One row: the last time that the log went on without what was written before; none where it never did.
pub const BEGAN: Table<(), BeganRow> = Table::new(Space("began"));
/// One row: what the server told last.
pub const SERVER: Table<(), ServerRow> = Table::new(Space("server"));
/// The server's wall clock, in ms since 1970 -> where the log ended then.
pub const MARKS: Table<i64, MarkRow> = Table::new(Space("mark"));

/// While damaged stores are salvaged: the entries appended out of them, by a hash of their bytes.
pub const SALVAGED: Table<[u8; 16], ()> = Table::new(Space("salvaged"));

/// (epoch, lane, first sequence number) -> what was given up.
pub const DROPPED: Table<(Epoch, Lane, Seq), DroppedRow> = Table::new(Space("dropped"));

/// (agent, epoch, lane, first sequence number) -> frame of another agent.
pub const PEER_FRAMES: Table<(AgentId, Epoch, Lane, Seq), PeerFrameRow> =
    Table::new(Space("peer_frame"));
/// (agent, epoch, lane) -> what is kept of it.
pub const PEER_LANES: Table<(AgentId, Epoch, Lane), PeerLaneRow> = Table::new(Space("peer_lane"));
/// Other agents of the venue.
pub const PEERS: Table<AgentId, PeerRow> = Table::new(Space("peer"));

/// (epoch, lane, first sequence number) -> what is kept aside, since it cannot be delivered.
pub const KEPT: Table<(Epoch, Lane, Seq), KeptRow> = Table::new(Space("kept"));
/// The same key -> the frame that was refused, or the chunk as it was found.
pub const KEPT_BYTES: Table<(Epoch, Lane, Seq), Vec<u8>> = Table::new(Space("kept_bytes"));

/// All of them, to open the store with.
pub const SPACES: [Space; 14] = [
    LOG.space(),
    KNOWN.space(),
    SETTLED.space(),
    STATE.space(),
    BEGAN.space(),
    SERVER.space(),
    MARKS.space(),
    SALVAGED.space(),
    KEPT.space(),
    KEPT_BYTES.space(),
    DROPPED.space(),
    PEER_FRAMES.space(),
    PEER_LANES.space(),
    PEERS.space(),
];
