//! A run of entries of one lane: what the agent stores per commit, what travels, what the server stores.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{
    Shape, WireError,
    entry::{self, Entry, SaltKey},
    guard::{self, GUARDED_BYTES_MIN},
};
use crate::id::{AgentId, ChainHash, Epoch, Lane, Seq};

/// Most entries of a frame.
pub const FRAME_EVENTS_MAX: usize = 1_000;
/// Most raw bytes of a frame's entries, unless it holds a single one: a thousand ordinary events, since they pack better together.
pub const FRAME_BYTES_MAX: usize = 704 * 1024;
/// Most raw bytes that a frame's run may inflate to: its entries and their packing, or a single largest entry.
pub const FRAME_RAW_BYTES_MAX: usize = 1024 * 1024;
/// Most raw bytes that any packed run may inflate to: a full request of capture with its shared context in every event.
pub const RUN_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Level of zstd for what is packed while somebody waits: as small as level 3 on a day's events (66 bytes each), and quicker.
pub const LEVEL_QUICK: i32 = 1;
/// For what stays or goes over a network: 56 bytes each, in 3 MiB of memory. Level 9 would make 54 in 11 MiB.
pub const LEVEL_SMALL: i32 = 6;
/// Below this, compression costs more than it saves. Unit: bytes.
const PACK_BYTES_MIN: usize = 200;
/// What the packing of an entry takes at most beside its own bytes. Unit: bytes.
const ENTRY_PACKING_BYTES: usize = 11;

/// Entries as MessagePack, packed. First byte 0: as they are; 1: zstd; 2: zstd under a [`guard`], on disks only.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Run(#[serde(with = "serde_bytes")] pub Vec<u8>);

impl Run {
    /// Packs entries, quickly.
    pub fn pack(entries: &[Entry]) -> Self {
        Packer::new(LEVEL_QUICK).pack(entries)
    }

    /// The same, guarded against the loss of a sector where it is large enough to be worth that: for what stays on a disk.
    pub fn guarded(self) -> Self {
        match self.0.split_first() {
            Some((1, rest)) if rest.len() >= 4 + GUARDED_BYTES_MIN => {
                let (length, packed) = rest.split_at(4);
                let mut out = vec![2];
                out.extend_from_slice(length);
                guard::guard(packed, &mut out);
                Self(out)
            }
            _ => self,
        }
    }

    /// The same without a guard: for what travels.
    ///
    /// # Errors
    /// The guard is damaged.
    pub fn bare(self) -> Result<Self, WireError> {
        match self.0.split_first() {
            Some((2, rest)) => {
                let (length, packed) = parts(2, rest)?;
                let mut out = vec![1];
                out.extend_from_slice(&length.to_be_bytes());
                out.extend_from_slice(&packed);
                Ok(Self(out))
            }
            _ => Ok(self),
        }
    }

    /// Raw bytes that it says it holds, packing of the entries included.
    pub fn raw_bytes(&self) -> usize {
        match self.0.split_first() {
            Some((1 | 2, rest)) => rest
                .first_chunk::<4>()
                .map_or(0, |length| u32::from_be_bytes(*length) as usize),
            _ => self.0.len().saturating_sub(1),
        }
    }

    /// Unpacks at most [`RUN_BYTES_MAX`].
    ///
    /// # Errors
    /// Damaged, or larger than the limit.
    pub fn unpack(&self) -> Result<Vec<Entry>, WireError> {
        self.unpack_within(RUN_BYTES_MAX)
    }

    /// Unpacks at most so many raw bytes.
    ///
    /// # Errors
    /// Damaged, or larger than the limit.
    pub fn unpack_within(&self, bytes_max: usize) -> Result<Vec<Entry>, WireError> {
        match self.0.split_first() {
            None => Err(WireError::Empty { what: WHAT }),
            Some((0, raw)) => rmp_serde::from_slice(raw).map_err(|error| malformed(&error)),
            Some((version @ (1 | 2), rest)) => {
                let (length, packed) = parts(*version, rest)?;
                let length = length as usize;
                if length > bytes_max {
                    return Err(malformed(&format_args!(
                        "says it holds {length} bytes, the limit is {bytes_max}"
                    )));
                }
                let raw =
                    zstd::bulk::decompress(&packed, length).map_err(|error| malformed(&error))?;
                rmp_serde::from_slice(&raw).map_err(|error| malformed(&error))
            }
            Some((&version, _)) => Err(WireError::UnknownVersion {
                what: WHAT,
                version,
            }),
        }
    }
}

const WHAT: &str = "run of entries";

fn malformed(reason: &dyn ToString) -> WireError {
    WireError::malformed(WHAT, reason.to_string())
}

/// How many raw bytes a packed run says it holds, and what is packed; from a guarded one mended, where it needs that.
fn parts(version: u8, rest: &[u8]) -> Result<(u32, Cow<'_, [u8]>), WireError> {
    let (length, packed) = rest
        .split_first_chunk::<4>()
        .ok_or_else(|| malformed(&"no length"))?;
    let packed = match version {
        2 => guard::packed(packed).ok_or_else(|| malformed(&"a guard of other lengths"))?,
        _ => Cow::Borrowed(packed),
    };
    Ok((u32::from_be_bytes(*length), packed))
}

/// Packs runs with one effort and keeps its memory between them.
pub struct Packer {
    /// None where there is no memory for it: then nothing is compressed.
    compressor: Option<zstd::bulk::Compressor<'static>>,
    raw: Vec<u8>,
}

impl Packer {
    /// `level` is zstd's, as [`LEVEL_QUICK`].
    pub fn new(level: i32) -> Self {
        Self {
            compressor: zstd::bulk::Compressor::new(level).ok(),
            raw: Vec::new(),
        }
    }

    /// Packs entries.
    pub fn pack(&mut self, entries: &[Entry]) -> Run {
        self.raw.clear();
        let bytes: usize = entries.iter().map(Entry::bytes).sum();
        self.raw
            .reserve(bytes + entries.len() * ENTRY_PACKING_BYTES);
        rmp_serde::encode::write(&mut self.raw, entries)
            .expect("writing MessagePack of plain data to memory cannot fail");
        let length = u32::try_from(self.raw.len()).unwrap_or(u32::MAX);
        let packed = self
            .compressor
            .as_mut()
            .filter(|_| self.raw.len() >= PACK_BYTES_MIN)
            .and_then(|compressor| compressor.compress(&self.raw).ok())
            .filter(|packed| packed.len() + 4 < self.raw.len());
        let mut out = Vec::new();
        match packed {
            Some(packed) => {
                out.reserve_exact(5 + packed.len());
                out.push(1);
                out.extend_from_slice(&length.to_be_bytes());
                out.extend_from_slice(&packed);
            }
            None => {
                out.reserve_exact(1 + self.raw.len());
                out.push(0);
                out.extend_from_slice(&self.raw);
            }
        }
        Run(out)
    }
}

/// One frame, version 1.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// Who captured it.
    pub agent: AgentId,
    /// Life of the agent's log.
    pub epoch: Epoch,
    /// Which of its logs.
    pub lane: Lane,
    /// Sequence number of the first entry.
    pub first: Seq,
    /// How many entries.
    pub count: u32,
    /// Chain before the first entry.
    pub previous: ChainHash,
    /// Chain after the last entry.
    pub head: ChainHash,
    /// Key of the salts: a frame lies within one salt block.
    pub salt_key: SaltKey,
    /// The entries.
    pub run: Run,
}

impl Shape for Frame {
    const WHAT: &'static str = "frame";
}

/// Why a frame is not what it says it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadFrame {
    /// The entries do not decode.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// Another number of entries than it says.
    #[error(
        "frame says {said} entries and holds {held}; an entry per frame at least, {FRAME_EVENTS_MAX} at most"
    )]
    Count {
        /// What the header says.
        said: u32,
        /// What the run holds.
        held: usize,
    },
    /// Crosses a salt block, or numbers overflow.
    #[error("frame of {count} entries from {first} does not lie within one salt block")]
    Block {
        /// First sequence number.
        first: Seq,
        /// Entries.
        count: u32,
    },
    /// An edited byte somewhere between first and last.
    #[error(
        "the entries {first} to {last} do not lead from the frame's previous hash to its head: a byte was changed"
    )]
    Chain {
        /// First sequence number.
        first: Seq,
        /// Last sequence number.
        last: Seq,
    },
}

impl Frame {
    /// Makes a frame of entries that follow `previous`. `entries` is not empty and lies within one salt block.
    pub fn seal(
        agent: AgentId,
        epoch: Epoch,
        lane: Lane,
        first: Seq,
        previous: ChainHash,
        salt_key: SaltKey,
        entries: &[Entry],
    ) -> Self {
        let head = chain_over(previous, &salt_key, first, entries);
        Self {
            agent,
            epoch,
            lane,
            first,
            count: u32::try_from(entries.len()).unwrap_or(u32::MAX),
            previous,
            head,
            salt_key,
            run: Run::pack(entries),
        }
    }

    /// Sequence number of the last entry.
    pub fn last(&self) -> Seq {
        self.first
            .saturating_add(u64::from(self.count).saturating_sub(1))
    }

    /// Its two halves, each a frame of its own, for one that was refused as a whole; none of a frame with a single entry.
    ///
    /// # Errors
    /// As [`Frame::open`].
    pub fn halves(&self) -> Result<Option<(Self, Self)>, BadFrame> {
        let entries = self.open()?;
        let (first, second) = entries.split_at(entries.len() / 2);
        if first.is_empty() {
            return Ok(None);
        }
        let seal = |first: Seq, previous, entries: &[Entry]| {
            Self::seal(
                self.agent,
                self.epoch,
                self.lane,
                first,
                previous,
                self.salt_key,
                entries,
            )
        };
        let left = seal(self.first, self.previous, first);
        let right = seal(left.last() + 1, left.head, second);
        Ok(Some((left, right)))
    }

    /// Unpacks and checks every link of the chain.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn open(&self) -> Result<Vec<Entry>, BadFrame> {
        let entries = self.run.unpack_within(FRAME_RAW_BYTES_MAX)?;
        if entries.is_empty()
            || entries.len() > FRAME_EVENTS_MAX
            || entries.len() != self.count as usize
        {
            return Err(BadFrame::Count {
                said: self.count,
                held: entries.len(),
            });
        }
        if self.first == 0 || entry::block_of(self.first) != entry::block_of(self.last()) {
            return Err(BadFrame::Block {
                first: self.first,
                count: self.count,
            });
        }
        if chain_over(self.previous, &self.salt_key, self.first, &entries) != self.head {
            return Err(BadFrame::Chain {
                first: self.first,
                last: self.last(),
            });
        }
        Ok(entries)
    }
}

/// The chain after `entries`, the first of which has the number `first`; all lie within one salt block.
pub fn chain_over(previous: ChainHash, key: &SaltKey, first: Seq, entries: &[Entry]) -> ChainHash {
    entries
        .iter()
        .zip(first..)
        .fold(previous, |hash, (entry, seq)| {
            entry::chain(&hash, key, seq, entry)
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::entry::{CHAIN_START, SaltRoot};

    fn frame(texts: &[String]) -> Frame {
        let entries: Vec<Entry> = texts
            .iter()
            .map(|text| Entry {
                open: vec![1, 2],
                personal: text.clone().into_bytes(),
            })
            .collect();
        let key = SaltRoot([3; 32]).block_key(1, Lane::Visits, 1);
        Frame::seal(
            AgentId([9; 16]),
            1,
            Lane::Visits,
            1,
            CHAIN_START,
            key,
            &entries,
        )
    }

    #[test]
    fn an_edited_entry_is_found_and_located() {
        let good = frame(&["a".into(), "b".into()]);
        let mut entries = good.open().unwrap();
        entries[1].personal[0] ^= 1;
        let edited = Frame {
            run: Run::pack(&entries),
            ..good.clone()
        };
        assert_eq!(edited.open(), Err(BadFrame::Chain { first: 1, last: 2 }));
        let miscounted = Frame { count: 3, ..good };
        assert!(matches!(
            miscounted.open(),
            Err(BadFrame::Count { said: 3, held: 2 })
        ));
    }

    #[test]
    fn a_run_that_claims_to_be_huge_is_refused_before_it_is_inflated() {
        let mut bytes = vec![1];
        bytes.extend_from_slice(&u32::MAX.to_be_bytes());
        assert!(
            Run(bytes)
                .unpack()
                .unwrap_err()
                .to_string()
                .contains("limit")
        );
    }

    #[test]
    fn the_largest_request_unpacks_as_a_run_and_never_as_a_frame() {
        let entry = Entry {
            open: vec![1],
            personal: vec![b'x'; 20 * 1024],
        };
        let run = Run::pack(&vec![entry; 1_000]);
        assert_eq!(run.unpack().unwrap().len(), 1_000);
        assert!(run.unpack_within(FRAME_RAW_BYTES_MAX).is_err());
    }

    /// A full frame as the log keeps it, and the same as it travels.
    fn settled() -> (Frame, Frame) {
        let texts: Vec<String> = (0..1_000)
            .map(|n| format!("{n} {}", blake3::hash(&[n as u8, (n >> 8) as u8]).to_hex()))
            .collect();
        let bare = frame(&texts);
        let run = bare.run.clone().guarded();
        (
            Frame {
                run,
                ..bare.clone()
            },
            bare,
        )
    }

    #[test]
    fn a_guarded_frame_reads_as_the_bare_one_and_travels_as_that() {
        let (guarded, bare) = settled();
        assert_eq!((guarded.run.0[0], bare.run.0[0]), (2, 1));
        assert_eq!(guarded.open(), bare.open());
        assert_eq!(guarded.run.raw_bytes(), bare.run.raw_bytes());
        assert!(guarded.run.clone().guarded() == guarded.run);
        assert!(guarded.run.bare().unwrap() == bare.run);
        let small = frame(&["a".repeat(500)]).run;
        assert!(small.clone().guarded() == small && small.clone().bare().unwrap() == small);
    }

    /// A changed byte anywhere in a stored frame: of all entries, at least 99 % come back.
    #[test]
    fn a_changed_byte_costs_less_than_a_hundredth() {
        let (guarded, _) = settled();
        let (bytes, whole) = (guarded.to_bytes(), guarded.open().unwrap());
        let (mut tried, mut back) = (0_u64, 0_u64);
        for at in (0..bytes.len()).step_by(11) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            let read = Frame::from_bytes(&damaged).ok();
            let entries = read.and_then(|frame| frame.open().ok());
            tried += 1;
            back += u64::from(entries.is_some_and(|entries| entries == whole));
        }
        assert!(back * 100 >= tried * 99, "{back} of {tried}");
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens_again(texts in proptest::collection::vec(".{0,80}", 1..40)) {
            let frame = frame(&texts);
            let read = Frame::from_bytes(&frame.to_bytes()).unwrap();
            let opened = read.open().unwrap();
            prop_assert_eq!(opened.len(), texts.len());
        }

        #[test]
        fn halves_are_the_whole(texts in proptest::collection::vec(".{0,80}", 1..40)) {
            let whole = frame(&texts);
            let Some((left, right)) = whole.halves().unwrap() else {
                prop_assert_eq!(texts.len(), 1);
                return Ok(());
            };
            prop_assert_eq!((left.previous, left.head, right.head), (whole.previous, right.previous, whole.head));
            prop_assert_eq!((left.first, left.last() + 1, right.last()), (whole.first, right.first, whole.last()));
            prop_assert_eq!([left.open().unwrap(), right.open().unwrap()].concat(), whole.open().unwrap());
        }

        #[test]
        fn no_bytes_make_a_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), flip in 0usize..400) {
            let _either = Frame::from_bytes(&bytes).map(|frame| frame.open());
            let _either = Run(bytes).unpack();
            let mut real = frame(&["some text".repeat(40)]).to_bytes();
            let at = flip % real.len();
            real[at] ^= 0x55;
            let _either = Frame::from_bytes(&real).map(|frame| frame.open());
        }
    }
}
