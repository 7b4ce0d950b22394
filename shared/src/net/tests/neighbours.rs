//! Agents of one venue among themselves.

use super::*;
use crate::net::{
    pki::Owner,
    tls::{Shown, neighbours_client_config, neighbours_server_config},
};

fn member(site: &Site, agent: u8, venue: &str) -> Identity {
    let key = DeviceKey::generate().unwrap();
    let cert = site
        .ca
        .sign_member(
            &key.csr_pem().unwrap(),
            AgentId([agent; 16]),
            venue,
            NOW,
            30,
        )
        .unwrap();
    (vec![cert.der], key.to_der())
}

async fn listener(site: &Site, identity: Identity) -> Served {
    let time = TlsTime::new(site.clock.clone(), NOW);
    let shown = Arc::new(Shown::new(identity).unwrap());
    let config = neighbours_server_config(shown, site.ca.cert_der(), time).unwrap();
    let router = Router::new().route(
        "/whoami",
        get(|Extension(peer): Extension<Peer>| async move {
            let Owner { agent, venue } = peer.client_owner.unwrap().as_ref().clone();
            format!("{agent} {venue}")
        }),
    );
    Served::start(Some(config), router, Limits::default()).await
}

fn caller(site: &Site, of: &Site, identity: Identity, venue: &str) -> Client {
    let time = TlsTime::new(site.clock.clone(), NOW);
    let tls =
        neighbours_client_config(identity, of.ca.cert_der(), venue, &[AgentId([9; 16])], time)
            .unwrap();
    Client::new(tls, ClientLimits::default())
}

#[tokio::test]
async fn neighbours_know_each_other_by_agent_and_venue_under_any_address() {
    let (site, stranger) = (Site::new(), Site::new());
    let here = listener(&site, member(&site, 1, "Feria")).await;
    let seen = whoami_of(
        &caller(&site, &site, member(&site, 2, "Feria"), "Feria"),
        &here,
    )
    .await
    .unwrap();
    assert_eq!(seen, format!("{} Feria", AgentId([2; 16])));
    // A listener of another venue, and one of another organisation, is not called.
    let elsewhere = listener(&site, member(&site, 3, "Tienda")).await;
    let error = whoami_of(
        &caller(&site, &site, member(&site, 2, "Feria"), "Feria"),
        &elsewhere,
    )
    .await
    .unwrap_err();
    assert!(error.to_string().contains("Tienda"), "{error}");
    let foreign = listener(&stranger, member(&stranger, 4, "Feria")).await;
    for (server, identity) in [
        (&foreign, member(&site, 2, "Feria")),
        (&here, member(&stranger, 5, "Feria")),
        // A listener's own certificate is not an agent's.
        (&here, site.chain()),
    ] {
        let caller = caller(&site, &site, identity, "Feria");
        assert!(whoami_of(&caller, server).await.is_err());
    }
}

#[tokio::test]
async fn a_wrong_clock_does_not_part_neighbours() {
    let site = Site::new();
    let here = listener(&site, member(&site, 1, "Feria")).await;
    let ours = [0, NOW + 5 * YEAR, NOW + DAY].map(|at| (at, member(&site, 2, "Feria")));
    for (clock_ms, identity) in ours {
        site.clock.set_wall_ms(clock_ms);
        let seen = whoami_of(&caller(&site, &site, identity, "Feria"), &here).await;
        assert!(seen.is_ok(), "{clock_ms}: {seen:?}");
    }
}
