//! How much memory an agent takes with a backlog.

use std::sync::Arc;

use anyhow::ensure;
use http::{Method, StatusCode};
use tokio::task::JoinSet;
use trenza_tests::{
    figures::peak_mib,
    http::{Http, json_headers},
    pour::Days,
    process::{Server, until},
};

/// Events that wait.
const EVENTS: u64 = 60_000;
/// Who sends them, and how many at once.
const CLIENTS: u64 = 10;
const POST: u64 = 100;
/// Those of the last salt block are not settled yet.
const SETTLED: u64 = EVENTS - 1_000;
/// Most memory in use, the program's own pages among it. Unit: MiB.
const MIB_MAX: f64 = 64.0;

#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_is_taken_in_and_settled_in_little_memory() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let mut server = Server::init(&home.path().join("server"), None)?;
    server.start()?;
    let mut agent = server.enrol("Almacén", &home.path().join("agent"))?;
    server.stop()?;
    agent.start()?;
    let (http, key, days) = (
        Http::new(None)?,
        agent.write_key()?,
        Arc::new(Days::default()),
    );
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let (http, days, key) = (http.clone(), days.clone(), key.clone());
        let url = format!("{}/v1/batch", agent.up().url("http"));
        clients.spawn(async move {
            for from in (client * POST..EVENTS).step_by((CLIENTS * POST) as usize) {
                let batch: Vec<String> = (from..from + POST).map(|n| days.event(n)).collect();
                let body = format!(r#"{{"writeKey":"{key}","batch":[{}]}}"#, batch.join(","));
                let headers = json_headers();
                let (status, _) = http.send(Method::POST, &url, headers, body.into()).await?;
                ensure!(status == StatusCode::OK, "{status}");
            }
            Ok(())
        });
    }
    while let Some(done) = clients.join_next().await {
        done??;
    }
    let metrics = format!("{}/metrics", agent.up().url("ops"));
    until("the backlog is settled", || async {
        let text = http.text(&metrics).await?;
        let name = "trenza_agent_settled_entries_total ";
        let value = text.lines().find_map(|line| line.strip_prefix(name));
        ensure!(
            value.and_then(|value| value.parse().ok()) >= Some(SETTLED),
            "{value:?} are settled"
        );
        Ok(())
    })
    .await?;
    let peak = peak_mib(agent.up().pid())?;
    println!("{EVENTS} events taken in and settled in {peak:.1} MiB at most");
    ensure!(peak <= MIB_MAX, "{peak:.1} MiB, the limit is {MIB_MAX}");
    agent.stop()
}
