//! Sending: what the log holds goes to the server, in order, until the server has named it stored.
//!
//! Owns the one talk with the server. Never loses an event: it only reads the log, and deletes what the server archived. Works
//! with fixed memory however large the backlog: a limited number of frames at a time.

pub mod copies; // two programs under one id
pub mod diverge; // lanes that the server cannot follow
mod flow; // frames on their way
mod hello; // the opening of a talk
pub mod kept; // what cannot be delivered
pub mod listener; // the certificate of the device's own listener
mod measure; // what the clock is worth
pub mod network; // whether it changed
pub mod plan; // what to send, how long to wait: pure
#[cfg(test)]
mod tests;
pub(crate) mod tidy; // deleting what the server archived
pub mod uplink; // credentials and calls
pub mod window; // how many frames may be on their way: pure

use std::{any::Any, io, sync::Arc, time::Duration};

use tokio::{
    runtime::{Handle, RuntimeFlavor},
    sync::{Notify, watch},
    task::spawn_blocking,
    time::sleep,
};
use trenza_shared::{
    clock::Clock,
    id::{BootId, Epoch, InstanceId},
    store::StoreError,
    wire::{
        pulse::Digest,
        sync::{AGENT_REVOKED, Introduction, LaneHave},
    },
};

use crate::{
    config::SyncSection,
    link::{Down, LinkCell},
    log::{Heads, Log},
    room::RoomCell,
    time::KnownTime,
};
use flow::Stopped;
use listener::ListenerCert;
use plan::{BackOff, NOBODY_WAIT_MS_MAX, Offsets};
use uplink::{TalkError, Uplink};
use window::Window;

/// Most gaps and forks sorted out in one talk before it is broken off.
const TURNS_MAX: usize = 16;
const HOUR_MS: i64 = 3_600_000;

/// Takes an epoch after the given one, and a salt root for it.
pub type NextEpoch = Arc<dyn Fn(Epoch) -> io::Result<(Epoch, [u8; 32])> + Send + Sync>;

/// What the worker needs of the process.
#[derive(Clone)]
pub struct Around {
    /// The device's clocks.
    pub clock: Arc<dyn Clock>,
    /// This boot.
    pub boot: BootId,
    /// This start of the program.
    pub instance: InstanceId,
    /// A random number in 0..1.
    pub random: fn() -> f64,
    /// Free space where the log lives. Unit: bytes.
    pub disk_free: Arc<dyn Fn() -> u64 + Send + Sync>,
    /// How much room there is for visits.
    pub room: Arc<RoomCell>,
    /// Takes an epoch after the given one, durably, so that it is never taken again; and a new salt root.
    pub next_epoch: NextEpoch,
    /// How this device was enrolled, for a server that has forgotten it.
    pub introduction: Arc<Introduction>,
    /// The certificate of the `https` listener, where there is one.
    pub listener: Option<ListenerCert>,
    /// Told to try at once.
    pub wake: Arc<Notify>,
    /// Told that the network changed.
    pub network: Arc<Notify>,
}

/// The worker.
pub struct Sender {
    log: Log,
    link: Arc<LinkCell>,
    limits: SyncSection,
    uplink: Uplink,
    around: Around,
    offsets: Offsets,
    hello_boot_ms: Option<u64>,
    /// Of the last hello that was welcomed.
    said: Option<Digest>,
    /// A person asked to send now.
    asked: bool,
    failures: u32,
    window: Window,
    /// While a backlog waits: the ends of the log when its sending began. What comes after them is live.
    live_after: Option<Arc<Heads>>,
}

/// What to wait for after a talk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pause {
    /// The longest wait.
    pub longest: Duration,
    /// Whether new entries end it: not while the server cannot be reached.
    pub until_more: bool,
    /// Whether a change of the network ends it: nobody answered over the one there was.
    pub until_network: bool,
}

impl Sender {
    /// A worker that has not said anything yet.
    pub fn new(
        log: Log,
        link: Arc<LinkCell>,
        limits: SyncSection,
        uplink: Uplink,
        around: Around,
    ) -> Self {
        Self {
            log,
            link,
            limits,
            uplink,
            around,
            offsets: Offsets::default(),
            hello_boot_ms: None,
            said: None,
            asked: false,
            failures: 0,
            window: Window::default(),
            live_after: None,
        }
    }

    /// Where it hears that the network changed.
    pub fn network(&self) -> Arc<Notify> {
        self.around.network.clone()
    }

    /// Talks with the server until `stop` says true. Breaking off a talk at any point loses nothing.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut heads = self.log.heads();
        let (wake, network) = (self.around.wake.clone(), self.around.network.clone());
        loop {
            heads.mark_unchanged();
            let pause = tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                pause = self.turn() => pause,
            };
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                Ok(()) = heads.changed(), if pause.until_more => {}
                () = wake.notified() => self.woken(),
                () = network.notified(), if pause.until_network => self.try_soon(),
                () = sleep(pause.longest) => {}
            }
        }
    }

    /// One talk, and what to wait for after it.
    pub async fn turn(&mut self) -> Pause {
        match self.talk().await {
            Ok(()) => {
                self.failures = 0;
                Pause {
                    longest: self.until_hello().min(self.until_backlog()),
                    until_more: true,
                    until_network: false,
                }
            }
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                // Whoever answers next time may be another version.
                (self.hello_boot_ms, self.said) = (None, None);
                Pause {
                    longest: Duration::from_millis(self.failed(&error, self.failures)),
                    until_more: false,
                    until_network: error.is_no_answer(),
                }
            }
        }
    }

    /// Somebody wants to hear from the server now.
    pub fn woken(&mut self) {
        self.try_soon();
        self.asked = true;
    }

    fn try_soon(&mut self) {
        self.hello_boot_ms = None;
        self.failures = 0;
    }

    fn failed(&self, error: &TalkError, failures: u32) -> u64 {
        let refused = error.refuses_agent();
        let before = self.link.now();
        let problem = error.to_string();
        // One line when something changes, not one for every try of a week without network.
        if before.up || before.problem != problem {
            tracing::warn!(error = %problem, sync.failures = failures, "the server cannot be reached; capture goes on");
        }
        let why = Down {
            refused,
            revoked: error.is_refused_as(AGENT_REVOKED),
            busy: error.is_later(),
        };
        self.link.down(self.now_ms(), why, problem);
        metrics::counter!("trenza_agent_sync_failures_total").increment(1);
        // A device whose clock is far ahead only believes that its certificate is too old.
        let too_old = matches!(
            error,
            TalkError::CertificateTooOld { .. } | TalkError::CertificateInDoubt { .. }
        );
        let for_good = refused && !too_old;
        let max_ms = if for_good {
            self.limits.refused_wait_ms_max
        } else if error.is_nobody_there() {
            self.limits.retry_wait_ms_max.min(NOBODY_WAIT_MS_MAX)
        } else {
            self.limits.retry_wait_ms_max
        };
        let min_ms = if for_good {
            max_ms
        } else {
            self.limits.retry_wait_ms_min
        };
        BackOff { min_ms, max_ms }.wait_ms(failures, error.retry_after_s(), (self.around.random)())
    }

    fn until_hello(&self) -> Duration {
        let passed = self.hello_boot_ms.map_or(u64::MAX, |at| {
            self.around.clock.boottime_ms().saturating_sub(at)
        });
        Duration::from_millis(self.limits.hello_every_ms.saturating_sub(passed))
    }

    /// Until the server has asked for more of a backlog.
    fn until_backlog(&self) -> Duration {
        self.window
            .rests_until_ms()
            .map_or(Duration::MAX, |until_ms| {
                Duration::from_millis(until_ms.saturating_sub(self.around.clock.boottime_ms()))
            })
    }

    /// One talk: hello when it is due, then frames until the server has everything.
    ///
    /// # Errors
    /// [`TalkError`]; what was acknowledged until then is remembered.
    pub async fn talk(&mut self) -> Result<(), TalkError> {
        match self.talk_once().await {
            // One part of the log that cannot be read holds nobody up.
            Err(TalkError::Damaged(damage)) => {
                let (store, now_ms) = (self.log.store().clone(), self.now_ms());
                match blocking(move || kept::set_aside(&*store, now_ms)).await {
                    Ok(1..) => {
                        // The server is to know what will not come.
                        self.hello_boot_ms = None;
                        self.talk_once().await
                    }
                    Ok(0) | Err(_) => Err(TalkError::Damaged(damage)),
                }
            }
            talked => talked,
        }
    }

    async fn talk_once(&mut self) -> Result<(), TalkError> {
        let mut turns = 0;
        loop {
            if self.until_hello().is_zero() {
                self.hello().await?;
            }
            match self.push().await? {
                Stopped::Done | Stopped::Resting => return Ok(()),
                Stopped::Ask { due: true } => continue,
                // No more often than there is room for what is kept aside.
                Stopped::Tell => {
                    self.hello_boot_ms = None;
                    continue;
                }
                Stopped::Ask { due: false } => self.hello_boot_ms = None,
                Stopped::Diverged(found, have) => {
                    self.branch(found, &diverge::told_marks(&have)).await?
                }
            }
            turns += 1;
            if turns > TURNS_MAX {
                return Err(TalkError::Disagreement(
                    "the server has less than it said, or another history, again and again".into(),
                ));
            }
        }
    }

    /// What time it is, as far as is known. Unit: ms since 1970.
    fn now_ms(&self) -> i64 {
        let told = self.link.told();
        let clock = &*self.around.clock;
        KnownTime::new(self.around.boot.number(), &told, clock).now_ms(clock)
    }

    /// Changes what is remembered of the server.
    async fn remember(
        &self,
        change: impl FnOnce(&LinkCell) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<(), TalkError> {
        let link = self.link.clone();
        blocking(move || change(&link)).await
    }

    async fn acknowledged(&self, have: LaneHave) -> Result<(), TalkError> {
        self.remember(move |link| link.acknowledged(have)).await
    }

    /// Deletes what the server archived long enough ago, a bounded part of it. `now_ms` is the server's.
    async fn tidy(&mut self, now_ms: i64) -> Result<(), TalkError> {
        let hours = i64::try_from(self.limits.retention_hours).unwrap_or(i64::MAX);
        let retention_ms = hours.saturating_mul(HOUR_MS);
        let (store, told, heads) = (
            self.log.store().clone(),
            self.link.now().told,
            self.log.ends(),
        );
        let pruned =
            blocking(move || tidy::aged(&*store, &told, &heads, now_ms, retention_ms)).await?;
        self.around.room.pruned(pruned);
        Ok(())
    }
}

/// Runs what reads or writes the disk away from the threads that serve; where there is but one thread, on it.
pub(crate) async fn blocking<T: Send + 'static, E: std::fmt::Display + Send + 'static>(
    job: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, TalkError> {
    let threads = Handle::try_current()
        .is_ok_and(|handle| handle.runtime_flavor() != RuntimeFlavor::CurrentThread);
    let done = if threads {
        spawn_blocking(job)
            .await
            .map_err(|error| TalkError::Local(error.to_string()))?
    } else {
        job()
    };
    done.map_err(|error| {
        let text = error.to_string();
        match (&error as &dyn Any).downcast_ref() {
            Some(StoreError::Corrupt { .. }) => TalkError::Damaged(text),
            _ => TalkError::Local(text),
        }
    })
}
