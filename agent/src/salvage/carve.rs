//! Finding frames in raw bytes, whatever surrounds them: pure.
//!
//! A row of the log is a frame, stored as it is: neither its table's files nor its write-ahead log compress it. Its bytes begin
//! with a MessagePack map whose first field is `agent`, and its chain is its checksum. No text that a visitor sends can pass
//! for one: the mark is no UTF-8.

use std::io::Cursor;

use memchr::memmem;
use rmp_serde::Deserializer;
use serde::Deserialize as _;
use trenza_shared::wire::{
    entry::Entry,
    frame::{FRAME_RAW_BYTES_MAX, Frame},
};

/// The first field: its name, then 16 bytes of binary.
const MARK: &[u8] = b"\xa5agent\xc4\x10";
/// The byte before it: a map of fewer than 16 fields.
const SMALL_MAPS: std::ops::RangeInclusive<u8> = 0x80..=0x8f;
/// Most bytes of a frame as stored: the largest entry that does not pack, and the other fields. Unit: bytes.
pub const SPAN_BYTES_MAX: usize = FRAME_RAW_BYTES_MAX + 4 * 1024;

/// How a look at some bytes ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Carved {
    /// How many bytes are done with: what follows them is looked at again together with what comes next.
    pub used: usize,
    /// Frames that begin there and do not read.
    pub damaged: u64,
}

/// Gives every whole frame in `bytes` to `each`, with its entries. `end` says that no more bytes follow.
///
/// # Errors
/// What `each` says; the frames before it were given.
pub fn carve<E>(
    bytes: &[u8],
    end: bool,
    mut each: impl FnMut(Frame, Vec<Entry>) -> Result<(), E>,
) -> Result<Carved, E> {
    let mut carved = Carved::default();
    while let Some(found) = memmem::find(&bytes[carved.used..], MARK) {
        let mark = carved.used + found;
        let start = mark.saturating_sub(1);
        if !end && bytes.len() - start < SPAN_BYTES_MAX {
            carved.used = start;
            return Ok(carved);
        }
        carved.used = mark + 1;
        if start == mark || !SMALL_MAPS.contains(&bytes[start]) {
            continue;
        }
        match frame(&bytes[start..]) {
            Some((frame, entries, length)) => {
                each(frame, entries)?;
                carved.used = start + length;
            }
            None => carved.damaged += 1,
        }
    }
    // A mark may lie across the end, with the byte before it.
    carved.used = if end {
        bytes.len()
    } else {
        carved.used.max(bytes.len().saturating_sub(MARK.len()))
    };
    Ok(carved)
}

/// The frame at the beginning of some bytes, and how many of them are its own.
fn frame(bytes: &[u8]) -> Option<(Frame, Vec<Entry>, usize)> {
    let mut reader = Cursor::new(bytes);
    let frame = Frame::deserialize(&mut Deserializer::new(&mut reader)).ok()?;
    let length = usize::try_from(reader.position()).ok()?;
    let entries = frame.open().ok()?;
    Some((frame, entries, length))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use trenza_shared::{
        id::{AgentId, Lane},
        wire::{
            Shape,
            entry::{CHAIN_START, SaltRoot},
        },
    };

    use super::*;

    fn sealed(first: u64, texts: &[Vec<u8>]) -> Frame {
        let entries: Vec<Entry> = texts
            .iter()
            .map(|text| Entry {
                open: vec![1],
                personal: text.clone(),
            })
            .collect();
        let key = SaltRoot([3; 32]).block_key(1, Lane::Visits, first);
        let agent = AgentId([9; 16]);
        Frame::seal(agent, 1, Lane::Visits, first, CHAIN_START, key, &entries)
    }

    /// All frames in some bytes that come in pieces, and how many were damaged.
    fn all(bytes: &[u8], piece: usize) -> (Vec<Frame>, u64) {
        let (mut found, mut damaged, mut held) = (Vec::new(), 0, Vec::new());
        let mut pieces = bytes.chunks(piece).peekable();
        while let Some(piece) = pieces.next() {
            held.extend_from_slice(piece);
            let carved = carve(&held, pieces.peek().is_none(), |frame, _| {
                found.push(frame);
                Ok::<_, ()>(())
            });
            let carved = carved.unwrap();
            damaged += carved.damaged;
            held.drain(..carved.used);
        }
        (found, damaged)
    }

    fn texts() -> impl Strategy<Value = Vec<Vec<u8>>> {
        proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 1..5)
    }

    proptest! {
        #[test]
        fn every_frame_is_found_between_any_other_bytes(runs in proptest::collection::vec((texts(), proptest::collection::vec(any::<u8>(), 0..50)), 1..8), piece in 1usize..2000) {
            let frames: Vec<Frame> = (1..).zip(&runs).map(|(first, (texts, _))| sealed(first, texts)).collect();
            let mut bytes = Vec::new();
            for (frame, (_, noise)) in frames.iter().zip(&runs) {
                bytes.extend_from_slice(noise);
                bytes.extend_from_slice(&frame.to_bytes());
            }
            let (found, damaged) = all(&bytes, piece);
            prop_assert!(found == frames && damaged == 0);
        }

        #[test]
        fn a_changed_byte_loses_its_own_frame_alone_and_never_gives_a_false_one(runs in proptest::collection::vec(texts(), 2..6), at in any::<prop::sample::Index>(), by in 1u8..) {
            let frames: Vec<Frame> = (1..).zip(&runs).map(|(first, texts)| sealed(first, texts)).collect();
            let mut bytes: Vec<u8> = frames.iter().flat_map(Shape::to_bytes).collect();
            let at = at.index(bytes.len());
            bytes[at] ^= by;
            let (found, damaged) = all(&bytes, 1000);
            prop_assert!(found.len() + 1 >= frames.len() && damaged <= 1);
            // Position and owner are not part of the chain; what was taken in is.
            prop_assert!(found.iter().all(|frame| frames.iter().any(|whole| whole.open() == frame.open())));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut bytes = bytes;
            bytes.splice(0..0, MARK.iter().copied());
            all(&bytes, 70);
        }
    }

    #[test]
    fn the_largest_frame_is_found_across_pieces() {
        let frame = sealed(
            1,
            &[(0..FRAME_RAW_BYTES_MAX - 100)
                .map(|n| ((n * n) >> 3) as u8)
                .collect()],
        );
        let mut bytes = vec![7; 100_000];
        bytes.extend_from_slice(&frame.to_bytes());
        assert!(frame.to_bytes().len() <= SPAN_BYTES_MAX);
        bytes.extend(vec![7; SPAN_BYTES_MAX]);
        assert!(all(&bytes, 64 * 1024).0 == [frame]);
    }
}
