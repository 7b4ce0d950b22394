//! The power goes at every fsync of the server's own tables: what it answered is there, exactly once, every derived table is what
//! the log says, and once the rest was done again the customers are the same.

use std::{collections::BTreeMap, net::SocketAddr, path::Path, sync::Arc};

use anyhow::{Context as _, ensure};
use axum::{Router, body::Body};
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;
use trenza_server::{
    app::{App, Running},
    config::Config,
    evidence::replay,
    http as routes,
    sync::audit::audit,
    tables::{
        APPLIED, AgentRow, AgentState, CERTS, CertRow, DECISIONS, EVENTS, FED, FEED, Hop, LOG,
        Role, SourceRow, TOKENS, TokenRow, spaces,
    },
};
use trenza_shared::{
    clock::TestClock,
    event::EventType,
    id::{AgentId, Lane, to_hex},
    net::{pki::Ca, serve::Peer},
    store::{Batch, MemStore, RocksStore, StoreError, rocks::RocksOptions, snapshot},
    wire::{
        Shape as _,
        entry::{CHAIN_START, Entry, Open, SaltRoot, What},
        frame::Frame,
    },
};
use trenza_tests::disk::{Disk, Image, Side, number};

/// Rounds of the short run; `TRENZA_APPENDS` asks for more.
const ROUNDS: u64 = 4;
/// Cuts at each sync point; `TRENZA_CUTS` asks for more.
const CUTS: u64 = 1;
/// Of the sync points, one in so many is cut in the short run; `TRENZA_EVERY` asks for others.
const EVERY: u64 = 40;
/// When the server starts. Unit: ms since 1970.
const NOW_MS: i64 = 1_773_480_000_000;
const AGENT: AgentId = AgentId([1; 16]);
const CERT: [u8; 32] = [9; 32];
const WEB: &str = "wk_web";
const STAND: &str = "wk_stand";
const TOKEN: &str = "tk_power";
/// Entries of a frame.
const FRAME: u64 = 20;

/// One thing that is asked of the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    /// It gets a token, a source and an agent.
    Setup,
    /// A website sends a batch.
    Web(u64),
    /// An agent sends a frame.
    Frame(u64),
    /// A person decides, for the so-maniest time.
    Decide(usize),
}

fn story(rounds: u64) -> Vec<Step> {
    let mut steps = vec![Step::Setup];
    for round in 0..rounds {
        steps.extend([Step::Web(round), Step::Frame(round)]);
    }
    steps.extend([Step::Decide(0), Step::Web(rounds), Step::Decide(1)]);
    steps
}

/// Visitors that share telephones, so that what one batch makes a later one changes.
fn visitor(number: u64) -> Value {
    let person = number % 7;
    json!({"firstName": format!("Ada{person}"), "lastName": "Byron", "email": format!("ada{person}@example.org"),
        "phone": format!("+3460000000{}", person / 2), "note": "ñandú ".repeat(40)})
}

fn web(round: u64) -> Vec<Value> {
    let one = |n: u64| {
        json!({"type": "identify", "messageId": format!("web-{round}-{n}"), "anonymousId": format!("a-{}", (round + n) % 9),
        "timestamp": "2026-03-14T09:00:00Z", "traits": visitor(round * 3 + n)})
    };
    (0..5).map(one).collect()
}

fn frames(rounds: u64) -> anyhow::Result<Vec<Frame>> {
    let key = SaltRoot([3; 32]).block_key(1, Lane::Visits, 1);
    let (mut previous, mut all) = (CHAIN_START, Vec::new());
    for round in 0..rounds {
        let first = round * FRAME + 1;
        let entry = |seq: u64| {
            let open = Open {
                what: What::Event(EventType::Identify),
                captured_ms: NOW_MS,
                boottime_ms: seq,
                boot: 1,
                offset_min: 60,
                key: STAND.into(),
                unverified: false,
                bot: None,
                sent_lag_ms: 0,
            };
            let text = json!({"type": "identify", "messageId": format!("stand-{seq}"), "anonymousId": format!("s-{}", seq % 11),
                "timestamp": "2026-03-14T09:30:00Z", "traits": visitor(seq * 5)});
            Entry::clear(&open, &text.to_string())
        };
        let entries: Vec<Entry> = (first..first + FRAME).map(entry).collect();
        let frame = Frame::seal(AGENT, 1, Lane::Visits, first, previous, key, &entries);
        previous = frame.head;
        frame.open()?;
        all.push(frame);
    }
    Ok(all)
}

/// A server over the store on the disk, without its listeners.
struct Opened {
    running: Running,
    store: Arc<RocksStore>,
    pages: Router,
    agents: Router,
    admin: Router,
}

/// What every start has in common.
struct Site {
    config: Config,
    frames: Vec<Frame>,
    _dir: tempfile::TempDir,
}

impl Site {
    fn new(rounds: u64) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let ca = Ca::generate("Power", NOW_MS)?;
        let mut config = Config {
            dir: dir.path().to_path_buf(),
            ..Config::default()
        };
        std::fs::write(dir.path().join(&config.tls.ca_cert), ca.cert_pem())?;
        std::fs::write(dir.path().join(&config.tls.ca_key), ca.key_pem())?;
        config.identity.id_key = to_hex(&[7; 32]);
        Ok(Self {
            config,
            frames: frames(rounds)?,
            _dir: dir,
        })
    }

    fn open(&self, path: &Path) -> anyhow::Result<Opened> {
        // Small, so that a short run flushes and compacts too.
        let options = RocksOptions {
            write_buffer_bytes: 64 * 1024,
            write_buffers_bytes_max: 128 * 1024,
            wal_bytes_max: 128 * 1024,
            ..RocksOptions::default()
        };
        let store = Arc::new(RocksStore::open(path, &spaces(), options)?);
        let clock = Arc::new(TestClock::at(NOW_MS));
        let running = App::over(self.config.clone(), store.clone(), clock)?;
        let app = &running.app;
        Ok(Opened {
            pages: routes::routes(app.clone(), "http"),
            agents: routes::agent_routes(app.clone()),
            admin: routes::admin_routes(app.clone()),
            running,
            store,
        })
    }
}

async fn send(router: &Router, request: Request<Body>) -> anyhow::Result<Vec<u8>> {
    let answer = router.clone().oneshot(request).await?;
    let status = answer.status();
    let body = answer.into_body().collect().await?.to_bytes();
    ensure!(
        status == StatusCode::OK,
        "{status}: {}",
        String::from_utf8_lossy(&body)
    );
    Ok(body.to_vec())
}

impl Opened {
    async fn close(self) -> anyhow::Result<()> {
        let Self {
            running,
            store,
            pages,
            agents,
            admin,
        } = self;
        drop((pages, agents, admin));
        running.close().await;
        Ok(store.close()?)
    }

    /// What the server is asked for once; doing it again changes nothing.
    async fn go(&self, site: &Site, step: Step) -> anyhow::Result<()> {
        let json = |path: &str, body: &Value| {
            Request::post(path)
                .header("content-type", "application/json")
                .header("x-write-key", WEB)
                .header("authorization", format!("Bearer {TOKEN}"))
                .body(Body::from(body.to_string()))
        };
        match step {
            Step::Setup => self.setup(),
            Step::Web(round) => {
                let body = json!({"batch": web(round)});
                let answer = send(&self.pages, json("/v1/batch?wait=resolved", &body)?).await?;
                let answer: Value = serde_json::from_slice(&answer)?;
                ensure!(answer["success"] == true, "{answer}");
                Ok(())
            }
            Step::Frame(round) => {
                let frame = &site.frames[usize::try_from(round)?];
                let mut request =
                    Request::post("/sync/v1/frame").body(Body::from(frame.to_bytes()))?;
                request.extensions_mut().insert(Peer {
                    addr: SocketAddr::from(([127, 0, 0, 1], 1)),
                    tls: true,
                    client_cert: Some(CERT),
                    client_cert_expires_ms: Some(i64::MAX),
                    client_owner: None,
                });
                send(&self.agents, request).await.map(drop)
            }
            Step::Decide(nth) => {
                if DECISIONS.rows(&*self.store).count() > nth {
                    return Ok(());
                }
                let subjects = ["email:ada0@example.org", "email:ada1@example.org"];
                let body = match nth {
                    0 => json!({"kind": "not_same", "subjects": subjects, "reason": "two persons"}),
                    _ => {
                        json!({"kind": "same", "subjects": ["email:ada2@example.org", "email:ada5@example.org"], "reason": "one person"})
                    }
                };
                send(&self.pages, json("/v1/decisions", &body)?)
                    .await
                    .map(drop)
            }
        }
    }

    fn setup(&self) -> anyhow::Result<()> {
        let mut batch = Batch::new();
        let token = TokenRow {
            role: Role::Admin,
            created_ms: 0,
        };
        TOKENS.put(
            &mut batch,
            blake3::hash(TOKEN.as_bytes()).as_bytes(),
            &token,
        )?;
        let cert = CertRow {
            agent: AGENT,
            not_after_ms: i64::MAX,
        };
        CERTS.put(&mut batch, &CERT, &cert)?;
        let registry = &self.running.app.registry;
        let agent = AgentRow {
            touchpoint: "Stand".into(),
            country: "ES".into(),
            zone: "Europe/Madrid".into(),
            venue: String::new(),
            copy_of: None,
            write_key: STAND.into(),
            enrolled_ms: NOW_MS,
            state: AgentState::Active,
        };
        for key in [WEB, STAND] {
            let source = SourceRow {
                name: key.into(),
                origins: Vec::new(),
                namespace: String::new(),
                country: "ES".into(),
                zone: "Europe/Madrid".into(),
                priority: 100,
                revoked: false,
            };
            registry.put_source(key, &source)?;
        }
        registry.put_agent(&AGENT, &agent, batch)?;
        Ok(())
    }

    async fn export(&self, what: &str) -> anyhow::Result<String> {
        let body = Body::from(json!({ "command": what }).to_string());
        let lines = send(&self.admin, Request::post("/admin").body(body)?).await?;
        Ok(String::from_utf8(lines)?)
    }

    /// How often the log holds each event, by its messageId.
    fn taken_in(&self) -> anyhow::Result<BTreeMap<String, u32>> {
        let mut counts = BTreeMap::new();
        for (at, row) in LOG.rows(&*self.store).enumerate() {
            let (record, row) = row?;
            ensure!(record == at as u64 + 1, "record {} is missing", at + 1);
            for entry in row.run.unpack()? {
                let event: Value = serde_json::from_str(entry.text()?)?;
                let id = event["messageId"].as_str().context("messageId")?;
                *counts.entry(id.to_owned()).or_default() += 1;
            }
            if let Hop::Agent { agent, .. } = row.hop {
                ensure!(agent == AGENT, "record {record} is of {agent}");
            }
        }
        Ok(counts)
    }

    /// The laws of the server's tables, whenever everything in the log is applied.
    async fn laws(&self) -> anyhow::Result<()> {
        let app = &self.running.app;
        let last = *app.log.last().borrow();
        let mut applied = app.resolver.applied();
        applied.wait_for(|applied| *applied >= last).await?;
        let found = snapshot(&*self.store, |view| audit(view, None))??;
        ensure!(found.ok, "audit: {found:?}");
        let verified = snapshot(&*self.store, |view| {
            replay::verify_in(view, &app.applier, &MemStore::new())
        })??;
        ensure!(
            verified.records == last && verified.difference.is_none(),
            "{last} records: {verified:?}"
        );
        let told = (
            APPLIED.get(&*self.store, &())?.unwrap_or(0),
            FED.get(&*self.store, &())?.unwrap_or(0),
        );
        ensure!(told == (last, last), "applied and told: {told:?} of {last}");
        for (at, row) in FEED.rows(&*self.store).enumerate() {
            let (change, _) = row?;
            ensure!(change == at as u64 + 1, "change {} is missing", at + 1);
        }
        Ok(())
    }

    /// Whether what a step asked for is there, once.
    fn holds(&self, step: Step, taken: &BTreeMap<String, u32>) -> anyhow::Result<()> {
        let registry = &self.running.app.registry;
        let ids: Vec<String> = match step {
            Step::Setup => {
                let known = registry.source(WEB).is_some()
                    && registry.agent(&AGENT).is_some()
                    && CERTS.get(&*self.store, &CERT)?.is_some();
                ensure!(known, "the registry has lost what it was told");
                return Ok(());
            }
            Step::Decide(nth) => {
                ensure!(
                    DECISIONS.rows(&*self.store).count() > nth,
                    "a decision is lost"
                );
                return Ok(());
            }
            Step::Web(round) => (0..5).map(|n| format!("web-{round}-{n}")).collect(),
            Step::Frame(round) => (1..=FRAME)
                .map(|n| format!("stand-{}", round * FRAME + n))
                .collect(),
        };
        for id in ids {
            let count = taken.get(&id).copied().unwrap_or(0);
            ensure!(count == 1, "{id} is there {count} times");
        }
        Ok(())
    }
}

/// Steps that were answered before this moment.
fn promised<'a>(answered: &'a [(Step, u64)], image: &Image) -> impl Iterator<Item = Step> + 'a {
    let done = match image.side {
        Side::Before => image.sync - 1,
        Side::After => image.sync,
    };
    let known = answered.iter().take_while(move |(_, syncs)| *syncs <= done);
    known.map(|(step, _)| *step)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_at_any_fsync_of_the_server_loses_and_doubles_nothing() -> anyhow::Result<()> {
    let Some(disk) = Disk::mount()? else {
        return Ok(());
    };
    let (seed, rounds) = (number("TRENZA_SEED", 7)?, number("TRENZA_APPENDS", ROUNDS)?);
    let (cuts, every) = (
        number("TRENZA_CUTS", CUTS)?,
        number("TRENZA_EVERY", EVERY)?.max(1),
    );
    println!("TRENZA_SEED={seed} TRENZA_APPENDS={rounds} TRENZA_CUTS={cuts} TRENZA_EVERY={every}");
    let (path, site, steps) = (disk.path().join("store"), Site::new(rounds)?, story(rounds));
    disk.record();
    let server = site.open(&path)?;
    let mut answered = Vec::new();
    for step in &steps {
        server
            .go(&site, *step)
            .await
            .with_context(|| format!("{step:?}"))?;
        answered.push((*step, disk.counters().syncs));
    }
    server.laws().await?;
    let (customers, events) = (
        server.export("export_customers").await?,
        server.taken_in()?.len(),
    );
    server.close().await?;
    let images = disk.recorded();
    let (mut done, mut empty) = (0, 0);
    for (image, at) in images.iter().zip(0_u64..) {
        let due: Vec<Step> = promised(&answered, image).collect();
        if at % every != seed % every {
            continue;
        }
        for nth in 0..cuts {
            let seed = seed + at * cuts + nth;
            let at = || format!("sync {} {:?}, seed {seed}", image.sync, image.side);
            disk.show(image, seed)?;
            let server = match site.open(&path) {
                // A folder that was never made to the end: there is nothing in it yet.
                Err(error)
                    if due.is_empty()
                        && matches!(error.downcast_ref(), Some(StoreError::Corrupt { .. })) =>
                {
                    empty += 1;
                    continue;
                }
                opened => opened.with_context(at)?,
            };
            server.laws().await.with_context(at)?;
            let taken = server.taken_in().with_context(at)?;
            for step in &due {
                server.holds(*step, &taken).with_context(at)?;
            }
            let doubled = taken.iter().find(|(_, count)| **count > 1);
            ensure!(doubled.is_none(), "{}: {doubled:?}", at());
            // And it goes on from there: whoever was not answered asks again, and whoever was may too.
            for step in &steps {
                server.go(&site, *step).await.with_context(at)?;
            }
            server.laws().await.with_context(at)?;
            ensure!(
                server.export("export_customers").await.with_context(at)? == customers,
                "{}: other customers than without the cut",
                at()
            );
            let known = EVENTS.rows(&*server.store).count();
            ensure!(known == events, "{}: {known} events of {events}", at());
            server.close().await.with_context(at)?;
            done += 1;
        }
    }
    println!(
        "{} moments, {done} cuts after which the server went on, {empty} before it was made",
        images.len()
    );
    ensure!(done * every >= steps.len() as u64, "too few cuts: {done}");
    Ok(())
}
