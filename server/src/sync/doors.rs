//! Where agents' requests wait: [`admission`](super::admission) and [`turns`](super::turns) decide, this keeps count.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};
use trenza_shared::{id::AgentId, net::error::HttpError, wire::sync::BUSY};

use super::{
    admission::{Limits, Load, Verdict, admit_light},
    turns::Turns,
};

/// Longest wait for a turn: well below the time after which an agent gives up.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// When one comes again whose wait was in vain: the line stands still. Unit: s.
const LATE_S: u32 = 5;

/// The doors of one server.
pub struct Doors {
    limits: Limits,
    state: Mutex<State>,
    cores: Arc<Semaphore>,
    opened: Instant,
}

#[derive(Default)]
struct State {
    load: Load,
    turns: Turns,
}

impl Doors {
    /// Open doors.
    pub fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            cores: Arc::new(Semaphore::new(limits.heavy_max)),
            state: Mutex::default(),
            opened: Instant::now(),
            limits,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a light request in, or sends it away; it counts as being done until the pass is dropped.
    ///
    /// # Errors
    /// There is too much to do: 503 with the time at which this agent may come again.
    pub fn enter_light(self: &Arc<Self>, agent: &AgentId) -> Result<Pass, HttpError> {
        let mut state = self.state();
        match admit_light(state.load, self.limits, agent) {
            Verdict::Now | Verdict::Wait => state.load.light += 1,
            Verdict::Later { retry_after_s } => return Err(refused(retry_after_s)),
        }
        Ok(Pass {
            doors: self.clone(),
            core: None,
        })
    }

    /// Lets a frame of a backlog in, at once or after a wait. `frames` is how many the agent is believed to have.
    ///
    /// # Errors
    /// As [`Doors::enter_light`].
    pub async fn enter_heavy(
        self: &Arc<Self>,
        agent: &AgentId,
        frames: impl FnOnce() -> u64,
    ) -> Result<Pass, HttpError> {
        {
            let mut state = self.state();
            let (now_ms, load) = (self.now_ms(), state.load);
            let verdict = state.turns.admit(now_ms, load, self.limits, agent, frames);
            if let Verdict::Later { retry_after_s } = verdict {
                return Err(refused(retry_after_s));
            }
            state.load.waiting += 1;
        }
        // Whoever goes away while waiting leaves the line.
        let line = Line(self);
        let core = timeout(WAIT_MAX, self.cores.clone().acquire_owned()).await;
        drop(line);
        match core {
            Ok(Ok(core)) => {
                self.state().load.heavy += 1;
                Ok(Pass {
                    doors: self.clone(),
                    core: Some(core),
                })
            }
            Ok(Err(_)) | Err(_) => Err(refused(LATE_S)),
        }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

fn refused(retry_after_s: u32) -> HttpError {
    metrics::counter!("trenza_server_sync_refused_total").increment(1);
    HttpError::unavailable(
        BUSY,
        "too many agents send at once; this one's turn comes",
        retry_after_s,
    )
}

struct Line<'a>(&'a Doors);

impl Drop for Line<'_> {
    fn drop(&mut self) {
        self.0.state().load.waiting -= 1;
    }
}

/// The right to be served, until it is dropped.
pub struct Pass {
    doors: Arc<Doors>,
    core: Option<OwnedSemaphorePermit>,
}

impl Drop for Pass {
    fn drop(&mut self) {
        let load = &mut self.doors.state().load;
        if self.core.is_some() {
            load.heavy -= 1;
        } else {
            load.light -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn heavy_requests_take_turns_light_ones_pass_and_the_rest_comes_again() {
        let doors = Doors::new(Limits {
            light_max: 2,
            heavy_max: 1,
            waiting_max: 1,
        });
        let (agent, other) = (AgentId([1; 16]), AgentId([2; 16]));
        let first = doors.enter_heavy(&agent, || 1).await.ok().unwrap();
        let waits = tokio::spawn({
            let doors = doors.clone();
            async move { doors.enter_heavy(&agent, || 1).await.is_ok() }
        });
        while doors.state().load.waiting == 0 {
            tokio::task::yield_now().await;
        }
        let refused = doors.enter_heavy(&other, || 1).await.err().unwrap();
        assert_eq!(refused.status, 503);
        let light = doors.enter_light(&agent).ok().unwrap();
        drop(first);
        assert!(waits.await.unwrap());
        // The line stands still: after a while whoever waits is told to come again, and the line is empty.
        let kept = doors.enter_heavy(&agent, || 1).await.ok().unwrap();
        assert!(doors.enter_heavy(&agent, || 1).await.is_err());
        drop((kept, light));
        assert_eq!(doors.state().load, Load::default());
    }
}
