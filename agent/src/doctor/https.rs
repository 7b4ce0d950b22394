//! The certificate of the `https` listener for tablets.

use std::{net::SocketAddr, path::Path};

use super::Check;
use crate::sync::listener::ListenerCert;

/// Whether tablets can call; `said` is what went wrong when the running agent last asked for a certificate, none where none runs.
pub(super) fn check(
    addr: SocketAddr,
    names: &[String],
    dir: &Path,
    now_ms: i64,
    said: Option<&str>,
) -> Check {
    let cert = ListenerCert::open(dir, names.iter().cloned());
    let not_renewed = match said {
        None | Some("") => String::new(),
        Some(why) => format!("; no newer one was given: {why}"),
    };
    let Some(lacks) = cert.lacks(now_ms) else {
        let message = format!(
            "{addr} has a certificate for {}{not_renewed}",
            names.join(", ")
        );
        return Check::new("https", true, message);
    };
    let next = match said {
        None => "the agent asks the server for one once it runs",
        Some("") => "the server gives one at the next contact: see server",
        Some(why) => why,
    };
    let message = format!("{addr}: tablets cannot call it, {lacks}; {next}");
    Check::new("https", false, message)
}

#[cfg(test)]
mod tests {
    use trenza_shared::{
        clock::BUILT_MS,
        net::pki::{Ca, DeviceKey},
    };

    use super::*;
    use crate::config::files;

    #[test]
    fn a_listener_without_a_good_certificate_is_told_with_the_reason() {
        let dir = tempfile::tempdir().unwrap();
        let addr: SocketAddr = "0.0.0.0:8322".parse().unwrap();
        let look = |name: &str, days: i64, said: Option<&str>| {
            let now_ms = BUILT_MS + days * 24 * 3_600_000;
            let check = check(addr, &[name.to_owned()], dir.path(), now_ms, said);
            (check.ok, check.message)
        };
        let (ok, message) = look("kiosko.local", 0, None);
        assert!(!ok && message.contains("has no certificate") && message.contains("once it runs"));
        let (ok, message) = look("kiosko.local", 0, Some("the server answers 403"));
        assert!(
            !ok && message.contains("the server answers 403"),
            "{message}"
        );

        let key = DeviceKey::generate().unwrap();
        let names = ["kiosko.local".to_owned()];
        let cert = Ca::generate("test", BUILT_MS)
            .unwrap()
            .sign_device_server(&key.csr_pem().unwrap(), &names, &[], BUILT_MS, 30)
            .unwrap();
        std::fs::write(dir.path().join(files::LISTENER_KEY), key.to_pem()).unwrap();
        std::fs::write(dir.path().join(files::LISTENER_CERT), cert.pem).unwrap();
        assert!(look("Kiosko.local", 1, Some("")).0);
        let (ok, message) = look("otro.local", 1, Some(""));
        assert!(
            !ok && message.contains("not good for otro.local"),
            "{message}"
        );
        let (ok, message) = look("kiosko.local", 31, Some(""));
        assert!(!ok && message.contains("ran out at"), "{message}");
    }
}
