//! Decisions: carried out and kept, or carried out over a state that nobody keeps.

use super::*;
use crate::{
    customer::record::{Record, load},
    identity::StoredGraph,
};

/// Most records that a preview shows.
const PREVIEWED_MAX: usize = 12;

/// What a decision would do.
pub struct Preview {
    /// What would become of whom.
    pub outcome: Outcome,
    /// The first of those that would change, as they would be, consents and all; at most a dozen.
    pub records: Vec<Record>,
}

impl Loop {
    /// Carries a decision out over the tables, to be kept or not.
    fn carried_out(
        &self,
        overlay: &mut Overlay<'_>,
        decision: Decision,
    ) -> Result<(Outcome, Decisions), DecideError> {
        let mut decisions = self.decisions.clone();
        let rules = self.applier.rules.now();
        let graph = &mut StoredGraph(overlay);
        let done = identity::decide(graph, &mut decisions, decision, &rules);
        let outcome = done.map_err(|error| match error {
            identity::DecideError::Bad(bad) => DecideError::Bad(bad),
            identity::DecideError::Store(error) => DecideError::Store(error),
        })?;
        Ok((outcome, decisions))
    }

    pub(super) fn decide(&mut self, decision: Decision) -> Result<Outcome, DecideError> {
        self.settle()?;
        let store = self.store.clone();
        let mut overlay = Overlay::new(&*store);
        let (outcome, decisions) = self.carried_out(&mut overlay, decision.clone())?;
        let mut batch = overlay.into_batch();
        DECISIONS.put(&mut batch, &decision.id, &DecisionRow(decision.clone()))?;
        self.tell(&mut batch, &self.applier.feed(&outcome.changes))?;
        self.commit(batch, Durable::Yes)?;
        self.decisions = decisions;
        self.told_decisions
            .send_replace(Arc::new(self.decisions.clone()));
        Ok(outcome)
    }

    /// What a decision would do is what it does to a state that nobody keeps.
    pub(super) fn preview(&mut self, decision: Decision) -> Result<Preview, DecideError> {
        self.settle()?;
        let store = self.store.clone();
        let mut overlay = Overlay::new(&*store);
        let (outcome, _) = self.carried_out(&mut overlay, decision)?;
        let shown = outcome.changed.iter().take(PREVIEWED_MAX);
        let records = shown.map(|group| load(&overlay, &self.applier.id_key, group.clone()));
        let records = records.collect::<Result<_, _>>()?;
        Ok(Preview { outcome, records })
    }
}
