//! Full, failing and hanging disks under the real programs: what is said, what goes on, and that it ends by itself.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};
use trenza_tests::{
    disk::{Disk, Failure, Op, number},
    http::Http,
    pour::{BATCH, event, pour, stored_once},
    process::{Agent, Server, on_disk, until},
};

/// What must hold within this time of its cause.
const SOON: Duration = Duration::from_secs(5);
/// Faults at every k-th request, one after the other.
const FAULTS: [u64; 4] = [2, 3, 7, 19];

/// One event posted; the answer's status and body.
async fn post(
    http: &Http,
    agent: &Agent,
    key: &str,
    number: u64,
) -> anyhow::Result<(StatusCode, Value)> {
    let body = json!({"writeKey": key, "batch": [event(number)]});
    let url = format!("{}/v1/batch", agent.up().url("http"));
    let (status, answer) = http.post_any(&url, &body).await?;
    Ok((
        status,
        serde_json::from_slice(&answer).unwrap_or(Value::Null),
    ))
}

async fn ready(http: &Http, ops: &str) -> anyhow::Result<(StatusCode, String)> {
    let url = format!("{ops}/readyz");
    let (status, body) = http
        .send(Method::GET, &url, HeaderMap::new(), Vec::new())
        .await?;
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

async fn page(http: &Http, agent: &Agent, lang: &str) -> anyhow::Result<String> {
    let url = format!("{}/{lang}/", agent.up().url("http"));
    let (_, body) = http
        .send(Method::GET, &url, HeaderMap::new(), Vec::new())
        .await?;
    Ok(String::from_utf8_lossy(&body).into_owned())
}

/// Waits for a condition that must come within [`SOON`] of `since`.
async fn soon<T, F: Future<Output = anyhow::Result<T>>>(
    what: &str,
    since: Instant,
    look: impl FnMut() -> F,
) -> anyhow::Result<T> {
    let found = until(what, look).await?;
    let took = since.elapsed();
    ensure!(took < SOON, "{what}: only after {took:?}");
    println!("{what}: after {} ms", took.as_millis());
    Ok(found)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_says_so_and_takes_events_again_by_itself() -> anyhow::Result<()> {
    let Some(disk) = Disk::mount()? else {
        return Ok(());
    };
    let home = tempfile::tempdir()?;
    let (mut server, mut agent) = on_disk(&disk, home.path())?;
    let (http, key) = (Http::new(None)?, agent.write_key()?);
    let ops = agent.up().url("ops");
    let (status, answer) = post(&http, &agent, &key, 0).await?;
    ensure!(status == StatusCode::OK, "{answer}");
    agent.drained().await?;
    // Some wait for the server when the disk fills up.
    server.stop()?;
    let mut acknowledged = vec![0];
    acknowledged.extend(pour(agent.up().url("http"), key.clone(), 1, 30).await);

    let filled = Instant::now();
    disk.free(Some(0));
    soon("capture is refused", filled, || async {
        let (status, answer) = post(&http, &agent, &key, 100_000).await?;
        ensure!(
            status == StatusCode::SERVICE_UNAVAILABLE,
            "{status} {answer}"
        );
        ensure!(answer["code"] == "full", "{answer}");
        Ok(())
    })
    .await?;
    soon("status says that it is full", filled, || async {
        let status = agent.status()?;
        ensure!(status["room"] == "full", "{status}");
        ensure!(
            !status["room_problem"]
                .as_str()
                .unwrap_or_default()
                .is_empty(),
            "{status}"
        );
        Ok(())
    })
    .await?;
    soon("the agent is not ready", filled, || async {
        let (status, body) = ready(&http, &ops).await?;
        ensure!(status == StatusCode::SERVICE_UNAVAILABLE, "{status} {body}");
        Ok(())
    })
    .await?;
    for (lang, text) in [("es", "El disco está lleno"), ("en", "The disk is full")] {
        let page = page(&http, &agent, lang).await?;
        ensure!(page.contains(text), "{lang}: {page}");
    }
    // With nothing free it still sends, and remembers what the server has.
    server.start()?;
    agent.drained().await.context("sending on a full disk")?;

    let freed = Instant::now();
    disk.free(None);
    soon("capture works again", freed, || async {
        let (status, answer) = post(&http, &agent, &key, 100_001).await?;
        ensure!(status == StatusCode::OK, "{status} {answer}");
        Ok(())
    })
    .await?;
    soon("the agent is ready again", freed, || async {
        let (status, body) = ready(&http, &ops).await?;
        ensure!(status == StatusCode::OK, "{status} {body}");
        Ok(())
    })
    .await?;
    acknowledged.push(100_001);
    agent.drained().await?;
    agent.stop()?;
    stored_once(&server, &acknowledged)?;
    server.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_at_every_kth_write_and_fsync_lose_and_double_nothing() -> anyhow::Result<()> {
    let Some(disk) = Disk::mount()? else {
        return Ok(());
    };
    let home = tempfile::tempdir()?;
    let (mut server, mut agent) = on_disk(&disk, home.path())?;
    let (http, key) = (Http::new(None)?, agent.write_key()?);
    let (mut acknowledged, mut next) = (Vec::new(), 0);
    for nth in FAULTS {
        for (op, failure) in [
            (Op::Write, Failure::Full),
            (Op::Write, Failure::Broken),
            (Op::Sync, Failure::Broken),
        ] {
            disk.fail_every(nth, op, failure);
            // Clients try again and again, as they do.
            for _ in 0..4 {
                let url = agent.up().url("http");
                acknowledged.extend(pour(url, key.clone(), next, 8).await);
                next += 8 * BATCH;
            }
            disk.fail_every(0, Op::Any, failure);
            let healed = Instant::now();
            soon(
                &format!("{failure:?} at each {nth}th {op:?}, over"),
                healed,
                || async {
                    let (status, answer) = post(&http, &agent, &key, next).await?;
                    ensure!(status == StatusCode::OK, "{status} {answer}");
                    Ok(())
                },
            )
            .await?;
            acknowledged.push(next);
            next += 1;
        }
    }
    // And what the disk holds after all that survives the power.
    agent.drained().await?;
    agent.kill()?;
    disk.restore(number("TRENZA_SEED", 5)?)?;
    agent.start()?;
    agent.drained().await?;
    agent.stop()?;
    stored_once(&server, &acknowledged)?;
    server.must(["replay", "--verify"])?;
    server.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_fails_in_time_on_a_disk_that_fails_or_hangs() -> anyhow::Result<()> {
    let (Some(agent_disk), Some(server_disk)) = (Disk::mount()?, Disk::mount()?) else {
        return Ok(());
    };
    let home = tempfile::tempdir()?;
    // One thread serves: what waits for the disk on it would be seen at once.
    let one_thread = BTreeMap::from([("TOKIO_WORKER_THREADS".to_owned(), "1".to_owned())]);
    let server_dir = server_disk.path().join("server");
    let mut server = Server::init_in(&server_dir, None, one_thread.clone())?;
    server.log = home.path().join("server.log");
    server.start()?;
    let agent_dir = agent_disk.path().join("agent");
    let mut agent = server.enrol_in("Tienda", None, &agent_dir, one_thread)?;
    agent.log = home.path().join("agent.log");
    let http = Http::new(None)?;
    let (down, up) = (StatusCode::SERVICE_UNAVAILABLE, StatusCode::OK);

    // Each starts to talk with the other while its own disk hangs.
    server.stop()?;
    agent.start()?;
    let ops = agent.up().url("ops");
    fails_and_heals(&http, "agent", &ops, &agent_disk).await?;
    agent_disk.hang(true);
    soon("agent: hangs", Instant::now(), || is(&http, &ops, down)).await?;
    server.start()?;
    let (admin, url) = (server.http()?, server.up().url("http"));
    let seen = || async {
        let fleet = admin.get(&format!("{url}/v1/agents")).await?;
        ensure!(fleet["agents"][0]["last_contact_at"].is_string(), "{fleet}");
        Ok(())
    };
    until("the server has heard the agent", seen).await?;
    let status = format!("{}/v1/status", agent.up().url("http"));
    soon("agent: hangs and serves", Instant::now(), || async {
        is(&http, &ops, down).await?;
        http.get(&status).await
    })
    .await?;
    agent_disk.hang(false);
    soon("agent: moves again", Instant::now(), || is(&http, &ops, up)).await?;

    agent.kill()?;
    let ops = server.up().url("ops");
    fails_and_heals(&http, "server", &ops, &server_disk).await?;
    server_disk.hang(true);
    agent.start()?;
    soon("server: hangs", Instant::now(), || is(&http, &ops, down)).await?;
    server_disk.hang(false);
    soon("server: moves again", Instant::now(), || {
        is(&http, &ops, up)
    })
    .await?;
    agent.stop()?;
    server.stop()
}

async fn is(http: &Http, ops: &str, wanted: StatusCode) -> anyhow::Result<()> {
    let (status, body) = ready(http, ops).await?;
    ensure!(status == wanted, "{status} {body}");
    Ok(())
}

/// A disk whose every write fails is told as soon as it is so, and no longer than it is.
async fn fails_and_heals(http: &Http, who: &str, ops: &str, disk: &Disk) -> anyhow::Result<()> {
    let (down, up) = (StatusCode::SERVICE_UNAVAILABLE, StatusCode::OK);
    until("ready", || is(http, ops, up)).await?;
    disk.fail_every(1, Op::Any, Failure::Broken);
    soon(&format!("{who}: EIO"), Instant::now(), || {
        is(http, ops, down)
    })
    .await?;
    disk.fail_every(0, Op::Any, Failure::Broken);
    soon(&format!("{who}: EIO over"), Instant::now(), || {
        is(http, ops, up)
    })
    .await
}
