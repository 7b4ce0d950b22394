//! A listener's certificate that comes and changes while it listens.

use std::sync::{Arc, PoisonError, RwLock};

use rustls::{
    ServerConfig,
    crypto::ring,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
    version::{TLS12, TLS13},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::{TlsError, WallTime, provider};
use crate::clock::Clock;

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
