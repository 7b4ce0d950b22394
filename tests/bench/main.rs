//! `make bench`: figures per core and as ratios to a bare server, in one run; a table, and `target/bench/*.json`.
//!
//! `trenza-bench backlog [EVENTS]` is the long one: an agent that was 90 days alone. `trenza-bench drain` drains a backlog alone,
//! `trenza-bench capture` is the server's listeners in clear and over TLS, `trenza-bench pace` is single events at a kiosk's pace.

mod backlog; // many events waiting
mod baseline; // a bare server to compare with
mod capture; // the server's listeners, in clear and over TLS
mod drain; // a backlog of different events
mod known; // what knowing an event again costs
mod load; // a load generator

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context as _, ensure};
use baseline::Baseline;
use serde_json::{Value, json};
use trenza_tests::{
    day::{Options, Place, generate},
    figures::{cpu_ms, folder_bytes, resident_mib, written_bytes},
    process::{Agent, Server},
    relay::Relay,
};

/// Connections of the load generator.
const CONNECTIONS: [usize; 3] = [1, 16, 64];
/// Events of one post.
const SIZES: [usize; 2] = [1, 100];

/// Events of the long run: one a second for 90 days.
const BACKLOG_EVENTS: u64 = 7_776_000;
/// Events that wait in the short run.
const WAITING_EVENTS: u64 = 500_000;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let home = tempfile::tempdir()?;
    match arguments.next().as_deref() {
        Some(baseline::ARGUMENT) => {
            let file = arguments.next().context("the file of the baseline")?;
            baseline::serve(&PathBuf::from(file)).await
        }
        Some("pace") => {
            let mut server = Server::init(&home.path().join("server"), None)?;
            server.start()?;
            let report = pace(&server, home.path()).await?;
            server.stop()?;
            write("pace.json", &report)
        }
        Some("backlog") => {
            let events = arguments
                .next()
                .map_or(Ok(BACKLOG_EVENTS), |text| text.parse())?;
            let report = backlog::run(home.path(), events).await?;
            write("backlog.json", &report)
        }
        Some("capture") => write("capture.json", &capture::run(home.path()).await?),
        Some("drain") => write("drain.json", &drain::run(home.path()).await?),
        Some(other) => {
            anyhow::bail!(
                "unknown argument {other:?}; use none, or: backlog [EVENTS], or: capture, or: drain, or: pace"
            )
        }
        None => short(home.path()).await,
    }
}

fn write(name: &str, report: &Value) -> anyhow::Result<()> {
    let path = Path::new("target/bench").join(name);
    fs::create_dir_all("target/bench")?;
    fs::write(&path, serde_json::to_string_pretty(report)?)?;
    println!("\nwritten to {}", path.display());
    Ok(())
}

/// An agent that reaches its server through a cable that can be pulled.
async fn enrol_by_cable(server: &Server, name: &str, dir: &Path) -> anyhow::Result<(Agent, Relay)> {
    let sync: SocketAddr = server
        .up()
        .url("agents")
        .trim_start_matches("https://")
        .parse()?;
    let cable = Relay::to(sync).await?;
    let mut agent = server.enrol(name, dir)?;
    agent.env.insert(
        "TRENZA_SERVER__AGENTS_URL".into(),
        format!("https://{}", cable.addr),
    );
    Ok((agent, cable))
}

async fn short(home: &Path) -> anyhow::Result<()> {
    let mut server = Server::init(&home.join("server"), None)?;
    server.start()?;
    let (mut agent, cable) = enrol_by_cable(&server, "Bench", &home.join("agent")).await?;
    agent.start()?;
    let idle_mib = resident_mib(agent.up().pid())?;
    let bare = Baseline::start(&home.join("baseline"))?;

    println!(
        "capture: acknowledged after fsync, 405-byte JSON events, client on the same machine\n"
    );
    println!(
        "{:<8} {:>5} {:>6} {:>12} {:>9} {:>9} {:>12} {:>8}",
        "program", "conns", "events", "events/s", "p50 ms", "p99 ms", "CPU us/event", "of bare"
    );
    let mut capture = Vec::new();
    let mut plain = std::collections::BTreeMap::new();
    cable.plug(false);
    for (program, pid, url, key) in [
        ("bare", bare.pid(), bare.url.clone(), "none".to_owned()),
        (
            "agent",
            agent.up().pid(),
            agent.up().url("http"),
            agent.write_key()?,
        ),
        (
            "server",
            server.up().pid(),
            server.up().url("http"),
            server.write_key(),
        ),
    ] {
        for size in SIZES {
            for connections in CONNECTIONS {
                let before = cpu_ms(pid)?;
                let target = load::Target::plain(&url)?;
                let run = load::run(&target, &key, connections, size).await?;
                let cpu_us = (cpu_ms(pid)? - before) * 1_000.0 / run.events as f64;
                let ratio = run.events_per_s
                    / *plain.entry((size, connections)).or_insert(run.events_per_s);
                println!(
                    "{program:<8} {connections:>5} {size:>6} {:>12.0} {:>9.2} {:>9.2} {cpu_us:>12.1} {ratio:>8.2}",
                    run.events_per_s, run.p50_ms, run.p99_ms
                );
                capture.push(json!({"program": program, "connections": connections, "events_per_request": size, "events_per_s": run.events_per_s, "p50_ms": run.p50_ms, "p99_ms": run.p99_ms, "cpu_us_per_event": cpu_us, "of_bare": ratio}));
            }
        }
    }

    drop(bare);
    let pace = pace(&server, home).await?;
    let day = day_figures(home, &mut server, &mut agent, &cable).await?;
    let drained = drain::run(&home.join("drain")).await?;
    let waiting = backlog::run(&home.join("backlog"), WAITING_EVENTS).await?;
    println!("\nidle agent: {idle_mib:.1} MiB resident");
    write(
        "first.json",
        &json!({"capture": capture, "pace": pace, "day": day, "drained": drained, "waiting": waiting, "idle_agent_mib": idle_mib}),
    )?;
    agent.stop()?;
    server.stop()
}

/// Single events at a kiosk's pace: how long one waits, and what the flash pays until they are settled.
async fn pace(server: &Server, home: &Path) -> anyhow::Result<Value> {
    let bare = Baseline::start(&home.join("baseline-pace"))?;
    // One of its own, that has no flood to settle; without its server, whose acknowledgements are written too.
    let (mut agent, cable) = enrol_by_cable(server, "Pace", &home.join("pace-agent")).await?;
    cable.plug(false);
    agent.start()?;
    let key = agent.write_key()?;
    println!("\nat {} single events a second", load::PACE_PER_S);
    let mut report = serde_json::Map::new();
    for (program, pid, url) in [
        ("bare", bare.pid(), bare.url.clone()),
        ("agent", agent.up().pid(), agent.up().url("http")),
    ] {
        let before = written_bytes(pid)?;
        let target = load::Target::plain(&url)?;
        let run = load::pace(&target, &key, load::PACE_PER_S, load::PACE_CONNECTIONS).await?;
        if program == "agent" {
            settled_bytes(&agent).await?;
        }
        let flash = (written_bytes(pid)? - before) / run.events as f64;
        println!(
            "  {program:<8} p50 {:>5.2} ms   p99 {:>5.2} ms   {flash:>6.0} bytes written to flash an event",
            run.p50_ms, run.p99_ms
        );
        report.insert(
            program.into(),
            json!({"events": run.events, "p50_ms": run.p50_ms, "p99_ms": run.p99_ms, "flash_bytes_per_event": flash}),
        );
    }
    agent.stop()?;
    Ok(Value::Object(report))
}

/// The demo day's events through a fresh agent and a fresh server: bytes an event, and events a second into customers.
async fn day_figures(
    home: &Path,
    server: &mut Server,
    agent: &mut Agent,
    cable: &Relay,
) -> anyhow::Result<Value> {
    cable.plug(true);
    agent.drained().await?;
    agent.stop()?;
    server.stop()?;

    let mut fresh = Server::init(&home.join("day-server"), None)?;
    fresh.start()?;
    let sync: SocketAddr = fresh
        .up()
        .url("agents")
        .trim_start_matches("https://")
        .parse()?;
    let wire = Relay::to(sync).await?;
    let mut carrier = fresh.enrol("Day", &home.join("day-agent"))?;
    carrier.env.insert(
        "TRENZA_SERVER__AGENTS_URL".into(),
        format!("https://{}", wire.addr),
    );
    carrier.start()?;
    wire.plug(false);
    let day = generate(&Options::default());
    let bodies: Vec<Value> = day
        .events
        .iter()
        .filter(|touch| touch.place != Place::Import)
        .map(|touch| touch.body.clone())
        .collect();
    let raw: usize = bodies.iter().map(|body| body.to_string().len()).sum();
    let http = trenza_tests::http::Http::new(None)?;
    for post in bodies.chunks(100) {
        http.capture(&carrier.up().url("http"), &carrier.write_key()?, post, "")
            .await?;
    }
    let disk = settled_bytes(&carrier).await?;
    let before = wire.bytes();
    wire.plug(true);
    carrier.drained().await?;
    // Not the wait until the agent tried again.
    let started = wire.began().context("bytes passed")?;
    let drain_s = started.elapsed().as_secs_f64();
    let wired = wire.bytes() - before;
    let last = day
        .events
        .iter()
        .rev()
        .find(|touch| touch.place != Place::Import)
        .context("the day has events")?;
    fresh.resolved(last.message_id()).await?;
    let resolve_s = started.elapsed().as_secs_f64();
    let pid = fresh.up().pid();
    let cpu = cpu_ms(pid)?;
    let replay = Instant::now();
    fresh.must(["replay"])?;
    let replay_s = replay.elapsed().as_secs_f64();
    let replay_cpu_us = (cpu_ms(pid)? - cpu) * 1_000.0 / bodies.len() as f64;
    let events = bodies.len() as f64;
    let export = fresh.must(["export", "customers"])?;
    let customers = export.iter().filter(|byte| **byte == b'\n').count();
    ensure!(customers > 0, "the day has customers");
    println!(
        "\nthe demo day: {} events of {:.0} bytes on average, {customers} customers",
        bodies.len(),
        raw as f64 / events
    );
    println!(
        "  on the wire       {:>8.1} bytes an event",
        wired as f64 / events
    );
    println!(
        "  on the agent's disk {:>6.1} bytes an event (once it was quiet for some seconds)",
        disk as f64 / events
    );
    println!(
        "  drained           {:>8.0} events/s, in their customers after {resolve_s:.1} s",
        events / drain_s
    );
    println!(
        "  stored to customer {:>7.0} events/s ({replay_cpu_us:.0} us of CPU an event), by replay",
        events / replay_s
    );
    carrier.stop()?;
    fresh.stop()?;
    let known = known::run(&carrier.dir.join("store"), &home.join("day-server/store"))?;
    Ok(
        json!({"events": bodies.len(), "known": known, "raw_bytes_per_event": raw as f64 / events, "wire_bytes_per_event": wired as f64 / events, "disk_bytes_per_event": disk as f64 / events,
        "drained_events_per_s": events / drain_s, "stored_to_customer_events_per_s": events / replay_s, "stored_to_customer_cpu_us_per_event": replay_cpu_us, "customers": customers}),
    )
}

/// Bytes of an agent's store once it has been quiet: small chunks are joined, the write-ahead log is in tables.
async fn settled_bytes(agent: &Agent) -> anyhow::Result<u64> {
    let store = agent.dir.join("store");
    let started = Instant::now();
    let (mut least, mut since) = (folder_bytes(&store)?, Instant::now());
    while since.elapsed() < backlog::SETTLED_AFTER && started.elapsed() < backlog::SETTLING_MAX {
        tokio::time::sleep(std::time::Duration::from_millis(250)).await;
        let now = folder_bytes(&store)?;
        if now != least {
            (least, since) = (now, Instant::now());
        }
    }
    Ok(least)
}
