//! Snowplow's tracker protocol: events as maps of short names to texts, in a body or in a query.
//!
//! Owns what each name means here. A self-describing event is named by its schema; what has no place of its own stands under
//! `context.snowplow` by the tracker's name, entities decoded. No cookie is set, no address kept, so `SP-Anonymous` changes nothing.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::{
    intake::Form,
    split::{Names, member_text},
    surface::Pair,
    vendor::{decoded, instant, number, put, take_text, text_of},
};
use crate::event::{BadEvent, EventType, object};

/// `{"schema":…,"data":[…]}`. These trackers have no write key: what they call their app id is one, where the request has no other.
pub const FORM: Form = Form {
    names: Names {
        events: "data",
        write_key: &[],
        sent_at: "",
        context: None,
    },
    message_id: "eid",
    open: |body| body,
    read: |text| event(text).map(Cow::Owned),
    key: |text| member_text(text, "aid"),
};

/// Where the page of any event stands, and where it goes.
const PAGE: [(&str, &str); 3] = [("url", "url"), ("page", "title"), ("refr", "referrer")];
const STRUCTURED: [(&str, &str); 4] = [
    ("se_ca", "category"),
    ("se_ac", "action"),
    ("se_la", "label"),
    ("se_pr", "property"),
];
const STRUCTURED_NUMBERS: [(&str, &str); 1] = [("se_va", "value")];
const PING_NUMBERS: [(&str, &str); 4] = [
    ("pp_mix", "minX"),
    ("pp_max", "maxX"),
    ("pp_miy", "minY"),
    ("pp_may", "maxY"),
];
/// A transaction, by the names of the Segment spec.
const ORDER: [(&str, &str); 6] = [
    ("tr_id", "order_id"),
    ("tr_af", "affiliation"),
    ("tr_cu", "currency"),
    ("tr_ci", "city"),
    ("tr_st", "state"),
    ("tr_co", "country"),
];
const ORDER_NUMBERS: [(&str, &str); 3] =
    [("tr_tt", "total"), ("tr_tx", "tax"), ("tr_sh", "shipping")];
const ITEM: [(&str, &str); 5] = [
    ("ti_id", "order_id"),
    ("ti_sk", "sku"),
    ("ti_nm", "name"),
    ("ti_ca", "category"),
    ("ti_cu", "currency"),
];
const ITEM_NUMBERS: [(&str, &str); 2] = [("ti_pr", "price"), ("ti_qu", "quantity")];

/// The body of a query: one event.
pub fn of_query(pairs: &[Pair]) -> String {
    let members = pairs
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "writeKey" | "wait"))
        .map(|(name, value)| (name.clone(), Value::from(value.as_str())));
    let mut body = Map::new();
    body.insert("data".into(), Value::Array(vec![members.collect()]));
    Value::Object(body).to_string()
}

/// One event of a tracker as one of ours.
///
/// # Errors
/// It has no known type, or lacks what its type needs.
pub fn event(text: &str) -> Result<String, BadEvent> {
    let mut fields = object(text)?;
    let mut out = Map::new();
    let mut context = Map::new();
    let mut rest = Map::new();

    if let Some(contexts) = json_of(&mut fields, "co", "cx") {
        let entities = match contexts.get("data") {
            Some(entities) => entities.clone(),
            None => contexts,
        };
        put(&mut rest, "contexts", entities);
    }
    let page = moved(&mut fields, &PAGE);
    name_it(&mut fields, &page, &mut out, &mut rest)?;
    put(&mut context, "page", page);
    times(&mut fields, &mut out);
    who(&mut fields, &mut rest, &mut out, &mut context);

    put(&mut out, "messageId", take_text(&mut fields, "eid"));
    if let Some(app) = take_text(&mut fields, "aid") {
        context.insert(
            "app".into(),
            Map::from_iter([("name".into(), app.into())]).into(),
        );
    }
    if let Some(version) = take_text(&mut fields, "tv") {
        let library = [("name", "snowplow".to_owned()), ("version", version)];
        let library = library.map(|(name, value)| (name.to_owned(), Value::from(value)));
        context.insert("library".into(), Map::from_iter(library).into());
    }
    for (theirs, ours) in [
        ("lang", "locale"),
        ("tz", "timezone"),
        ("ip", "ip"),
        ("ua", "userAgent"),
    ] {
        put(&mut context, ours, take_text(&mut fields, theirs));
    }
    rest.extend(fields);
    put(&mut context, "snowplow", rest);
    put(&mut out, "context", context);
    Ok(Value::Object(out).to_string())
}

/// Type, name and properties.
type Named = (EventType, Option<String>, Map<String, Value>);

/// Says what happened.
fn name_it(
    fields: &mut Map<String, Value>,
    page: &Map<String, Value>,
    out: &mut Map<String, Value>,
    rest: &mut Map<String, Value>,
) -> Result<(), BadEvent> {
    let what = take_text(fields, "e").ok_or_else(|| bad("it has no \"e\", its type"))?;
    let (kind, name, properties) = match what.as_str() {
        "pv" => (EventType::Page, text_of(page.get("title")), page.clone()),
        "pp" => (
            EventType::Track,
            Some("Page Ping".into()),
            moved_numbers(fields, &PING_NUMBERS),
        ),
        "se" => {
            let mut properties = moved(fields, &STRUCTURED);
            properties.extend(moved_numbers(fields, &STRUCTURED_NUMBERS));
            let action = text_of(properties.get("action"))
                .ok_or_else(|| bad("a structured event needs \"se_ac\", its action"))?;
            (EventType::Track, Some(action), properties)
        }
        "tr" => {
            let mut properties = moved(fields, &ORDER);
            properties.extend(moved_numbers(fields, &ORDER_NUMBERS));
            (EventType::Track, Some("Order Completed".into()), properties)
        }
        "ti" => {
            let mut properties = moved(fields, &ITEM);
            properties.extend(moved_numbers(fields, &ITEM_NUMBERS));
            (EventType::Track, Some("Order Item".into()), properties)
        }
        "ue" => self_describing(fields, rest)?,
        other => {
            let other: String = other.chars().take(60).collect();
            return Err(bad(format!(
                "unknown type {other:?}; use one of pv, pp, se, ue, tr, ti"
            )));
        }
    };
    out.insert("type".into(), kind.name().into());
    match kind {
        EventType::Track => put(out, "event", name),
        EventType::Identify => {}
        _ => put(out, "name", name),
    }
    let place = match kind {
        EventType::Identify => "traits",
        _ => "properties",
    };
    put(out, place, properties);
    Ok(())
}

/// An event that its schema names. One that is called `identify` says who somebody is: the trackers have no such type of their own.
fn self_describing(
    fields: &mut Map<String, Value>,
    rest: &mut Map<String, Value>,
) -> Result<Named, BadEvent> {
    let fault = "\"ue_pr\" or \"ue_px\" must hold {\"schema\",\"data\":{\"schema\",\"data\"}}";
    let mut outer = json_of(fields, "ue_pr", "ue_px").ok_or_else(|| bad(fault))?;
    let inner = outer
        .get_mut("data")
        .and_then(Value::as_object_mut)
        .ok_or_else(|| bad(fault))?;
    let schema = take_text(inner, "schema").ok_or_else(|| bad(fault))?;
    let name = schema_name(&schema).ok_or_else(|| bad(fault))?.to_owned();
    let data = match inner.shift_remove("data") {
        Some(Value::Object(data)) => data,
        Some(other) => Map::from_iter([("data".to_owned(), other)]),
        None => Map::new(),
    };
    let own = schema.starts_with("iglu:com.snowplowanalytics.");
    rest.insert("schema".into(), schema.into());
    Ok(match name.as_str() {
        "identify" => (EventType::Identify, None, data),
        "screen_view" if own => (EventType::Screen, text_of(data.get("name")), data),
        _ => (EventType::Track, Some(name), data),
    })
}

/// `viewed_product` of `iglu:com.acme/viewed_product/jsonschema/1-0-0`
fn schema_name(schema: &str) -> Option<&str> {
    let name = schema.strip_prefix("iglu:")?.split('/').nth(1)?;
    (!name.is_empty()).then_some(name)
}

fn times(fields: &mut Map<String, Value>, out: &mut Map<String, Value>) {
    // `ttm` is the time that the program gave the event itself; `dtm` stays beside it.
    let said = ["ttm", "dtm"].into_iter().find_map(|name| {
        let at = instant(&text_of(fields.get(name))?)?;
        Some((name, at))
    });
    if let Some((name, at)) = said {
        fields.shift_remove(name);
        out.insert("timestamp".into(), at.into());
    }
    // Another one on every try, so it must not be part of what the event says.
    let sent = text_of(fields.get("stm"));
    fields.shift_remove("stm");
    let sent = sent.map(|sent| instant(&sent).unwrap_or(sent));
    put(out, "sentAt", sent);
}

/// The user as `userId`; the ids of browser, network and mobile session as visitor ids.
fn who(
    fields: &mut Map<String, Value>,
    rest: &mut Map<String, Value>,
    out: &mut Map<String, Value>,
    context: &mut Map<String, Value>,
) {
    put(out, "userId", take_text(fields, "uid"));
    let session = rest
        .get("contexts")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .find(|entity| {
            let schema = entity.get("schema").and_then(Value::as_str);
            schema.and_then(schema_name) == Some("client_session")
        })
        .and_then(|entity| text_of(entity.get("data")?.get("userId")));
    let mut visitors = Vec::new();
    for id in [
        take_text(fields, "duid"),
        session,
        take_text(fields, "tnuid"),
        take_text(fields, "nuid"),
    ]
    .into_iter()
    .flatten()
    {
        if !visitors.contains(&id) {
            visitors.push(id);
        }
    }
    let mut visitors = visitors.into_iter();
    put(out, "anonymousId", visitors.next());
    let others: Vec<Value> = visitors
        .map(|id| {
            let members = [("type", "anonymousId".to_owned()), ("id", id)];
            let members = members.map(|(name, value)| (name.to_owned(), Value::from(value)));
            Value::Object(Map::from_iter(members))
        })
        .collect();
    if !others.is_empty() {
        context.insert("externalIds".into(), others.into());
    }
}

/// Takes out an object that stands as JSON under one name or as base64 of it under another; one that cannot be read stays.
fn json_of(fields: &mut Map<String, Value>, plain: &str, encoded: &str) -> Option<Value> {
    let (name, text) = match text_of(fields.get(plain)) {
        Some(text) => (plain, text),
        None => (encoded, decoded(&text_of(fields.get(encoded))?)?),
    };
    let value = object(&text).ok()?;
    fields.shift_remove(name);
    Some(Value::Object(value))
}

fn moved(fields: &mut Map<String, Value>, names: &[(&str, &str)]) -> Map<String, Value> {
    let mut out = Map::new();
    for (theirs, ours) in names {
        put(&mut out, ours, take_text(fields, theirs));
    }
    out
}

fn moved_numbers(fields: &mut Map<String, Value>, names: &[(&str, &str)]) -> Map<String, Value> {
    let mut out = Map::new();
    for (theirs, ours) in names {
        put(&mut out, ours, take_text(fields, theirs).map(number));
    }
    out
}

fn bad(fault: impl Into<String>) -> BadEvent {
    BadEvent::Foreign {
        vendor: "Snowplow",
        fault: fault.into(),
    }
}
