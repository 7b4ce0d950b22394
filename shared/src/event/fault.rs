//! What is stored of an event and read by nothing, since it is of a wrong type or missing.
//!
//! Owns what each member of the Segment spec must be. Tells and never refuses: what came is kept as it came, and SDKs of others send
//! odd things.

use serde::Serialize;
use serde_json::{Map, Value};

use super::{EventType, at, present};
use crate::{clock::parse_time_ms, facet::Facet};

/// What a member must be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Needs {
    /// A date and time by ISO 8601, with its offset.
    Time,
    /// An object.
    Object,
    /// A list of objects with an `id`.
    Ids,
    /// A text or a number.
    Id,
    /// A side of a person.
    Facet,
    /// A statement of a consent, several, or the name of one.
    Consent,
    /// There, and a text.
    Name,
    /// There, and a text or a number.
    Given,
}

impl Needs {
    /// What it must be, for who reads English.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Time => {
                "is no date and time by ISO 8601, like 2026-01-15T10:20:30.456Z; another time is used"
            }
            Self::Object => "must be an object; as it is, nothing of it is used",
            Self::Ids => "must be a list of objects with an id; as it is, nothing of it is used",
            Self::Id => "must be a text or a number; as it is, it names nobody",
            Self::Facet => {
                "must be personal or professional; as it is, it says nothing of the side"
            }
            Self::Consent => {
                "must be {purpose, granted, channel}, or a list of these; as it is, it grants nothing"
            }
            Self::Name => "is missing or no text: the event has no name",
            Self::Given => {
                "is missing or neither a text nor a number: the event says nothing without it"
            }
        }
    }
}

/// One member that nothing is read of.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Fault {
    /// Its place, names parted by dots.
    pub member: &'static str,
    /// What it must be.
    pub needs: Needs,
}

/// Members that may be missing, and must be this where they are there.
const MEMBERS: [(&[&str], &str, Needs); 16] = [
    (&["originalTimestamp"], "originalTimestamp", Needs::Time),
    (&["timestamp"], "timestamp", Needs::Time),
    (&["sentAt"], "sentAt", Needs::Time),
    (&["userId"], "userId", Needs::Id),
    (&["anonymousId"], "anonymousId", Needs::Id),
    (&["properties"], "properties", Needs::Object),
    (&["traits"], "traits", Needs::Object),
    (&["context"], "context", Needs::Object),
    (&["context", "traits"], "context.traits", Needs::Object),
    (&["context", "page"], "context.page", Needs::Object),
    (&["context", "campaign"], "context.campaign", Needs::Object),
    (&["context", "consent"], "context.consent", Needs::Object),
    (&["context", "trenza"], "context.trenza", Needs::Object),
    (
        &["context", "externalIds"],
        "context.externalIds",
        Needs::Ids,
    ),
    (
        &["context", "trenza", "facet"],
        "context.trenza.facet",
        Needs::Facet,
    ),
    (
        &["context", "trenza", "consent"],
        "context.trenza.consent",
        Needs::Consent,
    ),
];

/// What of an event's body is read by nothing.
pub fn faults(kind: EventType, body: &Map<String, Value>) -> Vec<Fault> {
    let odd = MEMBERS.into_iter().filter_map(|(path, member, needs)| {
        let value = at(body, path)?;
        (!fits(value, needs)).then_some(Fault { member, needs })
    });
    odd.chain(missing(kind, body)).collect()
}

/// What its type is about and is not there.
fn missing(kind: EventType, body: &Map<String, Value>) -> Option<Fault> {
    let (member, needs) = match kind {
        EventType::Track => ("event", Needs::Name),
        EventType::Group => ("groupId", Needs::Given),
        EventType::Alias => ("previousId", Needs::Given),
        EventType::Identify | EventType::Page | EventType::Screen => return None,
    };
    let value = body.get(member);
    let there = match needs {
        Needs::Name => {
            let name = value.and_then(Value::as_str);
            name.is_some_and(|text| !text.trim().is_empty())
        }
        _ => present(value),
    };
    (!there).then_some(Fault { member, needs })
}

fn fits(value: &Value, needs: Needs) -> bool {
    match (needs, value) {
        (_, Value::Null) => true,
        (Needs::Time, Value::String(text)) => parse_time_ms(text).is_some(),
        (Needs::Object, value) => value.is_object(),
        (Needs::Id | Needs::Given | Needs::Name, value) => value.is_string() || value.is_number(),
        (Needs::Ids, Value::Array(ids)) => ids.iter().all(|id| present(id.get("id"))),
        (Needs::Facet, value) => value.as_str().and_then(Facet::from_name).is_some(),
        (Needs::Consent, Value::String(_)) => true,
        (Needs::Consent, Value::Array(all)) => all.iter().all(is_consent),
        (Needs::Consent, one) => is_consent(one),
        (Needs::Time | Needs::Ids, _) => false,
    }
}

fn is_consent(one: &Value) -> bool {
    one.get("purpose")
        .and_then(Value::as_str)
        .is_some_and(|text| !text.trim().is_empty())
        && one.get("granted").is_some_and(Value::is_boolean)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::event::{Event, Taking};

    fn told(body: &Value) -> Vec<(&'static str, Needs)> {
        let event = Event::take(
            &body.to_string(),
            Taking {
                fresh_message_id: "m",
                ..Taking::default()
            },
        );
        let event = event.unwrap();
        let faults = faults(event.kind, &event.body);
        faults
            .into_iter()
            .map(|one| (one.member, one.needs))
            .collect()
    }

    #[test]
    fn what_is_of_a_wrong_type_is_told() {
        let odd = json!({
            "type": "track", "anonymousId": "a", "event": " ", "userId": {"id": 7}, "timestamp": "yesterday", "sentAt": 5, "properties": "x",
            "traits": [1], "context": {"page": "/", "externalIds": [{"id": "x"}, "y"]},
        });
        assert_eq!(
            told(&odd),
            [
                ("timestamp", Needs::Time),
                ("sentAt", Needs::Time),
                ("userId", Needs::Id),
                ("properties", Needs::Object),
                ("traits", Needs::Object),
                ("context.page", Needs::Object),
                ("context.externalIds", Needs::Ids),
                ("event", Needs::Name),
            ]
        );
        assert_eq!(
            told(&json!({"type": "alias", "userId": "u", "context": 3})),
            [("context", Needs::Object), ("previousId", Needs::Given)]
        );
        let trenza = |trenza: Value| {
            told(&json!({"type": "page", "userId": "u", "context": {"trenza": trenza}}))
        };
        assert_eq!(
            trenza(json!({"facet": "profesional", "consent": {"newsletter": true}})),
            [
                ("context.trenza.facet", Needs::Facet),
                ("context.trenza.consent", Needs::Consent)
            ]
        );
        assert_eq!(
            trenza(
                json!({"facet": "personal", "consent": [{"purpose": "news", "granted": false}]})
            ),
            []
        );
        assert_eq!(trenza(json!({"consent": "c-7"})), []);
        assert_eq!(
            told(&json!({"type": "group", "userId": "u"})),
            [("groupId", Needs::Given)]
        );
    }

    #[test]
    fn what_sdks_send_has_no_faults() {
        for body in [
            json!({"type": "track", "event": "Visit", "userId": 7, "anonymousId": null, "timestamp": "2026-01-15T10:20:30.456000+00:00",
                   "sentAt": "2026-01-15T10:20:30Z", "properties": {}, "traits": null, "context": {"externalIds": []}}),
            json!({"type": "page", "anonymousId": "a"}),
            json!({"type": "identify", "userId": "u", "originalTimestamp": "2026-01-15T10:20:30.456Z"}),
            json!({"type": "group", "groupId": 5}),
            json!({"type": "alias", "userId": "u", "previousId": "v"}),
        ] {
            assert_eq!(told(&body), [], "{body}");
        }
    }
}
