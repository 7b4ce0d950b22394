//! How long a certificate is good, and when it wants to be renewed: pure.

use crate::wire::sync::RENEWABLE_MS;

/// The end of a certificate's validity, in UTC milliseconds; `None` when it is not X.509.
pub fn cert_expires_ms(der: &[u8]) -> Option<i64> {
    Validity::of(der).map(|validity| validity.expires_ms)
}

/// The validity of a certificate.
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
        let (_, cert) = x509_parser::parse_x509_certificate(der).ok()?;
        let ms = |time: x509_parser::time::ASN1Time| time.timestamp().checked_mul(1000);
        Some(Self {
            begins_ms: ms(cert.validity().not_before)?,
            expires_ms: ms(cert.validity().not_after)?,
        })
    }

    /// It can be used and need not be renewed: not where the clock was set to before it began.
    pub fn is_good(self, now_ms: i64) -> bool {
        now_ms >= self.begins_ms && !self.wants_renewal(now_ms)
    }

    /// It ended so long ago that no server renews an agent's.
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
        let good = [999, 1_000, 20_999, 21_000].map(|now_ms| validity.is_good(now_ms));
        assert_eq!(good, [false, true, true, false]);
    }
}
