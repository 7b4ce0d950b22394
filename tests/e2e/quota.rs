//! The quota of an agent's store: what the folder really has, low-priority events that give way, space that comes back. And the
//! server's floor of free space.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};
use trenza_tests::{
    day::chance::Chance,
    disk::Disk,
    http::Http,
    pour::{event, pour, stored_once},
    process::{Server, until},
};

/// The quota under test. Unit: bytes.
const QUOTA: u64 = 64 << 20;
/// Text of an event that cannot be packed much. Unit: bytes.
const TEXT_BYTES: usize = 12 * 1024;
/// Events of a post.
const BATCH: u64 = 25;
/// What the store may occupy of its quota; and for a moment while visits come in as fast as they can and what was deleted is packed, when
/// files that are joined are there beside those that they become. Unit: percent.
const FULL_PERCENT: u64 = 101;
const JOINING_PERCENT: u64 = 130;
/// How often the folder is measured.
const SAMPLE_EVERY: Duration = Duration::from_millis(5);
/// Longest that the whole may take.
const LONGEST: Duration = Duration::from_secs(240);

/// What a folder occupies on the disk now. Unit: bytes.
fn occupied(folder: &Path) -> u64 {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = files.filter_map(|file| file.metadata().ok());
    sizes.map(|file| file.blocks() * 512).sum()
}

/// Measures a folder again and again.
struct Sampler {
    most: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Sampler {
    fn over(folder: PathBuf) -> Self {
        let (most, stop) = (
            Arc::new(AtomicU64::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let (seen, stopped) = (most.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                seen.fetch_max(occupied(&folder), Ordering::Relaxed);
                std::thread::park_timeout(SAMPLE_EVERY);
            }
        });
        Self {
            most,
            stop,
            thread: Some(thread),
        }
    }

    /// The most that was seen since it was asked last. Unit: bytes.
    fn most(&self) -> u64 {
        self.most.swap(0, Ordering::Relaxed)
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

/// A text without any repetition.
fn noise(chance: &mut Chance) -> String {
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::with_capacity(TEXT_BYTES);
    while text.len() < TEXT_BYTES {
        let mut roll = chance.roll();
        for _ in 0..10 {
            text.push(char::from(letters[(roll & 63) as usize]));
            roll >>= 6;
        }
    }
    text
}

fn large(number: u64, low: bool, chance: &mut Chance) -> Value {
    let mut event = event(number);
    event["properties"]["text"] = json!(noise(chance));
    if low {
        event["context"] = json!({"trenza": {"priority": "low"}});
    }
    event
}

async fn post(http: &Http, url: &str, key: &str, batch: &[Value]) -> anyhow::Result<StatusCode> {
    let body = json!({"writeKey": key, "batch": batch});
    let (status, answer) = http.post_any(&format!("{url}/v1/batch"), &body).await?;
    if status == StatusCode::SERVICE_UNAVAILABLE {
        let answer: Value = serde_json::from_slice(&answer)?;
        let code = answer["code"].as_str().unwrap_or_default();
        ensure!(code.starts_with("full"), "{answer}");
    }
    Ok(status)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_quota_holds_visits_stay_and_space_comes_back() -> anyhow::Result<()> {
    let seed = 11;
    println!("seed {seed}");
    let mut chance = Chance::new(seed);
    let home = tempfile::tempdir()?;
    let mut server = Server::init(&home.path().join("server"), None)?;
    server.start()?;
    let mut agent = server.enrol("Tienda", &home.path().join("agent"))?;
    let quota = QUOTA.to_string();
    agent.env.insert("TRENZA_STORE__QUOTA_BYTES".into(), quota);
    agent.start()?;
    server.stop()?;
    let (http, key) = (Http::new(None)?, agent.write_key()?);
    let (url, folder) = (agent.up().url("http"), agent.dir.join("store"));
    let sampler = Sampler::over(folder.clone());
    let within = |what: &str, most: u64, percent_max: u64| -> anyhow::Result<()> {
        let percent = 100.0 * most as f64 / QUOTA as f64;
        println!("{what}: at most {percent:.1} % of the quota");
        ensure!(most <= QUOTA / 100 * percent_max, "{what}: {most} bytes");
        Ok(())
    };
    let ok = StatusCode::OK;
    let (mut number, mut visits) = (0, Vec::new());
    let started = Instant::now();

    // Three times the quota, two thirds of it of low priority: those give way, and every visit is taken in sooner or later.
    let (mut low_taken, mut low_refused, mut waits) = (0, 0, 0);
    let mut produced = 0;
    while produced < 3 * QUOTA && visits.len() as u64 * (TEXT_BYTES as u64) < QUOTA / 3 {
        ensure!(started.elapsed() < LONGEST, "too slow: {produced} bytes");
        for low in [true, true, true, true, false] {
            let numbers: Vec<u64> = (number..number + BATCH).collect();
            number += BATCH;
            let batch: Vec<Value> = numbers
                .iter()
                .map(|number| large(*number, low, &mut chance))
                .collect();
            produced += BATCH * TEXT_BYTES as u64;
            if low {
                match post(&http, &url, &key, &batch).await? {
                    status if status == ok => low_taken += BATCH,
                    _ => low_refused += BATCH,
                }
                continue;
            }
            until("a visit is taken in", || {
                waits += 1;
                async {
                    let status = post(&http, &url, &key, &batch).await?;
                    ensure!(status == ok, "{status}");
                    Ok(())
                }
            })
            .await?;
            visits.extend(numbers);
        }
    }
    println!(
        "{} visits in {} tries, {low_taken} of low priority taken in, {low_refused} refused, in {:?}",
        visits.len(),
        waits,
        started.elapsed()
    );
    let status = agent.status()?;
    ensure!(status["dropped"].as_u64() > Some(0), "{status}");
    within("filled with both", sampler.most(), FULL_PERCENT)?;

    // Visits alone, until there is no room for any.
    loop {
        ensure!(started.elapsed() < LONGEST, "never full");
        let numbers: Vec<u64> = (number..number + BATCH).collect();
        number += BATCH;
        let batch: Vec<Value> = numbers
            .iter()
            .map(|number| large(*number, false, &mut chance))
            .collect();
        if post(&http, &url, &key, &batch).await? == ok {
            visits.extend(numbers);
            continue;
        }
        let status = agent.status()?;
        // Nothing of low priority is left but what holds the lane's head.
        let low_left = status["head_seq"].as_u64().unwrap_or(0)
            - status["dropped"].as_u64().unwrap_or(0)
            - visits.len() as u64;
        let ready = format!("{}/readyz", agent.up().url("ops"));
        let (_, body) = http
            .send(Method::GET, &ready, HeaderMap::new(), Vec::new())
            .await?;
        // A last range may still give way between the two looks.
        let told = String::from_utf8_lossy(&body).contains("used up its quota");
        if low_left <= 2 * 1_000 && status["room"] == "full" && told {
            println!("full: {status}");
            break;
        }
    }
    within("filled with visits", sampler.most(), FULL_PERCENT)?;
    let before = occupied(&folder);

    // The server comes back: all goes there. What it has stays here for its retention only as far as there is room for visits.
    server.start()?;
    agent.drained().await?;
    until("the space comes back", || async {
        let now = occupied(&folder);
        ensure!(
            now < QUOTA / 4 * 3 && now < before,
            "{now} of {before} bytes"
        );
        Ok(())
    })
    .await?;
    let (mut longest, mut taken) = (Duration::ZERO, 0);
    while taken < QUOTA {
        let numbers: Vec<u64> = (number..number + BATCH).collect();
        number += BATCH;
        let batch: Vec<Value> = numbers
            .iter()
            .map(|number| large(*number, false, &mut chance))
            .collect();
        let asked = Instant::now();
        until("events are taken in again", || async {
            let status = post(&http, &url, &key, &batch).await?;
            ensure!(status == ok, "{status}");
            Ok(())
        })
        .await?;
        longest = longest.max(asked.elapsed());
        taken += BATCH * TEXT_BYTES as u64;
        visits.extend(numbers);
    }
    println!("{taken} bytes of visits more, the longest wait of a post was {longest:?}");
    agent.drained().await?;
    let kept = occupied(&folder);
    ensure!(
        kept > QUOTA / 32,
        "only {kept} bytes are kept for a server that may be restored"
    );
    within("kept", kept, FULL_PERCENT)?;
    within("drained", sampler.most(), JOINING_PERCENT)?;
    let status = agent.status()?;
    let stored = stored_once(&server, &visits)? as u64;
    ensure!(
        status["head_seq"].as_u64() == Some(stored + status["dropped"].as_u64().unwrap_or(0)),
        "{stored} stored, {status}"
    );
    let audit: Value = serde_json::from_slice(&server.must(["verify", "--json"])?)?;
    ensure!(audit["ok"] == true, "{audit}");
    agent.stop()?;
    server.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_room_refuses_says_so_and_goes_on_by_itself() -> anyhow::Result<()> {
    let Some(disk) = Disk::mount()? else {
        return Ok(());
    };
    let home = tempfile::tempdir()?;
    let mut server = Server::init(&disk.path().join("server"), None)?;
    server.log = home.path().join("server.log");
    server.start()?;
    let mut agent = server.enrol("Tienda", &home.path().join("agent"))?;
    agent.start()?;
    let (http, key) = (Http::new(None)?, agent.write_key()?);
    let mut taken = pour(agent.up().url("http"), key.clone(), 0, 3).await;
    agent.drained().await?;
    let own = server.up().url("http");
    let ready = format!("{}/readyz", server.up().url("ops"));
    let readiness = || async {
        let (status, body) = http
            .send(Method::GET, &ready, HeaderMap::new(), Vec::new())
            .await?;
        anyhow::Ok((status, String::from_utf8_lossy(&body).into_owned()))
    };

    disk.free(Some(200 << 20));
    until("it says that it has no room", || async {
        let (status, body) = readiness().await?;
        ensure!(status == StatusCode::SERVICE_UNAVAILABLE, "{status} {body}");
        ensure!(body.contains("store.free_mib_min"), "{body}");
        Ok(())
    })
    .await?;
    // Neither a website nor an agent fills what is left; the agent keeps its events and says why.
    let status = post(&http, &own, &key, &[event(100)]).await?;
    ensure!(status == StatusCode::SERVICE_UNAVAILABLE, "{status}");
    taken.extend(pour(agent.up().url("http"), key.clone(), 200, 2).await);
    until("the agent says why nothing is sent", || async {
        let status = agent.status()?;
        let problem = status["problem"].as_str().context("problem")?.to_owned();
        ensure!(status["waiting"] == 14, "{status}");
        ensure!(problem.contains("disk is full"), "{status}");
        Ok(())
    })
    .await?;
    // Reading goes on.
    let fleet = format!("{own}/v1/agents");
    let reader = Http::new(server.init["api_token"].as_str())?;
    ensure!(reader.get(&fleet).await?["agents"][0]["waiting"].is_u64());

    disk.free(None);
    until("it is ready again", || async {
        let (status, body) = readiness().await?;
        ensure!(status == StatusCode::OK, "{status} {body}");
        Ok(())
    })
    .await?;
    ensure!(post(&http, &own, &key, &[event(100)]).await? == StatusCode::OK);
    agent.drained().await?;
    taken.push(100);
    stored_once(&server, &taken)?;
    agent.stop()?;
    server.stop()
}
