//! What one event says about a person, read once and normalised.
//!
//! Owns the reading of identifiers, person fields, traits and interests from an event's body. A pure function of the event and
//! of where it was taken in; never of when or by what path it arrived here.

use std::{cmp::Reverse, collections::BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    account::GroupSaid,
    canonical,
    clock::parse_time_ms,
    event::{Event, EventType, IDENTIFIER_TRAITS, at},
    facet::Facet,
    id::{AgentId, EventId},
    identifier::{self, Identifier, Kind, Place},
    person::Person,
    skew,
};

/// Most `externalIds` read of one event.
pub const EXTERNAL_IDS_MAX: usize = 32;
/// Most traits read of one event; of more, the least names.
pub const TRAITS_MAX: usize = 256;

/// Most statements of consent read of one event.
pub const CONSENTS_MAX: usize = 32;
/// The channel of a statement that names none.
pub const ANY_CHANNEL: &str = "any";

/// Where and when an event was taken in. An event that came by two sources has two origins; both are members of the set.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Origin {
    /// Nobody knows how wrong the collector's clock was: it counts only where no other taking-in is known better.
    pub unsure: bool,
    /// When the first collector took it in, corrected where its clock was measured. Unit: ms since 1970.
    pub captured_ms: i64,
    /// The same as that collector's clock said. Unit: ms since 1970.
    pub wall_ms: i64,
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

/// A statement about a consent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConsentSaid {
    /// For what.
    pub purpose: String,
    /// By what way.
    pub channel: String,
    /// Whether it is allowed; else it is refused, or taken back.
    pub granted: bool,
    /// The refusals that whoever allows it knew of.
    pub observes: Vec<EventId>,
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
    /// Event time: the client's, else that of the first capture; see [`skew::event_time_ms`]. Unit: ms since 1970.
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
    /// The side of the person it is about.
    pub facet: Option<Facet>,
    /// The account that a group event is about.
    pub group: Option<GroupSaid>,
    /// Consents given and taken back.
    pub consents: Vec<ConsentSaid>,
    /// Channel: web, app, store, event, call, email, social, sms, print.
    pub channel: Option<String>,
    /// Whether it came from the person (`true`), not from us.
    pub inbound: bool,
}

/// Reads what an event says. `origins` is not empty.
pub fn observe(event: &Event, origins: &BTreeSet<Origin>) -> Observation {
    let first = origins.first();
    let place = Place {
        country: first.map_or("ES", |origin| &origin.country),
        namespace: first.map_or("", |origin| &origin.namespace),
    };
    let at_ms = skew::event_time_ms(
        event.client_time().and_then(parse_time_ms),
        first.map_or(0, |origin| origin.wall_ms),
        first.map_or(0, |origin| origin.captured_ms),
    );

    let mut found = Found {
        place,
        identifiers: BTreeSet::new(),
        unusable: Vec::new(),
    };
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
        if let Some(kind) = item
            .get("type")
            .and_then(Value::as_str)
            .and_then(|name| name.parse().ok())
        {
            found.read(kind, item.get("id"));
        }
    }
    if event.kind == EventType::Alias
        && let Some(previous) = event.body.get("previousId")
    {
        // The spec lets `previousId` be a visitor id or an older user id; visitor ids are UUIDs in every SDK that sends alias.
        let is_visitor = previous.as_str().is_some_and(|text| {
            text.len() == 36 && text.bytes().filter(|byte| *byte == b'-').count() == 4
        });
        found.read(
            if is_visitor {
                Kind::AnonymousId
            } else {
                Kind::UserId
            },
            Some(previous),
        );
    }

    let unusable_names: BTreeSet<&str> =
        found.unusable.iter().map(|(kind, _)| kind.name()).collect();
    let mut kept: Vec<(String, String)> = traits
        .iter()
        .filter(|(name, value)| {
            !value.is_null()
                && (!IDENTIFIER_TRAITS.contains(&name.as_str())
                    || unusable_names.contains(name.as_str()))
        })
        .map(|(name, value)| (name.clone(), canonical::to_string(value)))
        .collect();
    // Sorted before it is cut: two texts of one event may have their members in different orders.
    kept.sort_unstable();
    kept.truncate(TRAITS_MAX);
    let mut ranked: Vec<(Reverse<u8>, &str)> = origins
        .iter()
        .map(|origin| (Reverse(origin.priority), origin.source.as_str()))
        .collect();
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
        person: Person::from_traits(&traits).born_by(at_ms),
        identifiers: found.identifiers.into_iter().collect(),
        unusable: found.unusable,
        traits: kept,
        topic: event
            .text_at(&["properties", "topic"])
            .map(str::trim)
            .filter(|topic| !topic.is_empty())
            .map(str::to_owned),
        sources,
        priority: origins
            .iter()
            .map(|origin| origin.priority)
            .max()
            .unwrap_or(0),
        facet: event.touch("facet").and_then(Facet::from_name),
        group: GroupSaid::of(event, &place),
        consents: consents_of(event),
        channel: event.touch("channel").map(str::to_owned),
        inbound: event.touch("direction") != Some("out"),
    }
}

/// The statements of `context.trenza.consent`: one or a list of `{"purpose", "channel", "granted", "observes"}`. A text there names
/// the consent under which the event was made, and states none. Without a channel all channels are meant.
fn consents_of(event: &Event) -> Vec<ConsentSaid> {
    let statements = match at(&event.body, &["context", "trenza", "consent"]) {
        Some(Value::Array(all)) => all.as_slice(),
        Some(one @ Value::Object(_)) => std::slice::from_ref(one),
        _ => &[],
    };
    let read = |one: &Value| {
        let text = |name: &str| {
            let text = one.get(name)?.as_str()?.trim();
            (!text.is_empty()).then(|| text.to_owned())
        };
        let observes = one.get("observes").and_then(Value::as_array);
        let observes = observes.into_iter().flatten().filter_map(Value::as_str);
        Some(ConsentSaid {
            purpose: text("purpose")?,
            channel: text("channel").unwrap_or_else(|| ANY_CHANNEL.to_owned()),
            // Whatever does not plainly allow refuses.
            granted: one.get("granted") == Some(&Value::Bool(true)),
            observes: observes.filter_map(|id| id.parse().ok()).collect(),
        })
    };
    statements
        .iter()
        .take(CONSENTS_MAX)
        .filter_map(read)
        .collect()
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
            // `7` and `7.0` are one content, so they must be one identifier.
            Some(number @ Value::Number(_)) => canonical::to_string(number),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Taking;

    fn origin(source: &str, priority: u8, captured_ms: i64) -> Origin {
        Origin {
            unsure: false,
            captured_ms,
            wall_ms: captured_ms,
            source: source.into(),
            priority,
            country: "ES".into(),
            namespace: String::new(),
            agent: None,
            touchpoint: None,
        }
    }

    fn read(raw: &str, origins: &[Origin]) -> Observation {
        let event = Event::take(
            raw,
            Taking {
                fresh_message_id: "fresh",
                ..Taking::default()
            },
        )
        .unwrap();
        observe(&event, &origins.iter().cloned().collect())
    }

    fn identifiers(said: &Observation) -> Vec<String> {
        said.identifiers.iter().map(Identifier::to_string).collect()
    }

    #[test]
    fn identifiers_are_read_wherever_they_stand() {
        let said = read(
            r#"{"type":"identify","userId":"u-1","anonymousId":"a-1","messageId":"m","traits":{"email":" Ada@X.org ","plan":"gold"},
                "context":{"traits":{"phone":"600 111 222"},"externalIds":[{"type":"loyaltyId","id":77},{"type":"shoe","id":"9"}]}}"#,
            &[origin("web", 0, 5)],
        );
        let mut found = identifiers(&said);
        found.sort();
        assert_eq!(
            found,
            [
                "anonymousId:a-1",
                "email:ada@x.org",
                "loyaltyId:77",
                "phone:+34600111222",
                "userId:u-1"
            ]
        );
        assert_eq!(said.traits, [("plan".to_owned(), "\"gold\"".to_owned())]);
        assert_eq!(said.at_ms, 5);
    }

    #[test]
    fn nobody_is_born_after_an_event() {
        let at = |date: &str| {
            let text = format!(
                r#"{{"type":"identify","userId":"u","messageId":"m","timestamp":"2026-03-14T10:00:00Z","traits":{{"birthday":"{date}"}}}}"#
            );
            let person = read(&text, &[origin("web", 0, 1_773_482_400_000)]).person;
            person.birthday.or(person.birth_digits)
        };
        assert_eq!(at("2026-03-15").as_deref(), Some("2026-03-15"));
        for far in ["2026-03-16", "2099-01-01", "2050-02-30"] {
            assert_eq!(at(far), None, "{far}");
        }
    }

    #[test]
    fn an_identifier_that_cannot_be_used_is_kept_as_a_trait_with_the_reason() {
        let said = read(
            r#"{"type":"identify","anonymousId":"a","messageId":"m","traits":{"email":"none"}}"#,
            &[origin("web", 0, 5)],
        );
        assert_eq!(said.unusable.len(), 1);
        assert_eq!(said.traits[0].0, "email");
    }

    #[test]
    fn texts_of_one_content_say_the_same() {
        let many = |turned: bool| {
            let mut members: Vec<String> = (0..TRAITS_MAX + 9)
                .map(|n| format!("\"t{n:04}\":{n}"))
                .collect();
            if turned {
                members.reverse();
            }
            let id = if turned { "7.0" } else { "7" };
            read(
                &format!(
                    r#"{{"type":"identify","userId":{id},"messageId":"m","traits":{{{}}}}}"#,
                    members.join(",")
                ),
                &[origin("web", 0, 5)],
            )
        };
        assert_eq!(many(false), many(true));
        assert_eq!(many(true).traits.len(), TRAITS_MAX);
        assert_eq!(identifiers(&many(true)), ["userId:7"]);
    }

    #[test]
    fn two_sources_are_both_named_and_the_one_of_higher_rank_first() {
        let said = read(
            r#"{"type":"page","userId":"u","messageId":"m"}"#,
            &[
                origin("app", 1, 9),
                origin("crm", 7, 8),
                origin("app", 0, 4),
                origin("web", 1, 9),
            ],
        );
        assert_eq!(said.sources, ["crm", "app", "web"]);
        assert_eq!((said.priority, said.at_ms), (7, 4));
    }

    #[test]
    fn the_clients_time_stands_before_that_of_the_capture() {
        let at = |raw: &str| read(raw, &[origin("web", 0, 5)]).at_ms;
        assert_eq!(
            at(
                r#"{"type":"page","userId":"u","timestamp":"2026-01-15T10:20:30.456Z","originalTimestamp":"1970-01-01T00:00:00.001Z"}"#
            ),
            1
        );
        assert_eq!(
            at(r#"{"type":"page","userId":"u","timestamp":"yesterday"}"#),
            5
        );
    }

    #[test]
    fn a_measured_clock_stands_before_one_that_nobody_measured() {
        let unsure = Origin {
            unsure: true,
            ..origin("web", 0, 5)
        };
        let kiosk = Origin {
            wall_ms: 1_000,
            ..origin("web", 0, 7_200_000)
        };
        let raw = r#"{"type":"page","userId":"u","messageId":"m"}"#;
        assert_eq!(read(raw, &[unsure.clone(), kiosk.clone()]).at_ms, 7_200_000);
        assert_eq!(read(raw, &[unsure]).at_ms, 5);
        let its_own = r#"{"type":"page","userId":"u","messageId":"m","timestamp":"1970-01-01T00:00:00.900Z"}"#;
        assert_eq!(read(its_own, &[kiosk]).at_ms, 7_199_900);
    }

    #[test]
    fn the_traits_of_a_group_are_not_the_persons_and_what_we_send_is_outbound() {
        let said = read(
            r#"{"type":"group","userId":"u","messageId":"m","traits":{"plan":"gold"},"context":{"trenza":{"direction":"out","channel":"email"}},"properties":{"topic":" funds "}}"#,
            &[origin("web", 0, 5)],
        );
        assert!(said.traits.is_empty() && !said.inbound);
        assert_eq!(
            (said.topic.as_deref(), said.channel.as_deref()),
            (Some("funds"), Some("email"))
        );
    }

    #[test]
    fn a_side_and_consents_are_read_and_what_does_not_plainly_allow_refuses() {
        let said = read(
            r#"{"type":"track","userId":"u","messageId":"m","context":{"trenza":{"facet":"professional","consent":[
                {"purpose":"newsletter","channel":"email","granted":true,"observes":["ev_0101010101010101010101010101010101010101010101010101010101010101","?"]},
                {"purpose":"calls","granted":"yes"},{"channel":"sms","granted":true},7]}}}"#,
            &[origin("web", 0, 5)],
        );
        assert_eq!(said.facet, Some(Facet::Professional));
        let known = |purpose: &str, channel: &str, granted, observes: &[EventId]| ConsentSaid {
            purpose: purpose.into(),
            channel: channel.into(),
            granted,
            observes: observes.to_vec(),
        };
        assert_eq!(
            said.consents,
            [
                known("newsletter", "email", true, &[EventId([1; 32])]),
                known("calls", ANY_CHANNEL, false, &[]),
            ]
        );
        let other = read(
            r#"{"type":"track","userId":"u","messageId":"m","context":{"trenza":{"facet":"both","consent":"c-7"}}}"#,
            &[origin("web", 0, 5)],
        );
        assert_eq!((other.facet, other.consents), (None, Vec::new()));
    }
}
