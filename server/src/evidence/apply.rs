//! Applies records of the log to the derived tables.

mod anew; // what was applied and is known better now
mod taken; // what the entries of a record say
mod told; // what is to be told of it

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
};

use trenza_shared::{
    event::Event,
    evidence::{Observation, observe},
    fragment::Fragment,
    id::{AgentId, CustomerId, EventId, Fingerprint},
    identity::{self, Change, Decisions, Node, Outcome, Payload, Rules, customer_id},
    person::forms,
    store::{Direction, Key as _, Overlay, StoreError, Writer as _},
    wire::dropped::Dropped,
};

pub use told::Fed;

use taken::{Said, Taken};

use super::{
    clocks::Clocks,
    stored::{Opened, join_origin, load_fragment, message_key},
    words::{homes, words},
};
use crate::{
    customer::beside,
    identity::{StoredGraph, read},
    registry::Registry,
    rules::InForce,
    tables::{
        DROPPED, DroppedRow, EVENTS, EventRow, FRAGMENTS, HOMES, IDS, MESSAGES, OriginRow,
        Position, REJECTED, RULED, RecordRow, RejectedRow, SPELLINGS, TIMELINE, WORDS,
    },
};

/// What applying needs beside the tables.
#[derive(Clone)]
pub struct Applier {
    /// Sources and agents.
    pub registry: Arc<Registry>,
    /// Rules of identity.
    pub rules: InForce,
    /// Key of the public ids.
    pub id_key: [u8; 32],
}

/// The state of one step: an overlay, fragments in memory, and what to tell.
pub struct Step<'a, 'b> {
    pub(super) applier: &'a Applier,
    rules: Arc<Rules>,
    decisions: &'a Decisions,
    pub(super) overlay: &'a mut Overlay<'b>,
    fragments: BTreeMap<Fingerprint, Fragment>,
    changes: Vec<Change>,
    touched: BTreeSet<Fingerprint>,
    /// Names whose spellings are known to be noted.
    spelled: HashSet<String>,
    pub(super) opened: Opened,
    clocks: Clocks,
}

impl Applier {
    /// Applies records to the overlay, in whatever order; the caller notes that and commits it. Returns what to tell.
    ///
    /// # Errors
    /// The store cannot be read or is damaged; nothing was written.
    pub fn apply(
        &self,
        overlay: &mut Overlay<'_>,
        decisions: &Decisions,
        records: &[(u64, RecordRow)],
    ) -> Result<Vec<Fed>, StoreError> {
        let mut step = Step {
            applier: self,
            rules: self.rules.now(),
            decisions,
            overlay,
            fragments: BTreeMap::new(),
            changes: Vec::new(),
            touched: BTreeSet::new(),
            spelled: HashSet::new(),
            opened: Opened::default(),
            clocks: Clocks::default(),
        };
        let taken: Vec<Taken> = records
            .iter()
            .flat_map(|(number, record)| Taken::of(*number, record))
            .collect();
        step.read_ahead(&taken)?;
        for one in taken {
            step.take(one)?;
        }
        RULED.put(step.overlay, &(), &step.rules.digest().to_vec())?;
        step.finish()
    }

    /// The public id of the customer with this member as its seed.
    pub fn customer(&self, fingerprint: &Fingerprint) -> CustomerId {
        customer_id(&self.id_key, fingerprint)
    }
}

impl Step<'_, '_> {
    /// Reads at one go what each event asks for first.
    fn read_ahead(&mut self, taken: &[Taken]) -> Result<(), StoreError> {
        let events = || {
            taken.iter().filter_map(|one| match &one.what {
                Ok(Said::Event(event, _)) => Some(event),
                _ => None,
            })
        };
        let ids = events().map(|event| event.id.to_key());
        self.overlay.read_ahead(EVENTS.space(), ids)?;
        let messages = events().map(|event| message_key(&event.message_id).to_key());
        self.overlay.read_ahead(MESSAGES.space(), messages)
    }

    /// Takes in one entry, or keeps it apart.
    fn take(&mut self, one: Taken) -> Result<(), StoreError> {
        let (position, agent) = (one.position, one.agent);
        let done = match one.what {
            Ok(Said::Event(event, origin)) => self.event(position, *event, *origin)?,
            Ok(Said::Clock(boot, fact)) => self.measured(agent, boot, fact)?,
            Ok(Said::Dropped(dropped)) => self.given_up(agent, &dropped)?,
            Err(refusal) => Err(refusal),
        };
        match done {
            Ok(()) => Ok(()),
            Err(refusal) => self.reject(position, refusal),
        }
    }

    /// Takes in an event; the inner error says why it is kept apart.
    fn event(
        &mut self,
        position: Position,
        event: Event,
        origin: OriginRow,
    ) -> Result<Result<(), RejectedRow>, StoreError> {
        if self.applier.registry.source(&origin.key).is_none() {
            return Ok(Err(RejectedRow {
                code: "unknown_write_key".into(),
                reason: "the write key belongs to no source; create one and use its key".into(),
                message_id: Some(event.message_id),
            }));
        }
        self.note_taking(&origin, &event.id)?;
        match EVENTS.get(self.overlay, &event.id)? {
            None => self.new_event(position, &event, origin)?,
            Some(mut row) => {
                // The same event in a record that came later and was applied before.
                if position < row.position {
                    row.position = position;
                    EVENTS.put(self.overlay, &event.id, &row)?;
                    let key = message_key(&event.message_id);
                    let mut message = MESSAGES.get(self.overlay, &key)?.unwrap_or_default();
                    self.in_order(&mut message.events)?;
                    MESSAGES.put(self.overlay, &key, &message)?;
                }
                self.again(event, row, origin)?;
            }
        }
        Ok(Ok(()))
    }

    /// Takes in what an agent gave up; the inner error says why it is kept apart.
    fn given_up(
        &mut self,
        agent: Option<AgentId>,
        dropped: &Dropped,
    ) -> Result<Result<(), RejectedRow>, StoreError> {
        let Some(agent) = agent.filter(|_| dropped.is_sound()) else {
            return Ok(Err(RejectedRow {
                code: "dropped_by_nobody".into(),
                reason: "only an agent can say what it gave up, and only of low-priority events"
                    .into(),
                message_id: None,
            }));
        };
        let Dropped { epoch, lane, .. } = *dropped;
        let key = (agent, epoch, lane, dropped.first, dropped.last);
        let row = DroppedRow {
            previous: dropped.previous,
            head: dropped.head,
            reason: dropped.reason,
        };
        // Two copies may have given up the same numbers: whichever is told first, one and the same row stays.
        let known = DROPPED.get(self.overlay, &key)?;
        DROPPED.put(
            self.overlay,
            &key,
            &known.map_or(row, |known| known.max(row)),
        )?;
        Ok(Ok(()))
    }

    fn reject(&mut self, position: Position, row: RejectedRow) -> Result<(), StoreError> {
        if let Some(message_id) = &row.message_id {
            let key = message_key(message_id);
            let mut message = MESSAGES.get(self.overlay, &key)?.unwrap_or_default();
            message.rejected.push(position);
            message.rejected.sort_unstable();
            MESSAGES.put(self.overlay, &key, &message)?;
        }
        REJECTED.put(self.overlay, &(position.record, position.index), &row)
    }

    fn new_event(
        &mut self,
        position: Position,
        event: &Event,
        origin: OriginRow,
    ) -> Result<(), StoreError> {
        let key = message_key(&event.message_id);
        let mut message = MESSAGES.get(self.overlay, &key)?.unwrap_or_default();
        message.events.push(event.id);
        MESSAGES.put(self.overlay, &key, &message)?;
        let origins = vec![origin];
        let said = self.said(event, &origins)?;
        let fingerprint = self.add(&said)?;
        let account = self.belongs(&said, fingerprint)?;
        EVENTS.put(
            self.overlay,
            &event.id,
            &EventRow {
                position,
                origins,
                duplicates: 0,
                at_ms: said.at_ms,
                fingerprint,
                account,
            },
        )?;
        if message.events.len() > 1 {
            self.in_order(&mut message.events)?;
            MESSAGES.put(self.overlay, &key, &message)?;
        }
        Ok(())
    }

    /// Sorts events by where they first came in the log.
    fn in_order(&self, events: &mut [EventId]) -> Result<(), StoreError> {
        let mut placed = Vec::with_capacity(events.len());
        for id in events.iter() {
            let row = EVENTS.get(self.overlay, id)?;
            placed.push((row.map(|row| row.position), *id));
        }
        placed.sort_unstable();
        for (to, (_, id)) in events.iter_mut().zip(placed) {
            *to = id;
        }
        Ok(())
    }

    /// An event that is there already: only its origins can grow.
    fn again(
        &mut self,
        event: Event,
        mut row: EventRow,
        origin: OriginRow,
    ) -> Result<(), StoreError> {
        row.duplicates = row.duplicates.saturating_add(1);
        let before = row.origins.clone();
        join_origin(&mut row.origins, origin);
        if row.origins != before
            && self.said(&event, &before)? != self.said(&event, &row.origins)?
        {
            return self.say_again(vec![(event, row)]);
        }
        EVENTS.put(self.overlay, &event.id, &row)
    }

    pub(super) fn said(
        &mut self,
        event: &Event,
        rows: &[OriginRow],
    ) -> Result<Observation, StoreError> {
        let mut origins = BTreeSet::new();
        for row in rows {
            let corrected = self.clocks.corrected(self.overlay, row)?;
            origins.extend(self.applier.registry.origin(row, corrected));
        }
        Ok(observe(event, &origins))
    }

    /// What identifies somebody in an observation; none when it belongs to nobody.
    fn payload(&self, said: &Observation) -> Option<Payload> {
        Payload::new(
            said.identifiers.iter().cloned(),
            said.facet,
            said.at_ms,
            said.person.clone(),
            &self.rules,
        )
    }

    fn put_on_timeline(&mut self, fingerprint: &Fingerprint, said: &Observation) {
        self.overlay.put_raw(
            TIMELINE.space(),
            timeline_key(fingerprint, said.at_ms, &said.event),
            said.message_id.clone().into_bytes(),
        );
    }

    /// Folds an observation into its fragment and groups it; none when it belongs to nobody.
    fn add(&mut self, said: &Observation) -> Result<Option<Fingerprint>, StoreError> {
        let Some(payload) = self.payload(said) else {
            return Ok(None);
        };
        let fingerprint = payload.fingerprint();
        // An empty fragment is one that its last event left in this very step: it begins anew.
        let first = self
            .fragment(&fingerprint)?
            .and_then(|fragment| fragment.first());
        let earlier = first.is_none_or(|first| said.at_ms < first.at_ms);
        if first.is_none() {
            self.index(&fingerprint, &payload)?;
        }
        self.fragments
            .entry(fingerprint)
            .or_insert_with(|| Fragment::empty(payload.clone()))
            .add(said);
        self.put_on_timeline(&fingerprint, said);
        if earlier {
            let node = Node {
                fingerprint,
                payload,
                first_at_ms: said.at_ms,
            };
            let outcome = identity::insert(
                &mut StoredGraph(self.overlay),
                node,
                self.decisions,
                &self.rules,
            )?;
            self.note(outcome);
        }
        self.touched.insert(fingerprint);
        Ok(Some(fingerprint))
    }

    fn fragment(&mut self, fingerprint: &Fingerprint) -> Result<Option<&Fragment>, StoreError> {
        if !self.fragments.contains_key(fingerprint) {
            match load_fragment(self.overlay, fingerprint)? {
                Some(fragment) => self.fragments.insert(*fingerprint, fragment),
                None => return Ok(None),
            };
        }
        Ok(self.fragments.get(fingerprint))
    }

    /// Notes a new fingerprint under its public id and its searchable words.
    fn index(&mut self, fingerprint: &Fingerprint, payload: &Payload) -> Result<(), StoreError> {
        let id = self.applier.customer(fingerprint);
        self.overlay
            .put_raw(IDS.space(), id.0.to_vec(), fingerprint.0.to_vec());
        for (word, is_name) in words(payload) {
            WORDS.put(self.overlay, &(word.clone(), *fingerprint), &is_name)?;
            if is_name && !self.spelled.contains(&word) {
                if !SPELLINGS.has(self.overlay, &(word.clone(), word.clone()))? {
                    for form in forms(&word) {
                        SPELLINGS.put(self.overlay, &(form, word.clone()), &())?;
                    }
                }
                self.spelled.insert(word);
            }
        }
        for home in homes(payload).into_keys() {
            HOMES.put(self.overlay, &(home, *fingerprint), &())?;
        }
        Ok(())
    }

    fn note(&mut self, outcome: Outcome) {
        self.changes.extend(outcome.changes);
    }

    /// Writes the fragments and says what happened; a customer that only got new events is told once.
    fn finish(self) -> Result<Vec<Fed>, StoreError> {
        for (fingerprint, fragment) in &self.fragments {
            if fragment.first().is_some() {
                FRAGMENTS.put(self.overlay, fingerprint, &fragment.encode())?;
            } else {
                FRAGMENTS.delete(self.overlay, fingerprint);
                unlist(self.overlay, fingerprint, &fragment.payload)?;
            }
        }
        let mut told = BTreeSet::new();
        let mut fed = Vec::new();
        for one in self.applier.feed(&self.changes) {
            // Members that joined one after the other are one update.
            if told.insert(one.customer) || one.kind != "customer.updated" || !one.others.is_empty()
            {
                fed.push(one);
            }
        }
        let mut updated = BTreeSet::new();
        for fingerprint in &self.touched {
            let Some(group) = read::person(self.overlay, fingerprint)? else {
                continue;
            };
            updated.insert(self.applier.customer(&group.seed));
            // A refusal that is nobody's alone holds for everybody it may be of.
            if self
                .fragments
                .get(fingerprint)
                .is_some_and(Fragment::refuses)
            {
                let concerned = beside::concerned(self.overlay, &group)?;
                updated.extend(concerned.iter().map(|seed| self.applier.customer(seed)));
            }
        }
        fed.extend(updated.difference(&told).map(|customer| Fed {
            kind: "customer.updated",
            customer: *customer,
            others: Vec::new(),
        }));
        Ok(fed)
    }
}

/// Takes a fingerprint that has no events any more out of the search.
fn unlist(
    overlay: &mut Overlay<'_>,
    fingerprint: &Fingerprint,
    payload: &Payload,
) -> Result<(), StoreError> {
    for home in homes(payload).into_keys() {
        HOMES.delete(overlay, &(home, *fingerprint));
    }
    for (word, is_name) in words(payload) {
        WORDS.delete(overlay, &(word.clone(), *fingerprint));
        if !is_name {
            continue;
        }
        let mut rest = WORDS.rows_of(overlay, &word, Direction::Forward);
        let still = rest.find_map(|row| row.map(|(_, is_name)| is_name.then_some(())).transpose());
        drop(rest);
        if still.transpose()?.is_none() {
            for form in forms(&word) {
                SPELLINGS.delete(overlay, &(form, word.clone()));
            }
        }
    }
    Ok(())
}

fn timeline_key(fingerprint: &Fingerprint, at_ms: i64, event: &EventId) -> Vec<u8> {
    (*fingerprint, at_ms, *event).to_key()
}
