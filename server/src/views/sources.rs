//! Who may send events: websites, apps, stands, imports.

use askama::Template;
use axum::{extract::State, response::Response};
use serde::Deserialize;
use trenza_shared::net::error::HttpError;

use super::{
    fleet::{coded, named},
    page::{Frame, Visitor, respond},
    reached::Reached,
    session::Posted,
    steps::paste_line,
};
use crate::{
    admin::{self, NewSource},
    app::App,
    tables::Role,
};

/// One source.
struct Listed {
    name: String,
    origins: String,
    key: String,
    place: String,
    revoked: bool,
}

#[derive(Template)]
#[template(path = "sources.html")]
struct SourcesPage {
    frame: Frame,
    sources: Vec<Listed>,
    made: Option<(String, Option<&'static str>)>,
}

/// `GET /LANG/sources`
pub async fn page(State(app): State<App>, visitor: Visitor) -> Result<Response, HttpError> {
    visitor.caller.at_least(Role::Admin)?;
    respond(&SourcesPage {
        sources: listed(&app),
        frame: visitor.frame,
        made: None,
    })
}

fn listed(app: &App) -> Vec<Listed> {
    let sources = app.registry.sources().into_iter();
    let mut listed: Vec<Listed> = sources
        .map(|(key, row)| Listed {
            name: row.name,
            origins: row.origins.join(" "),
            key,
            place: format!("{} · {}", row.country, row.zone),
            revoked: row.revoked,
        })
        .collect();
    listed.sort_by(|one, other| (one.revoked, &one.name).cmp(&(other.revoked, &other.name)));
    listed
}

/// What a source is made of.
#[derive(Deserialize)]
pub struct Sent {
    name: String,
    #[serde(default)]
    origins: String,
}

/// `POST /LANG/sources`
pub async fn create(
    State(app): State<App>,
    reached: Reached,
    Posted(visitor, sent): Posted<Sent>,
) -> Result<Response, HttpError> {
    visitor.caller.at_least(Role::Admin)?;
    named(&sent.name)?;
    let origins = sent.origins.split_whitespace().map(str::to_owned).collect();
    let new = NewSource {
        name: sent.name,
        origins,
        ..NewSource::default()
    };
    let made = admin::access::source_create(&app, new)
        .await
        .map_err(|error| coded(error, "bad_origin"))?;
    let line = paste_line(&reached, &made.write_key);
    respond(&SourcesPage {
        sources: listed(&app),
        made: Some((line, reached.note(visitor.frame.t))),
        frame: visitor.frame,
    })
}
