//! What arrives, as it arrives, with what becomes of it.

use std::time::Duration;

use axum::{Json, extract::State};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until, timeout_at};
use trenza_shared::{
    clock::format_ms,
    event::{Fault, at},
    id::Fingerprint,
    net::{error::HttpError, extract::Query},
    wire::entry::What,
};

use super::read;
use crate::{
    app::App,
    customer::{
        live::{self, Ask, Cursor, Page, Seen, Verdict},
        moment::body_masked,
    },
    http::auth::Caller,
    sync::refusals::Refusal,
    tables::Hop,
};

/// Longest wait for an event. Unit: seconds.
pub const WAIT_S_MAX: u64 = 60;
/// Rows of an answer when nobody says how many.
pub const ROWS_DEFAULT: usize = 50;
/// Between two looks of one that waits: whatever comes, it reads no more often.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Which part of what arrives, and how long to wait for it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Asked {
    /// Name or write key of a source; all of them where it is empty.
    pub source: String,
    /// The `next` of the answer before.
    pub after: String,
    /// Unit: seconds.
    pub wait_s: u64,
    /// Most rows.
    pub limit: Option<usize>,
}

/// What was found.
pub struct Found {
    /// What was stored.
    pub page: Page,
    /// What was refused, oldest first.
    pub refused: Vec<Refusal>,
    /// Where to go on.
    pub next: Cursor,
}

/// `GET /v1/live`
pub async fn page(
    State(app): State<App>,
    caller: Caller,
    Query(asked): Query<Asked>,
) -> Result<Json<Value>, HttpError> {
    let found = look(&app, &asked).await?;
    let masked = caller.masked();
    let stored = found.page.seen.iter().map(|seen| {
        let json = seen_json(&app, seen, masked);
        (seen.received_ms, json)
    });
    let refused = found.refused.iter().map(|one| {
        let json = refused_json(&app, one);
        (one.last_ms, json)
    });
    let mut rows: Vec<(i64, Value)> = stored.chain(refused).collect();
    rows.sort_by_key(|(at_ms, _)| *at_ms);
    let rows: Vec<Value> = rows.into_iter().map(|(_, row)| row).collect();
    Ok(Json(json!({
        "rows": rows,
        "passed_over": found.page.passed_over,
        "next": found.next.to_string(),
    })))
}

/// What is new of what is asked for, at once or after a wait.
///
/// # Errors
/// 400 for a cursor that is none, 404 for a source that is none, 503 when too many wait already.
pub async fn look(app: &App, asked: &Asked) -> Result<Found, HttpError> {
    let mut after = cursor(&asked.after)?;
    let key = source_key(app, &asked.source)?;
    let max = asked.limit.unwrap_or(ROWS_DEFAULT);
    let until = Instant::now() + Duration::from_secs(asked.wait_s.min(WAIT_S_MAX));
    let _place = match asked.wait_s {
        0 => None,
        _ => Some(app.watching.try_acquire().map_err(|_| {
            HttpError::unavailable("too_many_watch", "too many follow what arrives already", 5)
                .hint("ask again without wait_s, or later")
        })?),
    };
    // Taken before the first look, so that nothing that comes in between is slept through.
    let (mut applied, mut told) = (app.resolver.applied(), app.refusals.told());
    let (mut log, mut draining) = (app.log.last(), app.draining.subscribe());
    loop {
        let next_look = Instant::now() + LOOK_EVERY;
        applied.mark_unchanged();
        told.mark_unchanged();
        let ask = Ask {
            key: key.clone(),
            after,
            end: *log.borrow_and_update(),
            max,
        };
        let page = read(app, move |app, view| live::page(view, &app.registry, &ask)).await?;
        let (refused, newest) = app
            .refusals
            .after(key.as_deref(), after.map_or(0, |after| after.refused));
        let next = Cursor {
            record: page.record,
            applied: page.applied,
            refused: newest,
        };
        let nothing = page.seen.is_empty() && refused.is_empty();
        let woken = async {
            tokio::select! {
                told = applied.changed() => told.is_ok(),
                told = log.changed() => told.is_ok(),
                told = told.changed() => told.is_ok(),
                _ = draining.wait_for(|draining| *draining) => false,
            }
        };
        if nothing && matches!(timeout_at(until, woken).await, Ok(true)) {
            // What was passed over is told in the end, so the cursor stays before it.
            if page.passed_over == 0 {
                after = Some(next);
            }
            sleep_until(next_look).await;
            continue;
        }
        return Ok(Found {
            page,
            refused,
            next,
        });
    }
}

/// A cursor as it is given; none for an empty text.
///
/// # Errors
/// 400.
fn cursor(text: &str) -> Result<Option<Cursor>, HttpError> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|error: live::BadCursor| {
        HttpError::bad_request("bad_cursor", error.to_string())
            .hint("give the `next` of the answer before, unchanged; leave it out to begin")
    })
}

/// The write key of a source that is named by its name or its key; none for an empty text.
///
/// # Errors
/// 404.
fn source_key(app: &App, named: &str) -> Result<Option<String>, HttpError> {
    if named.is_empty() {
        return Ok(None);
    }
    match app.registry.source_named(named) {
        Some((key, _)) => Ok(Some(key)),
        None => Err(HttpError::not_found("there is no such source")
            .hint("trenza-server source list shows those there are; leave source out to see all")),
    }
}

/// Name of a source by its key; none for a key that is nobody's.
pub fn source_name(app: &App, key: &str) -> Option<String> {
    app.registry.source(key).map(|source| source.name)
}

/// What of an event says what the visitor agreed to.
pub fn consent(seen: &Seen) -> Option<&Value> {
    at(
        seen.body.as_ref()?,
        &["context", "consent", "categoryPreferences"],
    )
}

fn customer(app: &App, seed: Option<&Fingerprint>) -> Value {
    seed.map_or(Value::Null, |seed| {
        app.applier.customer(seed).to_string().into()
    })
}

fn faults(faults: &[Fault]) -> Vec<Value> {
    let json = |fault: &Fault| json!({"member": fault.member, "needs": fault.needs, "reason": fault.needs.sentence()});
    faults.iter().map(json).collect()
}

fn seen_json(app: &App, seen: &Seen, masked: bool) -> Value {
    let (state, code, reason, seed) = match &seen.verdict {
        Verdict::Stored => ("stored", None, None, None),
        Verdict::Resolved(seed) => ("resolved", None, None, Some(seed)),
        Verdict::Nobody(reason) => (
            "nobody",
            Some("belongs_to_nobody"),
            Some(reason.clone()),
            None,
        ),
        Verdict::Duplicate { first_ms, seed } => {
            let reason = format!(
                "the same event was taken in at {} already",
                format_ms(*first_ms)
            );
            ("duplicate", Some("duplicate"), Some(reason), seed.as_ref())
        }
        Verdict::Rejected { code, reason } => {
            ("rejected", Some(code.as_str()), Some(reason.clone()), None)
        }
    };
    let body = seen.body.clone().map(|mut body| {
        body.remove("writeKey");
        Value::Object(if masked { body_masked(&body) } else { body })
    });
    let agent = seen.agent();
    json!({
        "id": format!("{}-{}", seen.id.0, seen.id.1),
        "received_at": format_ms(seen.received_ms),
        "source": source_name(app, &seen.open.key),
        "write_key": seen.open.key,
        "hop": seen.hop.name(),
        "agent": agent,
        "touchpoint": agent.and_then(|agent| app.registry.agent(&agent)).map(|agent| agent.touchpoint),
        "messageId": seen.message_id,
        "type": match seen.open.what { What::Event(kind) => Some(kind.name()), _ => None },
        "state": state,
        "code": code,
        "reason": reason,
        "hint": Value::Null,
        "id_conflict": seen.conflict,
        "faults": faults(&seen.faults),
        "unverified": seen.open.unverified && seen.hop != Hop::Own,
        "bot": seen.bot,
        "customer": customer(app, seed),
        "consent": consent(seen),
        "event": body,
        "times": 1,
    })
}

fn refused_json(app: &App, refused: &Refusal) -> Value {
    json!({
        "id": format!("r{}", refused.id),
        "received_at": format_ms(refused.last_ms),
        "source": source_name(app, &refused.key),
        "write_key": refused.key,
        "hop": Hop::Own.name(),
        "agent": Value::Null,
        "touchpoint": Value::Null,
        "messageId": Value::Null,
        "type": Value::Null,
        "state": "refused",
        "code": refused.code,
        "reason": refused.message,
        "hint": refused.hint,
        "origin": refused.origin,
        "id_conflict": false,
        "faults": [],
        "unverified": false,
        "bot": Value::Null,
        "customer": Value::Null,
        "consent": Value::Null,
        "event": Value::Null,
        "times": refused.times,
    })
}
