//! What keeps a packed run readable when a sector of the disk is lost: pure.
//!
//! Packed bytes depend on each other, so that one changed byte would cost a thousand events. A guarded run carries a check of every
//! block, by which it is seen where the damage is, and the exclusive or of all bytes a span apart: any damage within one span is
//! undone. It costs 9 % of a full run; packing in small parts of their own, each readable by itself, would cost 40 % and lose the
//! part.

use std::borrow::Cow;

/// Bytes that one check is for.
const BLOCK_BYTES: usize = 512;
/// Bytes of a check: the beginning of the block's BLAKE3.
const CHECK_BYTES: usize = 4;
/// How far apart bytes lie that guard each other: a sector of 4 KiB, wherever the blocks begin.
pub const SPAN_BYTES: usize = 4096 + BLOCK_BYTES;
/// Fewer packed bytes are not guarded: it would cost too much for what they hold. Unit: bytes.
pub const GUARDED_BYTES_MIN: usize = 6 * SPAN_BYTES;

fn check(block: &[u8]) -> [u8; CHECK_BYTES] {
    let mut check = [0; CHECK_BYTES];
    check.copy_from_slice(&blake3::hash(block).as_bytes()[..CHECK_BYTES]);
    check
}

fn fold(parity: &mut [u8], bytes: &[u8]) {
    for span in bytes.chunks(SPAN_BYTES) {
        for (sum, byte) in parity.iter_mut().zip(span) {
            *sum ^= byte;
        }
    }
}

/// Length, checks and parity of `packed`, then `packed` itself.
pub fn guard(packed: &[u8], out: &mut Vec<u8>) {
    let length = u32::try_from(packed.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    for block in packed.chunks(BLOCK_BYTES) {
        out.extend_from_slice(&check(block));
    }
    let mut parity = vec![0; SPAN_BYTES];
    fold(&mut parity, packed);
    out.extend_from_slice(&parity);
    out.extend_from_slice(packed);
}

/// The packed bytes that [`guard`] wrote, mended where they are damaged within one span; none when the lengths are not right.
/// More damage than that stays: whoever unpacks them finds it.
pub fn packed(guarded: &[u8]) -> Option<Cow<'_, [u8]>> {
    let (length, rest) = guarded.split_first_chunk::<4>()?;
    let length = u32::from_be_bytes(*length) as usize;
    let checks_bytes = length.div_ceil(BLOCK_BYTES).checked_mul(CHECK_BYTES)?;
    let (checks, rest) = rest.split_at_checked(checks_bytes)?;
    let (parity, packed) = rest.split_at_checked(SPAN_BYTES)?;
    if packed.len() != length {
        return None;
    }
    let blocks = packed.chunks(BLOCK_BYTES).zip(checks.chunks(CHECK_BYTES));
    let mut bad = blocks
        .enumerate()
        .filter(|(_, (block, said))| check(block) != **said)
        .map(|(at, _)| at);
    let Some(first) = bad.next() else {
        return Some(Cow::Borrowed(packed));
    };
    let from = first * BLOCK_BYTES;
    let to = ((bad.next_back().unwrap_or(first) + 1) * BLOCK_BYTES).min(length);
    if to - from > SPAN_BYTES {
        return Some(Cow::Borrowed(packed));
    }
    let mut mended = packed.to_vec();
    mended[from..to].fill(0);
    let mut sums = parity.to_vec();
    fold(&mut sums, &mended);
    for (at, byte) in (from..to).zip(&mut mended[from..to]) {
        *byte = sums[at % SPAN_BYTES];
    }
    Some(Cow::Owned(mended))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes(count: usize, seed: u64) -> Vec<u8> {
        let mut reader = blake3::Hasher::new()
            .update(&seed.to_be_bytes())
            .finalize_xof();
        let mut out = vec![0; count];
        reader.fill(&mut out);
        out
    }

    fn guarded(packed: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        guard(packed, &mut out);
        out
    }

    #[test]
    fn the_layout_is_frozen() {
        let hash = blake3::hash(&guarded(&bytes(30_000, 1)));
        assert_eq!(
            hash.to_hex().as_str(),
            "3284c6361b5b79e24250efb1eae723b91489fb1c4fce6bb3a54192284c88debf"
        );
    }

    #[test]
    fn a_full_run_costs_a_tenth_more_at_most() {
        assert!(guarded(&bytes(54_000, 1)).len() <= 59_200);
    }

    proptest! {
        /// Whatever happens to a sector, wherever it lies, is undone.
        #[test]
        fn a_lost_sector_is_mended(count in 1usize..70_000, at in any::<prop::sample::Index>(), length in 1usize..=4096, seed in any::<u64>()) {
            let whole = bytes(count, seed);
            let mut damaged = guarded(&whole);
            let begin = damaged.len() - count + at.index(count);
            let end = damaged.len().min(begin + length);
            damaged[begin..end].copy_from_slice(&bytes(end - begin, !seed));
            prop_assert!(packed(&damaged).as_deref() == Some(&whole[..]));
        }

        /// Damage of the guard itself costs nothing, but for the four bytes of the length.
        #[test]
        fn a_damaged_guard_guards_nothing_and_harms_nothing(count in 1usize..40_000, at in any::<prop::sample::Index>(), by in 1u8.., seed in any::<u64>()) {
            let whole = bytes(count, seed);
            let mut damaged = guarded(&whole);
            let before = damaged.len() - count;
            damaged[4 + at.index(before - 4)] ^= by;
            prop_assert!(packed(&damaged).as_deref() == Some(&whole[..]));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..12_000), length in any::<u16>()) {
            let mut bytes = bytes;
            bytes.splice(0..0, u32::from(length).to_be_bytes());
            let _either = packed(&bytes);
        }
    }
}
