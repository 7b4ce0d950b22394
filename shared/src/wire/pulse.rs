//! The talk when nothing is new: one small question, one small answer.
//!
//! A hello names all lanes and a welcome all that the server has of them, with every write key. When neither side has anything new,
//! both would repeat what the other knows. So the agent sends a digest of what it said last and of what it believes of the server,
//! and the server, which can tell both, says whether it is still so. Whatever differs, a full hello follows.

use serde::{Deserialize, Serialize};

use super::{
    Shape,
    sync::{Hello, LaneHave, Origins},
};
use crate::id::AgentId;

/// BLAKE3, truncated, of all that a hello and its welcome say and that does not change by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(#[serde(with = "serde_bytes")] pub [u8; 16]);

/// The agent has nothing new, version 1. The names are short because it is said all day.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Pulse {
    /// Of what both sides said last.
    #[serde(rename = "d")]
    pub digest: Digest,
    /// Monotonic clock. Unit: ms since boot.
    #[serde(rename = "b")]
    pub boottime_ms: u64,
    /// Wall clock. Unit: ms since 1970.
    #[serde(rename = "w")]
    pub wall_ms: i64,
    /// The server's clock less the agent's, as measured. Unit: ms.
    #[serde(rename = "o", default, skip_serializing_if = "Option::is_none")]
    pub clock_offset_ms: Option<i64>,
    /// Free space where the log lives. Unit: bytes.
    #[serde(rename = "f")]
    pub disk_free_bytes: u64,
}

impl Shape for Pulse {
    const WHAT: &'static str = "pulse";
}

/// The server's answer to a pulse, version 1.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Heard {
    /// All is as it was.
    Same {
        /// Wall clock when the pulse came. Unit: ms since 1970.
        #[serde(rename = "r")]
        received_ms: i64,
        /// Wall clock when this was sent. Unit: ms since 1970.
        #[serde(rename = "s")]
        sent_ms: i64,
    },
    /// Something is not: a hello is due.
    Hello,
}

impl Shape for Heard {
    const WHAT: &'static str = "answer to a pulse";
}

/// What the server told, as in a welcome.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// Changes on every restore of the server.
    pub generation: u64,
    /// What it has. Only the lanes of the hello count, in its order.
    pub lanes: &'a [LaneHave],
    /// Write keys of the organisation.
    pub write_keys: &'a [String],
    /// Which pages may use some of them.
    pub origins: &'a Origins,
    /// Agents of the venue whose right was taken back.
    pub revoked: &'a [AgentId],
}

/// What a pulse has to say for `hello` to be repeated by it, with what the server told; before its first welcome, nothing.
pub fn digest(hello: &Hello, told: Option<Told<'_>>) -> Digest {
    let said = Hello {
        boottime_ms: 0,
        wall_ms: 0,
        clock_offset_ms: None,
        disk_free_bytes: 0,
        proof: None,
        introduction: None,
        ..hello.clone()
    };
    let mut hasher = blake3::Hasher::new();
    hasher.update(&said.to_bytes());
    if let Some(told) = told {
        add(&mut hasher, hello, &told);
    }
    let mut digest = [0; 16];
    digest.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    Digest(digest)
}

fn add(hasher: &mut blake3::Hasher, hello: &Hello, told: &Told<'_>) {
    hasher.update(&told.generation.to_be_bytes());
    for head in &hello.lanes {
        let known = told
            .lanes
            .iter()
            .find(|have| have.epoch == head.epoch && have.lane == head.lane);
        let have = LaneHave {
            marks: Vec::new(),
            ..known
                .cloned()
                .unwrap_or_else(|| LaneHave::nothing(head.epoch, head.lane))
        };
        hasher.update(&super::sync::Ack::Stored(have).to_bytes());
    }
    for key in told.write_keys {
        add_text(hasher, key);
    }
    for agent in told.revoked {
        hasher.update(agent.as_bytes());
    }
    for (key, origins) in told.origins {
        add_text(hasher, key);
        hasher.update(&(origins.len() as u64).to_be_bytes());
        for origin in origins {
            add_text(hasher, origin);
        }
    }
}

fn add_text(hasher: &mut blake3::Hasher, text: &str) {
    hasher.update(&(text.len() as u64).to_be_bytes());
    hasher.update(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        id::{AgentId, BootId, ChainHash, InstanceId, Lane},
        wire::sync::LaneHead,
    };

    fn hello() -> Hello {
        Hello {
            agent: AgentId([1; 16]),
            program: "0.1.0".into(),
            epoch: 1,
            lanes: vec![LaneHead {
                epoch: 1,
                lane: Lane::Visits,
                seq: 9,
                hash: ChainHash([2; 32]),
                oldest: 1,
            }],
            waiting: 0,
            boot: BootId([3; 16]),
            boottime_ms: 4,
            wall_ms: 5,
            clock_offset_ms: Some(6),
            disk_free_bytes: 7,
            lineage: vec![],
            instance: Some(InstanceId([8; 16])),
            proof: None,
            introduction: None,
            kept: vec![],
            began: None,
        }
    }

    fn have(acked: u64) -> Vec<LaneHave> {
        vec![LaneHave {
            acked,
            ..LaneHave::nothing(1, Lane::Visits)
        }]
    }

    #[test]
    fn clocks_and_free_space_are_nothing_new_and_all_else_is() {
        let (keys, none) = (["a".to_owned(), "b".to_owned()], Origins::new());
        let nine = have(9);
        let told = Told {
            generation: 1,
            lanes: &nine,
            write_keys: &keys,
            origins: &none,
            revoked: &[],
        };
        let same = digest(&hello(), Some(told));
        let later = Hello {
            boottime_ms: 40,
            wall_ms: 50,
            clock_offset_ms: None,
            disk_free_bytes: 70,
            ..hello()
        };
        assert_eq!(digest(&later, Some(told)), same);
        // Lanes that the hello does not name are not asked for.
        let mut more = have(9);
        more.insert(0, LaneHave::nothing(7, Lane::Urgent));
        let with_more = Told {
            lanes: &more,
            ..told
        };
        assert_eq!(digest(&hello(), Some(with_more)), same);
        let mut further = hello();
        further.lanes[0].seq = 10;
        let second = Hello {
            epoch: 2,
            ..hello()
        };
        let (eight, joined) = (have(8), ["ab".to_owned()]);
        let of = |page: &str| Origins::from([("a".to_owned(), vec![page.to_owned()])]);
        let (one, other) = (of("https://one.example"), of("https://other.example"));
        let change = |told| digest(&hello(), Some(told));
        let others = [
            digest(&further, Some(told)),
            digest(&second, Some(told)),
            digest(&hello(), None),
            change(Told {
                generation: 2,
                ..told
            }),
            change(Told {
                lanes: &eight,
                ..told
            }),
            change(Told { lanes: &[], ..told }),
            change(Told {
                write_keys: &keys[..1],
                ..told
            }),
            change(Told {
                write_keys: &joined,
                ..told
            }),
            change(Told {
                revoked: &[AgentId([1; 16])],
                ..told
            }),
            change(Told {
                origins: &one,
                ..told
            }),
            change(Told {
                origins: &other,
                ..told
            }),
        ];
        let different: std::collections::BTreeSet<_> = others.iter().map(|one| one.0).collect();
        assert_eq!(different.len(), others.len());
        assert!(others.iter().all(|other| *other != same));
    }

    #[test]
    fn a_pulse_and_its_answer_are_small() {
        let pulse = Pulse {
            digest: Digest([255; 16]),
            boottime_ms: u64::MAX,
            wall_ms: i64::MAX,
            clock_offset_ms: Some(i64::MIN),
            disk_free_bytes: u64::MAX,
        };
        assert_eq!(Pulse::from_bytes(&pulse.to_bytes()).unwrap(), pulse);
        assert!(pulse.to_bytes().len() <= 66, "{}", pulse.to_bytes().len());
        let heard = Heard::Same {
            received_ms: i64::MAX,
            sent_ms: i64::MAX,
        };
        assert_eq!(Heard::from_bytes(&heard.to_bytes()).unwrap(), heard);
        assert!(heard.to_bytes().len() <= 32, "{}", heard.to_bytes().len());
        assert_eq!(
            Heard::from_bytes(&Heard::Hello.to_bytes()).unwrap(),
            Heard::Hello
        );
    }
}
