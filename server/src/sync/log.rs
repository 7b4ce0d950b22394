//! The server's log: every record as received, in one order, durable before anybody is answered.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use metrics::{counter, histogram};

use tokio::sync::watch;
use trenza_shared::{
    group_commit::{Committer, GroupCommit, GroupError},
    id::{AgentId, ChainHash, Epoch, Lane, Seq},
    store::{Batch, Direction, Durable, Store, StoreError},
    wire::{
        entry::{CHAIN_START, Entry},
        frame::{Frame, Run},
        sync::LaneHave,
    },
};

use crate::tables::{Hop, LANES, LOG, LaneRow, RecordRow};

/// What comes to the log.
#[derive(Clone)]
pub struct Arrival {
    /// When, by the server's clock. Unit: ms since 1970.
    pub received_ms: i64,
    /// By what way.
    pub hop: Hop,
    /// How many entries.
    pub count: u32,
    /// The entries.
    pub run: Run,
    /// For an agent's frame, whose chain was checked: from which link to which it leads.
    pub links: Option<(ChainHash, ChainHash)>,
}

impl Arrival {
    /// Entries that the server itself took in or imported.
    pub fn own(received_ms: i64, hop: Hop, entries: &[Entry]) -> Self {
        let count = u32::try_from(entries.len()).unwrap_or(u32::MAX);
        Self {
            received_ms,
            hop,
            count,
            run: Run::pack(entries),
            links: None,
        }
    }

    /// A frame whose chain was checked.
    pub fn frame(received_ms: i64, frame: Frame) -> Self {
        let hop = Hop::Agent {
            agent: frame.agent,
            epoch: frame.epoch,
            lane: frame.lane,
            first: frame.first,
        };
        Self {
            received_ms,
            hop,
            count: frame.count,
            run: frame.run,
            links: Some((frame.previous, frame.head)),
        }
    }
}

/// What became of an arrival.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Placed {
    /// It is on stable storage, as this record.
    Stored(u64),
    /// A frame that was there already.
    Known(LaneRowAt),
    /// A frame that does not follow what is there.
    Gap(LaneRowAt),
    /// A frame that contradicts what is there.
    Fork(LaneRowAt),
}

/// Where a lane ends on the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LaneRowAt {
    /// Last sequence number.
    pub seq: Seq,
    /// Chain after it.
    pub hash: ChainHash,
}

impl LaneRowAt {
    /// As told to the agent. Without a backup or a second node, stored counts as archived.
    pub fn have(self, epoch: Epoch, lane: Lane) -> LaneHave {
        LaneHave {
            epoch,
            lane,
            acked: self.seq,
            hash: self.hash,
            archived: self.seq,
            ..LaneHave::nothing(epoch, lane)
        }
    }
}

/// How a frame stands to what is there: a pure decision.
pub fn place(
    at: LaneRowAt,
    first: Seq,
    last: Seq,
    previous: ChainHash,
    head: ChainHash,
) -> Option<Placed> {
    if last < at.seq || (last == at.seq && head == at.hash) {
        return Some(Placed::Known(at));
    }
    if last == at.seq {
        return Some(Placed::Fork(at));
    }
    if first != at.seq + 1 {
        return Some(Placed::Gap(at));
    }
    (previous != at.hash).then_some(Placed::Fork(at))
}

/// The one writer of the log.
pub struct Writer {
    store: Arc<dyn Store>,
    /// Number of the next record; none after a failed commit, of which nobody knows what it left behind.
    next: Option<u64>,
    told: watch::Sender<u64>,
}

/// A handle to the log.
#[derive(Clone)]
pub struct Log {
    commits: GroupCommit<Writer>,
    last: watch::Receiver<u64>,
}

impl Log {
    /// Opens the log in `store`; its end is found in the data itself.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn open(store: Arc<dyn Store>) -> Result<(Self, std::thread::JoinHandle<()>), StoreError> {
        let end = end(&*store)?;
        let (told, last) = watch::channel(end);
        let (commits, thread) = GroupCommit::start(
            "log",
            Writer {
                store,
                next: Some(end + 1),
                told,
            },
        )
        .map_err(|error| StoreError::Io {
            doing: "start of the log's thread",
            detail: error.to_string(),
        })?;
        Ok((Self { commits, last }, thread))
    }

    /// Appends, and returns once it is on stable storage.
    ///
    /// # Errors
    /// Nothing was acknowledged; all of it may be sent again.
    pub async fn append(&self, arrival: Arrival) -> Result<Placed, GroupError<StoreError>> {
        let bytes = arrival.run.0.len();
        self.commits.submit(arrival, bytes).await
    }

    /// The number of the last record, as it grows.
    pub fn last(&self) -> watch::Receiver<u64> {
        self.last.clone()
    }
}

impl Committer for Writer {
    type Item = Arrival;
    type Done = Placed;
    type Error = StoreError;

    fn commit(&mut self, items: Vec<Arrival>) -> Vec<Result<Placed, StoreError>> {
        let count = items.len();
        let started = Instant::now();
        match self.write(items) {
            Ok((placed, next)) => {
                self.next = Some(next);
                self.told.send_replace(next - 1);
                histogram!("trenza_server_commit_seconds").record(started.elapsed().as_secs_f64());
                placed.into_iter().map(Ok).collect()
            }
            Err(error) => {
                self.next = None;
                counter!("trenza_server_commits_failed_total").increment(1);
                (0..count).map(|_| Err(error.clone())).collect()
            }
        }
    }
}

impl Writer {
    fn write(&self, items: Vec<Arrival>) -> Result<(Vec<Placed>, u64), StoreError> {
        let mut batch = Batch::new();
        let mut next = match self.next {
            Some(next) => next,
            None => end(&*self.store)? + 1,
        };
        let mut lanes: BTreeMap<(AgentId, Epoch, Lane), LaneRowAt> = BTreeMap::new();
        let mut placed = Vec::with_capacity(items.len());
        for arrival in items {
            if let (
                Hop::Agent {
                    agent,
                    epoch,
                    lane,
                    first,
                },
                Some((previous, head)),
            ) = (&arrival.hop, arrival.links)
            {
                let key = (*agent, *epoch, *lane);
                let at = match lanes.get(&key) {
                    Some(at) => *at,
                    None => lane_end(&*self.store, &key)?,
                };
                let last = first + u64::from(arrival.count) - 1;
                if let Some(other) = place(at, *first, last, previous, head) {
                    placed.push(other);
                    continue;
                }
                lanes.insert(
                    key,
                    LaneRowAt {
                        seq: last,
                        hash: head,
                    },
                );
                LANES.put(
                    &mut batch,
                    &key,
                    &LaneRow {
                        seq: last,
                        hash: head,
                    },
                )?;
            }
            let (hop, count) = (arrival.hop.name(), arrival.count);
            let row = RecordRow {
                received_ms: arrival.received_ms,
                hop: arrival.hop,
                count: arrival.count,
                run: arrival.run,
            };
            LOG.put(&mut batch, &next, &row)?;
            counter!("trenza_server_entries_total", "hop" => hop).increment(u64::from(count));
            placed.push(Placed::Stored(next));
            next += 1;
        }
        if !batch.is_empty() {
            self.store.commit(batch, Durable::Yes)?;
        }
        Ok((placed, next))
    }
}

/// The number of the last record; 0 of an empty log.
fn end(store: &dyn Store) -> Result<u64, StoreError> {
    let last = LOG.scan(store, None, None, Direction::Back, 1)?.pop();
    Ok(last.map_or(0, |(number, _)| number))
}

/// Where a lane ends; an unknown one is empty.
///
/// # Errors
/// The store cannot be read.
pub fn lane_end(store: &dyn Store, key: &(AgentId, Epoch, Lane)) -> Result<LaneRowAt, StoreError> {
    Ok(LANES.get(store, key)?.map_or(
        LaneRowAt {
            seq: 0,
            hash: CHAIN_START,
        },
        |row| LaneRowAt {
            seq: row.seq,
            hash: row.hash,
        },
    ))
}

#[cfg(test)]
mod tests {
    use trenza_shared::{
        store::{Fault, FaultyStore},
        wire::entry::SaltRoot,
    };

    use super::*;

    #[test]
    fn a_frame_is_stored_known_a_gap_or_a_fork() {
        let h = |byte| ChainHash([byte; 32]);
        let at = LaneRowAt {
            seq: 10,
            hash: h(10),
        };
        assert_eq!(place(at, 11, 12, h(10), h(12)), None);
        assert_eq!(place(at, 9, 10, h(8), h(10)), Some(Placed::Known(at)));
        assert_eq!(place(at, 1, 4, h(0), h(4)), Some(Placed::Known(at)));
        assert_eq!(place(at, 9, 10, h(8), h(99)), Some(Placed::Fork(at)));
        assert_eq!(place(at, 11, 12, h(99), h(12)), Some(Placed::Fork(at)));
        assert_eq!(place(at, 13, 14, h(12), h(14)), Some(Placed::Gap(at)));
        assert_eq!(place(at, 9, 12, h(8), h(12)), Some(Placed::Gap(at)));
    }

    fn frame(first: u64, previous: ChainHash, text: &str) -> Frame {
        let key = SaltRoot([1; 32]).block_key(1, Lane::Visits, first);
        let entry = Entry {
            open: vec![1],
            personal: text.as_bytes().to_vec(),
        };
        Frame::seal(
            AgentId([1; 16]),
            1,
            Lane::Visits,
            first,
            previous,
            key,
            &[entry],
        )
    }

    /// A commit that was reported as failed may be there all the same. Writing over its record would lose a frame that its agent
    /// is later told is stored.
    #[tokio::test]
    async fn a_commit_that_failed_and_is_there_is_never_written_over() {
        let store = Arc::new(FaultyStore::new(1, Fault::AppliedButReported));
        let (log, _thread) = Log::open(store.clone()).unwrap();
        let one = frame(1, CHAIN_START, "one");
        log.append(Arrival::frame(1, one.clone()))
            .await
            .unwrap_err();
        store.fail_every(0, Fault::Refused);
        let own = Arrival::own(
            2,
            Hop::Own,
            &[Entry {
                open: vec![1],
                personal: b"two".to_vec(),
            }],
        );
        assert_eq!(log.append(own).await.unwrap(), Placed::Stored(2));
        let known = LaneRowAt {
            seq: 1,
            hash: one.head,
        };
        assert_eq!(
            log.append(Arrival::frame(3, one.clone())).await.unwrap(),
            Placed::Known(known)
        );
        assert_eq!(LOG.get(&*store, &1).unwrap().unwrap().run, one.run);
    }
}
