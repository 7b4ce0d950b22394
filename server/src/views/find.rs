//! Find a person by any fragment.

use askama::Template;
use axum::{
    extract::{Query, State},
    response::Response,
};
use serde::Deserialize;
use trenza_shared::{
    id::CustomerId,
    identity::Group,
    net::error::HttpError,
    store::{Direction, StoreError, View},
};

use super::{
    fact::{self, Fact},
    page::{Frame, Visitor, respond},
    time::{Shown, Times},
};
use crate::{
    app::App,
    customer::{lookup::Scopes, record, search},
    http::api::read,
    tables::FEED,
};

/// Most results of one page.
const RESULTS_MAX: usize = 25;
/// Most identifiers shown of one result.
const FACTS_MAX: usize = 3;
/// Most recently changed records shown before anything is asked.
const RECENT_MAX: usize = 8;
/// Most changes looked at to find them.
const CHANGES_MAX: usize = 200;
/// Longest query. Unit: bytes.
const QUERY_BYTES_MAX: usize = 200;

/// What is looked for.
#[derive(Deserialize)]
pub struct Asked {
    #[serde(default)]
    q: String,
}

/// One record in a list.
pub struct Found {
    /// Path of its page.
    pub path: String,
    /// What to call it.
    pub title: String,
    /// Some identifiers.
    pub facts: Vec<Fact>,
    /// How many more there are.
    pub more: usize,
    /// How many events.
    pub touches: u64,
    /// The last one.
    pub last: Option<Shown>,
}

#[derive(Template)]
#[template(path = "find.html")]
struct FindPage {
    frame: Frame,
    q: String,
    found: Vec<Found>,
    asked: bool,
    more: bool,
}

/// `GET /LANG/find`
pub async fn page(
    State(app): State<App>,
    visitor: Visitor,
    Query(asked): Query<Asked>,
) -> Result<Response, HttpError> {
    let frame = visitor.frame;
    let (q, times) = (
        fact::cut(asked.q.trim(), QUERY_BYTES_MAX),
        frame.times(&app),
    );
    let (text, shown) = (q.clone(), frame.clone());
    let (found, more) = read(&app, move |app, view| {
        let (groups, more) = if text.is_empty() {
            (recent(view, &app.applier.id_key)?, false)
        } else {
            wanted(view, app, &text)?
        };
        let found = groups
            .into_iter()
            .map(|group| listed(view, app, &shown, &times, group))
            .collect::<Result<_, _>>()?;
        Ok((found, more))
    })
    .await?;
    respond(&FindPage {
        frame,
        asked: !q.is_empty(),
        q,
        found,
        more,
    })
}

fn wanted(view: &dyn View, app: &App, text: &str) -> Result<(Vec<Group>, bool), StoreError> {
    let mut found = search::whoever(view, &Scopes::of(&app.registry, &app.place()), text)?;
    let mut groups = std::mem::take(&mut found.groups);
    if let Ok(id) = text.parse::<CustomerId>()
        && let Some((_, group)) = record::group_by_id(view, &app.applier.id_key, &id)?
        && groups.iter().all(|known| known.seed != group.seed)
    {
        groups.insert(0, group);
    }
    let more = found.more || groups.len() > RESULTS_MAX;
    groups.truncate(RESULTS_MAX);
    Ok((groups, more))
}

fn recent(view: &dyn View, id_key: &[u8; 32]) -> Result<Vec<Group>, StoreError> {
    let mut groups: Vec<Group> = Vec::new();
    for (_, change) in FEED.scan(view, None, None, Direction::Back, CHANGES_MAX)? {
        let Some((_, group)) = record::group_by_id(view, id_key, &change.customer)? else {
            continue;
        };
        if groups.iter().all(|known| known.seed != group.seed) {
            groups.push(group);
        }
        if groups.len() == RECENT_MAX {
            break;
        }
    }
    Ok(groups)
}

/// A record as a line of a list.
///
/// # Errors
/// The store cannot be read.
pub fn listed(
    view: &dyn View,
    app: &App,
    frame: &Frame,
    times: &Times,
    group: Group,
) -> Result<Found, StoreError> {
    let key = &app.applier.id_key;
    let record = record::load(view, key, group)?;
    let customer = &record.customer;
    let facts: Vec<Fact> = customer
        .identifiers
        .keys()
        .take(FACTS_MAX)
        .map(|one| Fact::new(frame.t, key, one, frame.masked()))
        .collect();
    Ok(Found {
        path: frame.at(&format!("/customers/{}", record.id)),
        title: fact::title(frame.t, customer, frame.masked()),
        more: customer.identifiers.len() - facts.len(),
        facts,
        touches: customer.events,
        last: customer.span.last().map(|last| times.shown(last.at_ms)),
    })
}
