//! Who trusts whom, over real loopback sockets.

use super::*;

#[tokio::test]
async fn an_agent_is_known_by_the_fingerprint_of_its_certificate() {
    let site = Site::new();
    let (cert, identity) = site.agent(30);
    let seen = whoami_of(
        &client_at(site.trust(), Some(identity), NOW, NOW),
        &site.agents(0).await,
    )
    .await
    .unwrap();
    assert_eq!(
        seen,
        format!("{} {}", to_hex(&cert.fingerprint), cert.not_after_ms)
    );
}

#[tokio::test]
async fn the_agents_listener_refuses_no_certificate_a_foreign_one_and_a_listeners_own() {
    let (site, other) = (Site::new(), Site::new());
    let server = site.agents(0).await;
    let listeners_own = site.chain();
    for identity in [None, Some(other.agent(30).1), Some(listeners_own)] {
        let error = whoami_of(&client_at(site.trust(), identity, NOW, NOW), &server)
            .await
            .unwrap_err();
        assert!(
            matches!(
                error,
                ClientError::Unreachable { .. } | ClientError::Broken { .. }
            ),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn an_expired_agent_is_refused_unless_there_is_grace() {
    let site = Site::new();
    let (cert, identity) = site.agent(30);
    site.clock.set_wall_ms(NOW + 40 * DAY);
    let client = |identity: &Identity| {
        client_at(
            site.trust(),
            Some((identity.0.clone(), identity.1.clone_key())),
            NOW,
            NOW,
        )
    };
    assert!(
        whoami_of(&client(&identity), &site.agents(0).await)
            .await
            .is_err()
    );
    let patient = site.agents(YEAR.unsigned_abs()).await;
    let seen = whoami_of(&client(&identity), &patient).await.unwrap();
    assert!(
        seen.ends_with(&format!(" {}", cert.not_after_ms)),
        "the handler sees the expiry: {seen}"
    );
    site.clock.set_wall_ms(NOW + 40 * DAY + YEAR);
    assert!(whoami_of(&client(&identity), &patient).await.is_err());
}

#[tokio::test]
async fn the_agents_listener_speaks_tls_1_3_alone() {
    let site = Site::new();
    let (agents, web) = (site.agents(0).await, site.web().await);
    for (server, accepts) in [(&agents, false), (&web, true)] {
        let roots = {
            let mut roots = rustls::RootCertStore::empty();
            roots.add(site.ca.cert_der().clone()).unwrap();
            roots
        };
        let time = TlsTime::new(site.clock.clone(), NOW);
        let (chain, key) = site.agent(30).1;
        let config = rustls::ClientConfig::builder_with_details(
            Arc::new(rustls::crypto::ring::default_provider()),
            time,
        )
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .unwrap();
        let tcp = TcpStream::connect(server.addr).await.unwrap();
        let name = rustls_pki_types::ServerName::try_from("localhost").unwrap();
        let result = tokio_rustls::TlsConnector::from(Arc::new(config))
            .connect(name, tcp)
            .await;
        assert_eq!(result.is_ok(), accepts, "{result:?}");
    }
}

#[tokio::test]
async fn an_enrolling_device_finds_the_ca_by_its_fingerprint() {
    let site = Site::new();
    let server = site.web().await;
    let pin = parse_fingerprint(&site.ca.fingerprint()).unwrap();
    let time = TlsTime::new(site.clock.clone(), NOW);
    let (tls, seen) = client_config(Trust::ca_fingerprint(pin), None, time).unwrap();
    assert_eq!(seen.get(), None);
    whoami_of(&Client::new(tls, ClientLimits::default()), &server)
        .await
        .unwrap();
    assert_eq!(seen.get().as_ref(), Some(site.ca.cert_der()));
    assert_eq!(cert_fingerprint(&seen.get().unwrap()), pin);
}

#[tokio::test]
async fn a_server_of_another_ca_is_refused_in_every_way() {
    let (site, other) = (Site::new(), Site::new());
    let server = site.web().await;
    let pin = parse_fingerprint(&other.ca.fingerprint()).unwrap();
    for trust in [
        other.trust(),
        Trust::ca_fingerprint(pin),
        Trust::system_roots(),
        other.trust().or_system_roots(),
    ] {
        let error = whoami_of(&client_at(trust, None, NOW, NOW), &server)
            .await
            .unwrap_err();
        assert!(matches!(error, ClientError::Untrusted { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_stolen_ca_certificate_in_the_chain_does_not_help() {
    let (site, thief) = (Site::new(), Site::new());
    let (mut chain, key) = thief.chain();
    chain[1] = site.ca.cert_der().clone();
    let cell = CertCell::holding(chain, key).unwrap();
    let config = web_server_config(cell, site.clock.clone()).unwrap();
    let server = Served::start(Some(config), whoami(), Limits::default()).await;
    let pin = parse_fingerprint(&site.ca.fingerprint()).unwrap();
    let error = whoami_of(
        &client_at(Trust::ca_fingerprint(pin), None, NOW, NOW),
        &server,
    )
    .await
    .unwrap_err();
    assert!(matches!(error, ClientError::Untrusted { .. }), "{error:?}");
}

#[tokio::test]
async fn a_host_name_that_is_not_in_the_certificate_is_refused() {
    let site = Site::new();
    let cert = site
        .ca
        .issue_server(&["elsewhere.example".into()], &[], NOW, 397)
        .unwrap();
    let (chain, key) = (
        read_chain(&cert.chain_pem).unwrap(),
        read_key(&cert.key_pem).unwrap(),
    );
    let cell = CertCell::holding(chain, key).unwrap();
    let config = web_server_config(cell, site.clock.clone()).unwrap();
    let server = Served::start(Some(config), whoami(), Limits::default()).await;
    let pin = parse_fingerprint(&site.ca.fingerprint()).unwrap();
    for trust in [site.trust(), Trust::ca_fingerprint(pin)] {
        let error = whoami_of(&client_at(trust, None, NOW, NOW), &server)
            .await
            .unwrap_err();
        assert!(matches!(error, ClientError::Untrusted { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_wrong_clock_does_not_keep_a_device_from_its_server() {
    let site = Site::new();
    let server = site.web().await;
    let cases = [
        ("right", NOW, 0, true),
        ("1970, built before the certificate", 0, NOW - YEAR, true),
        ("1970, the server told its time", 0, NOW + DAY, true),
        ("ten years ahead", NOW + 10 * YEAR, NOW + DAY, true),
        (
            "within its validity by the device, whatever was told",
            NOW + DAY,
            NOW + 2 * YEAR,
            true,
        ),
        ("a year behind", NOW - YEAR, NOW + DAY, true),
        (
            "1970, and the certificate is surely over",
            0,
            NOW + 2 * YEAR,
            false,
        ),
        (
            "two years later in truth",
            NOW + 2 * YEAR,
            NOW + 2 * YEAR - DAY,
            false,
        ),
    ];
    for (name, clock_ms, floor_ms, accepts) in cases {
        let result = whoami_of(&client_at(site.trust(), None, clock_ms, floor_ms), &server).await;
        assert_eq!(result.is_ok(), accepts, "{name}: {result:?}");
    }
}
