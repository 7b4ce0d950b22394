//! The server's own certificate authority, and the keys of devices.
//!
//! Owns making and signing of certificates and writing of key files. Never believes a name in a certificate request, and
//! never lets a device's private key travel. All keys are ECDSA P-256, which every TLS stack accepts.

mod files; // how keys and certificates are written
mod owner; // whose a certificate is, and what its key signed
mod validity; // how long a certificate is good, and when it wants to be renewed

use std::{net::IpAddr, time::Duration};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData,
    SanType, SerialNumber,
};
pub use rustls_pki_types::CertificateDer;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject};

use crate::id::{AgentId, to_hex};

pub use files::{replace, write_secret};
pub use owner::{
    BadSignature, CERT_BYTES_MAX, Owner, cert_names, cert_owner, is_issued_by, verify_owner,
};
pub use validity::{Validity, cert_expires_ms};

/// Life of the CA, in days: twenty years.
pub const CA_DAYS: u32 = 7305;
/// Life of a web certificate, in days: the longest that browsers accept.
pub const WEB_CERT_DAYS: u32 = 397;
/// Life of an agent's certificate unless the settings say otherwise, in days.
pub const AGENT_CERT_DAYS_DEFAULT: u32 = 30;
/// Longest accepted certificate request, in bytes of PEM.
pub const CSR_BYTES_MAX: usize = 16 * 1024;

const DAY_MS: i64 = 86_400_000;
/// Certificates start a day early, for devices whose clock is behind.
const SKEW_MS: i64 = DAY_MS;
/// But never more than this part of their life, or a short one would begin as an old one.
const SKEW_PART: i64 = 10;

/// Why a key or certificate could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// The request cannot be signed: not PEM, a wrong self-signature, an unknown extension.
    #[error(
        "the certificate request is not acceptable: {0}; make it again with trenza-agent enrol"
    )]
    BadRequest(String),
    /// The request's key is of a kind that is not issued.
    #[error(
        "the certificate request has a key that is not ECDSA P-256; make it again with trenza-agent enrol"
    )]
    BadKeyKind,
    /// A stored PEM text cannot be read.
    #[error("the {what} is not readable as PEM: {cause}; restore it from a backup")]
    BadPem {
        /// Which of the texts.
        what: &'static str,
        /// What the parser said.
        cause: String,
    },
    /// Two files of two authorities.
    #[error("the CA certificate is of another key than the CA key; restore both from one backup")]
    OtherKey,
    /// A certificate cannot name this host.
    #[error("{0:?} cannot stand in a certificate; use a DNS name or an IP address")]
    BadName(String),
    /// The library or the system's random source failed.
    #[error("making a key or certificate failed: {0}")]
    Failed(String),
}

impl From<rcgen::Error> for PkiError {
    fn from(error: rcgen::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

/// SHA-256 of a certificate's DER: how the server finds the agent of a connection.
pub fn cert_fingerprint(der: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, der).as_ref());
    out
}

/// Reads a fingerprint as people paste it: 64 hexadecimal digits, colons, blanks and case ignored.
pub fn parse_fingerprint(text: &str) -> Option<[u8; 32]> {
    let digits: String = text
        .chars()
        .filter(|c| !matches!(c, ':' | ' ' | '\t' | '\n'))
        .collect();
    crate::id::from_hex(&digits)
}

/// A signed certificate.
#[derive(Debug, Clone)]
pub struct IssuedCert {
    /// The certificate.
    pub der: CertificateDer<'static>,
    /// The same as PEM.
    pub pem: String,
    /// SHA-256 of the DER.
    pub fingerprint: [u8; 32],
    /// Start of validity, UTC milliseconds.
    pub not_before_ms: i64,
    /// End of validity, UTC milliseconds.
    pub not_after_ms: i64,
}

/// A certificate with its key, for a listener: the leaf, then the CA, so that a client can pin the CA.
pub struct ServerCert {
    /// What was signed.
    pub cert: IssuedCert,
    /// Leaf and CA as PEM.
    pub chain_pem: String,
    /// The private key as PEM: write it with [`write_secret`].
    pub key_pem: String,
}

/// The certificate authority that signs the listeners' and the agents' certificates.
pub struct Ca {
    der: CertificateDer<'static>,
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Ca {
    /// Makes a CA called `name` that is valid for [`CA_DAYS`].
    ///
    /// # Errors
    /// [`PkiError::Failed`] when the random source fails.
    pub fn generate(name: &str, now_ms: i64) -> Result<Self, PkiError> {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        let (mut params, ..) = params(name, now_ms, CA_DAYS)?;
        // It signs leaves only: a path of length 0.
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::CrlSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        let cert = params.self_signed(&key)?;
        Ok(Self {
            der: cert.der().clone(),
            pem: cert.pem(),
            issuer: Issuer::new(params, key),
        })
    }

    /// Reads a CA back from what [`Ca::cert_pem`] and [`Ca::key_pem`] gave.
    ///
    /// # Errors
    /// [`PkiError::BadPem`] when either is not readable, [`PkiError::OtherKey`] when they are of two authorities.
    pub fn from_pem(cert_pem: &str, key_pem: &str) -> Result<Self, PkiError> {
        let bad = |what| {
            move |error: rcgen::Error| PkiError::BadPem {
                what,
                cause: error.to_string(),
            }
        };
        let der = CertificateDer::from_pem_slice(cert_pem.as_bytes()).map_err(|error| {
            PkiError::BadPem {
                what: "CA certificate",
                cause: error.to_string(),
            }
        })?;
        let key = KeyPair::from_pem(key_pem).map_err(bad("CA key"))?;
        if !owner::is_key_of(&der, &key.subject_public_key_info()) {
            return Err(PkiError::OtherKey);
        }
        let issuer = Issuer::from_ca_cert_der(&der, key).map_err(bad("CA certificate"))?;
        Ok(Self {
            der,
            pem: cert_pem.to_owned(),
            issuer,
        })
    }

    /// The CA's certificate.
    pub fn cert_der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    /// The CA's certificate as PEM.
    pub fn cert_pem(&self) -> &str {
        &self.pem
    }

    /// The CA's private key as PEM: write it with [`write_secret`].
    pub fn key_pem(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// SHA-256 of the certificate's DER in hexadecimal: what an invitation carries.
    pub fn fingerprint(&self) -> String {
        to_hex(&cert_fingerprint(&self.der))
    }

    /// Makes a key and a certificate for a listener that is reached under these names and addresses.
    ///
    /// # Errors
    /// [`PkiError::BadName`] for a name that is no DNS name.
    pub fn issue_server(
        &self,
        names: &[String],
        ips: &[IpAddr],
        now_ms: i64,
        days: u32,
    ) -> Result<ServerCert, PkiError> {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        self.server_cert(&key, names, ips, now_ms, days)
    }

    /// The same for the key that a listener has: of key and certificate, which are two files, only one changes.
    ///
    /// # Errors
    /// [`PkiError::BadPem`] for a text that is no P-256 key; else as [`Ca::issue_server`].
    pub fn renew_server(
        &self,
        key_pem: &str,
        names: &[String],
        ips: &[IpAddr],
        now_ms: i64,
        days: u32,
    ) -> Result<ServerCert, PkiError> {
        let DeviceKey(key) = DeviceKey::from_pem(key_pem)?;
        self.server_cert(&key, names, ips, now_ms, days)
    }

    fn server_cert(
        &self,
        key: &KeyPair,
        names: &[String],
        ips: &[IpAddr],
        now_ms: i64,
        days: u32,
    ) -> Result<ServerCert, PkiError> {
        let cert = self.sign_server(key, names, ips, now_ms, days)?;
        Ok(ServerCert {
            chain_pem: format!("{}{}", cert.pem, self.pem),
            key_pem: key.serialize_pem(),
            cert,
        })
    }

    /// Signs a device's listener certificate; the names come from the caller, never from the request.
    ///
    /// # Errors
    /// As [`Ca::sign_agent`] and [`Ca::issue_server`].
    pub fn sign_device_server(
        &self,
        csr_pem: &str,
        names: &[String],
        ips: &[IpAddr],
        now_ms: i64,
        days: u32,
    ) -> Result<IssuedCert, PkiError> {
        self.sign_server(&request_key(csr_pem)?, names, ips, now_ms, days)
    }

    /// Signs an agent's certificate. Of the request only the public key counts, once its self-signature is right: the
    /// subject is the agent's id, the only purpose is to authenticate a client.
    ///
    /// # Errors
    /// [`PkiError::BadRequest`] and [`PkiError::BadKeyKind`] for requests that are not acceptable.
    pub fn sign_agent(
        &self,
        csr_pem: &str,
        agent: AgentId,
        now_ms: i64,
        days: u32,
    ) -> Result<IssuedCert, PkiError> {
        self.sign_member(csr_pem, agent, "", now_ms, days)
    }

    /// Signs the certificate of an agent of a venue: it names the venue, so that the venue's agents know each other without
    /// asking the server. An empty venue is none.
    ///
    /// # Errors
    /// As [`Ca::sign_agent`].
    pub fn sign_member(
        &self,
        csr_pem: &str,
        agent: AgentId,
        venue: &str,
        now_ms: i64,
        days: u32,
    ) -> Result<IssuedCert, PkiError> {
        let key = request_key(csr_pem)?;
        let (mut params, from, to) = params(&agent.to_string(), now_ms, days)?;
        if !venue.is_empty() {
            params
                .distinguished_name
                .push(DnType::OrganizationalUnitName, venue);
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(params, &key, from, to)
    }

    fn sign_server(
        &self,
        key: &impl PublicKeyData,
        names: &[String],
        ips: &[IpAddr],
        now_ms: i64,
        days: u32,
    ) -> Result<IssuedCert, PkiError> {
        let title = names
            .first()
            .cloned()
            .or_else(|| ips.first().map(IpAddr::to_string));
        let (mut params, from, to) =
            params(&title.unwrap_or_else(|| "trenza".into()), now_ms, days)?;
        for name in names {
            let bad = |_| PkiError::BadName(name.clone());
            params
                .subject_alt_names
                .push(SanType::DnsName(name.as_str().try_into().map_err(bad)?));
        }
        params
            .subject_alt_names
            .extend(ips.iter().copied().map(SanType::IpAddress));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(params, key, from, to)
    }

    fn sign(
        &self,
        mut params: CertificateParams,
        key: &impl PublicKeyData,
        not_before_ms: i64,
        not_after_ms: i64,
    ) -> Result<IssuedCert, PkiError> {
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        let cert = params.signed_by(key, &self.issuer)?;
        let (der, pem) = (cert.der().clone(), cert.pem());
        Ok(IssuedCert {
            fingerprint: cert_fingerprint(&der),
            der,
            pem,
            not_before_ms,
            not_after_ms,
        })
    }
}

impl std::fmt::Debug for Ca {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Ca({})", self.fingerprint())
    }
}

/// SHA-256 of the public key of a certificate request, whose sender holds the private one.
///
/// # Errors
/// [`PkiError::BadRequest`] and [`PkiError::BadKeyKind`] for requests that are not acceptable.
pub fn csr_key_hash(csr_pem: &str) -> Result<[u8; 32], PkiError> {
    let key = request_key(csr_pem)?;
    Ok(cert_fingerprint(key.der_bytes()))
}

/// Reads a request and proves that its sender holds the key.
fn request_key(csr_pem: &str) -> Result<rcgen::PublicKey, PkiError> {
    if csr_pem.len() > CSR_BYTES_MAX {
        return Err(PkiError::BadRequest(format!(
            "it is longer than {CSR_BYTES_MAX} bytes"
        )));
    }
    let request = CertificateSigningRequestParams::from_pem(csr_pem)
        .map_err(|e| PkiError::BadRequest(e.to_string()))?;
    if request.public_key.algorithm() != &rcgen::PKCS_ECDSA_P256_SHA256 {
        return Err(PkiError::BadKeyKind);
    }
    Ok(request.public_key)
}

/// Parameters common to every certificate, and the validity in milliseconds.
fn params(
    common_name: &str,
    now_ms: i64,
    days: u32,
) -> Result<(CertificateParams, i64, i64), PkiError> {
    // Certificates count whole seconds.
    let now_ms = now_ms - now_ms.rem_euclid(1000);
    let life_ms = i64::from(days) * DAY_MS;
    let (from, to) = (
        (now_ms - SKEW_MS.min(life_ms / SKEW_PART)).max(0),
        (now_ms + life_ms).max(0),
    );
    let at = |ms: i64| rcgen::date_time_ymd(1970, 1, 1) + Duration::from_millis(ms.unsigned_abs());
    let mut serial = [0u8; 16];
    getrandom::fill(&mut serial).map_err(|e| PkiError::Failed(e.to_string()))?;
    // A positive number of full length, as RFC 5280 (4.1.2.2) asks.
    serial[0] = serial[0] & 0x7f | 0x40;
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    let mut params = CertificateParams::default();
    params.distinguished_name = name;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.not_before = at(from);
    params.not_after = at(to);
    Ok((params, from, to))
}

/// The private key of a device. It is made on the device and never leaves it.
pub struct DeviceKey(KeyPair);

impl DeviceKey {
    /// Makes a key.
    ///
    /// # Errors
    /// [`PkiError::Failed`] when the random source fails.
    pub fn generate() -> Result<Self, PkiError> {
        Ok(Self(KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?))
    }

    /// Reads a key back.
    ///
    /// # Errors
    /// [`PkiError::BadPem`] when the text is no P-256 key.
    pub fn from_pem(pem: &str) -> Result<Self, PkiError> {
        KeyPair::from_pem(pem)
            .map(Self)
            .map_err(|error| PkiError::BadPem {
                what: "device key",
                cause: error.to_string(),
            })
    }

    /// The key as PEM: write it with [`write_secret`].
    pub fn to_pem(&self) -> String {
        self.0.serialize_pem()
    }

    /// The key for a TLS configuration.
    pub fn to_der(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.0.serialize_der()).into()
    }

    /// A request to sign this key. It carries no name: the server gives one.
    ///
    /// # Errors
    /// [`PkiError::Failed`] when signing fails.
    pub fn csr_pem(&self) -> Result<String, PkiError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        Ok(params.serialize_request(&self.0)?.pem()?)
    }
}

impl std::fmt::Debug for DeviceKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DeviceKey(..)")
    }
}

/// Reads every certificate of a PEM text, in order.
///
/// # Errors
/// [`PkiError::BadPem`] when one is unreadable or there is none.
pub fn read_chain(pem: &str) -> Result<Vec<CertificateDer<'static>>, PkiError> {
    let bad = |cause: String| PkiError::BadPem {
        what: "certificate chain",
        cause,
    };
    let chain: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| bad(error.to_string()))?;
    if chain.is_empty() {
        Err(bad("it holds no certificate".into()))
    } else {
        Ok(chain)
    }
}

/// Reads a private key (PKCS#8, SEC1 or PKCS#1).
///
/// # Errors
/// [`PkiError::BadPem`] when there is none.
pub fn read_key(pem: &str) -> Result<PrivateKeyDer<'static>, PkiError> {
    PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|error| PkiError::BadPem {
        what: "private key",
        cause: error.to_string(),
    })
}

#[cfg(test)]
mod tests;
