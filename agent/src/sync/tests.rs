mod certificates; // the life of a device's certificate
mod clocks;
mod waits; // and what ends them

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use axum::{
    Extension, Json, Router,
    body::{Body, Bytes},
    extract::State,
    response::{IntoResponse, Response},
    routing::post,
};
use futures_util::stream;
use serde_json::{Value, json};
use tokio::{sync::oneshot, task::JoinHandle, time::timeout};
use trenza_shared::{
    clock::TestClock,
    event::EventType,
    id::{AgentId, ChainHash, Lane, Seq},
    net::{
        error::HttpError,
        pki::{self, Ca, DeviceKey},
        serve::{Limits, Listener, Peer, serve},
        tls::{CertCell, TlsTime, agents_server_config},
    },
    store::MemStore,
    wire::{
        Shape,
        entry::{Entry, Open, What},
        frame::Frame,
        sync::{
            Ack, CERTIFICATE_EXPIRED, Hello, Introduction, Kept, LaneHave, Lineage, Mark, Origins,
            RENEWABLE_MS, SEGMENTS_MAX, Segment, Welcome,
        },
    },
};

mod kept;
mod server;

use server::Fake;

use super::*;
use crate::{
    config::files,
    link,
    log::{self, Append, Fresh, NewEntry},
    state::random,
};

const NOW: i64 = 1_773_480_000_000;
const AGENT: AgentId = AgentId([7; 16]);
/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

struct World {
    fake: Arc<Fake>,
    url: String,
    dir: tempfile::TempDir,
    clock: Arc<TestClock>,
    _server: oneshot::Sender<()>,
}

/// One running agent, or as much of it as sends.
struct Edge {
    store: Arc<MemStore>,
    log: Log,
    link: Arc<LinkCell>,
    wake: Arc<Notify>,
    network: Arc<Notify>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl World {
    async fn new() -> Self {
        Self::with_certificate_days(300).await
    }

    async fn with_certificate_days(days: u32) -> Self {
        let ca = Ca::generate("test", NOW).unwrap();
        let [clock, right] = [NOW, NOW + 5_000].map(|at| Arc::new(TestClock::at(at)));
        let cert = ca
            .issue_server(
                &["localhost".into()],
                &["127.0.0.1".parse().unwrap()],
                NOW,
                4_000,
            )
            .unwrap();
        let key = pki::read_key(&cert.key_pem).unwrap();
        let chain = pki::read_chain(&cert.chain_pem).unwrap();
        let cell = CertCell::holding(chain, key).unwrap();
        let tls = agents_server_config(cell, ca.cert_der(), RENEWABLE_MS, right.clone()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        credentials(&ca, dir.path(), days);
        let fake = Arc::new(Fake {
            ca,
            clock: right,
            lanes: Mutex::default(),
            oldest: Mutex::default(),
            lineage: Mutex::default(),
            kept: Mutex::default(),
            poisoned: AtomicU64::new(0),
            segments_max: AtomicU64::new(u64::MAX),
            program: Mutex::new("1.0.0".into()),
            calls: AtomicU64::new(1),
            lose_every: AtomicU64::new(0),
            revoked: AtomicBool::new(false),
            generation: AtomicU64::new(1),
            renewals: AtomicU64::new(0),
            renewal_ms: AtomicU64::new(0),
            hellos: AtomicU64::new(0),
            no_time_for: Mutex::default(),
            refused: Notify::new(),
        });
        let routes = Router::new()
            .route("/sync/v1/hello", post(server::hello))
            .route("/sync/v1/frame", post(server::frame))
            .route("/sync/v1/renew", post(server::renew))
            .with_state(fake.clone());
        let listener = Listener::bind(([127, 0, 0, 1], 0).into(), Some(tls), Limits::default())
            .await
            .unwrap();
        let url = listener.url();
        let (server, stopped) = oneshot::channel();
        tokio::spawn(serve(listener, routes, async {
            let _gone = stopped.await;
        }));
        Self {
            fake,
            url,
            dir,
            clock,
            _server: server,
        }
    }

    fn edge(&self, store: MemStore) -> Edge {
        self.patient_edge(store, 2)
    }

    /// One that waits at most so long between tries.
    fn patient_edge(&self, store: MemStore, retry_wait_ms_max: u64) -> Edge {
        let store = Arc::new(store);
        let (log, _thread) = Log::open(
            store.clone(),
            AGENT,
            Fresh {
                epoch: 1,
                salt_root: random(),
                damaged: false,
            },
        )
        .unwrap();
        let link = Arc::new(LinkCell::open(store.clone(), NOW).unwrap());
        let (wake, network) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let epochs = Mutex::new(log.epoch());
        let around = Around {
            clock: self.clock.clone(),
            boot: BootId([1; 16]),
            instance: InstanceId(random()),
            random: || 0.5,
            disk_free: Arc::new(|| 1 << 30),
            room: Arc::new(RoomCell::new(crate::config::StoreSection::default().room())),
            next_epoch: Arc::new(move |used| {
                let mut last = epochs.lock().unwrap();
                *last = used.max(*last) + 1;
                Ok((*last, random()))
            }),
            introduction: Arc::new(Introduction {
                touchpoint: "Stand".into(),
                country: "ES".into(),
                zone: "Europe/Madrid".into(),
                write_key: "wk".into(),
            }),
            listener: None,
            wake: wake.clone(),
            network: network.clone(),
        };
        let time = TlsTime::new(self.clock.clone(), 0);
        let uplink = Uplink::open(self.dir.path(), &self.url, time, Duration::from_secs(20));
        let limits = SyncSection {
            retry_wait_ms_min: retry_wait_ms_max,
            retry_wait_ms_max,
            refused_wait_ms_max: 600_000,
            hello_every_ms: u64::from(u32::MAX),
            ..SyncSection::default()
        };
        let (stop, stopping) = watch::channel(false);
        let task = tokio::spawn(
            Sender::new(log.clone(), link.clone(), limits, uplink, around).run(stopping),
        );
        Edge {
            store,
            log,
            link,
            wake,
            network,
            stop,
            task,
        }
    }
}

impl Edge {
    async fn capture(&self, texts: &[String]) {
        let open = Open {
            what: What::Event(EventType::Track),
            captured_ms: NOW,
            boottime_ms: 1,
            boot: 0,
            offset_min: 60,
            key: "wk".into(),
            unverified: false,
            bot: None,
            sent_lag_ms: 0,
        };
        let entries = texts
            .iter()
            .map(|text| NewEntry {
                identity: None,
                entry: Entry::clear(&open, text),
            })
            .collect();
        self.log
            .append(Append {
                lane: Lane::Visits,
                entries,
            })
            .await
            .unwrap();
    }

    async fn until(&self, what: &str, condition: impl Fn(&link::Link) -> bool) {
        let mut watch = self.link.watch();
        let seen = timeout(PATIENCE, watch.wait_for(|link| condition(link))).await;
        assert!(seen.is_ok(), "waited for: {what}; {:?}", self.link.now());
    }

    async fn until_all_sent(&self) {
        let sent = timeout(PATIENCE, self.all_sent()).await;
        assert!(sent.is_ok(), "not everything sent; {:?}", self.link.now());
    }

    async fn all_sent(&self) {
        let mut watch = self.link.watch();
        let sent = |link: &link::Link| {
            link.up && link::waiting(&self.log.ends(), &link.told.lanes, &self.log.drops()) == 0
        };
        watch.wait_for(sent).await.unwrap();
    }

    async fn stop(self) -> MemStore {
        self.stop.send(true).unwrap();
        self.task.await.unwrap();
        self.store.fork()
    }
}

fn credentials(ca: &Ca, dir: &Path, days: u32) {
    let key = DeviceKey::generate().unwrap();
    let cert = ca
        .sign_agent(&key.csr_pem().unwrap(), AGENT, NOW, days)
        .unwrap();
    std::fs::write(dir.join(files::KEY), key.to_pem()).unwrap();
    std::fs::write(dir.join(files::CERT), cert.pem).unwrap();
    std::fs::write(dir.join(files::CA), ca.cert_pem()).unwrap();
}

fn texts(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| format!("visit {n}")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backlog_arrives_once_and_in_order_although_answers_are_lost() {
    let world = World::new().await;
    world.fake.lose_every.store(2, Ordering::SeqCst);
    let edge = world.edge(MemStore::new());
    for chunk in texts(0..3_500).chunks(170) {
        edge.capture(chunk).await;
    }
    edge.until_all_sent().await;
    assert_eq!(world.fake.texts(), texts(0..3_500));
    edge.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_that_the_server_refuses_holds_no_other_up() {
    let world = World::new().await;
    let edge = world.edge(MemStore::new());
    let mut all = texts(0..600);
    (all[17], all[400]) = ("poison".into(), "more poison".into());
    edge.capture(&all).await;
    edge.capture(&texts(600..610)).await;
    let fake = world.fake.clone();
    edge.until("all others are sent", move |_| fake.texts().len() == 608)
        .await;
    all.extend(texts(600..610));
    all.retain(|text| !text.ends_with("poison"));
    assert_eq!(world.fake.texts(), all);
    edge.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_visit_goes_out_as_soon_as_it_is_in_the_log_and_what_the_server_told_is_remembered() {
    let world = World::new().await;
    let edge = world.edge(MemStore::new());
    edge.until("the server is up", |link| link.up).await;
    edge.capture(&texts(0..1)).await;
    edge.until_all_sent().await;
    assert_eq!(edge.link.now().told.clock_offset_ms, Some(5_000));
    assert!(edge.link.now().keys.contains("wk_web"));
    let store = edge.stop().await;
    let link = LinkCell::open(Arc::new(store), NOW).unwrap().now();
    // Lanes stand in the order in which they were acknowledged.
    let visits = link::have(&link.told.lanes, 1, Lane::Visits);
    assert_eq!(
        (link.up, visits.acked, link.told.clock_offset_ms),
        (false, 1, Some(5_000))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_restored_from_a_backup_is_filled_up_again() {
    let world = World::new().await;
    let edge = world.edge(MemStore::new());
    edge.capture(&texts(0..40)).await;
    edge.until_all_sent().await;
    world.fake.lanes.lock().unwrap().clear();
    world.fake.generation.store(2, Ordering::SeqCst);
    edge.wake.notify_one();
    edge.until("the new generation", |link| link.told.generation == 2)
        .await;
    edge.until_all_sent().await;
    assert_eq!(world.fake.texts(), texts(0..40));
    assert_eq!(edge.log.epoch(), 1);
    edge.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_lost_what_the_agent_deleted_gets_all_the_rest() {
    let world = World::new().await;
    let edge = world.edge(MemStore::new());
    for text in texts(0..10) {
        edge.capture(&[text]).await;
    }
    edge.until_all_sent().await;
    log::prune(&*edge.store, 1, Lane::Visits, 4).unwrap();
    world.fake.lanes.lock().unwrap().clear();
    world.fake.generation.store(2, Ordering::SeqCst);
    edge.wake.notify_one();
    edge.until("the new history", |link| link.told.generation == 2)
        .await;
    edge.until_all_sent().await;
    assert_eq!(world.fake.texts(), texts(4..10));
    assert_eq!(edge.log.epoch(), 1);
    edge.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_copies_of_one_disk_nothing_is_lost_or_sent_twice() {
    let world = World::new().await;
    let edge = world.edge(MemStore::new());
    edge.capture(&texts(0..10)).await;
    edge.until_all_sent().await;
    let image = edge.stop().await;
    let first = world.edge(image.fork());
    first.capture(&texts(10..20)).await;
    first.until_all_sent().await;
    first.stop().await;
    let copy = world.edge(image);
    copy.capture(&texts(20..25)).await;
    copy.until_all_sent().await;
    // What both have in common is not sent again.
    assert_eq!(world.fake.texts(), texts(0..25));
    assert_eq!(copy.log.epoch(), 2);
    copy.wake.notify_one();
    let told = Lineage {
        from: 1,
        lane: Lane::Visits,
        after: 10,
        into: 2,
    };
    let says = || *world.fake.lineage.lock().unwrap() == [told];
    timeout(PATIENCE, async {
        while !says() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    copy.stop().await;
}

/// Both copies wrote for long: where they part is found to the number, however far back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_two_copies_part_is_found_however_much_both_wrote_since() {
    let world = World::new().await;
    let edge = world.edge(MemStore::new());
    for chunk in texts(0..777).chunks(7) {
        edge.capture(chunk).await;
    }
    edge.until_all_sent().await;
    let image = edge.stop().await;
    let first = world.edge(image.fork());
    for chunk in texts(777..6_000).chunks(100) {
        first.capture(chunk).await;
    }
    first.until_all_sent().await;
    first.stop().await;
    // The copy writes without a server, until it has as much.
    let away = World::new().await;
    away.fake.revoked.store(true, Ordering::SeqCst);
    let copy = away.edge(image);
    for chunk in texts(6_000..12_000).chunks(100) {
        copy.capture(chunk).await;
    }
    let copy = world.edge(copy.stop().await);
    copy.until_all_sent().await;
    let mut got = world.fake.texts();
    got.sort();
    let mut all = texts(0..12_000);
    all.sort();
    assert_eq!(got, all);
    assert_eq!(
        copy.log.ends().get(&(1, Lane::Visits)).map(|head| head.seq),
        Some(777)
    );
    copy.stop().await;
}

/// What is lost in the middle is asked for again, and only that; what was left where two copies parted as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_lost_something_gets_exactly_that() {
    let world = World::new().await;
    let edge = world.edge(MemStore::new());
    for chunk in texts(0..400).chunks(30) {
        edge.capture(chunk).await;
    }
    edge.until_all_sent().await;
    let image = edge.stop().await;
    let first = world.edge(image.fork());
    first.capture(&texts(400..410)).await;
    first.until_all_sent().await;
    first.stop().await;
    let copy = world.edge(image);
    copy.capture(&texts(410..420)).await;
    copy.until_all_sent().await;
    for lane in world.fake.lanes.lock().unwrap().values_mut() {
        lane.retain(|seq, _| seq % 50 < 40 && !(100..200).contains(seq) && *seq > 3);
    }
    world.fake.generation.store(2, Ordering::SeqCst);
    copy.wake.notify_one();
    copy.until("the new generation", |link| link.told.generation == 2)
        .await;
    copy.until_all_sent().await;
    let held = world.fake.texts();
    let mut all = texts(0..420);
    // What the first copy alone had is gone with it.
    all.retain(|text| held.contains(text) || !texts(400..410).contains(text));
    assert_eq!(held, all);
    assert_eq!(copy.log.epoch(), 2);
    copy.stop().await;
}
