//! The one writer of the log.

use std::{collections::BTreeMap, ops::RangeInclusive, sync::Arc, time::Duration};

use tokio::sync::watch;
use trenza_shared::{
    group_commit::Committer,
    id::{AgentId, Epoch, Lane, Seq},
    store::{Batch, Durable, Store, StoreError, View},
    wire::{
        entry::{Entry, SaltRoot, block_of},
        frame::{FRAME_BYTES_MAX, FRAME_EVENTS_MAX, Frame, Packer, chain_over},
    },
};

use super::{
    Append, AppendError, Done, Drops, Fingerprints, Head, Heads, Left, Recent, Work, Yield,
    chunks_change, dropped::give_up, recent::Place,
};
use crate::tables::{ChunkRow, LOG, STATE, StateRow};

pub(super) struct Writer {
    pub store: Arc<dyn Store>,
    pub agent: watch::Sender<AgentId>,
    pub salt_root: SaltRoot,
    pub state: StateRow,
    pub heads: Heads,
    pub told: watch::Sender<Arc<Heads>>,
    pub drops: watch::Sender<Arc<Drops>>,
    pub packer: Packer,
    pub recent: Recent,
    pub fingerprints: Fingerprints,
    /// A commit failed and it is unknown what of it is on disk: heads and recent events are read again before the next one.
    pub unsure: bool,
}

impl Committer for Writer {
    type Item = Work;
    type Done = Done;
    type Error = AppendError;
    const GATHER: Duration = Duration::from_millis(7);

    fn begin(&mut self) {
        // Tried again before the first commit where it fails.
        self.unsure = self.look_again().is_err();
    }

    fn commit(&mut self, items: Vec<Work>) -> Vec<Result<Done, AppendError>> {
        let mut answers = Vec::with_capacity(items.len());
        let mut appends = Vec::with_capacity(items.len());
        for work in items {
            match work {
                Work::Append(append) => appends.push(append),
                Work::GiveUp(what) => {
                    self.append_all(&mut appends, &mut answers);
                    answers.push(self.give_up(&what).map_err(AppendError::from));
                }
                other => {
                    // In the order in which they came: what was handed in before a change of epoch belongs to the old one.
                    self.append_all(&mut appends, &mut answers);
                    let changed = self.change(other).map(|()| Done::default());
                    answers.push(changed.map_err(AppendError::from));
                }
            }
        }
        self.append_all(&mut appends, &mut answers);
        answers
    }
}

impl Writer {
    fn append_all(
        &mut self,
        appends: &mut Vec<Vec<Append>>,
        answers: &mut Vec<Result<Done, AppendError>>,
    ) {
        let count = appends.len();
        if count == 0 {
            return;
        }
        let looked = if self.unsure {
            self.look_again()
        } else {
            Ok(())
        };
        match looked.and_then(|()| self.write(std::mem::take(appends))) {
            Ok((duplicates, heads)) => {
                self.settled(heads);
                let done = |entries| Ok(Done { entries, bytes: 0 });
                answers.extend(duplicates.into_iter().map(done));
            }
            Err(error) => {
                self.unsure = true;
                answers.extend((0..count).map(|_| Err(error.clone().into())));
            }
        }
        appends.clear();
    }

    fn settled(&mut self, heads: Heads) {
        self.unsure = false;
        self.heads = heads;
        self.told.send_replace(Arc::new(self.heads.clone()));
    }

    /// A new epoch, or a lane that is left.
    fn change(&mut self, work: Work) -> Result<(), StoreError> {
        let mut state = self.state.clone();
        let mut renamed = None;
        match work {
            Work::Append(_) | Work::GiveUp(_) => return Ok(()),
            Work::Renew(new, _) if new.epoch <= state.epoch => return Ok(()),
            Work::Renew(new, agent) => {
                (state.epoch, state.salt_root) = (new.epoch, new.salt_root);
                renamed = agent;
            }
            Work::Leave(epoch, ..) if epoch >= state.epoch => return Ok(()),
            Work::Leave(epoch, lane, left) => {
                state.left.retain(|left| *left != (epoch, lane));
                state.left.push((epoch, lane));
                state
                    .lineage
                    .retain(|one| (one.from, one.lane) != (epoch, lane));
                state
                    .trusted
                    .retain(|one| (one.epoch, one.lane) != (epoch, lane));
                match left {
                    Left::Nothing => {}
                    Left::Sent(branch) => state.lineage.push(branch),
                    Left::Trusted(part) => state.trusted.push(part),
                }
            }
        }
        let salt_root = super::salt_root(&state)?;
        let mut batch = Batch::new();
        STATE.put(&mut batch, &(), &state)?;
        self.unsure = true;
        self.store.commit(batch, Durable::Yes)?;
        (self.state, self.salt_root) = (state, salt_root);
        if let Some(agent) = renamed {
            self.agent.send_replace(agent);
        }
        let heads = super::heads(&*self.store, &self.state)?;
        self.settled(heads);
        Ok(())
    }

    /// At the start and after a failed commit: goes on from what is really there. Writing over it instead could leave a part
    /// of a longer run behind, under numbers that come again.
    fn look_again(&mut self) -> Result<(), StoreError> {
        if let Some(state) = STATE.get(&*self.store, &())? {
            (self.salt_root, self.state) = (super::salt_root(&state)?, state);
        }
        self.heads = super::heads(&*self.store, &self.state)?;
        self.recent = Recent::recall(&*self.store, &self.heads, &self.fingerprints)?;
        self.drops
            .send_replace(Arc::new(Drops::read(&*self.store)?));
        Ok(())
    }

    /// Whether a place is of the commit that is being put together.
    fn is_new(&self, place: Place) -> bool {
        let head = self.heads.get(&(place.epoch, place.lane));
        place.epoch == self.state.epoch && place.seq > head.map_or(0, |head| head.seq)
    }

    /// Gives up what yields, and tells it, in one batch.
    fn give_up(&mut self, what: &Yield) -> Result<Done, StoreError> {
        if self.unsure {
            self.look_again()?;
        }
        // Nobody else deletes or replaces chunks meanwhile.
        let _alone = chunks_change();
        let mut drops = (**self.drops.borrow()).clone();
        let (mut batch, mut heads) = (Batch::new(), self.heads.clone());
        let given = {
            let lanes = (&heads, self.state.left.as_slice());
            give_up(&*self.store, &mut batch, &mut drops, lanes, what)?
        };
        let Some(given) = given else {
            self.unsure = false;
            return Ok(Done::default());
        };
        self.put(&mut batch, &mut heads, Lane::Clock, &[given.told])?;
        self.unsure = true;
        self.store.commit(batch, Durable::Yes)?;
        self.drops.send_replace(Arc::new(drops));
        self.settled(heads);
        Ok(Done {
            entries: usize::try_from(given.lost).unwrap_or(usize::MAX),
            bytes: given.bytes,
        })
    }

    fn write(&mut self, items: Vec<Vec<Append>>) -> Result<(Vec<usize>, Heads), StoreError> {
        let mut duplicates = Vec::with_capacity(items.len());
        let mut fresh: BTreeMap<Lane, Vec<Entry>> = BTreeMap::new();
        let mut heads = self.heads.clone();
        let mut held = Held::default();
        for appends in items {
            let mut known = 0;
            for Append { lane, entries } in appends {
                let end = heads
                    .get(&(self.state.epoch, lane))
                    .map_or(0, |head| head.seq);
                for new in entries {
                    let list = fresh.entry(lane).or_default();
                    if let Some(identity) = new.identity {
                        if let Some(place) = self.recent.place(identity)
                            && (self.is_new(place) || held.holds(&*self.store, place)?)
                        {
                            known += 1;
                            continue;
                        }
                        // Remembered before it is stored: after a failure all of it is read again.
                        let place = Place {
                            epoch: self.state.epoch,
                            lane,
                            seq: end + list.len() as u64 + 1,
                        };
                        self.recent.add(identity, place);
                    }
                    list.push(new.entry);
                }
            }
            duplicates.push(known);
        }
        fresh.retain(|_, entries| !entries.is_empty());
        if fresh.is_empty() {
            return Ok((duplicates, heads));
        }
        let mut batch = Batch::new();
        for (lane, entries) in fresh {
            self.put(&mut batch, &mut heads, lane, &entries)?;
        }
        self.store.commit(batch, Durable::Yes)?;
        Ok((duplicates, heads))
    }

    /// Puts entries behind a lane's head, which moves on.
    fn put(
        &mut self,
        batch: &mut Batch,
        heads: &mut Heads,
        lane: Lane,
        entries: &[Entry],
    ) -> Result<(), StoreError> {
        let head = heads.entry((self.state.epoch, lane)).or_insert(Head::START);
        for run in runs(entries, head.seq + 1) {
            let first = head.seq + 1;
            let key = self.salt_root.block_key(self.state.epoch, lane, first);
            let frame = Frame {
                agent: *self.agent.borrow(),
                epoch: self.state.epoch,
                lane,
                first,
                count: u32::try_from(run.len()).unwrap_or(u32::MAX),
                previous: head.hash,
                head: chain_over(head.hash, &key, first, run),
                salt_key: key,
                run: self.packer.pack(run),
            };
            *head = Head {
                seq: frame.last(),
                hash: frame.head,
            };
            let row = ChunkRow(frame);
            LOG.put(batch, &(self.state.epoch, lane, first), &row)?;
        }
        Ok(())
    }
}

/// The last chunk in which a remembered event was looked for: a retry of a whole request mostly lies in one.
#[derive(Default)]
struct Held(Option<(Epoch, Lane, RangeInclusive<Seq>)>);

impl Held {
    /// Whether the log still holds an event. One in a chunk that cannot be read is not held.
    fn holds(&mut self, view: &dyn View, place: Place) -> Result<bool, StoreError> {
        let Place { epoch, lane, seq } = place;
        if matches!(&self.0, Some((of, at, seqs)) if (*of, *at) == (epoch, lane) && seqs.contains(&seq))
        {
            return Ok(true);
        }
        let found = match super::holding(view, epoch, lane, seq) {
            Err(StoreError::Corrupt { .. }) => None,
            found => found?,
        };
        self.0 = found.map(|chunk| (epoch, lane, chunk.first..=chunk.last()));
        Ok(self.0.is_some())
    }
}

/// Splits entries into runs that each are a frame: within one salt block, within the limits.
fn runs(entries: &[Entry], mut first: Seq) -> Vec<&[Entry]> {
    let mut out = Vec::new();
    let mut rest = entries;
    while !rest.is_empty() {
        let mut bytes = 0;
        let count = rest
            .iter()
            .zip(first..)
            .take(FRAME_EVENTS_MAX)
            .take_while(|(entry, seq)| {
                bytes += entry.bytes();
                *seq == first || (bytes <= FRAME_BYTES_MAX && block_of(*seq) == block_of(first))
            })
            .count();
        let (run, later) = rest.split_at(count);
        out.push(run);
        first += count as u64;
        rest = later;
    }
    out
}
