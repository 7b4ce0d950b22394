//! The server's log: every record as received, in one order, durable before anybody is answered.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use metrics::{counter, histogram};

use tokio::sync::watch;
use trenza_shared::{
    group_commit::{Committer, GroupCommit, GroupError},
    id::Seq,
    store::{Direction, Durable, Overlay, Store, StoreError},
    wire::{
        entry::Entry,
        frame::{Frame, Run},
        sync::{Mark, Segment},
    },
};

use super::{
    chain::{self, LaneKey},
    place::{Place, place},
    segments::{self, SEGMENTS_STORED_MAX},
};
use crate::tables::{Hop, LANES, LOG, LaneRow, Links, MARKS, MarkRow, RecordRow};

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
    pub links: Option<Links>,
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
            links: Some(Links {
                previous: frame.previous,
                head: frame.head,
                salt_key: frame.salt_key,
            }),
        }
    }
}

/// What became of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It is on stable storage.
    Stored,
    /// It was already.
    Known,
    /// It lies beyond too many gaps.
    Full,
    /// It contradicts what is there.
    Fork,
}

/// What became of an arrival.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Placed {
    /// What the server took in itself is on stable storage, as this record.
    Own(u64),
    /// An agent's frame.
    Frame {
        /// What became of it.
        outcome: Outcome,
        /// What is there of its lane now.
        lane: LaneRow,
        /// Of a fork: places by which the last common number is found.
        marks: Vec<Mark>,
    },
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
        Self::over(store, |writer| {
            GroupCommit::start("log", writer).map_err(|error| StoreError::Io {
                doing: "start of the log's thread",
                detail: error.to_string(),
            })
        })
    }

    /// The same without a thread of its own: whoever appends writes. For simulations.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn open_inline(store: Arc<dyn Store>) -> Result<Self, StoreError> {
        Self::over(store, |writer| Ok((GroupCommit::inline(writer), ()))).map(|(log, ())| log)
    }

    fn over<T>(
        store: Arc<dyn Store>,
        start: impl FnOnce(Writer) -> Result<(GroupCommit<Writer>, T), StoreError>,
    ) -> Result<(Self, T), StoreError> {
        let end = end(&*store)?;
        let (told, last) = watch::channel(end);
        let (commits, thread) = start(Writer {
            store,
            next: Some(end + 1),
            told,
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
        let next = match self.next {
            Some(next) => next,
            None => end(&*self.store)? + 1,
        };
        let mut step = Step {
            view: Overlay::new(&*self.store),
            lanes: BTreeMap::new(),
            next,
        };
        let placed = items
            .into_iter()
            .map(|arrival| step.put(arrival))
            .collect::<Result<Vec<_>, _>>()?;
        let next = step.next;
        for ((agent, epoch, lane), (row, changed)) in step.lanes {
            if changed {
                LANES.put(&mut step.view, &(agent, epoch, lane), &row)?;
            }
        }
        if !step.view.is_empty() {
            self.store.commit(step.view.into_batch(), Durable::Yes)?;
        }
        Ok((placed, next))
    }
}

/// One commit while it is put together.
struct Step<'a> {
    view: Overlay<'a>,
    /// The lanes it touches, and whether it changes them.
    lanes: BTreeMap<LaneKey, (LaneRow, bool)>,
    next: u64,
}

impl Step<'_> {
    fn put(&mut self, arrival: Arrival) -> Result<Placed, StoreError> {
        let (
            &Hop::Agent {
                agent,
                epoch,
                lane,
                first,
            },
            Some(links),
        ) = (&arrival.hop, arrival.links)
        else {
            return Ok(Placed::Own(self.record(arrival)?));
        };
        let key = (agent, epoch, lane);
        let stored = match self.lanes.get(&key) {
            Some((row, _)) => row.clone(),
            None => segments::stored(&self.view, &key)?,
        };
        let row = segments::around(&self.view, &key, &stored, first)?;
        let room = SEGMENTS_STORED_MAX.saturating_sub(row.earlier as usize);
        let frame = Segment {
            first,
            last: first.saturating_add(u64::from(arrival.count).saturating_sub(1)),
            previous: links.previous,
            head: links.head,
        };
        // Only where frames overlap: those of an agent that was not told what became of them, or of two copies.
        let mut own: Option<BTreeMap<Seq, _>> = None;
        let placed = place(
            (&row.segments, room),
            &frame,
            |seq| chain::after(&self.view, key, seq),
            |seq| {
                if own.is_none() {
                    let entries = chain::unpack(&arrival.run, self.next)?;
                    own = Some(chain::hashes(&links, first, &entries));
                }
                let found = own.as_ref().and_then(|own| own.get(&seq)).copied();
                found.ok_or_else(|| StoreError::Corrupt {
                    space: LOG.space().0.into(),
                    detail: format!("a frame from {first} has no number {seq}"),
                })
            },
        )?;
        let (outcome, lane, marks) = match placed {
            Place::Known => (Outcome::Known, stored, Vec::new()),
            Place::Full => (Outcome::Full, stored, Vec::new()),
            Place::Fork => {
                let entries = chain::unpack(&arrival.run, self.next)?;
                let there = chain::hashes(&links, first, &entries);
                let marks = chain::in_common(&self.view, key, &frame, &there)?;
                (Outcome::Fork, stored, marks)
            }
            Place::New { parts, lane } => {
                self.parts(&key, arrival, links, &frame, &parts)?;
                let row = LaneRow {
                    segments: lane,
                    ..row
                };
                let row = segments::part(&mut self.view, &key, &stored, row)?;
                (Outcome::Stored, row, Vec::new())
            }
        };
        let changed =
            outcome == Outcome::Stored || self.lanes.get(&key).is_some_and(|(_, changed)| *changed);
        self.lanes.insert(key, (lane.clone(), changed));
        Ok(Placed::Frame {
            outcome,
            lane: segments::whole(&self.view, &key, lane)?,
            marks,
        })
    }

    /// Stores the new parts of a frame, mostly all of it, each as a record with its mark.
    fn parts(
        &mut self,
        key: &LaneKey,
        arrival: Arrival,
        links: Links,
        frame: &Segment,
        parts: &[Segment],
    ) -> Result<(), StoreError> {
        let &(agent, epoch, lane) = key;
        if let [whole] = parts
            && whole == frame
        {
            return self.marked(key, arrival, whole);
        }
        let entries = chain::unpack(&arrival.run, self.next)?;
        for part in parts {
            let skip = usize::try_from(part.first - frame.first).unwrap_or(usize::MAX);
            let count = usize::try_from(part.last - part.first + 1).unwrap_or(usize::MAX);
            let held: Vec<Entry> = entries.iter().skip(skip).take(count).cloned().collect();
            let arrival = Arrival {
                hop: Hop::Agent {
                    agent,
                    epoch,
                    lane,
                    first: part.first,
                },
                links: Some(Links {
                    previous: part.previous,
                    head: part.head,
                    salt_key: links.salt_key,
                }),
                ..Arrival::own(arrival.received_ms, Hop::Own, &held)
            };
            self.marked(key, arrival, part)?;
        }
        Ok(())
    }

    fn marked(
        &mut self,
        &(agent, epoch, lane): &LaneKey,
        arrival: Arrival,
        part: &Segment,
    ) -> Result<(), StoreError> {
        let mark = MarkRow {
            record: self.record(arrival)?,
            first: part.first,
            head: part.head,
        };
        MARKS.put(&mut self.view, &(agent, epoch, lane, part.last), &mark)
    }

    fn record(&mut self, arrival: Arrival) -> Result<u64, StoreError> {
        let (number, hop, count) = (self.next, arrival.hop.name(), arrival.count);
        let row = RecordRow {
            received_ms: arrival.received_ms,
            hop: arrival.hop,
            count,
            run: arrival.run,
            links: arrival.links,
        };
        LOG.put(&mut self.view, &number, &row)?;
        counter!("trenza_server_entries_total", "hop" => hop).increment(u64::from(count));
        self.next += 1;
        Ok(number)
    }
}

/// The number of the last record; 0 of an empty log.
fn end(store: &dyn Store) -> Result<u64, StoreError> {
    let last = LOG.scan(store, None, None, Direction::Back, 1)?.pop();
    Ok(last.map_or(0, |(number, _)| number))
}

#[cfg(test)]
pub(super) mod tests;
