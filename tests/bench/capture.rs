//! The server's own listeners, in clear and over TLS: what a core takes in, and how long one waits at 70 % of that.

use std::{fs, path::Path};

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

/// Every wire, size and number of connections, then a part of the full load of single events.
pub async fn run(home: &Path) -> anyhow::Result<Value> {
    let mut server = Server::init(&home.join("server"), None)?;
    server.start()?;
    let ca = fs::read_to_string(home.join("server/ca.pem"))?;
    let (pid, key) = (server.up().pid(), server.write_key());
    println!(
        "the server's capture: acknowledged after fsync, keep-alive, client on the same machine\n\n{:<6} {:>6} {:>6} {:>11} {:>11} {:>15} {:>15} {:>8} {:>8}",
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
    let (mut rows, mut parts) = (Vec::new(), Vec::new());
    for (wire, target) in [
        ("http", Target::plain(&server.up().url("http"))?),
        ("https", Target::tls(&server.up().url("https"), &ca)?),
    ] {
        let mut full = 0.0;
        for size in SIZES {
            for connections in CONNECTIONS {
                let before = cpu_ms(pid)?;
                let run = load::run(&target, &key, connections, size).await?;
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
                rows.push(json!({"wire": wire, "connections": connections, "events_per_request": size, "requests_per_s": requests_per_s, "events_per_s": run.events_per_s,
                    "events_per_core_s": by_core, "requests_per_core_s": by_core / size as f64, "p50_ms": run.p50_ms, "p99_ms": run.p99_ms}));
            }
        }
        let per_s = (full * PART / 100.0) as u32;
        let run = load::pace(&target, &key, per_s, FULL_CONNECTIONS as u32).await?;
        println!(
            "{wire:<6} at {PART:.0} % of that of {FULL_CONNECTIONS} connections ({per_s} single events a second): p50 {:.2} ms, p99 {:.2} ms\n",
            run.p50_ms, run.p99_ms
        );
        parts.push(
            json!({"wire": wire, "per_s": per_s, "p50_ms": run.p50_ms, "p99_ms": run.p99_ms}),
        );
    }
    server.stop()?;
    Ok(json!({"capture": rows, "part": parts}))
}
