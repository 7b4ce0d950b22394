//! Tests of certificates.

use super::*;
use std::{io, os::unix::fs::PermissionsExt};
use x509_parser::parse_x509_certificate;

const NOW: i64 = 1_768_472_430_456;
const AGENT: AgentId = AgentId(*b"0123456789abcdef");

fn ca() -> Ca {
    Ca::generate("Trenza test", NOW).unwrap()
}

#[test]
fn a_ca_survives_its_files_and_signs_the_same() {
    let ca = ca();
    let again = Ca::from_pem(ca.cert_pem(), &ca.key_pem()).unwrap();
    assert_eq!(again.fingerprint(), ca.fingerprint());
    assert_eq!(
        parse_fingerprint(&ca.fingerprint()),
        Some(cert_fingerprint(ca.cert_der()))
    );
    let cert = again
        .issue_server(&["localhost".into()], &[], NOW, 1)
        .unwrap();
    let (_, leaf) = parse_x509_certificate(&cert.cert.der).unwrap();
    let (_, root) = parse_x509_certificate(ca.cert_der()).unwrap();
    assert_eq!(leaf.issuer(), root.subject());
    assert!(leaf.verify_signature(Some(root.public_key())).is_ok());
    assert_eq!(
        read_chain(&cert.chain_pem).unwrap(),
        [cert.cert.der, ca.cert_der().clone()]
    );
}

#[test]
fn a_certificate_and_a_key_of_two_authorities_are_none() {
    let (one, other) = (ca(), ca());
    let mixed = Ca::from_pem(one.cert_pem(), &other.key_pem());
    assert!(matches!(mixed, Err(PkiError::OtherKey)));
}

#[test]
fn a_listeners_certificate_is_renewed_for_the_same_key_by_its_own_authority() {
    let (ca, other) = (ca(), Ca::generate("Trenza test", NOW).unwrap());
    let names = ["localhost".to_owned()];
    let first = ca.issue_server(&names, &[], NOW, 30).unwrap();
    let again = ca
        .renew_server(&first.key_pem, &names, &[], NOW + 1_000_000, 30)
        .unwrap();
    assert_eq!(again.key_pem, first.key_pem);
    let key = |der: &[u8]| {
        let (_, leaf) = parse_x509_certificate(der).unwrap();
        leaf.public_key().raw.to_vec()
    };
    assert_eq!(key(&again.cert.der), key(&first.cert.der));
    assert_ne!(again.cert.fingerprint, first.cert.fingerprint);
    assert!(is_issued_by(ca.cert_der(), &again.cert.der));
    assert!(
        !is_issued_by(other.cert_der(), &again.cert.der),
        "an authority of the same name"
    );
    assert!(!is_issued_by(ca.cert_der(), b"nothing"));
}

#[test]
fn a_fingerprint_may_be_pasted_with_colons_and_capitals() {
    let text = ca().fingerprint();
    let pairs: Vec<_> = text
        .as_bytes()
        .chunks(2)
        .map(|p| std::str::from_utf8(p).unwrap().to_uppercase())
        .collect();
    assert_eq!(
        parse_fingerprint(&pairs.join(":")),
        parse_fingerprint(&text)
    );
    assert_eq!(parse_fingerprint("12:34"), None);
}

#[test]
fn a_request_with_forged_names_gets_only_its_agent_id() {
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let mut forged = CertificateParams::new(vec!["server.example".to_owned()]).unwrap();
    forged
        .distinguished_name
        .push(DnType::CommonName, "ag_ffffffffffffffffffffffffffffffff");
    forged
        .distinguished_name
        .push(DnType::OrganizationName, "Administrators");
    forged.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    forged.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let csr = forged.serialize_request(&key).unwrap().pem().unwrap();
    let issued = ca().sign_agent(&csr, AGENT, NOW, 30).unwrap();
    let (_, cert) = parse_x509_certificate(&issued.der).unwrap();
    assert_eq!(cert.subject().to_string(), format!("CN={AGENT}"));
    assert!(cert.subject_alternative_name().unwrap().is_none());
    assert!(!cert.is_ca());
    let usage = cert.extended_key_usage().unwrap().unwrap().value;
    assert!(usage.client_auth && !usage.server_auth && !usage.any);
    assert_eq!(cert_expires_ms(&issued.der), Some(issued.not_after_ms));
    assert_eq!(issued.not_after_ms - issued.not_before_ms, 31 * DAY_MS);
}

#[test]
fn a_request_that_its_key_did_not_sign_is_refused() {
    let mine = DeviceKey::generate().unwrap().csr_pem().unwrap();
    // A character of the last line stands for a part of the signature's second number.
    let end = mine
        .trim_end()
        .trim_end_matches("-----END CERTIFICATE REQUEST-----")
        .trim_end()
        .len();
    let mut forged = mine.clone().into_bytes();
    forged[end - 16] = if forged[end - 16] == b'A' { b'B' } else { b'A' };
    let error = ca()
        .sign_agent(str::from_utf8(&forged).unwrap(), AGENT, NOW, 30)
        .unwrap_err();
    assert!(matches!(error, PkiError::BadRequest(_)), "{error}");
    assert!(ca().sign_agent("nonsense", AGENT, NOW, 30).is_err());
    assert!(ca().sign_agent(&mine.repeat(100), AGENT, NOW, 30).is_err());
}

#[test]
fn two_certificates_of_one_key_have_different_serial_numbers() {
    let (ca, csr) = (ca(), DeviceKey::generate().unwrap().csr_pem().unwrap());
    let one = ca.sign_agent(&csr, AGENT, NOW, 30).unwrap();
    let two = ca.sign_agent(&csr, AGENT, NOW, 30).unwrap();
    assert_ne!(one.fingerprint, two.fingerprint);
}

#[test]
fn a_secret_is_for_its_owner_only_and_never_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("agent.key");
    write_secret(&path, b"one").unwrap();
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(
        write_secret(&path, b"two").unwrap_err().kind(),
        io::ErrorKind::AlreadyExists
    );
    assert_eq!(std::fs::read(&path).unwrap(), b"one");
}

#[test]
fn a_device_key_survives_its_file_and_is_not_shown() {
    let key = DeviceKey::generate().unwrap();
    let again = DeviceKey::from_pem(&key.to_pem()).unwrap();
    assert_eq!(again.to_der(), key.to_der());
    assert_eq!(format!("{key:?}"), "DeviceKey(..)");
}
