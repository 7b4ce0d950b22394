//! Whose a certificate is, under which names it is good, and what its key signed.

use std::{collections::BTreeSet, net::IpAddr};

use rcgen::SigningKey as _;
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, parse_x509_certificate};

use super::{DeviceKey, PkiError};
use crate::id::AgentId;

/// Longest certificate that is looked at. Unit: bytes.
pub const CERT_BYTES_MAX: usize = 4096;

/// The agent that a certificate was issued to.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Owner {
    /// Who.
    pub agent: AgentId,
    /// The venue whose agents exchange with each other; empty for an agent that stands alone.
    pub venue: String,
}

/// Why a signature counts for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadSignature {
    /// Not an agent's certificate.
    #[error("the certificate is not an agent's")]
    NoAgent,
    /// Signed by another authority, or edited.
    #[error("the certificate is not of this organisation's authority")]
    OtherAuthority,
    /// The signature is of another key or of another content.
    #[error("the signature does not fit the content and the certificate: one of them was changed")]
    Signature,
}

/// The agent that a certificate names. Believe it only of a certificate whose issuer was checked.
pub fn cert_owner(der: &[u8]) -> Option<Owner> {
    owner(&parse(der)?)
}

fn parse(der: &[u8]) -> Option<X509Certificate<'_>> {
    if der.len() > CERT_BYTES_MAX {
        return None;
    }
    let (rest, cert) = parse_x509_certificate(der).ok()?;
    rest.is_empty().then_some(cert)
}

fn owner(cert: &X509Certificate<'_>) -> Option<Owner> {
    let subject = cert.subject();
    let agent = subject.iter_common_name().next()?.as_str().ok()?;
    let venue = match subject.iter_organizational_unit().next() {
        Some(venue) => venue.as_str().ok()?,
        None => "",
    };
    // Listeners' certificates have names of hosts, and another purpose.
    let speaks = cert.extended_key_usage().ok()??.value.client_auth;
    speaks
        .then(|| agent.parse().ok())
        .flatten()
        .map(|agent| Owner {
            agent,
            venue: venue.to_owned(),
        })
}

/// The names and addresses for which a certificate (DER) is good, as text; `None` when it is not X.509.
pub fn cert_names(der: &[u8]) -> Option<BTreeSet<String>> {
    let (_, cert) = parse_x509_certificate(der).ok()?;
    let names = cert.subject_alternative_name().ok().flatten();
    let names = names.map(|extension| extension.value.general_names.iter().filter_map(name_text));
    Some(names.into_iter().flatten().collect())
}

fn name_text(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes)
                .ok()
                .map(|ip| IpAddr::from(ip).to_string()),
            16 => <[u8; 16]>::try_from(*bytes)
                .ok()
                .map(|ip| IpAddr::from(ip).to_string()),
            _ => None,
        },
        _ => None,
    }
}

/// Whether a certificate (DER) is of this public key (DER of its `SubjectPublicKeyInfo`).
pub(super) fn is_key_of(certificate: &[u8], public_key: &[u8]) -> bool {
    parse(certificate).is_some_and(|cert| cert.public_key().raw == public_key)
}

/// Whether `ca` issued a certificate (both DER), whatever it is good for and until when.
pub fn is_issued_by(ca: &[u8], certificate: &[u8]) -> bool {
    parse(certificate).is_some_and(|cert| is_signed_by(&cert, ca))
}

fn is_signed_by(cert: &X509Certificate<'_>, ca: &[u8]) -> bool {
    parse_x509_certificate(ca).is_ok_and(|(_, ca)| {
        cert.issuer() == ca.subject() && cert.verify_signature(Some(ca.public_key())).is_ok()
    })
}

/// Checks that `ca` issued `certificate` to an agent and that the agent's key signed `content`; returns the agent.
///
/// The certificate's validity does not count: content may wait for months on its way, and what was signed in time stays
/// signed. Whether the agent's right was taken back is for the server to say.
///
/// # Errors
/// [`BadSignature`].
pub fn verify_owner(
    ca: &[u8],
    certificate: &[u8],
    content: &[u8],
    signature: &[u8],
) -> Result<Owner, BadSignature> {
    let cert = parse(certificate).ok_or(BadSignature::NoAgent)?;
    let owner = owner(&cert).ok_or(BadSignature::NoAgent)?;
    if !is_signed_by(&cert, ca) {
        return Err(BadSignature::OtherAuthority);
    }
    let key = cert.public_key().subject_public_key.data.as_ref();
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key)
        .verify(content, signature)
        .map_err(|_| BadSignature::Signature)?;
    Ok(owner)
}

impl DeviceKey {
    /// Signs `content` (ECDSA P-256 with SHA-256, ASN.1): what [`verify_owner`] checks.
    ///
    /// # Errors
    /// [`PkiError::Failed`] when the random source fails.
    pub fn sign(&self, content: &[u8]) -> Result<Vec<u8>, PkiError> {
        Ok(self.0.sign(content)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::pki::{Ca, read_chain};

    const NOW: i64 = 1_768_472_430_456;
    const AGENT: AgentId = AgentId(*b"0123456789abcdef");

    #[test]
    fn what_an_agent_signed_is_its_own_and_nothing_else() {
        let (ca, other) = (
            Ca::generate("one", NOW).unwrap(),
            Ca::generate("one", NOW).unwrap(),
        );
        let (key, foreign) = (
            DeviceKey::generate().unwrap(),
            DeviceKey::generate().unwrap(),
        );
        let cert = ca
            .sign_member(&key.csr_pem().unwrap(), AGENT, "Feria Norte", NOW, 30)
            .unwrap();
        let owner = Owner {
            agent: AGENT,
            venue: "Feria Norte".into(),
        };
        assert_eq!(cert_owner(&cert.der), Some(owner.clone()));
        let signature = key.sign(b"content").unwrap();
        let verify = |ca: &Ca, cert: &[u8], content: &[u8], signature: &[u8]| {
            verify_owner(ca.cert_der(), cert, content, signature)
        };
        assert_eq!(verify(&ca, &cert.der, b"content", &signature), Ok(owner));
        assert_eq!(
            verify(&ca, &cert.der, b"edited!", &signature),
            Err(BadSignature::Signature)
        );
        assert_eq!(
            verify(
                &ca,
                &cert.der,
                b"content",
                &foreign.sign(b"content").unwrap()
            ),
            Err(BadSignature::Signature)
        );
        assert_eq!(
            verify(&other, &cert.der, b"content", &signature),
            Err(BadSignature::OtherAuthority)
        );
    }

    #[test]
    fn a_listeners_certificate_names_no_agent() {
        let ca = Ca::generate("one", NOW).unwrap();
        let cert = ca
            .issue_server(&[AGENT.to_string().replace('_', "-")], &[], NOW, 1)
            .unwrap();
        assert_eq!(cert_owner(&cert.cert.der), None);
        let key = DeviceKey::generate().unwrap();
        let alone = ca
            .sign_agent(&key.csr_pem().unwrap(), AGENT, NOW, 30)
            .unwrap();
        assert_eq!(cert_owner(&alone.der).unwrap().venue, "");
        assert_eq!(read_chain(&alone.pem).unwrap(), [alone.der]);
    }
}
