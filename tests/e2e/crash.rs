//! kill -9 of either program in the middle: every acknowledged event is stored exactly once.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use trenza_tests::{
    day::Chance,
    http::Http,
    process::{Agent, Server},
};

/// Kills in the short loop; `TRENZA_KILLS` asks for more.
const KILLS: u32 = 12;
/// Events of one post.
const BATCH: u64 = 7;

fn event(number: u64) -> Value {
    json!({"type": "track", "event": "Visit", "messageId": format!("crash-{number}"), "anonymousId": format!("visitor-{}", number % 40),
        "timestamp": "2026-03-14T10:00:00Z", "properties": {"number": number, "text": "ñandú ".repeat(12)}})
}

/// Posts batches until the agent is gone; gives the numbers that were acknowledged.
async fn pour(agent_url: String, key: String, from: u64, batches: u64) -> Vec<u64> {
    let Ok(http) = Http::new(None) else {
        return Vec::new();
    };
    let mut acknowledged = Vec::new();
    for batch in 0..batches {
        let numbers: Vec<u64> = (0..BATCH).map(|one| from + batch * BATCH + one).collect();
        let events: Vec<Value> = numbers.iter().map(|number| event(*number)).collect();
        match http.capture(&agent_url, &key, &events, "").await {
            Ok(answer) if answer["success"] == true => acknowledged.extend(numbers),
            _ => break,
        }
    }
    acknowledged
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_or_doubled_by_killing_either_program() -> anyhow::Result<()> {
    let kills: u32 = std::env::var("TRENZA_KILLS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(KILLS);
    let seed: u64 = std::env::var("TRENZA_SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(20_260_314);
    println!("TRENZA_SEED={seed} TRENZA_KILLS={kills}");
    let mut chance = Chance::new(seed);
    let home = tempfile::tempdir()?;
    let mut server = Server::init(&home.path().join("server"), None)?;
    server.start()?;
    let mut agent: Agent = server.enrol("Tienda", &home.path().join("agent"))?;
    agent.start()?;
    let key = agent.write_key()?;
    let mut acknowledged: Vec<u64> = Vec::new();
    let mut next = 0;
    for kill in 0..kills {
        let batches = 200;
        let pouring = tokio::spawn(pour(agent.up().url("http"), key.clone(), next, batches));
        next += batches * BATCH;
        // Killed somewhere in the flow: after a random number of further events have reached the agent's log.
        let some = chance.below(60) as u64;
        let before = agent.status()?["head_seq"].as_u64().unwrap_or(0);
        trenza_tests::process::until("some more events are in the log", || async {
            let head = agent.status()?["head_seq"].as_u64().unwrap_or(0);
            ensure!(head >= before + some || pouring.is_finished(), "{head}");
            Ok(())
        })
        .await?;
        match kill % 3 {
            0 => agent.kill()?,
            1 => server.kill()?,
            _ => {
                server.kill()?;
                agent.kill()?;
            }
        }
        if agent.running.is_none() {
            acknowledged.extend(pouring.await?);
            agent.start()?;
        } else {
            acknowledged.extend(pouring.await?);
        }
        if server.running.is_none() {
            server.start()?;
        }
    }
    agent.drained().await?;
    agent.stop()?;
    let export = String::from_utf8(server.must(["export", "events"])?)?;
    let mut stored: BTreeMap<String, u32> = BTreeMap::new();
    for line in export.lines() {
        let event: Value = serde_json::from_str(line)?;
        *stored
            .entry(event["messageId"].as_str().context("messageId")?.to_owned())
            .or_default() += 1;
    }
    ensure!(!acknowledged.is_empty(), "the loop acknowledged nothing");
    for number in &acknowledged {
        let count = stored.get(&format!("crash-{number}")).copied().unwrap_or(0);
        ensure!(
            count == 1,
            "event {number} was acknowledged and is stored {count} times (seed {seed})"
        );
    }
    ensure!(
        stored.values().all(|count| *count == 1),
        "an event is stored twice (seed {seed})"
    );
    println!(
        "{} acknowledged, {} stored, {kills} kills",
        acknowledged.len(),
        stored.len()
    );
    let verified = server.command(["replay", "--verify"])?;
    ensure!(
        verified.status.success(),
        "replay --verify: {}",
        String::from_utf8_lossy(&verified.stderr)
    );
    server.stop()
}
