//! What the events of one fingerprint fold to, and what a customer's fragments join to.
//!
//! Owns the fold of events into a [`Fragment`], its bytes in the store, and the [`Customer`] that is the join of a set of
//! fragments. An event is in exactly one fragment and a customer is a set of fingerprints, so a merge is a join and an un-merge only another
//! grouping. Never decides who is who, never reads a clock, and never depends on the order in which events came.

mod bytes;
mod customer;
#[cfg(test)]
mod every_order;
pub mod mask;
mod render;
#[cfg(test)]
mod tests;

pub use bytes::{BadFragment, VERSION};
pub use customer::{Customer, Side, customer, customer_beside};

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    crdt::{Consent, Join, Moment, Register, Span, register},
    event::EventType,
    evidence::Observation,
    id::{EventId, Fingerprint},
    identifier::Identifier,
    identity::Payload,
};

/// Most traits of a fragment; of more, the least names are kept.
pub const TRAITS_MAX: usize = 256;
/// Longest name of a trait; a longer one stays in the event. Unit: bytes.
pub const TRAIT_NAME_BYTES_MAX: usize = 256;
/// Most topics of a fragment; of more, the least are kept.
pub const INTERESTS_MAX: usize = 256;
/// Longest topic; a longer one counts as none. Unit: bytes.
pub const TOPIC_BYTES_MAX: usize = 256;
/// Most sources named at an identifier; of more, the least names are kept.
pub const SOURCES_MAX: usize = 16;
/// Most channels counted in a fragment; of more, the least are kept.
pub const CHANNELS_MAX: usize = 32;
/// Longest name of a channel; a longer one is not counted. Unit: bytes.
pub const CHANNEL_BYTES_MAX: usize = 64;
/// Most pairs of purpose and channel with statements of consent; of more, the least are kept. What is not kept is unknown, which
/// counts as no.
pub const CONSENTS_MAX: usize = 256;

/// Longest purpose, and longest channel, of a statement of consent; a longer one is not kept. Unit: bytes.
pub const CONSENT_BYTES_MAX: usize = 128;

/// Counters by channel start with this.
const CHANNEL_PREFIX: &str = "channel.";

/// When and by which sources an identifier was seen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seen {
    /// First event time. Unit: ms since 1970.
    pub first_ms: i64,
    /// Last event time. Unit: ms since 1970.
    pub last_ms: i64,
    /// Names of sources, at most [`SOURCES_MAX`].
    pub sources: BTreeSet<String>,
}

impl Seen {
    fn at(at_ms: i64) -> Self {
        Self {
            first_ms: at_ms,
            last_ms: at_ms,
            sources: BTreeSet::new(),
        }
    }

    fn see(&mut self, at_ms: i64, sources: &[String]) {
        self.first_ms = self.first_ms.min(at_ms);
        self.last_ms = self.last_ms.max(at_ms);
        for source in sources {
            if !self.sources.contains(source) {
                self.sources.insert(source.clone());
            }
        }
        trim_set(&mut self.sources, SOURCES_MAX);
    }
}

impl Join for Seen {
    fn join(&mut self, other: &Self) {
        let Self {
            first_ms,
            last_ms,
            sources,
        } = other;
        self.first_ms = self.first_ms.min(*first_ms);
        self.last_ms = self.last_ms.max(*last_ms);
        self.sources.extend(sources.iter().cloned());
        trim_set(&mut self.sources, SOURCES_MAX);
    }
}

/// For what a consent is asked: purpose and channel.
pub type ConsentPart = (String, String);

/// The state folded from the events of one fingerprint.
///
/// **Laws.** A function of the set of its events: `add` in any order gives equal fragments and equal bytes, and parts folded apart and put
/// together by [`Fragment::absorb`] are the whole. Counts are sums over events, so each event is added once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fragment {
    /// Hash of the payload.
    pub fingerprint: Fingerprint,
    /// What all its events say about who it is.
    pub payload: Payload,
    /// First and last event, by event time.
    pub span: Span,
    /// How many events.
    pub events: u64,
    /// The identifiers of the payload that were seen.
    pub identifiers: BTreeMap<Identifier, Seen>,
    /// Traits by name; values are canonical JSON.
    pub traits: BTreeMap<String, Register>,
    /// How often the person showed interest in a topic.
    pub interests: BTreeMap<String, u64>,
    /// Events by `type.NAME`, `channel.NAME` and `direction.in`/`direction.out`.
    pub counters: BTreeMap<String, u64>,
    /// Statements of consent.
    pub consents: BTreeMap<ConsentPart, Consent>,
}

impl Fragment {
    /// The fragment of a payload before its first event.
    #[must_use]
    pub fn empty(payload: Payload) -> Self {
        Self {
            fingerprint: payload.fingerprint(),
            payload,
            span: Span::default(),
            events: 0,
            identifiers: BTreeMap::new(),
            traits: BTreeMap::new(),
            interests: BTreeMap::new(),
            counters: BTreeMap::new(),
            consents: BTreeMap::new(),
        }
    }

    /// Whether any of its events refuses something or takes it back.
    #[must_use]
    pub fn refuses(&self) -> bool {
        let mut consents = self.consents.values();
        consents.any(|consent| !consent.withdrawals().is_empty())
    }

    /// The earliest event; none before the first `add`.
    #[must_use]
    pub fn first(&self) -> Option<Moment> {
        self.span.first()
    }

    /// The latest event; none before the first `add`.
    #[must_use]
    pub fn last(&self) -> Option<Moment> {
        self.span.last()
    }

    /// Takes in one event. The caller sees to it that each event is added once.
    pub fn add(&mut self, said: &Observation) {
        let at_ms = said.at_ms;
        self.span.see(Moment {
            at_ms,
            event: said.event,
        });
        self.events = self.events.saturating_add(1);
        for identifier in &said.identifiers {
            if let Some(seen) = self.identifiers.get_mut(identifier) {
                seen.see(at_ms, &said.sources);
            } else if let Some(held) = self.payload.held(identifier) {
                let seen = self.identifiers.entry(held);
                seen.or_insert_with(|| Seen::at(at_ms))
                    .see(at_ms, &said.sources);
            }
        }
        for one in &said.consents {
            if one.purpose.len() > CONSENT_BYTES_MAX || one.channel.len() > CONSENT_BYTES_MAX {
                continue;
            }
            let part = (one.purpose.clone(), one.channel.clone());
            if one.granted {
                self.grant(part, said.event, one.observes.iter().copied());
            } else {
                self.withdraw(part, said.event);
            }
        }
        let source = said.sources.first().map_or("", String::as_str);
        for (name, value) in &said.traits {
            if name.len() > TRAIT_NAME_BYTES_MAX || value.len() > register::VALUE_BYTES_MAX {
                continue;
            }
            if !self.traits.contains_key(name) {
                self.traits.insert(name.clone(), Register::default());
            }
            if let Some(register) = self.traits.get_mut(name) {
                register.claim(value, said.priority, at_ms, said.event, source);
            }
        }
        trim_map(&mut self.traits, TRAITS_MAX);
        // What we send about a topic says nothing about the person's interest.
        if let Some(topic) = &said.topic
            && said.inbound
            && topic.len() <= TOPIC_BYTES_MAX
        {
            count(&mut self.interests, topic, 1);
            trim_map(&mut self.interests, INTERESTS_MAX);
        }
        count(&mut self.counters, type_counter(said.kind), 1);
        let direction = if said.inbound {
            "direction.in"
        } else {
            "direction.out"
        };
        count(&mut self.counters, direction, 1);
        if let Some(channel) = &said.channel
            && channel.len() <= CHANNEL_BYTES_MAX
        {
            count(
                &mut self.counters,
                &[CHANNEL_PREFIX, channel.as_str()].concat(),
                1,
            );
            self.trim_channels();
        }
    }

    /// The event `grant` allows a purpose on a channel, knowing of the withdrawals `observes`.
    pub fn grant(
        &mut self,
        part: ConsentPart,
        grant: EventId,
        observes: impl IntoIterator<Item = EventId>,
    ) {
        self.consents
            .entry(part)
            .or_default()
            .grant(grant, observes);
        trim_map(&mut self.consents, CONSENTS_MAX);
    }

    /// The event `withdrawal` refuses a purpose on a channel, or takes a grant back.
    pub fn withdraw(&mut self, part: ConsentPart, withdrawal: EventId) {
        self.consents.entry(part).or_default().withdraw(withdrawal);
        trim_map(&mut self.consents, CONSENTS_MAX);
    }

    /// Takes in a part of the same fingerprint that was folded from *other* events.
    pub fn absorb(&mut self, part: &Self) {
        let Self {
            fingerprint: _,
            payload: _,
            span,
            events,
            identifiers,
            traits,
            interests,
            counters,
            consents,
        } = part;
        self.span.join(span);
        self.events = self.events.saturating_add(*events);
        self.identifiers.join(identifiers);
        self.traits.join(traits);
        trim_map(&mut self.traits, TRAITS_MAX);
        sum(&mut self.interests, interests);
        trim_map(&mut self.interests, INTERESTS_MAX);
        sum(&mut self.counters, counters);
        self.trim_channels();
        self.consents.join(consents);
        trim_map(&mut self.consents, CONSENTS_MAX);
    }

    /// The bytes of the store: a version, then a frozen shape. Equal fragments have equal bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        bytes::encode(self)
    }

    /// Reads the bytes of the store.
    ///
    /// # Errors
    /// Says what is wrong with them, and where.
    pub fn decode(bytes: &[u8]) -> Result<Self, BadFragment> {
        bytes::decode(bytes)
    }

    /// Channel names come from clients, so they are bounded; the least are kept. Types and directions are few and stay.
    fn trim_channels(&mut self) {
        if self.counters.len() <= CHANNELS_MAX {
            return;
        }
        let surplus: Vec<String> = self
            .counters
            .range(CHANNEL_PREFIX.to_owned()..)
            .map(|(name, _)| name)
            .take_while(|name| name.starts_with(CHANNEL_PREFIX))
            .skip(CHANNELS_MAX)
            .cloned()
            .collect();
        for name in surplus {
            self.counters.remove(&name);
        }
    }
}

fn type_counter(kind: EventType) -> &'static str {
    match kind {
        EventType::Track => "type.track",
        EventType::Identify => "type.identify",
        EventType::Page => "type.page",
        EventType::Screen => "type.screen",
        EventType::Group => "type.group",
        EventType::Alias => "type.alias",
    }
}

fn count(counts: &mut BTreeMap<String, u64>, name: &str, more: u64) {
    match counts.get_mut(name) {
        Some(known) => *known = known.saturating_add(more),
        None => {
            counts.insert(name.to_owned(), more);
        }
    }
}

fn sum(counts: &mut BTreeMap<String, u64>, others: &BTreeMap<String, u64>) {
    for (name, more) in others {
        count(counts, name, *more);
    }
}

/// Keeps the least: a key that falls out has `max` lesser keys before it for ever, so this remains a join.
fn trim_map<K: Ord, V>(map: &mut BTreeMap<K, V>, max: usize) {
    while map.len() > max {
        map.pop_last();
    }
}

fn trim_set<T: Ord>(set: &mut BTreeSet<T>, max: usize) {
    while set.len() > max {
        set.pop_last();
    }
}
