//! Ten thousand devices that come back in one second: the agents' real back-off and the server's real admission over a model of
//! the server's cores.
//!
//! What is modelled is the time that work takes; what each side decides is the product's own code.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
};

use anyhow::ensure;
use trenza_agent::{
    config::SyncSection,
    sync::plan::{BackOff, backlog_wait_ms},
};
use trenza_server::{
    app::AGENT_CONNECTIONS_MAX,
    sync::{
        admission::{HEAVY_MS, Limits, Load, Verdict, admit_light},
        turns::Turns,
    },
};
use trenza_shared::id::AgentId;
use trenza_tests::day::chance::Chance;

const AGENTS: usize = 10_000;
/// All of them come back within this. Unit: us.
const RETURN_US: u64 = 1_000_000;
/// Cores of the modelled server.
const CORES: usize = 4;
/// CPU of a TLS 1.3 handshake with both certificates, of a hello and of a frame with one event. Unit: us of one core.
/// Together they are what `five_hundred_agents_are_served_over_tls` prints for one agent, rounded up.
const HANDSHAKE_US: u64 = 500;
const HELLO_US: u64 = 150;
const LIVE_FRAME_US: u64 = 250;
/// Until a commit is on the disk, shared by whoever waits. Unit: us.
const COMMIT_US: u64 = 5_000;
/// One way through a mobile network. Unit: us.
const WAY_US: u64 = 40_000;
/// Share of the agents that have a backlog, and its frames.
const BACKLOG_SHARE: f64 = 0.3;
const BACKLOG_FRAMES: u32 = 3;
/// After so long an agent gives up a connection that does not come about. Unit: us.
const CONNECT_US_MAX: u64 = 10_000_000;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Try,
    Arrives(Stage),
    Done(Stage),
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Stage {
    Handshake,
    Hello,
    Live,
    Backlog,
}

impl Stage {
    fn cost_us(self) -> u64 {
        match self {
            Self::Handshake => HANDSHAKE_US,
            Self::Hello => HELLO_US,
            Self::Live => LIVE_FRAME_US,
            Self::Backlog => HEAVY_MS * 1_000,
        }
    }
}

#[derive(Clone, Default)]
struct Device {
    returned_us: u64,
    asked_us: u64,
    connected: bool,
    live_us: Option<u64>,
    frames: u32,
    failures: u32,
    tries: u32,
    tries_until_live: u32,
}

struct Herd {
    now_us: u64,
    next: BinaryHeap<Reverse<(u64, u64, usize, What)>>,
    number: u64,
    devices: Vec<Device>,
    chance: Chance,
    free_cores: usize,
    ready: VecDeque<(usize, Stage)>,
    line: VecDeque<usize>,
    load: Load,
    turns: Turns,
    limits: Limits,
    connections: usize,
}

/// What came out.
struct Outcome {
    live_p99_us: u64,
    tries: f64,
    tries_until_drained: f64,
    drained_us: u64,
}

impl Herd {
    fn new(seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let mut herd = Self {
            now_us: 0,
            next: BinaryHeap::new(),
            number: 0,
            devices: vec![Device::default(); AGENTS],
            free_cores: CORES,
            ready: VecDeque::new(),
            line: VecDeque::new(),
            load: Load::default(),
            turns: Turns::default(),
            limits: Limits::of(CORES),
            connections: 0,
            chance: chance.apart("herd"),
        };
        for device in 0..AGENTS {
            let at = chance.roll() % RETURN_US;
            let frames = u32::from(chance.happens(BACKLOG_SHARE)) * BACKLOG_FRAMES;
            (
                herd.devices[device].returned_us,
                herd.devices[device].frames,
            ) = (at, frames);
            herd.at(at, device, What::Try);
        }
        herd
    }

    fn at(&mut self, us: u64, device: usize, what: What) {
        self.number += 1;
        self.next.push(Reverse((us, self.number, device, what)));
    }

    fn run(mut self) -> anyhow::Result<Outcome> {
        while let Some(Reverse((us, _, device, what))) = self.next.pop() {
            self.now_us = us;
            match what {
                What::Try => self.try_again(device),
                What::Arrives(stage) => self.arrives(device, stage),
                What::Done(stage) => self.done(device, stage),
            }
            while self.free_cores > 0
                && let Some((device, stage)) = self.ready.pop_front()
            {
                self.free_cores -= 1;
                self.at(us + stage.cost_us(), device, What::Done(stage));
            }
        }
        let mut live: Vec<u64> = Vec::new();
        for device in &self.devices {
            let Some(at) = device.live_us else {
                anyhow::bail!("a device was never served");
            };
            ensure!(device.frames == 0, "a backlog was never sent");
            live.push(at - device.returned_us);
        }
        live.sort_unstable();
        let sum = |of: fn(&Device) -> u32| {
            self.devices
                .iter()
                .map(|one| f64::from(of(one)))
                .sum::<f64>()
                / AGENTS as f64
        };
        Ok(Outcome {
            live_p99_us: live[AGENTS * 99 / 100],
            tries: sum(|one| one.tries_until_live),
            tries_until_drained: sum(|one| one.tries),
            drained_us: self.now_us,
        })
    }

    fn try_again(&mut self, device: usize) {
        let at = &mut self.devices[device];
        at.tries += 1;
        if at.live_us.is_none() {
            at.tries_until_live = at.tries;
        }
        at.asked_us = self.now_us;
        let stage = if at.connected {
            Stage::Hello
        } else {
            Stage::Handshake
        };
        self.at(self.now_us + WAY_US, device, What::Arrives(stage));
    }

    fn arrives(&mut self, device: usize, stage: Stage) {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&(device as u64).to_be_bytes());
        let (agent, frames) = (AgentId(id), u64::from(self.devices[device].frames));
        let verdict = match stage {
            Stage::Handshake if self.connections >= AGENT_CONNECTIONS_MAX => {
                return self.failed(device, None);
            }
            Stage::Handshake => {
                self.connections += 1;
                return self.ready.push_back((device, stage));
            }
            Stage::Hello | Stage::Live => admit_light(self.load, self.limits, &agent),
            Stage::Backlog => {
                let (now_ms, load) = (self.now_us / 1_000, self.load);
                self.turns
                    .admit(now_ms, load, self.limits, &agent, || frames)
            }
        };
        match (verdict, stage) {
            (Verdict::Later { retry_after_s }, Stage::Backlog) => {
                self.rests(device, retry_after_s.into())
            }
            (Verdict::Later { retry_after_s }, _) => {
                self.failed(device, Some(retry_after_s.into()))
            }
            (Verdict::Wait, _) => {
                self.load.waiting += 1;
                self.line.push_back(device);
            }
            (Verdict::Now, _) => {
                match stage {
                    Stage::Backlog => self.load.heavy += 1,
                    _ => self.load.light += 1,
                }
                self.ready.push_back((device, stage));
            }
        }
    }

    /// The backlog comes again at its turn, over the same connection.
    fn rests(&mut self, device: usize, asked_s: u64) {
        let wait_ms = backlog_wait_ms(asked_s, self.chance.fraction());
        self.devices[device].tries += 1;
        let at = self.now_us + wait_ms * 1_000 + 2 * WAY_US;
        self.at(at, device, What::Arrives(Stage::Backlog));
    }

    fn failed(&mut self, device: usize, retry_after_s: Option<u64>) {
        let limits = SyncSection::default();
        let back_off = BackOff {
            min_ms: limits.retry_wait_ms_min,
            max_ms: limits.retry_wait_ms_max,
        };
        let random = self.chance.fraction();
        let at = &mut self.devices[device];
        at.failures += 1;
        let wait_ms = back_off.wait_ms(at.failures, retry_after_s, random);
        self.at(self.now_us + wait_ms * 1_000, device, What::Try);
    }

    fn done(&mut self, device: usize, stage: Stage) {
        self.free_cores += 1;
        let now_us = self.now_us;
        match stage {
            Stage::Handshake if now_us - self.devices[device].asked_us > CONNECT_US_MAX => {
                self.connections -= 1;
                self.failed(device, None);
            }
            Stage::Handshake => {
                self.devices[device].connected = true;
                self.at(now_us + 2 * WAY_US, device, What::Arrives(Stage::Hello));
            }
            Stage::Hello => {
                self.load.light -= 1;
                self.at(now_us + 2 * WAY_US, device, What::Arrives(Stage::Live));
            }
            Stage::Live => {
                self.load.light -= 1;
                self.devices[device].live_us = Some(now_us + COMMIT_US);
                self.goes_on(device);
            }
            Stage::Backlog => {
                self.load.heavy -= 1;
                self.devices[device].frames -= 1;
                if let Some(next) = self.line.pop_front() {
                    self.load.waiting -= 1;
                    self.load.heavy += 1;
                    self.ready.push_back((next, Stage::Backlog));
                }
                self.goes_on(device);
            }
        }
    }

    fn goes_on(&mut self, device: usize) {
        self.devices[device].failures = 0;
        if self.devices[device].frames > 0 {
            let at = self.now_us + COMMIT_US + 2 * WAY_US;
            self.at(at, device, What::Arrives(Stage::Backlog));
        }
    }
}

#[test]
fn ten_thousand_agents_return_in_one_second_live_events_are_there_within_two_and_hardly_anybody_is_refused_twice()
-> anyhow::Result<()> {
    for seed in 0..5 {
        let outcome = Herd::new(seed).run()?;
        println!(
            "seed {seed}: live p99 {} ms, {:.3} tries until then, {:.3} until the backlog of {} frames was in after {} s",
            outcome.live_p99_us / 1_000,
            outcome.tries,
            outcome.tries_until_drained,
            (AGENTS as f64 * BACKLOG_SHARE) as u32 * BACKLOG_FRAMES,
            outcome.drained_us / 1_000_000,
        );
        ensure!(
            outcome.live_p99_us <= 2_000_000,
            "{} us",
            outcome.live_p99_us
        );
        ensure!(
            outcome.tries_until_drained <= 1.3,
            "{} tries",
            outcome.tries_until_drained
        );
    }
    Ok(())
}
