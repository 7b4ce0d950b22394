//! A listener's certificate that comes and changes while it listens.

use std::{
    fmt,
    ops::Range,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use rustls::{
    ServerConfig,
    crypto::ring,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
    version::{TLS12, TLS13},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::{TlsError, WallTime, provider};
use crate::{
    clock::Clock,
    net::pki::{PkiError, cert_begins_ms, cert_expires_ms},
};

/// A listener's certificate that may come after the listener, and be replaced while it listens: every handshake takes the one that
/// is there then. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct CertCell(Arc<RwLock<Option<Arc<CertifiedKey>>>>);

impl CertCell {
    /// Puts a chain (leaf first) and its key in.
    ///
    /// # Errors
    /// [`TlsError::BadCertificate`] when they do not fit; what was there stays.
    pub fn set(
        &self,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<(), TlsError> {
        let certified = CertifiedKey::from_der(chain, key, &provider())?;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(certified));
        Ok(())
    }

    /// Takes it out: handshakes fail until there is another.
    pub fn clear(&self) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The certificate itself.
    pub fn leaf(&self) -> Option<CertificateDer<'static>> {
        self.now()?.cert.first().cloned()
    }

    fn now(&self) -> Option<Arc<CertifiedKey>> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl ResolvesServerCert for CertCell {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.now()
    }
}

/// Makes a certificate that is good from an instant on (ms since 1970): its chain, leaf first, and its key.
pub type Make = dyn Fn(i64) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), PkiError>
    + Send
    + Sync;

/// The certificate of a listener whose program can make it by itself: made anew at a handshake once two thirds of it are over, and
/// where the clock says that it is not yet good, since the clock was set.
pub struct MadeCert {
    make: Box<Make>,
    clock: Arc<dyn Clock>,
    held: Mutex<Held>,
}

struct Held {
    cert: Arc<CertifiedKey>,
    /// Unit: ms since 1970.
    good: Range<i64>,
}

impl Held {
    fn made(make: &Make, now_ms: i64) -> Result<Self, TlsError> {
        let unusable = |problem: String| TlsError::BadCa(problem);
        let (chain, key) = make(now_ms).map_err(|error| unusable(error.to_string()))?;
        let validity = chain
            .first()
            .and_then(|leaf| Some((cert_begins_ms(leaf)?, cert_expires_ms(leaf)?)));
        let (begins_ms, expires_ms) =
            validity.ok_or_else(|| unusable("the certificate has no validity".into()))?;
        let due_ms = begins_ms.saturating_add(expires_ms.saturating_sub(begins_ms) / 3 * 2);
        Ok(Self {
            cert: Arc::new(CertifiedKey::from_der(chain, key, &provider())?),
            good: begins_ms..due_ms,
        })
    }
}

impl MadeCert {
    /// Makes the first one.
    ///
    /// # Errors
    /// [`TlsError`] when none can be made.
    pub fn new(make: Box<Make>, clock: Arc<dyn Clock>) -> Result<Self, TlsError> {
        let held = Mutex::new(Held::made(&*make, clock.wall_ms())?);
        Ok(Self { make, clock, held })
    }

    fn now(&self) -> Arc<CertifiedKey> {
        let now_ms = self.clock.wall_ms();
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if !held.good.contains(&now_ms) {
            match Held::made(&*self.make, now_ms) {
                Ok(made) => {
                    tracing::info!("the listener's certificate was made anew");
                    *held = made;
                }
                // What is there may be good for a while yet.
                Err(error) => {
                    tracing::error!(error = %error, "the listener's certificate cannot be made anew")
                }
            }
        }
        held.cert.clone()
    }
}

impl fmt::Debug for MadeCert {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("MadeCert").finish_non_exhaustive()
    }
}

impl ResolvesServerCert for MadeCert {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.now())
    }
}

/// For browsers on a device's network, as [`super::web_server_config`], with a certificate that comes and changes while it listens.
///
/// # Errors
/// [`TlsError::BadCertificate`] when no session tickets can be made.
pub fn device_server_config(
    cert: CertCell,
    clock: Arc<dyn Clock>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let mut config = ServerConfig::builder_with_details(provider(), Arc::new(WallTime(clock)))
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(cert));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.ticketer = ring::Ticketer::new()?;
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::TestClock,
        net::pki::{Ca, cert_fingerprint, read_chain, read_key},
    };

    const NOW: i64 = 1_773_480_000_000;
    const DAY_MS: i64 = 86_400_000;

    #[test]
    fn a_certificate_is_made_anew_when_two_thirds_are_over_or_the_clock_was_set_back() {
        let ca = Ca::generate("one", NOW - 9 * 365 * DAY_MS).unwrap();
        let clock = Arc::new(TestClock::at(NOW));
        let make = move |now_ms| {
            let made = ca.issue_server(&["localhost".into()], &[], now_ms, 30)?;
            Ok((read_chain(&made.chain_pem)?, read_key(&made.key_pem)?))
        };
        let cert = MadeCert::new(Box::new(make), clock.clone()).unwrap();
        let at = |ms| {
            clock.set_wall_ms(ms);
            cert_fingerprint(&cert.now().cert[0])
        };
        let first = at(NOW);
        assert_eq!(at(NOW + 19 * DAY_MS), first);
        let second = at(NOW + 21 * DAY_MS);
        assert_ne!(second, first);
        assert_eq!(at(NOW + 30 * DAY_MS), second);
        let third = at(NOW + 4_000 * DAY_MS);
        assert_ne!(third, second);
        // A server that started with a clock years ahead, and has heard the time since.
        assert_ne!(at(NOW), third);
    }
}
