//! The agent's log: append-only, chained, by lanes; an event that is in it is on stable storage.
//!
//! Owns sequence numbers, the chain and the dedupe of SDK retries that come soon. Never talks to the network and never reads a clock.

mod dropped;
pub mod marks; // what is how old
mod prune;
mod read;
mod recent;
mod settle;
#[cfg(test)]
mod tests;
mod write;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;
use trenza_shared::{
    event::Captured,
    group_commit::{GroupCommit, GroupError},
    id::{AgentId, ChainHash, Epoch, Lane, Seq},
    store::{Batch, Direction, Durable, Store, StoreError},
    wire::{
        entry::{CHAIN_START, Entry, SaltRoot},
        frame::{LEVEL_QUICK, Packer},
        sync::Lineage,
    },
};

use crate::tables::{LOG, STATE, StateRow, Trusted};

pub use dropped::{Drops, Yield};
pub use prune::prune;
pub(crate) use read::holding;
pub use read::{hash_at, next_frame, oldest, open_at};
pub use recent::{Fingerprint, RECENT_MAX};
use recent::{Fingerprints, Recent};
pub use settle::{KNOWN_DAYS, Step, forget, settle};
use write::Writer;

/// Where a lane ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Head {
    /// Last sequence number; 0 = empty.
    pub seq: Seq,
    /// Chain after it.
    pub hash: ChainHash,
}

impl Head {
    /// An empty lane's.
    pub const START: Self = Self {
        seq: 0,
        hash: CHAIN_START,
    };
}

/// The ends of all lanes of all epochs.
pub type Heads = BTreeMap<(Epoch, Lane), Head>;

/// An entry to append.
#[derive(Clone, Debug)]
pub struct NewEntry {
    /// For an event: by what a retry is known. A refusal has none.
    pub identity: Option<Fingerprint>,
    /// What is stored.
    pub entry: Entry,
}

/// What one request appends to one lane.
#[derive(Clone, Debug)]
pub struct Append {
    /// The lane.
    pub lane: Lane,
    /// The entries, in the client's order.
    pub entries: Vec<NewEntry>,
}

/// What becomes of the part of a lane that is not appended again.
#[derive(Clone, Copy, Debug)]
pub enum Left {
    /// There is none.
    Nothing,
    /// It is still sent, up to where the branches part.
    Sent(Lineage),
    /// The server has it, under the id that this device had.
    Trusted(Trusted),
}

/// What the one writer is asked to do.
enum Work {
    /// All of them in one batch.
    Append(Vec<Append>),
    /// The oldest entries that yield go, for want of room.
    GiveUp(Yield),
    /// A new epoch; of another id when one is named.
    Renew(StateRow, Option<AgentId>),
    /// An end of a lane of an earlier epoch.
    Leave(Epoch, Lane, Left),
}

/// What came of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Done {
    /// Of an append: entries that were there already. Of a giving up: those that the server did not have.
    pub entries: usize,
    /// Of a giving up: what was deleted; 0 where there was nothing. Unit: bytes.
    pub bytes: u64,
}

/// Why nothing was appended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The store could not commit; nothing of the request is acknowledged.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A handle to the log; clones share it.
#[derive(Clone)]
pub struct Log {
    store: Arc<dyn Store>,
    commits: GroupCommit<Writer>,
    heads: watch::Receiver<Arc<Heads>>,
    drops: watch::Receiver<Arc<Drops>>,
    fingerprints: Fingerprints,
    agent: watch::Receiver<AgentId>,
}

/// How the log starts: facts from outside that a fresh store needs.
#[derive(Clone, Copy)]
pub struct Fresh {
    /// Epoch of a store that has none yet: greater than any used before.
    pub epoch: Epoch,
    /// 32 random bytes.
    pub salt_root: [u8; 32],
    /// Whether positions may have been lost: then even a store that has an epoch goes on in the new one.
    pub damaged: bool,
}

impl Log {
    /// Opens the log in `store`, finding its heads in the data itself: there is no second source of truth.
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub fn open(
        store: Arc<dyn Store>,
        agent: AgentId,
        fresh: Fresh,
    ) -> Result<(Self, std::thread::JoinHandle<()>), StoreError> {
        Self::over(store, agent, fresh, |writer| {
            GroupCommit::start("log", writer).map_err(|error| StoreError::Io {
                doing: "start of the log's thread",
                detail: error.to_string(),
            })
        })
    }

    /// The same without a thread of its own: whoever appends writes. For simulations.
    ///
    /// # Errors
    /// As [`Log::open`].
    pub fn open_inline(
        store: Arc<dyn Store>,
        agent: AgentId,
        fresh: Fresh,
    ) -> Result<Self, StoreError> {
        let inline = |writer| Ok((GroupCommit::inline(writer), ()));
        Self::over(store, agent, fresh, inline).map(|(log, ())| log)
    }

    fn over<T>(
        store: Arc<dyn Store>,
        agent: AgentId,
        fresh: Fresh,
        start: impl FnOnce(Writer) -> Result<(GroupCommit<Writer>, T), StoreError>,
    ) -> Result<(Self, T), StoreError> {
        let state = match STATE.get(&*store, &())? {
            Some(state) if !fresh.damaged => state,
            other => {
                // Lanes that were left stay left.
                let before = other.unwrap_or_default();
                let state = StateRow {
                    epoch: fresh.epoch.max(before.epoch + 1),
                    salt_root: fresh.salt_root.to_vec(),
                    ..before
                };
                let mut batch = Batch::new();
                STATE.put(&mut batch, &(), &state)?;
                store.commit(batch, Durable::Yes)?;
                state
            }
        };
        let heads = heads(&*store, &state)?;
        let fingerprints = Fingerprints::default();
        // An epoch has one writer: one that was begun under another id goes on under it until the log is renamed.
        let agent = writer(&*store, state.epoch)?.unwrap_or(agent);
        let (agent, agent_seen) = watch::channel(agent);
        let (told, heads_seen) = watch::channel(Arc::new(heads.clone()));
        let (drops, drops_seen) = watch::channel(Arc::new(Drops::read(&*store)?));
        let writer = Writer {
            store: store.clone(),
            agent,
            salt_root: salt_root(&state)?,
            state,
            heads,
            told,
            drops,
            packer: Packer::new(LEVEL_QUICK),
            recent: Recent::default(),
            fingerprints: fingerprints.clone(),
            unsure: false,
        };
        let (commits, thread) = start(writer)?;
        Ok((
            Self {
                store,
                commits,
                heads: heads_seen,
                drops: drops_seen,
                fingerprints,
                agent: agent_seen,
            },
            thread,
        ))
    }

    /// Appends, and returns once it is on stable storage: how many entries were there already.
    ///
    /// # Errors
    /// Nothing was acknowledged; the client may send all of it again.
    pub async fn append(&self, append: Append) -> Result<usize, GroupError<AppendError>> {
        self.append_all(vec![append]).await
    }

    /// The same with several lanes in one batch: all of it or nothing.
    ///
    /// # Errors
    /// As [`Log::append`].
    pub async fn append_all(&self, appends: Vec<Append>) -> Result<usize, GroupError<AppendError>> {
        let entries = appends.iter().flat_map(|append| &append.entries);
        let bytes = entries.map(|new| new.entry.bytes()).sum();
        let done = self.commits.submit(Work::Append(appends), bytes).await?;
        Ok(done.entries)
    }

    /// Gives up the oldest entries that yield, a bounded number of them. On stable storage, together with what tells it, before this
    /// returns.
    ///
    /// # Errors
    /// Nothing was given up, or it is unknown whether: then it is found out before the next commit.
    pub async fn give_up(&self, what: Yield) -> Result<Done, GroupError<AppendError>> {
        self.commits.submit(Work::GiveUp(what), 1).await
    }

    /// What was given up so far.
    pub fn drops(&self) -> Arc<Drops> {
        self.drops.borrow().clone()
    }

    /// By what a retry of an event is known.
    pub fn fingerprint(&self, event: &Captured) -> Fingerprint {
        self.fingerprints.of(event)
    }

    /// Goes on in a new epoch, greater than any before.
    ///
    /// # Errors
    /// The log goes on as it was.
    pub async fn renew(
        &self,
        epoch: Epoch,
        salt_root: [u8; 32],
    ) -> Result<(), GroupError<AppendError>> {
        let state = StateRow {
            epoch,
            salt_root: salt_root.to_vec(),
            ..StateRow::default()
        };
        self.commits
            .submit(Work::Renew(state, None), 1)
            .await
            .map(drop)
    }

    /// Goes on under another id, in a new epoch, greater than any before.
    ///
    /// # Errors
    /// The log goes on as it was.
    pub async fn rename(
        &self,
        agent: AgentId,
        epoch: Epoch,
        salt_root: [u8; 32],
    ) -> Result<(), GroupError<AppendError>> {
        let state = StateRow {
            epoch,
            salt_root: salt_root.to_vec(),
            ..StateRow::default()
        };
        self.commits
            .submit(Work::Renew(state, Some(agent)), 1)
            .await
            .map(drop)
    }

    /// Under whose id it is written.
    pub fn agent(&self) -> AgentId {
        *self.agent.borrow()
    }

    /// Ends a lane of an earlier epoch, once what it held was appended again, but for what is `left`.
    ///
    /// # Errors
    /// The lane is as it was.
    pub async fn leave(
        &self,
        epoch: Epoch,
        lane: Lane,
        left: Left,
    ) -> Result<(), GroupError<AppendError>> {
        let work = Work::Leave(epoch, lane, left);
        self.commits.submit(work, 1).await.map(drop)
    }

    /// The epoch in which it is written.
    pub fn epoch(&self) -> Epoch {
        self.heads
            .borrow()
            .keys()
            .map(|(epoch, _)| *epoch)
            .max()
            .unwrap_or_default()
    }

    /// Where the lanes end now; changes are told to clones of the receiver.
    pub fn heads(&self) -> watch::Receiver<Arc<Heads>> {
        self.heads.clone()
    }

    /// Where the lanes end now.
    pub fn ends(&self) -> Arc<Heads> {
        self.heads.borrow().clone()
    }

    /// The store it lives in.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }
}

/// Held by whoever deletes or replaces chunks, from its look at them to its commit: the key of a chunk stays when more is joined
/// to it, so what was read before may be another chunk now. One for the process, since a process has one log.
pub(crate) fn chunks_change() -> MutexGuard<'static, ()> {
    static CHANGE: Mutex<()> = Mutex::new(());
    CHANGE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads the ends of all lanes from the last chunk of each; one that was left ends where it went on elsewhere.
///
/// # Errors
/// The store cannot be read, or a chunk is damaged.
pub fn heads(store: &dyn Store, state: &StateRow) -> Result<Heads, StoreError> {
    let mut heads = Heads::new();
    // From lane to lane: epochs may have any numbers, and between two of them nothing is looked at.
    let mut from = (0, Lane::ALL[0], 0);
    while let Some(((epoch, lane, _), _)) = LOG
        .scan(store, Some(&from), None, Direction::Forward, 1)?
        .pop()
    {
        let mut branches = state.lineage.iter();
        let branch = branches.find(|one| (one.from, one.lane) == (epoch, lane));
        let end = match branch {
            _ if !state.left.contains(&(epoch, lane)) => LOG
                .last(store, &(epoch, lane))?
                .map(|(_, chunk)| (chunk.0.last(), chunk.0.head)),
            Some(branch) => {
                hash_at(store, epoch, lane, branch.after)?.map(|hash| (branch.after, hash))
            }
            None => None,
        };
        if let Some((seq, hash)) = end {
            heads.insert((epoch, lane), Head { seq, hash });
        }
        from = (epoch, lane, Seq::MAX);
    }
    for lane in Lane::ALL {
        heads.entry((state.epoch, lane)).or_insert(Head::START);
    }
    Ok(heads)
}

/// Under whose id an epoch was written; none when it is empty.
fn writer(store: &dyn Store, epoch: Epoch) -> Result<Option<AgentId>, StoreError> {
    for lane in Lane::ALL {
        if let Some((_, chunk)) = LOG.last(store, &(epoch, lane))? {
            return Ok(Some(chunk.0.agent));
        }
    }
    Ok(None)
}

fn salt_root(state: &StateRow) -> Result<SaltRoot, StoreError> {
    <[u8; 32]>::try_from(state.salt_root.as_slice())
        .map(SaltRoot)
        .map_err(|_| StoreError::Corrupt {
            space: STATE.space().0.into(),
            detail: "the salt root is not 32 bytes".into(),
        })
}
