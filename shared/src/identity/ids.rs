//! Public ids of customers.
//!
//! Owns the derivation. A pure function of the deployment's key and a fingerprint, so that nobody without the key can compute
//! the id of a national id's owner.

use crate::id::{CustomerId, Fingerprint};

/// The public id of the customer whose seed, or any member, is `fingerprint`: the seed's is the id, the others' are aliases.
/// Keyed BLAKE3, truncated to 16 bytes.
#[must_use]
pub fn customer_id(id_key: &[u8; 32], fingerprint: &Fingerprint) -> CustomerId {
    let mut hasher = blake3::Hasher::new_keyed(id_key);
    hasher.update(b"trenza customer id v1");
    hasher.update(fingerprint.as_bytes());
    CustomerId(truncated(hasher.finalize().as_bytes()))
}

/// The first 16 bytes of a hash.
pub(crate) fn truncated(hash: &[u8; 32]) -> [u8; 16] {
    let mut out = [0; 16];
    for (slot, byte) in out.iter_mut().zip(hash) {
        *slot = *byte;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_customer_id_never_changes_and_depends_on_the_key() {
        let fingerprint = Fingerprint([7; 16]);
        let id = customer_id(&[1; 32], &fingerprint);
        assert_eq!(id.to_string(), "c_a4a47cf290bdf649670b533a13b3a535");
        assert_ne!(id, customer_id(&[2; 32], &fingerprint));
        assert_ne!(id, customer_id(&[1; 32], &Fingerprint([8; 16])));
    }
}
