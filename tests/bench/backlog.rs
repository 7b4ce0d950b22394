//! An agent that was alone for long: disk and memory with many events waiting, its start, and how fast it drains.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::ensure;
use serde_json::{Value, json};
use trenza_tests::{
    http::Http,
    process::{Agent, Server},
};

use super::{enrol_by_cable, figures::resident_mib, load, settled_bytes};

/// A store whose files stood still for so long is settled.
pub const SETTLED_AFTER: Duration = Duration::from_secs(15);
/// Longest wait for that: an hour is enough for 90 days of events.
pub const SETTLING_MAX: Duration = Duration::from_secs(3_600);

/// Fills an agent, and lets it drain into a real server.
pub async fn run(home: &Path, events: u64) -> anyhow::Result<Value> {
    std::fs::create_dir_all(home)?;
    let mut server = Server::init(&home.join("server"), None)?;
    server.start()?;
    let (mut agent, cable) = enrol_by_cable(&server, "Alone", &home.join("agent")).await?;
    let cold_ms = started_ms(&mut agent)?;
    cable.plug(false);
    let filling = Instant::now();
    load::fill(&agent.up().url("http"), &agent.write_key()?, events).await?;
    let fill_s = filling.elapsed().as_secs_f64();
    let full_mib = resident_mib(agent.up().pid())?;
    let disk = settled_bytes(&agent).await?;
    let settled_mib = resident_mib(agent.up().pid())?;
    agent.kill()?;
    let killed_ms = started_ms(&mut agent)?;

    cable.plug(true);
    let draining = Instant::now();
    let pid = agent.up().pid();
    let (mut drain_mib, mut waiting) = (0.0_f64, u64::MAX);
    let url = format!("{}/v1/status", agent.up().url("http"));
    let http = Http::new(None)?;
    while waiting > 0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let before = waiting;
        waiting = http.get(&url).await?["waiting"]
            .as_u64()
            .unwrap_or(u64::MAX);
        drain_mib = drain_mib.max(resident_mib(pid)?);
        ensure!(
            waiting < before || draining.elapsed() < SETTLING_MAX,
            "it does not drain"
        );
    }
    let drain_s = draining.elapsed().as_secs_f64();
    println!("\n{events} events waiting");
    println!(
        "  on the agent's disk {:>6.1} bytes an event",
        disk as f64 / events as f64
    );
    println!(
        "  resident          {full_mib:>8.1} MiB full, {settled_mib:.1} MiB settled, {drain_mib:.1} MiB at most while it drains"
    );
    println!("  start to listen   {cold_ms:>8.0} ms new, {killed_ms:.0} ms after a kill");
    println!(
        "  taken in          {:>8.0} events/s; drained {:.0} events/s in {drain_s:.1} s",
        events as f64 / fill_s,
        events as f64 / drain_s
    );
    agent.stop()?;
    server.stop()?;
    Ok(
        json!({"events": events, "disk_bytes_per_event": disk as f64 / events as f64, "full_mib": full_mib, "settled_mib": settled_mib, "draining_mib": drain_mib,
        "start_new_ms": cold_ms, "start_after_kill_ms": killed_ms, "filled_events_per_s": events as f64 / fill_s, "drained_events_per_s": events as f64 / drain_s}),
    )
}

fn started_ms(agent: &mut Agent) -> anyhow::Result<f64> {
    let from = Instant::now();
    agent.start()?;
    Ok(from.elapsed().as_secs_f64() * 1_000.0)
}
