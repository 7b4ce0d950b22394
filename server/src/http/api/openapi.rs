//! The description of every public URL, OpenAPI 3.1.
//!
//! Owns putting its parts together. The parts are JSON files, to be read and edited as such; a test holds them against the
//! routes.

use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value};
use trenza_shared::net::error::HttpError;

/// Paths, in reading order.
const PATHS: [&str; 5] = [
    include_str!("openapi/capture.json"),
    include_str!("openapi/sdks.json"),
    include_str!("openapi/vendors.json"),
    include_str!("openapi/customers.json"),
    include_str!("openapi/rest.json"),
];
/// Shapes of bodies.
const SCHEMAS: &str = include_str!("openapi/schemas.json");
/// Everything else.
const HEAD: &str = include_str!("openapi/head.json");

/// The whole description.
///
/// # Errors
/// A part is no JSON object; a test sees to it that none is.
pub fn document() -> Result<Value, serde_json::Error> {
    let mut document: Value = serde_json::from_str(HEAD)?;
    let mut paths = Map::new();
    for part in PATHS {
        paths.extend(serde_json::from_str::<Map<String, Value>>(part)?);
    }
    document["paths"] = Value::Object(paths);
    document["components"]["schemas"] = serde_json::from_str(SCHEMAS)?;
    document["info"]["version"] = env!("CARGO_PKG_VERSION").into();
    Ok(document)
}

/// `GET /openapi.json`
pub async fn show() -> Result<Response, HttpError> {
    let document = document().map_err(HttpError::internal)?;
    Ok((
        [
            (header::CONTENT_TYPE, "application/json"),
            (header::CACHE_CONTROL, "public, max-age=300"),
        ],
        document.to_string(),
    )
        .into_response())
}
