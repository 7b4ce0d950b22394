//! One form of error for everything that answers HTTP.
//!
//! Owns the JSON body `{"success":false,"code","message","hint"}` and the layers that give it to unknown routes, wrong
//! methods and panics. A domain error becomes an [`HttpError`] in the handler and nowhere else.

use std::{any::Any, panic::AssertUnwindSafe};

use axum::{
    Json, Router,
    extract::Request,
    http::{HeaderValue, Method, StatusCode, Uri, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use futures_util::FutureExt;
use serde::{Deserialize, Serialize};

/// An answer that is not a success: one text for the client, another for the log.
#[derive(Debug, Clone)]
pub struct HttpError {
    /// The status line.
    pub status: StatusCode,
    /// What went wrong, for programs: stable, lower case, underscores.
    pub code: &'static str,
    /// What went wrong, for the person who sent the request.
    pub message: String,
    /// What to do about it; may be empty.
    pub hint: String,
    /// What only the operator may see; never sent.
    pub log: Option<String>,
    /// When to come back, in seconds.
    pub retry_after_s: Option<u32>,
}

/// The body of every error, as sent and as read back by clients.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// Always `false`; clients of the capture paths look at it.
    #[serde(default)]
    pub success: bool,
    /// Stable name of the situation.
    pub code: String,
    /// What went wrong.
    pub message: String,
    /// What to do.
    #[serde(default)]
    pub hint: String,
}

impl HttpError {
    /// An error with a status, a stable code and a sentence.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        let (message, hint) = (message.into(), String::new());
        Self {
            status,
            code,
            message,
            hint,
            log: None,
            retry_after_s: None,
        }
    }

    /// Says what to do.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// Adds what only the log may see.
    pub fn log(mut self, cause: impl std::fmt::Display) -> Self {
        self.log = Some(cause.to_string());
        self
    }

    /// Sends `Retry-After`.
    pub fn retry_after_s(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// 400: sending it again will not help.
    pub fn bad_request(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// 401: who are you?
    pub fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
    }

    /// 403: known, but not allowed.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", message)
    }

    /// 404: there is no such thing.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    /// 409: it contradicts what is there.
    pub fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, message)
    }

    /// 413: a body over `bytes_max`.
    pub fn too_large(bytes_max: usize) -> Self {
        let message = format!("the body is larger than {bytes_max} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
            .hint("send it in smaller parts")
    }

    /// 429: too much for now.
    pub fn too_many(message: impl Into<String>, retry_after_s: u32) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many", message).retry_after_s(retry_after_s)
    }

    /// 500: our fault; the cause goes to the log alone.
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "something failed on this side",
        )
        .hint("try again; if it stays, tell the administrator, who finds the cause in the log")
        .log(cause)
    }

    /// 503: not now, but the same request later.
    pub fn unavailable(code: &'static str, message: impl Into<String>, retry_after_s: u32) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, message).retry_after_s(retry_after_s)
    }

    /// The body that a client gets.
    pub fn body(&self) -> ErrorBody {
        let (code, message, hint) = (self.code.into(), self.message.clone(), self.hint.clone());
        ErrorBody {
            success: false,
            code,
            message,
            hint,
        }
    }
}

impl std::fmt::Display for HttpError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} {}: {}",
            self.status.as_u16(),
            self.code,
            self.message
        )
    }
}

impl std::error::Error for HttpError {}

impl IntoResponse for HttpError {
    fn into_response(self) -> Response {
        if let Some(cause) = &self.log {
            if self.status.is_server_error() {
                tracing::error!(http.status = self.status.as_u16(), error.code = self.code, error.cause = %cause, "request failed");
            } else {
                tracing::info!(http.status = self.status.as_u16(), error.code = self.code, error.cause = %cause, "request refused");
            }
        }
        let mut response = (self.status, Json(self.body())).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// Gives unknown routes, wrong methods and panics the one form of error. Call it last, on the whole router.
pub fn with_error_form<S: Clone + Send + Sync + 'static>(router: Router<S>) -> Router<S> {
    router
        .fallback(unknown_route)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn(catch_panic))
        .layer(middleware::map_response(as_marked))
}

/// What comes from outside is echoed in some answers: no browser may take one for anything but what it is marked as.
async fn as_marked(mut response: Response) -> Response {
    response.headers_mut().insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}

/// Answers 404 in the one form.
pub async fn unknown_route(uri: Uri) -> HttpError {
    let path: String = uri.path().chars().take(200).collect();
    HttpError::not_found(format!("there is nothing at {path}"))
        .hint("check the path; the server's GET /openapi.json lists the API")
}

/// Answers 405 in the one form; the router adds `Allow`.
pub async fn wrong_method(method: Method, uri: Uri) -> HttpError {
    let path: String = uri.path().chars().take(200).collect();
    let message = format!("{path} does not answer to {method}");
    HttpError::new(StatusCode::METHOD_NOT_ALLOWED, "wrong_method", message)
        .hint("the Allow header names the methods it has")
}

/// Turns a panic of a handler into a logged 500, so that one request fails and not its whole connection.
pub async fn catch_panic(request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    // The handler's state is shared through its own locks only; what it left half done is dropped with it.
    match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(response) => response,
        Err(panic) => HttpError::internal(format_args!(
            "panic in {method} {path}: {}",
            panic_text(&*panic)
        ))
        .into_response(),
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{body::Body, routing::get};
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    async fn ask(method: &str, path: &str) -> (Response<()>, ErrorBody) {
        let router = Router::new()
            .route("/here", get(|| async { "ok" }))
            .route("/panic", get(panics));
        let request = Request::builder()
            .method(method)
            .uri(path)
            .body(Body::empty())
            .unwrap();
        let response = with_error_form(router).oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        (
            Response::from_parts(parts, ()),
            serde_json::from_slice(&bytes).unwrap(),
        )
    }

    async fn panics() -> &'static str {
        panic!("a secret detail")
    }

    #[tokio::test]
    async fn an_unknown_route_answers_in_the_one_form() {
        let (response, body) = ask("GET", "/nowhere").await;
        assert_eq!(response.status(), 404);
        assert_eq!(body.code, "not_found");
        assert!(!body.success && body.message.contains("/nowhere") && !body.hint.is_empty());
    }

    #[tokio::test]
    async fn a_wrong_method_answers_in_the_one_form_and_names_the_right_ones() {
        let (response, body) = ask("DELETE", "/here").await;
        assert_eq!(response.status(), 405);
        assert_eq!(response.headers()[header::ALLOW], "GET,HEAD");
        assert_eq!(body.code, "wrong_method");
    }

    #[tokio::test]
    async fn a_panic_answers_500_without_its_text() {
        let (response, body) = ask("GET", "/panic").await;
        assert_eq!(response.status(), 500);
        assert_eq!(body.code, "internal");
        assert!(!format!("{body:?}").contains("secret"));
    }

    #[tokio::test]
    async fn a_busy_answer_says_when_to_come_back() {
        let response = HttpError::too_many("slow down", 7).into_response();
        assert_eq!(response.headers()[header::RETRY_AFTER], "7");
    }
}
