//! Whom to ask about: persons who may be one, or who may live together, for somebody to decide.

use axum::{Json, extract::State};
use serde::Deserialize;
use serde_json::{Value, json};
use trenza_shared::{
    id::{Fingerprint, from_hex, to_hex},
    identifier::Identifier,
    identity::Question,
    net::{error::HttpError, extract::Query},
    store::Key as _,
};

use super::{customers::customer_json, read};
use crate::{
    app::App,
    customer::{
        compared, household,
        record::Record,
        review::{self, Doubt},
        why::{score_json, subject_shown},
    },
    http::auth::Caller,
    identity::{question_key, question_of},
};

/// Questions of a page when nobody says how many.
const PAGE_DEFAULT: usize = 50;
/// Most questions of a page.
const PAGE_MAX: usize = 200;

/// Which part of the list.
#[derive(Deserialize)]
pub struct Page {
    after: Option<String>,
    limit: Option<usize>,
}

/// `GET /v1/review`
pub async fn page(
    State(app): State<App>,
    caller: Caller,
    Query(page): Query<Page>,
) -> Result<Json<Value>, HttpError> {
    let after = page.after.as_deref().filter(|text| !text.is_empty());
    let after = after.map(cursor).transpose()?;
    let limit = page.limit.unwrap_or(PAGE_DEFAULT).clamp(1, PAGE_MAX);
    let decisions = app.resolver.decisions();
    let found = read(&app, move |app, view| {
        let (key, rules) = (&app.applier.id_key, app.applier.rules.now());
        review::page(view, key, &rules, decisions.active(), after.as_ref(), limit)
    });
    let (doubts, next) = found.await?;
    let questions: Vec<Value> = doubts
        .iter()
        .map(|doubt| doubt_json(&app.applier.id_key, doubt, caller.masked()))
        .collect();
    let next = next.map(|question| to_hex(&question_key(&question).to_key()));
    Ok(Json(json!({ "questions": questions, "next": next })))
}

fn cursor(text: &str) -> Result<Question, HttpError> {
    let read =
        from_hex::<36>(text).and_then(|bytes| <(u32, Fingerprint, Fingerprint)>::decode(&bytes));
    read.map(|key| question_of(&key)).ok_or_else(bad_cursor)
}

fn bad_cursor() -> HttpError {
    HttpError::bad_request("bad_cursor", "after is no cursor of this list")
        .hint("give the `next` of the page before, unchanged")
}

/// `GET /v1/review/homes`
pub async fn homes(
    State(app): State<App>,
    caller: Caller,
    Query(page): Query<Page>,
) -> Result<Json<Value>, HttpError> {
    let after = page.after.as_deref().filter(|text| !text.is_empty());
    let after = after.map(|text| from_hex::<16>(text).ok_or_else(bad_cursor));
    let after = after.transpose()?;
    let limit = page.limit.unwrap_or(PAGE_DEFAULT).clamp(1, PAGE_MAX);
    let decisions = app.resolver.decisions();
    let found = read(&app, move |app, view| {
        household::page(view, &app.applier.id_key, decisions.active(), after, limit)
    });
    let (candidates, next) = found.await?;
    let masked = caller.masked();
    let homes = candidates.iter().map(|one| {
        let mut home = pair_json(&app.applier.id_key, &one.records, &one.subjects, masked);
        home["because"] = json!(compared::because(&one.records[0], &one.because, masked));
        home
    });
    let homes: Vec<Value> = homes.collect();
    let next = next.map(|home| to_hex(&home));
    Ok(Json(json!({ "homes": homes, "next": next })))
}

fn pair_json(
    id_key: &[u8; 32],
    records: &[Record; 2],
    subjects: &[Identifier; 2],
    masked: bool,
) -> Value {
    let customers = records.iter().map(|one| customer_json(one, masked));
    let subjects = subjects.iter();
    json!({
        "customers": customers.collect::<Vec<_>>(),
        "subjects": subjects.map(|one| subject_shown(id_key, one, masked)).collect::<Vec<_>>(),
    })
}

fn doubt_json(id_key: &[u8; 32], doubt: &Doubt, masked: bool) -> Value {
    let compared = compared::fields(doubt, masked)
        .into_iter()
        .map(|one| json!({"field": one.field, "values": one.values, "verdict": one.verdict}));
    let mut question = pair_json(id_key, &doubt.records, &doubt.subjects, masked);
    question["match"] = score_json(&doubt.score);
    question["compared"] = compared.collect();
    question
}
