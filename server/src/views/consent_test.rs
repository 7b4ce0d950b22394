//! What the snippet stores by what a visitor chose: the table that must hold, and a run of the real snippet beside it.
//!
//! Each case is a frame with a page of ours that loads the built snippet against this very server, as a website does.

mod own; // how its events come in, whatever origins the source has

use askama::Template;
use axum::{
    extract::State,
    http::{HeaderValue, header},
    response::Response,
};
use serde::Deserialize;
use trenza_shared::net::{error::HttpError, extract::Query};

use super::{
    assets,
    page::{FRAMED_POLICY, FRAMES_POLICY, Frame, Visitor, respond},
    source::TEST_VISITOR,
    text::Lang,
};
pub use own::take;

use crate::{
    app::App,
    http::snippet,
    tables::{Role, SourceRow},
};

/// One row of the table.
struct Case {
    /// As the scripts call it.
    name: &'static str,
    title: &'static str,
    does: &'static str,
    /// Whether the browser keeps anything.
    keeps: bool,
    /// What is kept, in words.
    browser: &'static str,
    /// How many events the server stores.
    events: u8,
    /// With what choice, as JSON; empty where there is none.
    categories: &'static str,
    server: String,
}

/// The table that must hold.
fn cases(t: Lang) -> [Case; 5] {
    let case = |name, title, does, keeps, events: u8, categories: &'static str| Case {
        name,
        title,
        does,
        keeps,
        browser: if keeps {
            t.consent_keeps()
        } else {
            t.consent_keeps_nothing()
        },
        events,
        categories,
        server: if events == 0 {
            t.consent_no_event().to_owned()
        } else {
            format!("{} {categories}", t.consent_one_event())
        },
    };
    [
        case(
            "none",
            t.consent_none(),
            t.consent_none_does(),
            false,
            0,
            "",
        ),
        case(
            "partial",
            t.consent_partial(),
            t.consent_partial_does(),
            true,
            1,
            r#"{"ads":false,"analytics":true}"#,
        ),
        case(
            "all",
            t.consent_all(),
            t.consent_all_does(),
            true,
            1,
            r#"{"ads":true,"analytics":true}"#,
        ),
        case("gpc", t.consent_gpc(), t.consent_gpc_does(), false, 0, ""),
        case(
            "withdrawn",
            t.consent_withdrawn(),
            t.consent_withdrawn_does(),
            false,
            1,
            r#"{"ads":true,"analytics":true}"#,
        ),
    ]
}

#[derive(Template)]
#[template(path = "consent_test.html")]
struct TestPage {
    frame: Frame,
    script: String,
    sources: Vec<(String, String, bool)>,
    key: Option<String>,
    cases: [Case; 5],
    /// What the reader is told of a request that was refused, by its stable name.
    refusals: Vec<(&'static str, &'static str)>,
}

/// Why a source that is in use may refuse the test's requests.
const REFUSALS: [&str; 6] = [
    "origin_refused",
    "key_revoked",
    "too_many",
    "full",
    "full_for_low_priority",
    "closed",
];

#[derive(Template)]
#[template(path = "consent_frame.html")]
struct FramePage {
    t: Lang,
    script: String,
    snippet: String,
    case: &'static str,
    consent: &'static str,
    visitor: &'static str,
    key: String,
    host: String,
    run: String,
}

/// For which source.
#[derive(Deserialize)]
pub struct Asked {
    #[serde(default)]
    source: String,
}

/// The sources that a website may use, by name.
fn open_sources(app: &App) -> Vec<(String, SourceRow)> {
    let sources = app.registry.sources().into_iter();
    let mut open: Vec<(String, SourceRow)> = sources.filter(|(_, row)| !row.revoked).collect();
    open.sort_by(|one, other| one.1.name.cmp(&other.1.name));
    open
}

/// `GET /LANG/consent-test`
pub async fn page(
    State(app): State<App>,
    visitor: Visitor,
    Query(asked): Query<Asked>,
) -> Result<Response, HttpError> {
    visitor.caller.at_least(Role::Admin)?;
    let open = open_sources(&app);
    let chosen = open
        .iter()
        .find(|(key, row)| *key == asked.source || row.name == asked.source)
        .map(|(key, _)| key.clone());
    let mut response = respond(&TestPage {
        script: assets::consent_test(),
        sources: open
            .into_iter()
            .map(|(key, row)| (chosen.as_ref() == Some(&key), key, row.name))
            .map(|(is, key, name)| (key, name, is))
            .collect(),
        cases: cases(visitor.frame.t),
        refusals: REFUSALS
            .into_iter()
            .filter_map(|code| Some((code, visitor.frame.t.refusal(code)?)))
            .collect(),
        key: chosen,
        frame: visitor.frame,
    })?;
    allow(&mut response, FRAMES_POLICY);
    Ok(response)
}

/// What a frame is to play.
#[derive(Deserialize)]
pub struct Play {
    source: String,
    case: String,
    run: String,
}

/// `GET /LANG/consent-test/frame`: a website with the snippet, in which one visitor chooses.
pub async fn frame(
    State(app): State<App>,
    visitor: Visitor,
    Query(play): Query<Play>,
) -> Result<Response, HttpError> {
    visitor.caller.at_least(Role::Admin)?;
    let none = || HttpError::not_found("there is no such source or case");
    let t = visitor.frame.t;
    let case = cases(t)
        .into_iter()
        .find(|case| case.name == play.case)
        .ok_or_else(none)?;
    let key = open_sources(&app)
        .into_iter()
        .map(|(key, _)| key)
        .find(|key| *key == play.source)
        .ok_or_else(none)?;
    let mut response = respond(&FramePage {
        t,
        script: assets::consent_frame(),
        snippet: snippet().immutable_path(),
        case: case.name,
        // Where a site says that everybody agreed, a browser that says no still counts.
        consent: if case.name == "gpc" {
            "granted"
        } else {
            "pending"
        },
        visitor: TEST_VISITOR,
        host: format!(
            "/consent-test/{}",
            own::pass(&app.applier.id_key, &key, app.clock.wall_ms())
        ),
        key,
        run: play.run,
    })?;
    allow(&mut response, FRAMED_POLICY);
    Ok(response)
}

fn allow(response: &mut Response, policy: &'static str) {
    response.headers_mut().insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(policy),
    );
}
