//! What one event says about a person, read once and normalised.
//!
//! Owns the reading of identifiers, person fields, traits and interests from an event's body. A pure function of the event and
//! of where it was taken in; never of when or by what path it arrived here.

use std::{cmp::Reverse, collections::BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    canonical,
    clock::parse_time_ms,
    event::{Event, EventType, IDENTIFIER_TRAITS, at},
    id::{AgentId, EventId},
    identifier::{self, Identifier, Kind, Place},
    person::Person,
};

/// Most `externalIds` read of one event.
pub const EXTERNAL_IDS_MAX: usize = 32;
/// Most traits read of one event.
pub const TRAITS_MAX: usize = 256;

/// Where and when an event was taken in. An event that came by two sources has two origins; both are members of the set.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Origin {
    /// When the first collector took it in. Unit: ms since 1970, by that collector's clock.
    pub captured_ms: i64,
    /// Name of the source whose write key it came with.
    pub source: String,
    /// Rank of the source when two disagree about a trait: the greater wins.
    pub priority: u8,
    /// Country by which national formats are read. ISO 3166-1 alpha-2.
    pub country: String,
    /// Within what the source's own ids are unique; empty for the whole organisation.
    pub namespace: String,
    /// The agent that took it in; none for the server itself.
    pub agent: Option<AgentId>,
    /// The agent's touchpoint.
    pub touchpoint: Option<String>,
}

/// What one event says, in normal form.
#[derive(Clone, PartialEq, Debug)]
pub struct Observation {
    /// The event.
    pub event: EventId,
    /// The client's own id of it.
    pub message_id: String,
    /// What happened.
    pub kind: EventType,
    /// Event time: the client's, else that of the first capture. Unit: ms since 1970.
    pub at_ms: i64,
    /// Valid identifiers, sorted, each once.
    pub identifiers: Vec<Identifier>,
    /// Identifiers that could not be used, with the reason.
    pub unusable: Vec<(Kind, String)>,
    /// Person fields for matching.
    pub person: Person,
    /// Traits: name and canonical JSON of the value, sorted by name.
    pub traits: Vec<(String, String)>,
    /// The topic of interest.
    pub topic: Option<String>,
    /// Names of the sources it came by, each once: greatest rank first, then by name. The first is the one whose rank it has.
    pub sources: Vec<String>,
    /// Greatest rank among its sources.
    pub priority: u8,
    /// Channel: web, app, store, event, call, email, social, sms, print.
    pub channel: Option<String>,
    /// Whether it came from the person (`true`), not from us.
    pub inbound: bool,
}

/// Reads what an event says. `origins` is not empty.
pub fn observe(event: &Event, origins: &BTreeSet<Origin>) -> Observation {
    let first = origins.first();
    let place = Place { country: first.map_or("ES", |origin| &origin.country), namespace: first.map_or("", |origin| &origin.namespace) };
    let captured_ms = first.map_or(0, |origin| origin.captured_ms);
    let at_ms = event.client_time().and_then(parse_time_ms).unwrap_or(captured_ms);

    let mut found = Found { place, identifiers: BTreeSet::new(), unusable: Vec::new() };
    found.read(Kind::UserId, event.body.get("userId"));
    found.read(Kind::AnonymousId, event.body.get("anonymousId"));
    let traits = traits_of(event);
    for name in IDENTIFIER_TRAITS {
        if let Ok(kind) = name.parse() {
            found.read(kind, traits.get(name));
        }
    }
    let external = at(&event.body, &["context", "externalIds"]).and_then(Value::as_array);
    for item in external.into_iter().flatten().take(EXTERNAL_IDS_MAX) {
        if let Some(kind) = item.get("type").and_then(Value::as_str).and_then(|name| name.parse().ok()) {
            found.read(kind, item.get("id"));
        }
    }
    if event.kind == EventType::Alias
        && let Some(previous) = event.body.get("previousId")
    {
        // The spec lets `previousId` be a visitor id or an older user id; visitor ids are UUIDs in every SDK that sends alias.
        let is_visitor = previous.as_str().is_some_and(|text| text.len() == 36 && text.bytes().filter(|byte| *byte == b'-').count() == 4);
        found.read(if is_visitor { Kind::AnonymousId } else { Kind::UserId }, Some(previous));
    }

    let unusable_names: BTreeSet<&str> = found.unusable.iter().map(|(kind, _)| kind.name()).collect();
    let mut kept: Vec<(String, String)> = traits
        .iter()
        .filter(|(name, value)| !value.is_null() && (!IDENTIFIER_TRAITS.contains(&name.as_str()) || unusable_names.contains(name.as_str())))
        .take(TRAITS_MAX)
        .map(|(name, value)| (name.clone(), canonical::to_string(value)))
        .collect();
    kept.sort_unstable();
    let mut ranked: Vec<(Reverse<u8>, &str)> = origins.iter().map(|origin| (Reverse(origin.priority), origin.source.as_str())).collect();
    ranked.sort_unstable();
    let mut sources: Vec<String> = Vec::with_capacity(ranked.len());
    for (_, source) in ranked {
        if sources.iter().all(|known| known != source) {
            sources.push(source.to_owned());
        }
    }
    Observation {
        event: event.id,
        message_id: event.message_id.clone(),
        kind: event.kind,
        at_ms,
        person: Person::from_traits(&traits),
        identifiers: found.identifiers.into_iter().collect(),
        unusable: found.unusable,
        traits: kept,
        topic: event.text_at(&["properties", "topic"]).map(str::trim).filter(|topic| !topic.is_empty()).map(str::to_owned),
        sources,
        priority: origins.iter().map(|origin| origin.priority).max().unwrap_or(0),
        channel: event.touch("channel").map(str::to_owned),
        inbound: event.touch("direction") != Some("out"),
    }
}

/// A person's traits: `context.traits` under `traits`. The traits of a group event are the group's, not the person's.
fn traits_of(event: &Event) -> Map<String, Value> {
    let object = |path: &[&str]| at(&event.body, path).and_then(Value::as_object);
    let mut traits = object(&["context", "traits"]).cloned().unwrap_or_default();
    if event.kind != EventType::Group {
        for (name, value) in object(&["traits"]).into_iter().flatten() {
            traits.insert(name.clone(), value.clone());
        }
    }
    traits
}

struct Found<'a> {
    place: Place<'a>,
    identifiers: BTreeSet<Identifier>,
    unusable: Vec<(Kind, String)>,
}

impl Found<'_> {
    fn read(&mut self, kind: Kind, value: Option<&Value>) {
        let text = match value {
            Some(Value::String(text)) if !text.trim().is_empty() => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => return,
        };
        match identifier::normalise(kind, &text, &self.place) {
            Ok(identifier) => {
                self.identifiers.insert(identifier);
            }
            Err(reason) => self.unusable.push((kind, reason.to_string())),
        }
    }
}
