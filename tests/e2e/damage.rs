//! An agent whose folder was damaged starts at once, and in the end the server has every event that it had acknowledged.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader},
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _, chown},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use trenza_tests::{
    http::Http,
    process::{Agent, Server, bin, until},
};

/// Events captured while the server is away.
const EVENTS: u64 = 300;
/// Events of one post.
const BATCH: u64 = 10;
/// From start to listening, whatever is in the folder.
const START_MAX: Duration = Duration::from_secs(2);
/// A user that owns nothing: `nobody` on most systems.
const NOBODY: u32 = 65_534;

fn event(number: u64) -> Value {
    json!({"type": "track", "event": "Visit", "messageId": format!("damage-{number}"), "anonymousId": format!("visitor-{}", number % 40),
        "timestamp": "2026-03-14T10:00:00Z", "properties": {"number": number, "text": "ñandú ".repeat(12)}})
}

async fn post(agent: &Agent, numbers: impl Iterator<Item = u64>) -> anyhow::Result<()> {
    let events: Vec<Value> = numbers.map(event).collect();
    let answer = Http::new(None)?
        .capture(&agent.up().url("http"), &agent.write_key()?, &events, "")
        .await?;
    ensure!(answer["success"] == true, "{answer}");
    Ok(())
}

/// How often the server stores each event.
fn stored(server: &Server) -> anyhow::Result<BTreeMap<String, u32>> {
    let export = String::from_utf8(server.must(["export", "events"])?)?;
    let mut counts = BTreeMap::new();
    for line in export.lines() {
        let event: Value = serde_json::from_str(line)?;
        let id = event["messageId"].as_str().context("messageId")?;
        *counts.entry(id.to_owned()).or_default() += 1;
    }
    Ok(counts)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_damaged_store_held_reaches_the_server_once() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let mut server = Server::init(&home.path().join("server"), None)?;
    server.start()?;
    let mut agent = server.enrol("Tienda", &home.path().join("agent"))?;
    server.kill()?;
    agent.start()?;
    for from in (0..EVENTS).step_by(BATCH as usize) {
        post(&agent, from..from + BATCH).await?;
    }
    agent.kill()?;
    fs::write(agent.dir.join("store/CURRENT"), "nonsense")?;
    fs::write(agent.dir.join("epoch"), [0; 4])?;
    let begun = Instant::now();
    agent.start()?;
    let took = begun.elapsed();
    ensure!(took < START_MAX, "the start took {took:?}");
    post(&agent, EVENTS..EVENTS + 1).await?;
    server.start()?;
    until("all that was captured is on the server", || async {
        let counts = stored(&server)?;
        ensure!(counts.len() as u64 == EVENTS + 1, "{} events", counts.len());
        Ok(())
    })
    .await?;
    let status = agent.drained().await?;
    ensure!(
        status["salvage"]["files"] == 0 && status["salvage"]["unreadable"] == 0,
        "{status}"
    );
    let counts = stored(&server)?;
    ensure!(
        counts.values().all(|count| *count == 1),
        "an event is stored twice"
    );
    println!("listening after {took:?}: {status}");
    agent.stop()?;
    server.stop()
}

/// Starts the agent as another user; gives the time until it was ready, and the program.
fn start_as(user: u32, agent: &Agent) -> anyhow::Result<(Duration, std::process::Child, Value)> {
    let begun = Instant::now();
    let mut child = Command::new(bin("trenza-agent")?)
        .args([
            "run".as_ref(),
            "--config".as_ref(),
            agent.config().as_os_str(),
        ])
        .envs(&agent.env)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .uid(user)
        .gid(user)
        .spawn()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().context("stdout is piped")?).read_line(&mut line)?;
    let ready = serde_json::from_str(&line).with_context(|| format!("not ready: {line:?}"))?;
    Ok((begun.elapsed(), child, ready))
}

fn give(path: &Path, user: u32) -> anyhow::Result<()> {
    chown(path, Some(user), Some(user))?;
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            give(&entry?.path(), user)?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_another_owner_stop_no_start() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    if fs::metadata(home.path())?.uid() != 0 {
        println!("only root can give files away: run this as root");
        return Ok(());
    }
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755))?;
    let mut server = Server::init(&home.path().join("server"), None)?;
    server.start()?;
    let mut agent = server.enrol("Tienda", &home.path().join("agent"))?;
    agent.start()?;
    post(&agent, 0..BATCH).await?;
    agent.kill()?;
    // The folder is the other user's; store, marker, key and the socket of the killed program are still root's, closed to all.
    give(&agent.dir, NOBODY)?;
    for name in ["store", "epoch", "device.key.pem", "agent.sock"] {
        let path = agent.dir.join(name);
        give(&path, 0)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o000))?;
    }
    let (took, mut child, ready) = start_as(NOBODY, &agent)?;
    let url = ready["http"].as_str().context("http")?.to_owned();
    let answer = Http::new(None)?
        .capture(&url, &agent.write_key()?, &[event(1_000)], "")
        .await;
    let status = Http::new(None)?.get(&format!("{url}/v1/status")).await;
    child.kill()?;
    child.wait()?;
    ensure!(took < START_MAX, "the start took {took:?}");
    ensure!(answer?["success"] == true);
    let status = status?;
    ensure!(status["waiting"] == 1, "{status}");
    server.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_gone_is_told_by_agent_and_server() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let mut server = Server::init(&home.path().join("server"), None)?;
    server.start()?;
    let mut agent = server.enrol("Tienda", &home.path().join("agent"))?;
    agent.start()?;
    post(&agent, 0..BATCH).await?;
    agent.drained().await?;
    // What is lost: taken in while the server is away.
    server.stop()?;
    post(&agent, BATCH..4 * BATCH).await?;
    let noted = format!(":{}", 4 * BATCH);
    until("the marker knows how far the log went", || async {
        let marker = fs::read_to_string(agent.dir.join("epoch"))?;
        ensure!(marker.contains(&noted), "{marker}");
        Ok(())
    })
    .await?;
    agent.kill()?;
    fs::remove_dir_all(agent.dir.join("store"))?;
    server.start()?;
    agent.start()?;
    post(&agent, 1_000..1_001).await?;
    let status = agent.drained().await?;
    let began = &status["began"];
    ensure!(
        began["epoch"] == 2 && began["given_out"] == 4 * BATCH && began["aside"] == false,
        "{status}"
    );
    let told = Command::new(bin("trenza-agent")?)
        .args(["doctor", "--config"])
        .arg(agent.config())
        .envs(&agent.env)
        .output()?;
    let text = String::from_utf8_lossy(&told.stdout).into_owned();
    ensure!(
        !told.status.success() && text.contains("the store was gone"),
        "{text}"
    );
    ensure!(
        fs::read_to_string(&agent.log)?.contains("is gone, and a new, empty one begins"),
        "the log does not tell"
    );
    let fleet = format!("{}/v1/agents", server.up().url("http"));
    let fleet = server.http()?.get(&fleet).await?;
    let line = &fleet["agents"][0];
    ensure!(
        line["missing"] == 3 * BATCH && line["began"]["epoch"] == 2,
        "{line}"
    );
    let list = String::from_utf8(server.must(["agent", "list"])?)?;
    ensure!(list.contains("began anew in epoch 2"), "{list}");
    ensure!(server.must(["verify"]).is_err(), "verify says all is well");
    agent.stop()?;
    server.stop()
}

/// The write-ahead logs of a store.
fn logs(agent: &Agent) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(agent.dir.join("store"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == "log") {
            found.push(path);
        }
    }
    Ok(found)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_damaged_store_does_not_give_back_is_missing_and_nothing_else_is()
-> anyhow::Result<()> {
    type Harm = fn(&Agent) -> anyhow::Result<()>;
    let harms: [(&str, Harm); 3] = [
        ("a byte in the middle of the log", |agent| {
            for log in logs(agent)? {
                let mut bytes = fs::read(&log)?;
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                fs::write(&log, bytes)?;
            }
            Ok(())
        }),
        ("the end of the log", |agent| {
            for log in logs(agent)? {
                let bytes = fs::read(&log)?;
                fs::write(&log, &bytes[..bytes.len() * 2 / 3])?;
            }
            Ok(())
        }),
        ("every file", |agent| {
            for entry in fs::read_dir(agent.dir.join("store"))? {
                fs::write(entry?.path(), [0xa7; 4_096])?;
            }
            Ok(())
        }),
    ];
    let home = tempfile::tempdir()?;
    let mut server = Server::init(&home.path().join("server"), None)?;
    server.start()?;
    let mut lost_of_all = 0;
    for (nth, (what, harm)) in (0..).zip(harms) {
        let mut agent = server.enrol(what, &home.path().join(format!("agent-{nth}")))?;
        server.stop()?;
        agent.start()?;
        let mine = 10_000 * nth;
        for from in (mine..mine + EVENTS).step_by(BATCH as usize) {
            post(&agent, from..from + BATCH).await?;
        }
        let noted = format!(":{EVENTS}");
        until("the marker knows how far the log went", || async {
            let marker = fs::read_to_string(agent.dir.join("epoch"))?;
            ensure!(marker.contains(&noted), "{marker}");
            Ok(())
        })
        .await?;
        agent.kill()?;
        harm(&agent)?;
        server.start()?;
        agent.start()?;
        let url = format!("{}/v1/agents", server.up().url("http"));
        let http = server.http()?;
        until("the server knows what is missing", || async {
            agent.drained().await?;
            let numbers = |id: &String| {
                let number = id.trim_start_matches("damage-").parse::<u64>();
                number.is_ok_and(|number| (mine..mine + EVENTS).contains(&number))
            };
            let here = stored(&server)?.keys().filter(|id| numbers(id)).count() as u64;
            let fleet = http.get(&url).await?;
            let mut lines = fleet["agents"].as_array().context("agents")?.iter();
            let line = lines
                .find(|line| line["touchpoint"] == what)
                .context("the agent")?;
            let gaps = line["gaps"].as_array().context("gaps")?;
            ensure!(
                gaps.iter().all(|gap| gap["on_device"] == false)
                    && line["missing"] == EVENTS - here
                    && line["head_seq"] == EVENTS
                    && line["acked_seq"] == here,
                "{here} of {EVENTS} are here; {line}"
            );
            Ok(())
        })
        .await?;
        let fleet = http.get(&url).await?;
        let lost: u64 = fleet["sums"]["missing"].as_u64().context("missing")?;
        ensure!(
            server.must(["verify"]).is_ok() == (lost == 0),
            "{what}: {lost} lost"
        );
        lost_of_all = lost;
        agent.stop()?;
    }
    // Of the last store nothing was left.
    ensure!(lost_of_all >= EVENTS, "{lost_of_all} lost");
    server.stop()
}
