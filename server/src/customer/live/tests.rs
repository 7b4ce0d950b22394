//! The list against a log in memory: what is told, told again, and passed over.

use std::{collections::BTreeMap, sync::Arc};

use proptest::prelude::*;
use trenza_shared::{
    event::EventType,
    store::{Batch, Durable, MemStore, Store as _},
    wire::frame::Run,
};

use super::*;
use crate::tables::{EventRow, OriginRow, Position};

#[test]
fn a_cursor_reads_back_what_it_writes_and_nothing_else() {
    let cursor = Cursor {
        record: 12,
        applied: 11,
        refused: u64::MAX,
    };
    assert_eq!(cursor.to_string().parse(), Ok(cursor));
    for bad in [
        "",
        "1",
        "1.2",
        "1.2.3.4",
        "a.b.c",
        "1.2.-3",
        "1..3",
        "99999999999999999999.1.1",
    ] {
        assert_eq!(bad.parse::<Cursor>(), Err(BadCursor), "{bad}");
    }
}

/// A log with what is applied of it, and its reader.
struct World {
    store: Arc<MemStore>,
    registry: Registry,
    last: u64,
    applied: u64,
    /// What the reader knows: row -> whether it is known what became of it.
    known: BTreeMap<(u64, u32), bool>,
    cursor: Option<Cursor>,
}

impl World {
    fn new() -> Self {
        let store = Arc::new(MemStore::new());
        Self {
            registry: Registry::open(store.clone()).unwrap(),
            store,
            last: 0,
            applied: 0,
            known: BTreeMap::new(),
            cursor: None,
        }
    }

    /// A record with events of one source.
    fn record(&mut self, key: &str, events: u32) {
        self.last += 1;
        let entry = |index: u32| {
            let open = Open {
                what: What::Event(EventType::Page),
                captured_ms: 5,
                boottime_ms: 0,
                boot: 0,
                offset_min: 0,
                key: key.into(),
                unverified: false,
                bot: None,
                sent_lag_ms: 0,
            };
            Entry::clear(&open, &text(self.last, index))
        };
        let entries: Vec<Entry> = (0..events).map(entry).collect();
        let row = RecordRow {
            received_ms: 5,
            hop: Hop::Own,
            count: events,
            run: Run::pack(&entries),
            links: None,
        };
        let mut batch = Batch::new();
        LOG.put(&mut batch, &self.last, &row).unwrap();
        self.store.commit(batch, Durable::Yes).unwrap();
    }

    fn event_rows(&self, batch: &mut Batch, record: u64) {
        let row = LOG.get(&*self.store, &record).unwrap().unwrap();
        for index in 0..row.count {
            let event = Event::stored(text(record, index)).unwrap();
            let row = EventRow {
                position: Position { record, index },
                origins: vec![OriginRow {
                    captured_ms: 5,
                    key: "wk".into(),
                    agent: None,
                    boot: 0,
                    boottime_ms: 0,
                    bot: None,
                    sent_lag_ms: 0,
                }],
                duplicates: 0,
                at_ms: 5,
                fingerprint: None,
                account: None,
            };
            EVENTS.put(batch, &event.id, &row).unwrap();
        }
    }

    /// Records up to this one are in the derived tables.
    fn apply(&mut self, to: u64) {
        let mut batch = Batch::new();
        for record in self.applied + 1..=to {
            self.event_rows(&mut batch, record);
            AHEAD.delete(&mut batch, &record);
        }
        self.applied = self.applied.max(to);
        APPLIED.put(&mut batch, &(), &self.applied).unwrap();
        self.store.commit(batch, Durable::Yes).unwrap();
    }

    /// A record comes before its turn.
    fn ahead(&mut self, record: u64) {
        let mut batch = Batch::new();
        self.event_rows(&mut batch, record);
        AHEAD.put(&mut batch, &record, &()).unwrap();
        self.store.commit(batch, Durable::Yes).unwrap();
    }

    fn look(&mut self, key: Option<&str>, max: usize) -> Page {
        let ask = Ask {
            key: key.map(str::to_owned),
            after: self.cursor,
            end: self.last,
            max,
        };
        let page = page(&*self.store, &self.registry, &ask).unwrap();
        for seen in &page.seen {
            self.known.insert(seen.id, seen.verdict != Verdict::Stored);
        }
        self.cursor = Some(Cursor {
            record: page.record,
            applied: page.applied,
            refused: 0,
        });
        page
    }
}

fn text(record: u64, index: u32) -> String {
    format!(r#"{{"type":"page","userId":"u","messageId":"m-{record}-{index}"}}"#)
}

#[test]
fn a_row_changes_once_it_is_known_what_became_of_it() {
    let mut world = World::new();
    world.record("wk", 2);
    let first = world.look(None, 50);
    assert!(
        first
            .seen
            .iter()
            .all(|seen| seen.verdict == Verdict::Stored)
    );
    assert_eq!(first.seen.len(), 2);
    assert!(world.look(None, 50).seen.is_empty(), "told once");
    world.apply(1);
    let again = world.look(None, 50);
    assert_eq!(again.seen.len(), 2);
    assert!(
        again
            .seen
            .iter()
            .all(|seen| matches!(seen.verdict, Verdict::Nobody(_)))
    );
    assert!(world.look(None, 50).seen.is_empty());
    world.record("other", 3);
    assert!(
        world.look(Some("wk"), 50).seen.is_empty(),
        "of another source"
    );
}

#[test]
fn what_is_too_much_is_passed_over_and_said() {
    let mut world = World::new();
    world.record("wk", 1);
    world.look(None, 50);
    for _ in 0..600 {
        world.record("wk", 1);
    }
    let page = world.look(None, 50);
    assert_eq!(page.seen.len(), 50);
    assert_eq!(page.passed_over, 550);
    assert_eq!(
        page.seen.last().unwrap().id,
        (601, 0),
        "the newest are shown"
    );
    world.cursor = None;
    assert_eq!(
        world.look(None, 50).passed_over,
        0,
        "one who begins missed nothing"
    );
    assert_eq!(world.look(Some("nobody"), 50).seen.len(), 0);
}

#[test]
fn a_cursor_of_a_log_that_is_gone_begins_anew() {
    let mut world = World::new();
    world.record("wk", 1);
    world.cursor = "9000.9000.0".parse().ok();
    assert_eq!(world.look(None, 50).seen.len(), 1);
    assert_eq!(world.cursor.unwrap().record, 1);
}

#[derive(Clone, Debug)]
enum Step {
    Record(u32),
    Apply(u64),
    Ahead(u64),
    Look,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (1..5u32).prop_map(Step::Record),
        2 => any::<u64>().prop_map(Step::Apply),
        1 => any::<u64>().prop_map(Step::Ahead),
        3 => Just(Step::Look),
    ];
    proptest::collection::vec(step, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn whoever_follows_knows_what_one_who_begins_sees(steps in steps()) {
        let mut world = World::new();
        for step in steps {
            match step {
                Step::Record(events) => world.record("wk", events),
                Step::Apply(to) => {
                    let to = world.applied + to % (world.last - world.applied + 1);
                    world.apply(to);
                }
                Step::Ahead(record) if world.last > world.applied => {
                    let record = world.applied + 1 + record % (world.last - world.applied);
                    world.ahead(record);
                }
                Step::Ahead(_) => {}
                Step::Look => {
                    prop_assert_eq!(world.look(None, ROWS_MAX).passed_over, 0);
                }
            }
        }
        // What came before its turn is told at the next step of the resolver, which comes while anything waits.
        let last = world.last;
        world.apply(last);
        world.look(None, ROWS_MAX);
        let follower = world.known.clone();
        (world.known, world.cursor) = (BTreeMap::new(), None);
        world.look(None, ROWS_MAX);
        prop_assert_eq!(follower, world.known);
    }
}
