//! One record: found, read, told in order, explained.

use axum::{Json, extract::State, http::Uri};
use serde::Deserialize;
use serde_json::{Value, json};
use trenza_shared::{
    id::{CustomerId, EventId, Fingerprint, from_hex, to_hex},
    identifier::Identifier,
    identity::{End, Group},
    net::{
        error::HttpError,
        extract::{Path, Query},
    },
    store::{Key as _, StoreError, View},
};

use super::{
    accounts::{belongs_json, today},
    queried, read, readings,
};
use crate::{
    app::App,
    customer::{
        accounts::{self, Account, Roles},
        lookup::{self, Scopes},
        record::{self, FOUND_MAX, Record},
        search, timeline as events,
        why::{self as explanation, CUSTOMER, Context},
    },
    http::auth::Caller,
};

/// Events of a page when nobody says how many.
const PAGE_DEFAULT: usize = 100;
/// Longest text that is searched for. Unit: characters.
const QUERY_CHARS_MAX: usize = 200;

/// How customers are looked for.
#[derive(Deserialize)]
pub struct Find {
    identifier: Option<String>,
    q: Option<String>,
}

/// `GET /v1/customers`
pub async fn find(
    State(app): State<App>,
    caller: Caller,
    uri: Uri,
    Query(find): Query<Find>,
) -> Result<Json<Value>, HttpError> {
    let found = match (find.identifier, find.q) {
        (Some(_), None) => {
            let identifiers = queried(&app, &uri, "identifier")?.unwrap_or_default();
            let found = read(&app, move |app, view| {
                load(app, view, lookup::groups(view, &identifiers)?)
            });
            (found.await?, false)
        }
        (None, Some(text)) if text.trim().is_empty() => (Vec::new(), false),
        (None, Some(text)) => {
            let text: String = text.chars().take(QUERY_CHARS_MAX).collect();
            read(&app, move |app, view| {
                let scopes = Scopes::of(&app.registry, &app.place());
                let found = search::whoever(view, &scopes, &text)?;
                Ok((load(app, view, found.groups)?, found.more))
            })
            .await?
        }
        _ => {
            let refused = HttpError::bad_request("bad_query", "give either identifier or q");
            return Err(refused.hint(
                "?identifier=KIND:VALUE finds by a whole value, ?q=TEXT by beginnings of words",
            ));
        }
    };
    let (found, more) = found;
    let more = more || found.len() >= FOUND_MAX;
    let (masked, today) = (caller.masked(), today(&app));
    let customers: Vec<Value> = found
        .iter()
        .map(|(record, belongs)| whole_json(record, belongs, today, masked))
        .collect();
    Ok(Json(
        json!({ "customers": customers, "next": null, "truncated": more }),
    ))
}

/// A record with what it belongs to.
type Found = (Record, Vec<(Account, Roles)>);

fn load(app: &App, view: &dyn View, groups: Vec<Group>) -> Result<Vec<Found>, StoreError> {
    groups
        .into_iter()
        .map(|group| belonging(app, view, record::load(view, &app.applier.id_key, group)?))
        .collect()
}

fn belonging(app: &App, view: &dyn View, record: Record) -> Result<Found, StoreError> {
    let decisions = app.resolver.decisions();
    let belongs = accounts::of(view, &app.applier.id_key, decisions.active(), &record)?;
    Ok((record, belongs))
}

fn whole_json(record: &Record, belongs: &[(Account, Roles)], today: i32, masked: bool) -> Value {
    let mut shown = customer_json(record, masked);
    shown["accounts"] = belongs_json(belongs, false, today, masked);
    shown["households"] = belongs_json(belongs, true, today, masked);
    shown
}

/// A record as the API shows it.
pub fn customer_json(record: &Record, masked: bool) -> Value {
    let shared = record.shared();
    if masked {
        record
            .customer
            .to_json_masked(record.id, &record.aliases, &shared)
    } else {
        record.customer.to_json(record.id, &record.aliases, &shared)
    }
}

/// `GET /v1/customers/{id}`
pub async fn one(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>, HttpError> {
    let id = customer_id(&id)?;
    let found = read(&app, move |app, view| {
        let record = record::by_id(view, &app.applier.id_key, &id)?;
        record
            .map(|record| belonging(app, view, record))
            .transpose()
    })
    .await?;
    let (record, belongs) = found.ok_or_else(|| unknown(&id))?;
    let (masked, today) = (caller.masked(), today(&app));
    Ok(Json(whole_json(&record, &belongs, today, masked)))
}

fn customer_id(text: &str) -> Result<CustomerId, HttpError> {
    // What has not the form of an id is nobody's either.
    text.parse().map_err(|error| {
        HttpError::not_found(format!("there is no such customer: {error}"))
            .hint("GET /v1/customers?q=TEXT finds customers")
    })
}

fn unknown(id: &CustomerId) -> HttpError {
    HttpError::not_found(format!("there is no customer {id}")).hint("GET /v1/customers?q=TEXT finds customers; an id once shown never stops leading to its customer")
}

/// Which part of a timeline.
#[derive(Deserialize)]
pub struct Page {
    after: Option<String>,
    limit: Option<usize>,
}

/// `GET /v1/customers/{id}/timeline`
pub async fn timeline(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Query(page): Query<Page>,
) -> Result<Json<Value>, HttpError> {
    let id = customer_id(&id)?;
    let after = page
        .after
        .as_deref()
        .filter(|text| !text.is_empty())
        .map(cursor)
        .transpose()?;
    let limit = page
        .limit
        .unwrap_or(PAGE_DEFAULT)
        .clamp(1, events::PAGE_MAX);
    let found = read(&app, move |app, view| {
        let group = record::group_by_id(view, &app.applier.id_key, &id)?.map(|(_, group)| group);
        group
            .map(|group| events::page(view, &group, after, limit))
            .transpose()
    });
    let (moments, next) = found.await?.ok_or_else(|| unknown(&id))?;
    let events: Vec<Value> = moments
        .iter()
        .map(|moment| moment.to_json(&app.registry, caller.masked()))
        .collect();
    Ok(Json(
        json!({ "events": events, "next": next.map(|cursor| to_hex(&cursor.to_key())) }),
    ))
}

fn cursor(text: &str) -> Result<events::Cursor, HttpError> {
    let read = from_hex::<40>(text).and_then(|bytes| <(i64, EventId)>::decode(&bytes));
    read.ok_or_else(|| {
        HttpError::bad_request("bad_cursor", "after is no cursor of a timeline")
            .hint("give the `next` of the page before, unchanged")
    })
}

/// `GET /v1/customers/{id}/why`
pub async fn why_within(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Json<Value>, HttpError> {
    let id = customer_id(&id)?;
    explain(app, caller, Some(id), &uri).await
}

/// `GET /v1/why`
pub async fn why(
    State(app): State<App>,
    caller: Caller,
    uri: Uri,
) -> Result<Json<Value>, HttpError> {
    explain(app, caller, None, &uri).await
}

/// One end, as it was given.
enum Given {
    Value(Vec<Identifier>),
    Customer(CustomerId),
}

fn end(app: &App, uri: &Uri, parameter: &str) -> Result<Given, HttpError> {
    if let Some(id) = readings(uri, parameter)?
        .iter()
        .find_map(|text| text.strip_prefix(CUSTOMER).unwrap_or(text).parse().ok())
    {
        return Ok(Given::Customer(id));
    }
    let values = queried(app, uri, parameter)?;
    values.map(Given::Value).ok_or_else(|| {
        HttpError::bad_request("bad_query", "give both from and to")
            .hint("?from=KIND:VALUE&to=KIND:VALUE")
    })
}

/// A side of the question, or the id that leads nowhere.
type Sided<T> = Result<Result<T, CustomerId>, StoreError>;

fn side(app: &App, view: &dyn View, end: Given) -> Sided<End> {
    match end {
        Given::Value(values) => Ok(Ok(End::Value(values))),
        Given::Customer(id) => {
            Ok(customer(app, view, id)?.map(|(member, group)| End::Customer { member, group }))
        }
    }
}

fn customer(app: &App, view: &dyn View, id: CustomerId) -> Sided<(Fingerprint, Group)> {
    Ok(record::group_by_id(view, &app.applier.id_key, &id)?.ok_or(id))
}

async fn explain(
    app: App,
    caller: Caller,
    within: Option<CustomerId>,
    uri: &Uri,
) -> Result<Json<Value>, HttpError> {
    let (from, to) = (end(&app, uri, "from")?, end(&app, uri, "to")?);
    let decisions = app.resolver.decisions();
    let masked = caller.masked();
    let answer = read(&app, move |app, view| {
        let within = match within.map(|id| customer(app, view, id)).transpose()? {
            None => None,
            Some(Ok((_, group))) => Some(group),
            Some(Err(id)) => return Ok(Err(id)),
        };
        let (from, to) = match (side(app, view, from)?, side(app, view, to)?) {
            (Ok(from), Ok(to)) => (from, to),
            (Err(id), _) | (_, Err(id)) => return Ok(Err(id)),
        };
        let context = Context {
            decisions: &decisions,
            rules: &app.applier.rules.now(),
            registry: &app.registry,
            id_key: &app.applier.id_key,
            zone: &app.config.place.zone,
            masked,
        };
        let explained = explanation::explain(view, &context, within.as_ref(), &from, &to)?;
        Ok(Ok(explained.to_json(&context)))
    });
    answer.await?.map(Json).map_err(|id| unknown(&id))
}
