//! Whom to ask about: pairs of records that may be one person, with what speaks for it and what against.

use askama::Template;
use axum::{
    extract::{Query, State},
    response::Response,
};
use serde::Deserialize;
use trenza_shared::{
    id::{Fingerprint, from_hex, to_hex},
    identity::said_of,
    net::error::HttpError,
    store::Key as _,
};

use super::{
    fact::{self, Fact},
    page::{Frame, Visitor, respond},
};
use crate::{
    app::App,
    customer::{
        record::Record,
        review::{self, Doubt},
    },
    http::api::read,
    identity::{question_key, question_of},
};

/// Questions of a page.
const SHOWN_MAX: usize = 20;
/// Values shown of a record.
const FACTS_MAX: usize = 6;

/// Which part of the list.
#[derive(Deserialize)]
pub struct Page {
    #[serde(default)]
    after: String,
}

/// One of the two.
struct Side {
    id: String,
    title: String,
    path: String,
    facts: Vec<Fact>,
    /// Reference of the value that a decision names.
    reference: String,
}

/// One question.
struct Asked {
    sides: [Side; 2],
    speaks_for: Vec<&'static str>,
    speaks_against: Vec<&'static str>,
    /// Whether both have a value of their own, without which nobody can decide.
    decidable: bool,
}

#[derive(Template)]
#[template(path = "review.html")]
struct ReviewPage {
    frame: Frame,
    questions: Vec<Asked>,
    next: Option<String>,
}

/// `GET /LANG/review`
pub async fn page(
    State(app): State<App>,
    visitor: Visitor,
    Query(page): Query<Page>,
) -> Result<Response, HttpError> {
    let frame = visitor.frame;
    // A cursor that is none begins the list anew: the address was cut.
    let after = from_hex::<36>(&page.after)
        .and_then(|bytes| <(u32, Fingerprint, Fingerprint)>::decode(&bytes));
    let after = after.map(|key| question_of(&key));
    let (doubts, next) = read(&app, move |app, view| {
        let (key, rules) = (&app.applier.id_key, app.applier.rules.now());
        review::page(view, key, &rules, after.as_ref(), SHOWN_MAX)
    })
    .await?;
    let questions = doubts
        .iter()
        .map(|doubt| asked(&app, &frame, doubt))
        .collect();
    let next = next.map(|question| to_hex(&question_key(&question).to_key()));
    respond(&ReviewPage {
        frame,
        questions,
        next,
    })
}

fn asked(app: &App, frame: &Frame, doubt: &Doubt) -> Asked {
    let (key, masked) = (&app.applier.id_key, frame.masked());
    let side = |at: usize, record: &Record| Side {
        id: record.id.to_string(),
        title: fact::title(frame.t, &record.customer, masked),
        path: frame.at(&format!("/customers/{}", record.id)),
        facts: record
            .customer
            .identifiers
            .keys()
            .take(FACTS_MAX)
            .map(|one| Fact::new(frame.t, key, one, masked))
            .collect(),
        reference: doubt
            .subjects
            .as_ref()
            .map_or_else(String::new, |subjects| fact::reference(key, &subjects[at])),
    };
    let says = |for_it: bool| {
        let terms = doubt.score.terms.iter();
        let said = terms.filter(|term| (term.bits > 0) == for_it);
        said.map(|term| {
            let (es, en) = said_of(term.field, term.level);
            frame.t.pick(es, en)
        })
        .collect()
    };
    let [one, other] = &doubt.records;
    Asked {
        sides: [side(0, one), side(1, other)],
        speaks_for: says(true),
        speaks_against: says(false),
        decidable: doubt.subjects.is_some(),
    }
}
