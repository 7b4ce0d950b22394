//! TLS configurations of every listener and client.
//!
//! Owns who is trusted and by which time. Never installs a process-wide provider: each configuration names `ring`.
//! A device whose clock is wrong must still reach its server, so the time that validity is judged by is [`TlsTime`].

mod cell; // a listener's certificate that comes and changes while it listens
mod neighbour; // agents of one venue among themselves

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

pub use cell::CertCell;
pub use rustls::ServerConfig;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, RootCertStore,
    SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, ring},
    server::{
        WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    time_provider::TimeProvider,
    version::{TLS12, TLS13},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

pub use neighbour::{Shown, neighbours_client_config, neighbours_server_config};

use super::pki::cert_fingerprint;
use crate::clock::Clock;

/// Most certificates looked at in a presented chain.
const CHAIN_CERTS_MAX: usize = 8;

/// Why a TLS configuration cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Key and certificate do not fit, or a certificate is unreadable.
    #[error("the certificate or key is not usable: {0}; check that they belong together")]
    BadCertificate(#[from] Error),
    /// The CA cannot be a trust anchor.
    #[error("the CA certificate is not usable: {0}")]
    BadCa(String),
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn unix_time(ms: i64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_millis(u64::try_from(ms).unwrap_or(0)))
}

/// The time by which certificates are judged: the device's clock when the certificate is valid by it, else the latest
/// time that is known to have passed (the build's, or the last one the server told).
pub struct TlsTime {
    clock: Arc<dyn Clock>,
    floor_ms: AtomicI64,
}

impl TlsTime {
    /// Reads `clock`; `floor_ms` is a time that has surely passed, in UTC milliseconds.
    pub fn new(clock: Arc<dyn Clock>, floor_ms: i64) -> Arc<Self> {
        Arc::new(Self {
            clock,
            floor_ms: AtomicI64::new(floor_ms),
        })
    }

    /// Remembers a time that an authenticated server told; an earlier one changes nothing.
    pub fn saw_server_time_ms(&self, ms: i64) {
        self.floor_ms.fetch_max(ms, Ordering::SeqCst);
    }

    /// The device's clock, or the floor where the clock is behind it. Unit: UTC milliseconds.
    pub fn now_ms(&self) -> i64 {
        self.clock.wall_ms().max(self.floor_ms())
    }

    /// The latest time that has surely passed.
    pub fn floor_ms(&self) -> i64 {
        self.floor_ms.load(Ordering::SeqCst)
    }

    /// Runs a check at the device's time and, when only time stands against it, again at the floor.
    ///
    /// The floor is a lower bound: a certificate that starts after it is judged at its start, since a device without a
    /// clock that was built long ago meets certificates younger than itself.
    fn judge<T>(&self, check: impl Fn(UnixTime) -> Result<T, Error>) -> Result<T, Error> {
        let error = match check(unix_time(self.clock.wall_ms())) {
            Err(error) if is_about_time(&error) => error,
            done => return done,
        };
        let retried = match check(unix_time(self.floor_ms())) {
            Err(Error::InvalidCertificate(CertificateError::NotValidYetContext {
                not_before,
                ..
            })) => check(not_before),
            done => done,
        };
        // What the device's own clock said is the more useful message.
        retried.map_err(|_| error)
    }
}

impl fmt::Debug for TlsTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "TlsTime(floor {})",
            crate::clock::format_ms(self.floor_ms())
        )
    }
}

impl TimeProvider for TlsTime {
    fn current_time(&self) -> Option<UnixTime> {
        Some(unix_time(self.now_ms()))
    }
}

fn is_about_time(error: &Error) -> bool {
    use CertificateError::{Expired, ExpiredContext, NotValidYet, NotValidYetContext};
    matches!(
        error,
        Error::InvalidCertificate(
            Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. }
        )
    )
}

/// The wall clock as rustls wants it.
struct WallTime(Arc<dyn Clock>);

impl fmt::Debug for WallTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WallTime")
    }
}

impl TimeProvider for WallTime {
    fn current_time(&self) -> Option<UnixTime> {
        Some(unix_time(self.0.wall_ms()))
    }
}

/// For browsers, tablets, SDKs and the API: TLS 1.2 and 1.3, HTTP/2 and 1.1, resumption by tickets.
///
/// The chain in `cert` is the leaf first, then (for a server's certificate of the own CA) the CA, so that an enrolling agent can
/// pin it. It may come and change while the listener is open.
///
/// # Errors
/// [`TlsError::BadCertificate`] when no session tickets can be made.
pub fn web_server_config(
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

/// For agents: TLS 1.3 alone, HTTP/2 alone, a client certificate of `ca` required.
///
/// A certificate that expired less than `expired_grace_ms` ago is accepted too, so that an agent that was away can renew
/// itself; the handlers see the expiry in [`super::serve::Peer`] and let such a peer do nothing else. 0 accepts none.
///
/// # Errors
/// [`TlsError`] when the CA is unreadable.
pub fn agents_server_config(
    cert: CertCell,
    ca: &CertificateDer<'static>,
    expired_grace_ms: u64,
    clock: Arc<dyn Clock>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let inner = WebPkiClientVerifier::builder_with_provider(roots(ca)?, provider())
        .build()
        .map_err(|error| TlsError::BadCa(error.to_string()))?;
    let verifier = AgentVerifier {
        inner,
        expired_grace: Duration::from_millis(expired_grace_ms),
    };
    let mut config = ServerConfig::builder_with_details(provider(), Arc::new(WallTime(clock)))
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_cert_resolver(Arc::new(cert));
    config.alpn_protocols = vec![b"h2".to_vec()];
    config.ticketer = ring::Ticketer::new()?;
    Ok(Arc::new(config))
}

fn roots(ca: &CertificateDer<'static>) -> Result<Arc<RootCertStore>, TlsError> {
    let mut roots = RootCertStore::empty();
    roots
        .add(ca.clone())
        .map_err(|error| TlsError::BadCa(error.to_string()))?;
    Ok(Arc::new(roots))
}

/// Checks agents' certificates, with patience for expired ones.
#[derive(Debug)]
struct AgentVerifier {
    inner: Arc<dyn ClientCertVerifier>,
    expired_grace: Duration,
}

impl ClientCertVerifier for AgentVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        match self.inner.verify_client_cert(leaf, others, now) {
            Err(Error::InvalidCertificate(CertificateError::ExpiredContext {
                not_after, ..
            })) if now.as_secs().saturating_sub(not_after.as_secs())
                < self.expired_grace.as_secs() =>
            {
                self.inner.verify_client_cert(leaf, others, not_after)
            }
            done => done,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// Whom a client believes to be its server. Any one of the ways is enough; the host name must fit in every way.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    ca: Option<CertificateDer<'static>>,
    ca_fingerprint: Option<[u8; 32]>,
    system_roots: bool,
}

impl Trust {
    /// A certificate of exactly this CA.
    pub fn ca(der: CertificateDer<'static>) -> Self {
        Self {
            ca: Some(der),
            ..Self::default()
        }
    }

    /// A chain that holds the CA with this fingerprint and is signed by it: for enrolment, when nothing else is known.
    pub fn ca_fingerprint(sha256: [u8; 32]) -> Self {
        Self {
            ca_fingerprint: Some(sha256),
            ..Self::default()
        }
    }

    /// A certificate that the system's roots accept.
    pub fn system_roots() -> Self {
        Self {
            system_roots: true,
            ..Self::default()
        }
    }

    /// This, or what the system's roots accept: for a web certificate that may have been replaced by a public one.
    pub fn or_system_roots(mut self) -> Self {
        self.system_roots = true;
        self
    }
}

/// The CA that a server presented and that had the pinned fingerprint; empty before the first handshake.
#[derive(Debug, Clone, Default)]
pub struct SeenCa(Arc<OnceLock<CertificateDer<'static>>>);

impl SeenCa {
    /// The CA's DER, once a server was accepted by its fingerprint.
    pub fn get(&self) -> Option<CertificateDer<'static>> {
        self.0.get().cloned()
    }
}

/// A certificate chain (leaf first) and its key, for a client that authenticates itself.
pub type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// For everything that calls a server. Protocols are left open: the HTTP client sets them.
///
/// # Errors
/// [`TlsError`] when the identity does not fit or the CA is unreadable.
pub fn client_config(
    trust: Trust,
    identity: Option<Identity>,
    time: Arc<TlsTime>,
) -> Result<(ClientConfig, SeenCa), TlsError> {
    let seen = SeenCa::default();
    let mut verifiers = Vec::new();
    if let Some(ca) = &trust.ca {
        verifiers.push(root_verifier(roots(ca)?)?);
    }
    if trust.system_roots {
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        let (_, _ignored) = roots.add_parsable_certificates(found.certs);
        // A device without system roots simply trusts nobody this way.
        if !roots.is_empty() {
            verifiers.push(root_verifier(Arc::new(roots))?);
        }
    }
    let verifier = PinnedVerifier {
        verifiers,
        ca_fingerprint: trust.ca_fingerprint,
        seen: seen.clone(),
        time: time.clone(),
        provider: provider(),
    };
    let builder = ClientConfig::builder_with_details(provider(), time)
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let config = match identity {
        Some((chain, key)) => builder.with_client_auth_cert(chain, key)?,
        None => builder.with_no_client_auth(),
    };
    Ok((config, seen))
}

fn root_verifier(roots: Arc<RootCertStore>) -> Result<Arc<WebPkiServerVerifier>, TlsError> {
    WebPkiServerVerifier::builder_with_provider(roots, provider())
        .build()
        .map_err(|error| TlsError::BadCa(error.to_string()))
}

/// Accepts a server by any of the ways of a [`Trust`], at the time of a [`TlsTime`].
#[derive(Debug)]
struct PinnedVerifier {
    verifiers: Vec<Arc<WebPkiServerVerifier>>,
    ca_fingerprint: Option<[u8; 32]>,
    seen: SeenCa,
    time: Arc<TlsTime>,
    provider: Arc<CryptoProvider>,
}

impl PinnedVerifier {
    /// A verifier for the CA with the pinned fingerprint, when the chain holds it.
    fn presented(
        &self,
        others: &[CertificateDer<'_>],
    ) -> Option<(Arc<WebPkiServerVerifier>, CertificateDer<'static>)> {
        let pinned = self.ca_fingerprint?;
        let ca = others
            .iter()
            .take(CHAIN_CERTS_MAX)
            .find(|cert| cert_fingerprint(cert) == pinned)?;
        let ca = ca.clone().into_owned();
        Some((root_verifier(roots(&ca).ok()?).ok()?, ca))
    }
}

impl ServerCertVerifier for PinnedVerifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let mut first_error = None;
        if let Some((verifier, ca)) = self.presented(others) {
            match self
                .time
                .judge(|now| verifier.verify_server_cert(leaf, others, name, ocsp, now))
            {
                Ok(done) => {
                    self.seen.0.get_or_init(|| ca);
                    return Ok(done);
                }
                Err(error) => first_error = Some(error),
            }
        }
        for verifier in &self.verifiers {
            match self
                .time
                .judge(|now| verifier.verify_server_cert(leaf, others, name, ocsp, now))
            {
                Ok(done) => return Ok(done),
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        Err(first_error.unwrap_or(Error::InvalidCertificate(CertificateError::UnknownIssuer)))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
