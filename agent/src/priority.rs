//! Which events may be given up where there is no room: a pure look at an event.
//!
//! Never takes what changes what is known of a person, or what they agreed to, for unimportant, whatever the event says of itself.

use std::borrow::Cow;

use serde::{Deserialize, de::IgnoredAny};
use trenza_shared::event::{Captured, EventType};

/// What an event says of itself to have a low priority; looked for before anything is decoded.
const MARK: &[u8] = b"priority";

/// How much an event matters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Priority {
    /// It stays until the server has it.
    Normal,
    /// It goes last, and is given up first.
    Low,
}

#[derive(Deserialize)]
struct Members<'a> {
    #[serde(borrow, default)]
    event: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    context: Option<Context<'a>>,
}

#[derive(Deserialize)]
struct Context<'a> {
    #[serde(borrow, default)]
    trenza: Option<Trenza<'a>>,
}

#[derive(Deserialize)]
struct Trenza<'a> {
    #[serde(borrow, default)]
    priority: Option<Cow<'a, str>>,
    #[serde(default)]
    consent: Option<IgnoredAny>,
}

/// The priority of an event. Low is a `track`, `page` or `screen` without a consent that says so in `context.trenza.priority`, or whose
/// name is one of `names`.
pub fn priority(event: &Captured, names: &[String]) -> Priority {
    let may = matches!(
        event.kind,
        EventType::Track | EventType::Page | EventType::Screen
    );
    let named = !names.is_empty() && event.kind == EventType::Track;
    let text = event.text.as_bytes();
    if !may || !(named || memchr::memmem::find(text, MARK).is_some()) {
        return Priority::Normal;
    }
    // What is of another shape says nothing of a priority.
    let Ok(members) = serde_json::from_str::<Members<'_>>(&event.text) else {
        return Priority::Normal;
    };
    let trenza = members.context.and_then(|context| context.trenza);
    let said = |trenza: &Trenza<'_>| trenza.priority.as_deref() == Some("low");
    let low = trenza.as_ref().is_some_and(said)
        || named
            && members
                .event
                .is_some_and(|name| names.iter().any(|one| *one == name));
    match trenza {
        Some(trenza) if trenza.consent.is_some() => Priority::Normal,
        _ if low => Priority::Low,
        _ => Priority::Normal,
    }
}

#[cfg(test)]
mod tests {
    use trenza_shared::event::{Event, Taking};

    use super::*;

    fn of(text: &str) -> Priority {
        let event = Event::take(text, Taking::default()).expect("an event");
        let names = ["Heartbeat".to_owned(), "Señal".to_owned()];
        priority(&Captured::from(event), &names)
    }

    #[test]
    fn an_event_is_of_low_priority_when_it_says_so_or_is_called_so() {
        for text in [
            r#"{"type":"track","event":"Visit","userId":"u","context":{"trenza":{"priority":"low"}}}"#,
            r#"{"type":"page","userId":"u","context":{"trenza":{"priority":"low","channel":"web"}}}"#,
            r#"{"type":"track","event":"Heartbeat","userId":"u"}"#,
            r#"{"type":"track","event":"Se\u00f1al","userId":"u","context":{"ip":"1"}}"#,
        ] {
            assert_eq!(of(text), Priority::Low, "{text}");
        }
    }

    #[test]
    fn a_visit_a_person_and_a_consent_never_are() {
        for text in [
            r#"{"type":"track","event":"Visit","userId":"u"}"#,
            r#"{"type":"track","event":"Visit","userId":"u","properties":{"priority":"low"}}"#,
            r#"{"type":"track","event":"Visit","userId":"u","context":{"trenza":{"priority":"high"}}}"#,
            r#"{"type":"track","event":"Visit","userId":"u","context":{"trenza":{"priority":1}}}"#,
            r#"{"type":"track","event":"Visit","userId":"u","context":{"trenza":"priority low"}}"#,
            r#"{"type":"identify","userId":"u","context":{"trenza":{"priority":"low"}}}"#,
            r#"{"type":"alias","userId":"u","previousId":"p","context":{"trenza":{"priority":"low"}}}"#,
            r#"{"type":"track","event":"Heartbeat","userId":"u","context":{"trenza":{"consent":{"web":true}}}}"#,
            r#"{"type":"page","name":"Heartbeat","userId":"u"}"#,
        ] {
            assert_eq!(of(text), Priority::Normal, "{text}");
        }
    }
}
