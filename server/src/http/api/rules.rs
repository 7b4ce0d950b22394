//! The rules of identity, for programs.

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use serde::Deserialize;
use trenza_shared::{
    identity::Rules,
    net::{
        error::HttpError,
        extract::{Json as Body, Query},
    },
};

use crate::{
    admin::rules::{self, Publish, Published, Shown, stands_json},
    app::App,
    customer::simulate::Stands,
    http::auth::Caller,
    tables::Role,
};

/// Longest body: rules with long lists. Unit: bytes.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;

/// Which version.
#[derive(Deserialize)]
pub struct Which {
    version: Option<u32>,
}

/// `GET /v1/rules`
pub async fn show(
    State(app): State<App>,
    caller: Caller,
    Query(which): Query<Which>,
) -> Result<Json<Shown>, HttpError> {
    // Lists of values are people's data.
    caller.at_least(Role::Steward)?;
    Ok(Json(rules::show(&app, which.version).await?))
}

/// `POST /v1/rules/simulate`
pub async fn simulate(
    State(app): State<App>,
    caller: Caller,
    Body(asked): Body<Rules>,
) -> Result<Response, HttpError> {
    caller.at_least(Role::Steward)?;
    let stands = rules::simulate(&app, &asked).await?;
    let status = match stands {
        Stands::Going { .. } => StatusCode::ACCEPTED,
        Stands::Done(_) | Stands::Failed(_) => StatusCode::OK,
    };
    Ok((status, Json(stands_json(&stands))).into_response())
}

/// `POST /v1/rules`
pub async fn publish(
    State(app): State<App>,
    caller: Caller,
    Body(asked): Body<Publish>,
) -> Result<Json<Published>, HttpError> {
    caller.at_least(Role::Admin)?;
    Ok(Json(rules::publish(&app, &asked, &caller.who).await?))
}
