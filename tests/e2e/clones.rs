//! Copies of an agent: a folder that runs twice, three times, copies of copies, a copy taken while it runs, a restored image.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::Instant,
};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinHandle};
use trenza_tests::{
    http::Http,
    process::{Agent, PATIENCE, Server, until},
};

fn event(name: &str, number: u64) -> Value {
    json!({"type": "track", "event": "Visit", "messageId": format!("{name}-{number}"), "anonymousId": format!("{name}-{}", number % 7)})
}

/// Captures one event after another until told to stop; gives the messageIds that were acknowledged.
struct Pouring {
    stop: watch::Sender<bool>,
    task: JoinHandle<Vec<String>>,
}

impl Pouring {
    fn into(agent: &Agent, name: &str) -> anyhow::Result<Self> {
        let (url, key, name) = (agent.up().url("http"), agent.write_key()?, name.to_owned());
        let http = Http::new(None)?;
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(async move {
            let mut acknowledged = Vec::new();
            for number in 0.. {
                if *stopped.borrow() {
                    break;
                }
                let one = event(&name, number);
                if http
                    .capture(&url, &key, std::slice::from_ref(&one), "")
                    .await
                    .is_ok()
                {
                    acknowledged.extend(one["messageId"].as_str().map(str::to_owned));
                }
            }
            acknowledged
        });
        Ok(Self { stop, task })
    }

    async fn end(self) -> anyhow::Result<Vec<String>> {
        self.stop.send_replace(true);
        Ok(self.task.await?)
    }
}

/// The fleet of `GET /v1/agents`.
async fn fleet(server: &Server) -> anyhow::Result<Vec<Value>> {
    let url = format!("{}/v1/agents", server.up().url("http"));
    let fleet = server.http()?.get(&url).await?;
    Ok(fleet["agents"].as_array().cloned().unwrap_or_default())
}

async fn fleet_of(server: &Server, count: usize) -> anyhow::Result<Vec<Value>> {
    until(&format!("there are {count} agents"), || async {
        let fleet = fleet(server).await?;
        ensure!(fleet.len() == count, "{fleet:?}");
        Ok(fleet)
    })
    .await
}

/// Every agent runs under its own id.
async fn each_is_its_own(agents: &[&Agent]) -> anyhow::Result<Vec<String>> {
    until("every agent has its own id and the server", || async {
        let mut ids = Vec::new();
        for agent in agents {
            let status = agent.status()?;
            ensure!(status["server"] == "up", "{status}");
            ids.push(status["agent"].as_str().context("agent")?.to_owned());
        }
        ensure!(
            ids.iter().collect::<BTreeSet<_>>().len() == agents.len(),
            "{ids:?}"
        );
        Ok(ids)
    })
    .await
}

/// How often each messageId is stored.
fn stored(server: &Server) -> anyhow::Result<BTreeMap<String, u32>> {
    let export = String::from_utf8(server.must(["export", "events"])?)?;
    let mut stored = BTreeMap::new();
    for line in export.lines() {
        let event: Value = serde_json::from_str(line)?;
        let id = event["messageId"].as_str().context("messageId")?.to_owned();
        *stored.entry(id).or_default() += 1;
    }
    Ok(stored)
}

fn ensure_once(stored: &BTreeMap<String, u32>, acknowledged: &[String]) -> anyhow::Result<()> {
    ensure!(!acknowledged.is_empty(), "nothing was acknowledged");
    for id in acknowledged {
        let count = stored.get(id).copied().unwrap_or(0);
        ensure!(
            count == 1,
            "{id} was acknowledged and is stored {count} times"
        );
    }
    ensure!(
        stored.values().all(|count| *count == 1),
        "an event is stored twice"
    );
    Ok(())
}

fn server_in(home: &Path) -> anyhow::Result<Server> {
    let mut server = Server::init(&home.join("server"), None)?;
    server.start()?;
    Ok(server)
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_that_run_at_once_become_agents_of_their_own_within_a_minute() -> anyhow::Result<()>
{
    let home = tempfile::tempdir()?;
    let mut server = server_in(home.path())?;
    let mut first = server.enrol("Feria", &home.path().join("first"))?;
    first.start()?;
    let mut acknowledged = Vec::new();
    // Copied while visits come in.
    let pouring = Pouring::into(&first, "before")?;
    until("some visits are in", || async {
        let status = first.status()?;
        ensure!(status["head_seq"].as_u64() > Some(20), "{status}");
        Ok(())
    })
    .await?;
    let mut second = first.copied_to(&home.path().join("second"))?;
    let mut third = first.copied_to(&home.path().join("third"))?;
    acknowledged.extend(pouring.end().await?);
    let began = Instant::now();
    second.start()?;
    third.start()?;
    let mut pourings = Vec::new();
    for (agent, name) in [(&first, "first"), (&second, "second"), (&third, "third")] {
        pourings.push(Pouring::into(agent, name)?);
    }
    let ids = each_is_its_own(&[&first, &second, &third]).await?;
    let took = began.elapsed();
    println!("three copies were three agents after {took:?}");
    ensure!(took < PATIENCE, "it took {took:?}");
    for pouring in pourings {
        acknowledged.extend(pouring.end().await?);
    }
    // A copy of a copy, taken while it stands.
    second.stop()?;
    let mut fourth = second.copied_to(&home.path().join("fourth"))?;
    second.start()?;
    fourth.start()?;
    let pouring = Pouring::into(&fourth, "fourth")?;
    let all = each_is_its_own(&[&first, &second, &third, &fourth]).await?;
    acknowledged.extend(pouring.end().await?);
    ensure!(
        all[0] == ids[0] && all[2] == ids[2],
        "the others stay who they were: {all:?}"
    );
    let fleet = fleet_of(&server, 4).await?;
    let parent = |id: &str| {
        let row = fleet.iter().find(|row| row["id"] == id);
        row.map(|row| row["copy_of"]["agent"].clone())
            .unwrap_or_default()
    };
    let enrolled: Vec<_> = all.iter().filter(|id| parent(id).is_null()).collect();
    ensure!(
        enrolled == [&ids[0]],
        "the first one kept its id: {fleet:?}"
    );
    let copies: Vec<_> = [&all[1], &all[3]]
        .into_iter()
        .filter(|id| ***id != ids[1])
        .collect();
    ensure!(
        copies.len() == 1 && parent(copies[0]) == ids[1],
        "the lineage of a copy of a copy: {fleet:?}"
    );
    let list = String::from_utf8(server.must(["agent", "list", "--json"])?)?;
    ensure!(
        list.contains(&format!("\"agent\":\"{}\"", ids[1])) && list.contains("copy_of"),
        "{list}"
    );
    for agent in [&mut first, &mut second, &mut third, &mut fourth] {
        agent.drained().await?;
        agent.stop()?;
    }
    ensure_once(&stored(&server)?, &acknowledged)?;
    let verified = server.command(["replay", "--verify"])?;
    ensure!(verified.status.success(), "replay --verify: {verified:?}");
    server.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_is_killed_while_it_changes_its_id_gets_one_id() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let mut server = server_in(home.path())?;
    let mut first = server.enrol("Tienda", &home.path().join("first"))?;
    first
        .env
        .insert("TRENZA_SYNC__HELLO_EVERY_MS".into(), "100".into());
    first.start()?;
    let key = first.write_key()?;
    let http = Http::new(None)?;
    let mut acknowledged = Vec::new();
    let mut capture = async |agent: &Agent, name: &str| -> anyhow::Result<()> {
        let events: Vec<Value> = (0..40).map(|number| event(name, number)).collect();
        http.capture(&agent.up().url("http"), &key, &events, "")
            .await?;
        acknowledged.extend(
            events
                .iter()
                .filter_map(|one| one["messageId"].as_str().map(str::to_owned)),
        );
        Ok(())
    };
    capture(&first, "before").await?;
    first.drained().await?;
    let mut copies = Vec::new();
    for number in 0..4 {
        copies.push(first.copied_to(&home.path().join(format!("copy-{number}")))?);
    }
    for (number, copy) in copies.iter_mut().enumerate() {
        // Killed at the first sign of each step on the disk, or after the last where a step was too quick to be seen.
        let sign = ["copy.key.pem", "copy.cert.pem", "device.cert.pem", "epoch"][number];
        let state = |name: &str| std::fs::read(copy.dir.join(name)).ok();
        let (before, certificate) = (state(sign), state("device.cert.pem"));
        copy.start()?;
        capture(copy, &format!("copy-{number}")).await?;
        let state = |name: &str| std::fs::read(copy.dir.join(name)).ok();
        let began = Instant::now();
        while state(sign) == before && state("device.cert.pem") == certificate {
            ensure!(began.elapsed() < PATIENCE, "the copy never began to change");
            tokio::task::yield_now().await;
        }
        copy.kill()?;
        copy.start()?;
    }
    let all: Vec<&Agent> = std::iter::once(&first).chain(&copies).collect();
    each_is_its_own(&all).await?;
    until("every id that was given is used", || async {
        let fleet = fleet_of(&server, 5).await?;
        ensure!(
            fleet
                .iter()
                .all(|agent| !agent["last_contact_at"].is_null()),
            "{fleet:?}"
        );
        Ok(())
    })
    .await?;
    first.drained().await?;
    for copy in &mut copies {
        copy.drained().await?;
        copy.stop()?;
    }
    first.stop()?;
    ensure_once(&stored(&server)?, &acknowledged)?;
    server.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_folder_stays_the_same_agent_and_nothing_is_lost_or_doubled()
-> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let mut server = server_in(home.path())?;
    let mut agent = server.enrol("Tienda", &home.path().join("agent"))?;
    let http = Http::new(None)?;
    let mut acknowledged = Vec::new();
    agent.start()?;
    let key = agent.write_key()?;
    let mut capture = async |agent: &Agent, name: &str| -> anyhow::Result<()> {
        let events: Vec<Value> = (0..30).map(|number| event(name, number)).collect();
        http.capture(&agent.up().url("http"), &key, &events, "")
            .await?;
        acknowledged.extend(
            events
                .iter()
                .filter_map(|one| one["messageId"].as_str().map(str::to_owned)),
        );
        Ok(())
    };
    capture(&agent, "before").await?;
    agent.drained().await?;
    let id = agent.status()?["agent"].clone();
    agent.stop()?;
    let image = agent.copied_to(&home.path().join("image"))?;
    agent.start()?;
    capture(&agent, "after-the-image").await?;
    agent.drained().await?;
    agent.stop()?;
    // The disk is replaced by its image.
    std::fs::remove_dir_all(&agent.dir)?;
    let mut agent = image.copied_to(&agent.dir)?;
    agent.start()?;
    capture(&agent, "restored").await?;
    let status = agent.drained().await?;
    ensure!(status["agent"] == id && status["epoch"] == 2, "{status}");
    ensure!(fleet(&server).await?.len() == 1, "one agent");
    agent.stop()?;
    ensure_once(&stored(&server)?, &acknowledged)?;
    server.stop()
}
