//! What agent and server say to each other beside frames.

use serde::{Deserialize, Serialize};

use super::Shape;
use crate::id::{AgentId, BootId, ChainHash, Epoch, Lane, Seq};

/// Most lanes named in one message: lanes times epochs an agent may have lived through.
pub const LANES_MAX: usize = 256;

/// Where one lane of an agent's log ends.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LaneHead {
    /// Life of the log.
    pub epoch: Epoch,
    /// Which of its logs.
    pub lane: Lane,
    /// Last sequence number; 0 = empty.
    pub seq: Seq,
    /// Chain after it.
    pub hash: ChainHash,
    /// First sequence number still on the device.
    pub oldest: Seq,
}

/// The agent opens the talk, version 1.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Hello {
    /// Who speaks; must be the one its certificate was issued to.
    pub agent: AgentId,
    /// Version of the program.
    pub program: String,
    /// The epoch in which it writes.
    pub epoch: Epoch,
    /// Every lane it holds.
    pub lanes: Vec<LaneHead>,
    /// Events not yet acknowledged.
    pub waiting: u64,
    /// Boot of the device.
    pub boot: BootId,
    /// Monotonic clock. Unit: ms since boot.
    pub boottime_ms: u64,
    /// Wall clock. Unit: ms since 1970.
    pub wall_ms: i64,
    /// Offset from the server measured at the last talk. Unit: ms.
    pub clock_offset_ms: Option<i64>,
    /// Free space where the log lives. Unit: bytes.
    pub disk_free_bytes: u64,
}

impl Shape for Hello {
    const WHAT: &'static str = "hello";
}

/// What the server has of one lane.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LaneHave {
    /// Life of the log.
    pub epoch: Epoch,
    /// Which of its logs.
    pub lane: Lane,
    /// Everything up to here is on the server's stable storage.
    pub acked: Seq,
    /// Chain after it: the server checked every link.
    pub hash: ChainHash,
    /// Everything up to here is archived too (in a backup or on a second node): only this may be deleted.
    pub archived: Seq,
}

/// The server's answer to a hello, version 1.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Welcome {
    /// Changes on every restore of the server: the agent then believes only `lanes`.
    pub generation: u64,
    /// Wall clock when the hello came. Unit: ms since 1970.
    pub received_ms: i64,
    /// Wall clock when this was sent. Unit: ms since 1970.
    pub sent_ms: i64,
    /// What the server has of this agent.
    pub lanes: Vec<LaneHave>,
    /// Write keys of the organisation, so that the agent can tell a known one.
    pub write_keys: Vec<String>,
}

impl Shape for Welcome {
    const WHAT: &'static str = "welcome";
}

/// The server's answer to a frame, version 1.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ack {
    /// Stored, up to the head named.
    Stored(LaneHave),
    /// The frame does not follow what the server has: send from the number after it.
    Gap(LaneHave),
    /// The frame contradicts what the server has under known numbers: another copy of this agent wrote them.
    Fork(LaneHave),
}

impl Shape for Ack {
    const WHAT: &'static str = "acknowledgement";
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_bytes_make_a_decoder_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            bytes.insert(0, 1);
            let _either = Hello::from_bytes(&bytes);
            let _either = Welcome::from_bytes(&bytes);
            let _either = Ack::from_bytes(&bytes);
        }
    }

    #[test]
    fn nothing_new_costs_little() {
        let have = LaneHave {
            epoch: 1,
            lane: Lane::Visits,
            acked: 37_000,
            hash: ChainHash([1; 32]),
            archived: 37_000,
        };
        assert!(Ack::Stored(have).to_bytes().len() < 120);
    }
}
