//! Wrong clocks of devices, under the real programs: in 1970, ten years ahead, set while they run, in other zones.
//!
//! The library that lies reaches what is read through the C library, and the boot clock is not: a device that was suspended is left to
//! the unit tests of `skew`.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use serde_json::json;
use trenza_shared::clock::{Clock as _, SystemClock, format_ms, parse_time_ms};
use trenza_tests::{
    http::Http,
    pour::{pour, stored_once},
    process::{Agent, FalseClock, Server, until},
};

/// By how much a corrected time may be wrong. Unit: ms.
const RIGHT_MS: u64 = 1_000;
const HOUR_S: i64 = 3_600;
const YEAR_S: i64 = 365 * 24 * HOUR_S;

/// A visit, and between which instants it really happened.
struct Visit {
    id: String,
    after_ms: i64,
    before_ms: i64,
}

/// Captures visits one after the other. Where the clock is wrong, every second one brings a time that a page read from it.
async fn visits(
    agent: &Agent,
    name: &str,
    count: u64,
    off_by_s: i64,
) -> anyhow::Result<Vec<Visit>> {
    let (http, key, url) = (Http::new(None)?, agent.write_key()?, agent.up().url("http"));
    let mut visits = Vec::new();
    for number in 0..count {
        let after_ms = SystemClock.wall_ms();
        let id = format!("{name}-{number}");
        let mut event = json!({"type": "track", "event": "Visit", "messageId": id, "anonymousId": format!("at-{name}")});
        if off_by_s != 0 && number % 2 == 1 {
            event["timestamp"] = format_ms(after_ms + off_by_s * 1_000).into();
        }
        let answer = http.capture(&url, &key, &[event], "").await?;
        ensure!(
            answer["success"] == true && answer["rejected"].as_array().is_none_or(Vec::is_empty),
            "{answer}"
        );
        visits.push(Visit {
            id,
            after_ms,
            before_ms: SystemClock.wall_ms(),
        });
    }
    Ok(visits)
}

/// Each has its right time on the server, which says how sure it is, and they stand in the order in which they were captured.
async fn have_right_times(server: &Server, visits: &[Visit]) -> anyhow::Result<()> {
    let mut last_ms = None;
    for visit in visits {
        let found = until("a corrected time", || async {
            let event = server.resolved(&visit.id).await?["event"].clone();
            ensure!(event["time"]["source"] == "corrected", "{event}");
            Ok(event)
        })
        .await?;
        let at_ms = found["at"].as_str().and_then(parse_time_ms);
        let at_ms = at_ms.with_context(|| format!("no time in {found}"))?;
        let wrong_by = if at_ms < visit.after_ms {
            visit.after_ms.abs_diff(at_ms)
        } else {
            at_ms.saturating_sub(visit.before_ms).max(0).unsigned_abs()
        };
        let sure = found["time"]["confidence_ms"]
            .as_u64()
            .context("confidence")?;
        ensure!(
            wrong_by <= RIGHT_MS && sure <= RIGHT_MS && wrong_by <= sure,
            "{} is wrong by {wrong_by} ms: {found}",
            visit.id
        );
        let captured_ms = found["captured_at"].as_str().and_then(parse_time_ms);
        ensure!(
            captured_ms >= last_ms,
            "{} stands before the one captured before it",
            visit.id
        );
        last_ms = captured_ms;
    }
    Ok(())
}

async fn a_clock_that_is_off_by(off_by_s: i64) -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let mut server = Server::init(&home.path().join("server"), None)?;
    server.start()?;
    let clock = FalseClock::new(home.path())?;
    clock.set_off_by(off_by_s)?;
    // Enrolled, too, by a device that is wrong about the time: by the real handshake with a certificate of today.
    let mut agent = server.enrol_in(
        "Feria",
        None,
        &home.path().join("agent"),
        clock.env().collect(),
    )?;
    server.stop()?;
    agent.start()?;
    // Nobody has told it the time yet.
    let mut all = visits(&agent, "before", 20, off_by_s).await?;
    server.start()?;
    agent.drained().await?;
    all.extend(visits(&agent, "after", 20, off_by_s).await?);
    let status = agent.drained().await?;
    let offset_ms = status["clock_offset_ms"]
        .as_i64()
        .context("clock_offset_ms")?;
    ensure!(
        offset_ms.abs_diff(-off_by_s * 1_000) <= RIGHT_MS,
        "off by {off_by_s} s: {status}"
    );
    have_right_times(&server, &all).await?;
    let status = agent.status()?;
    ensure!(
        status["head_seq"] == status["acked_seq"] && status["dropped"] == 0,
        "{status}"
    );
    // A restart and a retry change nothing: it is the same boot.
    agent.stop()?;
    agent.start()?;
    let poured = pour(agent.up().url("http"), agent.write_key()?, 0, 10).await;
    agent.drained().await?;
    have_right_times(&server, &all).await?;
    ensure!(stored_once(&server, &poured)? == all.len() + poured.len());
    agent.stop()?;
    server.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_in_1970_enrols_syncs_and_its_visits_have_their_right_times() -> anyhow::Result<()>
{
    a_clock_that_is_off_by(HOUR_S - SystemClock.wall_ms() / 1_000).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_ten_years_ahead_enrols_syncs_and_its_visits_have_their_right_times()
-> anyhow::Result<()> {
    a_clock_that_is_off_by(10 * YEAR_S).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_while_the_agent_runs_moves_no_visit() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let mut server = Server::init(&home.path().join("server"), None)?;
    server.start()?;
    let clock = FalseClock::new(home.path())?;
    let mut agent = server.enrol_in(
        "Tienda",
        None,
        &home.path().join("agent"),
        clock.env().collect(),
    )?;
    agent.start()?;
    let mut all = visits(&agent, "right", 10, 0).await?;
    agent.drained().await?;
    // Once while the server listens, once while it is away.
    for (round, off_by_s) in [HOUR_S, -HOUR_S, 0, HOUR_S].into_iter().enumerate() {
        if round == 2 {
            server.stop()?;
        }
        clock.set_off_by(off_by_s)?;
        all.extend(visits(&agent, &format!("set-{round}"), 10, off_by_s).await?);
    }
    server.start()?;
    agent.drained().await?;
    have_right_times(&server, &all).await?;
    agent.stop()?;
    server.stop()
}

/// What a server and its agent make of the same visits, where the machine stands in a zone.
async fn told_in(zone: &str) -> anyhow::Result<Vec<String>> {
    let home = tempfile::tempdir()?;
    let clock = FalseClock::new(home.path())?;
    // Certificates begin before everything that happens.
    clock.stand_at(parse_time_ms("2026-03-20T12:00:00Z").context("a time")? / 1_000)?;
    let zone = ("TZ".to_owned(), zone.to_owned());
    let env: BTreeMap<_, _> = clock.env().chain([zone]).collect();
    let dir = home.path().join("server");
    let mut server = Server::init_in(&dir, Some(&"07".repeat(32)), env.clone())?;
    server.start()?;
    let mut agent = server.enrol_in("Feria", None, &home.path().join("agent"), env)?;
    agent.start()?;
    let (http, key) = (Http::new(None)?, agent.write_key()?);
    // A second before and after both changes in Madrid and in Santiago (IANA 2026a).
    let changes = [
        "2026-03-29T01:00:00Z",
        "2026-04-05T03:00:00Z",
        "2026-09-06T04:00:00Z",
        "2026-10-25T01:00:00Z",
    ];
    for (number, change) in changes.iter().enumerate() {
        let change_ms = parse_time_ms(change).context("a time")?;
        for (side, at_ms) in [("before", change_ms - 1_000), ("after", change_ms)] {
            clock.stand_at(at_ms / 1_000)?;
            for (way, url, key) in [
                ("agent", agent.up().url("http"), &key),
                ("server", server.up().url("http"), &server.write_key()),
            ] {
                let event = json!({"type": "identify", "userId": "u-1", "messageId": format!("{way}-{number}-{side}"),
                    "timestamp": format_ms(at_ms), "traits": {"seen": format!("{change} {side}")}});
                http.capture(&url, key, &[event], "").await?;
            }
        }
    }
    agent.drained().await?;
    // When the agent's come is chance, and a time that stands still measures no clock: of them what was said counts.
    let export = String::from_utf8(server.must(["export", "events"])?)?;
    let mut told: Vec<String> = export.lines().map(str::to_owned).collect();
    told.sort();
    for number in 0..changes.len() {
        for side in ["before", "after"] {
            let known = server.resolved(&format!("server-{number}-{side}")).await?;
            told.push(known.to_string());
        }
    }
    ensure!(told.len() == 6 * changes.len(), "{told:#?}");
    agent.stop()?;
    server.stop()?;
    Ok(told)
}

/// Neither program reads a wall clock in local time: the zone of a place comes from the settings, the system's is never asked for.
#[tokio::test(flavor = "multi_thread")]
async fn the_zone_of_the_machine_changes_no_byte_also_where_the_clocks_change() -> anyhow::Result<()>
{
    let madrid = told_in("Europe/Madrid").await?;
    let santiago = told_in("America/Santiago").await?;
    ensure!(madrid == santiago, "{madrid:#?}\n{santiago:#?}");
    Ok(())
}
