//! Every URL of the capture surface.
//!
//! Owns the way of one request: read, judge, take in, store, answer. 200 only after the collector has stored.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Query, Request},
    http::{HeaderMap, HeaderValue, Uri, header, request::Parts},
    middleware,
    response::{IntoResponse, Response},
    routing::{MethodRouter, get, post},
};
use bytes::Bytes;
use tokio::sync::Semaphore;

use super::{
    Collector, Options, REQUEST_BYTES_MAX, Taken, answer, body, cors,
    intake::{self, Content},
    key::KeyHints,
    settings::{self, Protocol},
    snippet::{self, Snippet},
};
use crate::{
    clock::parse_time_ms,
    event::EventType,
    net::{
        body::{self as wire, Pace},
        error::{HttpError, wrong_method},
    },
};

/// From here on a body is read on a thread of its own, so that it does not hold up the others. Unit: bytes of plain text.
const LARGE_BYTES: usize = 128 * 1024;
/// What gzip makes of a byte of JSON, usually; only to guess which body is large.
const GZIP_FACTOR: usize = 10;
/// Most large bodies that are read at one time; bounds their threads and memory.
const LARGE_AT_ONCE_MAX: usize = 4;

/// What a path says of its body.
#[derive(Debug, Clone, Copy)]
enum Shape {
    /// One event, of this type where it does not say it itself.
    Single(EventType),
    /// `{"batch":[...]}`
    Batch,
}

/// What every request needs.
#[derive(Clone)]
struct Surface<C> {
    collector: C,
    large: Arc<Semaphore>,
}

/// The capture surface: paths with and without a slash at their end, for any content type, with CORS by echo.
///
/// Merge it with the program's other routes; the CORS layer covers these paths alone.
pub fn router<C: Collector>(collector: C, options: Options) -> Router {
    let surface = Surface {
        collector,
        large: Arc::new(Semaphore::new(LARGE_AT_ONCE_MAX)),
    };
    let take = |shape| {
        let surface = surface.clone();
        post(move |request: Request| async move { surface.answer(request, shape).await })
    };
    let mut router = Router::new();
    for kind in EventType::ALL {
        // The short forms are what analytics-next sends: the first letter of the type.
        let short = &kind.name()[..1];
        router = at(
            router,
            &format!("/v1/{}", kind.name()),
            take(Shape::Single(kind)),
        );
        router = at(router, &format!("/v1/{short}"), take(Shape::Single(kind)));
    }
    for path in ["/v1/batch", "/v1/b", "/v1/import"] {
        router = at(router, path, take(Shape::Batch));
    }
    router = at(router, "/v1/m", post(discard));
    for path in ["/v1/projects/{key}/settings", "/projects/{key}/settings"] {
        router = at(
            router,
            path,
            get(settings::show).with_state(Protocol(options.protocol)),
        );
    }
    let snippet = Snippet::new(options);
    router = router
        .route(
            "/t.js",
            get(snippet::newest)
                .with_state(snippet.clone())
                .fallback(wrong_method),
        )
        .route(
            "/t/{file}",
            get(snippet::frozen)
                .with_state(snippet)
                .fallback(wrong_method),
        );
    router.route_layer(middleware::from_fn(cors::by_echo))
}

fn at(router: Router, path: &str, methods: MethodRouter) -> Router {
    let methods = methods.fallback(wrong_method);
    router
        .route(path, methods.clone())
        .route(&format!("{path}/"), methods)
}

/// Metrics that some SDKs send about themselves: nobody here wants them, but an error would be tried again.
async fn discard(request: Request) -> Response {
    let (parts, body) = request.into_parts();
    match wire::read(&parts.headers, body, REQUEST_BYTES_MAX, Pace::default()).await {
        Ok(_) => answer::stored(&[], None),
        Err(error) => answer::cut_off(error),
    }
}

impl<C: Collector> Surface<C> {
    async fn answer(self, request: Request, shape: Shape) -> Response {
        let (parts, body) = request.into_parts();
        match wire::read(&parts.headers, body, REQUEST_BYTES_MAX, Pace::default()).await {
            Ok(bytes) => self
                .take_in(&parts, bytes, shape)
                .await
                .unwrap_or_else(IntoResponse::into_response),
            Err(error) => answer::cut_off(error),
        }
    }

    async fn take_in(
        &self,
        parts: &Parts,
        bytes: Bytes,
        shape: Shape,
    ) -> Result<Response, HttpError> {
        let received_ms = self.collector.now_ms();
        let asked = Asked::read(&parts.uri);
        let origin = parts
            .headers
            .get(header::ORIGIN)
            .map(HeaderValue::as_bytes)
            .map(String::from_utf8_lossy);
        let judge = |key: &str| answer::admitted(self.collector.judge(key, origin.as_deref()));
        let hints = KeyHints::read(&parts.headers, asked.write_key.as_deref());

        let early = hints
            .before_body()
            .map(|key| judge(key).map(|verdict| (key.to_owned(), verdict)))
            .transpose()?;
        body::check_encoding(&parts.headers, &bytes)?;
        let content = self.content(bytes, shape).await?;
        let (key, verdict) = match early {
            Some(judged) => judged,
            None => {
                let key = hints
                    .with_body(content.write_key.as_deref())
                    .ok_or_else(answer::no_key)?;
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
        let told = rejected.clone();
        let refused_alone = matches!(shape, Shape::Single(_)) && events.is_empty();
        let sent_at = sent_at
            .as_deref()
            .or_else(|| sent_at_header(&parts.headers))
            .and_then(parse_time_ms);
        let resolved = if events.is_empty() && rejected.is_empty() {
            asked.wait_resolved.then_some(true)
        } else {
            let taken = Taken {
                key,
                verdict,
                received_ms,
                sent_at,
                events,
                rejected,
                wait_resolved: asked.wait_resolved,
            };
            match self.collector.store(taken).await {
                Ok(stored) => stored.resolved.filter(|_| asked.wait_resolved),
                // It would be refused again: that the refusal could not be kept must not make it come back.
                Err(_) if refused_alone => None,
                Err(error) => return Err(error.into()),
            }
        };
        match told.first() {
            Some(rejected) if refused_alone => Err(answer::bad_event(rejected)),
            _ => Ok(answer::stored(&told, resolved)),
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

fn content<C: Collector>(collector: &C, bytes: Bytes, shape: Shape) -> Result<Content, HttpError> {
    let text = body::text(bytes)?;
    let fresh_id = || collector.fresh_message_id();
    match shape {
        Shape::Single(kind) => Ok(intake::single(&text, kind, fresh_id)),
        Shape::Batch => Ok(intake::batch(&text, fresh_id)?),
    }
}

/// RudderStack's browser SDK says there when it sent.
fn sent_at_header(headers: &HeaderMap) -> Option<&str> {
    headers.get("sentat")?.to_str().ok()
}

/// What the query says; all else in it is ignored.
#[derive(Debug, Default)]
struct Asked {
    write_key: Option<String>,
    wait_resolved: bool,
}

impl Asked {
    fn read(uri: &Uri) -> Self {
        let mut asked = Self::default();
        let pairs = Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map(|Query(pairs)| pairs)
            .unwrap_or_default();
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
