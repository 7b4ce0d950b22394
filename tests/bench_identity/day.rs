//! The labelled day as the server resolves it: events to nodes, nodes to customers; and weights learned from its truth.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use trenza_shared::{
    event::{Event, Taking},
    evidence::{Origin, observe},
    id::Fingerprint,
    identity::{
        Decisions, Held, Lesson, MemoryGraph, Node, Payload, Rules, Unit, full, insert, people,
        whole_group,
    },
    matching::{Class, Field, Language, Model, Pattern, learn},
};
use trenza_tests::day::{
    Chance, Day, Options, PersonNo, Repeat, generate,
    quality::{Quality, quality, quality_of_told},
};

/// Pairs of strangers taken at random to learn from.
const RANDOM_PAIRS: usize = 2_000_000;

/// A day and what its events are in the identity graph.
pub struct Labelled {
    pub day: Day,
    pub nodes: Vec<Node>,
    /// Node of each message.
    node_of: BTreeMap<String, Fingerprint>,
}

/// Makes the day of a seed with so many people.
pub fn labelled(seed: u64, people: usize) -> anyhow::Result<Labelled> {
    let day = generate(&Options {
        seed,
        people,
        events: people,
        ..Options::default()
    });
    let rules = Rules::default();
    let mut nodes: BTreeMap<Fingerprint, Node> = BTreeMap::new();
    let mut by_message = BTreeMap::new();
    for touch in day
        .events
        .iter()
        .filter(|touch| touch.repeat == Repeat::First)
    {
        let place = format!("{:?}", touch.place);
        let Some((message_id, node)) =
            node_of(&touch.body.to_string(), touch.at_ms, &place, &rules)?
        else {
            continue;
        };
        by_message.insert(message_id, node.fingerprint);
        let known = nodes
            .entry(node.fingerprint)
            .or_insert_with(|| node.clone());
        known.first_at_ms = known.first_at_ms.min(node.first_at_ms);
    }
    Ok(Labelled {
        day,
        nodes: nodes.into_values().collect(),
        node_of: by_message,
    })
}

/// The messageId and the node of an event; no node when it belongs to nobody.
///
/// # Errors
/// It is no event.
pub fn node_of(
    body: &str,
    at_ms: i64,
    source: &str,
    rules: &Rules,
) -> anyhow::Result<Option<(String, Node)>> {
    let taking = Taking {
        path_type: None,
        root_context: None,
        fresh_message_id: "",
    };
    let event = Event::take(body, taking)?;
    let origin = Origin {
        unsure: false,
        captured_ms: at_ms,
        wall_ms: at_ms,
        source: source.to_owned(),
        priority: 100,
        country: "ES".to_owned(),
        namespace: String::new(),
        agent: None,
        touchpoint: None,
    };
    let said = observe(&event, &BTreeSet::from([origin]));
    let payload = Payload::new(said.identifiers, said.facet, said.at_ms, said.person, rules);
    Ok(payload.map(|payload| (event.message_id, Node::new(payload, said.at_ms))))
}

/// What the rules make of a day.
pub struct Judged {
    pub quality: Quality,
    /// Without what nobody can tell whose it is.
    pub of_told: Quality,
    /// Questions, and those of them that are about one person indeed.
    pub questions: (usize, usize),
}

impl Labelled {
    pub fn judge(&self, rules: &Rules) -> Judged {
        let whole = full(&self.nodes, &Decisions::default(), rules);
        let mut customers: BTreeMap<Fingerprint, String> = BTreeMap::new();
        for group in whole_group(&whole.components, &whole.people) {
            let id = group.seed.to_string();
            customers.extend(group.members.iter().map(|member| (*member, id.clone())));
        }
        let of = |message: &str| {
            customers
                .get(self.node_of.get(message)?)
                .map(String::as_str)
        };
        let truth = self.truth(&whole.units, rules);
        let asked = &whole.people.questions;
        let right = asked.iter().filter(|question| {
            let person = truth.get(&question.one);
            person.is_some() && person == truth.get(&question.other)
        });
        Judged {
            quality: quality(&self.day, of),
            of_told: quality_of_told(&self.day, of),
            questions: (asked.len(), right.count()),
        }
    }

    /// Nodes that one core takes in a second, one by one over tables in memory.
    ///
    /// # Errors
    /// What came of it is not what everything from scratch gives.
    pub fn streamed(&self, rules: &Rules) -> anyhow::Result<f64> {
        let decisions = Decisions::default();
        let mut graph = MemoryGraph::default();
        let start = Instant::now();
        for node in &self.nodes {
            match insert(&mut graph, node.clone(), &decisions, rules) {
                Ok(_outcome) => {}
                Err(never) => match never {},
            }
        }
        let rate = self.nodes.len() as f64 / start.elapsed().as_secs_f64();
        let whole = full(&self.nodes, &decisions, rules);
        anyhow::ensure!(
            graph.components() == whole.components && graph.people() == whole.people,
            "taken in one by one the day is another than at once"
        );
        Ok(rate)
    }

    /// Whose most of the messages of each customer by identifiers are.
    fn truth(&self, units: &[Unit], rules: &Rules) -> BTreeMap<Fingerprint, PersonNo> {
        let whole = full(&self.nodes, &Decisions::default(), rules);
        let mut seed_of = BTreeMap::new();
        for group in whole.components.iter().flat_map(|one| &one.groups) {
            seed_of.extend(group.members.iter().map(|member| (*member, group.seed)));
        }
        let mut counts: BTreeMap<Fingerprint, BTreeMap<PersonNo, usize>> = BTreeMap::new();
        for touch in &self.day.events {
            let seed = self
                .node_of
                .get(touch.message_id())
                .and_then(|node| seed_of.get(node));
            if let (Some(seed), Some(person)) = (seed, touch.truth) {
                *counts.entry(*seed).or_default().entry(person).or_default() += 1;
            }
        }
        let of = |unit: &Unit| {
            let counts = counts.get(&unit.seed)?;
            let most = counts.iter().max_by_key(|(_, count)| **count)?;
            Some((unit.seed, *most.0))
        };
        units.iter().filter_map(of).collect()
    }

    /// The weights that its truth teaches: how alike records of one person are, of one household, and of strangers.
    ///
    /// Records joined by identifiers teach as well as others how a person is written; how rare it is that two are one person is
    /// counted among those that identifiers leave apart.
    pub fn learned(&self, rules: &Rules) -> Model {
        let whole = full(&self.nodes, &Decisions::default(), rules);
        let truth = self.truth(&whole.units, rules);
        let person_of = self.person_of_nodes();
        let records: Vec<(Unit, PersonNo)> = self
            .nodes
            .iter()
            .filter_map(|node| Some((Unit::of_record(node)?, *person_of.get(&node.fingerprint)?)))
            .collect();
        let home = |person: &PersonNo| self.day.people[person.0 as usize].household;
        let mut homes: BTreeMap<_, Vec<&(Unit, PersonNo)>> = BTreeMap::new();
        for one in &records {
            homes.entry(home(&one.1)).or_default().push(one);
        }
        let mut pairs: [BTreeMap<Pattern, u64>; 3] = Default::default();
        for members in homes.values() {
            for (nth, (one, person)) in members.iter().enumerate() {
                for (other, other_person) in &members[nth + 1..] {
                    let class = class(person == other_person);
                    let counts = &mut pairs[class as usize];
                    *counts.entry(one.pattern(other)).or_default() += 1;
                }
            }
        }
        let mut chance = Chance::new(3);
        for _ in 0..RANDOM_PAIRS {
            let (one, other) = (chance.pick(&records), chance.pick(&records));
            if home(&one.1) != home(&other.1) {
                let counts = &mut pairs[Class::Strangers as usize];
                *counts.entry(one.0.pattern(&other.0)).or_default() += 1;
            }
        }
        let mut customers: BTreeMap<_, Vec<PersonNo>> = BTreeMap::new();
        for person in truth.values() {
            customers.entry(home(person)).or_default().push(*person);
        }
        let mut of = [0_u64; 3];
        for members in customers.values() {
            for (nth, person) in members.iter().enumerate() {
                for other in &members[nth + 1..] {
                    of[class(person == other) as usize] += 1;
                }
            }
        }
        let count = truth.len() as u64;
        of[Class::Strangers as usize] = count * count.saturating_sub(1) / 2;
        let subjects: Vec<_> = whole.units.iter().map(|unit| unit.subject()).collect();
        learn(count, &pairs, of, &Model::untrained(&subjects))
    }

    /// The weights that `trenza-server match train` learns of the same day, of which nothing is labelled.
    pub fn learned_unlabelled(&self, rules: &Rules) -> Model {
        let whole = full(&self.nodes, &Decisions::default(), rules);
        let mut node_of: BTreeMap<Fingerprint, &Node> = BTreeMap::new();
        node_of.extend(self.nodes.iter().map(|node| (node.fingerprint, node)));
        let mut members: BTreeMap<Fingerprint, Vec<Node>> = BTreeMap::new();
        for group in whole.components.iter().flat_map(|one| &one.groups) {
            let nodes = group
                .members
                .iter()
                .filter_map(|member| node_of.get(member));
            members.insert(group.seed, nodes.map(|node| (*node).clone()).collect());
        }
        let held: Vec<Held> = whole.units.iter().cloned().map(Held::new).collect();
        let mut lesson = Lesson::default();
        let mut holders: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        for (nth, one) in held.iter().enumerate() {
            let nodes = members.get(&one.unit().seed).map_or(&[][..], Vec::as_slice);
            lesson.customer(one.unit(), nodes, rules);
            for other in held.iter().skip(nth + 1).take(20) {
                lesson.strangers(one.unit(), other.unit());
            }
            for key in one.keys() {
                holders.entry(*key).or_default().push(nth);
            }
        }
        let mut pairs = BTreeSet::new();
        let few = |one: &Vec<usize>| one.len() <= rules.matching.holders_max;
        for holders in holders.into_values().filter(few) {
            for (nth, one) in holders.iter().enumerate() {
                pairs.extend(holders[nth + 1..].iter().map(|other| (*one, *other)));
            }
        }
        for (one, other) in pairs {
            lesson.candidates(held[one].unit(), held[other].unit());
        }
        lesson.learned(held.len() as u64, 1, Language::Es.model())
    }

    /// Whose each node's first message is.
    fn person_of_nodes(&self) -> BTreeMap<Fingerprint, PersonNo> {
        let mut person_of = BTreeMap::new();
        for touch in &self.day.events {
            if let (Some(node), Some(person)) = (self.node_of.get(touch.message_id()), touch.truth)
            {
                person_of.entry(*node).or_insert(person);
            }
        }
        person_of
    }

    /// The records without their identifiers, each a customer of its own: what matching alone makes of them.
    pub fn alone(&self, rules: &Rules) -> Alone {
        let person_of = self.person_of_nodes();
        let mut units: Vec<(Unit, PersonNo)> = Vec::new();
        for node in &self.nodes {
            if let (Some(unit), Some(person)) =
                (Unit::of_record(node), person_of.get(&node.fingerprint))
            {
                units.push((
                    Unit {
                        contacts: Vec::new(),
                        ..unit
                    },
                    *person,
                ));
            }
        }
        units.retain(|(unit, _)| unit.comparable());
        let truth: BTreeMap<Fingerprint, PersonNo> = units
            .iter()
            .map(|(unit, person)| (unit.seed, *person))
            .collect();
        let only: Vec<Unit> = units.iter().map(|(unit, _)| unit.clone()).collect();
        let people = people(&only, rules);
        let mut out = Alone {
            records: units.len(),
            ..Alone::default()
        };
        for person in &people.persons {
            for (nth, one) in person.iter().enumerate() {
                for other in &person[nth + 1..] {
                    match truth[one] == truth[other] {
                        true => out.right += 1,
                        false => out.wrong += 1,
                    }
                }
            }
        }
        let mut of: BTreeMap<PersonNo, Vec<&Unit>> = BTreeMap::new();
        for (unit, person) in &units {
            of.entry(*person).or_default().push(unit);
        }
        for members in of.values() {
            for (nth, one) in members.iter().enumerate() {
                out.could += members[nth + 1..]
                    .iter()
                    .filter(|other| {
                        let pattern = one.pattern(other);
                        pattern[Field::Birth as usize] > 0
                            || (1..6).contains(&pattern[Field::Place as usize])
                    })
                    .count();
            }
        }
        out.asked = people.questions.len();
        out.asked_rightly = people
            .questions
            .iter()
            .filter(|question| truth[&question.one] == truth[&question.other])
            .count();
        out
    }
}

/// What matching makes of records without identifiers, in pairs.
#[derive(Default)]
pub struct Alone {
    /// Records that can be compared.
    pub records: usize,
    /// Pairs of one person that were linked.
    pub right: usize,
    /// Pairs of two persons that were linked.
    pub wrong: usize,
    /// Pairs of one person of which both tell a birthday or an address.
    pub could: usize,
    /// Questions, and those of them that are about one person indeed.
    pub asked: usize,
    pub asked_rightly: usize,
}

fn class(same: bool) -> Class {
    if same { Class::Person } else { Class::Family }
}
