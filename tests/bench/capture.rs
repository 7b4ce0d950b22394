//! The server's own listeners, in clear and over TLS: what a core takes in, and how long one waits at 70 % of that.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::ensure;
use serde_json::{Value, json};
use trenza_tests::{figures::cpu_ms, process::Server};

use super::load::{self, Target};

/// Connections that stay open.
const CONNECTIONS: [usize; 4] = [1, 16, 64, 256];
/// Events of one post.
const SIZES: [usize; 2] = [1, 100];
/// With so many connections the load is measured of which a part is then played.
const FULL_CONNECTIONS: usize = 64;
/// The part. Unit: percent.
const PART: f64 = 70.0;
/// Longest wait for the last event to be in its customer, and the pause between two looks.
const BEHIND_MAX: Duration = Duration::from_secs(180);
const LOOK: Duration = Duration::from_millis(50);

/// Every wire on a server of its own: single events at every number of connections, a part of their full load, how fast they are found
/// to be new and in their customers, then batches.
pub async fn run(home: &Path) -> anyhow::Result<Value> {
    println!(
        "the server's capture: acknowledged after fsync, keep-alive, client on the same machine; by core of the server's CPU, in which\nknowing duplicates and resolving are what they are at the same time\n\n{:<6} {:>6} {:>6} {:>11} {:>11} {:>15} {:>15} {:>8} {:>8}",
        "wire",
        "conns",
        "events",
        "requests/s",
        "events/s",
        "requests/s core",
        "events/s core",
        "p50 ms",
        "p99 ms"
    );
    let mut report = serde_json::Map::new();
    for wire in ["http", "https"] {
        let dir = home.join(wire);
        let mut server = Server::init(&dir, None)?;
        server.start()?;
        let url = server.up().url(wire);
        let target = match wire {
            "http" => Target::plain(&url)?,
            _ => Target::tls(&url, &fs::read_to_string(dir.join("ca.pem"))?)?,
        };
        report.insert(wire.into(), over(&server, wire, &target).await?);
        server.stop()?;
    }
    Ok(Value::Object(report))
}

async fn over(server: &Server, wire: &str, target: &Target) -> anyhow::Result<Value> {
    let (pid, key) = (server.up().pid(), server.write_key());
    let (mut rows, mut full, mut part) = (Vec::new(), 0.0, Value::Null);
    for size in SIZES {
        for connections in CONNECTIONS {
            let before = cpu_ms(pid)?;
            let run = load::run(target, &key, connections, size).await?;
            let cores_s = (cpu_ms(pid)? - before) / 1_000.0;
            let requests_per_s = run.events_per_s / size as f64;
            let by_core = run.events as f64 / cores_s;
            if (size, connections) == (1, FULL_CONNECTIONS) {
                full = requests_per_s;
            }
            println!(
                "{wire:<6} {connections:>6} {size:>6} {requests_per_s:>11.0} {:>11.0} {:>15.0} {by_core:>15.0} {:>8.2} {:>8.2}",
                run.events_per_s,
                by_core / size as f64,
                run.p50_ms,
                run.p99_ms
            );
            rows.push(json!({"connections": connections, "events_per_request": size, "requests_per_s": requests_per_s, "events_per_s": run.events_per_s,
                "events_per_core_s": by_core, "requests_per_core_s": by_core / size as f64, "p50_ms": run.p50_ms, "p99_ms": run.p99_ms}));
        }
        if size == 1 {
            part = part_of(server, wire, target, full).await?;
        }
    }
    Ok(json!({"rows": rows, "part": part}))
}

/// A part of the full load of single events, then the wait for the last of them to be found new and in its customer.
async fn part_of(server: &Server, wire: &str, target: &Target, full: f64) -> anyhow::Result<Value> {
    let per_s = (full * PART / 100.0) as u32;
    let run = load::pace(target, &server.write_key(), per_s, FULL_CONNECTIONS as u32).await?;
    let (url, waiting) = (server.up().url("http"), Instant::now());
    load::live(&url, &server.write_key(), wire, 0).await?;
    let (http, last) = (server.http()?, load::live_id(wire, 0));
    let last = format!("{url}/v1/events/{last}");
    while http.get(&last).await?["state"] != "resolved" {
        ensure!(waiting.elapsed() < BEHIND_MAX, "it is not resolved");
        tokio::time::sleep(LOOK).await;
    }
    let behind_s = waiting.elapsed().as_secs_f64();
    println!(
        "{wire:<6} at {PART:.0} % of that of {FULL_CONNECTIONS} connections ({per_s} single events a second): p50 {:.2} ms, p99 {:.2} ms; the last is in its customer {behind_s:.1} s later",
        run.p50_ms, run.p99_ms
    );
    Ok(
        json!({"per_s": per_s, "p50_ms": run.p50_ms, "p99_ms": run.p99_ms, "in_customers_s_later": behind_s}),
    )
}
