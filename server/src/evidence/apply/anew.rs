//! Events that were applied and of which more is known now: by another taking-in, or by a clock that was measured later.
//!
//! Owns the index of what was taken in when. Everything derived is afterwards as if what is known now had been known first.

use std::collections::BTreeSet;

use trenza_shared::{
    event::Event,
    fragment::Fragment,
    id::{AgentId, EventId, Fingerprint},
    identity::{self, Node},
    skew::{Correction, Fact},
    store::{StoreError, Writer as _},
};

use super::{super::accounts::Moved, Step, timeline_key};
use crate::{
    identity::StoredGraph,
    tables::{CLOCKS, ClockRow, EVENTS, EventRow, IDS, OriginRow, RejectedRow, TAKEN, TIMELINE},
};

/// Events timed anew at one go.
const PAGE: usize = 1_024;
/// Events folded at a time when a fragment is folded again.
const REFOLD_PAGE: usize = 256;

impl Step<'_, '_> {
    /// Notes by which clock an event was taken in, so that it is found when that clock is measured.
    pub(super) fn note_taking(
        &mut self,
        origin: &OriginRow,
        event: &EventId,
    ) -> Result<(), StoreError> {
        match (origin.agent, origin.boot) {
            (Some(agent), 1..) => {
                let key = (agent, origin.boot, origin.boottime_ms, *event);
                TAKEN.put(self.overlay, &key, &())
            }
            _ => Ok(()),
        }
    }

    /// Takes a measurement in; the inner error says why it is kept apart.
    pub(super) fn measured(
        &mut self,
        agent: Option<AgentId>,
        boot: u64,
        fact: Fact,
    ) -> Result<Result<(), RejectedRow>, StoreError> {
        let (Some(agent), 1..) = (agent, boot) else {
            return Ok(Err(RejectedRow {
                code: "clock_of_nobody".into(),
                reason: "a measured clock must come from an agent and name its boot".into(),
                message_id: None,
            }));
        };
        let mut facts = CLOCKS
            .get(self.overlay, &(agent, boot))?
            .unwrap_or_default()
            .0;
        let before = facts.correction();
        if facts.join(fact) {
            let after = facts.correction();
            CLOCKS.put(self.overlay, &(agent, boot), &ClockRow(facts))?;
            self.clocks.changed(agent, boot, after.clone());
            self.retime((agent, boot), &before, &after)?;
        }
        Ok(Ok(()))
    }

    fn retime(
        &mut self,
        boot: (AgentId, u64),
        before: &Correction,
        after: &Correction,
    ) -> Result<(), StoreError> {
        let Some(range) = before.differs_within(after) else {
            return Ok(());
        };
        let time = |by: &Correction, at| by.at(at).map(|corrected| corrected.at_ms);
        let mut from = (boot.0, boot.1, *range.start(), EventId([0; 32]));
        loop {
            let mut page = TAKEN.scan_prefix_from(self.overlay, &boot, &from, PAGE)?;
            let more = page.len() == PAGE;
            page.retain(|(key, ())| *key != from && range.contains(&key.2));
            let Some((last, ())) = page.last() else {
                return Ok(());
            };
            from = *last;
            let mut moved = Vec::new();
            for ((_, _, at, id), ()) in page {
                if time(before, at) != time(after, at) {
                    let stored = self.opened.event(self.overlay, &id)?;
                    moved.push((stored.event, stored.row));
                }
            }
            self.say_again(moved)?;
            if !more {
                return Ok(());
            }
        }
    }

    /// Events of which more became known than they were told by: each is said anew, and a fragment that some of them leave or
    /// change in is folded again once.
    pub(super) fn say_again(&mut self, moved: Vec<(Event, EventRow)>) -> Result<(), StoreError> {
        let mut changed = BTreeSet::new();
        let mut leaving = Vec::new();
        let mut groups = Moved::default();
        for (event, mut row) in moved {
            let is = self.said(&event, &row.origins)?;
            let left = row.fingerprint;
            let to = self.payload(&is).map(|payload| payload.fingerprint());
            if let Some(left) = left {
                let key = timeline_key(&left, row.at_ms, &event.id);
                self.overlay.delete_raw(TIMELINE.space(), key);
                changed.insert(left);
            }
            let was = (row.account, left, row.at_ms, event.id);
            row.account = self.belongs_anew(&mut groups, was, &is, to)?;
            (row.at_ms, row.fingerprint) = (is.at_ms, to);
            EVENTS.put(self.overlay, &event.id, &row)?;
            match to {
                Some(to) if left == Some(to) => self.put_on_timeline(&to, &is),
                _ => leaving.push((left, is)),
            }
        }
        for fingerprint in changed {
            self.refold(fingerprint)?;
        }
        for (left, is) in leaving {
            let to = self.add(&is)?;
            self.lead_on(left, to)?;
        }
        self.settle(groups)
    }

    /// The id of a fingerprint that its last event left leads on to where the event went: an id once shown leads somewhere for ever.
    fn lead_on(
        &mut self,
        left: Option<Fingerprint>,
        to: Option<Fingerprint>,
    ) -> Result<(), StoreError> {
        let (Some(left), Some(to)) = (left, to) else {
            return Ok(());
        };
        if left != to
            && self
                .fragment(&left)?
                .is_none_or(|fragment| fragment.first().is_none())
        {
            let id = self.applier.customer(&left);
            self.overlay
                .put_raw(IDS.space(), id.0.to_vec(), to.0.to_vec());
        }
        Ok(())
    }

    /// Folds a fragment again from the events on its timeline.
    fn refold(&mut self, fingerprint: Fingerprint) -> Result<(), StoreError> {
        let Some(old) = self.fragment(&fingerprint)? else {
            return Ok(());
        };
        let mut fragment = Fragment::empty(old.payload.clone());
        let mut after: Option<(Fingerprint, i64, EventId)> = None;
        loop {
            let from = after.unwrap_or((fingerprint, i64::MIN, EventId([0; 32])));
            let rows = TIMELINE.scan_prefix_from(self.overlay, &fingerprint, &from, REFOLD_PAGE)?;
            let full = rows.len() == REFOLD_PAGE;
            for (key, _) in rows {
                if after.is_none_or(|after| key > after) {
                    let stored = self.opened.event(self.overlay, &key.2)?;
                    fragment.add(&self.said(&stored.event, &stored.row.origins)?);
                    after = Some(key);
                }
            }
            if !full {
                break;
            }
        }
        let first = fragment.first();
        let payload = fragment.payload.clone();
        self.fragments.insert(fingerprint, fragment);
        let outcome = match first {
            Some(first) => {
                let node = Node {
                    fingerprint,
                    payload,
                    first_at_ms: first.at_ms,
                };
                identity::retime(
                    &mut StoredGraph(self.overlay),
                    node,
                    self.decisions,
                    &self.rules,
                )?
            }
            None => identity::remove(
                &mut StoredGraph(self.overlay),
                &fingerprint,
                self.decisions,
                &self.rules,
            )?,
        };
        self.note(outcome);
        self.touched.insert(fingerprint);
        Ok(())
    }
}
