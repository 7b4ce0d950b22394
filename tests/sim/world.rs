//! What happens: captures, talks, losses, crashes, restored disks, one step after the other, by a seed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use trenza_agent::marker::Reached;
use trenza_shared::{
    clock::{Clock as _, TestClock},
    id::Epoch,
    store::{Fault, FaultyStore},
    wire::dropped::Dropped,
};
use trenza_tests::day::chance::Chance;

use crate::{
    START_MS,
    edge::{Edge, LOW},
    hub::{AGENTS, Hub, Site},
    net::Net,
    perils::Perils,
};

/// Steps before the faults end.
const STEPS: (i64, i64) = (60, 260);
/// How often what must always be true is checked, unless a single seed is replayed: then after every step.
const CHECK_EVERY: u64 = 16;
/// Most devices, copies included.
const EDGES_MAX: usize = 5;
/// Most rounds in which everything must come to rest once the faults have ended.
const ROUNDS_MAX: usize = 60;
/// Most calls for it.
const CALLS_MAX: usize = 20_000;
/// Share of events that have a low priority.
const LOW_SHARE: f64 = 0.35;
/// Most events of one request.
const REQUEST_MAX: i64 = 6;

/// Where an event was first taken in.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    /// By which device.
    pub edge: usize,
    /// In which epoch.
    pub epoch: Epoch,
    /// Its place among all captures.
    pub number: u64,
    /// When, by the one clock of all. Unit: ms since 1970.
    pub at_ms: i64,
    /// It was sent once only, so that its place in the lane is known.
    pub once: bool,
}

/// What a device was at some time.
pub struct Image {
    /// Which device.
    pub edge: usize,
    /// Its disk.
    pub disk: FaultyStore,
    /// How far its log had gone, as was noted beside the store.
    pub marker: Reached,
    /// Its key and certificate.
    pub folder: tempfile::TempDir,
}

/// Everything.
pub struct World<'a> {
    pub(crate) chance: Chance,
    pub(crate) hub: Hub,
    pub(crate) edges: Vec<Edge>,
    pub(crate) net: Net,
    pub(crate) perils: Perils,
    /// Every text that a client ever sent.
    pub(crate) sent: BTreeMap<String, Origin>,
    /// Texts that were acknowledged and that no disk was set back from under them since.
    pub(crate) owed: BTreeMap<String, ()>,
    /// Texts that a disk which was set back held last, or that retention let a device delete before the server was set back.
    pub(crate) forgiven: BTreeSet<String>,
    /// Texts that a device gave up, and what it said when it did: often more than one, since copies do so too.
    pub(crate) dropped: BTreeMap<String, BTreeSet<Dropped>>,
    pub(crate) images: Vec<Image>,
    /// Lives of logs that went on twice from one place: the device was set back whole, or before the marker was brought up to
    /// date, and nothing told it so.
    pub(crate) branched: BTreeSet<(usize, Epoch)>,
    pub(crate) backup: Option<FaultyStore>,
    retries: Vec<(usize, Vec<String>)>,
    pub(crate) site: &'a Site,
    pub(crate) folders: Vec<tempfile::TempDir>,
    pub(crate) clock: Arc<TestClock>,
    trace: blake3::Hasher,
    tell: bool,
    steps: u64,
    faults: u64,
}

impl<'a> World<'a> {
    /// A world with a server and one to three agents.
    ///
    /// # Errors
    /// The server does not start.
    pub fn new(site: &'a Site, seed: u64, tell: bool) -> anyhow::Result<Self> {
        let mut chance = Chance::new(seed);
        let clock = Arc::new(TestClock::at(START_MS));
        let count = 1 + chance.below(usize::from(AGENTS));
        let perils = Perils::roll(&mut chance);
        let mut world = Self {
            hub: Hub::new(site, clock.clone())?,
            site,
            folders: Vec::new(),
            net: Net::default(),
            edges: Vec::new(),
            sent: BTreeMap::new(),
            owed: BTreeMap::new(),
            forgiven: BTreeSet::new(),
            dropped: BTreeMap::new(),
            images: Vec::new(),
            branched: BTreeSet::new(),
            backup: None,
            retries: Vec::new(),
            trace: blake3::Hasher::new(),
            tell,
            steps: 0,
            faults: 0,
            perils,
            clock,
            chance,
        };
        world.note(&format!("{count} agents, {perils:?}"));
        // A backup from before anybody enrolled.
        if world.chance.happens(0.3) {
            world.backup = Some(world.hub.blank.image());
        }
        for number in 0..count {
            let disk = Arc::new(FaultyStore::new(0, Fault::Refused));
            let folder = site.folder(number)?;
            world.add(folder, disk, Reached::default());
        }
        Ok(world)
    }

    pub(crate) fn add(
        &mut self,
        folder: tempfile::TempDir,
        disk: Arc<FaultyStore>,
        marker: Reached,
    ) {
        let number = self.edges.len();
        let path = folder.path().to_path_buf();
        self.folders.push(folder);
        let salt = self.chance.apart(&format!("salt {number}"));
        let edge = Edge::new(number, path, disk, marker, salt, self.clock.clone());
        self.edges.push(edge);
        self.start_edge(number);
    }

    /// How many steps it took so far.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// How many events clients sent.
    pub fn captured(&self) -> usize {
        self.sent.len()
    }

    /// How many things went wrong.
    pub fn faults(&self) -> u64 {
        self.faults
    }

    /// A hash of all that happened.
    pub fn trace(&self) -> String {
        self.trace.finalize().to_hex().to_string()
    }

    pub(crate) fn note(&mut self, what: &str) {
        self.trace.update(what.as_bytes()).update(b"\n");
        if self.tell {
            println!("{:4} {what}", self.steps);
        }
    }

    pub(crate) fn fault(&mut self, what: &str) {
        self.faults += 1;
        self.note(what);
    }

    /// Lets everything happen, ends the faults, and waits for rest.
    ///
    /// # Errors
    /// Something that must be true is not.
    pub fn run(&mut self) -> anyhow::Result<()> {
        let steps = self.chance.between(STEPS.0, STEPS.1);
        for _ in 0..steps {
            self.steps += 1;
            self.step()?;
            self.after_deaths()?;
            if self.tell || self.steps.is_multiple_of(CHECK_EVERY) {
                self.check_step()?;
            }
        }
        self.heal()?;
        self.check_end()
    }

    fn step(&mut self) -> anyhow::Result<()> {
        let edge = self.chance.below(self.edges.len());
        match self.chance.below(100) {
            0..30 => self.capture(edge),
            30..72 => self.deliver()?,
            72..84 => self.time_passes(),
            84 if self.perils.crashes => self.kill_edge(edge),
            85 if self.perils.crashes => self.kill_hub()?,
            86 | 87 if self.perils.crashes || self.perils.power => self.plan_death(edge),
            88 | 89 if self.perils.disks => self.plan_fault(edge),
            90 if self.chance.happens(0.5) => self.settle(edge),
            90 => self.take_image(edge)?,
            91 if self.perils.images => self.set_back(edge)?,
            92 if self.perils.copies && self.edges.len() < EDGES_MAX => self.copy(edge)?,
            93 => self.take_backup(),
            94 if self.perils.backups => self.set_server_back()?,
            95 if self.perils.ages => {
                self.note("two hours pass");
                self.clock.advance_ms(2 * 3_600_000);
            }
            96 | 97 if self.perils.narrow => self.give_up(edge)?,
            _ => self.retry(),
        }
        Ok(())
    }

    fn capture(&mut self, edge: usize) {
        if !self.edges[edge].runs() {
            return;
        }
        let count = self.chance.between(1, REQUEST_MAX);
        let mut texts = Vec::new();
        for _ in 0..count {
            let number = self.sent.len() as u64;
            let text = format!(
                r#"{{"type":"track","event":"{}","userId":"u{}","messageId":"m{number}","properties":{{"edge":{edge}}}}}"#,
                if self.chance.happens(LOW_SHARE) {
                    LOW
                } else {
                    "Visit"
                },
                number % 7
            );
            let epoch = self.edges[edge].epoch();
            self.sent.insert(
                text.clone(),
                Origin {
                    edge,
                    epoch,
                    number,
                    at_ms: self.clock.wall_ms(),
                    once: true,
                },
            );
            texts.push(text);
        }
        self.offer(edge, texts);
    }

    fn offer(&mut self, edge: usize, texts: Vec<String>) {
        // What is due may be deleted at any moment, whoever sends it again while it is there.
        let due: Vec<String> = match self.forgiven.is_empty() {
            true => Vec::new(),
            false => self.edges[edge].texts().unwrap_or_default(),
        };
        let done = self.edges[edge].capture(&texts);
        self.note(&format!(
            "device {edge} takes in {} events: {done}",
            texts.len()
        ));
        if done {
            for text in texts {
                if !self.forgiven.contains(&text) || !due.contains(&text) {
                    self.forgiven.remove(&text);
                    self.owed.insert(text, ());
                }
            }
        } else {
            self.retries.push((edge, texts));
        }
    }

    /// A client sends again what was not acknowledged, or what was, to any device.
    fn retry(&mut self) {
        let again = if self.retries.is_empty() || self.chance.happens(0.2) {
            // What was lost with a disk comes again more often than by chance.
            let lost = !self.forgiven.is_empty() && self.chance.happens(0.5);
            let texts: Vec<String> = match lost {
                true => self.forgiven.iter().cloned().collect(),
                false => self.sent.keys().cloned().collect(),
            };
            if texts.is_empty() {
                return;
            }
            let text = self.chance.pick(&texts).clone();
            (self.chance.below(self.edges.len()), vec![text])
        } else {
            self.retries.remove(self.chance.below(self.retries.len()))
        };
        let (edge, texts) = again;
        for text in &texts {
            if let Some(origin) = self.sent.get_mut(text) {
                origin.once = false;
            }
        }
        if self.edges[edge].runs() {
            self.offer(edge, texts);
        }
    }

    /// Something on the way arrives, or does not.
    fn deliver(&mut self) -> anyhow::Result<()> {
        let on_the_way = self.net.calls().len();
        if on_the_way == 0 {
            return Ok(());
        }
        let which = if self.perils.network {
            self.chance.below(on_the_way)
        } else {
            0
        };
        let (from, awaited, replied) = {
            let calls = self.net.calls();
            let call = &calls[which];
            (call.from, call.is_awaited(), call.reply.is_some())
        };
        let dice = if self.perils.network {
            self.chance.below(100)
        } else {
            0
        };
        match (awaited, replied, dice) {
            (true, true, 0..80) => self.answer(which, dice >= 72),
            (true, true, 80..92) => self.lose(which, dice >= 86, false),
            (true, true, _) | (true, false, 0..84) => {
                self.arrive(which)?;
            }
            (true, false, _) => self.lose(which, dice >= 92, dice % 2 == 0),
            (false, _, 0..60) => {
                if self.arrive(which)? {
                    self.net.calls().remove(which);
                }
            }
            (false, ..) => {
                self.net.calls().remove(which);
            }
        }
        self.edges[from].poll();
        Ok(())
    }

    /// A request reaches the server; its answer is on the way back. False when the server is down, which breaks the connection.
    pub(crate) fn arrive(&mut self, which: usize) -> anyhow::Result<bool> {
        let (peer, owner, request, from) = {
            let calls = self.net.calls();
            let call = &calls[which];
            (
                call.peer,
                call.owner.clone(),
                call.request.clone(),
                call.from,
            )
        };
        let what = request.uri().path().to_owned();
        let reply = self.hub.handle(peer, owner, request)?;
        let status = reply.as_ref().map_or(0, |reply| reply.status.as_u16());
        self.note(&format!("{what} of device {from} arrives: {status}"));
        // The server was set back to before it told a copy to become an agent of its own.
        let untold = self.perils.backups && what == "/sync/v1/copy";
        let not_current = status == 409 && (what == "/sync/v1/frame" || untold);
        anyhow::ensure!(
            not_current || self.perils.disks && status == 500 || !matches!(status, 400..=500),
            "device {from}: {what} is answered with {status}: {:?}",
            reply.map(|reply| String::from_utf8_lossy(&reply.body).into_owned())
        );
        let mut calls = self.net.calls();
        let answered = reply.is_some();
        if answered {
            calls[which].reply = reply;
        } else {
            calls.remove(which).fail(false);
        }
        Ok(answered)
    }

    pub(crate) fn answer(&mut self, which: usize, keep: bool) {
        let from = {
            let mut calls = self.net.calls();
            calls[which].answer();
            let from = calls[which].from;
            // A repeated request: it may arrive once more, later.
            if !keep {
                calls.remove(which);
            }
            from
        };
        self.note(&format!("an answer reaches device {from}"));
        self.edges[from].poll();
    }

    fn lose(&mut self, which: usize, late: bool, gone: bool) {
        let from = {
            let mut calls = self.net.calls();
            calls[which].fail(late);
            let from = calls[which].from;
            if gone {
                calls.remove(which);
            }
            from
        };
        self.fault(&format!(
            "the talk of device {from} breaks off; late {late}, gone {gone}"
        ));
        self.edges[from].poll();
    }

    fn time_passes(&mut self) {
        let ms = *self.chance.pick(&[5_u64, 400, 2_000, 31_000]);
        self.clock.advance_ms(ms);
        let mut went_on = Vec::new();
        for edge in &mut self.edges {
            edge.note();
            if edge.rest_is_over(false) {
                went_on.push(edge.number);
            }
        }
        self.note(&format!("{ms} ms pass; {went_on:?} go on"));
    }

    /// The faults end; everything has to come to rest within [`ROUNDS_MAX`] rounds.
    fn heal(&mut self) -> anyhow::Result<()> {
        self.note("the faults end");
        self.hub.disk.restart();
        self.hub.start()?;
        for edge in 0..self.edges.len() {
            self.edges[edge].stop();
            self.edges[edge].disk.restart();
            self.start_edge(edge);
        }
        self.net.calls().retain(|call| call.is_awaited());
        let mut calls = 0;
        for _ in 0..ROUNDS_MAX {
            for edge in 0..self.edges.len() {
                self.edges[edge].rest_is_over(true);
                while let Some(at) = self.first_call() {
                    calls += 1;
                    anyhow::ensure!(calls < CALLS_MAX, "no end after {calls} calls");
                    if self.arrive(at)? {
                        self.answer(at, false);
                    }
                }
            }
            let generation = self.hub.generation();
            if self.edges.iter().all(|edge| edge.is_quiet(generation)) {
                self.note("all is quiet");
                return self.idle();
            }
            self.clock.advance_ms(1_000);
        }
        let links: Vec<_> = self.edges.iter().map(Edge::link).collect();
        anyhow::bail!("no rest after {ROUNDS_MAX} rounds: {links:#?}")
    }

    pub(crate) fn first_call(&self) -> Option<usize> {
        let calls = self.net.calls();
        (!calls.is_empty()).then_some(0)
    }
}
