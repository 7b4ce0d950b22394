//! How long the device's certificate is valid, and when it wants to be renewed: pure.

use trenza_shared::{net::pki, wire::sync::RENEWABLE_MS};

/// The validity of the device's certificate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Validity {
    /// Unit: ms since 1970.
    pub begins_ms: i64,
    /// Unit: ms since 1970.
    pub expires_ms: i64,
}

impl Validity {
    /// Reads it from a certificate (DER).
    pub fn of(der: &[u8]) -> Option<Self> {
        Some(Self {
            begins_ms: pki::cert_begins_ms(der)?,
            expires_ms: pki::cert_expires_ms(der)?,
        })
    }

    /// It ended so long ago that no server renews it.
    pub fn is_too_old(self, now_ms: i64) -> bool {
        let renewable_ms = i64::try_from(RENEWABLE_MS).unwrap_or(i64::MAX);
        now_ms > self.expires_ms.saturating_add(renewable_ms)
    }

    /// Two thirds of it are over.
    pub fn wants_renewal(self, now_ms: i64) -> bool {
        now_ms
            >= self
                .begins_ms
                .saturating_add(self.expires_ms.saturating_sub(self.begins_ms) / 3 * 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_renewed_after_two_thirds_of_its_life() {
        let validity = Validity {
            begins_ms: 1_000,
            expires_ms: 31_000,
        };
        assert!(!validity.wants_renewal(20_999));
        assert!(validity.wants_renewal(21_000) && validity.wants_renewal(99_000));
    }
}
