//! What agents of one venue tell each other, and what one brings to the server for another.
//!
//! A frame travels between agents as its origin signed it: who carries it can neither forge nor edit it.

use serde::{Deserialize, Serialize};

use super::{Shape, frame::Frame, sync::LaneHave};
use crate::id::{AgentId, ChainHash, Epoch, Lane, Seq};
#[cfg(feature = "net")]
use crate::{
    net::pki::{BadSignature, Owner, verify_owner},
    wire::{entry::Entry, frame::BadFrame},
};

/// Most lanes named in one message, over all agents of a venue.
pub const CARRIED_LANES_MAX: usize = 1024;
/// Most agents named in one message.
pub const MEMBERS_MAX: usize = 256;
/// Error code of a peer whose certificate names another venue, or none.
pub const OTHER_VENUE: &str = "other_venue";
/// Error code of an agent that belongs to no venue itself.
pub const NO_VENUE: &str = "no_venue";
/// Error code of a frame for which there is no room beside what the carrier captures itself.
pub const CARRY_FULL: &str = "carry_full";
/// Error code of a frame whose signature, certificate or chain is not right.
pub const BAD_SIGNED: &str = "bad_signed_frame";
/// Error code of a frame or a peer whose agent's right was taken back.
pub const ORIGIN_REVOKED: &str = "origin_revoked";

/// A lane of an agent's log.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct LaneName {
    /// Who captured it.
    pub agent: AgentId,
    /// Life of its log.
    pub epoch: Epoch,
    /// Which of its logs.
    pub lane: Lane,
}

/// A frame with its origin's signature, version 1.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    /// The frame.
    pub frame: Frame,
    /// The origin's certificate (DER).
    #[serde(with = "serde_bytes")]
    pub certificate: Vec<u8>,
    /// ECDSA P-256 with SHA-256 over [`statement`], ASN.1.
    #[serde(with = "serde_bytes")]
    pub signature: Vec<u8>,
}

impl Shape for Signed {
    const WHAT: &'static str = "signed frame";
}

/// What an origin signs of a frame: its place in the lane, and the chain before and after it. The chain covers every byte of the
/// entries and the key of their salts, so nothing of them can be changed under the signature; only how they are packed may be.
pub fn statement(frame: &Frame) -> Vec<u8> {
    let mut out = b"trenza carried frame 1\n".to_vec();
    out.extend_from_slice(frame.agent.as_bytes());
    out.extend_from_slice(&frame.epoch.to_be_bytes());
    out.push(frame.lane.into());
    out.extend_from_slice(&frame.first.to_be_bytes());
    out.extend_from_slice(&frame.count.to_be_bytes());
    out.extend_from_slice(frame.previous.as_bytes());
    out.extend_from_slice(frame.head.as_bytes());
    out
}

/// Why a signed frame is not what it says.
#[cfg(feature = "net")]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSigned {
    /// The signature or the certificate.
    #[error(transparent)]
    Signature(#[from] BadSignature),
    /// The certificate is of another agent than the frame.
    #[error("the frame is of {frame} and was signed by {signer}")]
    OtherAgent {
        /// Whose the frame says it is.
        frame: AgentId,
        /// Whose the certificate is.
        signer: AgentId,
    },
    /// The entries.
    #[error(transparent)]
    Frame(#[from] BadFrame),
}

impl Signed {
    /// Which lane it belongs to.
    pub fn lane(&self) -> LaneName {
        LaneName {
            agent: self.frame.agent,
            epoch: self.frame.epoch,
            lane: self.frame.lane,
        }
    }

    /// Checks signature, certificate and every link of the chain; returns whose it is, and the entries.
    ///
    /// # Errors
    /// [`BadSigned`].
    #[cfg(feature = "net")]
    pub fn open(&self, ca: &[u8]) -> Result<(Owner, Vec<Entry>), BadSigned> {
        let owner = verify_owner(
            ca,
            &self.certificate,
            &statement(&self.frame),
            &self.signature,
        )?;
        if owner.agent != self.frame.agent {
            return Err(BadSigned::OtherAgent {
                frame: self.frame.agent,
                signer: owner.agent,
            });
        }
        Ok((owner, self.frame.open()?))
    }
}

/// An agent of the venue, as it says of itself or as another heard it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Member {
    /// Who.
    pub agent: AgentId,
    /// Where it stands.
    pub touchpoint: String,
    /// Its kiosk's write key (public): by it the visits that staff registered are counted.
    pub key: String,
    /// The server answered it last time.
    pub uplink: bool,
    /// How long ago it said so; 0 of itself. Unit: ms.
    pub age_ms: u64,
    /// How its clocks stood then; none of a program that does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clocks: Option<Clocks>,
}

/// How the clocks of an agent stood when it spoke.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Clocks {
    /// Which boot of the device.
    pub boot: u64,
    /// Time since that. Unit: ms.
    pub boottime_ms: u64,
    /// What time it is, as far as the device itself knows. Unit: ms since 1970.
    pub now_ms: i64,
    /// Whether it knows that by a measurement against the server in this boot.
    pub measured: bool,
}

/// What an agent heard that the server has of a lane, from itself or from another.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Delivered {
    /// The lane.
    pub name: LaneName,
    /// Everything up to here is there.
    pub acked: Seq,
    /// Chain after that.
    pub hash: ChainHash,
    /// Who brought it there, or was told so first.
    pub by: AgentId,
}

/// What an agent holds of one lane, its own or another's.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Held {
    /// The lane.
    pub name: LaneName,
    /// The first number that it can give.
    pub first: Seq,
    /// The last.
    pub last: Seq,
    /// Chain after the last.
    pub head: ChainHash,
}

/// One agent meets another: what each says first, version 1.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Meet {
    /// Version of the program.
    pub program: String,
    /// The speaker, then whom else it heard: at most [`MEMBERS_MAX`].
    pub members: Vec<Member>,
    /// What it holds: at most [`CARRIED_LANES_MAX`].
    pub held: Vec<Held>,
    /// What is on the server of lanes that were carried: at most [`CARRIED_LANES_MAX`]. Told to people, never acted on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub delivered: Vec<Delivered>,
}

impl Shape for Meet {
    const WHAT: &'static str = "meeting";
}

/// Asks for the frame that comes after a number, version 1. The answer is a [`Signed`], or empty.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Ask {
    /// The lane.
    pub name: LaneName,
    /// Everything up to here is held already.
    pub after: Seq,
}

impl Shape for Ask {
    const WHAT: &'static str = "question for a frame";
}

/// Asks the server what it has of lanes of others, version 1.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CarriedAsk {
    /// At most [`CARRIED_LANES_MAX`].
    pub lanes: Vec<LaneName>,
}

impl Shape for CarriedAsk {
    const WHAT: &'static str = "question for carried lanes";
}

/// What the server has of one lane that another agent carries.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CarriedLane {
    /// Who captured it.
    pub agent: AgentId,
    /// What is there.
    pub have: LaneHave,
    /// The origin's right was taken back, or it is unknown: nothing more of it is accepted.
    pub refused: bool,
}

/// The server's answer to a [`CarriedAsk`], in its order, version 1.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CarriedHave {
    /// One for each lane that was asked for.
    pub lanes: Vec<CarriedLane>,
}

impl Shape for CarriedHave {
    const WHAT: &'static str = "answer for carried lanes";
}

#[cfg(test)]
#[cfg(feature = "net")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        net::pki::{Ca, DeviceKey},
        wire::{
            entry::{CHAIN_START, SaltRoot},
            frame::Run,
        },
    };

    const NOW: i64 = 1_768_472_430_456;
    const AGENT: AgentId = AgentId([1; 16]);

    fn frame(agent: AgentId) -> Frame {
        let entries = ["one", "two"].map(|text| Entry {
            open: vec![1],
            personal: text.as_bytes().to_vec(),
        });
        let key = SaltRoot([1; 32]).block_key(3, Lane::Visits, 1);
        Frame::seal(agent, 3, Lane::Visits, 1, CHAIN_START, key, &entries)
    }

    fn signed(ca: &Ca, agent: AgentId, frame: Frame) -> Signed {
        let key = DeviceKey::generate().unwrap();
        let cert = ca
            .sign_member(&key.csr_pem().unwrap(), agent, "Feria", NOW, 30)
            .unwrap();
        Signed {
            signature: key.sign(&statement(&frame)).unwrap(),
            certificate: cert.der.to_vec(),
            frame,
        }
    }

    #[test]
    fn a_carrier_can_neither_forge_nor_edit() {
        let ca = Ca::generate("one", NOW).unwrap();
        let good = signed(&ca, AGENT, frame(AGENT));
        let (owner, entries) = good.open(ca.cert_der()).unwrap();
        assert_eq!(
            (owner.agent, owner.venue.as_str(), entries.len()),
            (AGENT, "Feria", 2)
        );
        type Edit = fn(&mut Signed);
        let edits: [Edit; 8] = [
            |it| it.frame.epoch += 1,
            |it| it.frame.lane = Lane::Urgent,
            |it| it.frame.first += 1,
            |it| it.frame.previous = ChainHash([9; 32]),
            |it| it.frame.head = ChainHash([9; 32]),
            |it| it.frame.salt_key.0[0] ^= 1,
            |it| it.signature[12] ^= 1,
            |it| {
                let mut entries = it.frame.run.unpack().unwrap();
                entries[1].personal[0] ^= 1;
                it.frame.run = Run::pack(&entries);
            },
        ];
        for (at, edit) in edits.into_iter().enumerate() {
            let mut edited = good.clone();
            edit(&mut edited);
            assert!(edited.open(ca.cert_der()).is_err(), "edit {at}");
        }
        let other = AgentId([2; 16]);
        assert_eq!(
            signed(&ca, other, frame(AGENT)).open(ca.cert_der()),
            Err(BadSigned::OtherAgent {
                frame: AGENT,
                signer: other
            })
        );
        assert!(
            good.open(Ca::generate("two", NOW).unwrap().cert_der())
                .is_err()
        );
    }

    #[test]
    fn what_is_signed_is_frozen() {
        let hash = blake3::hash(&statement(&frame(AGENT)));
        assert_eq!(hash.to_hex().as_str(), FROZEN_STATEMENT);
    }
    const FROZEN_STATEMENT: &str =
        "4a4919d79880757ee550be7d491d38c3a3feb2ed312b863065bf2a8debb6f9fe";

    #[test]
    fn shapes_survive_the_wire() {
        let ca = Ca::generate("one", NOW).unwrap();
        let good = signed(&ca, AGENT, frame(AGENT));
        let name = good.lane();
        assert!(Signed::from_bytes(&good.to_bytes()).unwrap() == good);
        let ask = Ask { name, after: 7 };
        assert_eq!(Ask::from_bytes(&ask.to_bytes()).unwrap(), ask);
        let plain = Meet {
            program: "1".into(),
            members: vec![Member {
                agent: AGENT,
                touchpoint: "Puerta".into(),
                key: "wk".into(),
                uplink: true,
                age_ms: 3,
                clocks: None,
            }],
            held: vec![Held {
                name,
                first: 1,
                last: 2,
                head: good.frame.head,
            }],
            delivered: Vec::new(),
        };
        assert_eq!(Meet::from_bytes(&plain.to_bytes()).unwrap(), plain);
        let mut meet = plain.clone();
        meet.members[0].clocks = Some(Clocks {
            boot: 7,
            boottime_ms: 60_000,
            now_ms: NOW,
            measured: true,
        });
        meet.delivered = vec![Delivered {
            name,
            acked: 2,
            hash: good.frame.head,
            by: AgentId([2; 16]),
        }];
        assert_eq!(Meet::from_bytes(&meet.to_bytes()).unwrap(), meet);
        // What an older program says has neither, and an older one reads past them.
        let bytes = plain.to_bytes();
        let names = |text: &[u8]| bytes.windows(text.len()).any(|part| part == text);
        assert!(!names(b"clocks") && !names(b"delivered") && names(b"members"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_decoder_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            bytes.insert(0, 1);
            let _either = Signed::from_bytes(&bytes).map(|signed| signed.open(&bytes).is_ok());
            let _either = Meet::from_bytes(&bytes);
            let _either = Ask::from_bytes(&bytes);
            let _either = CarriedAsk::from_bytes(&bytes);
            let _either = CarriedHave::from_bytes(&bytes);
        }
    }
}
