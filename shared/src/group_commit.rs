//! Group commit: callers that come at the same time share one write and one fsync.
//!
//! Owns the queue between many async callers and the one thread that writes. What is written, and how, is the committer's.

mod gather;

use std::{
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use tokio::sync::{Semaphore, mpsc, oneshot};

pub use gather::Gather;

/// Most callers in one commit.
pub const GROUP_MAX: usize = 512;
/// Most callers that wait; a further one is told that there is no room.
pub const QUEUE_MAX: usize = 4_096;
/// Most bytes that wait, all callers together: what a burst may cost in memory.
pub const QUEUE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The one writer behind a [`GroupCommit`].
pub trait Committer: Send + 'static {
    /// What a caller hands in.
    type Item: Send + 'static;
    /// What a caller gets back, once it is on stable storage.
    type Done: Send + 'static;
    /// Why it was not stored.
    type Error: Send + 'static;

    /// How long a group at a moderate pace waits for more callers, see [`Gather`]; zero: never.
    const GATHER: Duration = Duration::ZERO;

    /// Runs on the writer's thread before anything is written, while callers may already hand in.
    fn begin(&mut self) {}

    /// Writes all items with one fsync; answers in their order, one answer an item.
    fn commit(&mut self, items: Vec<Self::Item>) -> Vec<Result<Self::Done, Self::Error>>;
}

/// Why an item did not get an answer of the committer's own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GroupError<E> {
    /// Too much waits already; come back later.
    #[error("too many requests wait to be stored; try again in a moment")]
    Busy,
    /// The program is stopping.
    #[error("the log is closed, the program is stopping")]
    Closed,
    /// The committer refused it.
    #[error("{0}")]
    Refused(E),
}

type Answer<C> = Result<<C as Committer>::Done, <C as Committer>::Error>;

struct Waiting<C: Committer> {
    item: C::Item,
    bytes: u32,
    since: Instant,
    answer: oneshot::Sender<Answer<C>>,
}

/// A handle to the writer; clones share it. Its thread ends when the last one is dropped.
pub struct GroupCommit<C: Committer>(Way<C>);

enum Way<C: Committer> {
    Thread {
        queue: mpsc::Sender<Waiting<C>>,
        room: Arc<Semaphore>,
    },
    /// For simulations: the caller writes, so that one seed is one order of events.
    Inline(Arc<Mutex<C>>),
}

impl<C: Committer> Clone for GroupCommit<C> {
    fn clone(&self) -> Self {
        Self(match &self.0 {
            Way::Thread { queue, room } => Way::Thread {
                queue: queue.clone(),
                room: room.clone(),
            },
            Way::Inline(committer) => Way::Inline(committer.clone()),
        })
    }
}

impl<C: Committer> GroupCommit<C> {
    /// Starts the writer's thread. Join the returned handle after the last clone is gone to know that all is written.
    ///
    /// # Errors
    /// The system gives no more threads.
    pub fn start(name: &str, mut committer: C) -> std::io::Result<(Self, thread::JoinHandle<()>)> {
        let (queue, mut waiting) = mpsc::channel::<Waiting<C>>(QUEUE_MAX);
        let room = Arc::new(Semaphore::new(QUEUE_BYTES_MAX));
        let freed = room.clone();
        let thread = thread::Builder::new().name(name.into()).spawn(move || {
            let mut group = Vec::with_capacity(GROUP_MAX);
            committer.begin();
            let (mut gather, started) = (Gather::new(C::GATHER), Instant::now());
            while waiting.blocking_recv_many(&mut group, GROUP_MAX) > 0 {
                let wait = if C::GATHER.is_zero() {
                    Duration::ZERO
                } else {
                    let waited = group.first().map(|first| first.since.elapsed());
                    gather.wait(started.elapsed(), group.len(), waited.unwrap_or_default())
                };
                if !wait.is_zero() {
                    let before = group.len();
                    thread::sleep(wait);
                    while group.len() < GROUP_MAX
                        && let Ok(one) = waiting.try_recv()
                    {
                        group.push(one);
                    }
                    gather.joined(group.len() - before);
                }
                let mut items = Vec::with_capacity(group.len());
                let mut answers = Vec::with_capacity(group.len());
                for one in group.drain(..) {
                    items.push(one.item);
                    answers.push((one.answer, one.bytes));
                }
                let results = committer.commit(items);
                debug_assert_eq!(results.len(), answers.len(), "one answer an item");
                for ((answer, bytes), result) in answers.into_iter().zip(results) {
                    freed.add_permits(bytes as usize);
                    // A caller that went away does not need the answer; what it sent is stored all the same.
                    let _gone = answer.send(result);
                }
            }
        })?;
        Ok((Self(Way::Thread { queue, room }), thread))
    }

    /// A writer without a thread: every item is written on its own, by its caller, before `submit` first waits.
    pub fn inline(mut committer: C) -> Self {
        committer.begin();
        Self(Way::Inline(Arc::new(Mutex::new(committer))))
    }

    /// Hands in an item of about `bytes` and waits until it is on stable storage.
    ///
    /// # Errors
    /// [`GroupError`]; after `Closed` it is unknown whether the item was stored.
    pub async fn submit(
        &self,
        item: C::Item,
        bytes: usize,
    ) -> Result<C::Done, GroupError<C::Error>> {
        let (queue, room) = match &self.0 {
            Way::Thread { queue, room } => (queue, room),
            Way::Inline(committer) => {
                let mut committer = committer.lock().unwrap_or_else(PoisonError::into_inner);
                let answer = committer.commit(vec![item]).pop();
                return answer
                    .ok_or(GroupError::Closed)?
                    .map_err(GroupError::Refused);
            }
        };
        let bytes = u32::try_from(bytes.clamp(1, QUEUE_BYTES_MAX)).unwrap_or(u32::MAX);
        let permit = room.try_acquire_many(bytes).map_err(|_| GroupError::Busy)?;
        let (answer, done) = oneshot::channel();
        queue
            .try_send(Waiting {
                item,
                bytes,
                since: Instant::now(),
                answer,
            })
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => GroupError::Busy,
                mpsc::error::TrySendError::Closed(_) => GroupError::Closed,
            })?;
        permit.forget();
        done.await
            .map_err(|_| GroupError::Closed)?
            .map_err(GroupError::Refused)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Mutex,
        mpsc::{Receiver, channel},
    };

    use super::*;

    impl<C: Committer> GroupCommit<C> {
        fn free_bytes(&self) -> usize {
            match &self.0 {
                Way::Thread { room, .. } => room.available_permits(),
                Way::Inline(_) => QUEUE_BYTES_MAX,
            }
        }
    }

    struct Recorder {
        groups: Arc<Mutex<Vec<usize>>>,
        gate: Receiver<()>,
    }

    impl Committer for Recorder {
        type Item = u32;
        type Done = u32;
        type Error = &'static str;

        fn commit(&mut self, items: Vec<u32>) -> Vec<Result<u32, &'static str>> {
            let _open = self.gate.recv();
            self.groups.lock().unwrap().push(items.len());
            items
                .into_iter()
                .map(|item| {
                    if item == 13 {
                        Err("unlucky")
                    } else {
                        Ok(item * 2)
                    }
                })
                .collect()
        }
    }

    #[tokio::test]
    async fn callers_that_wait_share_one_commit_and_get_their_own_answers() {
        let groups = Arc::new(Mutex::new(Vec::new()));
        let (open, gate) = channel();
        let (log, thread) = GroupCommit::start(
            "test",
            Recorder {
                groups: groups.clone(),
                gate,
            },
        )
        .unwrap();
        let callers: Vec<_> = (0..40)
            .map(|item| {
                tokio::spawn({
                    let log = log.clone();
                    async move { log.submit(item, 10).await }
                })
            })
            .collect();
        while log.free_bytes() > QUEUE_BYTES_MAX - 400 {
            tokio::task::yield_now().await;
        }
        drop(open);
        for (item, caller) in (0..).zip(callers) {
            let expected = if item == 13 {
                Err(GroupError::Refused("unlucky"))
            } else {
                Ok(item * 2)
            };
            assert_eq!(caller.await.unwrap(), expected);
        }
        assert!(groups.lock().unwrap().len() <= 2, "{groups:?}");
        assert_eq!(log.free_bytes(), QUEUE_BYTES_MAX);
        drop(log);
        thread.join().unwrap();
    }

    #[tokio::test]
    async fn without_a_thread_the_caller_writes_and_gets_its_own_answer() {
        let groups = Arc::new(Mutex::new(Vec::new()));
        let (open, gate) = channel();
        drop(open);
        let log = GroupCommit::inline(Recorder {
            groups: groups.clone(),
            gate,
        });
        assert_eq!(log.submit(4, 1).await, Ok(8));
        assert_eq!(
            log.clone().submit(13, 1).await,
            Err(GroupError::Refused("unlucky"))
        );
        assert_eq!(*groups.lock().unwrap(), [1, 1]);
    }

    #[tokio::test]
    async fn more_bytes_than_there_is_room_for_are_refused_at_once() {
        let (_open, gate) = channel();
        let (log, _thread) = GroupCommit::start(
            "test",
            Recorder {
                groups: Arc::default(),
                gate,
            },
        )
        .unwrap();
        let first = tokio::spawn({
            let log = log.clone();
            async move { log.submit(1, QUEUE_BYTES_MAX).await }
        });
        while log.free_bytes() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(log.submit(2, 1).await, Err(GroupError::Busy));
        first.abort();
    }
}
