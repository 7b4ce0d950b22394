//! Neighbours: what one brings for another counts only as its origin signed it.

use std::{path::Path, sync::Arc};

use anyhow::ensure;
use http::HeaderMap;
use trenza_shared::{
    clock::SystemClock,
    id::{AgentId, Lane},
    net::{
        client::{Client, ClientLimits},
        pki::{self, Ca, DeviceKey},
        tls::{Identity, TlsTime, Trust, client_config, neighbours_client_config},
    },
    wire::{
        Shape as _,
        carried::{Signed, statement},
        entry::{CHAIN_START, Entry, Open, SaltRoot, What},
        frame::Frame,
    },
};
use trenza_tests::process::Server;

use crate::lan::Stand;

/// The key and the certificates of an agent's folder.
struct Papers {
    key: DeviceKey,
    certificate: pki::CertificateDer<'static>,
    ca: pki::CertificateDer<'static>,
}

impl Papers {
    fn of(dir: &Path) -> anyhow::Result<Self> {
        let read = |name: &str| std::fs::read_to_string(dir.join(name));
        Ok(Self {
            key: DeviceKey::from_pem(&read("device.key.pem")?)?,
            certificate: pki::read_chain(&read("device.cert.pem")?)?.swap_remove(0),
            ca: pki::read_chain(&read("ca.pem")?)?.swap_remove(0),
        })
    }

    fn identity(&self) -> Identity {
        (vec![self.certificate.clone()], self.key.to_der())
    }

    fn sign(&self, frame: Frame) -> anyhow::Result<Signed> {
        Ok(Signed {
            signature: self.key.sign(&statement(&frame))?,
            certificate: self.certificate.to_vec(),
            frame,
        })
    }
}

/// The first frame of a later life of an agent's log.
fn frame(agent: AgentId, write_key: &str) -> Frame {
    let open = Open {
        what: What::Event(trenza_shared::event::EventType::Track),
        captured_ms: 1_773_480_000_000,
        boottime_ms: 1,
        boot: 0,
        offset_min: 60,
        key: write_key.into(),
        unverified: true,
        bot: None,
        sent_lag_ms: 0,
    };
    let text = format!(r#"{{"type":"track","event":"Visit","messageId":"{agent}","userId":"u"}}"#);
    let key = SaltRoot([7; 32]).block_key(99, Lane::Visits, 1);
    let entries = [Entry::clear(&open, &text)];
    Frame::seal(agent, 99, Lane::Visits, 1, CHAIN_START, key, &entries)
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_takes_a_frame_that_its_origin_did_not_sign() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let mut server = Server::init(&home.path().join("server"), None)?;
    server.start()?;
    let a = Stand::new(&server, home.path(), "Puerta", "Feria").await?;
    let b = Stand::new(&server, home.path(), "Barra", "Feria").await?;
    let far = Stand::new(&server, home.path(), "Lejos", "Otra").await?;
    let of_a = Papers::of(&a.agent.dir)?;
    let of_b = Papers::of(&b.agent.dir)?;
    let id_a: AgentId = a.id.parse()?;

    let good = of_a.sign(frame(id_a, &a.key))?;
    let forged = of_b.sign(frame(id_a, &a.key))?;
    let stolen = Signed {
        signature: of_b.key.sign(&statement(&good.frame))?,
        ..good.clone()
    };
    let mut edited = good.clone();
    let mut entries = edited.frame.run.unpack()?;
    entries[0].personal.push(b' ');
    edited.frame = Frame::seal(
        id_a,
        99,
        Lane::Visits,
        1,
        CHAIN_START,
        edited.frame.salt_key,
        &entries,
    );
    let strange_ca = Ca::generate("stranger", 1_773_480_000_000)?;
    let strange_key = DeviceKey::generate()?;
    let strange = strange_ca.sign_member(
        &strange_key.csr_pem()?,
        id_a,
        "Feria",
        1_773_480_000_000,
        9000,
    )?;
    let strange = Papers {
        key: strange_key,
        certificate: strange.der,
        ca: of_a.ca.clone(),
    };
    let bad = [forged, stolen, edited, strange.sign(frame(id_a, &a.key))?];

    let time = TlsTime::new(Arc::new(SystemClock), 0);
    let (tls, _) = client_config(
        Trust::ca(of_b.ca.clone()),
        Some(of_b.identity()),
        time.clone(),
    )?;
    let to_server = Client::new(tls, ClientLimits::default());
    let tls = neighbours_client_config(of_b.identity(), &of_b.ca, "Feria", &[], time.clone())?;
    let to_neighbour = Client::new(tls, ClientLimits::default());
    let at_server = format!(
        "https://{}/sync/v1/carried/frame",
        server.env["TRENZA_LISTEN__AGENTS"]
    );
    let at_neighbour = format!("{}/lan/v1/frame", a.lan());
    let at_carrier = format!("{}/lan/v1/frame", b.lan());
    for (number, signed) in bad.iter().enumerate() {
        for (client, url) in [(&to_server, &at_server), (&to_neighbour, &at_carrier)] {
            let answer = client
                .post(url, HeaderMap::new(), signed.to_bytes())
                .await?;
            let code = answer.error().map(|error| error.code).unwrap_or_default();
            ensure!(
                answer.status == 400 && code == "bad_signed_frame",
                "{url} {number}: {answer:?}"
            );
        }
    }
    let answer = to_server
        .post(&at_server, HeaderMap::new(), good.to_bytes())
        .await?;
    ensure!(answer.status == 200, "{answer:?}");
    server.resolved(&a.id).await?;
    // Without its own signature a frame of another is refused as before.
    let plainly = at_server.replace("carried/frame", "frame");
    let answer = to_server
        .post(&plainly, HeaderMap::new(), good.frame.to_bytes())
        .await?;
    ensure!(answer.status == 403, "{answer:?}");

    // A stranger's certificate gets no connection, one of another venue a clear answer.
    let tls = neighbours_client_config(strange.identity(), &of_b.ca, "Feria", &[], time.clone())?;
    let stranger = Client::new(tls, ClientLimits::default());
    ensure!(
        stranger
            .post(&at_neighbour, HeaderMap::new(), good.to_bytes())
            .await
            .is_err()
    );
    let of_far = Papers::of(&far.agent.dir)?;
    let tls = neighbours_client_config(of_far.identity(), &of_far.ca, "Feria", &[], time)?;
    let other = Client::new(tls, ClientLimits::default());
    let answer = other
        .post(&at_neighbour, HeaderMap::new(), good.to_bytes())
        .await?;
    let code = answer.error().map(|error| error.code).unwrap_or_default();
    ensure!(answer.status == 403 && code == "other_venue", "{answer:?}");
    Ok(())
}
