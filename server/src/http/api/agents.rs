//! The fleet.

use axum::{Json, extract::State};
use serde_json::{Value, json};
use trenza_shared::net::error::HttpError;

use super::read;
use crate::{app::App, http::auth::Caller, sync::fleet};

/// `GET /v1/agents`
pub async fn fleet(State(app): State<App>, _caller: Caller) -> Result<Json<Value>, HttpError> {
    let now_ms = app.clock.wall_ms();
    let fleet = read(&app, move |app, view| {
        fleet::read(view, &app.registry, now_ms)
    })
    .await?;
    Ok(Json(json!({ "agents": fleet.agents, "sums": fleet.sums })))
}
