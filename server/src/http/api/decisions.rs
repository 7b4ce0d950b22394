//! What people decide about who is who.

use axum::{Json, extract::State};
use serde::Deserialize;
use serde_json::{Value, json};
use trenza_shared::{
    clock::format_ms,
    id::{BadName, CustomerId, DecisionId},
    identifier::Identifier,
    identity::{Decision, DecisionKind, Outcome},
    net::{
        error::HttpError,
        extract::{Json as Body, Query},
    },
};

use super::{customers::customer_json, identifiers, read};
use crate::{
    app::App,
    customer::{
        feed, lookup,
        notes::{Note, notes},
        record::group_by_id,
        review,
        why::{CUSTOMER, Context, reason_shown, subject_shown},
    },
    evidence::{DecideError, Preview},
    http::auth::Caller,
    tables::Role,
};

/// Decisions of a page when nobody says how many.
const PAGE_DEFAULT: usize = 100;
/// Most decisions of a page.
const PAGE_MAX: usize = 1_000;
/// Longest reason. Unit: bytes.
const REASON_BYTES_MAX: usize = 2_000;
/// When to come back to a server that is stopping. Unit: seconds.
const RETRY_AFTER_S: u32 = 5;

/// A decision, or the undoing of one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    kind: Option<String>,
    #[serde(default)]
    subjects: Vec<String>,
    undoes: Option<String>,
    #[serde(default)]
    reason: String,
}

/// How it is asked.
#[derive(Deserialize)]
pub struct How {
    preview: Option<String>,
}

/// `POST /v1/decisions`
pub async fn decide(
    State(app): State<App>,
    caller: Caller,
    Query(how): Query<How>,
    Body(asked): Body<Asked>,
) -> Result<Json<Value>, HttpError> {
    caller.at_least(Role::Steward)?;
    let preview = match how.preview.as_deref() {
        None | Some("0" | "false") => false,
        Some("1" | "true" | "") => true,
        Some(_) => {
            return Err(HttpError::bad_request(
                "bad_query",
                "preview is 1 or left out",
            ));
        }
    };
    let decision = decision(&app, &caller, asked).await?;
    let id = decision.id;
    let masked = caller.masked();
    let (outcome, results) = if preview {
        let would = app.resolver.preview(decision.clone());
        let Preview { outcome, records } = would.await.map_err(refused)?;
        let results = records.iter().map(|one| customer_json(one, masked));
        (outcome, Some(results.collect::<Vec<_>>()))
    } else {
        let done = app.resolver.decide(decision.clone());
        (done.await.map_err(refused)?, None)
    };
    let changes: Vec<Value> = app
        .applier
        .feed(&outcome.changes)
        .iter()
        .map(feed::planned)
        .collect();
    let notes: Vec<Value> = noted(&app, decision, outcome, masked)
        .await?
        .iter()
        .map(|note| note.to_json(&app.applier.id_key, masked))
        .collect();
    if let Some(results) = results {
        return Ok(Json(
            json!({ "changes": changes, "results": results, "notes": notes }),
        ));
    }
    tracing::info!(decision.id = %id, decision.by = %caller.who, decision.changes = changes.len(), "decision carried out");
    Ok(Json(
        json!({ "id": id, "changes": changes, "notes": notes }),
    ))
}

/// What a decision does not do, given what it does.
///
/// # Errors
/// The store cannot be read.
pub async fn noted(
    app: &App,
    decision: Decision,
    outcome: Outcome,
    masked: bool,
) -> Result<Vec<Note>, HttpError> {
    let decisions = app.resolver.decisions();
    read(app, move |app, view| {
        let context = Context {
            decisions: &decisions,
            rules: &app.applier.rules.now(),
            registry: &app.registry,
            id_key: &app.applier.id_key,
            zone: &app.config.place.zone,
            masked,
        };
        notes(view, &context, &decision, &outcome)
    })
    .await
}

fn refused(error: DecideError) -> HttpError {
    match error {
        DecideError::Bad(bad) => bad_decision(bad.to_string()),
        DecideError::Store(error) => HttpError::internal(error),
        DecideError::Stopping => {
            HttpError::unavailable("stopping", "the server is stopping", RETRY_AFTER_S)
        }
    }
}

async fn decision(app: &App, caller: &Caller, asked: Asked) -> Result<Decision, HttpError> {
    let reason = asked.reason.trim().to_owned();
    if reason.is_empty() || reason.len() > REASON_BYTES_MAX {
        let message = format!("a decision has a reason of 1 to {REASON_BYTES_MAX} bytes");
        return Err(HttpError::bad_request("bad_reason", message)
            .hint("write for whoever looks at it in a year"));
    }
    let (by, at_ms) = (caller.who.clone(), app.clock.wall_ms());
    let decisions = app.resolver.decisions();
    match (asked.kind.as_deref(), asked.undoes) {
        (None | Some("undo"), Some(target)) => {
            let known = target
                .parse::<DecisionId>()
                .ok()
                .filter(|id| decisions.get(id).is_some());
            let target = known.ok_or_else(|| {
                HttpError::not_found("undoes: there is no such decision")
                    .hint("GET /v1/decisions lists them")
            })?;
            Ok(Decision::undo(target, reason, by, at_ms))
        }
        (Some(kind), None) => {
            let kind = kind_of(kind)?;
            let subjects = subjects(app, asked.subjects).await?;
            let observes = decisions.heads(&subjects);
            Decision::new(kind, subjects, reason, by, at_ms, observes, None)
                .map_err(|bad| bad_decision(bad.to_string()))
        }
        _ => Err(bad_decision("give either kind and subjects, or undoes")),
    }
}

fn bad_decision(what: impl Into<String>) -> HttpError {
    HttpError::bad_request("bad_decision", what).hint(
        "GET /openapi.json describes every kind of decision; with ?preview=1 nothing is done yet",
    )
}

fn kind_of(name: &str) -> Result<DecisionKind, HttpError> {
    match name {
        "same" => Ok(DecisionKind::Same),
        "not_same" => Ok(DecisionKind::NotSame),
        "shared_identifier" => Ok(DecisionKind::SharedIdentifier),
        "household" => Ok(DecisionKind::Household),
        _ => Err(bad_decision(
            "kind is one of same, not_same, shared_identifier, household",
        )),
    }
}

/// What a subject of a decision is called.
enum Named {
    /// What its text may mean.
    Value(Vec<Identifier>),
    /// A customer.
    Customer(CustomerId),
}

/// The values as they are held; one that nobody holds yet is taken as it was given.
async fn subjects(app: &App, texts: Vec<String>) -> Result<Vec<Identifier>, HttpError> {
    let mut named = Vec::with_capacity(texts.len());
    for (index, text) in texts.iter().enumerate() {
        let parameter = format!("subjects[{index}]");
        named.push(match text.strip_prefix(CUSTOMER) {
            Some(id) => Named::Customer(id.parse().map_err(|bad: BadName| {
                HttpError::bad_request("bad_identifier", format!("{parameter}: {bad}"))
                    .hint("GET /v1/review and GET /v1/customers tell the ids of customers")
            })?),
            None => Named::Value(identifiers(app, &parameter, text)?),
        });
    }
    let found = read(app, move |app, view| {
        let mut subjects = Vec::with_capacity(named.len());
        for one in &named {
            subjects.push(match one {
                Named::Value(values) => lookup::held(view, values)?,
                Named::Customer(id) => match group_by_id(view, &app.applier.id_key, id)? {
                    Some((member, group)) => Some(review::subject(view, member, &group)?),
                    None => None,
                },
            });
        }
        Ok(subjects)
    });
    let found = found.await?;
    let absent = found.iter().position(Option::is_none);
    if let Some(index) = absent {
        let message = format!("subjects[{index}]: there is no such customer");
        return Err(HttpError::not_found(message));
    }
    Ok(found.into_iter().flatten().collect())
}

/// Which part of the decisions.
#[derive(Deserialize)]
pub struct Page {
    after: Option<String>,
    limit: Option<usize>,
}

/// `GET /v1/decisions`
pub async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(page): Query<Page>,
) -> Result<Json<Value>, HttpError> {
    let decisions = app.resolver.decisions();
    let mut all: Vec<&Decision> = decisions.iter().collect();
    all.sort_by_key(|decision| (decision.at_ms, decision.id));
    let begin = match page.after.as_deref() {
        None | Some("") => 0,
        Some(after) => {
            let last = all
                .iter()
                .position(|decision| decision.id.to_string() == after);
            let last = last.ok_or_else(|| {
                HttpError::bad_request("bad_cursor", "after is no cursor of the decisions")
                    .hint("give the `next` of the page before, unchanged")
            })?;
            last + 1
        }
    };
    let rest = all.get(begin..).unwrap_or_default();
    let shown = &rest[..rest
        .len()
        .min(page.limit.unwrap_or(PAGE_DEFAULT).clamp(1, PAGE_MAX))];
    let next = shown
        .last()
        .filter(|_| shown.len() < rest.len())
        .map(|decision| decision.id);
    let shown: Vec<Value> = shown
        .iter()
        .map(|decision| to_json(&app.applier.id_key, decision, caller.masked()))
        .collect();
    Ok(Json(json!({ "decisions": shown, "next": next })))
}

fn to_json(id_key: &[u8; 32], decision: &Decision, masked: bool) -> Value {
    json!({
        "id": decision.id,
        "kind": decision.kind,
        "subjects": decision.subjects.iter().map(|subject| subject_shown(id_key, subject, masked)).collect::<Vec<_>>(),
        "reason": reason_shown(decision, masked),
        "by": decision.by,
        "at": format_ms(decision.at_ms),
        "observes": decision.observes,
        "undoes": decision.undoes,
    })
}
