//! Lanes that the server cannot follow: a restored disk image, a second copy of this agent, a server that lost its data.
//!
//! Owns the way out: the agent goes on in a new epoch and appends there again what the lane still holds. Nothing is lost, and
//! nothing is doubled, since equal events are recognised by their content. Never guesses which copy is the right one.

use trenza_shared::{
    id::{Epoch, Lane, Seq},
    store::{StoreError, View},
    wire::{entry::Entry, frame::FRAME_EVENTS_MAX, sync::LaneHave},
};

use super::{Sender, blocking, uplink::TalkError};
use crate::log::{self, Append, Heads, NewEntry};

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
) -> Result<Vec<Divergence>, StoreError> {
    let mut found = Vec::new();
    for have in told.iter().filter(|have| have.acked > 0) {
        let Some(head) = heads.get(&(have.epoch, have.lane)) else {
            continue;
        };
        let other = have.acked > head.seq
            || (have.acked == head.seq && have.hash != head.hash)
            || log::hash_at(view, have.epoch, have.lane, have.acked)?
                .is_some_and(|hash| hash != have.hash);
        if other {
            found.push(Divergence {
                epoch: have.epoch,
                lane: have.lane,
            });
        }
    }
    Ok(found)
}

impl Sender {
    /// Compares what the server told with the log, and leaves the lanes that differ.
    pub(super) async fn leave_what_diverged(&self) -> Result<(), TalkError> {
        let (store, heads, told) = (
            self.log.store().clone(),
            self.log.ends(),
            self.link.now().told,
        );
        for found in blocking(move || diverged(&*store, &heads, &told.lanes)).await? {
            self.leave(found, 0).await?;
        }
        Ok(())
    }

    /// Goes on in a new epoch where needed, and appends there what the lane holds after a number.
    pub(super) async fn leave(&self, found: Divergence, after: Seq) -> Result<(), TalkError> {
        let local = |error: &dyn std::fmt::Display| TalkError::Local(error.to_string());
        tracing::warn!(log.epoch = found.epoch, log.lane = ?found.lane, "this log cannot go on; what it holds goes on in a later epoch");
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
        let mut after = after;
        while after < head {
            let store = self.log.store().clone();
            let Some(frame) =
                blocking(move || log::next_frame(&*store, found.epoch, found.lane, after, head))
                    .await?
            else {
                break;
            };
            after = frame.last();
            let entries = frame.open().map_err(|error| local(&error))?;
            debug_assert!(entries.len() <= FRAME_EVENTS_MAX);
            let entries = entries.into_iter().map(again).collect();
            self.log
                .append(Append {
                    lane: found.lane,
                    entries,
                })
                .await
                .map_err(|error| local(&error))?;
        }
        self.log
            .leave(found.epoch, found.lane)
            .await
            .map_err(|error| local(&error))
    }
}

/// Appended without a look at the dedupe: it knows the entry, from when it was first appended.
pub(crate) fn again(entry: Entry) -> NewEntry {
    NewEntry {
        identity: None,
        entry,
    }
}
