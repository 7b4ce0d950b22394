//! Lanes that the server cannot follow: a restored disk image, a second copy of this agent, a server that lost its data.
//!
//! Owns the way out: the agent finds the last number in common, goes on in a new epoch and appends there again what followed it. Nothing is lost, and
//! nothing is doubled, since equal events are recognised by their content. Never guesses which copy is the right one.

use trenza_shared::{
    id::{Epoch, Lane, Seq},
    store::{StoreError, View},
    wire::{
        entry::Entry,
        frame::FRAME_EVENTS_MAX,
        sync::{Ack, LaneHave, Lineage, Mark},
    },
};

use super::{Sender, blocking, uplink::TalkError};
use crate::{
    log::{self, Append, Heads, Left, NewEntry},
    tables::{STATE, Trusted},
};

/// Most frames sent to find where two histories part: enough to halve any lane down to one.
const PROBES_MAX: usize = 64;

/// A lane whose history on the server is not the one on this device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Divergence {
    /// Life of the log.
    pub epoch: Epoch,
    /// Which of its logs.
    pub lane: Lane,
}

/// Lanes of which the server has more than the device, or another hash at the same place.
///
/// # Errors
/// The store cannot be read.
pub fn diverged(
    view: &dyn View,
    heads: &Heads,
    told: &[LaneHave],
) -> Result<Vec<(Divergence, Vec<Mark>)>, StoreError> {
    let left = STATE.get(view, &())?.unwrap_or_default().left;
    let mut found = Vec::new();
    for have in told.iter().filter(|have| have.last() > 0) {
        // It ends where the branches part, and the server may well have more of the other one.
        if left.contains(&(have.epoch, have.lane)) {
            continue;
        }
        let Some(head) = heads.get(&(have.epoch, have.lane)) else {
            continue;
        };
        let other = have.last() > head.seq
            || (have.acked == head.seq && have.hash != head.hash)
            || log::hash_at(view, have.epoch, have.lane, have.acked)?
                .is_some_and(|hash| hash != have.hash);
        if other {
            let lane = Divergence {
                epoch: have.epoch,
                lane: have.lane,
            };
            found.push((lane, told_marks(have)));
        }
    }
    Ok(found)
}

/// What the server says of its history of a lane: where its first run ends, and the marks.
pub(super) fn told_marks(have: &LaneHave) -> Vec<Mark> {
    let end = (have.acked > 0).then_some(Mark {
        seq: have.acked,
        hash: have.hash,
    });
    have.marks.iter().copied().chain(end).collect()
}

impl Sender {
    /// Compares what the server told with the log, and leaves the lanes that differ.
    pub(super) async fn leave_what_diverged(&self) -> Result<(), TalkError> {
        let (store, heads, told) = (
            self.log.store().clone(),
            self.log.ends(),
            self.link.now().told,
        );
        for (found, marks) in blocking(move || diverged(&*store, &heads, &told.lanes)).await? {
            self.branch(found, &marks).await?;
        }
        Ok(())
    }

    /// Goes on in a new epoch where needed, and appends there what the lane holds after the last number in common.
    pub(super) async fn branch(&self, found: Divergence, marks: &[Mark]) -> Result<(), TalkError> {
        let common = self.in_common(found, marks).await?;
        self.leave(found, common, true).await
    }

    /// Goes on in a new epoch where needed, and appends there what the lane holds after a number; up to that it is still `sent`, or
    /// it is not any more.
    pub(super) async fn leave(
        &self,
        found: Divergence,
        common: Seq,
        sent: bool,
    ) -> Result<(), TalkError> {
        let local = |error: &dyn std::fmt::Display| TalkError::Local(error.to_string());
        tracing::warn!(log.epoch = found.epoch, log.lane = ?found.lane, log.common = common, "this log cannot go on; what it holds goes on in a later epoch");
        if found.epoch == self.log.epoch() {
            let next = self.around.next_epoch.clone();
            // The server may know a later one, where this device lost even the number of its own.
            let told = self.link.now().told;
            let used = told.lanes.iter().map(|have| have.epoch).max();
            let used = used.unwrap_or_default().max(found.epoch);
            let (epoch, salt_root) = blocking(move || next(used)).await?;
            self.log
                .renew(epoch, salt_root)
                .await
                .map_err(|error| local(&error))?;
        }
        let head = self
            .log
            .ends()
            .get(&(found.epoch, found.lane))
            .map_or(0, |head| head.seq);
        self.append_again(found, common, head).await?;
        let branch = Lineage {
            from: found.epoch,
            lane: found.lane,
            after: common,
            into: self.log.epoch(),
        };
        let trusted = Trusted {
            epoch: found.epoch,
            lane: found.lane,
            upto: common,
            generation: self.link.told().generation,
        };
        let left = match (sent, common) {
            (true, _) => Left::Sent(branch),
            (false, 0) => Left::Nothing,
            (false, _) => Left::Trusted(trusted),
        };
        self.log
            .leave(found.epoch, found.lane, left)
            .await
            .map_err(|error| local(&error))
    }

    /// Appends again, in the epoch of now, what a lane holds after a number and up to another.
    async fn append_again(
        &self,
        found: Divergence,
        mut after: Seq,
        upto: Seq,
    ) -> Result<(), TalkError> {
        let local = |error: &dyn std::fmt::Display| TalkError::Local(error.to_string());
        while after < upto {
            let store = self.log.store().clone();
            // The lane is over: all of it is there for good.
            let Some(frame) = blocking(move || {
                log::next_frame(&*store, found.epoch, found.lane, after, upto, Seq::MAX)
            })
            .await?
            .filter(|frame| frame.first <= upto) else {
                break;
            };
            after = frame.last();
            let entries = frame.open().map_err(|error| local(&error))?;
            debug_assert!(entries.len() <= FRAME_EVENTS_MAX);
            let entries = (frame.first..=upto)
                .zip(entries)
                .map(|(_, entry)| again(entry))
                .collect();
            self.log
                .append(Append {
                    lane: found.lane,
                    entries,
                })
                .await
                .map_err(|error| local(&error))?;
        }
        Ok(())
    }

    /// A server of another history may lack what it had under the id that this device had: what of it is still here is appended
    /// again.
    pub(super) async fn trust_no_longer(&self, generation: u64) -> Result<(), TalkError> {
        let store = self.log.store().clone();
        let state = blocking(move || STATE.get(&*store, &())).await?;
        for part in state.unwrap_or_default().trusted {
            if part.generation == generation {
                continue;
            }
            let Trusted {
                epoch, lane, upto, ..
            } = part;
            self.append_again(Divergence { epoch, lane }, 0, upto)
                .await?;
            self.log
                .leave(epoch, lane, Left::Nothing)
                .await
                .map_err(|error| TalkError::Local(error.to_string()))?;
        }
        Ok(())
    }

    /// The last number up to which the server's history of a lane and this one are one. The marks say about where it is; frames from
    /// there, which the server places exactly, say the rest.
    async fn in_common(&self, found: Divergence, marks: &[Mark]) -> Result<Seq, TalkError> {
        let head = self
            .log
            .ends()
            .get(&(found.epoch, found.lane))
            .map_or(0, |head| head.seq);
        let mut between = self.agree(found, marks, (0, head + 1)).await?;
        for _ in 0..PROBES_MAX {
            let (equal, other) = between;
            if other - equal <= 1 {
                break;
            }
            let near = other - equal <= FRAME_EVENTS_MAX as u64;
            let after = if near {
                equal
            } else {
                equal + (other - equal) / 2
            };
            let store = self.log.store().clone();
            let frame = blocking(move || {
                log::next_frame(&*store, found.epoch, found.lane, after, other - 1, head)
            });
            let Some(frame) = frame.await?.filter(|frame| frame.first == after + 1) else {
                break;
            };
            match self.uplink.frame(&frame, self.around.instance).await? {
                Ack::Stored(have) => {
                    let compared = frame.last() <= have.acked;
                    self.acknowledged(have).await?;
                    // What was stored after a gap says nothing of what lies before it: there another branch may be.
                    if !compared {
                        break;
                    }
                    between.0 = frame.last().min(head);
                    between.1 = between.1.max(between.0 + 1);
                }
                Ack::Gap(_) => break,
                Ack::Fork(have) => {
                    let narrowed = self
                        .agree(found, &told_marks(&have), (equal, other))
                        .await?;
                    let exact = have.marks.len() == 1 && have.marks[0].seq == narrowed.0;
                    if near || exact {
                        return Ok(narrowed.0);
                    }
                    between = (narrowed.0, narrowed.1.min(after + 1));
                }
            }
        }
        Ok(between.0)
    }

    /// Narrows the numbers between which the histories part: the first is equal in both, the second is not. A number that is equal
    /// behind one that is not tells of a part that came from here, after a gap, and not of what precedes it.
    async fn agree(
        &self,
        found: Divergence,
        marks: &[Mark],
        (equal, mut other): (Seq, Seq),
    ) -> Result<(Seq, Seq), TalkError> {
        let mut same = vec![equal];
        for mark in marks.iter().copied() {
            let store = self.log.store().clone();
            let own = blocking(move || log::hash_at(&*store, found.epoch, found.lane, mark.seq));
            match own.await? {
                Some(hash) if hash == mark.hash => same.push(mark.seq),
                Some(_) => other = other.min(mark.seq),
                // It is not on the device any more.
                None => {}
            }
        }
        let before = same.into_iter().filter(|seq| *seq < other);
        Ok((before.max().unwrap_or(0), other))
    }
}

/// Appended without a look at the dedupe: it knows the entry, from when it was first appended.
pub(crate) fn again(entry: Entry) -> NewEntry {
    NewEntry {
        identity: None,
        entry,
    }
}
