//! `make bench`: the first figures, as ratios and per core, in one run; a table, and `target/bench/*.json`.

mod load;

use std::{fs, net::SocketAddr, path::Path, time::Instant};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use trenza_tests::{
    day::{Options, Place, generate},
    process::{Agent, Server},
    relay::Relay,
};

/// Connections of the load generator.
const CONNECTIONS: [usize; 3] = [1, 16, 64];
/// Events of one post.
const SIZES: [usize; 2] = [1, 100];

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let mut server = Server::init(&home.path().join("server"), None)?;
    server.start()?;
    let sync: SocketAddr = server
        .up()
        .url("agents")
        .trim_start_matches("https://")
        .parse()?;
    let cable = Relay::to(sync).await?;
    let mut agent = server.enrol("Bench", &home.path().join("agent"))?;
    agent.env.insert(
        "TRENZA_SERVER__AGENTS_URL".into(),
        format!("https://{}", cable.addr),
    );
    agent.start()?;
    let idle_mib = resident_mib(agent.up().pid())?;

    println!(
        "capture: acknowledged after fsync, 405-byte JSON events, client on the same machine\n"
    );
    println!(
        "{:<8} {:>5} {:>6} {:>12} {:>9} {:>9} {:>12}",
        "program", "conns", "events", "events/s", "p50 ms", "p99 ms", "CPU us/event"
    );
    let mut capture = Vec::new();
    cable.plug(false);
    for (program, pid, url, key) in [
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
                let run = load::run(&url, &key, connections, size).await?;
                let cpu_us = (cpu_ms(pid)? - before) * 1_000.0 / run.events as f64;
                println!(
                    "{program:<8} {connections:>5} {size:>6} {:>12.0} {:>9.2} {:>9.2} {cpu_us:>12.1}",
                    run.events_per_s, run.p50_ms, run.p99_ms
                );
                capture.push(json!({"program": program, "connections": connections, "events_per_request": size, "events_per_s": run.events_per_s, "p50_ms": run.p50_ms, "p99_ms": run.p99_ms, "cpu_us_per_event": cpu_us}));
            }
        }
    }

    let day = day_figures(home.path(), &mut server, &mut agent, &cable).await?;
    println!("\nidle agent: {idle_mib:.1} MiB resident");
    let report = json!({"capture": capture, "day": day, "idle_agent_mib": idle_mib});
    fs::create_dir_all("target/bench")?;
    fs::write(
        "target/bench/first.json",
        serde_json::to_string_pretty(&report)?,
    )?;
    println!("\nwritten to target/bench/first.json");
    agent.stop()?;
    server.stop()
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
    let disk = folder_bytes(&carrier.dir.join("store"))?;
    let before = wire.bytes();
    wire.plug(true);
    let started = Instant::now();
    carrier.drained().await?;
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
        "  on the agent's disk {:>6.1} bytes an event (write-ahead log and tables as they stand)",
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
    Ok(
        json!({"events": bodies.len(), "raw_bytes_per_event": raw as f64 / events, "wire_bytes_per_event": wired as f64 / events, "disk_bytes_per_event": disk as f64 / events,
        "drained_events_per_s": events / drain_s, "stored_to_customer_events_per_s": events / replay_s, "stored_to_customer_cpu_us_per_event": replay_cpu_us, "customers": customers}),
    )
}

fn resident_mib(pid: u32) -> anyhow::Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .context("VmRSS")?;
    let kib: f64 = line
        .split_whitespace()
        .nth(1)
        .context("a number")?
        .parse()?;
    Ok(kib / 1024.0)
}

/// User and system time of a process. Unit: ms.
fn cpu_ms(pid: u32) -> anyhow::Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, after) = stat.rsplit_once(')').context("stat")?;
    let ticks: Vec<f64> = after
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    // Linux counts in hundredths of a second for every program that asks through /proc.
    Ok(ticks.iter().sum::<f64>() * 10.0)
}

fn folder_bytes(dir: &Path) -> anyhow::Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let data = entry.metadata()?;
        sum += if data.is_dir() {
            folder_bytes(&entry.path())?
        } else {
            data.len()
        };
    }
    Ok(sum)
}
