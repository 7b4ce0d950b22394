//! Whom to ask about: persons who may be one, for somebody to decide.

use axum::{Json, extract::State};
use serde::Deserialize;
use serde_json::{Value, json};
use trenza_shared::{
    id::{Fingerprint, from_hex, to_hex},
    identifier::Identifier,
    identity::{Group, Question, compared, group_of},
    matching::Score,
    net::{error::HttpError, extract::Query},
    store::{Key as _, Overlay, StoreError, View},
};

use super::{customers::customer_json, read};
use crate::{
    app::App,
    customer::{
        record::{self, Record},
        why::{score_json, shown},
    },
    http::auth::Caller,
    identity::{StoredGraph, question_key, question_of, read as graph},
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

/// One question with what is needed to answer it.
struct Asked {
    /// The two persons.
    records: [Record; 2],
    /// A value of each; a decision about them answers.
    subjects: Option<[Identifier; 2]>,
    /// What their records agree on.
    score: Score,
}

/// `GET /v1/review`
pub async fn page(
    State(app): State<App>,
    caller: Caller,
    Query(page): Query<Page>,
) -> Result<Json<Value>, HttpError> {
    let after = page
        .after
        .as_deref()
        .filter(|text| !text.is_empty())
        .map(cursor)
        .transpose()?;
    let limit = page.limit.unwrap_or(PAGE_DEFAULT).clamp(1, PAGE_MAX);
    let found = read(&app, move |app, view| {
        let rows = graph::questions(view, after.as_ref(), limit)?;
        let next = rows.last().filter(|_| rows.len() == limit).copied();
        let mut asked = Vec::with_capacity(rows.len());
        for question in &rows {
            asked.extend(ask(app, view, question)?);
        }
        Ok((asked, next))
    });
    let (asked, next) = found.await?;
    let masked = caller.masked();
    let questions: Vec<Value> = asked.iter().map(|one| one.to_json(masked)).collect();
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

/// What is asked; none when a part of it is no more, which nothing but a damaged store can cause.
fn ask(app: &App, view: &dyn View, question: &Question) -> Result<Option<Asked>, StoreError> {
    let mut overlay = Overlay::new(view);
    let stored = StoredGraph(&mut overlay);
    let (one, other) = (&question.one, &question.other);
    let Some(score) = compared(&stored, one, other, &app.applier.rules)? else {
        return Ok(None);
    };
    let (Some(ours), Some(theirs)) = (group_of(&stored, one)?, group_of(&stored, other)?) else {
        return Ok(None);
    };
    let subjects = match (subject(view, &ours)?, subject(view, &theirs)?) {
        (Some(one), Some(other)) => Some([one, other]),
        _ => None,
    };
    let load = |seed: &Fingerprint| -> Result<Option<Record>, StoreError> {
        let group = record::group_of(view, seed)?;
        group
            .map(|group| record::load(view, &app.applier.id_key, group))
            .transpose()
    };
    Ok(match (load(one)?, load(other)?) {
        (Some(one), Some(other)) => Some(Asked {
            records: [one, other],
            subjects,
            score,
        }),
        _ => None,
    })
}

/// A value that names a group: the strongest of those that link it.
fn subject(view: &dyn View, group: &Group) -> Result<Option<Identifier>, StoreError> {
    let mut best: Option<Identifier> = None;
    for member in &group.members {
        let node = graph::node(view, member)?;
        for value in node.into_iter().flat_map(|node| node.payload.identifiers) {
            let links = group.shared.iter().all(|key| key.identifier != value);
            if links && best.as_ref().is_none_or(|best| value < *best) {
                best = Some(value);
            }
        }
    }
    Ok(best)
}

impl Asked {
    fn to_json(&self, masked: bool) -> Value {
        let customers = self.records.iter().map(|one| customer_json(one, masked));
        let subjects = self.subjects.iter().flatten();
        json!({
            "customers": customers.collect::<Vec<_>>(),
            "subjects": subjects.map(|value| shown(value, masked)).collect::<Vec<_>>(),
            "match": score_json(&self.score),
        })
    }
}
