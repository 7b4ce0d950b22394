//! Agents that a restored server has forgotten.

use trenza_shared::wire::sync::Introduction;

use super::*;

/// A device whose certificate this server signed and has forgotten, as a restore from an older backup does.
fn forgotten(site: &Site, byte: u8) -> Device {
    let (app, agent) = (&site.server.app, AgentId([byte; 16]));
    let key = DeviceKey::generate().unwrap();
    let issued = crate::http::enrol::sign(app, &key.csr_pem().unwrap(), agent, "Feria").unwrap();
    site.with(agent, key, &issued.pem)
}

#[tokio::test]
async fn a_restored_server_takes_an_agent_back_that_it_has_forgotten() {
    let site = Site::start().await;
    let device = forgotten(&site, 9);
    let mut hello = device.hello_of(Some(1));
    let welcome = async |hello: &Hello| {
        let answer = device.say(hello).await.unwrap();
        assert_eq!(answer.status, 200, "{:?}", answer.error());
        Welcome::from_bytes(&answer.body).unwrap()
    };
    assert!(welcome(&hello).await.introduce);
    let row = |site: &Site| site.server.app.registry.agent(&device.agent).unwrap();
    assert_eq!(row(&site).venue, "Feria");
    // What no admin could have written is not taken over.
    let said = Introduction {
        touchpoint: "Puesto B".into(),
        country: "MX".into(),
        zone: "America/Nowhere".into(),
        write_key: "wk_b".into(),
    };
    hello.introduction = Some(said.clone());
    assert!(welcome(&hello).await.introduce);
    hello.introduction = Some(Introduction {
        zone: "America/Mexico_City".into(),
        ..said
    });
    assert!(!welcome(&hello).await.introduce);
    let row = row(&site);
    assert_eq!(
        (
            row.touchpoint.as_str(),
            row.country.as_str(),
            row.write_key.as_str()
        ),
        ("Puesto B", "MX", "wk_b")
    );
    let source = site.server.app.registry.source("wk_b").unwrap();
    assert_eq!((source.name.as_str(), source.revoked), ("Puesto B", false));
    // Once: who is known does not change by saying so.
    hello.introduction = Some(Introduction {
        touchpoint: "Elsewhere".into(),
        country: "ES".into(),
        zone: "Europe/Madrid".into(),
        write_key: WEB.into(),
    });
    assert!(!welcome(&hello).await.introduce);
    let touchpoint = |site: &Site| {
        site.server
            .app
            .registry
            .agent(&device.agent)
            .unwrap()
            .touchpoint
    };
    assert_eq!(touchpoint(&site), "Puesto B");
    site.close().await;
}

#[tokio::test]
async fn a_forgotten_certificate_of_a_revoked_agent_opens_nothing() {
    let site = Site::start().await;
    let device = site.device(1);
    admin::fleet::revoke(&site.server.app, device.agent).unwrap();
    let renewed = forgotten(&site, 1);
    for _ in 0..2 {
        let answer = renewed.say(&renewed.hello_of(Some(1))).await.unwrap();
        assert_eq!(
            (answer.status, code(&answer).as_str()),
            (StatusCode::FORBIDDEN, "revoked")
        );
    }
    site.close().await;
}
