//! What became of customers, in order; whoever waits is told at once.

use std::time::Duration;

use axum::{Json, extract::State};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};
use trenza_shared::net::{error::HttpError, extract::Query};

use super::read;
use crate::{app::App, customer::feed, http::auth::Caller};

/// Longest wait for a change. Unit: seconds.
const WAIT_S_MAX: u64 = 60;
/// Changes of a page when nobody says how many.
const PAGE_DEFAULT: usize = 100;

/// Which part of the feed, and how long to wait for it.
#[derive(Deserialize)]
pub struct Page {
    after: Option<String>,
    wait_s: Option<u64>,
    limit: Option<usize>,
}

/// `GET /v1/changes`
pub async fn page(
    State(app): State<App>,
    _caller: Caller,
    Query(page): Query<Page>,
) -> Result<Json<Value>, HttpError> {
    let after: u64 = match page.after.as_deref() {
        None | Some("") => 0,
        Some(text) => text.parse().map_err(|_| {
            HttpError::bad_request("bad_cursor", "after is no cursor of the feed")
                .hint("give the `next` of the page before, unchanged; leave it out to begin")
        })?,
    };
    let limit = page.limit.unwrap_or(PAGE_DEFAULT);
    let until = Instant::now() + Duration::from_secs(page.wait_s.unwrap_or(0).min(WAIT_S_MAX));
    // Taken before the first look, so that nothing that comes in between is slept through.
    let (mut applied, mut decided) = (app.resolver.applied(), app.resolver.decided());
    let mut draining = app.draining.subscribe();
    loop {
        applied.mark_unchanged();
        decided.mark_unchanged();
        let rows = read(&app, move |_, view| feed::page(view, after, limit)).await?;
        let woken = async {
            tokio::select! {
                told = applied.changed() => told.is_ok(),
                told = decided.changed() => told.is_ok(),
                _ = draining.wait_for(|draining| *draining) => false,
            }
        };
        if rows.is_empty() && matches!(timeout_at(until, woken).await, Ok(true)) {
            continue;
        }
        let next = rows.last().map_or(after, |(number, _)| *number);
        let changes: Vec<Value> = rows
            .iter()
            .map(|(number, row)| feed::to_json(*number, row))
            .collect();
        return Ok(Json(
            json!({ "changes": changes, "next": next.to_string() }),
        ));
    }
}
