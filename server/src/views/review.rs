//! Whom to ask about: pairs of records that may be one person, with what speaks for it and what against.

use askama::Template;
use axum::{
    extract::{Query, State},
    response::Response,
};
use serde::Deserialize;
use trenza_shared::{
    id::{Fingerprint, from_hex, to_hex},
    identifier::Identifier,
    net::error::HttpError,
    store::Key as _,
};

use super::{
    compared::{self, Row, Sure},
    fact::{self, Fact},
    later::is_put_off,
    page::{Frame, Visitor, respond},
};
use crate::{
    app::App,
    customer::{household, record::Record, review},
    http::api::read,
    identity::{question_key, question_of},
};

/// Questions of a page.
const SHOWN_MAX: usize = 20;
/// Most pages looked at for one that holds what was not put off.
const PAGES_MAX: usize = 10;
/// Values shown of a record.
const FACTS_MAX: usize = 6;

/// Which part of the list.
#[derive(Deserialize)]
pub struct Page {
    #[serde(default)]
    after: String,
    /// Where the page before of homes ended.
    #[serde(default)]
    homes: String,
    #[serde(default)]
    later: String,
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
    /// Field by field; of a home, nothing.
    rows: Vec<Row>,
    /// How sure it is; of a home, nothing.
    sure: Option<Sure>,
    speaks_for: Vec<&'static str>,
    speaks_against: Vec<&'static str>,
    /// Why a home is asked about.
    because: Vec<String>,
    /// Whether they may be one person; else they may live together.
    alike: bool,
}

#[derive(Template)]
#[template(path = "review.html")]
struct ReviewPage {
    frame: Frame,
    questions: Vec<Asked>,
    next: Option<String>,
    homes: Vec<Asked>,
    homes_next: Option<String>,
    later: bool,
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
    let homes_after = from_hex::<16>(&page.homes);
    let (decisions, now_ms) = (app.resolver.decisions(), app.clock.wall_ms());
    let user = visitor.caller.who.clone();
    let (doubts, homes) = read(&app, move |app, view| {
        let (key, rules) = (&app.applier.id_key, app.applier.rules.now());
        let waits = |[one, other]: &[Record; 2]| {
            is_put_off(view, &user, one.id, other.id, now_ms).map(|put_off| !put_off)
        };
        let (mut doubts, mut after) = (Vec::new(), after);
        for _ in 0..PAGES_MAX {
            let active = decisions.active();
            let (page, next) = review::page(view, key, &rules, active, after.as_ref(), SHOWN_MAX)?;
            for doubt in page {
                if waits(&doubt.records)? {
                    doubts.push(doubt);
                }
            }
            after = next;
            if after.is_none() || doubts.len() >= SHOWN_MAX {
                break;
            }
        }
        let active = decisions.active();
        let (page, homes_next) = household::page(view, key, active, homes_after, SHOWN_MAX)?;
        let mut homes = Vec::new();
        for one in page {
            if waits(&one.records)? {
                homes.push(one);
            }
        }
        Ok(((doubts, after), (homes, homes_next)))
    })
    .await?;
    let (doubts, next) = doubts;
    let link = app.applier.rules.now().matching.bands.link;
    let questions = doubts.iter().map(|doubt| {
        let mut one = asked(&app, &frame, &doubt.records, &doubt.subjects);
        one.rows = compared::rows(frame.t, doubt, frame.masked());
        one.sure = Some(compared::sure(frame.t, &doubt.score, link));
        let says = |against: bool| {
            let said = one
                .rows
                .iter()
                .filter(|row| row.counts() && row.against == against);
            said.map(|row| row.says).collect()
        };
        (one.speaks_for, one.speaks_against) = (says(false), says(true));
        one.alike = true;
        one
    });
    let (homes, homes_next) = homes;
    let live_together = homes.iter().map(|home| {
        let mut one = asked(&app, &frame, &home.records, &home.subjects);
        one.because = compared::because(frame.t, &home.records[0], &home.because, frame.masked());
        one
    });
    respond(&ReviewPage {
        questions: questions.collect(),
        next: next.map(|question| to_hex(&question_key(&question).to_key())),
        homes: live_together.collect(),
        homes_next: homes_next.map(|home| to_hex(&home)),
        later: !page.later.is_empty(),
        frame,
    })
}

fn asked(app: &App, frame: &Frame, records: &[Record; 2], subjects: &[Identifier; 2]) -> Asked {
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
        reference: fact::reference(key, &subjects[at]),
    };
    let [one, other] = records;
    Asked {
        sides: [side(0, one), side(1, other)],
        rows: Vec::new(),
        sure: None,
        speaks_for: Vec::new(),
        speaks_against: Vec::new(),
        because: Vec::new(),
        alike: false,
    }
}
