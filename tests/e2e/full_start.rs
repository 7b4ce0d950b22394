//! A start on a disk without room: the programs start all the same, say why they take nothing in, and go on by themselves.

use std::{
    fs,
    time::{Duration, Instant},
};

use anyhow::ensure;
use http::{HeaderMap, Method, StatusCode};
use serde_json::Value;
use trenza_tests::{
    disk::Disk,
    http::Http,
    pour::{BATCH, pour, stored_once},
    process::{Agent, Server, on_disk, until},
};

/// Within this time space that came back is used.
const SOON: Duration = Duration::from_secs(5);

async fn readyz(http: &Http, agent: &Agent) -> anyhow::Result<StatusCode> {
    let url = format!("{}/readyz", agent.up().url("ops"));
    let answer = http.send(Method::GET, &url, HeaderMap::new(), Vec::new());
    Ok(answer.await?.0)
}

/// Enough in the write-ahead log that opening the store has to write it out.
async fn filled(agent: &Agent, from: u64) -> anyhow::Result<Vec<u64>> {
    let url = agent.up().url("http");
    Ok(pour(url, agent.write_key()?, from, 30).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_starts_on_a_full_disk_with_its_reserve_and_without_one() -> anyhow::Result<()> {
    let Some(disk) = Disk::mount()? else {
        return Ok(());
    };
    let home = tempfile::tempdir()?;
    let (mut server, mut agent) = on_disk(&disk, home.path())?;
    let http = Http::new(None)?;
    agent.drained().await?;
    server.stop()?;
    let mut sent = filled(&agent, 0).await?;
    let reserve = agent.dir.join("reserve");
    until("the reserve is made", || async {
        ensure!(reserve.exists(), "no reserve");
        Ok(())
    })
    .await?;

    // With the reserve: it is given back, and the store opens.
    agent.kill()?;
    disk.free(Some(0));
    agent.start()?;
    until("the store is open", || async {
        let status = agent.status()?;
        ensure!(
            status["epoch"] == 1 && status["waiting"] == 30 * BATCH,
            "{status}"
        );
        Ok(())
    })
    .await?;
    let left = fs::metadata(&reserve).map_or(0, |file| file.len());
    ensure!(left < 32 << 20, "it was not needed to open the store");

    // Without: it listens, says why, and waits.
    agent.kill()?;
    if left > 0 {
        fs::remove_file(&reserve)?;
    }
    disk.free(Some(0));
    agent.start()?;
    ensure!(agent.up().ready["ready"] == false, "{}", agent.up().ready);
    let refused = http
        .post_any(
            &format!("{}/v1/track", agent.up().url("http")),
            &serde_json::json!({"writeKey": agent.write_key()?, "event": "x", "userId": "u"}),
        )
        .await?;
    ensure!(refused.0 == StatusCode::SERVICE_UNAVAILABLE);
    let body: Value = serde_json::from_slice(&refused.1)?;
    ensure!(body["code"] == "full", "{body}");
    ensure!(readyz(&http, &agent).await? == StatusCode::SERVICE_UNAVAILABLE);
    let status = agent.status()?;
    ensure!(
        status["room"] == "full" && status["waiting"] == 30 * BATCH,
        "{status}"
    );

    let freed = Instant::now();
    disk.free(None);
    until("it takes visits in again", || async {
        ensure!(readyz(&http, &agent).await? == StatusCode::OK);
        Ok(())
    })
    .await?;
    let took = freed.elapsed();
    ensure!(took < SOON, "only after {took:?}");
    println!("open {} ms after space came back", took.as_millis());
    sent.extend(filled(&agent, 100_000).await?);
    server.start()?;
    agent.drained().await?;
    agent.stop()?;
    stored_once(&server, &sent)?;
    server.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_waits_for_room_instead_of_ending() -> anyhow::Result<()> {
    let Some(disk) = Disk::mount()? else {
        return Ok(());
    };
    let home = tempfile::tempdir()?;
    let mut server = Server::init(&disk.path().join("server"), None)?;
    server.log = home.path().join("server.log");
    server.start()?;
    let (http, url) = (Http::new(None)?, server.up().url("http"));
    let sent = pour(url, server.write_key(), 0, 30).await;
    server.kill()?;
    disk.free(Some(0));
    server.start()?;
    ensure!(server.up().ready["ready"] == false, "{}", server.up().ready);
    let ops = format!("{}/readyz", server.up().url("ops"));
    let ask = || http.send(Method::GET, &ops, HeaderMap::new(), Vec::new());
    let (status, body) = ask().await?;
    ensure!(status == StatusCode::SERVICE_UNAVAILABLE);
    let body = String::from_utf8_lossy(&body).into_owned();
    ensure!(body.contains("cannot be opened yet"), "{body}");
    disk.free(None);
    let freed = Instant::now();
    until("the server is ready", || async {
        let (status, body) = ask().await?;
        ensure!(status == StatusCode::OK, "{status} {body:?}");
        Ok(())
    })
    .await?;
    ensure!(freed.elapsed() < SOON, "only after {:?}", freed.elapsed());
    stored_once(&server, &sent)?;
    let told = fs::read_to_string(&server.log)?;
    let lines = told.matches("cannot be opened yet").count();
    ensure!(lines == 1, "told {lines} times: {told}");
    server.stop()
}
