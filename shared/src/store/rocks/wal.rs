//! The physical layout of RocksDB's write-ahead log, for those who look for rows in a damaged one.
//!
//! Blocks of 32 KiB hold fragments; none crosses a block. A fragment is a masked CRC-32C (4 bytes), a length (2 bytes, little
//! endian), a kind (1 byte), then its bytes; the CRC covers kind and bytes. See "Write Ahead Log File Format" in RocksDB's
//! wiki. Recycled logs have longer headers; the store never recycles.

use super::aside;

/// Size of a block. Unit: bytes.
pub const BLOCK_BYTES: usize = 32 * 1024;
const HEADER_BYTES: usize = 7;
/// Whole, first, middle, last, and notes on compression and timestamps.
const KINDS: std::ops::RangeInclusive<u8> = 1..=10;
/// A fragment that another one of the same record follows: its first, or one in its middle.
const UNFINISHED: [u8; 2] = [2, 3];

/// How a block reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Block {
    /// Every byte of it belongs to a fragment with a good checksum, or is padding.
    pub sound: bool,
    /// Its last record goes on in the next block.
    pub unfinished: bool,
}

/// Whether a file name is a write-ahead log's.
pub fn is_log(name: &str) -> bool {
    aside::is_log(name)
}

/// Appends to `out` what the fragments of one block hold, in their order, without headers and padding. Only the last block of
/// a file may be shorter than [`BLOCK_BYTES`].
///
/// Where a fragment is damaged its bytes come out all the same, damaged as they are, up to the next fragment that reads well:
/// who looks for rows with a checksum of their own finds those that were not hit.
pub fn strip(block: &[u8], out: &mut Vec<u8>) -> Block {
    let mut seen = Block {
        sound: true,
        unfinished: false,
    };
    let mut rest = block;
    while rest.len() >= HEADER_BYTES {
        if rest.iter().all(|byte| *byte == 0) {
            break; // padding, or space that the file system gave and nobody wrote to
        }
        if let Some((kind, bytes)) = fragment(rest) {
            out.extend_from_slice(bytes);
            seen.unfinished = UNFINISHED.contains(&kind);
            rest = &rest[HEADER_BYTES + bytes.len()..];
            continue;
        }
        seen.sound = false;
        let next = (1..rest.len()).find(|at| fragment(&rest[*at..]).is_some());
        let (hit, later) = rest.split_at(next.unwrap_or(rest.len()));
        out.extend_from_slice(hit.get(HEADER_BYTES..).unwrap_or_default());
        rest = later;
    }
    seen.sound &= rest.iter().all(|byte| *byte == 0);
    seen
}

/// The kind and the bytes of a fragment whose checksum is good.
fn fragment(from: &[u8]) -> Option<(u8, &[u8])> {
    let (header, rest) = from.split_first_chunk::<HEADER_BYTES>()?;
    let [c0, c1, c2, c3, l0, l1, kind] = *header;
    if !KINDS.contains(&kind) {
        return None;
    }
    let bytes = rest.get(..usize::from(u16::from_le_bytes([l0, l1])))?;
    let crc = crc32c::crc32c_append(crc32c::crc32c(&[kind]), bytes);
    let masked = crc.rotate_right(15).wrapping_add(0xa282_ead8);
    (masked == u32::from_le_bytes([c0, c1, c2, c3])).then_some((kind, bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(kind: u8, bytes: &[u8]) -> Vec<u8> {
        let crc = crc32c::crc32c_append(crc32c::crc32c(&[kind]), bytes);
        let mut out = crc
            .rotate_right(15)
            .wrapping_add(0xa282_ead8)
            .to_le_bytes()
            .to_vec();
        out.extend_from_slice(&(bytes.len() as u16).to_le_bytes());
        out.push(kind);
        out.extend_from_slice(bytes);
        out
    }

    fn block(fragments: &[Vec<u8>]) -> Vec<u8> {
        fragments
            .iter()
            .flat_map(|bytes| written(1, bytes))
            .collect()
    }

    proptest! {
        #[test]
        fn fragments_come_out_as_they_went_in(fragments in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..900), 0..20), padding in 0usize..7) {
            let mut bytes = block(&fragments);
            bytes.extend(vec![0; padding]);
            let mut out = Vec::new();
            let seen = strip(&bytes, &mut out);
            prop_assert!(seen.sound && !seen.unfinished);
            prop_assert_eq!(out, fragments.concat());
        }

        #[test]
        fn one_changed_byte_is_seen_and_spoils_only_its_own_fragment(fragments in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 20..200), 2..12), at in any::<prop::sample::Index>(), by in 1u8..) {
            let mut bytes = block(&fragments);
            let at = at.index(bytes.len());
            bytes[at] ^= by;
            let mut out = Vec::new();
            prop_assert!(!strip(&bytes, &mut out).sound);
            let mut passed = 0;
            for fragment in &fragments {
                let whole = passed..passed + HEADER_BYTES + fragment.len();
                let header = passed..passed + HEADER_BYTES;
                passed = whole.end;
                if !whole.contains(&at) || header.contains(&at) {
                    prop_assert!(memchr_in(&out, fragment));
                }
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..3000)) {
            strip(&bytes, &mut Vec::new());
        }
    }

    fn memchr_in(text: &[u8], part: &[u8]) -> bool {
        text.windows(part.len()).any(|window| window == part)
    }

    #[test]
    fn a_record_that_goes_on_in_a_block_that_is_not_there_is_unfinished() {
        assert!(strip(&written(2, b"x"), &mut Vec::new()).unfinished);
        assert!(!strip(&written(4, b"x"), &mut Vec::new()).unfinished);
    }
}
