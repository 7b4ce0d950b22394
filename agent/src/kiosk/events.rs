//! From a form to events of the Segment spec.

use serde_json::{Map, Value, json};
use trenza_shared::clock::format_ms;

use crate::{capture::Draft, config::Config, state::App};

/// What a visitor without a badge gave.
#[derive(Debug, Clone, Default)]
pub struct Details {
    /// Reason of the visit; may be empty.
    pub reason: String,
    /// Topic of interest; may be empty.
    pub topic: String,
    /// Traits by their usual names; empty when nothing personal is kept.
    pub traits: Vec<(&'static str, String)>,
}

/// A scanned badge.
pub fn scanned(app: &App, visit: &str, badge: &str) -> Vec<Draft> {
    let mut context = context(&app.config);
    context.insert("traits".into(), json!({ "badgeId": badge }));
    vec![event(
        app,
        visit,
        "scan",
        "track",
        json!({ "event": "Badge Scanned", "properties": {} }),
        context,
    )]
}

/// A visit without a badge: who it is, when something personal is kept, and that it was.
pub fn registered(app: &App, visit: &str, details: &Details) -> Vec<Draft> {
    let mut drafts = Vec::new();
    if !details.traits.is_empty() {
        let traits: Map<String, Value> = details
            .traits
            .iter()
            .map(|(name, value)| ((*name).to_owned(), Value::from(value.as_str())))
            .collect();
        drafts.push(event(
            app,
            visit,
            "identify",
            "identify",
            json!({ "traits": traits }),
            context(&app.config),
        ));
    }
    let given = [("reason", &details.reason), ("topic", &details.topic)]
        .into_iter()
        .filter(|(_, value)| !value.is_empty());
    let properties: Map<String, Value> = given
        .map(|(name, value)| (name.to_owned(), Value::from(value.as_str())))
        .collect();
    drafts.push(event(
        app,
        visit,
        "visit",
        "track",
        json!({ "event": "Visit Registered", "properties": properties }),
        context(&app.config),
    ));
    drafts
}

fn context(config: &Config) -> Map<String, Value> {
    let touch = json!({ "channel": config.kiosk.channel, "touchpoint": config.agent.touchpoint, "direction": "in", "initiative": "reactive" });
    [("trenza".to_owned(), touch)].into_iter().collect()
}

/// `anonymousId` is the visit's own: a kiosk is shared by everybody, it must never link two visitors.
fn event(
    app: &App,
    visit: &str,
    part: &str,
    kind: &str,
    own: Value,
    context: Map<String, Value>,
) -> Draft {
    let now = format_ms(app.now_ms());
    let mut body = Map::new();
    body.insert("type".into(), kind.into());
    body.insert("messageId".into(), format!("{visit}-{part}").into());
    body.insert("anonymousId".into(), visit.into());
    if let Value::Object(own) = own {
        body.extend(own);
    }
    body.insert("context".into(), Value::Object(context));
    body.insert("timestamp".into(), now.clone().into());
    body.insert("originalTimestamp".into(), now.into());
    Draft(Value::Object(body).to_string())
}
