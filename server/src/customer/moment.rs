//! One event as the timeline, the record's explanation and the API show it.
//!
//! Owns what is said beside the event's own body: channel, place, device, times. Masks nothing of what people typed into
//! fields that nobody named; those are masked by their look.

use serde_json::{Map, Value, json};
use trenza_shared::{
    bot::{self, Bot},
    clock::format_ms,
    event::{Event, EventType, IDENTIFIER_TRAITS},
    fragment::mask::{self, HIDDEN},
    id::AgentId,
    identifier::{Identifier, Kind},
};

use super::timeline::Moment;
use crate::registry::Registry;

/// Members of `context` that tell a person or a device.
const CONTEXT_HIDDEN: [&str; 4] = ["ip", "location", "device", "userAgent"];
/// Properties that hold what people typed, or a document of a person under a local name.
const TYPED: [&str; 14] = [
    "note", "notes", "nota", "notas", "comment", "comments", "message", "text", "dni", "nie",
    "nif", "rut", "curp", "cpf",
];
/// Addresses of pages, whose queries carry what forms were filled with.
const ADDRESSES: [&str; 5] = ["url", "search", "referrer", "referer", "href"];

impl Moment {
    /// The channel: what the event says, else what its type implies.
    pub fn channel(&self) -> Option<&str> {
        channel(&self.event)
    }

    /// The place of the interaction: what the event says, else the place of the agent that took it in.
    pub fn touchpoint(&self, registry: &Registry) -> Option<String> {
        let said = self.event.touch("touchpoint").map(str::to_owned);
        said.or_else(|| {
            self.row
                .origins
                .iter()
                .find_map(|row| registry.origin(row, None)?.touchpoint)
        })
    }

    /// The agent that took it in first; none for the server itself.
    pub fn agent(&self) -> Option<AgentId> {
        self.row.origins.iter().find_map(|origin| origin.agent)
    }

    /// Whether a program did it, by what it says of itself or what sent it said.
    pub fn bot(&self) -> Option<Bot> {
        let sent = self.row.origins.iter().filter_map(|origin| origin.bot);
        bot::of_event(&self.event).or(sent.min())
    }

    /// Names of the sources it came by, each once, first come first.
    pub fn sources(&self, registry: &Registry) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for row in &self.row.origins {
            let name = registry.source(&row.key).map(|source| source.name);
            names.extend(name.filter(|name| !names.contains(name)));
        }
        names
    }

    /// The id that its sender gave it, as who reads may see it.
    pub fn message_id(&self, masked: bool) -> String {
        match masked {
            true => mask::message_id(&self.event.message_id),
            false => self.event.message_id.clone(),
        }
    }

    /// The event with its circumstances, as the API shows it: the Segment body and beside it `at`, `time`, `channel`, `touchpoint`,
    /// `agent`, `source`, `sources`, `bot`, `id_conflict`, `captured_at`, `received_at`, `eventId`.
    pub fn to_json(&self, registry: &Registry, masked: bool) -> Value {
        let mut shown = if masked {
            body_masked(&self.event.body)
        } else {
            self.event.body.clone()
        };
        shown.remove("writeKey");
        let sources = self.sources(registry);
        let beside = json!({
            "eventId": self.event.id,
            "at": format_ms(self.row.at_ms),
            "time": {
                "source": self.timing.source,
                "confidence_ms": self.timing.confidence_ms,
                "device_at": format_ms(self.timing.wall_ms),
                "probably": self.timing.probably.map(|probably| json!({
                    "at": format_ms(probably.at_ms),
                    "behind_ms": probably.behind_ms,
                    "confidence_ms": probably.confidence_ms,
                })),
            },
            "bot": self.bot(),
            "id_conflict": self.id_conflict,
            "channel": self.channel(),
            "touchpoint": self.touchpoint(registry),
            "agent": self.agent(),
            "source": sources.first(),
            "sources": sources,
            "captured_at": format_ms(self.timing.captured_ms),
            "received_at": format_ms(self.received_ms),
        });
        if let Value::Object(beside) = beside {
            shown.extend(beside);
        }
        Value::Object(shown)
    }
}

/// The channel: what the event says, else what its type implies; an event with a page's context came from the web.
pub fn channel(event: &Event) -> Option<&str> {
    event.touch("channel").or(match event.kind {
        EventType::Page => Some("web"),
        EventType::Screen => Some("app"),
        EventType::Track | EventType::Identify | EventType::Group | EventType::Alias => {
            event.text_at(&["context", "page", "url"]).map(|_| "web")
        }
    })
}

/// A body without what its reader may not see: identifiers and person fields shortened, wherever the spec puts them.
pub fn body_masked(body: &Map<String, Value>) -> Map<String, Value> {
    let members = body.iter().map(|(name, value)| {
        let shown = match (name.as_str(), value) {
            ("userId" | "previousId" | "groupId", value) => opaque(Kind::UserId, value),
            ("anonymousId", value) => opaque(Kind::AnonymousId, value),
            ("messageId", Value::String(id)) => mask::message_id(id).into(),
            ("traits", Value::Object(traits)) => Value::Object(traits_masked(traits)),
            ("context", Value::Object(context)) => Value::Object(context_masked(context)),
            ("properties", Value::Object(properties)) => Value::Object(
                properties
                    .iter()
                    .map(|(name, value)| (name.clone(), property(name, value)))
                    .collect(),
            ),
            ("traits" | "context" | "properties", _) => HIDDEN.into(),
            (_, value) => value.clone(),
        };
        (name.clone(), shown)
    });
    members.collect()
}

fn traits_masked(traits: &Map<String, Value>) -> Map<String, Value> {
    traits
        .iter()
        .map(|(name, value)| (name.clone(), named(name, value)))
        .collect()
}

/// Identifiers keep what tells them apart; person fields their initials or nothing; the rest goes by its look.
fn named(name: &str, value: &Value) -> Value {
    match name.parse::<Kind>() {
        Ok(kind) if IDENTIFIER_TRAITS.contains(&name) => opaque(kind, value),
        _ => mask::trait_value(name, value.clone()),
    }
}

fn context_masked(context: &Map<String, Value>) -> Map<String, Value> {
    let members = context.iter().map(|(name, value)| {
        let shown = match (name.as_str(), value) {
            ("traits", Value::Object(traits)) => Value::Object(traits_masked(traits)),
            ("externalIds", Value::Array(ids)) => ids.iter().map(external_id).collect(),
            ("traits" | "externalIds", _) => HIDDEN.into(),
            (name, _) if CONTEXT_HIDDEN.contains(&name) => HIDDEN.into(),
            (name, value) => property(name, value),
        };
        (name.clone(), shown)
    });
    members.collect()
}

fn external_id(item: &Value) -> Value {
    let Value::Object(item) = item else {
        return HIDDEN.into();
    };
    let members = item.iter().map(|(name, value)| {
        let value = if name == "id" {
            opaque(Kind::UserId, value)
        } else {
            property(name, value)
        };
        (name.clone(), value)
    });
    Value::Object(members.collect())
}

/// A product's name is no person's, so the names of properties hide less than those of traits.
fn property(name: &str, value: &Value) -> Value {
    match value {
        Value::String(_) | Value::Number(_) if IDENTIFIER_TRAITS.contains(&name) => {
            named(name, value)
        }
        Value::String(_) | Value::Number(_)
            if TYPED.contains(&name.to_ascii_lowercase().as_str()) =>
        {
            HIDDEN.into()
        }
        Value::String(address) if ADDRESSES.contains(&name) => {
            let end = address.find(['?', '#']).unwrap_or(address.len());
            mask::trait_value("", address[..end].into())
        }
        Value::String(_)
            if matches!(
                name,
                "firstName" | "lastName" | "secondLastName" | "birthday" | "address"
            ) =>
        {
            mask::trait_value(name, value.clone())
        }
        Value::Object(members) => Value::Object(
            members
                .iter()
                .map(|(name, value)| (name.clone(), property(name, value)))
                .collect(),
        ),
        Value::Array(items) => items.iter().map(|item| property(name, item)).collect(),
        other => mask::trait_value("", other.clone()),
    }
}

fn opaque(kind: Kind, value: &Value) -> Value {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Null => return Value::Null,
        _ => return HIDDEN.into(),
    };
    mask::identifier(&Identifier {
        kind,
        scope: String::new(),
        value: text,
    })
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_masked_body_shows_no_personal_value_and_keeps_the_rest() {
        let body = json!({
            "type": "track", "event": "Guide downloaded", "userId": "ada-lovelace", "anonymousId": "v-123456789", "messageId": "m1",
            "traits": {"email": "ada@x.org", "firstName": "Ada", "plan": "gold"},
            "properties": {"name": "Guide", "topic": "renta fija", "mail": "ada@x.org", "phone": "600123456", "step": {"lastName": "Lovelace"}, "Nota": "es Lovelace"},
            "context": {"ip": "1.2.3.4", "traits": {"phone": "+34600123456"}, "externalIds": [{"type": "badgeId", "id": "B-0012345"}],
                "page": {"title": "Home", "url": "https://x.org/guide?who=Lovelace#Ada"}, "trenza": {"channel": "web"}},
        });
        let Value::Object(body) = body else {
            panic!("an object")
        };
        let shown = Value::Object(body_masked(&body));
        let text = shown.to_string();
        for secret in [
            "ada-lovelace",
            "ada@",
            "Ada",
            "Lovelace",
            "600123",
            "1.2.3.4",
            "B-0012345",
            "v-123456789",
        ] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
        for kept in [
            "Guide downloaded",
            "renta fija",
            "gold",
            "m1",
            "Home",
            "\"name\":\"Guide\"",
            "web",
        ] {
            assert!(text.contains(kept), "{kept} not in {text}");
        }
    }
}
