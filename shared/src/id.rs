//! The names of things: agents, positions on a hop, events, fingerprints, customers.
//!
//! Owns the types and their text forms. Never makes one up: random bytes come in from outside.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A text that is not the name it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} must be {expected}, got {got:?}")]
pub struct BadName {
    what: &'static str,
    expected: &'static str,
    got: String,
}

impl BadName {
    fn new(what: &'static str, expected: &'static str, got: &str) -> Self {
        let got = got.chars().take(80).collect();
        Self {
            what,
            expected,
            got,
        }
    }
}

/// Lower-case hexadecimal.
pub fn to_hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        for nibble in [byte >> 4, byte & 15] {
            out.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
        }
    }
    out
}

/// Reads exactly `N` bytes of hexadecimal.
pub fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != N * 2 || !text.is_ascii() {
        return None;
    }
    let mut out = [0; N];
    for (slot, pair) in out.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(pair[1]).to_digit(16)?;
        *slot = u8::try_from(high * 16 + low).ok()?;
    }
    Some(out)
}

macro_rules! bytes_name {
    ($(#[$doc:meta])* $name:ident, $len:literal, $prefix:literal, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $len]);

        impl $name {
            /// The raw bytes, as used in keys.
            pub fn as_bytes(&self) -> &[u8] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}{}", $prefix, to_hex(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = BadName;

            fn from_str(text: &str) -> Result<Self, BadName> {
                text.strip_prefix($prefix)
                    .and_then(from_hex)
                    .map(Self)
                    .ok_or_else(|| BadName::new($what, concat!("\"", $prefix, "\" and hexadecimal digits"), text))
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                if to.is_human_readable() { to.collect_str(self) } else { to.serialize_bytes(&self.0) }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                use serde::de::Error;
                if from.is_human_readable() {
                    let text = std::borrow::Cow::<str>::deserialize(from)?;
                    text.parse().map_err(D::Error::custom)
                } else {
                    let bytes = serde_bytes::ByteBuf::deserialize(from)?;
                    <[u8; $len]>::try_from(bytes.as_slice())
                        .map(Self)
                        .map_err(|_| D::Error::invalid_length(bytes.len(), &concat!($what, " of ", $len, " bytes")))
                }
            }
        }
    };
}

bytes_name! {
    /// One installed agent: 16 random bytes made at enrolment.
    AgentId, 16, "ag_", "agent id"
}
bytes_name! {
    /// BLAKE3 of an event's canonical form: equal content, equal id.
    EventId, 32, "ev_", "event id"
}
bytes_name! {
    /// BLAKE3 (truncated) of an identity payload: the node that identity resolution groups.
    Fingerprint, 16, "fp_", "fingerprint"
}
bytes_name! {
    /// The public id of a customer: keyed hash of one member fingerprint.
    CustomerId, 16, "c_", "customer id"
}
bytes_name! {
    /// The public id of an organisation or a household: keyed hash of what its issuer calls it.
    AccountId, 16, "acc_", "account id"
}
bytes_name! {
    /// Content id of a person's decision about identity.
    DecisionId, 16, "d_", "decision id"
}
bytes_name! {
    /// One boot of a device's operating system.
    BootId, 16, "boot_", "boot id"
}
bytes_name! {
    /// One start of an agent's program: 16 random bytes that no other start ever has.
    InstanceId, 16, "in_", "instance id"
}
bytes_name! {
    /// A question of the server that only a program that runs now can answer.
    Nonce, 16, "no_", "nonce"
}
bytes_name! {
    /// One link of a log's BLAKE3 chain.
    ChainHash, 32, "h_", "chain hash"
}

/// Counts the lives of an agent's log: it grows only on a restore or a fork.
pub type Epoch = u32;
/// Position of an event in one lane of one epoch of an agent, from 1, without gaps.
pub type Seq = u64;

/// A log of its own, with its own sequence and chain, so that urgent things need not wait behind a backlog.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(into = "u8", try_from = "u8")]
#[repr(u8)]
pub enum Lane {
    /// Withdrawals of consent and erasures: first on the wire.
    Urgent = 0,
    /// Visits and everything else.
    Visits = 1,
    /// What the agent says of itself: its measured clock, what it dropped. No events, so the plain figures leave it out.
    Clock = 2,
    /// Low-priority events, as an application's measurements: the last on the wire, and the only ones that a device without room gives
    /// up before the server has them.
    Low = 3,
}

impl Lane {
    /// Every lane, in the order in which they are sent: a measured clock goes before the visits that it times.
    pub const ALL: [Self; 4] = [Self::Urgent, Self::Clock, Self::Visits, Self::Low];

    /// Whether its entries are what people and programs did.
    pub fn has_events(self) -> bool {
        match self {
            Self::Urgent | Self::Visits | Self::Low => true,
            Self::Clock => false,
        }
    }

    /// Whether its entries may be dropped for want of room, which is told; those of all other lanes stay until they are archived.
    pub fn yields(self) -> bool {
        match self {
            Self::Low => true,
            Self::Urgent | Self::Clock | Self::Visits => false,
        }
    }
}

impl BootId {
    /// The number by which entries name their boot; never 0, which names none.
    pub fn number(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        u64::from_be_bytes([a, b, c, d, e, f, g, h]).max(1)
    }
}

impl From<Lane> for u8 {
    fn from(lane: Lane) -> Self {
        lane as Self
    }
}

impl TryFrom<u8> for Lane {
    type Error = BadName;

    fn try_from(byte: u8) -> Result<Self, BadName> {
        Self::ALL
            .into_iter()
            .find(|lane| *lane as u8 == byte)
            .ok_or_else(|| BadName::new("lane", "0, 1, 2 or 3", &byte.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_text_json_and_messagepack() {
        let id = AgentId(*b"0123456789abcdef");
        assert_eq!(id.to_string().parse::<AgentId>().unwrap(), id);
        assert_eq!(
            serde_json::from_str::<AgentId>(&serde_json::to_string(&id).unwrap()).unwrap(),
            id
        );
        assert_eq!(
            rmp_serde::from_slice::<AgentId>(&rmp_serde::to_vec(&id).unwrap()).unwrap(),
            id
        );
    }

    #[test]
    fn a_wrong_name_says_what_was_expected() {
        let error = "ag_12".parse::<AgentId>().unwrap_err();
        assert!(
            error.to_string().contains("agent id must be \"ag_\""),
            "{error}"
        );
        assert!(Lane::try_from(9).is_err());
    }
}
