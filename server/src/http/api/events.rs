//! Where an event stands.

use std::time::Duration;

use axum::{Json, extract::State};
use serde_json::{Map, Value, json};
use tokio::time::{Instant, timeout_at};
use trenza_shared::net::{error::HttpError, extract::Path};

use super::read;
use crate::{
    app::App,
    customer::{
        message::{self, Refused, Standing, Version},
        moment::body_masked,
    },
    http::auth::Caller,
};

/// How long an event that is not here yet is waited for while the log is not applied to its end.
const WAIT_MAX: Duration = Duration::from_secs(1);

/// `GET /v1/events/{message_id}`
pub async fn one(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>, HttpError> {
    let last = *app.log.last().borrow();
    let (mut applied, until) = (app.resolver.applied(), Instant::now() + WAIT_MAX);
    let standing = loop {
        let all = *applied.borrow_and_update() >= last;
        let standing = find(&app, &id).await?;
        let is_applied = matches!(standing, Some(Standing::Applied { .. }));
        // It may come before its turn, so each step of the resolver is followed by a look.
        if is_applied || all || !matches!(timeout_at(until, applied.changed()).await, Ok(Ok(()))) {
            break standing;
        }
    };
    let Some(standing) = standing else {
        let shown: String = id.chars().take(80).collect();
        return Err(
            HttpError::not_found(format!("no event with messageId {shown} is here"))
                .hint("it may still wait on its agent: GET /v1/agents says what is missing"),
        );
    };
    Ok(Json(to_json(&app, &standing, caller.masked())))
}

async fn find(app: &App, message_id: &str) -> Result<Option<Standing>, HttpError> {
    let message_id = message_id.to_owned();
    read(app, move |_, view| message::find(view, &message_id)).await
}

fn to_json(app: &App, standing: &Standing, masked: bool) -> Value {
    match standing {
        Standing::Waiting(event) => {
            let body = if masked {
                body_masked(&event.body)
            } else {
                event.body.clone()
            };
            answer(
                "stored",
                Value::Null,
                Value::Object(body),
                Value::Null,
                0,
                Vec::new(),
                Vec::new(),
            )
        }
        Standing::Applied { versions, refused } => {
            let refusals = refused
                .iter()
                .map(|one| json!({"code": one.row.code, "reason": one.row.reason}))
                .collect();
            let Some((first, others)) = versions.split_first() else {
                let (reason, text) = refused.first().map_or((Value::Null, Value::Null), |one| {
                    (one.row.reason.as_str().into(), refused_body(one, masked))
                });
                return answer(
                    "rejected",
                    Value::Null,
                    text,
                    reason,
                    0,
                    Vec::new(),
                    refusals,
                );
            };
            let duplicates = versions
                .iter()
                .map(|version| u64::from(version.moment.row.duplicates))
                .sum();
            let reason = match first.seed {
                Some(_) => Value::Null,
                None => {
                    let said = message::said(&first.moment, &app.registry);
                    message::nobody_because(&said).into()
                }
            };
            let conflicts = others
                .iter()
                .map(|version| version_json(app, version, masked))
                .collect();
            let state = if first.seed.is_some() {
                "resolved"
            } else {
                "stored"
            };
            answer(
                state,
                customer(app, first),
                first.moment.to_json(&app.registry, masked),
                reason,
                duplicates,
                conflicts,
                refusals,
            )
        }
    }
}

fn answer(
    state: &str,
    customer: Value,
    event: Value,
    reason: Value,
    duplicates: u64,
    conflicts: Vec<Value>,
    refusals: Vec<Value>,
) -> Value {
    json!({
        "state": state,
        "customer": customer,
        "event": event,
        "reason": reason,
        "duplicates": duplicates,
        "conflicts": conflicts,
        "refusals": refusals,
    })
}

fn customer(app: &App, version: &Version) -> Value {
    version.seed.map_or(Value::Null, |seed| {
        app.applier.customer(&seed).to_string().into()
    })
}

fn version_json(app: &App, version: &Version, masked: bool) -> Value {
    let mut shown = version.moment.to_json(&app.registry, masked);
    shown["customer"] = customer(app, version);
    shown
}

/// What was refused, as JSON where it is some; to those who may not see personal values only what can be masked.
fn refused_body(refused: &Refused, masked: bool) -> Value {
    match serde_json::from_str::<Map<String, Value>>(&refused.text) {
        Ok(mut body) => {
            body.remove("writeKey");
            Value::Object(if masked { body_masked(&body) } else { body })
        }
        Err(_) if masked => Value::Null,
        Err(_) => refused.text.as_str().into(),
    }
}
