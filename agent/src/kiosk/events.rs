//! From a form to events of the Segment spec.

use serde_json::{Map, Value, json};
use trenza_shared::clock::format_ms;

use crate::{capture::Draft, config::Config, state::App};

/// Who a visitor is on the website, as they brought it along.
#[derive(Debug, Clone, Default)]
pub struct Web {
    /// The browser's id.
    pub anonymous_id: String,
    /// The user's; empty when they had not signed in.
    pub user_id: String,
}

/// What a visitor without a badge gave.
#[derive(Debug, Clone, Default)]
pub struct Details {
    /// Reason of the visit; may be empty.
    pub reason: String,
    /// Topic of interest; may be empty.
    pub topic: String,
    /// Traits by their usual names; empty when nothing personal is kept.
    pub traits: Vec<(&'static str, String)>,
    /// Who they are on the website.
    pub web: Option<Web>,
}

/// A scanned badge.
pub fn scanned(app: &App, visit: &str, badge: &str) -> Vec<Draft> {
    let mut context = context(&app.config);
    context.insert("traits".into(), json!({ "badgeId": badge }));
    vec![event(
        app,
        (visit, None),
        "scan",
        "track",
        json!({ "event": "Badge Scanned", "properties": {} }),
        context,
    )]
}

/// A visit without a badge: who it is, when something personal is kept, and that it was.
pub fn registered(app: &App, visit: &str, details: &Details) -> Vec<Draft> {
    let (mut drafts, who) = (Vec::new(), (visit, details.web.as_ref()));
    if !details.traits.is_empty() {
        let traits: Map<String, Value> = details
            .traits
            .iter()
            .map(|(name, value)| ((*name).to_owned(), Value::from(value.as_str())))
            .collect();
        drafts.push(event(
            app,
            who,
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
        who,
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

/// `anonymousId` is the visit's own: a kiosk is shared by everybody, it must never link two visitors. Who brought an id along from
/// the website keeps that one, which is theirs alone.
fn event(
    app: &App,
    (visit, web): (&str, Option<&Web>),
    part: &str,
    kind: &str,
    own: Value,
    context: Map<String, Value>,
) -> Draft {
    let now = format_ms(app.now_ms());
    let mut body = Map::new();
    body.insert("type".into(), kind.into());
    body.insert("messageId".into(), format!("{visit}-{part}").into());
    let id = web.map_or(visit, |web| &web.anonymous_id);
    body.insert("anonymousId".into(), id.into());
    if let Some(web) = web.filter(|web| !web.user_id.is_empty()) {
        body.insert("userId".into(), web.user_id.as_str().into());
    }
    if let Value::Object(own) = own {
        body.extend(own);
    }
    body.insert("context".into(), Value::Object(context));
    body.insert("timestamp".into(), now.clone().into());
    body.insert("originalTimestamp".into(), now.into());
    Draft(Value::Object(body).to_string())
}
