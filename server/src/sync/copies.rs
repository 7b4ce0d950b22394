//! Two programs under one id: which of them keeps it.
//!
//! An agent's id stands in its folder, and folders are copied: a disk image on ten tablets, a data folder moved while it was in
//! use. Every start of the program has an id of its own (its *instance*), so a start that speaks again after another one
//! appeared shows that both run. The one that was heard of first keeps the agent's id, since the others are the copies; it must
//! prove that it runs now, since its words may have been on the way while it was only restarted. Each other one becomes an agent
//! of its own. Decided by the server alone, which remembers it: whoever asks gets the same answer for ever.
//!
//! Owns the decision. Never looks at a log: what the copies hold is sorted out by `log`.

use std::{collections::BTreeMap, sync::Arc};

use trenza_shared::{
    id::{AgentId, InstanceId, Nonce},
    store::{Batch, Durable, Store, StoreError, View},
    wire::sync::CopyWord,
};

use crate::tables::{AgentRow, INSTANCES, InstanceRow, InstancesRow, Standing};

/// Most starts of one agent's program that are remembered; of more, the eldest are forgotten and would be judged as new.
pub const INSTANCES_MAX: usize = 64;
/// Most agents that may come of one enrolment in [`COPIES_WITHIN_MS`]: a fleet cloned from one image needs some, who stole a
/// certificate wants many.
pub const COPIES_MAX: usize = 100;
/// Unit: ms.
pub const COPIES_WITHIN_MS: i64 = 24 * 3_600_000;

/// What an agent's word means: the state after it, and what to say. `nonce` is for a question and must be fresh.
pub fn hear(
    known: Option<InstancesRow>,
    from: InstanceId,
    proof: Option<Nonce>,
    nonce: Nonce,
) -> (InstancesRow, Option<CopyWord>) {
    let Some(mut row) = known else {
        return (
            InstancesRow {
                seen: vec![InstanceRow::new(from)],
                current: from,
            },
            None,
        );
    };
    if row.current == from {
        return (row, None);
    }
    let place = |row: &InstancesRow, id| row.seen.iter().position(|one| one.id == id);
    let Some(at) = place(&row, from) else {
        // A restart as a rule. What was asked before it cannot prove anything against it.
        forget_questions(&mut row);
        row.seen.push(InstanceRow::new(from));
        let before = std::mem::replace(&mut row.current, from);
        trim(&mut row, before);
        return (row, None);
    };
    let younger = place(&row, row.current).is_some_and(|current| at > current);
    match row.seen[at].standing {
        Standing::Told => (row, Some(CopyWord::BecomeOwn)),
        _ if younger => {
            row.seen[at].standing = Standing::Told;
            (row, Some(CopyWord::BecomeOwn))
        }
        Standing::Asked(asked) if proof == Some(asked) => {
            forget_questions(&mut row);
            row.current = from;
            (row, None)
        }
        Standing::Known | Standing::Asked(_) => {
            row.seen[at].standing = Standing::Asked(nonce);
            (row, Some(CopyWord::Prove(nonce)))
        }
    }
}

fn forget_questions(row: &mut InstancesRow) {
    for one in &mut row.seen {
        if matches!(one.standing, Standing::Asked(_)) {
            one.standing = Standing::Known;
        }
    }
}

/// Forgets the eldest, but never the one that was current before: it may well run.
fn trim(row: &mut InstancesRow, before: InstanceId) {
    while row.seen.len() > INSTANCES_MAX {
        let eldest = usize::from(row.seen[0].id == before);
        row.seen.remove(eldest);
    }
}

/// Whether this start of the program was told to become an agent of its own.
pub fn was_told(row: &InstancesRow, instance: InstanceId) -> bool {
    row.seen
        .iter()
        .any(|one| one.id == instance && one.standing == Standing::Told)
}

/// The agent that was enrolled by a person and of which this one is a copy, or a copy of a copy.
pub fn enrolled(agents: &BTreeMap<AgentId, AgentRow>, of: AgentId) -> AgentId {
    let mut at = of;
    // A lineage cannot be longer than the fleet, whatever is stored.
    for _ in 0..agents.len() {
        match agents.get(&at).and_then(|row| row.copy_of.as_ref()) {
            Some(parent) => at = parent.agent,
            None => break,
        }
    }
    at
}

/// Whether one more copy may come of the enrolment that `parent` descends from; else when to ask again. Unit: ms.
pub fn may_copy(
    agents: &BTreeMap<AgentId, AgentRow>,
    parent: AgentId,
    now_ms: i64,
) -> Result<(), i64> {
    let root = enrolled(agents, parent);
    let after_ms = now_ms.saturating_sub(COPIES_WITHIN_MS);
    let mut recent: Vec<i64> = agents
        .iter()
        .filter_map(|(id, row)| {
            let at_ms = row.copy_of.as_ref()?.at_ms;
            (at_ms > after_ms && enrolled(agents, *id) == root).then_some(at_ms)
        })
        .collect();
    if recent.len() < COPIES_MAX {
        return Ok(());
    }
    recent.sort_unstable();
    let frees_at = recent[recent.len() - COPIES_MAX].saturating_add(COPIES_WITHIN_MS);
    Err(frees_at.saturating_sub(now_ms))
}

/// The decision with its memory: one word at a time.
pub struct Copies {
    store: Arc<dyn Store>,
    one: std::sync::Mutex<()>,
}

impl Copies {
    /// Over the server's store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            one: std::sync::Mutex::default(),
        }
    }

    /// Takes a word of an agent in, and says what to answer.
    ///
    /// # Errors
    /// The store cannot be read or written; nothing was decided.
    pub fn hear(
        &self,
        agent: &AgentId,
        from: InstanceId,
        proof: Option<Nonce>,
        nonce: Nonce,
    ) -> Result<Option<CopyWord>, StoreError> {
        let _one = self
            .one
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let known = INSTANCES.get(&*self.store, agent)?;
        let (row, word) = hear(known.clone(), from, proof, nonce);
        if known.as_ref() != Some(&row) {
            let mut batch = Batch::new();
            INSTANCES.put(&mut batch, agent, &row)?;
            // What is lost here is found out again: only a word that sends a program away must never be forgotten.
            let durable = match word {
                Some(CopyWord::BecomeOwn) => Durable::Yes,
                _ => Durable::Later,
            };
            self.store.commit(batch, durable)?;
        }
        Ok(word)
    }
}

/// Whether a frame of this start of the program is taken: only of the one heard last, or that keeps the id.
///
/// # Errors
/// The store cannot be read.
pub fn may_send(
    view: &dyn View,
    agent: &AgentId,
    from: Option<InstanceId>,
) -> Result<bool, StoreError> {
    let Some(from) = from else {
        return Ok(true);
    };
    Ok(INSTANCES
        .get(view, agent)?
        .is_none_or(|row| row.current == from))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tables::{AgentState, CopyOfRow};

    fn id(byte: u8) -> InstanceId {
        InstanceId([byte; 16])
    }

    /// Agents' words on their way to one server.
    #[derive(Default)]
    struct World {
        row: Option<InstancesRow>,
        nonces: u8,
    }

    impl World {
        fn say(&mut self, from: u8, proof: Option<Nonce>) -> Option<CopyWord> {
            self.nonces += 1;
            let (row, word) = hear(self.row.take(), id(from), proof, Nonce([self.nonces; 16]));
            self.row = Some(row);
            word
        }

        /// A program that runs: it answers a question at once.
        fn hello(&mut self, from: u8) -> Option<CopyWord> {
            match self.say(from, None) {
                Some(CopyWord::Prove(nonce)) => self.say(from, Some(nonce)),
                word => word,
            }
        }
    }

    #[test]
    fn of_two_that_run_the_first_keeps_the_id() {
        let mut world = World::default();
        assert_eq!(world.hello(1), None);
        assert_eq!(world.hello(2), None, "a restart as far as is known");
        assert_eq!(world.hello(1), None, "it runs, and was here first");
        assert_eq!(world.hello(2), Some(CopyWord::BecomeOwn));
        assert_eq!(
            world.hello(3),
            None,
            "the first was restarted meanwhile, or there is a third"
        );
        assert_eq!(
            world.hello(2),
            Some(CopyWord::BecomeOwn),
            "what was said once stays said"
        );
    }

    proptest! {
        /// However often it is restarted, and whatever words of its dead starts arrive late or twice.
        #[test]
        fn an_agent_that_runs_once_is_never_sent_away(starts in proptest::collection::vec(proptest::collection::vec((0u8..6, any::<bool>()), 0..5), 1..20)) {
            let mut world = World::default();
            let mut questions: BTreeMap<u8, Nonce> = BTreeMap::new();
            for (now, late) in (1u8..).zip(&starts) {
                prop_assert_eq!(world.hello(now), None);
                for (back, answers) in late {
                    // A word that a start which ended had sent: it may hold the answer to a question put before it ended.
                    let from = now.saturating_sub(back + 1).max(1);
                    if from == now {
                        continue;
                    }
                    let proof = answers.then(|| questions.get(&from).copied()).flatten();
                    match world.say(from, proof) {
                        Some(CopyWord::Prove(_)) | Some(CopyWord::BecomeOwn) => {}
                        None => prop_assert!(false, "a start that ended became the current one"),
                    }
                    prop_assert_eq!(world.hello(now), None);
                }
                // Asked now, answered after the next start at the earliest.
                if let Some(CopyWord::Prove(nonce)) = (now > 1).then(|| world.say(now - 1, None)).flatten() {
                    questions.insert(now - 1, nonce);
                }
            }
        }

        /// Every copy says hello twice after the last appeared, in any order: one keeps the id, the first of them; each other one is
        /// told, and stays told.
        #[test]
        fn of_any_number_of_copies_one_keeps_the_id(copies in 2u8..8, before in 0u8..5, order in proptest::collection::vec(any::<u8>(), 0..40), rounds in any::<u64>()) {
            let mut world = World::default();
            for start in 0..before {
                world.hello(100 + start);
            }
            for copy in 1..=copies {
                world.hello(copy);
            }
            for pick in order {
                world.hello(1 + pick % copies);
            }
            let mut last = BTreeMap::new();
            for round in 0..2u64 {
                let mut turn: Vec<u8> = (1..=copies).collect();
                turn.rotate_left((rounds.rotate_right(u32::try_from(round * 7).unwrap()) % u64::from(copies)) as usize);
                for copy in turn {
                    last.insert(copy, world.hello(copy));
                }
            }
            let kept: Vec<u8> = last.iter().filter(|(_, word)| word.is_none()).map(|(copy, _)| *copy).collect();
            prop_assert_eq!(kept, vec![1]);
            prop_assert!(last.iter().filter(|(copy, _)| **copy != 1).all(|(_, word)| *word == Some(CopyWord::BecomeOwn)));
        }

        #[test]
        fn what_is_remembered_is_bounded(words in proptest::collection::vec(any::<u8>(), 0..400)) {
            let mut row = None;
            for word in words {
                let (next, _) = hear(row, id(word), None, Nonce([word; 16]));
                prop_assert!(next.seen.len() <= INSTANCES_MAX);
                prop_assert!(next.seen.iter().any(|one| one.id == next.current));
                row = Some(next);
            }
        }
    }

    fn agent(copy_of: Option<(u8, i64)>) -> AgentRow {
        AgentRow {
            touchpoint: "Stand".into(),
            country: "ES".into(),
            zone: "Europe/Madrid".into(),
            venue: String::new(),
            write_key: "wk".into(),
            enrolled_ms: 0,
            state: AgentState::Active,
            copy_of: copy_of.map(|(parent, at_ms)| CopyOfRow {
                agent: AgentId([parent; 16]),
                epoch: 1,
                at_ms,
            }),
        }
    }

    #[test]
    fn one_enrolment_gives_so_many_copies_a_day_and_copies_of_copies_count() {
        let now_ms = 10 * COPIES_WITHIN_MS;
        let mut agents = BTreeMap::from([(AgentId([0; 16]), agent(None))]);
        for copy in 1..=u8::try_from(COPIES_MAX).unwrap() {
            assert_eq!(may_copy(&agents, AgentId([copy - 1; 16]), now_ms), Ok(()));
            agents.insert(
                AgentId([copy; 16]),
                agent(Some((copy - 1, now_ms + i64::from(copy)))),
            );
        }
        assert_eq!(
            may_copy(&agents, AgentId([7; 16]), now_ms + 200),
            Err(COPIES_WITHIN_MS - 199)
        );
        assert_eq!(
            may_copy(&agents, AgentId([7; 16]), now_ms + 1 + COPIES_WITHIN_MS),
            Ok(())
        );
        let other = AgentId([255; 16]);
        agents.insert(other, agent(None));
        assert_eq!(may_copy(&agents, other, now_ms), Ok(()));
    }
}
