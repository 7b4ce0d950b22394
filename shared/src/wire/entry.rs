//! One event in a log: an open part that every hop may read, and a personal part that is opaque bytes to log and sync.

use serde::{Deserialize, Serialize};

use super::{Shape, WireError, dropped::Dropped};
use crate::{
    bot::Bot,
    event::EventType,
    id::{ChainHash, Epoch, Lane, Seq},
};

/// Scheme byte of a personal part in clear: the rest is the event's JSON text.
pub const SCHEME_CLEAR: u8 = 0;

/// How an event or what was refused in its place is called in the open part.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// An event.
    Event(EventType),
    /// A text that is no event, kept apart with its reason.
    Rejected {
        /// Short, stable name of the reason.
        code: String,
        /// Sentence for a person.
        reason: String,
        /// The client's id of it, where it could be read.
        message_id: Option<String>,
    },
    /// No event: the collector measured its clock against the server's, at this entry's `boottime_ms`.
    Clock {
        /// The server's wall clock at that instant. Unit: ms since 1970.
        server_ms: i64,
        /// How long the question and its answer took on the way: half of it is the greatest error. Unit: ms.
        round_trip_ms: u64,
    },
    /// No event: the collector had no room and gave up entries of another lane.
    Dropped(Dropped),
}

/// The open part, version 1: what fleet views and log keeping need, nothing about a person.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Open {
    /// Event or refusal.
    pub what: What,
    /// When it was taken in, by the collector's wall clock. Unit: ms since 1970.
    pub captured_ms: i64,
    /// The same by the collector's monotonic clock since its boot, time asleep included. Unit: ms.
    pub boottime_ms: u64,
    /// Which boot that was, as [`BootId::number`](crate::id::BootId::number); 0 where it is not told.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub boot: u64,
    /// The collector's offset from UTC then. Unit: minutes.
    pub offset_min: i16,
    /// The write key it came with (public).
    pub key: String,
    /// The collector did not know the key; the server judges it.
    pub unverified: bool,
    /// What sent it says that it is a program, not a person's browser. For whoever reads it: it decides nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bot: Option<Bot>,
    /// By how much the clock of what sent it was behind the collector's, as its `sentAt` says; 0 where that is not told or within
    /// what a request may take. For display alone. Unit: ms.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub sent_lag_ms: i64,
}

impl Open {
    /// Of an event that a server takes in itself: imported, or said on a page of it. `captured_ms` and `boottime_ms` as in the fields.
    #[must_use]
    pub fn own(captured_ms: i64, boottime_ms: u64, key: String, kind: EventType) -> Self {
        Self {
            what: What::Event(kind),
            captured_ms,
            boottime_ms,
            boot: 0,
            offset_min: 0,
            key,
            unverified: false,
            bot: None,
            sent_lag_ms: 0,
        }
    }
}

fn is_nothing(number: &i64) -> bool {
    *number == 0
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Shape for Open {
    const WHAT: &'static str = "open part of an entry";
}

/// One entry of a log, as bytes: the chain covers exactly these.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// [`Open`], encoded.
    #[serde(with = "serde_bytes", rename = "o")]
    pub open: Vec<u8>,
    /// Scheme byte and content.
    #[serde(with = "serde_bytes", rename = "p")]
    pub personal: Vec<u8>,
}

impl Entry {
    /// An entry whose personal part is in clear.
    pub fn clear(open: &Open, text: &str) -> Self {
        Self::with_open(open.to_bytes(), text)
    }

    /// The same with an open part that is encoded already.
    pub fn with_open(open: Vec<u8>, text: &str) -> Self {
        let mut personal = Vec::with_capacity(text.len() + 1);
        personal.push(SCHEME_CLEAR);
        personal.extend_from_slice(text.as_bytes());
        Self { open, personal }
    }

    /// The event's JSON text.
    ///
    /// # Errors
    /// The scheme is unknown or the text is not UTF-8.
    pub fn text(&self) -> Result<&str, WireError> {
        const WHAT: &str = "personal part of an entry";
        match self.personal.split_first() {
            None => Err(WireError::Empty { what: WHAT }),
            Some((&SCHEME_CLEAR, text)) => {
                std::str::from_utf8(text).map_err(|error| WireError::malformed(WHAT, error))
            }
            Some((&version, _)) => Err(WireError::UnknownVersion {
                what: WHAT,
                version,
            }),
        }
    }

    /// Length of both parts. Unit: bytes.
    pub fn bytes(&self) -> usize {
        self.open.len() + self.personal.len()
    }
}

/// Entries whose salts come of one key.
pub const SALT_BLOCK: u64 = 1_000;

/// The key of a log's salts: erasing a salt and its payload leaves the chain verifiable and the payload unguessable.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SaltRoot(pub [u8; 32]);

/// The key of the salts of [`SALT_BLOCK`] entries: what a frame discloses.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaltKey(#[serde(with = "serde_bytes")] pub [u8; 32]);

impl SaltRoot {
    /// The salt key of the block in which a sequence number lies.
    pub fn block_key(&self, epoch: Epoch, lane: Lane, seq: Seq) -> SaltKey {
        let mut input = [0; 13];
        input[..4].copy_from_slice(&epoch.to_be_bytes());
        input[4] = lane as u8;
        input[5..].copy_from_slice(&block_of(seq).to_be_bytes());
        SaltKey(*blake3::keyed_hash(&self.0, &input).as_bytes())
    }
}

impl SaltKey {
    fn salt(&self, seq: Seq) -> [u8; 32] {
        *blake3::keyed_hash(&self.0, &seq.to_be_bytes()).as_bytes()
    }
}

/// Number of the salt block of a sequence number (which counts from 1).
pub fn block_of(seq: Seq) -> u64 {
    seq.saturating_sub(1) / SALT_BLOCK
}

/// Where a chain begins.
pub const CHAIN_START: ChainHash = ChainHash([0; 32]);

/// `h_n = BLAKE3(h_(n-1) | length of header | header_n | BLAKE3(salt_n | payload_n))`.
pub fn chain(previous: &ChainHash, key: &SaltKey, seq: Seq, entry: &Entry) -> ChainHash {
    let mut payload = blake3::Hasher::new();
    payload.update(&key.salt(seq)).update(&entry.personal);
    let mut link = blake3::Hasher::new();
    let length = u32::try_from(entry.open.len()).unwrap_or(u32::MAX);
    link.update(&previous.0)
        .update(&length.to_be_bytes())
        .update(&entry.open)
        .update(payload.finalize().as_bytes());
    ChainHash(*link.finalize().as_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample() -> Entry {
        let open = Open {
            what: What::Event(EventType::Track),
            captured_ms: 1_773_480_000_000,
            boottime_ms: 5,
            boot: 0,
            offset_min: 60,
            key: "wk_1".into(),
            unverified: false,
            bot: None,
            sent_lag_ms: 0,
        };
        Entry::clear(&open, r#"{"type":"track","userId":"u","messageId":"m"}"#)
    }

    #[test]
    fn version_one_is_frozen() {
        let entry = sample();
        assert_eq!(crate::id::to_hex(&entry.open), FROZEN_OPEN);
        assert_eq!(
            Open::from_bytes(&entry.open).unwrap().to_bytes(),
            entry.open
        );
        let key = SaltRoot([7; 32]).block_key(1, Lane::Visits, 1);
        assert_eq!(
            chain(&CHAIN_START, &key, 1, &entry).to_string(),
            FROZEN_CHAIN
        );
    }
    const FROZEN_OPEN: &str = "0186a47768617481a56576656e74a5747261636bab63617074757265645f6d73cf0000019ceba53a00ab626f6f7474696d655f6d7305aa6f66667365745f6d696e3ca36b6579a4776b5f31aa756e7665726966696564c2";

    #[test]
    fn what_is_known_of_the_sender_is_frozen() {
        let open = Open {
            what: What::Event(EventType::Page),
            captured_ms: 7,
            boottime_ms: 5,
            boot: 0,
            offset_min: 0,
            key: "wk_1".into(),
            unverified: false,
            bot: Some(Bot::Crawler),
            sent_lag_ms: -7_200_000,
        };
        assert_eq!(crate::id::to_hex(&open.to_bytes()), FROZEN_SENDER);
        assert_eq!(Open::from_bytes(&open.to_bytes()).unwrap(), open);
    }
    const FROZEN_SENDER: &str = "0188a47768617481a56576656e74a470616765ab63617074757265645f6d7307ab626f6f7474696d655f6d7305aa6f66667365745f6d696e00a36b6579a4776b5f31aa756e7665726966696564c2a3626f74a7637261776c6572ab73656e745f6c61675f6d73d2ff922300";

    #[test]
    fn a_measured_clock_of_a_named_boot_is_frozen() {
        let open = Open {
            what: What::Clock {
                server_ms: 1_773_480_003_000,
                round_trip_ms: 40,
            },
            captured_ms: 7,
            boottime_ms: 5,
            boot: 0x0102_0304_0506_0708,
            offset_min: 0,
            key: String::new(),
            unverified: false,
            bot: None,
            sent_lag_ms: 0,
        };
        assert_eq!(crate::id::to_hex(&open.to_bytes()), FROZEN_CLOCK);
        assert_eq!(Open::from_bytes(&open.to_bytes()).unwrap(), open);
    }
    const FROZEN_CLOCK: &str = "0187a47768617481a5636c6f636b82a97365727665725f6d73cf0000019ceba545b8ad726f756e645f747269705f6d7328ab63617074757265645f6d7307ab626f6f7474696d655f6d7305a4626f6f74cf0102030405060708aa6f66667365745f6d696e00a36b6579a0aa756e7665726966696564c2";

    #[test]
    fn a_dropped_range_is_frozen() {
        let open = Open {
            what: What::Dropped(Dropped {
                epoch: 2,
                lane: Lane::Low,
                first: 3,
                last: 900,
                previous: ChainHash([1; 32]),
                head: ChainHash([2; 32]),
                reason: crate::wire::dropped::Reason::Quota,
            }),
            captured_ms: 7,
            boottime_ms: 5,
            boot: 9,
            offset_min: 0,
            key: String::new(),
            unverified: false,
            bot: None,
            sent_lag_ms: 0,
        };
        assert_eq!(crate::id::to_hex(&open.to_bytes()), FROZEN_DROPPED);
        assert_eq!(Open::from_bytes(&open.to_bytes()).unwrap(), open);
    }
    const FROZEN_DROPPED: &str = "0187a47768617481a764726f7070656487a565706f636802a46c616e6503a5666972737403a46c617374cd0384a870726576696f7573c4200101010101010101010101010101010101010101010101010101010101010101a468656164c4200202020202020202020202020202020202020202020202020202020202020202a6726561736f6ea571756f7461ab63617074757265645f6d7307ab626f6f7474696d655f6d7305a4626f6f7409aa6f66667365745f6d696e00a36b6579a0aa756e7665726966696564c2";
    const FROZEN_CHAIN: &str = "h_a0f3cb054fe8a0ac13c205a6b7cecef93b61e94fd25ffca7451a181777a85376";

    #[test]
    fn any_changed_byte_changes_the_chain() {
        let key = SaltRoot([7; 32]).block_key(1, Lane::Visits, 1);
        let entry = sample();
        let whole = chain(&CHAIN_START, &key, 1, &entry);
        for at in 0..entry.bytes() {
            let mut other = entry.clone();
            if at < other.open.len() {
                other.open[at] ^= 1
            } else {
                other.personal[at - entry.open.len()] ^= 1
            }
            assert_ne!(chain(&CHAIN_START, &key, 1, &other), whole);
        }
        let mut moved = entry.clone();
        moved.open.push(moved.personal.remove(0));
        assert_ne!(chain(&CHAIN_START, &key, 1, &moved), whole);
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _either = Open::from_bytes(&bytes);
            let _either = Entry { open: vec![], personal: bytes }.text().map(str::len);
        }
    }
}
