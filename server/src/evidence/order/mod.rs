//! The one invariant: what is shown is a function of the *set* of events and decisions, however they arrived.
//!
//! Owns a world without HTTP in which events arrive in any order, any batches, any number of times, with decisions in between,
//! and the comparison of everything derived. The sets that tempt to err are in `sets`, the laws in `laws`.

mod clocks;
mod laws;
mod sets;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, LazyLock},
};

use serde_json::Value;
use trenza_shared::{
    event::{Event, Taking},
    id::{AgentId, CustomerId, EventId, Fingerprint},
    identity::{self, Decision, Decisions, Node, Rules, customer_id, full},
    matching::Bands,
    store::{Batch, Durable, MemStore, Overlay, Store as _},
    wire::{
        entry::{Entry, Open, What},
        frame::Run,
    },
};

use super::{Applier, cursor};
use crate::{
    customer::{export, record::group_by_id},
    identity::{StoredGraph, read},
    registry::Registry,
    rules::InForce,
    tables::{
        ACCOUNT_LINE, ACCOUNT_WORDS, ACCOUNTS, ACCOUNTS_OF, AgentRow, AgentState, CLOCKS,
        COMPONENT_OF, COMPONENTS, EDGES, EVENTS, FRAGMENTS, HOLDERS, HOMES, Hop, IDS, LOG,
        MATCH_HOLDERS, MATCH_KEYS, MATCHED, MEMBERS, NODES, OriginRow, PROFILES, QUESTIONS,
        RecordRow, SPELLINGS, TAKEN, TIMELINE, UNITS, WORDS,
    },
    testing::source,
};

const ID_KEY: [u8; 32] = [7; 32];
/// Write keys: a website and a core system here, an app elsewhere with its own ids and formats.
const WEB: &str = "wk_web";
const CORE: &str = "wk_core";
const APP: &str = "wk_app";
/// A shop with ids of its own.
const SHOP: &str = "wk_shop";
/// Two agents.
const STAND: AgentId = AgentId([1; 16]);
const DOOR: AgentId = AgentId([2; 16]);

/// Rules by which many are alike: few people, and low bands.
fn rules() -> Rules {
    let mut rules = Rules::default();
    rules.matching.on = true;
    rules.matching.population = 100;
    rules.matching.bands = Bands {
        ask: -4_000,
        link: 3_000,
    };
    rules
}

static APPLIER: LazyLock<Applier> = LazyLock::new(|| {
    let registry = Registry::open(Arc::new(MemStore::new())).unwrap();
    for (key, name, priority, country) in [
        (WEB, "Website", 100, "ES"),
        (CORE, "Core system", 200, "ES"),
        (APP, "App", 100, "FR"),
        (SHOP, "Shop", 100, "ES"),
    ] {
        let mut row = source(name, priority);
        row.country = country.into();
        if key == SHOP {
            row.namespace = "shop".into();
        }
        registry.put_source(key, &row).unwrap();
    }
    for (id, touchpoint) in [(STAND, "Stand B"), (DOOR, "Door")] {
        let row = AgentRow {
            touchpoint: touchpoint.into(),
            country: "ES".into(),
            zone: "Europe/Madrid".into(),
            venue: String::new(),
            write_key: WEB.into(),
            enrolled_ms: 0,
            state: AgentState::Active,
            copy_of: None,
        };
        registry.put_agent(&id, &row, Batch::new()).unwrap();
    }
    Applier {
        registry: Arc::new(registry),
        rules: InForce::of(rules()),
        id_key: ID_KEY,
    }
});

/// One event as taken in somewhere, or a clock as measured there.
#[derive(Clone, Debug)]
struct Arrival {
    text: String,
    key: &'static str,
    agent: Option<AgentId>,
    captured_ms: i64,
    boot: u64,
    boottime_ms: u64,
    measured: Option<(i64, u64)>,
}

/// One thing that happens to a replica.
#[derive(Clone, Debug)]
enum Happening {
    Event(Arrival),
    Decision(Decision),
}

fn event(body: &Value) -> Happening {
    by(WEB, None, 1_000, &body.to_string())
}

fn by(key: &'static str, agent: Option<AgentId>, captured_ms: i64, text: &str) -> Happening {
    Happening::Event(Arrival {
        text: text.into(),
        key,
        agent,
        captured_ms,
        boot: 0,
        boottime_ms: 0,
        measured: None,
    })
}

/// The same in a boot of the agent, by its boot clock.
fn in_boot(boot: u64, boottime_ms: u64, happening: Happening) -> Happening {
    match happening {
        Happening::Event(arrival) => Happening::Event(Arrival {
            boot,
            boottime_ms,
            ..arrival
        }),
        decision @ Happening::Decision(_) => decision,
    }
}

/// An agent measured its clock.
fn measured(
    agent: AgentId,
    boot: u64,
    boottime_ms: u64,
    server_ms: i64,
    round_trip_ms: u64,
) -> Happening {
    Happening::Event(Arrival {
        text: String::new(),
        key: "",
        agent: Some(agent),
        captured_ms: 0,
        boot,
        boottime_ms,
        measured: Some((server_ms, round_trip_ms)),
    })
}

/// A replica.
struct World {
    store: MemStore,
    decisions: Decisions,
    records: u64,
}

impl World {
    fn new() -> Self {
        Self {
            store: MemStore::new(),
            decisions: Decisions::default(),
            records: 0,
        }
    }

    fn fork(&self) -> Self {
        Self {
            store: self.store.fork(),
            decisions: self.decisions.clone(),
            records: self.records,
        }
    }

    /// Takes in some happenings, the events between two decisions as one batch.
    fn take(&mut self, happenings: &[&Happening]) {
        let mut batch = Vec::new();
        for happening in happenings {
            match happening {
                Happening::Event(arrival) => batch.push(arrival),
                Happening::Decision(decision) => {
                    self.apply(&std::mem::take(&mut batch));
                    self.decide(decision);
                }
            }
        }
        self.apply(&batch);
    }

    fn apply(&mut self, arrivals: &[&Arrival]) {
        let mut log = Batch::new();
        let mut records = Vec::new();
        for run in arrivals.chunk_by(|one, other| one.agent == other.agent) {
            self.records += 1;
            let hop = run[0].agent.map_or(Hop::Own, |agent| Hop::Agent {
                agent,
                epoch: 1,
                lane: trenza_shared::id::Lane::Visits,
                first: self.records,
            });
            let entries: Vec<Entry> = run.iter().map(|arrival| arrival.entry()).collect();
            let row = RecordRow {
                received_ms: self.records as i64,
                hop,
                count: entries.len() as u32,
                run: Run::pack(&entries),
                links: None,
            };
            LOG.put(&mut log, &self.records, &row).unwrap();
            records.push((self.records, row));
        }
        self.store.commit(log, Durable::Later).unwrap();
        let mut overlay = Overlay::new(&self.store);
        APPLIER
            .apply(&mut overlay, &self.decisions, &records)
            .unwrap();
        cursor::passed(&mut overlay, self.records).unwrap();
        let batch = overlay.into_batch();
        self.store.commit(batch, Durable::Later).unwrap();
    }

    fn decide(&mut self, decision: &Decision) {
        let mut overlay = Overlay::new(&self.store);
        identity::decide(
            &mut StoredGraph(&mut overlay),
            &mut self.decisions,
            decision.clone(),
            &APPLIER.rules.now(),
        )
        .unwrap();
        let batch = overlay.into_batch();
        self.store.commit(batch, Durable::Later).unwrap();
    }

    /// The bytes of `export customers`.
    fn export(&self) -> String {
        let mut out = Vec::new();
        export::customers(&self.store, &ID_KEY, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    /// Everything derived that must not depend on the order, as bytes.
    fn derived(&self) -> Derived {
        let mut rows = BTreeMap::new();
        for space in [
            TIMELINE.space(),
            FRAGMENTS.space(),
            NODES.space(),
            HOLDERS.space(),
            PROFILES.space(),
            COMPONENT_OF.space(),
            COMPONENTS.space(),
            UNITS.space(),
            MATCH_KEYS.space(),
            MATCH_HOLDERS.space(),
            EDGES.space(),
            MATCHED.space(),
            QUESTIONS.space(),
            WORDS.space(),
            SPELLINGS.space(),
            ACCOUNTS.space(),
            MEMBERS.space(),
            ACCOUNT_LINE.space(),
            ACCOUNTS_OF.space(),
            ACCOUNT_WORDS.space(),
            HOMES.space(),
            CLOCKS.space(),
            TAKEN.space(),
        ] {
            let all = trenza_shared::store::entries(
                &self.store,
                space,
                trenza_shared::store::Range::ALL,
                trenza_shared::store::Direction::Forward,
            );
            rows.insert(space.0, all.map(Result::unwrap).collect());
        }
        let events = EVENTS.rows(&self.store).map(|row| {
            let (id, row) = row.unwrap();
            (id, (row.origins, row.at_ms, row.fingerprint))
        });
        // Of ids that were shown while a late taking-in had not come yet, only where they lead is a matter of the set.
        let ids = IDS.rows(&self.store).filter_map(|row| {
            let (id, fingerprint) = row.unwrap();
            let fingerprint = Fingerprint(fingerprint.try_into().unwrap());
            (customer_id(&ID_KEY, &fingerprint) == id).then_some((id, fingerprint))
        });
        let (events, ids) = (events.collect(), ids.collect());
        Derived { rows, events, ids }
    }

    /// The tables of the graph are those that a resolution from scratch gives, and every id ever shown leads to somebody.
    fn assert_sound(&self, context: &str) {
        let nodes: Vec<Node> = NODES
            .rows(&self.store)
            .map(|row| row.unwrap().1.0)
            .collect();
        let expected = full(&nodes, &self.decisions, &APPLIER.rules.now());
        let kept: Vec<_> = COMPONENTS
            .rows(&self.store)
            .map(|row| row.unwrap().1.0)
            .collect();
        assert_eq!(kept, expected.components, "{context}");
        let persons: BTreeSet<Vec<Fingerprint>> = MATCHED
            .rows(&self.store)
            .map(|row| row.unwrap().1.0)
            .collect();
        assert_eq!(persons, expected.people.persons, "{context}");
        let questions = read::questions(&self.store, None, usize::MAX).unwrap();
        assert!(
            questions.iter().eq(&expected.people.questions),
            "{context}: {questions:?}"
        );
        let mut places = BTreeMap::new();
        for component in &expected.components {
            places.extend(component.members().map(|member| (*member, component.id)));
        }
        let kept: BTreeMap<Fingerprint, Fingerprint> = COMPONENT_OF
            .rows(&self.store)
            .map(|row| row.unwrap())
            .map(|(member, id)| (member, Fingerprint(id.try_into().unwrap())))
            .collect();
        assert_eq!(kept, places, "{context}");
    }

    fn shown_ids(&self) -> Vec<CustomerId> {
        IDS.rows(&self.store).map(|row| row.unwrap().0).collect()
    }

    fn leads(&self, id: &CustomerId) -> bool {
        let found = group_by_id(&self.store, &ID_KEY, id).unwrap();
        found.is_some()
    }
}

/// Rows by table; of events and ids what is a matter of the set.
#[derive(PartialEq, Debug)]
struct Derived {
    rows: BTreeMap<&'static str, Vec<trenza_shared::store::Entry>>,
    events: BTreeMap<EventId, (Vec<OriginRow>, i64, Option<Fingerprint>)>,
    ids: BTreeMap<CustomerId, Fingerprint>,
}

impl Derived {
    fn assert_same(&self, other: &Self, context: &str) {
        for (table, rows) in &self.rows {
            assert!(rows == &other.rows[table], "{table} differs: {context}");
        }
        assert_eq!(self.events, other.events, "{context}");
        // An id is noted when its fingerprint comes; those of fingerprints that are no more may stay.
        for (id, fingerprint) in &self.ids {
            let theirs = other.ids.get(id);
            let there = self.rows["node"]
                .iter()
                .any(|(key, _)| key == &fingerprint.0);
            assert!(
                !there || theirs == Some(fingerprint),
                "{id} differs: {context}"
            );
        }
    }
}

impl Arrival {
    fn entry(&self) -> Entry {
        let event = self
            .measured
            .is_none()
            .then(|| Event::take(&self.text, Taking::default()).unwrap());
        let what = match (&event, self.measured) {
            (Some(event), _) => What::Event(event.kind),
            (None, measured) => {
                let (server_ms, round_trip_ms) = measured.unwrap();
                What::Clock {
                    server_ms,
                    round_trip_ms,
                }
            }
        };
        let open = Open {
            what,
            captured_ms: self.captured_ms,
            boottime_ms: self.boottime_ms,
            boot: self.boot,
            offset_min: 0,
            key: self.key.into(),
            unverified: false,
            bot: None,
            sent_lag_ms: 0,
        };
        Entry::clear(&open, event.as_ref().map_or("", |event| &event.text))
    }
}

/// All orders of a set, sharing what orders begin with; every step is checked against a resolution from scratch.
fn in_every_order(name: &str, happenings: &[Happening]) -> World {
    fn go(
        world: &World,
        order: &mut Vec<usize>,
        all: &[Happening],
        visit: &mut dyn FnMut(World, &[usize]),
    ) {
        if order.len() == all.len() {
            visit(world.fork(), order);
        }
        for at in 0..all.len() {
            if !order.contains(&at) {
                let mut next = world.fork();
                next.take(&[&all[at]]);
                order.push(at);
                next.assert_sound(&format!("{order:?}"));
                go(&next, order, all, visit);
                order.pop();
            }
        }
    }
    let mut expected: Option<(World, Derived, String)> = None;
    go(
        &World::new(),
        &mut Vec::new(),
        happenings,
        &mut |world, order| {
            let context = format!("{name}, order {order:?}");
            let (derived, bytes) = (world.derived(), world.export());
            match &expected {
                None => expected = Some((world, derived, bytes)),
                Some((_, first, export)) => {
                    assert_eq!(export, &bytes, "{context}");
                    first.assert_same(&derived, &context);
                }
            }
        },
    );
    let (mut world, derived, export) = expected.unwrap();
    // Once more, backwards and as one batch: nothing happens.
    world.take(&happenings.iter().rev().collect::<Vec<_>>());
    assert_eq!(export, world.export(), "{name}, twice");
    derived.assert_same(&world.derived(), name);
    let mut at_once = World::new();
    at_once.take(&happenings.iter().rev().collect::<Vec<_>>());
    assert_eq!(export, at_once.export(), "{name}, at once");
    derived.assert_same(&at_once.derived(), name);
    world
}
