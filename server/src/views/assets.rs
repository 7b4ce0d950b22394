//! The files that pages ask for, under names that change with their content.

use std::sync::LazyLock;

use axum::{
    extract::Path,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use trenza_shared::net::error::HttpError;

const STYLE: &str = include_str!("../../static/trenza.css");
const LIVE: &str = include_str!("../../static/live.js");
const CONSENT_TEST: &str = include_str!("../../static/consent_test.js");
const CONSENT_FRAME: &str = include_str!("../../static/consent_frame.js");
const ICON: &str = include_str!("../../static/icon.svg");
const SCRIPT: &str = "text/javascript; charset=utf-8";
/// Hexadecimal digits of the hash in a name.
const HASH_DIGITS: usize = 16;

static STYLE_NAME: LazyLock<String> = LazyLock::new(|| named(STYLE, "css"));
static ICON_NAME: LazyLock<String> = LazyLock::new(|| named(ICON, "svg"));
static LIVE_NAME: LazyLock<String> = LazyLock::new(|| named(LIVE, "js"));
static CONSENT_TEST_NAME: LazyLock<String> = LazyLock::new(|| named(CONSENT_TEST, "js"));
static CONSENT_FRAME_NAME: LazyLock<String> = LazyLock::new(|| named(CONSENT_FRAME, "js"));

fn named(content: &str, ending: &str) -> String {
    let hash = blake3::hash(content.as_bytes()).to_hex();
    format!(
        "{}.{ending}",
        hash.chars().take(HASH_DIGITS).collect::<String>()
    )
}

/// Path of the style sheet.
pub fn style() -> String {
    format!("/assets/{}", *STYLE_NAME)
}

/// Path of the script that keeps a list of events up to date.
pub fn live() -> String {
    format!("/assets/{}", *LIVE_NAME)
}

/// Path of the script that runs the consent test.
pub fn consent_test() -> String {
    format!("/assets/{}", *CONSENT_TEST_NAME)
}

/// Path of the script of its frames.
pub fn consent_frame() -> String {
    format!("/assets/{}", *CONSENT_FRAME_NAME)
}

/// Path of the icon.
pub fn icon() -> String {
    format!("/assets/{}", *ICON_NAME)
}

/// `GET /assets/HASH.ENDING`: these very bytes for ever.
pub async fn serve(Path(name): Path<String>) -> Response {
    let (kind, content) = match name {
        name if name == *STYLE_NAME => ("text/css; charset=utf-8", STYLE),
        name if name == *LIVE_NAME => (SCRIPT, LIVE),
        name if name == *CONSENT_TEST_NAME => (SCRIPT, CONSENT_TEST),
        name if name == *CONSENT_FRAME_NAME => (SCRIPT, CONSENT_FRAME),
        name if name == *ICON_NAME => ("image/svg+xml", ICON),
        _ => return HttpError::not_found("there is no such file").into_response(),
    };
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (StatusCode::OK, headers, content).into_response()
}
