//! One device: the real log, link and sender of the agent over a simulated disk, driven by hand.

use std::{
    path::{Path, PathBuf},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use trenza_agent::{
    config::{Config, SyncSection, files},
    link::{self, LinkCell},
    log::{self, Append, Fresh, Log, NewEntry, Yield},
    marker::{self, Reached, Used},
    room::RoomCell,
    sync::{
        Around, Pause, Sender, copies,
        uplink::{CredentialsError, Uplink},
    },
    tables,
};
use trenza_shared::{
    clock::{Clock as _, TestClock},
    event::{Captured, EventType, Taking},
    id::{BootId, Epoch, InstanceId, Lane},
    net::{
        client::Client,
        pki::{self, Owner},
        tls::TlsTime,
    },
    store::{FaultyStore, StoreError},
    wire::{
        Shape as _,
        dropped::{Dropped, Reason},
        entry::{Entry, Open, What},
        frame::Packer,
        sync::Introduction,
    },
};

use crate::net::Net;

/// The write key under which everything is captured.
pub const WRITE_KEY: &str = "wk_sim";
/// The name of events of low priority.
pub const LOW: &str = "Metric";
/// How long archived events stay on a simulated device. Unit: hours.
pub const RETENTION_HOURS: u64 = 1;

/// Where a sender rests between two talks.
#[derive(Default)]
struct Gate(Mutex<Rest>);

#[derive(Default)]
struct Rest {
    pause: Option<Pause>,
    until_ms: u64,
    open: bool,
    woken: bool,
}

impl Gate {
    fn state(&self) -> MutexGuard<'_, Rest> {
        lock(&self.0)
    }

    /// Waits until the simulation opens it; true when somebody wants to hear from the server.
    async fn rest(&self, pause: Pause, now_ms: u64) -> bool {
        {
            let mut state = self.state();
            let longest = u64::try_from(pause.longest.as_millis()).unwrap_or(u64::MAX);
            (state.pause, state.until_ms) = (Some(pause), now_ms.saturating_add(longest));
        }
        std::future::poll_fn(|_| {
            let mut state = self.state();
            if !state.open {
                return Poll::Pending;
            }
            (state.pause, state.open) = (None, false);
            Poll::Ready(std::mem::take(&mut state.woken))
        })
        .await
    }
}

struct Running {
    log: Log,
    link: Arc<LinkCell>,
    gate: Arc<Gate>,
    sender: Pin<Box<dyn Future<Output = ()>>>,
}

/// A device; its disk stays when its program dies.
pub struct Edge {
    /// Its place in the world: copies of one agent differ in it.
    pub number: usize,
    /// The folder of its key and certificate.
    pub folder: PathBuf,
    /// Its disk.
    pub disk: Arc<FaultyStore>,
    /// How far its log went, kept outside the store.
    pub marker: Arc<Mutex<Reached>>,
    /// Random bytes for salts.
    pub salt: Arc<Mutex<trenza_tests::day::chance::Chance>>,
    /// Its clocks.
    pub clock: Arc<TestClock>,
    running: Option<Running>,
}

impl Edge {
    /// A device whose program does not run yet.
    pub fn new(
        number: usize,
        folder: PathBuf,
        disk: Arc<FaultyStore>,
        marker: Reached,
        salt: trenza_tests::day::chance::Chance,
        clock: Arc<TestClock>,
    ) -> Self {
        Self {
            number,
            folder,
            disk,
            marker: Arc::new(Mutex::new(marker)),
            salt: Arc::new(Mutex::new(salt)),
            clock,
            running: None,
        }
    }

    /// Whether its program runs.
    pub fn runs(&self) -> bool {
        self.running.is_some()
    }

    /// Starts the program, as the agent does: the marker is written before the first entry of a new epoch.
    ///
    /// # Errors
    /// The disk fails.
    pub fn start(&mut self, net: &Net) -> Result<(), StoreError> {
        let store: Arc<FaultyStore> = self.disk.clone();
        let stored = match self.stored()? {
            Reached { epoch: 0, .. } => None,
            stored => Some(stored),
        };
        let used = self.marker();
        let (epoch, damaged) = marker::begin(&Used::UpTo(used.clone()), stored.as_ref());
        let fresh = Fresh {
            epoch,
            salt_root: salt(&self.salt),
            damaged,
        };
        if epoch > used.epoch {
            let ends = Default::default();
            *lock(&self.marker) = Reached { epoch, ends };
        }
        let failed = |doing, error: &dyn std::fmt::Display| StoreError::Io {
            doing,
            detail: error.to_string(),
        };
        copies::finish(&self.folder).map_err(|error| failed("taking up a new identity", &error))?;
        let agent = copies::own_id(&self.folder)
            .ok_or_else(|| failed("reading the certificate", &self.folder.display()))?;
        let log = Log::open_inline(store.clone(), agent, fresh)?;
        let link = Arc::new(LinkCell::open(store, self.clock.wall_ms())?);
        let (wire, number) = (net.clone(), self.number);
        let uplink = Uplink::over(
            Arc::new(move |folder: &Path, _: &Arc<TlsTime>, _| {
                let (peer, owner) = certificate(folder)?;
                let line = wire.line(number, peer, owner);
                Ok((Client::over(line), None))
            }),
            &self.folder,
            "https://simulated",
            TlsTime::new(self.clock.clone(), 0),
            Duration::from_secs(30),
        );
        let (marker, roots) = (self.marker.clone(), self.salt.clone());
        let around = Around {
            clock: self.clock.clone(),
            boot: BootId([1; 16]),
            instance: InstanceId(salt(&self.salt)),
            random: || 0.5,
            disk_free: Arc::new(|| 1 << 30),
            room: Arc::new(RoomCell::new(Config::default().store.room())),
            next_epoch: Arc::new(move |after: Epoch| {
                let mut marker = lock(&marker);
                let epoch = marker.epoch.max(after) + 1;
                let ends = Default::default();
                *marker = Reached { epoch, ends };
                Ok((epoch, salt(&roots)))
            }),
            introduction: Arc::new(Introduction {
                touchpoint: "Stand".into(),
                country: "ES".into(),
                zone: "Europe/Madrid".into(),
                write_key: WRITE_KEY.into(),
            }),
            listener: None,
            wake: Arc::default(),
            network: Arc::default(),
        };
        let limits = SyncSection {
            retention_hours: RETENTION_HOURS,
            ..SyncSection::default()
        };
        let sender = Sender::new(log.clone(), link.clone(), limits, uplink, around);
        let gate = Arc::new(Gate::default());
        let sender = Box::pin(run(sender, gate.clone(), self.clock.clone()));
        self.running = Some(Running {
            log,
            link,
            gate,
            sender,
        });
        self.poll();
        Ok(())
    }

    /// How far its log went, as is noted beside the store.
    pub fn marker(&self) -> Reached {
        lock(&self.marker).clone()
    }

    /// How far its store goes; nowhere, before its first start.
    ///
    /// # Errors
    /// The disk fails.
    pub fn stored(&self) -> Result<Reached, StoreError> {
        let Some(state) = tables::STATE.get(&*self.disk, &())? else {
            return Ok(Reached::default());
        };
        Ok(Reached::of(&log::heads(&*self.disk, &state)?))
    }

    /// Notes how far its log went, as the agent does now and then.
    pub fn note(&self) {
        let Some(running) = &self.running else { return };
        let reached = Reached::of(&running.log.ends());
        let mut marker = lock(&self.marker);
        if marker.epoch == reached.epoch {
            *marker = reached;
        }
    }

    /// The program is gone, wherever it was.
    pub fn stop(&mut self) {
        self.running = None;
    }

    /// Lets the sender go on as far as it can without an answer from outside.
    pub fn poll(&mut self) {
        if let Some(running) = &mut self.running {
            let mut context = Context::from_waker(Waker::noop());
            assert!(
                running.sender.as_mut().poll(&mut context).is_pending(),
                "a sender never ends by itself"
            );
        }
    }

    /// The sender rests and its wait is over, or `woken` ends it: it goes on.
    pub fn rest_is_over(&mut self, woken: bool) -> bool {
        let now_ms = self.clock.boottime_ms();
        let Some(running) = &self.running else {
            return false;
        };
        {
            let mut state = running.gate.state();
            if state.pause.is_none() || !(woken || now_ms >= state.until_ms) {
                return false;
            }
            (state.open, state.woken) = (true, woken);
        }
        self.poll();
        true
    }

    /// Takes events in, as one request of a client; true once they are acknowledged.
    pub fn capture(&mut self, texts: &[String]) -> bool {
        let now_ms = self.clock.wall_ms();
        let Some(running) = &self.running else {
            return false;
        };
        let open = Open {
            what: What::Event(EventType::Track),
            captured_ms: now_ms,
            boottime_ms: self.clock.boottime_ms(),
            offset_min: 60,
            key: WRITE_KEY.into(),
            unverified: false,
            boot: 0,
            bot: None,
            sent_lag_ms: 0,
        };
        let entries = |lane| Append {
            lane,
            entries: texts
                .iter()
                .filter(|text| lane_of(text) == lane)
                .map(|text| NewEntry {
                    identity: Captured::quick(text, Taking::default())
                        .map(|event| running.log.fingerprint(&event)),
                    entry: Entry::clear(&open, text),
                })
                .collect(),
        };
        let append = running
            .log
            .append_all(vec![entries(Lane::Visits), entries(Lane::Low)]);
        let stored = now(append).is_some_and(|done| done.is_ok());
        if stored {
            self.more();
        }
        stored
    }

    /// Something new stands in the log: a sender that waits for it goes on.
    fn more(&mut self) {
        let more = self.running.as_ref().is_some_and(|running| {
            let mut state = running.gate.state();
            let more = state.pause.is_some_and(|pause| pause.until_more);
            state.open |= more;
            more
        });
        if more {
            self.poll();
        }
    }

    /// There is no room: the oldest low-priority events go, so many bytes of them.
    pub fn give_up(&mut self, bytes: u64) -> bool {
        let Some(running) = &self.running else {
            return false;
        };
        let what = Yield {
            bytes,
            reason: Reason::Quota,
            told: running.link.told(),
            captured_ms: self.clock.wall_ms(),
            boottime_ms: self.clock.boottime_ms(),
            boot: 1,
        };
        let given = now(running.log.give_up(what));
        let gone = given.is_some_and(|done| done.is_ok_and(|done| done.bytes > 0));
        if gone {
            self.more();
        }
        gone
    }

    /// The epoch in which it writes; 0 while its program does not run.
    pub fn epoch(&self) -> Epoch {
        self.running
            .as_ref()
            .map_or(0, |running| running.log.epoch())
    }

    /// What it knows of the server; none while its program does not run.
    pub fn link(&self) -> Option<link::Link> {
        self.running.as_ref().map(|running| running.link.now())
    }

    /// It rests, the server answered, and nothing waits.
    pub fn is_quiet(&self, generation: u64) -> bool {
        self.running.as_ref().is_some_and(|running| {
            let link = running.link.now();
            running.gate.state().pause.is_some()
                && link.up
                && link.told.generation == generation
                && link::waiting(&running.log.ends(), &link.told.lanes, &running.log.drops()) == 0
        })
    }

    /// Joins small chunks, as the agent does in the background.
    ///
    /// # Errors
    /// The disk fails.
    pub fn settle(&mut self) -> Result<(), StoreError> {
        let Some(running) = &self.running else {
            return Ok(());
        };
        let mut packer = Packer::new(3);
        let epoch = running.log.epoch();
        for ((of, lane), head) in running.log.ends().iter() {
            let over = *of < epoch;
            while log::settle(&*self.disk, &mut packer, *of, *lane, head.seq, over)?.is_some() {}
        }
        Ok(())
    }

    /// What its log says was given up.
    ///
    /// # Errors
    /// The disk fails, or a chunk is damaged.
    pub fn reports(&self) -> anyhow::Result<Vec<Dropped>> {
        let mut reports = Vec::new();
        for row in tables::LOG.rows(&*self.disk) {
            let (_, chunk) = row?;
            for entry in chunk.0.run.unpack()? {
                reports.extend(report(&entry)?);
            }
        }
        Ok(reports)
    }

    /// The texts in its log, lanes that were left included.
    ///
    /// # Errors
    /// The disk fails, or a chunk is damaged.
    pub fn texts(&self) -> anyhow::Result<Vec<String>> {
        let mut texts = Vec::new();
        for row in tables::LOG.rows(&*self.disk) {
            let (_, chunk) = row?;
            for entry in chunk.0.run.unpack()? {
                texts.extend(text(&entry)?);
            }
        }
        Ok(texts)
    }
}

/// Into which lane a client's event goes.
pub fn lane_of(text: &str) -> Lane {
    if text.contains(LOW) {
        Lane::Low
    } else {
        Lane::Visits
    }
}

/// What an entry says was given up.
///
/// # Errors
/// The entry is damaged.
pub fn report(entry: &Entry) -> anyhow::Result<Option<Dropped>> {
    Ok(match Open::from_bytes(&entry.open)?.what {
        What::Dropped(dropped) => Some(dropped),
        _ => None,
    })
}

/// The text of an event; none of what the agent says of itself.
///
/// # Errors
/// The entry is damaged.
pub fn text(entry: &Entry) -> anyhow::Result<Option<String>> {
    Ok(match Open::from_bytes(&entry.open)?.what {
        What::Event(_) => Some(entry.text()?.to_owned()),
        _ => None,
    })
}

async fn run(mut sender: Sender, gate: Arc<Gate>, clock: Arc<TestClock>) {
    loop {
        let pause = sender.turn().await;
        if gate.rest(pause, clock.boottime_ms()).await {
            sender.woken();
        }
    }
}

/// The SHA-256 of the certificate in a folder, and whom it names.
fn certificate(folder: &Path) -> Result<([u8; 32], Arc<Owner>), CredentialsError> {
    let path = folder.join(files::CERT);
    let text = std::fs::read_to_string(&path).map_err(|cause| CredentialsError::Unreadable {
        path: path.clone(),
        cause,
    })?;
    let chain =
        pki::read_chain(&text).map_err(|cause| CredentialsError::Damaged { path, cause })?;
    let owner = pki::cert_owner(&chain[0]).expect("the certificate of an agent");
    Ok((pki::cert_fingerprint(&chain[0]), Arc::new(owner)))
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn salt<const N: usize>(chance: &Mutex<trenza_tests::day::chance::Chance>) -> [u8; N] {
    let mut chance = lock(chance);
    let mut out = [0; N];
    for part in out.chunks_mut(8) {
        part.copy_from_slice(&chance.roll().to_be_bytes());
    }
    out
}

/// What a future gives at once; none when it would wait.
fn now<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = std::pin::pin!(future);
    match future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(done) => Some(done),
        Poll::Pending => None,
    }
}
