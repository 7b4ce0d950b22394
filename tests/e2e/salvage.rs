//! The agent is killed, or its power goes, at any moment while it salvages a damaged store: in the end everything is on the server
//! once, and the report is right.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};
use serde_json::Value;
use trenza_tests::{
    day::Chance,
    disk::{Disk, Side, number},
    pour::{BATCH, pour, stored_once},
    process::{Agent, Server, until},
};

/// Damaged stores of the short loop; `TRENZA_STORES` asks for more.
const STORES: u64 = 2;
/// Most of them, until one salvage was cut in the middle.
const STORES_MAX: u64 = 10;
/// Most cuts of one salvage; `TRENZA_CUTS` asks for more.
const CUTS: u64 = 4;
/// Posts before a store is damaged, and while it is salvaged.
const POSTS: u64 = 300;
const POSTS_MEANWHILE: u64 = 4;
/// A cut is at one of so many next fsyncs.
const SYNCS: usize = 10;
/// What stands in a damaged store's `CURRENT`: by it the folder is known again.
const NONSENSE: &str = "nonsense";

/// The damaged stores that were put aside, and the report on each once there is one.
fn put_aside(agent: &Agent) -> anyhow::Result<Vec<(PathBuf, Option<Value>)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(&agent.dir)? {
        let path = entry?.path();
        let current = fs::read_to_string(path.join("CURRENT")).unwrap_or_default();
        if current != NONSENSE || path.ends_with("store") {
            continue;
        }
        let mut report = path.as_os_str().to_owned();
        report.push(".salvaged");
        let report = match fs::read(Path::new(&report)) {
            Ok(bytes) => Some(serde_json::from_slice(&bytes)?),
            Err(_none_yet) => None,
        };
        found.push((path, report));
    }
    Ok(found)
}

/// Whether everything that was put aside is salvaged, also a store that a cut left torn.
fn all_salvaged(agent: &Agent) -> anyhow::Result<bool> {
    for entry in fs::read_dir(&agent.dir)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let aside = name.starts_with("store.") && !name.ends_with(".salvaged");
        if aside && !agent.dir.join(format!("{name}.salvaged")).exists() {
            return Ok(false);
        }
    }
    Ok(put_aside(agent)?.iter().any(|(_, report)| report.is_some()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_salvage_that_is_cut_anywhere_goes_on_and_loses_and_doubles_nothing() -> anyhow::Result<()>
{
    let Some(disk) = Disk::mount()? else {
        return Ok(());
    };
    let seed = number("TRENZA_SEED", 23)?;
    let (stores, cuts) = (
        number("TRENZA_STORES", STORES)?,
        number("TRENZA_CUTS", CUTS)?,
    );
    println!("TRENZA_SEED={seed} TRENZA_STORES={stores} TRENZA_CUTS={cuts}");
    let mut chance = Chance::new(seed);
    let home = tempfile::tempdir()?;
    let mut server = Server::init(&home.path().join("server"), None)?;
    server.start()?;
    let mut agent = server.enrol("Tienda", &disk.path().join("agent"))?;
    agent.log = home.path().join("agent.log");
    let key = agent.write_key()?;
    let (mut acknowledged, mut next, mut interrupted) = (Vec::new(), 0, 0);
    // A salvage may be over before the cut comes: then another store is damaged.
    for store in 0.. {
        if store >= stores && interrupted > 0 {
            break;
        }
        ensure!(
            store < stores.max(STORES_MAX),
            "no salvage was cut in the middle"
        );
        server.kill()?;
        agent.start()?;
        let before = acknowledged.len();
        acknowledged.extend(pour(agent.up().url("http"), key.clone(), next, POSTS).await);
        next += POSTS * BATCH;
        let captured = (acknowledged.len() - before) as u64;
        agent.kill()?;
        fs::write(agent.dir.join("store/CURRENT"), NONSENSE)?;
        disk.sync_all();
        server.start()?;
        for cut in 0..cuts {
            agent.start()?;
            let url = agent.up().url("http");
            let power = chance.below(2) == 0;
            let (nth, side) = (
                1 + chance.below(SYNCS) as u64,
                *chance.pick(&[Side::Before, Side::After]),
            );
            if power {
                disk.cut_at_sync(nth, side);
            }
            // Visits come in all the while.
            let pouring = tokio::spawn(pour(url, key.clone(), next, POSTS_MEANWHILE));
            next += POSTS_MEANWHILE * BATCH;
            let since = disk.counters().syncs;
            until(
                "the salvage is somewhere in the middle, or over",
                || async {
                    let there = disk.is_dark() || (!power && disk.counters().syncs >= since + nth);
                    ensure!(there || all_salvaged(&agent)?, "not yet");
                    Ok(())
                },
            )
            .await?;
            agent.kill()?;
            acknowledged.extend(pouring.await?);
            if power {
                disk.cut(); // where it was over before that fsync
                disk.restore(chance.roll())?;
            }
            let over = all_salvaged(&agent)?;
            interrupted += u64::from(!over);
            println!("store {store} cut {cut}: power {power}, fsync {nth} {side:?}, over {over}");
            if over {
                break;
            }
        }
        agent.start()?;
        until("the salvage has ended", || async {
            let status = agent.status()?;
            let over = all_salvaged(&agent)? && status["salvage"]["files"] == 0;
            ensure!(over, "{status} {:?}", put_aside(&agent)?);
            Ok(())
        })
        .await
        .with_context(|| format!("store {store}, seed {seed}"))?;
        for (path, report) in put_aside(&agent)? {
            let report = report.context("a report")?;
            let count = |name: &str| report[name].as_u64().unwrap_or(u64::MAX);
            ensure!(
                count("found") >= captured && count("appended") <= count("found"),
                "{captured} captured, {}: {report}",
                path.display()
            );
            ensure!(count("unreadable") == 0, "{}: {report}", path.display());
        }
        agent.drained().await?;
        let stored = stored_once(&server, &acknowledged).with_context(|| format!("seed {seed}"))?;
        println!("{} acknowledged, {stored} stored", acknowledged.len());
        // The next round looks at its own folder alone.
        agent.stop()?;
        for (path, _) in put_aside(&agent)? {
            // As a kill in the middle of tidying leaves it: the report on it stays.
            fs::remove_dir_all(&path)?;
        }
    }
    server.must(["replay", "--verify"])?;
    server.stop()
}
