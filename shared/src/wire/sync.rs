//! What agent and server say to each other beside frames.

use std::{collections::BTreeMap, ops::RangeInclusive};

use serde::{Deserialize, Serialize};

use super::Shape;
use crate::{
    id::{AgentId, BootId, ChainHash, Epoch, InstanceId, Lane, Nonce, Seq},
    wire::entry::CHAIN_START,
};

/// Most lanes named in one message: lanes times epochs an agent may have lived through.
pub const LANES_MAX: usize = 256;
/// Most segments beyond a gap that a server names of a lane in one answer.
pub const SEGMENTS_MAX: usize = 64;
/// Most revoked agents of a venue that are named in a welcome.
pub const REVOKED_MAX: usize = 256;
/// Most runs of numbers that an agent keeps aside and does not deliver, all of which it tells.
pub const KEPT_MAX: usize = 1_000;
/// Most marks in one answer: at distances of 0, 1, 2, 4, 8... numbers they span any lane.
pub const MARKS_MAX: usize = 66;

/// A run of a lane without a gap, every link of whose chain was checked. Also what a frame says of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Segment {
    /// Its first sequence number.
    pub first: Seq,
    /// Its last.
    pub last: Seq,
    /// Chain before the first.
    pub previous: ChainHash,
    /// Chain after the last.
    pub head: ChainHash,
}

/// The chain at one place of a lane.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Mark {
    /// The sequence number.
    pub seq: Seq,
    /// Chain after it.
    pub hash: ChainHash,
}

/// Where the history of a lane went on: a lane that the server could not follow, because another copy of the agent had written
/// other entries under its numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Lineage {
    /// The epoch that was left.
    pub from: Epoch,
    /// Which of its logs.
    pub lane: Lane,
    /// The last number that both branches have in common; 0 when none is known.
    pub after: Seq,
    /// The epoch in which what came after it was appended again.
    pub into: Epoch,
}

/// Header of a frame's request: which start of the program sends it.
pub const INSTANCE_HEADER: &str = "trenza-instance";
/// Error code of a frame from a start of the program that is not the one the server heard last: a hello decides.
pub const NOT_CURRENT: &str = "not_current";
/// Error code of what the server has no time for now: its `Retry-After` says when this agent's turn comes.
pub const BUSY: &str = "busy";
/// Error code of anything but a renewal under a certificate that has expired.
pub const CERTIFICATE_EXPIRED: &str = "certificate_expired";
/// Error code of an agent whose right was taken back.
pub const AGENT_REVOKED: &str = "revoked";
/// Error code of a renewal that comes too late.
pub const CERTIFICATE_TOO_OLD: &str = "certificate_too_old";
/// For how long a certificate that has expired can still be renewed: a season without contact, and then some. Unit: ms.
pub const RENEWABLE_MS: u64 = 366 * 24 * 3_600_000;

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

/// Numbers that an agent holds and cannot deliver: the server refuses them for good, or they cannot be read any more.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Kept {
    /// Life of the log.
    pub epoch: Epoch,
    /// Which of its logs.
    pub lane: Lane,
    /// The first.
    pub first: Seq,
    /// The last.
    pub last: Seq,
    /// Short, stable name of the reason.
    pub code: String,
}

/// Where a lane of a log ended that is not on the device any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LaneEnd {
    /// Life of the log.
    pub epoch: Epoch,
    /// Which of its logs.
    pub lane: Lane,
    /// The last number that is known to have been given out: there may have been more.
    pub seq: Seq,
}

/// A run of numbers of a lane.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LaneRun {
    /// Life of the log.
    pub epoch: Epoch,
    /// Which of its logs.
    pub lane: Lane,
    /// The first number.
    pub first: Seq,
    /// The last.
    pub last: Seq,
}

/// Most runs of [`Began::back`].
pub const BACK_MAX: usize = 256;

/// What an agent went on without: its store was gone, or went back in time. What it had not sent by then is lost, or on its old disk.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Began {
    /// The epoch in which it began anew.
    pub epoch: Epoch,
    /// When, by the device's clock. Unit: ms since 1970.
    pub at_ms: i64,
    /// How far it had written before, as far as it knows.
    pub ends: Vec<LaneEnd>,
    /// The store was damaged and stands aside on the device: what can be read of it is appended again.
    pub aside: bool,
    /// What of those lanes was read there: it is stored by the server, or comes under other numbers. The longest runs, at most
    /// [`BACK_MAX`].
    #[serde(default)]
    pub back: Vec<LaneRun>,
    /// What stands aside is not read to its end yet.
    #[serde(default)]
    pub searching: bool,
}

/// How an agent was enrolled, as it tells a server that has forgotten it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Introduction {
    /// Where it stands.
    pub touchpoint: String,
    /// By which national formats are read there. ISO 3166-1 alpha-2.
    pub country: String,
    /// IANA name of the zone of the place.
    pub zone: String,
    /// Its kiosk's own write key.
    pub write_key: String,
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
    /// The server's clock less the agent's, as measured; none before the first talk. Unit: ms.
    pub clock_offset_ms: Option<i64>,
    /// Free space where the log lives. Unit: bytes.
    pub disk_free_bytes: u64,
    /// Lanes that were left, and where they go on: at most [`LANES_MAX`], the last ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lineage: Vec<Lineage>,
    /// This start of the program; none from programs that do not know of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<InstanceId>,
    /// Answers [`CopyWord::Prove`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Nonce>,
    /// Answers [`Welcome::introduce`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub introduction: Option<Introduction>,
    /// What it keeps and cannot deliver: holds back no acknowledgement of what follows. At most [`KEPT_MAX`], by lane and number.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<Kept>,
    /// The last time that it began anew; none where it never did, and of programs that do not tell. At most one end a lane.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began: Option<Began>,
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
    /// What is on stable storage after a gap: ascending, at most [`SEGMENTS_MAX`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub beyond: Vec<Segment>,
    /// Of a lane whose histories differ: the server's chain at some places, descending, at most [`MARKS_MAX`], by which the agent
    /// finds the last number in common.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub marks: Vec<Mark>,
}

impl LaneHave {
    /// Of a lane of which nothing is there.
    pub fn nothing(epoch: Epoch, lane: Lane) -> Self {
        Self {
            epoch,
            lane,
            acked: 0,
            hash: CHAIN_START,
            archived: 0,
            beyond: Vec::new(),
            marks: Vec::new(),
        }
    }

    /// The last number that is there, gaps or not; 0 when nothing is.
    pub fn last(&self) -> Seq {
        self.beyond
            .last()
            .map_or(self.acked, |segment| segment.last.max(self.acked))
    }

    /// Which of the numbers from `first` to `last` are not there: ascending runs.
    pub fn missing(&self, first: Seq, last: Seq) -> Vec<RangeInclusive<Seq>> {
        let mut out = Vec::new();
        let mut next = first.max(self.acked.saturating_add(1));
        for segment in &self.beyond {
            if segment.first > last {
                break;
            }
            if segment.first > next {
                out.push(next..=segment.first - 1);
            }
            next = next.max(segment.last.saturating_add(1));
        }
        if next <= last {
            out.push(next..=last);
        }
        out
    }

    /// Everything that `earlier` has is here too: false of a server that lost something.
    pub fn holds(&self, earlier: &Self) -> bool {
        let runs = std::iter::once((1, earlier.acked))
            .chain(earlier.beyond.iter().map(|one| (one.first, one.last)));
        runs.into_iter()
            .all(|(first, last)| self.missing(first, last).is_empty())
    }
}

/// Origins of the pages that may send with a write key; a key that any page may send with is not named.
pub type Origins = BTreeMap<String, Vec<String>>;

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
    /// Of those that only some pages may use, which pages.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub origins: Origins,
    /// Said when two copies of this agent seem to run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy: Option<CopyWord>,
    /// The server was restored from before this agent enrolled, and knows it by its certificate alone: it is to say hello again
    /// at once, with its introduction.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub introduce: bool,
    /// Version of the server's program: another one may take what this one refused.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub program: String,
    /// Agents of its venue whose right was taken back: they get nothing of it any more. At most [`REVOKED_MAX`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub revoked: Vec<AgentId>,
}

/// What the server says to an agent whose id another running program uses too.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CopyWord {
    /// Say hello again at once with this as the proof: shows that this start of the program runs now.
    Prove(Nonce),
    /// The other one keeps the id: become an agent of its own.
    BecomeOwn,
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

    /// A hello as programs before instances said it.
    #[derive(Serialize)]
    struct HelloBefore {
        agent: AgentId,
        program: String,
        epoch: Epoch,
        lanes: Vec<LaneHead>,
        waiting: u64,
        boot: BootId,
        boottime_ms: u64,
        wall_ms: i64,
        clock_offset_ms: Option<i64>,
        disk_free_bytes: u64,
    }

    #[test]
    fn a_hello_and_a_welcome_without_the_later_fields_are_understood() {
        let before = HelloBefore {
            agent: AgentId([1; 16]),
            program: "0.1.0".into(),
            epoch: 1,
            lanes: vec![],
            waiting: 0,
            boot: BootId([2; 16]),
            boottime_ms: 1,
            wall_ms: 2,
            clock_offset_ms: None,
            disk_free_bytes: 3,
        };
        let mut bytes = vec![1];
        bytes.extend(rmp_serde::to_vec_named(&before).unwrap());
        let hello = Hello::from_bytes(&bytes).unwrap();
        assert_eq!((hello.instance, hello.proof), (None, None));
        assert_eq!((hello.introduction, hello.kept), (None, vec![]));
        #[derive(Serialize)]
        struct WelcomeBefore {
            generation: u64,
            received_ms: i64,
            sent_ms: i64,
            lanes: Vec<LaneHave>,
            write_keys: Vec<String>,
        }
        let before = WelcomeBefore {
            generation: 1,
            received_ms: 2,
            sent_ms: 3,
            lanes: vec![],
            write_keys: vec![],
        };
        let mut bytes = vec![1];
        bytes.extend(rmp_serde::to_vec_named(&before).unwrap());
        let welcome = Welcome::from_bytes(&bytes).unwrap();
        assert_eq!((welcome.copy, welcome.introduce), (None, false));
        assert!(welcome.origins.is_empty());
    }

    #[test]
    fn a_word_about_copies_survives_the_wire() {
        for word in [
            None,
            Some(CopyWord::Prove(Nonce([7; 16]))),
            Some(CopyWord::BecomeOwn),
        ] {
            let welcome = Welcome {
                generation: 1,
                received_ms: 2,
                sent_ms: 3,
                lanes: vec![],
                write_keys: vec![],
                origins: Origins::from([("wk".into(), vec!["https://shop.example".into()])]),
                copy: word,
                introduce: false,
                program: "0.1.0".into(),
                revoked: Vec::new(),
            };
            assert_eq!(Welcome::from_bytes(&welcome.to_bytes()).unwrap(), welcome);
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
            ..LaneHave::nothing(1, Lane::Visits)
        };
        assert!(Ack::Stored(have).to_bytes().len() < 120);
    }

    fn segment(first: Seq, last: Seq) -> Segment {
        Segment {
            first,
            last,
            previous: ChainHash([1; 32]),
            head: ChainHash([2; 32]),
        }
    }

    /// As the first release wrote it: bytes that stand in stores and come from agents that nobody updates.
    #[test]
    fn an_acknowledgement_of_the_first_release_is_understood_and_written() {
        let have = LaneHave {
            acked: 5,
            hash: ChainHash([1; 32]),
            archived: 4,
            ..LaneHave::nothing(3, Lane::Urgent)
        };
        let bytes = Ack::Gap(have.clone()).to_bytes();
        assert_eq!(crate::id::to_hex(&bytes), FROZEN_GAP);
        assert_eq!(Ack::from_bytes(&bytes).unwrap(), Ack::Gap(have));
    }
    const FROZEN_GAP: &str = "0181a367617085a565706f636803a46c616e6500a561636b656405a468617368c4200101010101010101010101010101010101010101010101010101010101010101a8617263686976656404";

    #[test]
    fn what_is_missing_lies_between_what_is_there() {
        let have = LaneHave {
            acked: 10,
            beyond: vec![segment(21, 30), segment(41, 50)],
            ..LaneHave::nothing(1, Lane::Visits)
        };
        assert_eq!(have.missing(1, 60), [11..=20, 31..=40, 51..=60]);
        assert_eq!(have.missing(25, 45), [31..=40]);
        assert_eq!(have.missing(22, 29), []);
        assert_eq!(have.missing(61, 60), []);
        assert_eq!(have.last(), 50);
        let more = LaneHave {
            acked: 50,
            ..LaneHave::nothing(1, Lane::Visits)
        };
        assert!(more.holds(&have) && !have.holds(&more) && have.holds(&have));
    }
}
