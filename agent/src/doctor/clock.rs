//! The device's clock, and its certificate, which is judged by a clock.

use std::path::Path;

use trenza_shared::{clock::format_ms, net::pki};

use super::Check;
use crate::{config::files, sync::uplink::Validity};

/// A clock that differs by more is worth a word. Unit: ms.
const CLOCK_OFF_MS_MAX: i64 = 120_000;

/// The device's clock. `too_old`: by this clock the certificate expired so long ago that it could not be renewed.
pub(super) fn check(
    now_ms: i64,
    server_ms: Option<i64>,
    offset_ms: Option<i64>,
    too_old: bool,
) -> Check {
    let now = format_ms(now_ms);
    match (server_ms, offset_ms) {
        (Some(server), _) if now_ms < server - CLOCK_OFF_MS_MAX => Check::new(
            "clock",
            false,
            format!(
                "it says {now}, but the server's clock was past {} already; set it",
                format_ms(server)
            ),
        ),
        (_, Some(offset)) if offset.abs() > CLOCK_OFF_MS_MAX => Check::new(
            "clock",
            false,
            format!(
                "it says {now} and differs from the server's by {} s; set it (visits are kept and corrected all the same)",
                offset / 1000
            ),
        ),
        (None, _) if too_old => Check::new(
            "clock",
            false,
            format!(
                "it says {now}, no server has confirmed it, and by it the certificate expired long ago: it is probably wrong. Compare it with another clock and set it (visits are kept and corrected all the same)"
            ),
        ),
        (None, _) => Check::new(
            "clock",
            true,
            format!("it says {now}; the server has not been asked yet"),
        ),
        _ => Check::new(
            "clock",
            true,
            format!("it says {now}, in step with the server"),
        ),
    }
}

/// How long the device's certificate is good.
pub(super) fn validity(dir: &Path) -> Result<Validity, String> {
    let path = dir.join(files::CERT);
    let text = std::fs::read_to_string(&path)
        .map_err(|error| format!("cannot read {}: {error}; enrol the device", path.display()))?;
    let chain = pki::read_chain(&text).ok();
    chain
        .and_then(|chain| Validity::of(chain.first()?))
        .ok_or_else(|| {
            format!(
                "{} holds no certificate; enrol the device again",
                path.display()
            )
        })
}

/// By the server's clock, where it is known; else by the device's, which may be wrong.
pub(super) fn certificate(dir: &Path, own_ms: i64, server_ms: Option<i64>) -> Check {
    let bad = |message: String| Check::new("certificate", false, message);
    let validity = match validity(dir) {
        Ok(validity) => validity,
        Err(problem) => return bad(problem),
    };
    let now_ms = server_ms.unwrap_or(own_ms);
    let until = format_ms(validity.expires_ms);
    if validity.is_too_old(now_ms) && server_ms.is_none() {
        return bad(format!(
            "it expired at {until}, more than a year ago by this device's clock, which no server has confirmed: see clock. Only if that clock is right the device has to be enrolled again; capture goes on"
        ));
    }
    if validity.is_too_old(now_ms) {
        return bad(format!(
            "it expired at {until}, more than a year ago, and cannot be renewed any more; enrol the device again; capture goes on"
        ));
    }
    if now_ms > validity.expires_ms {
        return bad(format!(
            "it expired at {until}; it is renewed at the next contact with the server, for a year; capture goes on"
        ));
    }
    Check::new("certificate", true, format!("valid until {until}"))
}

#[cfg(test)]
mod tests {
    use trenza_shared::{clock::BUILT_MS, net::pki::DeviceKey};

    use super::*;

    #[test]
    fn a_clock_before_the_servers_last_time_is_wrong() {
        assert!(!check(0, Some(1_773_480_000_000), None, false).ok);
        assert!(check(1_773_480_000_000, Some(1_773_479_000_000), Some(40), false).ok);
        assert!(
            !check(
                1_773_480_000_000,
                Some(1_773_479_000_000),
                Some(-3_600_000),
                false
            )
            .ok
        );
        assert!(check(5, None, None, false).ok);
        let ahead = check(5, None, None, true);
        assert!(
            !ahead.ok && ahead.message.contains("probably wrong"),
            "{ahead:?}"
        );
    }

    #[test]
    fn a_clock_that_is_ten_years_ahead_enrols_nobody_again() {
        let dir = tempfile::tempdir().unwrap();
        let ca = pki::Ca::generate("test", BUILT_MS).unwrap();
        let key = DeviceKey::generate().unwrap();
        let id = trenza_shared::id::AgentId([7; 16]);
        let cert = ca.sign_agent(&key.csr_pem().unwrap(), id, BUILT_MS, 90);
        std::fs::write(dir.path().join(files::CERT), cert.unwrap().pem).unwrap();
        let ahead_ms = BUILT_MS + 3_652 * 24 * 3_600_000;
        let unsure = certificate(dir.path(), ahead_ms, None);
        assert!(unsure.message.contains("see clock"), "{unsure:?}");
        // The server's word: the device's clock is wrong, and the certificate is fine.
        assert!(certificate(dir.path(), ahead_ms, Some(BUILT_MS)).ok);
        // It really is so late.
        let sure = certificate(dir.path(), ahead_ms, Some(ahead_ms));
        assert!(
            !sure.ok && sure.message.contains("; enrol the device again"),
            "{sure:?}"
        );
    }

    #[test]
    fn a_folder_without_an_enrolment_has_no_certificate() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!certificate(dir.path(), 0, None).ok);
        assert!(std::fs::read_dir(dir.path()).unwrap().next().is_none());
    }
}
