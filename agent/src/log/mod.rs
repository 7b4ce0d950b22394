//! The agent's log: append-only, chained, by lanes; an event that is in it is on stable storage.
//!
//! Owns sequence numbers, the chain and the dedupe of SDK retries. Never talks to the network and never reads a clock.

mod read;
mod write;

use std::{collections::BTreeMap, sync::Arc};

use tokio::sync::watch;
use trenza_shared::{
    group_commit::{GroupCommit, GroupError},
    id::{AgentId, ChainHash, Epoch, EventId, Lane, Seq},
    store::{Batch, Durable, Store, StoreError},
    wire::entry::{CHAIN_START, Entry, SaltRoot},
};

use crate::tables::{LOG, STATE, StateRow};

pub use read::next_frame;
use write::Writer;

/// Where a lane ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Head {
    /// Last sequence number; 0 = empty.
    pub seq: Seq,
    /// Chain after it.
    pub hash: ChainHash,
}

/// The ends of all lanes of all epochs.
pub type Heads = BTreeMap<(Epoch, Lane), Head>;

/// An entry to append.
#[derive(Clone, Debug)]
pub struct NewEntry {
    /// For an event: its messageId and content id, by which a retry is known. A refusal has none.
    pub identity: Option<(String, EventId)>,
    /// What is stored.
    pub entry: Entry,
    /// When it was taken in. Unit: ms since 1970.
    pub at_ms: i64,
}

/// What one request appends to one lane.
#[derive(Clone, Debug)]
pub struct Append {
    /// The lane.
    pub lane: Lane,
    /// The entries, in the client's order.
    pub entries: Vec<NewEntry>,
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
    /// Who writes it.
    pub agent: AgentId,
    /// The epoch in which it is written.
    pub epoch: Epoch,
}

/// How the log starts: facts from outside that a fresh store needs.
#[derive(Clone, Copy)]
pub struct Fresh {
    /// Epoch of a store that has none yet: greater than any used before.
    pub epoch: Epoch,
    /// 32 random bytes.
    pub salt_root: [u8; 32],
}

impl Log {
    /// Opens the log in `store`, finding its heads in the data itself: there is no second source of truth.
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub fn open(store: Arc<dyn Store>, agent: AgentId, fresh: Fresh) -> Result<(Self, std::thread::JoinHandle<()>), StoreError> {
        let state = match STATE.get(&*store, &())? {
            Some(state) => state,
            None => {
                let state = StateRow { epoch: fresh.epoch, salt_root: fresh.salt_root.to_vec() };
                let mut batch = Batch::new();
                STATE.put(&mut batch, &(), &state)?;
                store.commit(batch, Durable::Yes)?;
                state
            }
        };
        let salt_root = SaltRoot(<[u8; 32]>::try_from(state.salt_root.as_slice()).map_err(|_| StoreError::Corrupt {
            space: STATE.space().0.into(),
            detail: "the salt root is not 32 bytes".into(),
        })?);
        let heads = heads(&*store, state.epoch)?;
        let (told, heads_seen) = watch::channel(Arc::new(heads.clone()));
        let writer = Writer { store: store.clone(), agent, epoch: state.epoch, salt_root, heads, told };
        let (commits, thread) = GroupCommit::start("log", writer)
            .map_err(|error| StoreError::Io { doing: "start of the log's thread", detail: error.to_string() })?;
        Ok((Self { store, commits, heads: heads_seen, agent, epoch: state.epoch }, thread))
    }

    /// Appends, and returns once it is on stable storage: how many entries were there already.
    ///
    /// # Errors
    /// Nothing was acknowledged; the client may send all of it again.
    pub async fn append(&self, append: Append) -> Result<usize, GroupError<AppendError>> {
        let bytes = append.entries.iter().map(|new| new.entry.bytes()).sum();
        self.commits.submit(append, bytes).await
    }

    /// Where the lanes end now; changes are told to clones of the receiver.
    pub fn heads(&self) -> watch::Receiver<Arc<Heads>> {
        self.heads.clone()
    }

    /// The store it lives in.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }
}

/// Reads the ends of all lanes from the last chunk of each.
fn heads(store: &dyn Store, epoch: Epoch) -> Result<Heads, StoreError> {
    let mut heads = Heads::new();
    for epoch in 0..=epoch {
        for lane in Lane::ALL {
            if let Some((_, chunk)) = LOG.last(store, &(epoch, lane))? {
                heads.insert((epoch, lane), Head { seq: chunk.0.last(), hash: chunk.0.head });
            }
        }
    }
    for lane in Lane::ALL {
        heads.entry((epoch, lane)).or_insert(Head { seq: 0, hash: CHAIN_START });
    }
    Ok(heads)
}
