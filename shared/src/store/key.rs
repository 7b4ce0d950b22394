//! Keys as bytes whose order is the order of the values.
//!
//! Numbers are big-endian (signed ones with the sign bit flipped), texts end with `00 00` and write a zero byte as
//! `00 FF`, tuples are their parts one after the other. So `a < b` exactly when `encode(a) < encode(b)`, and the
//! encoding of a tuple's first parts is a prefix of the whole.

use crate::id;

/// A type that can be a key, or a part of one.
///
/// Laws (property-tested): `decode(encode(k)) == k`; the byte order is the order of `Ord`; no encoding is a proper prefix of
/// another one of the same type.
pub trait Key: Sized {
    /// Appends the encoding.
    fn encode(&self, out: &mut Vec<u8>);

    /// Reads one value from the front of `from` and moves it on; `None` if the bytes are no such value.
    fn take(from: &mut &[u8]) -> Option<Self>;

    /// Reads a value that fills `bytes` exactly.
    fn decode(mut bytes: &[u8]) -> Option<Self> {
        let key = Self::take(&mut bytes)?;
        bytes.is_empty().then_some(key)
    }

    /// The encoding alone.
    fn to_key(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(48);
        self.encode(&mut out);
        out
    }
}

/// `Self` is the first part (or parts) of the key `K`.
pub trait PrefixOf<K>: Key {}

fn take_array<const N: usize>(from: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = from.split_first_chunk::<N>()?;
    *from = rest;
    Some(*head)
}

macro_rules! unsigned_key {
    ($($int:ty),*) => {$(
        impl Key for $int {
            fn encode(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_be_bytes());
            }

            fn take(from: &mut &[u8]) -> Option<Self> {
                take_array(from).map(Self::from_be_bytes)
            }
        }
    )*};
}
unsigned_key!(u8, u16, u32, u64, u128);

macro_rules! signed_key {
    ($($int:ty),*) => {$(
        impl Key for $int {
            fn encode(&self, out: &mut Vec<u8>) {
                // Flipping the sign bit puts the negative numbers before the others.
                out.extend_from_slice(&(*self ^ Self::MIN).to_be_bytes());
            }

            fn take(from: &mut &[u8]) -> Option<Self> {
                take_array(from).map(|bytes| Self::from_be_bytes(bytes) ^ Self::MIN)
            }
        }
    )*};
}
signed_key!(i32, i64);

impl Key for () {
    fn encode(&self, _out: &mut Vec<u8>) {}

    fn take(_from: &mut &[u8]) -> Option<Self> {
        Some(())
    }
}

impl Key for bool {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    fn take(from: &mut &[u8]) -> Option<Self> {
        match u8::take(from)? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

impl<const N: usize> Key for [u8; N] {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }

    fn take(from: &mut &[u8]) -> Option<Self> {
        take_array(from)
    }
}

impl Key for Vec<u8> {
    fn encode(&self, out: &mut Vec<u8>) {
        encode_bytes(self, out);
    }

    fn take(from: &mut &[u8]) -> Option<Self> {
        let mut value = Self::new();
        loop {
            let zero = from.iter().position(|byte| *byte == 0)?;
            value.extend_from_slice(&from[..zero]);
            let mark = *from.get(zero + 1)?;
            *from = &from[zero + 2..];
            match mark {
                0 => return Some(value),
                0xFF => value.push(0),
                _ => return None,
            }
        }
    }
}

impl Key for String {
    fn encode(&self, out: &mut Vec<u8>) {
        encode_bytes(self.as_bytes(), out);
    }

    fn take(from: &mut &[u8]) -> Option<Self> {
        Self::from_utf8(Vec::take(from)?).ok()
    }
}

/// Moves on behind a `String` or `Vec<u8>` without owning it; `None` if the bytes are no such value.
pub fn skip_bytes(from: &mut &[u8]) -> Option<()> {
    loop {
        let zero = from.iter().position(|byte| *byte == 0)?;
        let mark = *from.get(zero + 1)?;
        *from = &from[zero + 2..];
        match mark {
            0 => return Some(()),
            0xFF => {}
            _ => return None,
        }
    }
}

/// Appends the encoding that a `String` or `Vec<u8>` of these bytes has, without owning one.
pub fn encode_bytes(value: &[u8], out: &mut Vec<u8>) {
    for byte in value {
        out.push(*byte);
        if *byte == 0 {
            out.push(0xFF);
        }
    }
    out.extend_from_slice(&[0, 0]);
}

impl<K: Key> Key for Option<K> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.is_some().encode(out);
        if let Some(key) = self {
            key.encode(out);
        }
    }

    fn take(from: &mut &[u8]) -> Option<Self> {
        if bool::take(from)? {
            K::take(from).map(Some)
        } else {
            Some(None)
        }
    }
}

macro_rules! id_key {
    ($($name:ident),*) => {$(
        impl Key for id::$name {
            fn encode(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.0);
            }

            fn take(from: &mut &[u8]) -> Option<Self> {
                take_array(from).map(Self)
            }
        }
    )*};
}
id_key!(
    AgentId,
    EventId,
    Fingerprint,
    CustomerId,
    AccountId,
    DecisionId,
    BootId,
    ChainHash
);

impl Key for id::Lane {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    fn take(from: &mut &[u8]) -> Option<Self> {
        Self::try_from(u8::take(from)?).ok()
    }
}

macro_rules! tuple_key {
    ($($part:ident),+) => {
        impl<$($part: Key),+> Key for ($($part,)+) {
            fn encode(&self, out: &mut Vec<u8>) {
                #[allow(non_snake_case)]
                let ($($part,)+) = self;
                $($part.encode(out);)+
            }

            fn take(from: &mut &[u8]) -> Option<Self> {
                Some(($($part::take(from)?,)+))
            }
        }
    };
}
tuple_key!(A);
tuple_key!(A, B);
tuple_key!(A, B, C);
tuple_key!(A, B, C, D);
tuple_key!(A, B, C, D, E);

impl<A: Key, B> PrefixOf<(A, B)> for A {}
impl<A: Key, B, C> PrefixOf<(A, B, C)> for A {}
impl<A: Key, B: Key, C> PrefixOf<(A, B, C)> for (A, B) {}
impl<A: Key, B, C, D> PrefixOf<(A, B, C, D)> for A {}
impl<A: Key, B: Key, C, D> PrefixOf<(A, B, C, D)> for (A, B) {}
impl<A: Key, B: Key, C: Key, D> PrefixOf<(A, B, C, D)> for (A, B, C) {}
impl<A: Key, B, C, D, E> PrefixOf<(A, B, C, D, E)> for A {}
impl<A: Key, B: Key, C, D, E> PrefixOf<(A, B, C, D, E)> for (A, B) {}
impl<A: Key, B: Key, C: Key, D, E> PrefixOf<(A, B, C, D, E)> for (A, B, C) {}
impl<A: Key, B: Key, C: Key, D: Key, E> PrefixOf<(A, B, C, D, E)> for (A, B, C, D) {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn holds<K: Key + Ord + std::fmt::Debug>(a: &K, b: &K) {
        let (left, right) = (a.to_key(), b.to_key());
        assert_eq!(K::decode(&left).as_ref(), Some(a));
        assert_eq!(left.cmp(&right), a.cmp(b), "{a:?} {b:?}");
        assert!(
            a == b || !right.starts_with(&left),
            "{a:?} is a prefix of {b:?}"
        );
        if let Some(shorter) = left.len().checked_sub(1) {
            assert!(K::decode(&left[..shorter]).is_none());
        }
    }

    type Mixed = (String, i64, Option<Vec<u8>>, bool, u32);

    proptest! {
        #[test]
        fn numbers_keep_their_order(a: (u64, i64, u8, u128), b: (u64, i64, u8, u128)) {
            holds(&a, &b);
            holds(&a.1, &b.1);
            holds(&(a.2, a.1), &(a.2, b.1));
        }

        #[test]
        fn texts_with_zero_bytes_keep_their_order(
            a in proptest::collection::vec(prop_oneof![Just(0u8), Just(1), Just(255), any::<u8>()], 0..6),
            b in proptest::collection::vec(prop_oneof![Just(0u8), Just(1), Just(255), any::<u8>()], 0..6),
            n: i64, m: i64,
        ) {
            holds(&a, &b);
            holds(&(a.clone(), n), &(b.clone(), m));
            holds(&(a.clone(), n), &(a, m));
        }

        #[test]
        fn a_text_is_skipped_where_it_is_taken(
            bytes in proptest::collection::vec(prop_oneof![Just(0u8), Just(0), Just(255), any::<u8>()], 0..9),
        ) {
            let (mut taken, mut skipped) = (bytes.as_slice(), bytes.as_slice());
            prop_assert_eq!(Vec::<u8>::take(&mut taken).is_some(), skip_bytes(&mut skipped).is_some());
            prop_assert_eq!(taken, skipped);
        }

        #[test]
        fn tuples_keep_their_order(a: Mixed, b: Mixed) {
            holds(&a, &b);
            prop_assert!(a.to_key().starts_with(&(a.0.clone(), a.1).to_key()));
        }

        #[test]
        fn any_bytes_decode_or_not_but_never_panic(bytes: Vec<u8>) {
            if let Some(key) = Mixed::decode(&bytes) {
                prop_assert_eq!(key.to_key(), bytes);
            }
        }
    }
}
