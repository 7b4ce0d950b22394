//! Which pages may read the answers of the capture paths: every one, by echo.
//!
//! Owns the CORS headers (Fetch standard, section 3.2) of capture paths and snippet. Never laid over pages or API: those hold a
//! person's session, capture holds a public key. The origin list of a source is judged by its [`Collector`](super::Collector).

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

/// Most header names that a preflight may ask for.
const HEADERS_MAX: usize = 64;
/// Longest list of header names that is echoed. Unit: bytes.
const HEADERS_BYTES_MAX: usize = 2048;
/// What is allowed when a preflight asks for nothing that can be echoed: the headers of the common SDKs.
const USUAL_HEADERS: HeaderValue = HeaderValue::from_static(
    "authorization, content-type, x-retry-count, x-write-key, anonymousid, sentat",
);
const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, HEAD, OPTIONS");
/// Without these an SDK in a browser cannot see when to come back.
const EXPOSED: HeaderValue = HeaderValue::from_static("Retry-After, X-RateLimit-Reset");
/// Two hours, which is where Chromium caps it. Unit: seconds.
const MAX_AGE_S: HeaderValue = HeaderValue::from_static("7200");
const TRUE: HeaderValue = HeaderValue::from_static("true");

const ASKS_PRIVATE_NETWORK: HeaderName =
    HeaderName::from_static("access-control-request-private-network");
const ALLOW_PRIVATE_NETWORK: HeaderName =
    HeaderName::from_static("access-control-allow-private-network");

/// Answers preflights and adds to every answer, refusals too, what the page needs to read it.
pub async fn by_echo(request: Request, next: Next) -> Response {
    let asked = request.headers().clone();
    let mut response = match *request.method() {
        Method::OPTIONS => preflight(&asked),
        _ => next.run(request).await,
    };
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_name(header::ORIGIN));
    if let Some(origin) = asked.get(header::ORIGIN) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, TRUE);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    }
    response
}

fn preflight(asked: &HeaderMap) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert(header::ALLOW, METHODS);
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE_S);
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        echoed_headers(asked).unwrap_or(USUAL_HEADERS),
    );
    headers.append(
        header::VARY,
        HeaderValue::from_name(header::ACCESS_CONTROL_REQUEST_HEADERS),
    );
    if asked
        .get(ASKS_PRIVATE_NETWORK)
        .is_some_and(|value| value == "true")
    {
        headers.insert(ALLOW_PRIVATE_NETWORK, TRUE);
    }
    response
}

/// The header names that were asked for, each checked to be one; `None`: there is nothing fit to be echoed.
fn echoed_headers(asked: &HeaderMap) -> Option<HeaderValue> {
    let mut names: Vec<HeaderName> = Vec::new();
    for value in asked.get_all(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        for name in value
            .to_str()
            .ok()?
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty())
        {
            names.push(HeaderName::from_bytes(name.as_bytes()).ok()?);
            if names.len() > HEADERS_MAX {
                return None;
            }
        }
    }
    let list = names
        .iter()
        .map(HeaderName::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    if list.is_empty() || list.len() > HEADERS_BYTES_MAX {
        return None;
    }
    HeaderValue::from_str(&list).ok()
}
