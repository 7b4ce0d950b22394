//! TLS between agents of one venue: each side shows the certificate of its enrolment, and is known by the agent it names.
//!
//! Addresses on a local network come and go, so no host name is checked: whoever holds a certificate of the own authority for an
//! agent is that agent, wherever it is reached.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, ServerConfig,
    SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    server::{
        ClientHello, ResolvesServerCert, WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    sign::CertifiedKey,
    version::TLS13,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::{Identity, TlsError, TlsTime, provider, roots};
use crate::{
    id::AgentId,
    net::pki::{Owner, cert_owner},
};

/// What this device shows to its neighbours; replaced when its certificate is renewed.
#[derive(Debug)]
pub struct Shown(RwLock<Arc<CertifiedKey>>);

impl Shown {
    /// Shows `identity`.
    ///
    /// # Errors
    /// [`TlsError::BadCertificate`] when key and certificate do not fit.
    pub fn new(identity: Identity) -> Result<Self, TlsError> {
        Ok(Self(RwLock::new(certified(identity)?)))
    }

    /// Shows another one from the next handshake on.
    ///
    /// # Errors
    /// As [`Shown::new`]; the one before is shown then.
    pub fn replace(&self, identity: Identity) -> Result<(), TlsError> {
        let next = certified(identity)?;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = next;
        Ok(())
    }
}

fn certified((chain, key): Identity) -> Result<Arc<CertifiedKey>, TlsError> {
    Ok(Arc::new(CertifiedKey::from_der(chain, key, &provider())?))
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(
            self.0
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
        )
    }
}

/// For the listener that neighbours call: TLS 1.3 and HTTP/2 alone, an agent's certificate of `ca` required.
///
/// # Errors
/// [`TlsError::BadCa`] when the CA is unreadable.
pub fn neighbours_server_config(
    shown: Arc<Shown>,
    ca: &CertificateDer<'static>,
    time: Arc<TlsTime>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let verifier = Arc::new(Neighbour::new(ca, time.clone(), None)?);
    let mut config = ServerConfig::builder_with_details(provider(), time)
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(shown);
    config.alpn_protocols = vec![b"h2".to_vec()];
    // Without tickets every connection is judged anew.
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

/// For calling a neighbour: it must show an agent's certificate of `ca` that names `venue` and none of `revoked`.
///
/// # Errors
/// [`TlsError`] when the identity does not fit or the CA is unreadable.
pub fn neighbours_client_config(
    identity: Identity,
    ca: &CertificateDer<'static>,
    venue: &str,
    revoked: &[AgentId],
    time: Arc<TlsTime>,
) -> Result<ClientConfig, TlsError> {
    let verifier = Arc::new(Neighbour {
        revoked: revoked.to_vec(),
        ..Neighbour::new(ca, time.clone(), Some(venue.to_owned()))?
    });
    let (chain, key) = identity;
    let mut config = ClientConfig::builder_with_details(provider(), time)
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_auth_cert(chain, key)?;
    config.resumption = rustls::client::Resumption::disabled();
    Ok(config)
}

/// Accepts agents of one authority, at the time of a [`TlsTime`], whichever side they are on.
struct Neighbour {
    agents: Arc<dyn ClientCertVerifier>,
    time: Arc<TlsTime>,
    /// The only venue that is accepted; none where a clear answer over HTTP comes later.
    venue: Option<String>,
    /// Whose right was taken back, as far as is known; on the listener's side a clear answer over HTTP comes later.
    revoked: Vec<AgentId>,
}

impl Neighbour {
    fn new(
        ca: &CertificateDer<'static>,
        time: Arc<TlsTime>,
        venue: Option<String>,
    ) -> Result<Self, TlsError> {
        let agents = WebPkiClientVerifier::builder_with_provider(roots(ca)?, provider())
            .build()
            .map_err(|error| TlsError::BadCa(error.to_string()))?;
        Ok(Self {
            agents,
            time,
            venue,
            revoked: Vec::new(),
        })
    }

    fn check(&self, leaf: &CertificateDer<'_>, others: &[CertificateDer<'_>]) -> Result<(), Error> {
        self.time
            .judge(|now| self.agents.verify_client_cert(leaf, others, now))?;
        let owner: Owner = cert_owner(leaf).ok_or(Error::InvalidCertificate(
            CertificateError::ApplicationVerificationFailure,
        ))?;
        if self.revoked.contains(&owner.agent) {
            return Err(Error::General(format!(
                "the right of {} was taken back",
                owner.agent
            )));
        }
        match &self.venue {
            Some(venue) if *venue != owner.venue => Err(Error::General(format!(
                "{} is an agent of the venue {:?}, this one is of {venue:?}",
                owner.agent, owner.venue
            ))),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Neighbour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Neighbour({:?})", self.venue)
    }
}

impl ClientCertVerifier for Neighbour {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.agents.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(leaf, others)
            .map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.agents.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.agents.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.agents.supported_verify_schemes()
    }
}

impl ServerCertVerifier for Neighbour {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(leaf, others)
            .map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.agents.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.agents.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.agents.supported_verify_schemes()
    }
}
