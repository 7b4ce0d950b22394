//! What people decide about who is who: seen before it is done, done with a reason, undone by another.

use askama::Template;
use axum::{
    extract::{Path, Query, State},
    response::Response,
};
use serde::Deserialize;
use trenza_shared::{
    id::DecisionId,
    identifier::Identifier,
    identity::{Change, Decision, DecisionKind, Outcome, Sentence},
    net::error::HttpError,
};

use super::{
    fact::{self, Fact},
    page::{Frame, Visitor, respond, see_other},
    record::{Permission, permissions},
    session::Posted,
    text::Lang,
    time::{Shown, Times},
};
use crate::{
    app::App,
    customer::{record::Record, why::reason_shown},
    evidence::{DecideError, Preview},
    http::api::{noted, read},
    tables::Role,
};

/// Longest reason. Unit: bytes.
const REASON_BYTES_MAX: usize = 2_000;
/// Most decisions listed: the newest.
const LISTED_MAX: usize = 200;
/// Most identifiers of a record in a preview.
const FACTS_MAX: usize = 8;
/// When to come back to a server that is stopping. Unit: seconds.
const RETRY_AFTER_S: u32 = 5;

/// A decision of the list.
struct Listed {
    id: String,
    kind: &'static str,
    subjects: Vec<Fact>,
    reason: String,
    by: String,
    at: Shown,
    live: bool,
}

/// The list's notice.
#[derive(Deserialize)]
pub struct Notice {
    #[serde(default)]
    done: String,
}

#[derive(Template)]
#[template(path = "decisions.html")]
struct DecisionsPage {
    frame: Frame,
    decisions: Vec<Listed>,
    done: bool,
}

/// `GET /LANG/decisions`
pub async fn list(
    State(app): State<App>,
    visitor: Visitor,
    Query(notice): Query<Notice>,
) -> Result<Response, HttpError> {
    let frame = visitor.frame;
    let (times, decisions) = (frame.times(&app), app.resolver.decisions());
    let mut all: Vec<&Decision> = decisions.iter().collect();
    all.sort_by_key(|one| std::cmp::Reverse((one.at_ms, one.id)));
    all.truncate(LISTED_MAX);
    let listed = all
        .into_iter()
        .map(|decision| listed(&app, &frame, &times, decision))
        .collect();
    respond(&DecisionsPage {
        frame,
        decisions: listed,
        done: !notice.done.is_empty(),
    })
}

fn listed(app: &App, frame: &Frame, times: &Times, decision: &Decision) -> Listed {
    let decisions = app.resolver.decisions();
    // An undo is about what it undoes.
    let about = decision
        .undoes
        .and_then(|target| decisions.get(&target))
        .unwrap_or(decision);
    let key = &app.applier.id_key;
    Listed {
        id: decision.id.to_string(),
        kind: kind(frame.t, decision.kind),
        subjects: about
            .subjects
            .iter()
            .map(|subject| Fact::new(frame.t, key, subject, frame.masked()))
            .collect(),
        reason: reason_shown(decision, frame.masked()).to_owned(),
        by: decision.by.clone(),
        at: times.shown(decision.at_ms),
        live: decisions.stands(&decision.id),
    }
}

fn kind(t: Lang, kind: DecisionKind) -> &'static str {
    match kind {
        DecisionKind::Same => t.say_same(),
        DecisionKind::NotSame => t.say_not_same(),
        DecisionKind::SharedIdentifier => t.shared_decision(),
        DecisionKind::Household => t.household(),
        DecisionKind::Undo => t.undo_of(),
    }
}

/// A decision to be: its kind, and each subject by record and reference, so that no address holds a value.
#[derive(Deserialize, Clone)]
pub struct Asked {
    kind: String,
    one: String,
    one_value: String,
    two: String,
    two_value: String,
    #[serde(default)]
    reason: String,
}

/// A record as it would be.
struct Outlook {
    title: Option<String>,
    facts: Vec<Fact>,
    more: usize,
    touches: String,
    consents: Vec<Permission>,
}

#[derive(Template)]
#[template(path = "decide.html")]
struct PreviewPage {
    frame: Frame,
    kind: &'static str,
    subjects: Vec<Fact>,
    sentences: Vec<String>,
    /// What it does not do, and why.
    notes: Vec<String>,
    results: Vec<Outlook>,
    /// Where the form goes.
    action: String,
    /// Where giving up goes.
    back: String,
    asked: Option<Asked>,
}

/// `GET /LANG/decisions/new`
pub async fn preview(
    State(app): State<App>,
    visitor: Visitor,
    Query(asked): Query<Asked>,
) -> Result<Response, HttpError> {
    visitor.caller.at_least(Role::Steward)?;
    let frame = visitor.frame;
    let decision = decision(&app, &visitor.caller.who, &asked).await?;
    let action = frame.at("/decisions");
    let back = frame.at(&format!("/customers/{}", asked.one));
    shown(&app, frame, decision, action, back, Some(asked)).await
}

/// `GET /LANG/decisions/ID/undo`
pub async fn preview_undo(
    State(app): State<App>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Response, HttpError> {
    visitor.caller.at_least(Role::Steward)?;
    let frame = visitor.frame;
    let target = target(&app, &id)?;
    let decision = Decision::undo(
        target,
        String::new(),
        visitor.caller.who,
        app.clock.wall_ms(),
    );
    let action = frame.at(&format!("/decisions/{target}/undo"));
    let back = frame.at("/decisions");
    shown(&app, frame, decision, action, back, None).await
}

async fn shown(
    app: &App,
    frame: Frame,
    decision: Decision,
    action: String,
    back: String,
    asked: Option<Asked>,
) -> Result<Response, HttpError> {
    let would = app.resolver.preview(decision.clone());
    let Preview { outcome, records } = would.await.map_err(refused)?;
    let results = records.iter().map(|one| outlook(app, &frame, one));
    let results = results.collect();
    let notes = noted(app, decision.clone(), outcome.clone(), frame.masked()).await?;
    let notes = notes.into_iter().map(|note| {
        let Sentence { es, en } = note.sentence;
        frame.t.pick(es, en)
    });
    let decisions = app.resolver.decisions();
    let about = decision
        .undoes
        .and_then(|target| decisions.get(&target))
        .unwrap_or(&decision);
    let key = &app.applier.id_key;
    let subjects = about
        .subjects
        .iter()
        .map(|subject| Fact::new(frame.t, key, subject, frame.masked()))
        .collect();
    let page = PreviewPage {
        kind: kind(frame.t, decision.kind),
        subjects,
        sentences: sentences(frame.t, &outcome),
        notes: notes.collect(),
        results,
        action,
        back,
        asked,
        frame,
    };
    respond(&page)
}

fn sentences(t: Lang, outcome: &Outcome) -> Vec<String> {
    let say = |change: &Change| match change {
        Change::Created { .. } => format!("{}.", t.would_create()),
        Change::Merged { from, .. } => format!(
            "{} {}.",
            t.would_merge(),
            t.count(
                from.len() as u64,
                ("ficha", "fichas"),
                ("record", "records")
            )
        ),
        Change::Split { into, .. } => format!(
            "{} {}.",
            t.would_split(),
            t.count(
                into.len() as u64,
                ("ficha", "fichas"),
                ("record", "records")
            )
        ),
        Change::Reseeded { .. } => format!("{}.", t.would_rename()),
        Change::Updated { .. } => format!("{}.", t.would_update()),
    };
    let mut out: Vec<String> = outcome.changes.iter().map(say).collect();
    out.dedup();
    out
}

fn outlook(app: &App, frame: &Frame, record: &Record) -> Outlook {
    let (t, key) = (frame.t, &app.applier.id_key);
    let customer = &record.customer;
    let facts = customer.identifiers.keys().take(FACTS_MAX);
    let facts: Vec<Fact> = facts
        .map(|one| Fact::new(t, key, one, frame.masked()))
        .collect();
    Outlook {
        title: customer.display_name(frame.masked()),
        more: customer.identifiers.len() - facts.len(),
        facts,
        touches: t.count(
            customer.events,
            ("contacto", "contactos"),
            ("touch", "touches"),
        ),
        consents: permissions(t, &customer.consents, &customer.refused_beside),
    }
}

/// `POST /LANG/decisions`
pub async fn decide(
    State(app): State<App>,
    Posted(visitor, asked): Posted<Asked>,
) -> Result<Response, HttpError> {
    visitor.caller.at_least(Role::Steward)?;
    reason(&asked.reason)?;
    let decision = decision(&app, &visitor.caller.who, &asked).await?;
    carried_out(&app, &visitor, decision).await
}

/// What is sent to undo a decision.
#[derive(Deserialize)]
pub struct Undoing {
    #[serde(default)]
    reason: String,
}

/// `POST /LANG/decisions/ID/undo`
pub async fn undo(
    State(app): State<App>,
    Path(id): Path<String>,
    Posted(visitor, sent): Posted<Undoing>,
) -> Result<Response, HttpError> {
    visitor.caller.at_least(Role::Steward)?;
    let reason = reason(&sent.reason)?;
    let decision = Decision::undo(
        target(&app, &id)?,
        reason,
        visitor.caller.who.clone(),
        app.clock.wall_ms(),
    );
    carried_out(&app, &visitor, decision).await
}

async fn carried_out(
    app: &App,
    visitor: &Visitor,
    decision: Decision,
) -> Result<Response, HttpError> {
    let id = decision.id;
    let outcome = app.resolver.decide(decision).await.map_err(refused)?;
    tracing::info!(decision.id = %id, decision.by = %visitor.caller.who, decision.changes = outcome.changes.len(), "decision carried out");
    Ok(see_other(&visitor.frame.at("/decisions?done=1")))
}

fn reason(text: &str) -> Result<String, HttpError> {
    let text = text.trim();
    if text.is_empty() || text.len() > REASON_BYTES_MAX {
        return Err(HttpError::bad_request(
            "bad_reason",
            format!("a decision has a reason of 1 to {REASON_BYTES_MAX} bytes"),
        ));
    }
    Ok(text.to_owned())
}

fn target(app: &App, id: &str) -> Result<DecisionId, HttpError> {
    let known = id
        .parse::<DecisionId>()
        .ok()
        .filter(|id| app.resolver.decisions().get(id).is_some());
    known.ok_or_else(|| HttpError::not_found("there is no such decision"))
}

async fn decision(app: &App, by: &str, asked: &Asked) -> Result<Decision, HttpError> {
    let kind = match asked.kind.as_str() {
        "same" => DecisionKind::Same,
        "not_same" => DecisionKind::NotSame,
        "household" => DecisionKind::Household,
        _ => {
            return Err(HttpError::bad_request(
                "bad_decision",
                "kind is same, not_same or household",
            ));
        }
    };
    let sides = [
        (asked.one.clone(), asked.one_value.clone()),
        (asked.two.clone(), asked.two_value.clone()),
    ];
    let subjects: Result<Vec<Identifier>, HttpError> = read(app, move |app, view| {
        let mut subjects = Vec::with_capacity(sides.len());
        for (id, reference) in &sides {
            let found = fact::record(view, app, id)?.ok_or_else(fact::no_record);
            subjects.push(
                found.and_then(|record| fact::referred(&app.applier.id_key, &record, reference)),
            );
        }
        Ok(subjects.into_iter().collect())
    })
    .await?;
    let subjects = subjects?;
    let observes = app.resolver.decisions().heads(&subjects);
    Decision::new(
        kind,
        subjects,
        asked.reason.trim(),
        by,
        app.clock.wall_ms(),
        observes,
        None,
    )
    .map_err(|bad| HttpError::bad_request("bad_decision", bad.to_string()))
}

fn refused(error: DecideError) -> HttpError {
    match error {
        DecideError::Bad(bad) => HttpError::bad_request("bad_decision", bad.to_string()),
        DecideError::Store(error) => HttpError::internal(error),
        DecideError::Stopping => {
            HttpError::unavailable("stopping", "the server is stopping", RETRY_AFTER_S)
        }
    }
}
