//! What every page has: language, who reads it, the menu, the headers that browsers obey.

use askama::Template;
use axum::{
    http::{HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use trenza_shared::net::error::HttpError;

use super::{assets, text::Lang, time::Times};
use crate::{
    app::App,
    http::auth::Caller,
    tables::{Role, SessionRow},
};

/// What a page may load and where its forms may go: nothing from elsewhere, nothing inline.
pub const CONTENT_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; script-src 'self'; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The same for a page that shows others of ours in frames.
pub const FRAMES_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; script-src 'self'; connect-src 'self'; frame-src 'self'; base-uri 'none'; frame-ancestors 'none'";
/// For what stands in such a frame: nothing but scripts of ours, as a website with the snippet has them.
pub const FRAMED_POLICY: &str = "default-src 'none'; script-src 'self'; connect-src 'self'; base-uri 'none'; frame-ancestors 'self'";

/// What the layout shows around a page.
#[derive(Clone)]
pub struct Frame {
    /// Language.
    pub t: Lang,
    /// Path and query after the language, for the switch.
    pub here: String,
    /// Who reads it; none before signing in.
    pub user: Option<String>,
    /// What they may do.
    pub role: Option<Role>,
    /// Proof for its forms.
    pub csrf: String,
}

impl Frame {
    /// The frame of a request.
    pub fn new(uri: &Uri, lang: Lang, session: Option<&SessionRow>) -> Self {
        let whole = uri.path_and_query().map_or("/", |path| path.as_str());
        let here = whole
            .strip_prefix('/')
            .and_then(|rest| rest.strip_prefix(lang.code()))
            .filter(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
            .unwrap_or("");
        Self {
            t: lang,
            here: here.to_owned(),
            user: session.map(|session| session.user.clone()),
            role: session.map(|session| session.role),
            csrf: session
                .map(|session| session.csrf.clone())
                .unwrap_or_default(),
        }
    }

    /// The path of a page in its language.
    pub fn at(&self, path: &str) -> String {
        format!("/{}{path}", self.t.code())
    }

    /// This page in the other language.
    pub fn switched(&self) -> String {
        format!("/{}{}", self.t.other().code(), self.here)
    }

    /// For the menu: whether this page is below a path.
    pub fn under(&self, path: &str) -> bool {
        self.here
            .strip_prefix(path)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
    }

    /// Whether its reader is at least a steward.
    pub fn steward(&self) -> bool {
        self.role >= Some(Role::Steward)
    }

    /// Whether its reader is an admin.
    pub fn admin(&self) -> bool {
        self.role >= Some(Role::Admin)
    }

    /// Whether personal values are hidden from its reader.
    pub fn masked(&self) -> bool {
        !self.steward()
    }

    /// Path of the style sheet.
    pub fn style(&self) -> String {
        assets::style()
    }

    /// Path of the icon.
    pub fn icon(&self) -> String {
        assets::icon()
    }

    /// How times are written on it.
    pub fn times(&self, app: &App) -> Times {
        Times::new(self.t, &app.config.place.zone, app.clock.wall_ms())
    }
}

/// Who reads a page, signed in.
#[derive(Clone)]
pub struct Visitor {
    /// The layout.
    pub frame: Frame,
    /// Who they are and what they may do.
    pub caller: Caller,
}

/// Renders a page with all its headers.
///
/// # Errors
/// 500 when the template fails, which only a fault in it can cause.
pub fn respond(page: &impl Template) -> Result<Response, HttpError> {
    respond_as(StatusCode::OK, page)
}

/// The same with a status of its own.
///
/// # Errors
/// As [`respond`].
pub fn respond_as(status: StatusCode, page: &impl Template) -> Result<Response, HttpError> {
    let html = page.render().map_err(HttpError::internal)?;
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, CONTENT_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        // Pages show personal data: no cache may keep them.
        (header::CACHE_CONTROL, "no-store"),
    ];
    let mut response = (status, headers, html).into_response();
    response.headers_mut().insert(
        "cross-origin-opener-policy",
        HeaderValue::from_static("same-origin"),
    );
    Ok(response)
}

/// Sends the browser on to a page of ours, by GET.
pub fn see_other(path: &str) -> Response {
    match HeaderValue::from_str(path) {
        Ok(path) => (
            StatusCode::SEE_OTHER,
            [
                (header::LOCATION, path),
                (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
            ],
        )
            .into_response(),
        Err(error) => HttpError::internal(error).into_response(),
    }
}

/// A text as the value of a query parameter (RFC 3986).
pub fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte))
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
