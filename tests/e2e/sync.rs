//! Sync through the real programs: a server restored from an old backup, a live visit in front of a backlog.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use trenza_tests::{
    http::Http,
    process::{Ports, Server, until},
    relay::Relay,
};

fn event(name: &str, number: u64) -> Value {
    json!({"type": "track", "event": "Visit", "messageId": format!("{name}-{number}"), "anonymousId": format!("visitor-{}", number % 40),
        "timestamp": "2026-03-14T10:00:00Z", "properties": {"number": number}})
}

/// What `verify` found; it does not fail the test by itself.
fn verify(server: &Server) -> anyhow::Result<Value> {
    let output = server.command(["verify", "--json"])?;
    let found: Value = serde_json::from_slice(&output.stdout)
        .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
    ensure!(
        output.status.success() == (found["ok"] == true),
        "{} for {found}",
        output.status
    );
    Ok(found)
}

/// How often each messageId is stored.
fn stored(server: &Server) -> anyhow::Result<BTreeMap<String, u32>> {
    let mut stored = BTreeMap::new();
    for line in String::from_utf8(server.must(["export", "events"])?)?.lines() {
        let event: Value = serde_json::from_str(line)?;
        let id = event["messageId"].as_str().context("messageId")?.to_owned();
        *stored.entry(id).or_default() += 1;
    }
    Ok(stored)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_restored_from_an_old_backup_gets_everything_again() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let mut server = Server::init(&home.path().join("server"), None)?;
    server
        .env
        .insert("TRENZA_BACKUP__REQUIRED".into(), "true".into());
    server.start()?;
    let mut agent = server.enrol("Tienda", &home.path().join("agent"))?;
    agent.env.extend([
        // What is archived may go at once: only what is in no backup has to stay.
        ("TRENZA_SYNC__RETENTION_HOURS".into(), "0".into()),
        ("TRENZA_SYNC__HELLO_EVERY_MS".into(), "200".into()),
    ]);
    agent.start()?;
    let (plain, key) = (Http::new(None)?, agent.write_key()?);
    let pour = async |from: u64, to: u64| {
        for start in (from..to).step_by(10) {
            let events: Vec<Value> = (start..start + 10).map(|n| event("refill", n)).collect();
            plain
                .capture(&agent.up().url("http"), &key, &events, "")
                .await?;
        }
        agent.drained().await
    };
    pour(0, 200).await?;
    let backup = home.path().join("backup");
    server.must(["backup".as_ref(), backup.as_os_str()])?;
    pour(200, 500).await?;
    let whole = verify(&server)?;
    ensure!(whole["ok"] == true && whole["events"] == 500, "{whole}");
    server.stop()?;

    let dir = home.path().join("restored");
    let mut init = server.init.clone();
    init["config"] = json!(dir.join("server.toml"));
    let mut restored = Server {
        dir,
        init,
        env: server.env.clone(),
        log: server.log.clone(),
        ports: Ports::default(),
        running: None,
    };
    restored.must(["restore".as_ref(), backup.as_os_str()])?;
    let before = verify(&restored)?;
    // What the agent captured since then it has not told yet.
    let unheard = before["unheard"].as_array().context("unheard")?;
    ensure!(
        before["events"] == 200 && before["ok"] == false && unheard.len() == 1,
        "{before}"
    );
    restored.start()?;
    until("the agent filled the server up", || async {
        let found = verify(&restored)?;
        ensure!(found["events"] == 500 && found["ok"] == true, "{found}");
        Ok(())
    })
    .await?;
    agent.drained().await?;
    let stored = stored(&restored)?;
    ensure!(
        stored.len() == 500 && stored.values().all(|count| *count == 1),
        "{} different events",
        stored.len()
    );
    agent.stop()?;
    restored.stop()
}

/// Events of the backlog.
const BACKLOG: u64 = 100_000;
/// Of the link between agent and server. Unit: bytes a second.
const SLOW: u64 = 500_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_live_visit_does_not_wait_for_a_backlog() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let mut server = Server::init(&home.path().join("server"), None)?;
    server.start()?;
    let url = server.up().url("agents");
    let (_, address) = url.split_once("://").context("the agents' address")?;
    let cable = Relay::to(address.parse()?).await?;
    let mut agent = server.enrol("Feria", &home.path().join("agent"))?;
    agent.env.insert(
        "TRENZA_SERVER__AGENTS_URL".into(),
        format!("https://{}", cable.addr),
    );
    agent.start()?;
    let (plain, key) = (Http::new(None)?, agent.write_key()?);
    let base = agent.up().url("http");
    cable.plug(false);
    for start in (0..BACKLOG).step_by(100) {
        let events: Vec<Value> = (start..start + 100).map(|n| event("old", n)).collect();
        plain.capture(&base, &key, &events, "").await?;
    }
    cable.limit(SLOW);
    cable.plug(true);
    let status = || async { plain.get(&format!("{base}/v1/status")).await };
    until("the backlog is on its way", || async {
        let status = status().await?;
        ensure!(status["acked_seq"].as_u64() > Some(0), "{status}");
        Ok(())
    })
    .await?;
    plain.capture(&base, &key, &[event("live", 1)], "").await?;
    let captured = std::time::Instant::now();
    let http = server.http()?;
    let live = format!("{}/v1/events/live-1", server.up().url("http"));
    until("the live visit is on the server", || async {
        http.get(&live).await.map(drop)
    })
    .await?;
    let (took, now) = (captured.elapsed(), status().await?);
    println!(
        "the live visit was on the server after {took:?}, with {} waiting",
        now["waiting"]
    );
    ensure!(
        now["waiting"].as_u64() > Some(BACKLOG / 4),
        "the live visit waited {took:?} for the backlog: {now}"
    );
    cable.limit(0);
    agent.drained().await?;
    let found = verify(&server)?;
    ensure!(
        found["ok"] == true && found["events"] == BACKLOG + 1,
        "{found}"
    );
    agent.stop()?;
    server.stop()
}
