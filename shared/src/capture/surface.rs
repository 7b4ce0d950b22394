//! The way of one request: read, judge, take in, store, answer.
//!
//! Owns that way for every shape of request. 200 only after the collector has stored.

use std::{borrow::Cow, sync::Arc};

use axum::{
    extract::{Query, Request},
    http::{HeaderMap, HeaderValue, Uri, header, request::Parts},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use tokio::sync::Semaphore;

use super::{
    Collector, REQUEST_BYTES_MAX, Taken,
    answer::{self, Reply},
    body,
    intake::{self, BATCH, Content, Form},
    key::{self, KeyHints},
};
use crate::{
    bot,
    clock::parse_time_ms,
    event::EventType,
    net::{
        body::{self as wire, BodyError, Pace},
        error::HttpError,
    },
};

/// From here on a body is read on a thread of its own, so that it does not hold up the others. Unit: bytes of plain text.
const LARGE_BYTES: usize = 128 * 1024;
/// What gzip makes of a byte of JSON, usually; only to guess which body is large.
const GZIP_FACTOR: usize = 10;
/// Most large bodies that are read at one time; bounds their threads and memory.
const LARGE_AT_ONCE_MAX: usize = 4;

/// A name and a value of a query.
pub type Pair = (String, String);

/// What a path says of its events.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// One event, of this type where it does not say it itself.
    Single(EventType),
    /// Several.
    Several(&'static Form),
}

/// What a path says of its requests.
#[derive(Debug, Clone, Copy)]
pub struct Door {
    shape: Shape,
    /// Makes a body of a request that has everything in its query.
    of_query: Option<fn(&[Pair]) -> String>,
    reply: Reply,
}

impl Door {
    /// One event as body.
    pub const fn single(kind: EventType) -> Self {
        Self {
            shape: Shape::Single(kind),
            of_query: None,
            reply: Reply::Json,
        }
    }

    /// A body of several events in a vendor's form.
    pub const fn several(form: &'static Form) -> Self {
        Self {
            shape: Shape::Several(form),
            of_query: None,
            reply: Reply::Json,
        }
    }

    /// A batch of the Segment family.
    pub const fn batch() -> Self {
        Self::several(&BATCH)
    }

    /// Answers in this form.
    pub const fn replying(self, reply: Reply) -> Self {
        Self { reply, ..self }
    }

    /// Reads the query in place of the body, and answers with a picture.
    pub const fn pixel(self, of_query: fn(&[Pair]) -> String) -> Self {
        Self {
            of_query: Some(of_query),
            reply: Reply::Pixel,
            ..self
        }
    }
}

/// What every request needs.
#[derive(Clone)]
pub struct Surface<C> {
    collector: C,
    large: Arc<Semaphore>,
}

impl<C: Collector> Surface<C> {
    /// A surface in front of a collector.
    pub fn new(collector: C) -> Self {
        Self {
            collector,
            large: Arc::new(Semaphore::new(LARGE_AT_ONCE_MAX)),
        }
    }

    /// Answers a request that came through `door`.
    pub async fn answer(self, request: Request, door: Door) -> Response {
        let (parts, body) = request.into_parts();
        match wire::read(&parts.headers, body, REQUEST_BYTES_MAX, Pace::default()).await {
            Ok(bytes) => self
                .take_in(&parts, bytes, door)
                .await
                .unwrap_or_else(|error| {
                    count(&error);
                    error.into_response()
                }),
            Err(error) => {
                if matches!(error, BodyError::TooLarge { .. }) {
                    let pairs = pairs(&parts.uri);
                    let hints = KeyHints::read(&parts.headers, Asked::read(&pairs).write_key);
                    if let Some(key) = hints.with_body(None, None) {
                        let origin = origin(&parts.headers);
                        let error = body::too_large();
                        self.collector
                            .refused(key::shown(&key), origin.as_deref(), &error);
                    }
                }
                let error = answer::cut_off(error);
                count(&error);
                answer::closing(error)
            }
        }
    }

    async fn take_in(
        &self,
        parts: &Parts,
        bytes: Bytes,
        door: Door,
    ) -> Result<Response, HttpError> {
        let received_ms = self.collector.now_ms();
        let pairs = pairs(&parts.uri);
        let asked = Asked::read(&pairs);
        let origin = origin(&parts.headers);
        let refused = |key: &str, error: &HttpError| {
            self.collector
                .refused(key::shown(key), origin.as_deref(), error);
        };
        let judge = |key: &str| {
            let verdict = if key::is_token(key) {
                Err(answer::token_as_key())
            } else {
                answer::admitted(self.collector.judge(key, origin.as_deref()))
            };
            verdict.inspect_err(|error| refused(key, error))
        };
        let hints = KeyHints::read(&parts.headers, asked.write_key);

        let early = hints
            .before_body()
            .map(|key| judge(key).map(|verdict| (key.to_owned(), verdict)))
            .transpose()?;
        let content = match door.of_query {
            Some(of_query) => self.content(of_query(&pairs).into(), door.shape).await,
            None => match body::check_encoding(&parts.headers, &bytes) {
                Ok(()) => self.content(bytes, door.shape).await,
                Err(error) => Err(error),
            },
        };
        let content = content.inspect_err(|error| {
            if let Some(key) = hints.with_body(None, None) {
                refused(&key, error);
            }
        })?;
        let (key, verdict) = match early {
            Some(judged) => judged,
            None => {
                let key = hints
                    .with_body(content.write_key.as_deref(), content.event_key.as_deref())
                    .ok_or_else(|| {
                        let error = answer::no_key();
                        refused("", &error);
                        error
                    })?;
                let verdict = judge(&key)?;
                (key, verdict)
            }
        };

        let Content {
            events,
            rejected,
            sent_at,
            ..
        } = content;
        for one in &rejected {
            metrics::counter!("trenza_rejected_total", "code" => one.code).increment(1);
        }
        let told = rejected.clone();
        let refused_alone = matches!(door.shape, Shape::Single(_)) && events.is_empty();
        let sent_at = sent_at
            .as_deref()
            .or_else(|| sent_at_header(&parts.headers))
            .and_then(parse_time_ms);
        let resolved = if events.is_empty() && rejected.is_empty() {
            asked.wait_resolved.then_some(true)
        } else {
            let taken = Taken {
                key: key.clone(),
                verdict,
                received_ms,
                sent_at,
                bot: bot::of_request(
                    parts
                        .headers
                        .get(header::USER_AGENT)
                        .map(HeaderValue::as_bytes),
                ),
                events,
                rejected,
                wait_resolved: asked.wait_resolved,
            };
            match self.collector.store(taken).await {
                Ok(stored) => stored.resolved.filter(|_| asked.wait_resolved),
                // It would be refused again: that the refusal could not be kept must not make it come back.
                Err(_) if refused_alone => None,
                Err(error) => {
                    let error = error.into();
                    refused(&key, &error);
                    return Err(error);
                }
            }
        };
        match told.first() {
            Some(rejected) if refused_alone => Err(answer::bad_event(rejected)),
            _ => Ok(answer::taken_in(door.reply, &told, resolved)),
        }
    }

    async fn content(&self, bytes: Bytes, shape: Shape) -> Result<Content, HttpError> {
        let likely_bytes = if body::is_gzip(&bytes) {
            bytes.len().saturating_mul(GZIP_FACTOR)
        } else {
            bytes.len()
        };
        if likely_bytes < LARGE_BYTES {
            return content(&self.collector, bytes, shape);
        }
        let _permit = self.large.acquire().await.map_err(HttpError::internal)?;
        let collector = self.collector.clone();
        tokio::task::spawn_blocking(move || content(&collector, bytes, shape))
            .await
            .map_err(HttpError::internal)?
    }
}

/// A client is told by name what became of its request; here, how often.
fn count(error: &HttpError) {
    metrics::counter!("trenza_requests_refused_total", "code" => error.code).increment(1);
}

fn content<C: Collector>(collector: &C, bytes: Bytes, shape: Shape) -> Result<Content, HttpError> {
    let text = body::text(bytes)?;
    let fresh_id = || collector.fresh_message_id();
    match shape {
        Shape::Single(kind) => Ok(intake::single(&text, kind, fresh_id)),
        Shape::Several(form) => Ok(intake::several(text, form, fresh_id)?),
    }
}

/// The page that sends, as the browser says.
fn origin(headers: &HeaderMap) -> Option<Cow<'_, str>> {
    let value = headers.get(header::ORIGIN)?;
    Some(String::from_utf8_lossy(value.as_bytes()))
}

/// RudderStack's browser SDK says there when it sent.
fn sent_at_header(headers: &HeaderMap) -> Option<&str> {
    headers.get("sentat")?.to_str().ok()
}

fn pairs(uri: &Uri) -> Vec<Pair> {
    Query::<Vec<Pair>>::try_from_uri(uri)
        .map(|Query(pairs)| pairs)
        .unwrap_or_default()
}

/// What the query of every path may say; of two values the last one counts, and what else there is is ignored.
#[derive(Debug, Default)]
struct Asked<'a> {
    write_key: Option<&'a str>,
    wait_resolved: bool,
}

impl<'a> Asked<'a> {
    fn read(pairs: &'a [Pair]) -> Self {
        let mut asked = Self::default();
        for (name, value) in pairs {
            match name.as_str() {
                "writeKey" => asked.write_key = Some(value),
                "wait" => asked.wait_resolved = value == "resolved",
                _ => {}
            }
        }
        asked
    }
}
