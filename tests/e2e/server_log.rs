//! A server whose write-ahead log is damaged after a crash starts, and tells what it lost of what it had acknowledged.

use std::fs;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use trenza_tests::{
    http::Http,
    process::{Server, until},
};

/// Posts, each one record of the log.
const POSTS: usize = 50;
const BATCH: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn what_a_damaged_log_lost_of_what_was_acknowledged_is_told() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let mut server = Server::init(&home.path().join("server"), None)?;
    server.start()?;
    ensure!(verified(&server)?["ok"] == true);
    let (http, url) = (Http::new(None)?, server.up().url("http"));
    for post in 0..POSTS {
        let events: Vec<Value> = (0..BATCH)
            .map(|number| json!({"type": "track", "event": "e", "userId": "u", "messageId": format!("{post}-{number}")}))
            .collect();
        http.capture(&url, &server.write_key(), &events, "").await?;
    }
    let marker = server.dir.join("store.reached");
    until("the marker knows the last post", || async {
        let said = fs::read_to_string(&marker)?;
        let record = said.split_whitespace().nth(1).context("a record")?;
        ensure!(record.parse::<usize>()? >= POSTS, "{said}");
        Ok(())
    })
    .await?;
    server.kill()?;

    let mut logs = Vec::new();
    for entry in fs::read_dir(server.dir.join("store"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "log") {
            logs.push((fs::metadata(&path)?.len(), path));
        }
    }
    let (bytes, log) = logs.into_iter().max().context("a write-ahead log")?;
    fs::OpenOptions::new()
        .write(true)
        .open(log)?
        .set_len(bytes / 2)?;
    server.start()?;
    let stored = String::from_utf8(server.must(["export", "events"])?)?;
    let lost = POSTS - stored.lines().count() / BATCH;
    ensure!(lost > 0, "half of a log is more than nothing");
    let found = verified(&server)?;
    let run = &found["lost"][0];
    let told = run["to"].as_u64().context("to")? + 1 - run["from"].as_u64().context("from")?;
    ensure!(
        found["ok"] == false && told == lost as u64,
        "{lost}: {found}"
    );
    ensure!(server.must(["verify"]).is_err());
    let log = fs::read_to_string(server.dir.join("server.log"))?;
    ensure!(
        log.contains("records that were acknowledged are not in the store"),
        "{log}"
    );

    // It is told once, and not again of what was lost then.
    server.stop()?;
    server.start()?;
    ensure!(verified(&server)?["lost"] == found["lost"]);
    server.stop()
}

/// What `verify` says, whatever it thinks of it.
fn verified(server: &Server) -> anyhow::Result<Value> {
    let said = server.command(["verify", "--json"])?;
    Ok(serde_json::from_slice(&said.stdout)?)
}
