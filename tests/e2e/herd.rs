//! Five hundred agents at once, over real TLS, each with a key and certificate of its own.

use std::{sync::Arc, time::Instant};

use anyhow::{Context as _, ensure};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use tokio::task::JoinSet;
use trenza_server::tables::{
    AGENTS, AgentRow, AgentState, CERTS, CertRow, SOURCES, SourceRow, spaces,
};
use trenza_shared::{
    clock::{Clock as _, SystemClock},
    event::EventType,
    id::{AgentId, BootId, Lane},
    net::{
        client::{Client, ClientLimits, Response},
        pki::{self, Ca, DeviceKey},
        tls::{self, TlsTime, Trust},
    },
    store::{Batch, Durable, RocksStore, Store as _, rocks::RocksOptions},
    wire::{
        Shape as _,
        entry::{CHAIN_START, Entry, Open, SaltRoot, What},
        frame::Frame,
        sync::{Ack, Hello, Welcome},
    },
};
use trenza_tests::process::Server;

const AGENTS_COUNT: u16 = 500;

struct Device {
    agent: AgentId,
    client: Client,
}

/// Enrols all of them by writing what enrolment writes, while the server does not run.
fn enrol(server: &Server, clock: &Arc<SystemClock>) -> anyhow::Result<Vec<Device>> {
    let read = |name: &str| std::fs::read_to_string(server.dir.join(name));
    let now_ms = clock.wall_ms();
    let ca = Ca::from_pem(&read("ca.pem")?, &read("ca.key.pem")?)?;
    let store = RocksStore::open(server.dir.join("store"), &spaces(), RocksOptions::default())?;
    let mut batch = Batch::new();
    let mut devices = Vec::new();
    let source = SourceRow {
        name: "Herd".into(),
        origins: Vec::new(),
        namespace: String::new(),
        country: "ES".into(),
        zone: "Europe/Madrid".into(),
        priority: 100,
        revoked: false,
    };
    SOURCES.put(&mut batch, &"wk_herd".to_owned(), &source)?;
    for number in 0..AGENTS_COUNT {
        let mut id = [0; 16];
        id[..2].copy_from_slice(&number.to_be_bytes());
        let agent = AgentId(id);
        let key = DeviceKey::generate()?;
        let issued = ca.sign_agent(&key.csr_pem()?, agent, now_ms, 30)?;
        let row = AgentRow {
            touchpoint: format!("Stand {number}"),
            country: "ES".into(),
            zone: "Europe/Madrid".into(),
            venue: String::new(),
            copy_of: None,
            write_key: "wk_herd".into(),
            enrolled_ms: now_ms,
            state: AgentState::Active,
        };
        AGENTS.put(&mut batch, &agent, &row)?;
        let cert = CertRow {
            agent,
            not_after_ms: issued.not_after_ms,
        };
        CERTS.put(&mut batch, &issued.fingerprint, &cert)?;
        let (config, _) = tls::client_config(
            Trust::ca(ca.cert_der().clone()),
            Some((pki::read_chain(&issued.pem)?, key.to_der())),
            TlsTime::new(clock.clone(), 0),
        )?;
        devices.push(Device {
            agent,
            client: Client::new(config, ClientLimits::default()),
        });
    }
    store.commit(batch, Durable::Yes)?;
    store.close()?;
    Ok(devices)
}

async fn post(client: &Client, url: &str, body: Vec<u8>) -> anyhow::Result<Response> {
    let headers: HeaderMap = [(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/msgpack"),
    )]
    .into_iter()
    .collect();
    let answer = client.post(url, headers, body).await?;
    ensure!(
        answer.status == StatusCode::OK,
        "{url}: {} {:?}",
        answer.status,
        answer.error()
    );
    Ok(answer)
}

/// What each device does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Connect,
    Hello,
    Frame,
}

/// Gives the device back, so that its connection stays open.
async fn talk(device: Device, base: String, now_ms: i64, stage: Stage) -> anyhow::Result<Device> {
    match stage {
        Stage::Connect | Stage::Hello => hello(&device, &base, now_ms).await?,
        Stage::Frame => frame(&device, &base, now_ms).await?,
    }
    Ok(device)
}

async fn hello(device: &Device, base: &str, now_ms: i64) -> anyhow::Result<()> {
    let hello = Hello {
        agent: device.agent,
        program: "herd".into(),
        epoch: 1,
        lanes: Vec::new(),
        waiting: 1,
        boot: BootId([1; 16]),
        boottime_ms: 1,
        wall_ms: now_ms,
        clock_offset_ms: None,
        disk_free_bytes: 1,
        lineage: Vec::new(),
        instance: None,
        proof: None,
        introduction: None,
        kept: vec![],
        began: None,
    };
    let answer = post(
        &device.client,
        &format!("{base}/sync/v1/hello"),
        hello.to_bytes(),
    )
    .await?;
    Welcome::from_bytes(&answer.body)?;
    Ok(())
}

/// One event.
async fn frame(device: &Device, base: &str, now_ms: i64) -> anyhow::Result<()> {
    let open = Open {
        what: What::Event(EventType::Track),
        captured_ms: now_ms,
        boottime_ms: 1,
        offset_min: 60,
        key: "wk_herd".into(),
        unverified: false,
        boot: 0,
        bot: None,
        sent_lag_ms: 0,
    };
    let text = format!(
        r#"{{"type":"track","event":"Visit","userId":"{0}","messageId":"herd-{0}"}}"#,
        device.agent
    );
    let key = SaltRoot([1; 32]).block_key(1, Lane::Visits, 1);
    let entry = Entry::clear(&open, &text);
    let frame = Frame::seal(device.agent, 1, Lane::Visits, 1, CHAIN_START, key, &[entry]);
    let answer = post(
        &device.client,
        &format!("{base}/sync/v1/frame"),
        frame.to_bytes(),
    )
    .await?;
    let ack = Ack::from_bytes(&answer.body)?;
    ensure!(
        matches!(&ack, Ack::Stored(have) if have.acked == 1),
        "{ack:?}"
    );
    Ok(())
}

/// Resident memory in KiB, and CPU time in ticks of 10 ms.
fn measured(pid: u32) -> anyhow::Result<(u64, u64)> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let resident = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.trim().split(' ').next())
        .context("VmRSS")?
        .parse()?;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, fields) = stat.rsplit_once(')').context("stat")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks =
        |at: usize| -> anyhow::Result<u64> { Ok(fields.get(at).context("a field")?.parse()?) };
    Ok((resident, ticks(11)? + ticks(12)?))
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_agents_are_served_over_tls() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let mut server = Server::init(&home.path().join("server"), None)?;
    let clock = Arc::new(SystemClock);
    let devices = enrol(&server, &clock)?;
    server.start()?;
    let (base, pid) = (server.up().url("agents"), server.up().pid());
    let resident_before = measured(pid)?.0;
    let (mut devices, mut each_us) = (devices, Vec::new());
    for stage in [Stage::Connect, Stage::Hello, Stage::Frame] {
        let (started, ticks_before) = (Instant::now(), measured(pid)?.1);
        let mut talks = JoinSet::new();
        for device in devices {
            talks.spawn(talk(device, base.clone(), clock.wall_ms(), stage));
        }
        devices = Vec::new();
        while let Some(talked) = talks.join_next().await {
            devices.push(talked??);
        }
        let ticks = measured(pid)?.1 - ticks_before;
        each_us.push(ticks * 10_000 / u64::from(AGENTS_COUNT));
        println!(
            "{stage:?} of {} agents in {:.2} s",
            devices.len(),
            started.elapsed().as_secs_f64()
        );
    }
    let (connected, resident) = (devices, measured(pid)?.0);
    println!(
        "the server's CPU for one agent: {} us a handshake, {} us a hello, {} us a frame of one event; {} KiB each, {} MiB in all",
        each_us[0].saturating_sub(each_us[1]),
        each_us[1],
        each_us[2],
        resident.saturating_sub(resident_before) / u64::from(AGENTS_COUNT),
        resident / 1024,
    );
    let last = connected.last().context("agents")?.agent;
    let known = server.resolved(&format!("herd-{last}")).await?;
    ensure!(known["state"] == "resolved");
    drop(connected);
    server.stop()
}
