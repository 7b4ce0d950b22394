//! The staff's pages, rendered here and usable without scripts: they work with the cable out.
//!
//! Owns the frame of a page and its headers. A page never shows anything of the visitor before: nothing personal stands in a
//! URL, and nothing is kept by the browser.

pub(crate) mod closed; // while there is no store
pub mod events; // from a form to events
pub mod form; // tokens, and saving once
mod handover; // what a visitor brings along from the website
pub mod home; // two giant buttons
pub mod outbox; // what waits, what was taken in
pub mod quick; // a visitor without a badge
pub mod saved; // the next visitor, please
pub mod scan; // a badge
pub mod statics; // style, script, icon
#[cfg(test)]
mod tests;
mod venue; // the venue's other devices
pub mod words; // every text, es and en

use axum::{
    extract::FromRequestParts,
    http::{HeaderValue, StatusCode, header, request::Parts},
    response::{Html, IntoResponse, Response},
};
use trenza_shared::net::{error::HttpError, extract::Path};

use crate::{config::Config, link, room::Short, state::App, status};
use words::Words;

/// No page loads anything from elsewhere, runs inline code, or is framed.
const CSP: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; script-src 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The language of a page; it stands in the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lang {
    /// Spanish.
    Es,
    /// English.
    En,
}

impl Lang {
    /// As in the path.
    pub fn code(self) -> &'static str {
        match self {
            Self::Es => "es",
            Self::En => "en",
        }
    }

    /// In itself.
    pub fn name(self) -> &'static str {
        match self {
            Self::Es => "Español",
            Self::En => "English",
        }
    }

    /// The one to switch to.
    pub fn other(self) -> Self {
        match self {
            Self::Es => Self::En,
            Self::En => Self::Es,
        }
    }

    /// From an `Accept-Language` header: English when it is wanted more than Spanish.
    pub fn accepted(header: &str) -> Self {
        let weight = |code: &str| {
            let wanted = header.split(',').take(32).filter_map(|part| {
                let mut pieces = part.trim().split(';');
                let tag = pieces.next()?.trim().to_ascii_lowercase();
                let quality = pieces
                    .find_map(|piece| piece.trim().strip_prefix("q=")?.parse::<f32>().ok())
                    .unwrap_or(1.0);
                (tag == code || tag.starts_with(&format!("{code}-"))).then_some(quality)
            });
            wanted.fold(0.0, f32::max)
        };
        if weight("en") > weight("es") {
            Self::En
        } else {
            Self::Es
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Lang {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, HttpError> {
        #[derive(serde::Deserialize)]
        struct InPath {
            lang: String,
        }
        let Path(InPath { lang }) = Path::from_request_parts(parts, state).await?;
        match lang.as_str() {
            "es" => Ok(Self::Es),
            "en" => Ok(Self::En),
            _ => {
                Err(HttpError::not_found("the kiosk has pages in es and en")
                    .hint("open /es/ or /en/"))
            }
        }
    }
}

/// What every page has around its content.
pub struct Frame {
    /// The page's language.
    pub lang: Lang,
    /// Its texts.
    pub w: &'static Words,
    /// Name of the place.
    pub touchpoint: String,
    /// Path of this page below the language.
    pub here: &'static str,
    /// URL of the style sheet.
    pub css: &'static str,
    /// URL of the script.
    pub js: &'static str,
    /// URL of the icon.
    pub icon: &'static str,
    /// The server answers.
    pub up: bool,
    /// The footer's line.
    pub line: String,
    /// No visit can be taken in: the disk is full or fails.
    pub trouble: Option<&'static str>,
    /// Somebody types here: wiped when nobody does any more.
    pub wipes: bool,
}

impl Frame {
    /// The frame of the page at `here`, as things stand now.
    pub fn new(app: &App, lang: Lang, here: &'static str) -> Self {
        let link = app.link.now();
        let w = Words::of(lang);
        let brought = app.lan.as_ref().map_or_else(Vec::new, |lan| lan.brought());
        let waiting = link::waiting(&app.log.ends(), &link.told.lanes, &app.log.drops());
        let waiting = status::without(waiting, &brought);
        let since = moment(app, link.since_ms, app.now_ms());
        let trouble = app.room.now().short().map(|short| trouble(w, short));
        let line = w.line(link.up, waiting, &since, trouble.is_none());
        Self {
            up: link.up,
            line: std::iter::once(line)
                .chain(
                    brought
                        .iter()
                        .map(|one| w.brought_by(one.events, &one.touchpoint)),
                )
                .collect::<Vec<_>>()
                .join(" · "),
            trouble,
            ..Self::bare(&app.config, lang, here)
        }
    }

    /// The frame while there is no store.
    pub fn closed(config: &Config, lang: Lang, short: Short) -> Self {
        let w = Words::of(lang);
        Self {
            line: w.tried_again.into(),
            trouble: Some(trouble(w, short)),
            ..Self::bare(config, lang, "")
        }
    }

    fn bare(config: &Config, lang: Lang, here: &'static str) -> Self {
        Self {
            lang,
            w: Words::of(lang),
            touchpoint: config.agent.touchpoint.clone(),
            here,
            css: statics::url("kiosk.css"),
            js: statics::url("kiosk.js"),
            icon: statics::url("icon.svg"),
            up: false,
            line: String::new(),
            trouble: None,
            wipes: false,
        }
    }

    /// Marks a page on which somebody types.
    pub fn wiped(mut self) -> Self {
        self.wipes = true;
        self
    }
}

/// Why no visit can be taken in.
fn trouble(w: &Words, short: Short) -> &'static str {
    match short {
        Short::Disk => w.disk_full,
        Short::Quota => w.quota_full,
        Short::Failed => w.disk_failed,
    }
}

/// An instant as people at the place say it: the time, and the day where it is another one.
pub fn moment(app: &App, at_ms: i64, now_ms: i64) -> String {
    let zone = app.config.zone();
    let local = |ms| {
        jiff::Timestamp::from_millisecond(ms)
            .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
            .to_zoned(zone.clone())
    };
    let (at, now) = (local(at_ms), local(now_ms));
    if at.date() == now.date() {
        at.strftime("%H:%M").to_string()
    } else {
        at.strftime("%-d/%-m %H:%M").to_string()
    }
}

/// A page with its headers.
pub fn page(template: &impl askama::Template, status: StatusCode) -> Response {
    let html = match template.render() {
        Ok(html) => html,
        Err(error) => return HttpError::internal(error).into_response(),
    };
    let mut response = (status, Html(html)).into_response();
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, CSP),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Makes the browser open `url` by itself after some seconds.
pub fn then_open(mut response: Response, seconds: u32, url: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(&format!("{seconds}; url={url}")) {
        response.headers_mut().insert(header::REFRESH, value);
    }
    response
}
