//! PostHog: its bodies as events of ours, and what its SDKs ask for beside.
//!
//! Owns what `distinct_id` and the names with a dollar mean here. Properties stay as they are; what has no place of its own stands
//! under `context.posthog`.

use std::borrow::Cow;

use axum::{
    Json,
    extract::{Path, Request, rejection::PathRejection},
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value, json};

use super::{
    REQUEST_BYTES_MAX, answer,
    body::Text,
    intake::Form,
    key::WRITE_KEY_BYTES_MAX,
    split::{Names, member_text},
    vendor::{decoded, instant, put, take_object, take_text, text_of},
};
use crate::{
    event::{BadEvent, EventType, object},
    net::{
        body::{self as wire, Pace},
        error::HttpError,
    },
};

/// `{"api_key":…,"batch":[…],"sent_at":…}`, a bare array, or one event alone.
pub const FORM: Form = Form {
    names: Names {
        events: "batch",
        write_key: &["token", "api_key"],
        sent_at: "sent_at",
        context: None,
    },
    message_id: "uuid",
    open,
    read: |text| event(text).map(Cow::Owned),
    key,
};

/// Members of an event that are the write key.
const KEYS: [&str; 2] = ["api_key", "token"];

/// The key that an event carries: in itself or, as the browser SDK does it, among its properties.
fn key(text: &str) -> Option<String> {
    let own = KEYS.into_iter().find_map(|name| member_text(text, name));
    own.or_else(|| {
        let event = object(text).ok()?;
        text_of(event.get("properties")?.get("token"))
    })
}

/// Makes a batch of an array and of one event alone; opens what an older browser SDK sends as a form.
fn open(body: Text) -> Text {
    let body = unwrapped(body);
    let text = body.text.trim_start();
    let (head, tail) = match text.as_bytes().first() {
        Some(b'[') => ("{\"batch\":", "}"),
        Some(b'{') if is_one_event(text) => ("{\"batch\":[", "]}"),
        _ => return body,
    };
    Text {
        text: format!("{head}{}{tail}", body.text),
        broken: body.broken.iter().map(|at| at + head.len()).collect(),
    }
}

fn is_one_event(text: &str) -> bool {
    member_text(text, "event").is_some()
}

/// The text in `data=`, as base64 or as it is.
fn unwrapped(body: Text) -> Text {
    if !body.text.starts_with("data=") {
        return body;
    }
    let data = form_urlencoded::parse(body.text.as_bytes()).find(|(name, _)| name == "data");
    let text = data.map(|(_, data)| decoded(&data).unwrap_or_else(|| data.into_owned()));
    Text {
        text: text.unwrap_or_default(),
        broken: body.broken,
    }
}

/// One event as one of ours.
///
/// # Errors
/// It has no name, or properties that are no object.
pub fn event(text: &str) -> Result<String, BadEvent> {
    let mut rest = object(text)?;
    for name in KEYS {
        rest.shift_remove(name);
    }
    let name = take_text(&mut rest, "event").ok_or_else(|| bad("it has no \"event\", its name"))?;
    if !matches!(
        rest.get("properties"),
        None | Some(Value::Null | Value::Object(_))
    ) {
        return Err(bad("\"properties\" must be an object"));
    }
    let mut properties = take_object(&mut rest, "properties");
    let mut out = Map::new();
    let mut context = Map::new();

    let distinct = take_text(&mut rest, "distinct_id")
        .or_else(|| text_of(properties.get("distinct_id")))
        .or_else(|| text_of(properties.get("$distinct_id")));
    let kind = kind_of(&name, &properties);
    who(kind, distinct, &name, &properties, &mut out);
    let traits = traits(&mut rest, &mut properties);

    out.insert("type".into(), kind.name().into());
    match kind {
        EventType::Identify => put(&mut out, "traits", traits),
        EventType::Group => {
            put(&mut out, "groupId", text_of(properties.get("$group_key")));
            put(
                &mut out,
                "traits",
                take_object(&mut properties, "$group_set"),
            );
            put(&mut context, "traits", traits);
        }
        _ => put(&mut context, "traits", traits),
    }
    match kind {
        EventType::Track => put(&mut out, "event", name),
        EventType::Page => put(&mut out, "name", text_of(properties.get("title"))),
        EventType::Screen => put(&mut out, "name", text_of(properties.get("$screen_name"))),
        // `$identify` and `$set` are one type here; which it was stays.
        _ => put(&mut rest, "event", name),
    }

    put(
        &mut out,
        "messageId",
        take_text(&mut rest, "uuid")
            .or_else(|| take_text(&mut rest, "messageId"))
            .or_else(|| text_of(properties.get("$insert_id"))),
    );
    put(&mut out, "timestamp", time(&mut rest, &properties));
    page(&properties, &mut context);
    library(&mut rest, &properties, &mut context);
    put(&mut context, "ip", text_of(properties.get("$ip")));
    put(&mut out, "properties", properties);
    put(&mut context, "posthog", rest);
    put(&mut out, "context", context);
    Ok(Value::Object(out).to_string())
}

fn kind_of(name: &str, properties: &Map<String, Value>) -> EventType {
    match name {
        "$identify" | "$set" => EventType::Identify,
        "$pageview" => EventType::Page,
        "$screen" => EventType::Screen,
        "$create_alias" if text_of(properties.get("alias")).is_some() => EventType::Alias,
        "$groupidentify" if text_of(properties.get("$group_key")).is_some() => EventType::Group,
        _ => EventType::Track,
    }
}

/// `distinct_id` is a visitor or a user: the browser SDK says which; of the others an id that looks random is a visitor.
fn who(
    kind: EventType,
    distinct: Option<String>,
    name: &str,
    properties: &Map<String, Value>,
    out: &mut Map<String, Value>,
) {
    let Some(distinct) = distinct else { return };
    let told = |name: &str| text_of(properties.get(name));
    let device = told("$device_id");
    let random = looks_random(&distinct);
    if kind == EventType::Alias
        && let Some(alias) = told("alias")
    {
        // Which of the two came first differs between SDKs; a random one is the visitor.
        let (user, previous) = match (random, looks_random(&alias)) {
            (true, false) => (alias, distinct),
            _ => (distinct, alias),
        };
        put(out, "userId", user);
        put(out, "previousId", previous);
        return;
    }
    if name == "$identify" {
        let visitor = told("$anon_distinct_id").or(device);
        // The same id may have come before as a visitor's.
        put(
            out,
            "anonymousId",
            visitor.or_else(|| random.then(|| distinct.clone())),
        );
        put(out, "userId", distinct);
        return;
    }
    let is_visitor = match properties.get("$is_identified").and_then(Value::as_bool) {
        Some(identified) => !identified,
        None => random || device.as_ref() == Some(&distinct),
    };
    if is_visitor {
        put(out, "anonymousId", distinct);
        put(out, "userId", told("$user_id"));
    } else {
        put(out, "userId", distinct);
        put(out, "anonymousId", device);
    }
}

/// The form of a UUID, as [`evidence`](crate::evidence) judges an alias.
fn looks_random(id: &str) -> bool {
    id.len() == 36 && id.bytes().filter(|byte| *byte == b'-').count() == 4
}

/// What is said of the person: `$set`, and `$set_once` where that is silent. What is said twice stays where it was.
fn traits(
    rest: &mut Map<String, Value>,
    properties: &mut Map<String, Value>,
) -> Map<String, Value> {
    let mut traits = Map::new();
    for name in ["$set", "$set_once"] {
        for place in [&mut *rest, &mut *properties] {
            let mut twice = Map::new();
            for (name, value) in take_object(place, name) {
                match traits.get(&name) {
                    Some(known) if *known != value => {
                        twice.insert(name, value);
                    }
                    Some(_) => {}
                    None => {
                        traits.insert(name, value);
                    }
                }
            }
            put(place, name, twice);
        }
    }
    traits
}

/// The client's time; the browser SDK also gives it in seconds.
fn time(rest: &mut Map<String, Value>, properties: &Map<String, Value>) -> Option<String> {
    if let Some(Value::String(_)) = rest.get("timestamp") {
        return take_text(rest, "timestamp");
    }
    let seconds = properties.get("$time")?.as_f64()?;
    instant(&format!("{:.0}", seconds * 1000.0))
}

fn page(properties: &Map<String, Value>, context: &mut Map<String, Value>) {
    let mut page = Map::new();
    for (theirs, ours) in [
        ("$current_url", "url"),
        ("$pathname", "path"),
        ("$referrer", "referrer"),
        ("title", "title"),
    ] {
        // A title alone may be that of a film.
        if theirs != "title" || !page.is_empty() {
            put(&mut page, ours, text_of(properties.get(theirs)));
        }
    }
    put(context, "page", page);
}

fn library(
    rest: &mut Map<String, Value>,
    properties: &Map<String, Value>,
    context: &mut Map<String, Value>,
) {
    let mut library = Map::new();
    for (own, among, ours) in [
        ("library", "$lib", "name"),
        ("library_version", "$lib_version", "version"),
    ] {
        let value = take_text(rest, own).or_else(|| text_of(properties.get(among)));
        put(&mut library, ours, value);
    }
    put(context, "library", library);
}

fn bad(fault: impl Into<String>) -> BadEvent {
    BadEvent::Foreign {
        vendor: "PostHog",
        fault: fault.into(),
    }
}

/// `POST /flags` and `/decide`: there are no feature flags here, and nothing else is switched on.
pub async fn flags(request: Request) -> Response {
    let (parts, body) = request.into_parts();
    if let Err(error) = wire::read(&parts.headers, body, REQUEST_BYTES_MAX, Pace::default()).await {
        return answer::closing(answer::cut_off(error));
    }
    let mut flags = remote();
    flags["flags"] = json!({});
    flags["featureFlags"] = json!({});
    flags["featureFlagPayloads"] = json!({});
    flags["errorsWhileComputingFlags"] = false.into();
    fresh(Json(flags))
}

/// `GET /array/{token}/config`
pub async fn config(token: Result<Path<String>, PathRejection>) -> Result<Response, HttpError> {
    Ok(fresh(Json(config_of(&checked(token)?))))
}

/// `GET /array/{token}/config.js`
pub async fn config_script(
    token: Result<Path<String>, PathRejection>,
) -> Result<Response, HttpError> {
    let token = checked(token)?;
    let config = config_of(&token);
    // The token is plain, so it can end no string.
    let script = format!(
        "(function(){{var c=window._POSTHOG_REMOTE_CONFIG=window._POSTHOG_REMOTE_CONFIG||{{}};c[\"{token}\"]={{config:{config},siteApps:[]}};}})();\n"
    );
    let kind = HeaderValue::from_static("text/javascript; charset=utf-8");
    Ok(fresh(([(header::CONTENT_TYPE, kind)], script)))
}

fn fresh(answer: impl IntoResponse) -> Response {
    ([(header::CACHE_CONTROL, "no-cache")], answer).into_response()
}

fn checked(token: Result<Path<String>, PathRejection>) -> Result<String, HttpError> {
    let plain = |token: &String| {
        !token.is_empty()
            && token.len() <= WRITE_KEY_BYTES_MAX
            && token
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
    };
    token
        .ok()
        .map(|Path(token)| token)
        .filter(plain)
        .ok_or_else(|| {
            HttpError::bad_request("bad_write_key", "the path holds no usable write key")
                .hint("use the key of a source")
        })
}

fn config_of(token: &str) -> Value {
    let mut config = remote();
    config["token"] = token.into();
    config["hasFeatureFlags"] = false.into();
    config["siteApps"] = json!([]);
    config
}

/// What its browser SDK may do: send events, nothing else. Where surveys are named at all, even as `false`, it loads their script.
fn remote() -> Value {
    json!({
        "supportedCompression": ["gzip", "gzip-js"],
        "sessionRecording": false,
        "heatmaps": false,
        "capturePerformance": false,
        "captureDeadClicks": false,
        "autocaptureExceptions": false,
        "defaultIdentifiedOnly": true,
        "elementsChainAsString": true,
        "toolbarParams": {},
        "isAuthenticated": false,
        "config": { "enable_collect_everything": true },
    })
}
