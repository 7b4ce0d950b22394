//! Agents' talks over a real connection: certificates, revocation, copies.

use std::{sync::Arc, time::Duration};

use axum::http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use trenza_shared::{
    clock::{Clock as _, TestClock},
    id::{AgentId, BootId, InstanceId, Lane},
    net::{
        client::{Client, ClientError, ClientLimits, Response},
        pki::{self, DeviceKey},
        serve::{Limits, Listener, serve},
        tls::{CertCell, TlsTime, Trust, client_config},
    },
    store::Batch,
    wire::{
        Shape,
        entry::{CHAIN_START, Entry, SaltRoot},
        frame::Frame,
        sync::{
            Ack, CERTIFICATE_EXPIRED, CopyWord, Hello, INSTANCE_HEADER, LaneHead, NOT_CURRENT,
            Welcome,
        },
    },
};

use crate::{
    admin, app,
    app::{names_of, random},
    certs::keep_made,
    tables::{AgentRow, AgentState, CERTS, CONTACTS, CertRow},
    testing::{Server, WEB},
};

mod kept;
mod pulse;
mod readmit;

const DAY_MS: u64 = 24 * 3_600_000;

/// A server with its listener for agents.
struct Site {
    server: Server,
    url: String,
    stop: oneshot::Sender<()>,
    serving: tokio::task::JoinHandle<()>,
}

/// A device as the server sees it.
struct Device {
    agent: AgentId,
    key: DeviceKey,
    client: Client,
    url: String,
    clock: Arc<TestClock>,
}

impl Site {
    async fn start() -> Self {
        let server = Server::start().await;
        let app = &server.app;
        let cell = CertCell::default();
        keep_made(
            "agents",
            &cell,
            &app.ca,
            &names_of(app),
            app.clock.wall_ms(),
        )
        .unwrap();
        let tls = app::agents_tls(app, cell).unwrap();
        let listener = Listener::bind(([127, 0, 0, 1], 0).into(), Some(tls), Limits::default())
            .await
            .unwrap();
        let url = listener.url();
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(serve(
            listener,
            super::agent_routes(server.app.clone()),
            async {
                let _gone = stopped.await;
            },
        ));
        Self {
            server,
            url,
            stop,
            serving,
        }
    }

    async fn close(self) {
        self.stop.send(()).unwrap();
        self.serving.await.unwrap();
        self.server.close().await;
    }

    /// An enrolled device.
    fn device(&self, byte: u8) -> Device {
        let (app, agent, key) = (
            &self.server.app,
            AgentId([byte; 16]),
            DeviceKey::generate().unwrap(),
        );
        let row = AgentRow {
            touchpoint: "Stand".into(),
            country: "PT".into(),
            zone: "Europe/Lisbon".into(),
            venue: "Feria".into(),
            write_key: WEB.into(),
            enrolled_ms: app.clock.wall_ms(),
            state: AgentState::Active,
            copy_of: None,
        };
        let issued = super::enrol::sign(app, &key.csr_pem().unwrap(), agent, "Feria").unwrap();
        let mut batch = Batch::new();
        let cert = CertRow {
            agent,
            not_after_ms: issued.not_after_ms,
        };
        CERTS.put(&mut batch, &issued.fingerprint, &cert).unwrap();
        app.registry.put_agent(&agent, &row, batch).unwrap();
        self.with(agent, key, &issued.pem)
    }

    fn with(&self, agent: AgentId, key: DeviceKey, cert_pem: &str) -> Device {
        let clock = self.server.clock.clone();
        let time = TlsTime::new(clock.clone(), clock.wall_ms());
        let identity = (pki::read_chain(cert_pem).unwrap(), key.to_der());
        let trust = Trust::ca(self.server.app.ca.cert_der().clone());
        let (config, _) = client_config(trust, Some(identity), time).unwrap();
        Device {
            agent,
            key,
            client: Client::new(config, ClientLimits::default()),
            url: self.url.clone(),
            clock,
        }
    }
}

impl Device {
    async fn post(
        &self,
        what: &str,
        headers: HeaderMap,
        body: Vec<u8>,
    ) -> Result<Response, ClientError> {
        let url = format!("{}/sync/v1/{what}", self.url);
        self.client.post(&url, headers, body).await
    }

    async fn json(&self, what: &str, body: &Value) -> (StatusCode, Value) {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        let answer = self
            .post(what, headers, body.to_string().into_bytes())
            .await
            .unwrap();
        (
            answer.status,
            serde_json::from_slice(&answer.body).unwrap_or(Value::Null),
        )
    }

    fn hello_of(&self, instance: Option<u8>) -> Hello {
        Hello {
            agent: self.agent,
            program: "0.1.0".into(),
            epoch: 1,
            lanes: vec![],
            waiting: 0,
            boot: BootId([0; 16]),
            boottime_ms: 0,
            wall_ms: self.clock.wall_ms(),
            clock_offset_ms: None,
            disk_free_bytes: 1,
            lineage: vec![],
            instance: instance.map(|byte| InstanceId([byte; 16])),
            proof: None,
            introduction: None,
            kept: vec![],
            began: None,
        }
    }

    async fn say(&self, hello: &Hello) -> Result<Response, ClientError> {
        self.post("hello", HeaderMap::new(), hello.to_bytes()).await
    }

    /// Hello of a program that runs: questions are answered.
    async fn hello(&self, instance: u8) -> Option<CopyWord> {
        let mut hello = self.hello_of(Some(instance));
        for _ in 0..2 {
            let answer = self.say(&hello).await.unwrap();
            assert_eq!(answer.status, 200, "{:?}", answer.error());
            match Welcome::from_bytes(&answer.body).unwrap().copy {
                Some(CopyWord::Prove(nonce)) => hello.proof = Some(nonce),
                word => return word,
            }
        }
        panic!("a proof is asked for twice");
    }

    async fn frame(&self, number: u64, instance: Option<u8>) -> Response {
        let key = SaltRoot([1; 32]).block_key(1, Lane::Visits, 1);
        let entry = Entry {
            open: vec![1],
            personal: b"one".to_vec(),
        };
        let frame = Frame::seal(
            self.agent,
            1,
            Lane::Visits,
            number,
            CHAIN_START,
            key,
            &[entry],
        );
        let mut headers = HeaderMap::new();
        if let Some(byte) = instance {
            let text = InstanceId([byte; 16]).to_string();
            headers.insert(INSTANCE_HEADER, text.parse().unwrap());
        }
        self.post("frame", headers, frame.to_bytes()).await.unwrap()
    }
}

fn code(answer: &Response) -> String {
    answer.error().map(|error| error.code).unwrap_or_default()
}

#[tokio::test]
async fn a_revoked_agent_is_refused_at_its_next_request_on_an_open_connection() {
    let site = Site::start().await;
    let device = site.device(1);
    assert_eq!(device.hello(1).await, None);
    let stored = device.frame(1, Some(1)).await;
    assert!(matches!(
        Ack::from_bytes(&stored.body).unwrap(),
        Ack::Stored(_)
    ));
    admin::fleet::revoke(&site.server.app, device.agent).unwrap();
    let answers = [
        device.frame(2, Some(1)).await,
        device.say(&device.hello_of(Some(1))).await.unwrap(),
    ];
    for answer in answers {
        assert_eq!(
            (answer.status, code(&answer).as_str()),
            (StatusCode::FORBIDDEN, "revoked")
        );
    }
    let csr = device.key.csr_pem().unwrap();
    let (status, _) = device.json("renew", &json!({ "csr": csr })).await;
    assert_eq!(status, 403, "a revoked agent gets no new certificate");
    let copy = json!({ "csr": csr, "instance": InstanceId([1; 16]), "epoch": 1 });
    assert_eq!(device.json("copy", &copy).await.0, 403);
    site.close().await;
}

#[tokio::test]
async fn with_an_expired_certificate_an_agent_can_do_nothing_but_renew_it_for_a_year() {
    let site = Site::start().await;
    let device = site.device(1);
    assert_eq!(device.hello(1).await, None);
    let days = u64::from(site.server.app.config.tls.agent_cert_days);
    site.server.clock.advance_ms((days + 200) * DAY_MS);
    // On the open connection, and on a new one.
    let again = site.with(
        device.agent,
        DeviceKey::from_pem(&device.key.to_pem()).unwrap(),
        &cert_of(&site, &device),
    );
    for device in [&device, &again] {
        for answer in [
            device.frame(1, Some(1)).await,
            device.say(&device.hello_of(Some(1))).await.unwrap(),
        ] {
            assert_eq!(
                (answer.status, code(&answer).as_str()),
                (StatusCode::FORBIDDEN, CERTIFICATE_EXPIRED)
            );
        }
    }
    let csr = device.key.csr_pem().unwrap();
    let copy = json!({ "csr": csr, "instance": InstanceId([1; 16]), "epoch": 1 });
    assert_eq!(device.json("copy", &copy).await.0, 403);
    let (status, renewed) = device.json("renew", &json!({ "csr": csr })).await;
    assert_eq!(status, 200);
    let fresh = site.with(
        device.agent,
        DeviceKey::from_pem(&device.key.to_pem()).unwrap(),
        renewed["certificate"].as_str().unwrap(),
    );
    assert_eq!(fresh.hello(1).await, None);
    // A year after the end not even that, on no connection.
    site.server.clock.advance_ms(2 * 366 * DAY_MS);
    let (status, refused) = fresh.json("renew", &json!({ "csr": csr })).await;
    assert_eq!(
        (status, &refused["code"]),
        (StatusCode::FORBIDDEN, &json!("certificate_too_old"))
    );
    let late = site.with(
        device.agent,
        DeviceKey::from_pem(&device.key.to_pem()).unwrap(),
        renewed["certificate"].as_str().unwrap(),
    );
    assert!(late.say(&late.hello_of(Some(1))).await.is_err());
    site.close().await;
}

/// A certificate of the device's key that is as old as the first.
fn cert_of(site: &Site, device: &Device) -> String {
    let app = &site.server.app;
    let issued = app
        .ca
        .sign_agent(
            &device.key.csr_pem().unwrap(),
            device.agent,
            app.clock.wall_ms() - 230 * i64::try_from(DAY_MS).unwrap(),
            app.config.tls.agent_cert_days,
        )
        .unwrap();
    let mut batch = Batch::new();
    let row = CertRow {
        agent: device.agent,
        not_after_ms: issued.not_after_ms,
    };
    CERTS.put(&mut batch, &issued.fingerprint, &row).unwrap();
    app.store
        .commit(batch, trenza_shared::store::Durable::Yes)
        .unwrap();
    issued.pem
}

#[tokio::test]
async fn a_copy_becomes_an_agent_of_its_own_once_and_the_fleet_shows_the_lineage() {
    let site = Site::start().await;
    let device = site.device(1);
    let other = DeviceKey::generate().unwrap();
    let ask = |instance: u8, key: &DeviceKey| json!({ "csr": key.csr_pem().unwrap(), "instance": InstanceId([instance; 16]), "epoch": 3 });
    assert_eq!(device.hello(1).await, None);
    assert_eq!(
        device.json("copy", &ask(1, &other)).await.0,
        409,
        "nobody told it"
    );
    assert_eq!(device.hello(2).await, None);
    let refused = device.frame(1, Some(1)).await;
    assert_eq!(
        (refused.status, code(&refused).as_str()),
        (StatusCode::CONFLICT, NOT_CURRENT)
    );
    assert_eq!(
        device.frame(1, None).await.status,
        200,
        "programs before instances"
    );
    assert_eq!(device.hello(1).await, None, "it was here first");
    assert_eq!(device.hello(2).await, Some(CopyWord::BecomeOwn));
    let (status, first) = device.json("copy", &ask(2, &other)).await;
    assert_eq!(status, 200, "{first}");
    // Its answer was lost: the same key gets the same agent.
    let (status, second) = device.json("copy", &ask(2, &other)).await;
    assert_eq!(
        (status, &second["agent"]),
        (StatusCode::OK, &first["agent"])
    );
    let agent: AgentId = first["agent"].as_str().unwrap().parse().unwrap();
    let own = site.with(agent, other, first["certificate"].as_str().unwrap());
    assert_eq!(own.hello(2).await, None);
    assert_eq!(own.frame(1, Some(2)).await.status, 200);

    let fleet = site
        .server
        .get(crate::tables::Role::Reader, "/v1/agents")
        .await;
    let row = |id: AgentId| {
        let all = fleet.json["agents"].as_array().unwrap();
        all.iter()
            .find(|row| row["id"] == id.to_string())
            .cloned()
            .unwrap()
    };
    assert_eq!(all_ids(&fleet.json), 2);
    assert_eq!(row(agent)["copy_of"]["agent"], device.agent.to_string());
    assert_eq!(row(agent)["copy_of"]["epoch"], 3);
    assert_eq!(row(agent)["country"], "PT");
    assert_eq!(row(device.agent)["copies"], json!([agent]));

    // One write key for both: it ends with the last of them.
    admin::fleet::revoke(&site.server.app, device.agent).unwrap();
    assert!(!site.server.app.registry.source(WEB).unwrap().revoked);
    assert_eq!(own.hello(2).await, None, "a copy outlives its parent");
    admin::fleet::revoke(&site.server.app, agent).unwrap();
    assert!(site.server.app.registry.source(WEB).unwrap().revoked);
    drop((device, own));
    site.close().await;
}

fn all_ids(fleet: &Value) -> usize {
    fleet["agents"].as_array().map_or(0, Vec::len)
}

#[tokio::test]
async fn one_enrolment_cannot_make_agents_without_end() {
    let site = Site::start().await;
    let device = site.device(1);
    device.hello(0).await;
    let work = async {
        for copy in 1..=crate::sync::copies::COPIES_MAX + 1 {
            let instance = InstanceId(random());
            let mut hello = device.hello_of(None);
            hello.instance = Some(instance);
            assert_eq!(device.say(&hello).await.unwrap().status, 200);
            device.hello(0).await;
            device.say(&hello).await.unwrap();
            let csr = DeviceKey::generate().unwrap().csr_pem().unwrap();
            let ask = json!({ "csr": csr, "instance": instance, "epoch": 1 });
            let (status, answer) = device.json("copy", &ask).await;
            let expected = if copy <= crate::sync::copies::COPIES_MAX {
                StatusCode::OK
            } else {
                StatusCode::TOO_MANY_REQUESTS
            };
            assert_eq!(status, expected, "copy {copy}: {answer}");
        }
    };
    tokio::time::timeout(Duration::from_secs(60), work)
        .await
        .unwrap();
    site.close().await;
}
