//! kill -9 of either program in the middle: every acknowledged event is stored exactly once.

use anyhow::{Context as _, ensure};
use trenza_tests::{
    day::Chance,
    disk::number,
    pour::{BATCH, pour, stored_once},
    process::{Agent, Server, until},
};

/// Kills in the short loop; `TRENZA_KILLS` asks for more.
const KILLS: u64 = 12;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_or_doubled_by_killing_either_program() -> anyhow::Result<()> {
    let kills = number("TRENZA_KILLS", KILLS)?;
    let seed = number("TRENZA_SEED", 20_260_314)?;
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
        until("some more events are in the log", || async {
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
        acknowledged.extend(pouring.await?);
        if agent.running.is_none() {
            agent.start()?;
        }
        if server.running.is_none() {
            server.start()?;
        }
    }
    agent.drained().await?;
    agent.stop()?;
    let stored = stored_once(&server, &acknowledged).with_context(|| format!("seed {seed}"))?;
    println!(
        "{} acknowledged, {stored} stored, {kills} kills",
        acknowledged.len()
    );
    server.must(["replay", "--verify"])?;
    server.stop()
}
