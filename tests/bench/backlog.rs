//! An agent that was alone for long: disk and memory with many events waiting, its start, how fast it drains, and whether a
//! visitor notices.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::ensure;
use serde_json::{Value, json};
use trenza_tests::{
    figures::{peak_mib, resident_mib},
    http::Http,
    pour::Days,
    process::{Agent, Server},
};

use super::{enrol_by_cable, load, settled_bytes};

/// A store whose files stood still for so long is settled.
pub const SETTLED_AFTER: Duration = Duration::from_secs(15);
/// Longest wait for that: an hour is enough for 90 days of events.
pub const SETTLING_MAX: Duration = Duration::from_secs(3_600);
/// Live events that are timed with nothing else to do, and the least time between two of them.
const LIVE_EVENTS: u64 = 200;
const LIVE_EVERY: Duration = Duration::from_millis(50);
/// Pause between two questions whether one is on the server.
const LIVE_LOOK: Duration = Duration::from_millis(5);

/// Fills an agent, and lets it drain into a real server.
pub async fn run(home: &Path, events: u64) -> anyhow::Result<Value> {
    std::fs::create_dir_all(home)?;
    let mut server = Server::init(&home.join("server"), None)?;
    server.start()?;
    let (mut agent, cable) = enrol_by_cable(&server, "Alone", &home.join("agent")).await?;
    let cold_ms = started_ms(&mut agent)?;
    let before = live(&server, &agent, "before", LIVE_EVENTS, async || Ok(true)).await?;
    cable.plug(false);
    let (pid, days) = (agent.up().pid(), Arc::new(Days::default()));
    peak_mib(pid)?;
    let filling = Instant::now();
    load::fill(&agent.up().url("http"), &agent.write_key()?, &days, events).await?;
    let fill_s = filling.elapsed().as_secs_f64();
    let (fill_mib, full_mib) = (peak_mib(pid)?, resident_mib(pid)?);
    let settling = Instant::now();
    let disk = settled_bytes(&agent).await?;
    let settle_s = (settling.elapsed().saturating_sub(SETTLED_AFTER)).as_secs_f64();
    let (settle_mib, settled_mib) = (peak_mib(pid)?, resident_mib(pid)?);
    agent.kill()?;
    let killed_ms = started_ms(&mut agent)?;

    let pid = agent.up().pid();
    cable.plug(true);
    let draining = Instant::now();
    let (http, url) = (
        Http::new(None)?,
        format!("{}/v1/status", agent.up().url("http")),
    );
    let head = http.get(&url).await?["head_seq"].as_u64();
    let during = live(&server, &agent, "during", 1, async || {
        ensure!(draining.elapsed() < SETTLING_MAX, "it does not drain");
        Ok(http.get(&url).await?["acked_seq"].as_u64() >= head)
    })
    .await?;
    let drain_s = during.until_s;
    let drain_mib = peak_mib(pid)?;
    println!("\n{events} events waiting");
    println!(
        "  on the agent's disk {:>6.1} bytes an event",
        disk as f64 / events as f64
    );
    println!(
        "  resident          {fill_mib:>8.1} MiB at most while it fills, {settle_mib:.1} while it settles, {drain_mib:.1} while it drains; {full_mib:.1} full, {settled_mib:.1} settled"
    );
    println!("  start to listen   {cold_ms:>8.0} ms new, {killed_ms:.0} ms after a kill");
    println!(
        "  taken in          {:>8.0} events/s; settled {:.0} events/s; drained {:.0} events/s in {drain_s:.1} s",
        events as f64 / fill_s,
        events as f64 / settle_s,
        events as f64 / drain_s
    );
    println!(
        "  live, on the server p50 {:.0} ms   p99 {:.0} ms while it drains ({} events); p50 {:.0} ms   p99 {:.0} ms before",
        during.p50_ms, during.p99_ms, during.events, before.p50_ms, before.p99_ms
    );
    agent.stop()?;
    server.stop()?;
    Ok(
        json!({"events": events, "disk_bytes_per_event": disk as f64 / events as f64, "full_mib": full_mib, "settled_mib": settled_mib,
        "filling_mib_max": fill_mib, "settling_mib_max": settle_mib, "draining_mib_max": drain_mib,
        "start_new_ms": cold_ms, "start_after_kill_ms": killed_ms, "filled_events_per_s": events as f64 / fill_s,
        "settled_events_per_s": events as f64 / settle_s, "drained_events_per_s": events as f64 / drain_s,
        "live_before": before.json(), "live_while_draining": during.json()}),
    )
}

/// How long live events took until the server had them.
struct Live {
    events: usize,
    p50_ms: f64,
    p99_ms: f64,
    /// When `done` was first seen to be true.
    until_s: f64,
}

impl Live {
    fn json(&self) -> Value {
        json!({"events": self.events, "p50_ms": self.p50_ms, "p99_ms": self.p99_ms})
    }
}

/// Hands `least` live events in, one after the other, and more until `done`. Never two at once: what asks for one would slow the next.
async fn live(
    server: &Server,
    agent: &Agent,
    name: &'static str,
    least: u64,
    done: impl AsyncFn() -> anyhow::Result<bool>,
) -> anyhow::Result<Live> {
    let (http, on_server) = (server.http()?, server.up().url("http"));
    let (base, key) = (agent.up().url("http"), agent.write_key()?);
    let started = Instant::now();
    let mut waits = Vec::new();
    let mut until_s = None;
    for number in 0.. {
        if until_s.is_none() && done().await? {
            until_s = Some(started.elapsed().as_secs_f64());
        }
        if until_s.is_some() && number >= least {
            break;
        }
        let url = format!("{on_server}/v1/events/{}", load::live_id(name, number));
        let from = Instant::now();
        load::live(&base, &key, name, number).await?;
        while let Err(error) = http.get(&url).await {
            ensure!(from.elapsed() < SETTLING_MAX, error);
            tokio::time::sleep(LIVE_LOOK).await;
        }
        waits.push(from.elapsed().as_secs_f64() * 1_000.0);
        tokio::time::sleep_until((from + LIVE_EVERY).into()).await;
    }
    waits.sort_by(f64::total_cmp);
    Ok(Live {
        events: waits.len(),
        p50_ms: load::quantile(&waits, 0.5),
        p99_ms: load::quantile(&waits, 0.99),
        until_s: until_s.unwrap_or_default(),
    })
}

fn started_ms(agent: &mut Agent) -> anyhow::Result<f64> {
    let from = Instant::now();
    agent.start()?;
    Ok(from.elapsed().as_secs_f64() * 1_000.0)
}
