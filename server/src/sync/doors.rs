//! Where agents' requests wait for their turn: [`admission`](super::admission) decides, this keeps count.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use trenza_shared::{id::AgentId, net::error::HttpError};

use super::admission::{Limits, Load, Verdict, Weight, admit, retry_after_s};

/// Longest wait for a turn: well below the time after which an agent gives up.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// The doors of one server.
pub struct Doors {
    limits: Limits,
    load: Mutex<Load>,
    turns: Arc<Semaphore>,
}

impl Doors {
    /// Open doors.
    pub fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            turns: Arc::new(Semaphore::new(limits.heavy_max)),
            load: Mutex::default(),
            limits,
        })
    }

    fn load(&self) -> MutexGuard<'_, Load> {
        self.load.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a request in, at once or after a wait; it counts as being done until the pass is dropped.
    ///
    /// # Errors
    /// There is too much to do: 503 with the time at which this agent may come again.
    pub async fn enter(
        self: &Arc<Self>,
        weight: Weight,
        agent: &AgentId,
    ) -> Result<Pass, HttpError> {
        let verdict = {
            let mut load = self.load();
            let verdict = admit(*load, self.limits, weight, agent);
            match (verdict, weight) {
                (Verdict::Now, Weight::Light) => load.light += 1,
                (Verdict::Now | Verdict::Wait, _) => load.waiting += 1,
                (Verdict::Later { .. }, _) => {}
            }
            verdict
        };
        if let Verdict::Later { retry_after_s } = verdict {
            return Err(self.refused(retry_after_s));
        }
        if weight == Weight::Light {
            return Ok(Pass {
                doors: self.clone(),
                turn: None,
            });
        }
        // Whoever goes away while waiting leaves the line.
        let line = Line(self);
        let turn = timeout(WAIT_MAX, self.turns.clone().acquire_owned()).await;
        let again = retry_after_s(*self.load(), self.limits, agent);
        drop(line);
        match turn {
            Ok(Ok(turn)) => {
                self.load().heavy += 1;
                Ok(Pass {
                    doors: self.clone(),
                    turn: Some(turn),
                })
            }
            Ok(Err(_)) | Err(_) => Err(self.refused(again)),
        }
    }

    fn refused(&self, retry_after_s: u32) -> HttpError {
        metrics::counter!("trenza_server_sync_refused_total").increment(1);
        HttpError::unavailable(
            "busy",
            "too many agents send at once; this one's turn comes",
            retry_after_s,
        )
    }
}

struct Line<'a>(&'a Doors);

impl Drop for Line<'_> {
    fn drop(&mut self) {
        self.0.load().waiting -= 1;
    }
}

/// The right to be served, until it is dropped.
pub struct Pass {
    doors: Arc<Doors>,
    turn: Option<OwnedSemaphorePermit>,
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut load = self.doors.load();
        if self.turn.is_some() {
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
        let agent = AgentId([1; 16]);
        let first = doors.enter(Weight::Heavy, &agent).await.ok().unwrap();
        let waits = tokio::spawn({
            let doors = doors.clone();
            async move { doors.enter(Weight::Heavy, &agent).await.is_ok() }
        });
        while doors.load().waiting == 0 {
            tokio::task::yield_now().await;
        }
        let refused = doors.enter(Weight::Heavy, &agent).await.err().unwrap();
        assert_eq!(refused.status, 503);
        let light = doors.enter(Weight::Light, &agent).await.ok().unwrap();
        drop(first);
        assert!(waits.await.unwrap());
        // Nobody's turn comes: after a while it is told to come again, and the line is empty.
        let kept = doors.enter(Weight::Heavy, &agent).await.ok().unwrap();
        assert!(doors.enter(Weight::Heavy, &agent).await.is_err());
        drop((kept, light));
        assert_eq!(*doors.load(), Load::default());
    }
}
