//! The log as received: its records, and what is stored of every lane of an agent.

use serde::{Deserialize, Serialize};
use trenza_shared::{
    id::{ChainHash, Seq},
    store::{Row, Value as _},
    wire::{
        entry::{CHAIN_START, SaltKey},
        frame::Run,
        sync::Segment,
    },
};

use super::Hop;

/// One durable step of the server's log: the entries of a request, of a frame, of a chunk of an import.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RecordRow {
    /// When it came, by the server's clock. Unit: ms since 1970.
    pub received_ms: i64,
    /// By what way.
    pub hop: Hop,
    /// How many entries.
    pub count: u32,
    /// The entries, as in a frame.
    pub run: Run,
    /// Of an agent's frame: what its chain needs to be checked again, and the frame to be passed on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub links: Option<Links>,
}
impl Row for RecordRow {}

/// The chain around a run of entries.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Links {
    /// Chain before the first entry.
    pub previous: ChainHash,
    /// Chain after the last.
    pub head: ChainHash,
    /// Key of the salts.
    pub salt_key: SaltKey,
}

impl std::fmt::Debug for Links {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The key of the salts is nobody's business in a log.
        write!(to, "{} to {}", self.previous, self.head)
    }
}

/// What the server has of one lane of an agent, version 2. As it is stored; the whole of it is read by
/// [`segments`](crate::sync::segments).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneRow {
    /// Runs without a gap, every link of which was checked: ascending. Two of them never touch.
    pub segments: Vec<Segment>,
    /// How many more lie before them, each in a row of [`EARLIER`](super::EARLIER): what every frame writes stays small however
    /// many gaps a lane has.
    #[serde(default, skip_serializing_if = "is_none")]
    pub earlier: u32,
}

fn is_none(count: &u32) -> bool {
    *count == 0
}

/// A run before those of its [`LaneRow`]; its first number is in the key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EarlierRow {
    /// Its last number.
    pub last: Seq,
    /// Chain before its first.
    pub previous: ChainHash,
    /// Chain after its last.
    pub head: ChainHash,
}
impl Row for EarlierRow {}

impl LaneRow {
    /// Everything from 1 to `seq`.
    pub fn up_to(seq: Seq, hash: ChainHash) -> Self {
        let all = Segment {
            first: 1,
            last: seq,
            previous: CHAIN_START,
            head: hash,
        };
        Self {
            segments: if seq == 0 { Vec::new() } else { vec![all] },
            earlier: 0,
        }
    }

    /// How many entries are stored, of a whole row.
    pub fn count(&self) -> u64 {
        self.segments
            .iter()
            .map(|segment| segment.last - segment.first + 1)
            .sum()
    }
}

impl Row for LaneRow {
    const VERSION: u8 = 2;

    fn from_older(version: u8, body: &[u8]) -> Result<Self, String> {
        match version {
            1 => LaneRowV1::decode(&[&[1], body].concat())
                .map(|LaneRowV1 { seq, hash }| Self::up_to(seq, hash)),
            _ => Err(format!(
                "it has version {version}, this program reads up to {}",
                Self::VERSION
            )),
        }
    }
}

/// Version 1: a lane without gaps.
#[derive(Serialize, Deserialize)]
struct LaneRowV1 {
    seq: Seq,
    hash: ChainHash,
}
impl Row for LaneRowV1 {}

/// Where a stored run of a lane ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarkRow {
    /// Number of the record in the log.
    pub record: u64,
    /// The run's first sequence number.
    pub first: Seq,
    /// Chain after its last.
    pub head: ChainHash,
}
impl Row for MarkRow {}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of stores that were written before lanes had segments and records had links.
    #[test]
    fn rows_of_the_first_version_are_read() {
        #[derive(Serialize, Deserialize)]
        struct OldRecord {
            received_ms: i64,
            hop: Hop,
            count: u32,
            run: Run,
        }
        impl Row for OldRecord {}
        let hash = ChainHash([3; 32]);
        let lane = |seq| LaneRow::decode(&LaneRowV1 { seq, hash }.encode().unwrap()).unwrap();
        assert_eq!(lane(7), LaneRow::up_to(7, hash));
        assert_eq!(lane(0), LaneRow::default());
        let record = OldRecord {
            received_ms: 5,
            hop: Hop::Own,
            count: 1,
            run: Run(vec![0]),
        };
        let record = RecordRow::decode(&record.encode().unwrap()).unwrap();
        assert!(record.received_ms == 5 && record.links.is_none());
        assert!(LaneRow::decode(&[9]).is_err());
    }
}
