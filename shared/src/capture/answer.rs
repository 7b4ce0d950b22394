//! What clients get.
//!
//! Owns the exact body of a success and the sentences of a refusal. Clients parse the success: Jitsu's needs JSON, RudderStack's
//! Python needs the status 200 and, in an error, the members `code` and `message`.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::{CannotStore, Verdict, body, intake::BadRequest, intake::Rejected, split::BadEnvelope};
use crate::net::{body::BodyError, error::HttpError};

/// Longest wait that is told with a 429; some clients give up on more. Unit: seconds.
const RATE_WAIT_S_MAX: u32 = 300;
const JSON: HeaderValue = HeaderValue::from_static("application/json");

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const GIF: HeaderValue = HeaderValue::from_static("image/gif");
/// A browser that kept a pixel would not send its next event.
const NEVER_KEPT: HeaderValue = HeaderValue::from_static("no-cache, no-store, must-revalidate");
/// A transparent picture of one point (GIF89a).
const PIXEL: [u8; 43] = *b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff\x21\xf9\x04\x01\x00\x00\x00\x00\x2c\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02\x44\x01\x00\x3b";

/// The form of a success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// JSON of the Segment family, which Jitsu and PostHog read too.
    Json,
    /// `ok`, as Snowplow's collector answers a post.
    Text,
    /// A picture, for a request that is one.
    Pixel,
}

#[derive(Serialize)]
struct Success<'a> {
    success: bool,
    ok: bool,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    rejected: &'a [Refused<'a>],
    #[serde(skip_serializing_if = "Option::is_none")]
    resolved: Option<bool>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Refused<'a> {
    index: usize,
    message_id: Option<&'a str>,
    code: &'a str,
    reason: &'a str,
}

/// 200: all of it is on stable storage, or refused for ever and kept apart.
pub fn stored(rejected: &[Rejected], resolved: Option<bool>) -> Response {
    let rejected: Vec<_> = rejected
        .iter()
        .map(|one| Refused {
            index: one.index,
            message_id: one.message_id.as_deref(),
            code: one.code,
            reason: &one.reason,
        })
        .collect();
    let body = serde_json::to_string(&Success {
        success: true,
        ok: true,
        rejected: &rejected,
        resolved,
    })
    .unwrap_or_else(|_| r#"{"success":true,"ok":true}"#.to_owned());
    (
        [
            (header::CONTENT_TYPE, JSON),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        ],
        body,
    )
        .into_response()
}

/// 200 in the form that the clients of a path read. Refusals are told in JSON alone: the others read nothing of an answer.
pub fn taken_in(reply: Reply, rejected: &[Rejected], resolved: Option<bool>) -> Response {
    let (kind, body) = match reply {
        Reply::Json => return stored(rejected, resolved),
        Reply::Text => (TEXT, b"ok".as_slice()),
        Reply::Pixel => (GIF, PIXEL.as_slice()),
    };
    (
        [
            (header::CONTENT_TYPE, kind),
            (header::CACHE_CONTROL, NEVER_KEPT),
        ],
        body,
    )
        .into_response()
}

/// 400: a single event that can never be stored.
pub fn bad_event(rejected: &Rejected) -> HttpError {
    HttpError::bad_request(rejected.code, rejected.reason.clone())
        .hint("correct the event; sent again as it is, it is refused again")
}

/// 401: there is no write key anywhere.
pub fn no_key() -> HttpError {
    HttpError::new(StatusCode::UNAUTHORIZED, "no_write_key", "the request has no write key")
        .hint("send Authorization: Basic base64(WRITE_KEY + \":\"), X-Write-Key, or \"writeKey\" in the body or query")
}

/// 401: a token of the API in the place of a write key. Nothing of it is kept, for a write key is shown to whoever reads events.
pub fn token_as_key() -> HttpError {
    HttpError::new(
        StatusCode::UNAUTHORIZED,
        "token_as_write_key",
        "that is a token of the API, which is secret; nothing was stored",
    )
    .hint("send the write key of a source (wk_…), and make another token where a page or a log may have shown this one")
}

/// Passes a verdict that lets the request in.
///
/// # Errors
/// 401, 403 or 429.
pub fn admitted(verdict: Verdict) -> Result<Verdict, HttpError> {
    match verdict {
        Verdict::Known | Verdict::Unverified | Verdict::Quarantine => Ok(verdict),
        Verdict::Revoked => Err(HttpError::new(
            StatusCode::UNAUTHORIZED,
            "key_revoked",
            "this write key was revoked",
        )
        .hint("ask the administrator for the key of a source that is in use")),
        Verdict::OriginRefused { origin } => {
            let origin: String = origin.chars().take(200).collect();
            Err(HttpError::new(
                StatusCode::FORBIDDEN,
                "origin_refused",
                format!("the source does not accept pages of {origin}"),
            )
            .hint("add the origin to the source, or use the write key of this site"))
        }
        Verdict::RateLimited { retry_after_s } => {
            let wait = retry_after_s.clamp(1, RATE_WAIT_S_MAX);
            Err(
                HttpError::too_many("this source sends more than it may", wait)
                    .hint("send again after Retry-After; nothing was stored"),
            )
        }
    }
}

impl From<CannotStore> for HttpError {
    fn from(error: CannotStore) -> Self {
        let (code, retry_after_s) = match error {
            CannotStore::Full { retry_after_s, .. } => ("full", retry_after_s),
            CannotStore::KeptForOthers { retry_after_s } => {
                ("full_for_low_priority", retry_after_s)
            }
            CannotStore::Failed { retry_after_s, .. } => ("failed", retry_after_s),
            CannotStore::Closed { retry_after_s } => ("closed", retry_after_s),
        };
        let wait = retry_after_s.max(1);
        Self::unavailable(code, error.to_string(), wait)
            .hint("send all of it again; what was stored is recognised")
    }
}

impl From<BadRequest> for HttpError {
    fn from(error: BadRequest) -> Self {
        let message = error.to_string();
        match error {
            BadRequest::Envelope(BadEnvelope::TooMany { .. }) => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_many_events", message)
            }
            BadRequest::ContextTooLarge { .. } => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "context_too_large", message)
            }
            BadRequest::NotUtf8 { at } => return body::not_utf8(at),
            BadRequest::ContextTooDeep => Self::bad_request("context_too_deep", message),
            BadRequest::Envelope(BadEnvelope::NotJson { .. }) => {
                Self::bad_request("not_json", message)
            }
            BadRequest::Envelope(BadEnvelope::NotAnObject) => {
                Self::bad_request("not_an_object", message)
            }
            BadRequest::Envelope(
                BadEnvelope::NoBatch { .. } | BadEnvelope::BatchIsNoArray { .. },
            ) => Self::bad_request("no_batch", message),
        }
        .hint("nothing of the request was stored; correct it before it is sent again")
    }
}

/// What a client is told whose body did not come whole. Anything under 500 would make it drop events that nobody has seen.
pub fn cut_off(error: BodyError) -> HttpError {
    match error {
        BodyError::TooLarge { .. } => body::too_large(),
        BodyError::TooSlow { .. } => error.into(),
        BodyError::Broken { .. } => {
            HttpError::unavailable("body_broken", error.to_string(), 1).hint("send it again")
        }
    }
}

/// The last answer of a connection: the rest of a body would be read as the next request.
pub fn closing(error: HttpError) -> Response {
    let mut response = error.into_response();
    response
        .headers_mut()
        .insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}
