//! Every order of small sets that tempt to err: events, second takings-in and decisions, down to the exported lines.
//!
//! After every subset of arrivals the whole state must be one and the same, whichever of them came last. The state is all that
//! the next arrival meets, so by induction every one of the n! orders passes through equal states and ends in equal bytes.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::*;
use crate::{
    event::{Event, Taking},
    evidence::{Origin, observe},
    identifier::{Kind, Place, normalise},
    identity::{
        Decision, DecisionKind, Decisions, Graph as _, MemoryGraph, Node, Rules, customer_id, full,
        insert, key_hash, remove, retime,
    },
};

const ID_KEY: [u8; 32] = [7; 32];

/// One thing that arrives.
#[derive(Clone)]
enum Arrival {
    /// An event, taken in somewhere.
    Event(Event, Origin),
    /// A decision.
    Decision(Decision),
}

/// All that is kept.
#[derive(Clone, Default)]
struct State {
    events: BTreeMap<EventId, (Event, BTreeSet<Origin>, Option<Fingerprint>)>,
    graph: MemoryGraph,
    fragments: BTreeMap<Fingerprint, Fragment>,
    decisions: Decisions,
}

impl State {
    fn take(&mut self, arrival: &Arrival) {
        match arrival {
            Arrival::Decision(decision) => {
                let rules = Rules::default();
                let decided = crate::identity::decide(
                    &mut self.graph,
                    &mut self.decisions,
                    decision.clone(),
                    &rules,
                );
                decided.unwrap();
            }
            Arrival::Event(event, origin) => {
                let before = self.events.get(&event.id).cloned();
                let mut origins = before.clone().map(|known| known.1).unwrap_or_default();
                if !origins.insert(origin.clone()) {
                    return;
                }
                if let Some((_, _, Some(fingerprint))) = before {
                    self.leave(&event.id, fingerprint);
                }
                let fingerprint = self.add(&observe(event, &origins));
                let row = (event.clone(), origins, fingerprint);
                self.events.insert(event.id, row);
            }
        }
    }

    fn add(&mut self, said: &Observation) -> Option<Fingerprint> {
        let rules = Rules::default();
        let identifiers = said.identifiers.iter().cloned();
        let payload = Payload::new(
            identifiers,
            said.facet,
            said.at_ms,
            said.person.clone(),
            &rules,
        )?;
        let node = Node::new(payload.clone(), said.at_ms);
        let fingerprint = node.fingerprint;
        let fragment = self.fragments.entry(fingerprint);
        fragment.or_insert(Fragment::empty(payload)).add(said);
        insert(&mut self.graph, node, &self.decisions, &rules).unwrap();
        Some(fingerprint)
    }

    fn leave(&mut self, event: &EventId, fingerprint: Fingerprint) {
        self.events.remove(event);
        let rules = Rules::default();
        let payload = self.fragments.remove(&fingerprint).unwrap().payload;
        let mut fragment = Fragment::empty(payload.clone());
        for (event, origins, of) in self.events.values() {
            if *of == Some(fingerprint) {
                fragment.add(&observe(event, origins));
            }
        }
        if let Some(first) = fragment.first() {
            let node = Node::new(payload, first.at_ms);
            retime(&mut self.graph, node, &self.decisions, &rules).unwrap();
            self.fragments.insert(fingerprint, fragment);
        } else {
            remove(&mut self.graph, &fingerprint, &self.decisions, &rules).unwrap();
        }
    }

    /// As the server exports customers.
    fn export(&self) -> String {
        let mut lines = Vec::new();
        for group in self.graph.components().iter().flat_map(|one| &one.groups) {
            let members = group.members.iter().map(|member| &self.fragments[member]);
            let shared = group.shared.iter().map(|key| key.identifier.clone());
            let records = self
                .events
                .values()
                .filter(|(_, _, of)| of.is_some_and(|of| group.members.contains(&of)));
            let records = records.map(|(event, _, _)| event.message_id.as_str());
            let id = customer_id(&ID_KEY, &group.seed);
            lines.push(customer(members).export_line(id, records, &shared.collect()));
        }
        lines.sort();
        lines.join("\n")
    }

    fn assert_same(&self, other: &Self, context: &str) {
        assert_eq!(self.graph, other.graph, "{context}");
        assert_eq!(self.fragments, other.fragments, "{context}");
        assert_eq!(self.export(), other.export(), "{context}");
        let said = |state: &Self| -> Vec<_> {
            let rows = state.events.iter();
            rows.map(|(id, (_, origins, of))| (*id, origins.clone(), *of))
                .collect()
        };
        assert_eq!(said(self), said(other), "{context}");
        let (ours, theirs) = (self.decisions.active(), other.decisions.active());
        assert_eq!(ours, theirs, "{context}");
    }
}

/// Walks the lattice of subsets; the customers of the whole set.
fn in_every_order(arrivals: &[Arrival]) -> String {
    let mut states: Vec<Option<State>> = vec![None; 1 << arrivals.len()];
    states[0] = Some(State::default());
    for subset in 0..states.len() {
        let state = states[subset].clone().unwrap();
        let nodes: Vec<Node> = state.graph.nodes().cloned().collect();
        assert_eq!(
            state.graph.components(),
            full(&nodes, &state.decisions, &Rules::default()).components,
            "subset {subset:b}"
        );
        for (at, arrival) in arrivals.iter().enumerate() {
            let mut next = state.clone();
            next.take(arrival);
            let with = subset | 1 << at;
            match &states[with] {
                Some(known) => known.assert_same(&next, &format!("{subset:b} + {at}")),
                None => states[with] = Some(next),
            }
        }
    }
    states.pop().unwrap().unwrap().export()
}

fn origin(source: &str, priority: u8, country: &str, captured_ms: i64) -> Origin {
    Origin {
        unsure: false,
        captured_ms,
        wall_ms: captured_ms,
        source: source.into(),
        priority,
        country: country.into(),
        namespace: String::new(),
        agent: None,
        touchpoint: None,
    }
}

fn event_at(text: &str, origin: Origin) -> Arrival {
    Arrival::Event(Event::take(text, Taking::default()).unwrap(), origin)
}

fn event(body: Value) -> Arrival {
    event_at(&body.to_string(), origin("web", 100, "ES", 1_000))
}

/// An event of visitor, traits and minute.
fn said(message: &str, visitor: &str, minute: u8, traits: Value) -> Arrival {
    event(
        json!({"type": "identify", "messageId": message, "anonymousId": visitor, "traits": traits,
        "timestamp": format!("2026-01-15T10:{minute:02}:00Z")}),
    )
}

fn email(value: &str) -> Identifier {
    let place = Place {
        country: "ES",
        namespace: "",
    };
    normalise(Kind::Email, value, &place).unwrap()
}

fn decided(kind: DecisionKind, observes: &[&Decision]) -> Decision {
    let subjects = vec![email("luis@example.org"), email("ana@example.org")];
    let observes = observes.iter().map(|one| one.id).collect();
    Decision::new(kind, subjects, "test", "eva", 0, observes, None).unwrap()
}

fn lines(export: &str) -> usize {
    export.lines().count()
}

#[test]
fn an_investor_is_one_person_in_each_of_40320_orders() {
    let funds = |message: &str, minute: u8| {
        event(
            json!({"type": "page", "messageId": message, "anonymousId": "v",
            "timestamp": format!("2026-01-15T09:{minute:02}:00Z"), "properties": {"topic": "renta fija"}}),
        )
    };
    let export = in_every_order(&[
        funds("p1", 1),
        funds("p2", 2),
        funds("p3", 3),
        said("guide", "v", 4, json!({"email": "ana@example.org"})),
        event(
            json!({"type": "track", "messageId": "badge", "timestamp": "2026-02-01T18:00:00Z",
            "context": {"traits": {"badgeId": "B1", "email": "ana@example.org", "phone": "600111222"}}}),
        ),
        event_at(
            r#"{"type":"identify","messageId":"core","timestamp":"2020-01-01T00:00:00Z",
                "traits":{"nationalId":"12345678Z","phone":"600111222","balance":10000}}"#,
            origin("core", 200, "ES", 9),
        ),
        event(
            json!({"type": "track", "messageId": "scan", "timestamp": "2026-02-01T18:05:00Z",
            "context": {"traits": {"badgeId": "B1"}}}),
        ),
        said("other", "w", 5, json!({"email": "eva@example.org"})),
    ]);
    assert_eq!(lines(&export), 2, "{export}");
}

#[test]
fn a_couple_with_decisions_is_the_same_in_each_of_40320_orders() {
    let apart = decided(DecisionKind::NotSame, &[]);
    let together = decided(DecisionKind::Same, &[]);
    let undo = Decision::undo(apart.id, "test", "eva", 0);
    let later = decided(DecisionKind::NotSame, &[&together]);
    let phone = |name: &str| json!({"email": format!("{name}@example.org"), "phone": "600333444"});
    let mut arrivals = vec![
        said("1", "tablet", 1, phone("luis")),
        said("2", "tablet", 2, phone("ana")),
        said("3", "tablet", 3, json!({"phone": "600333444"})),
        said("4", "tablet", 4, json!({"email": "luis@example.org"})),
        Arrival::Decision(apart),
        Arrival::Decision(together),
        Arrival::Decision(undo),
    ];
    let export = in_every_order(&arrivals);
    assert_eq!(lines(&export), 1, "{export}");
    arrivals.push(Arrival::Decision(later));
    let export = in_every_order(&arrivals);
    assert!(lines(&export) > 1, "{export}");
}

#[test]
fn contradictions_of_ids_and_names_are_the_same_in_each_of_40320_orders() {
    let ana = json!({"firstName": "Ana", "lastName": "López", "email": "ana@example.org", "nationalId": "12345678Z"});
    let luis = json!({"firstName": "Luis", "lastName": "Pérez", "email": "luis@example.org", "nationalId": "87654321X"});
    let swapped = json!({"firstName": "Ana", "lastName": "López", "email": "ana@example.org", "nationalId": "87654321X"});
    let export = in_every_order(&[
        said("1", "kiosk", 1, ana),
        said("2", "kiosk", 2, luis),
        said("3", "kiosk", 3, swapped),
        said(
            "4",
            "kiosk",
            4,
            json!({"email": "ana@example.org", "loyaltyId": "DEMO"}),
        ),
        said(
            "5",
            "kiosk",
            5,
            json!({"email": "luis@example.org", "loyaltyId": "DEMO"}),
        ),
        event(
            json!({"type": "identify", "messageId": "6", "timestamp": "2026-01-15T10:06:00Z",
            "traits": {"email": "ana@example.org"}, "context": {"externalIds": [{"type": "email", "id": "luis@example.org"}]}}),
        ),
        event(
            json!({"type": "alias", "messageId": "7", "timestamp": "2026-01-15T10:07:00Z", "userId": "u2", "previousId": "u1"}),
        ),
        said(
            "8",
            "kiosk",
            8,
            json!({"userId": "u1", "firstName": "Eva", "lastName": "Gil", "loyaltyId": "DEMO"}),
        ),
    ]);
    assert!(lines(&export) > 2, "{export}");
}

#[test]
fn events_of_two_sources_without_a_time_are_the_same_in_each_of_40320_orders() {
    // Another day, another country, another rank: what the event says depends on all its takings-in.
    let day = 86_400_000;
    let text = |message: &str, phone: &str| {
        format!(
            r#"{{"type":"identify","messageId":"{message}","anonymousId":"v","traits":{{"phone":"{phone}"}}}}"#
        )
    };
    let one = text("1", "612345678");
    let other = text("2", "612345678");
    let export = in_every_order(&[
        event_at(&one, origin("web", 100, "ES", 5 * day)),
        event_at(&one, origin("app", 90, "FR", 3 * day)),
        event_at(&one, origin("core", 200, "ES", 4 * day)),
        event_at(&other, origin("app", 90, "FR", 5 * day)),
        event_at(&other, origin("web", 100, "ES", 2 * day)),
        event_at(
            &text("1", "+34612345678"),
            origin("web", 100, "ES", 5 * day),
        ),
        event_at(&text("3", "999"), origin("web", 100, "ES", 5 * day)),
        event_at(&text("3", "999"), origin("app", 90, "FR", 5 * day)),
    ]);
    assert!(!export.is_empty());
}

#[test]
fn a_value_that_turns_hot_is_the_same_in_each_of_its_orders() {
    // The cap is crossed by one holder who, taken in elsewhere earlier, turns out to say something else.
    let mut state = State::default();
    let holder = |n: usize| {
        said(
            &format!("h{n}"),
            "v",
            1,
            json!({"phone": "600111222", "email": format!("e{n}@example.org")}),
        )
    };
    for n in 0..19 {
        state.take(&holder(n));
    }
    let text = r#"{"type":"identify","messageId":"x","traits":{"phone":"600111222","email":"x@example.org"},"timestamp":"2026-01-15T10:00:00Z"}"#;
    let arrivals = [
        holder(19),
        event_at(text, origin("web", 100, "ES", 9)),
        event_at(text, origin("app", 100, "FR", 8)),
        holder(20),
    ];
    let mut ends: Vec<State> = Vec::new();
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [1, 0, 3, 2], [1, 3, 2, 0]] {
        let mut one = state.clone();
        for at in order {
            one.take(&arrivals[at]);
        }
        let nodes: Vec<Node> = one.graph.nodes().cloned().collect();
        let all = full(&nodes, &one.decisions, &Rules::default());
        assert_eq!(one.graph.components(), all.components);
        ends.push(one);
    }
    for end in &ends {
        ends[0].assert_same(end, "hot");
    }
    let phone = normalise(
        Kind::Phone,
        "600111222",
        &Place {
            country: "ES",
            namespace: "",
        },
    );
    let phone = phone.unwrap();
    assert!(
        ends[0].graph.profile(&phone).unwrap().hot(),
        "{:?}",
        key_hash(&phone)
    );
}
