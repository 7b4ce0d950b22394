//! Decisions that were not made by our pages, and values that everybody has.

use std::{cell::Cell, convert::Infallible, sync::Arc};

use super::*;
use crate::matching::Bits;

fn undoing(target: DecisionId, observes: &[DecisionId]) -> Decision {
    let (kind, target) = (DecisionKind::Undo, Some(target));
    Decision::new(kind, vec![], "", "", 0, observes.to_vec(), target).unwrap()
}

/// Every order of arrival of these decisions.
fn in_every_order(decisions: &[Decision]) -> Active {
    let mut ends: Vec<Active> = Vec::new();
    fn go(left: &[Decision], so_far: &Decisions, ends: &mut Vec<Active>) {
        if left.is_empty() {
            ends.push(so_far.active().clone());
        }
        for at in 0..left.len() {
            let mut rest = left.to_vec();
            let mut next = so_far.clone();
            next.insert(rest.remove(at)).unwrap();
            go(&rest, &next, ends);
        }
    }
    go(decisions, &Decisions::default(), &mut ends);
    assert!(ends.windows(2).all(|pair| pair[0] == pair[1]));
    let at_once = Decisions::of(decisions.to_vec());
    assert_eq!(ends.last(), Some(at_once.active()));
    ends.remove(0)
}

#[test]
fn an_undo_of_an_undo_of_an_undo_is_followed_to_its_end() {
    let not = decided(DecisionKind::NotSame, &["email:a", "email:b"], &[]);
    let mut chain = vec![not.clone()];
    for length in 1..6 {
        let last = chain[length - 1].id;
        chain.push(undoing(last, &[]));
        let holds = in_every_order(&chain).not_same().len() == 1;
        assert_eq!(holds, length % 2 == 0, "{length} undos");
    }
}

#[test]
fn an_undo_that_is_undone_twice_stays_undone_and_one_live_undo_is_enough() {
    let not = decided(DecisionKind::NotSame, &["email:a", "email:b"], &[]);
    let (one, other) = (undoing(not.id, &[]), undoing(not.id, &[not.id]));
    let (twice, again) = (undoing(one.id, &[]), undoing(one.id, &[one.id]));
    let active = in_every_order(&[not.clone(), one.clone(), twice.clone(), again]);
    assert_eq!(active.not_same().len(), 1);
    let active = in_every_order(&[not, one, twice, other]);
    assert_eq!(active.not_same().len(), 0);
}

#[test]
fn unknown_targets_and_unknown_observations_harm_nobody() {
    let unknown = DecisionId([0xEE; 16]);
    let not = decided(DecisionKind::NotSame, &["email:a", "email:b"], &[unknown]);
    let same = decided(
        DecisionKind::Same,
        &["email:a", "email:b"],
        &[unknown, not.id],
    );
    let active = in_every_order(&[not, same.clone(), undoing(unknown, &[unknown])]);
    assert_eq!((active.same().len(), active.not_same().len()), (1, 0));
    // What was observed counts once it is known, also through decisions in between.
    let first = decided(DecisionKind::NotSame, &["email:a", "email:b"], &[]);
    let between = decided(
        DecisionKind::Household,
        &["email:a", "email:c"],
        &[first.id],
    );
    let last = decided(DecisionKind::Same, &["email:a", "email:b"], &[between.id]);
    let active = in_every_order(&[first.clone(), last.clone()]);
    assert_eq!(active.not_same().len(), 1);
    let active = in_every_order(&[first, between, last]);
    assert_eq!((active.same().len(), active.not_same().len()), (1, 0));
}

#[test]
fn a_circle_cannot_be_made_and_a_forged_one_is_left_out() {
    let mut one = undoing(DecisionId([1; 16]), &[]);
    let mut other = undoing(one.id, &[one.id]);
    one.undoes = Some(other.id);
    one.observes = vec![other.id];
    assert!(matches!(one.check(), Err(BadDecision::WrongId { .. })));
    other.undoes = Some(other.id);
    assert!(other.check().is_err());
    let mut decisions = Decisions::of([one.clone(), other]);
    assert_eq!(decisions.iter().count(), 0);
    assert!(decisions.insert(one).is_err());
    assert_eq!(decisions.iter().count(), 0);
}

#[test]
fn of_decisions_that_say_the_same_the_first_is_told_whatever_their_ids() {
    let at = |kind, subjects: &[&str], at_ms| {
        let subjects = subjects.iter().map(|subject| id(subject)).collect();
        Decision::new(kind, subjects, "again", "ana", at_ms, Vec::new(), None).unwrap()
    };
    for kind in [DecisionKind::NotSame, DecisionKind::SharedIdentifier] {
        let subjects = &["email:a", "email:b"];
        let first = at(kind, subjects, 5);
        let mut decisions = Decisions::of([first.clone()]);
        for later in 6..40 {
            let before = decisions.active().clone();
            decisions.insert(at(kind, subjects, later)).unwrap();
            let differing = before.differing(decisions.active());
            assert!(differing.is_empty(), "{kind:?} {later}: {differing:?}");
        }
        let told = match kind {
            DecisionKind::SharedIdentifier => decisions.active().shared(&id("email:a")),
            _ => decisions.active().not_same().values().next().copied(),
        };
        assert_eq!(told, Some(first.id));
    }
}

#[test]
fn long_chains_of_decisions_end() {
    let mut all = vec![decided(DecisionKind::NotSame, &["email:a", "email:b"], &[])];
    for n in 1..2_000 {
        let last = all[n - 1].id;
        all.push(match n % 2 {
            0 => decided(DecisionKind::NotSame, &["email:a", "email:b"], &[last]),
            _ => decided(DecisionKind::Household, &["email:a", "email:c"], &[last]),
        });
    }
    let last = all[1_999].id;
    all.push(decided(
        DecisionKind::Same,
        &["email:a", "email:b"],
        &[last],
    ));
    let mut undo = undoing(last, &[]);
    for _ in 0..2_000 {
        undo = undoing(undo.id, &[]);
        all.push(undo.clone());
    }
    let active = Decisions::of(all).active().clone();
    assert_eq!((active.same().len(), active.not_same().len()), (1, 0));
}

/// Counts what is asked of a graph.
#[derive(Default)]
struct Counted {
    graph: MemoryGraph,
    calls: Cell<usize>,
    rows: Cell<usize>,
}

impl Counted {
    fn ask(&self) -> &MemoryGraph {
        self.calls.set(self.calls.get() + 1);
        &self.graph
    }

    fn tell(&mut self) -> &mut MemoryGraph {
        self.calls.set(self.calls.get() + 1);
        &mut self.graph
    }
}

impl Graph for Counted {
    type Error = Infallible;

    fn node(&self, fingerprint: &Fingerprint) -> Result<Option<Node>, Infallible> {
        self.ask().node(fingerprint)
    }
    fn put_node(&mut self, node: &Node) -> Result<(), Infallible> {
        self.tell().put_node(node)
    }
    fn remove_node(&mut self, fingerprint: &Fingerprint) -> Result<(), Infallible> {
        self.tell().remove_node(fingerprint)
    }
    fn remove_holder(&mut self, key: &Identifier, holder: &Fingerprint) -> Result<(), Infallible> {
        self.tell().remove_holder(key, holder)
    }
    fn holders(
        &self,
        key: &Identifier,
        after: Option<&Fingerprint>,
        max: usize,
    ) -> Result<Vec<Fingerprint>, Infallible> {
        let found = self.ask().holders(key, after, max)?;
        self.rows.set(self.rows.get() + found.len());
        Ok(found)
    }
    fn add_holder(&mut self, key: &Identifier, holder: &Fingerprint) -> Result<(), Infallible> {
        self.tell().add_holder(key, holder)
    }
    fn profile(&self, key: &Identifier) -> Result<KeyProfile, Infallible> {
        self.ask().profile(key)
    }
    fn put_profile(&mut self, key: &Identifier, profile: &KeyProfile) -> Result<(), Infallible> {
        self.tell().put_profile(key, profile)
    }
    fn component_of(&self, member: &Fingerprint) -> Result<Option<Fingerprint>, Infallible> {
        self.ask().component_of(member)
    }
    fn put_component_of(
        &mut self,
        member: &Fingerprint,
        component: &Fingerprint,
    ) -> Result<(), Infallible> {
        self.tell().put_component_of(member, component)
    }
    fn component(&self, id: &Fingerprint) -> Result<Option<Component>, Infallible> {
        self.ask().component(id)
    }
    fn put_component(&mut self, component: &Component) -> Result<(), Infallible> {
        self.tell().put_component(component)
    }
    fn remove_component(&mut self, id: &Fingerprint) -> Result<(), Infallible> {
        self.tell().remove_component(id)
    }
    fn unit(&self, seed: &Fingerprint) -> Result<Option<Arc<Held>>, Infallible> {
        self.ask().unit(seed)
    }
    fn put_unit(&mut self, held: &Arc<Held>) -> Result<(), Infallible> {
        self.tell().put_unit(held)
    }
    fn remove_unit(&mut self, seed: &Fingerprint) -> Result<(), Infallible> {
        self.tell().remove_unit(seed)
    }
    fn match_holders(&self, key: &u64, max: usize) -> Result<Option<Vec<Holder>>, Infallible> {
        let found = self.ask().match_holders(key, max)?;
        let rows = found.as_ref().map_or(1, Vec::len);
        self.rows.set(self.rows.get() + rows);
        Ok(found)
    }
    fn add_match_holder(
        &mut self,
        key: &u64,
        holder: &Holder,
        max: usize,
    ) -> Result<Option<Vec<Holder>>, Infallible> {
        let found = self.tell().add_match_holder(key, holder, max)?;
        let rows = found.as_ref().map_or(1, Vec::len);
        self.rows.set(self.rows.get() + rows);
        Ok(found)
    }
    fn change_match_holder(&mut self, key: &u64, holder: &Holder) -> Result<(), Infallible> {
        self.tell().change_match_holder(key, holder)
    }
    fn remove_match_holder(&mut self, key: &u64, seed: &Fingerprint) -> Result<(), Infallible> {
        self.tell().remove_match_holder(key, seed)
    }
    fn edges(&self, seed: &Fingerprint) -> Result<Vec<(Fingerprint, Bits)>, Infallible> {
        let found = self.ask().edges(seed)?;
        self.rows.set(self.rows.get() + found.len());
        Ok(found)
    }
    fn put_edge(
        &mut self,
        one: &Fingerprint,
        other: &Fingerprint,
        odds: Option<Bits>,
    ) -> Result<(), Infallible> {
        self.tell().put_edge(one, other, odds)
    }
    fn matched(&self, seed: &Fingerprint) -> Result<Option<Vec<Fingerprint>>, Infallible> {
        self.ask().matched(seed)
    }
    fn put_matched(
        &mut self,
        seed: &Fingerprint,
        person: Option<&[Fingerprint]>,
    ) -> Result<(), Infallible> {
        self.tell().put_matched(seed, person)
    }
    fn asks(&self, question: &Question) -> Result<bool, Infallible> {
        self.ask().asks(question)
    }
    fn put_question(&mut self, question: &Question) -> Result<(), Infallible> {
        self.tell().put_question(question)
    }
    fn drop_question(&mut self, question: &Question) -> Result<(), Infallible> {
        self.tell().drop_question(question)
    }
}

#[test]
fn a_value_with_100_000_holders_costs_one_event_no_more_than_another() {
    let (decisions, rules) = (Decisions::default(), Rules::default());
    let mut graph = Counted::default();
    for n in 0..100_000 {
        graph.calls.set(0);
        graph.rows.set(0);
        let one = node(&format!("phone:all email:{n}"), "", 1);
        insert(&mut graph, one, &decisions, &rules).unwrap();
        // While it links there are at most `cap` holders; afterwards nobody asks who they are: the row is of its own address.
        let (calls, rows) = (graph.calls.get(), graph.rows.get());
        let (calls_max, rows_max) = if n > 20 { (20, 1) } else { (160, 4) };
        assert!(
            calls <= calls_max && rows <= rows_max,
            "{n}: {calls} calls, {rows} rows"
        );
    }
    // Leaving costs a page of holders at most.
    graph.calls.set(0);
    let gone = node("phone:all email:5", "", 1).fingerprint;
    remove(&mut graph, &gone, &decisions, &rules).unwrap();
    assert!(graph.calls.get() < 1_200, "{}", graph.calls.get());
}
