//! Whom to ask about: persons who may be one, for somebody to decide.

use axum::{Json, extract::State};
use serde::Deserialize;
use serde_json::{Value, json};
use trenza_shared::{
    id::{Fingerprint, from_hex, to_hex},
    identity::Question,
    net::{error::HttpError, extract::Query},
    store::Key as _,
};

use super::{customers::customer_json, read};
use crate::{
    app::App,
    customer::{
        review::{self, Doubt},
        why::{score_json, shown},
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
    let found = read(&app, move |app, view| {
        let (key, rules) = (&app.applier.id_key, app.applier.rules.now());
        review::page(view, key, &rules, after.as_ref(), limit)
    });
    let (doubts, next) = found.await?;
    let questions: Vec<Value> = doubts
        .iter()
        .map(|doubt| doubt_json(doubt, caller.masked()))
        .collect();
    let next = next.map(|question| to_hex(&question_key(&question).to_key()));
    Ok(Json(json!({ "questions": questions, "next": next })))
}

fn cursor(text: &str) -> Result<Question, HttpError> {
    let read =
        from_hex::<36>(text).and_then(|bytes| <(u32, Fingerprint, Fingerprint)>::decode(&bytes));
    read.map(|key| question_of(&key)).ok_or_else(|| {
        HttpError::bad_request("bad_cursor", "after is no cursor of the review list")
            .hint("give the `next` of the page before, unchanged")
    })
}

fn doubt_json(doubt: &Doubt, masked: bool) -> Value {
    let customers = doubt.records.iter().map(|one| customer_json(one, masked));
    let subjects = doubt.subjects.iter().flatten();
    json!({
        "customers": customers.collect::<Vec<_>>(),
        "subjects": subjects.map(|value| shown(value, masked)).collect::<Vec<_>>(),
        "match": score_json(&doubt.score),
    })
}
