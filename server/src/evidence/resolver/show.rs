//! The change from what is shown to what was derived anew by other rules: nothing else is applied or decided meanwhile.

use trenza_shared::{
    identity,
    store::{Batch, Direction, Durable, Overlay, Store as _, StoreError, View, clear_spaces},
};

use super::{
    super::{
        apply::Fed,
        cursor,
        publish::Anew,
        regroup::Regrouping,
        replay::{self, Beside},
    },
    Loop, Showing,
};
use crate::{
    customer::record::group_by_id,
    identity::StoredGraph,
    tables::{DERIVED, FORMER, FormerRow, IDS, TIMELINE},
};

/// Most records that are left for the change itself.
const LEFT_MAX: u64 = 256;
/// Ids of before that are noted in one go.
const FORMER_MAX: usize = 4_096;

impl Loop {
    pub(super) fn show(&mut self, anew: &Anew) -> Result<Showing, StoreError> {
        self.settle()?;
        let shown = *self.told.borrow();
        // Every id that was told of has to be there, or nobody would know where it leads from now on.
        let whole = cursor::told_and_gone(&*self.store)?.max(Some(anew.at));
        if let Some(whole) = whole.filter(|whole| *whole > shown) {
            return Ok(Showing::Behind(whole));
        }
        if shown - anew.at > LEFT_MAX {
            return Ok(Showing::Late);
        }
        self.complete(anew)?;
        let (was, rules) = (self.applier.rules.now(), anew.applier.rules.now());
        let alike = was.reads_like(&rules);
        let truth: &dyn View = &*self.store;
        let after = Beside {
            truth,
            derived: &anew.other,
        };
        let regrouping = Regrouping {
            before: truth,
            after: &after,
            alike,
        };
        let mut fed = Vec::new();
        regrouping.changes(&mut |regrouped| {
            fed.extend(self.applier.feed(&regrouped.outcome.changes));
            if regrouped.after.is_empty() {
                // None of their events are anybody's any more; whoever asks for them finds nothing.
                fed.extend(regrouped.before.iter().map(|group| Fed {
                    kind: "customer.updated",
                    customer: self.applier.customer(&group.seed),
                    others: Vec::new(),
                }));
            }
            Ok(())
        })?;
        if !alike {
            self.keep_ids(&after)?;
        }
        let mut batch = Batch::new();
        self.tell(&mut batch, &fed)?;
        let shown = self.store.show_other(batch);
        self.unsure |= shown.is_err();
        shown?;
        self.applier.rules.replace(rules);
        // Whoever waits for changes looks again.
        self.told.send_modify(|_| {});
        // The room is wanted back; where that fails, the next change clears it.
        if let Err(error) = clear_spaces(&self.store.other(), &DERIVED) {
            tracing::warn!(%error, "what was shown before is not cleared yet");
        }
        Ok(Showing::Shown)
    }

    /// What came while it was derived: records, and decisions.
    fn complete(&self, anew: &Anew) -> Result<(), StoreError> {
        let Anew {
            applier,
            other,
            decisions,
            at,
        } = anew;
        let truth: &dyn View = &*self.store;
        let reached = replay::in_turn(truth, applier, decisions, other, *at, &mut |_| true)?;
        replay::before_turn(truth, applier, decisions, other, reached)?;
        let (mut known, rules) = ((**decisions).clone(), applier.rules.now());
        for decision in self.decisions.iter() {
            if known.get(&decision.id).is_some() {
                continue;
            }
            let beside = Beside {
                truth,
                derived: other,
            };
            let mut overlay = Overlay::new(&beside);
            let decided = identity::decide(
                &mut StoredGraph(&mut overlay),
                &mut known,
                decision.clone(),
                &rules,
            );
            match decided {
                Ok(_) => other.commit(overlay.into_batch(), Durable::Later)?,
                Err(identity::DecideError::Store(error)) => return Err(error),
                // It was taken in once, so its shape is right.
                Err(identity::DecideError::Bad(bad)) => {
                    tracing::error!(decision.id = %decision.id, %bad, "a decision cannot be carried out");
                }
            }
        }
        Ok(())
    }

    /// Ids that nothing leads to any more, since the same events have other fingerprints, are kept with one of their events.
    fn keep_ids(&self, after: &dyn View) -> Result<(), StoreError> {
        let before: &dyn View = &*self.store;
        let mut batch = Batch::new();
        for row in IDS.rows(before) {
            let (id, _) = row?;
            if IDS.has(after, &id)? {
                continue;
            }
            let Some((member, _)) = group_by_id(before, &self.applier.id_key, &id)? else {
                continue;
            };
            let first = TIMELINE.scan_prefix(before, &member, Direction::Forward, 1)?;
            if let Some(((_, _, event), _)) = first.first() {
                FORMER.put(&mut batch, &id, &FormerRow(*event))?;
            }
            if batch.len() >= FORMER_MAX {
                self.store
                    .commit(std::mem::take(&mut batch), Durable::Later)?;
            }
        }
        self.store.commit(batch, Durable::Later)
    }
}
