//! Errors as pages, when it is a person's browser that asks.

use askama::Template;
use axum::{
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, StatusCode, Uri, header},
    middleware::Next,
    response::Response,
};
use trenza_shared::net::error::ErrorBody;

use super::{
    page::{Frame, respond_as, see_other},
    text::Lang,
};
use crate::{app::App, http::auth::session};

/// Longest body of an error that is read to show it. Unit: bytes.
const ERROR_BYTES_MAX: usize = 64 * 1024;

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage {
    frame: Frame,
    status: u16,
    title: &'static str,
    text: &'static str,
}

/// Gives errors the form of a page where a browser asks for one; programs get JSON as ever.
pub async fn as_pages(State(app): State<App>, request: Request, next: Next) -> Response {
    let (uri, headers, browses) = (
        request.uri().clone(),
        request.headers().clone(),
        wants_page(request.uri(), request.headers()),
    );
    let response = next.run(request).await;
    let is_json = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    let is_text = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/plain"));
    if !browses
        || !(response.status().is_client_error() || response.status().is_server_error())
        || !(is_json || is_text)
    {
        return response;
    }
    as_page(&app, &uri, &headers, response).await
}

/// Pages always; elsewhere what asks for HTML, but for the API and capture.
fn wants_page(uri: &Uri, headers: &HeaderMap) -> bool {
    let html = headers.get_all(header::ACCEPT).iter().any(|value| {
        value
            .to_str()
            .is_ok_and(|value| value.contains("text/html"))
    });
    Lang::of_path(uri.path()).is_some() || (html && !uri.path().starts_with("/v1/"))
}

async fn as_page(app: &App, uri: &Uri, headers: &HeaderMap, response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let bytes = to_bytes(body, ERROR_BYTES_MAX).await.unwrap_or_default();
    let code = serde_json::from_slice::<ErrorBody>(&bytes)
        .map(|error| error.code)
        .unwrap_or_default();
    let accepted = headers
        .get(header::ACCEPT_LANGUAGE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let lang = Lang::of_path(uri.path()).unwrap_or_else(|| Lang::accepted(accepted));
    if parts.status == StatusCode::UNAUTHORIZED {
        return see_other(&format!("/{}/sign-in", lang.code()));
    }
    let (title, text) = phrases(lang, parts.status, &code);
    let session = session(app, headers).ok().flatten();
    let page = ErrorPage {
        frame: Frame::new(uri, lang, session.as_ref()),
        status: parts.status.as_u16(),
        title,
        text,
    };
    match respond_as(parts.status, &page) {
        Ok(mut page) => {
            for name in [header::ALLOW, header::RETRY_AFTER] {
                if let Some(value) = parts.headers.remove(&name) {
                    page.headers_mut().insert(name, value);
                }
            }
            page
        }
        Err(_) => Response::from_parts(parts, Body::from(bytes)),
    }
}

fn phrases(t: Lang, status: StatusCode, code: &str) -> (&'static str, &'static str) {
    match (status, code) {
        (_, "stale_form") => (t.error_stale(), t.error_stale_text()),
        (_, "record_changed") => (t.error_changed(), t.error_changed_text()),
        (_, "bad_reason") => (t.error_bad(), t.error_reason()),
        (_, "bad_relation") => (t.error_bad(), t.error_relation()),
        (_, "nameless") => (t.error_nameless(), t.error_nameless_text()),
        (_, "bad_origin") => (t.error_bad(), t.error_origin()),
        (_, "bad_place") => (t.error_bad(), t.error_country()),
        (_, "bad_name" | "name_taken") => (t.error_bad(), t.error_name()),
        (StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED, _) => {
            (t.error_not_found(), t.error_not_found_text())
        }
        (StatusCode::FORBIDDEN, _) => (t.error_forbidden(), t.error_forbidden_text()),
        (StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS, _) => {
            (t.error_busy(), t.error_busy_text())
        }
        (status, _) if status.is_server_error() => (t.error_internal(), t.error_internal_text()),
        _ => (t.error_bad(), t.error_bad_text()),
    }
}
