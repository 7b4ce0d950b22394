//! A backlog of a demo day's events, all different: how fast a real server gets it, near, far, and with kills in between.

use std::{
    collections::BTreeSet,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use trenza_tests::{
    day::{Options, Place, generate},
    figures::cpu_ms,
    http::Http,
    process::{Agent, PATIENCE, Server},
    relay::Relay,
};

use super::enrol_by_cable;

/// Events that wait.
const EVENTS: usize = 200_000;
/// Events of one post when the agent is filled.
const POST: usize = 500;
/// How late the far server answers.
const FAR: Duration = Duration::from_millis(700);
/// Pause between two looks at what waits.
const LOOK: Duration = Duration::from_millis(20);

/// What happens while it drains.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Case {
    Near,
    Far,
    AgentKilled,
    ServerKilled,
}

/// Drains the same events in every case, each time out of a fresh agent into a fresh server.
pub async fn run(home: &Path) -> anyhow::Result<Value> {
    let mut day = generate(&Options {
        people: EVENTS / 8,
        events: EVENTS + EVENTS / 8,
        ..Options::default()
    });
    // An agent knows an event that comes twice, and the server keeps what is different under one id apart.
    let mut seen = BTreeSet::new();
    day.events
        .retain(|touch| touch.place != Place::Import && seen.insert(touch.message_id().to_owned()));
    let bodies: Vec<Value> = day.events.into_iter().map(|touch| touch.body).collect();
    let bodies = bodies.get(..EVENTS).context("the day has enough events")?;
    println!(
        "\n{EVENTS} different events of a demo day drained, from the first byte to the last acknowledgement"
    );
    let mut report = serde_json::Map::new();
    for (name, case) in [
        ("near", Case::Near),
        ("far", Case::Far),
        ("agent_killed", Case::AgentKilled),
        ("server_killed", Case::ServerKilled),
    ] {
        let figures = one(&home.join(name), case, bodies).await?;
        println!(
            "  {name:<14} {:>6.2} s {:>9.0} events/s   first byte after {:>5.2} s   CPU us/event: agent {:>5.1}, server {:>5.1}   {} twice, {} missing",
            figures["drain_s"].as_f64().unwrap_or_default(),
            figures["events_per_s"].as_f64().unwrap_or_default(),
            figures["first_byte_s"].as_f64().unwrap_or_default(),
            figures["agent_cpu_us"].as_f64().unwrap_or_default(),
            figures["server_cpu_us"].as_f64().unwrap_or_default(),
            figures["twice"],
            figures["missing"]
        );
        report.insert(name.into(), figures);
    }
    Ok(Value::Object(report))
}

async fn one(home: &Path, case: Case, bodies: &[Value]) -> anyhow::Result<Value> {
    std::fs::create_dir_all(home)?;
    let mut server = Server::init(&home.join("server"), None)?;
    server.start()?;
    let (mut agent, cable) = enrol_by_cable(&server, "Drain", &home.join("agent")).await?;
    agent.start()?;
    cable.plug(false);
    let http = Http::new(None)?;
    let (url, key) = (agent.up().url("http"), agent.write_key()?);
    for post in bodies.chunks(POST) {
        http.capture(&url, &key, post, "").await?;
    }
    if case == Case::Far {
        cable.delay(FAR);
    }
    let cpu = (cpu_ms(agent.up().pid())?, cpu_ms(server.up().pid())?);
    cable.plug(true);
    let plugged = Instant::now();
    if case == Case::AgentKilled {
        waiting_below(&agent, EVENTS as u64 / 2).await?;
        agent.kill()?;
        agent.start()?;
    }
    if case == Case::ServerKilled {
        waiting_below(&agent, EVENTS as u64 / 2).await?;
        server.kill()?;
        server.start()?;
    }
    waiting_below(&agent, 1).await?;
    let done = Instant::now();
    let began = began(&cable, plugged);
    let whole = matches!(case, Case::Near | Case::Far);
    // A program that was killed took its count with it.
    let per_event = |before: f64, now: f64| {
        if whole {
            (now - before) * 1_000.0 / EVENTS as f64
        } else {
            f64::NAN
        }
    };
    let agent_cpu_us = per_event(cpu.0, cpu_ms(agent.up().pid())?);
    let server_cpu_us = per_event(cpu.1, cpu_ms(server.up().pid())?);
    let (twice, missing) = counted(&server, bodies)?;
    let drain_s = (done - began).as_secs_f64();
    agent.stop()?;
    server.stop()?;
    ensure!(
        twice == 0 && missing == 0,
        "{twice} events stored twice, {missing} missing"
    );
    Ok(
        json!({"events": EVENTS, "drain_s": drain_s, "events_per_s": EVENTS as f64 / drain_s, "first_byte_s": (began - plugged).as_secs_f64(),
        "agent_cpu_us": agent_cpu_us, "server_cpu_us": server_cpu_us, "twice": twice, "missing": missing}),
    )
}

/// When the first byte passed; at the plug where an agent that was killed began anew.
fn began(cable: &Relay, plugged: Instant) -> Instant {
    cable.began().unwrap_or(plugged).max(plugged)
}

async fn waiting_below(agent: &Agent, limit: u64) -> anyhow::Result<()> {
    let (http, url) = (
        Http::new(None)?,
        format!("{}/v1/status", agent.up().url("http")),
    );
    let started = Instant::now();
    while http.get(&url).await?["waiting"]
        .as_u64()
        .unwrap_or(u64::MAX)
        >= limit
    {
        ensure!(started.elapsed() < PATIENCE * 2, "it does not drain");
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

/// Entries of the server's log that are there more than once, and events that are not there.
fn counted(server: &Server, bodies: &[Value]) -> anyhow::Result<(u64, u64)> {
    let export = String::from_utf8(server.must(["export", "events"])?)?;
    let mut stored = BTreeSet::new();
    for line in export.lines() {
        let event: Value = serde_json::from_str(line)?;
        stored.insert(event["messageId"].as_str().context("messageId")?.to_owned());
    }
    let missing = bodies.iter().filter(|body| {
        body["messageId"]
            .as_str()
            .is_none_or(|id| !stored.contains(id))
    });
    let audit: Value = serde_json::from_slice(&server.must(["verify", "--json"])?)?;
    let entries = audit["events"].as_u64().context("events of the audit")?;
    Ok((
        entries.saturating_sub(stored.len() as u64),
        missing.count() as u64,
    ))
}
