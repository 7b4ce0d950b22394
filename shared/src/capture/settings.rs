//! What browser SDKs ask for before they send anything.
//!
//! Owns the least that `@segment/analytics-next` needs. Must answer for any key: without it events never leave the page, and
//! without `Segment.io` in it they go to somebody else.

use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
    http::{HeaderMap, Uri, header, uri::Authority},
    response::{IntoResponse, Response},
};
use serde_json::json;

use super::key::WRITE_KEY_BYTES_MAX;
use crate::net::error::HttpError;

/// How often the SDK tries an event again: as long as an outage may last.
const RETRIES_MAX: u32 = 100;
/// How long the SDK tries an event again: a week. Unit: seconds.
const RETRY_S_MAX: u32 = 604_800;

/// How clients reach this listener where the request does not say: `https` or `http`.
#[derive(Debug, Clone, Copy)]
pub struct Protocol(pub &'static str);

/// `GET /v1/projects/{writeKey}/settings`
pub async fn show(
    State(protocol): State<Protocol>,
    key: Result<Path<String>, PathRejection>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, HttpError> {
    let Some(key) = key
        .ok()
        .map(|Path(key)| key)
        .filter(|key| key.len() <= WRITE_KEY_BYTES_MAX)
    else {
        return Err(
            HttpError::bad_request("bad_write_key", "the path holds no usable write key")
                .hint("use the key of a source"),
        );
    };
    let Some(host) = host_of(&uri, &headers) else {
        return Err(
            HttpError::bad_request("bad_host", "the request names no usable host")
                .hint("send a Host header"),
        );
    };
    let protocol = protocol_of(&uri, &headers).unwrap_or(protocol.0);
    let retries = json!({ "maxRetryCount": RETRIES_MAX, "maxTotalBackoffDuration": RETRY_S_MAX });
    let settings = json!({
        "integrations": { "Segment.io": {
            "apiKey": key,
            "apiHost": format!("{host}/v1"),
            "protocol": protocol,
            "httpConfig": { "backoffConfig": retries, "rateLimitConfig": retries },
        } },
        "metrics": { "sampleRate": 0 },
    });
    Ok(([(header::CACHE_CONTROL, "no-cache")], Json(settings)).into_response())
}

/// The host by which the client reached us, with its port.
fn host_of(uri: &Uri, headers: &HeaderMap) -> Option<String> {
    let named = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let host = named.or_else(|| uri.authority().map(Authority::as_str))?;
    let authority: Authority = host.parse().ok()?;
    (!authority.as_str().contains('@')).then(|| authority.to_string())
}

/// What a proxy or the request line says of the protocol.
fn protocol_of(uri: &Uri, headers: &HeaderMap) -> Option<&'static str> {
    let forwarded = headers
        .get("x-forwarded-proto")
        .and_then(|value| value.to_str().ok())
        .map(str::trim);
    ["https", "http"]
        .into_iter()
        .find(|known| forwarded.or(uri.scheme_str()) == Some(*known))
}
