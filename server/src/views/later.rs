//! Pairs that a person put off: not asked about again for a while. Of this server and this person alone, no decision.

use axum::{extract::State, response::Response};
use serde::Deserialize;
use trenza_shared::{
    id::CustomerId,
    net::error::HttpError,
    store::{Batch, Direction, Durable, StoreError, View},
};

use super::{page::see_other, session::Posted};
use crate::{
    app::App,
    tables::{PUT_OFF, PutOffRow, Role},
};

/// For how long. Unit: ms.
const PUT_OFF_MS: i64 = 30 * 86_400_000;
/// Most pairs that one person puts off at a time.
const PAIRS_MAX: usize = 10_000;

/// What is put off.
#[derive(Deserialize)]
pub struct Sent {
    one: String,
    two: String,
}

/// Stands for two customers, in whatever order.
fn pair(one: CustomerId, two: CustomerId) -> [u8; 16] {
    let (first, second) = (one.min(two), one.max(two));
    let mut hasher = blake3::Hasher::new();
    hasher.update(&first.0);
    hasher.update(&second.0);
    let mut out = [0; 16];
    hasher.finalize_xof().fill(&mut out);
    out
}

/// Whether somebody put a pair off, and that still holds.
///
/// # Errors
/// The store cannot be read.
pub fn is_put_off(
    view: &dyn View,
    user: &str,
    one: CustomerId,
    two: CustomerId,
    now_ms: i64,
) -> Result<bool, StoreError> {
    let row = PUT_OFF.get(view, &(user.to_owned(), pair(one, two)))?;
    Ok(row.is_some_and(|row| now_ms < row.until_ms))
}

/// `POST /LANG/review/later`
pub async fn put_off(
    State(app): State<App>,
    Posted(visitor, sent): Posted<Sent>,
) -> Result<Response, HttpError> {
    visitor.caller.at_least(Role::Steward)?;
    let (Ok(one), Ok(two)) = (sent.one.parse(), sent.two.parse()) else {
        return Err(HttpError::not_found("there is no such record"));
    };
    let (user, now_ms) = (visitor.caller.who, app.clock.wall_ms());
    let store = app.store.clone();
    let stored = tokio::task::spawn_blocking(move || {
        let rows = PUT_OFF.scan_prefix(&*store, &user, Direction::Forward, PAIRS_MAX)?;
        let full = rows.len() == PAIRS_MAX;
        let mut batch = Batch::new();
        let mut gone = 0;
        for (key, row) in rows {
            if row.until_ms <= now_ms {
                PUT_OFF.delete(&mut batch, &key);
                gone += 1;
            }
        }
        let until_ms = now_ms.saturating_add(PUT_OFF_MS);
        if !full || gone > 0 {
            let row = PutOffRow { until_ms };
            PUT_OFF.put(&mut batch, &(user, pair(one, two)), &row)?;
        }
        store.commit(batch, Durable::Yes)?;
        Ok::<bool, StoreError>(!full || gone > 0)
    });
    if !stored
        .await
        .map_err(HttpError::internal)?
        .map_err(HttpError::internal)?
    {
        return Err(HttpError::conflict(
            "too_many_put_off",
            format!("{PAIRS_MAX} pairs are put off already; decide about some of them"),
        ));
    }
    Ok(see_other(&visitor.frame.at("/review?later=1")))
}
