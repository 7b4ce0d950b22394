//! A listener's certificate that comes and changes while it listens.

use std::sync::{Arc, PoisonError, RwLock};

use rustls::{
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::{TlsError, provider};

/// A listener's certificate that may come after the listener, and be replaced while it listens: every handshake takes the one that
/// is there then. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct CertCell(Arc<RwLock<Option<Arc<CertifiedKey>>>>);

impl CertCell {
    /// One that holds a chain (leaf first) and its key from the start.
    ///
    /// # Errors
    /// [`TlsError::BadCertificate`] when they do not fit.
    pub fn holding(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, TlsError> {
        let cell = Self::default();
        cell.set(chain, key).map(|()| cell)
    }

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
