//! Style, script and icon: in the binary, under names with their hash, so that a browser may keep them for ever.

use std::sync::LazyLock;

use axum::{
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use trenza_shared::net::{error::HttpError, extract::Path};

struct File {
    name: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
}

const FILES: [File; 3] = [
    File {
        name: "kiosk.css",
        kind: "text/css; charset=utf-8",
        bytes: include_bytes!("../../static/kiosk.css"),
    },
    File {
        name: "kiosk.js",
        kind: "text/javascript; charset=utf-8",
        bytes: include_bytes!("../../static/kiosk.js"),
    },
    File {
        name: "icon.svg",
        kind: "image/svg+xml",
        bytes: include_bytes!("../../static/icon.svg"),
    },
];

/// Name, path, and which of [`FILES`].
static URLS: LazyLock<Vec<(&'static str, String)>> = LazyLock::new(|| {
    let url = |file: &File| {
        let hash = blake3::hash(file.bytes).to_hex();
        let (stem, end) = file.name.rsplit_once('.').unwrap_or((file.name, "bin"));
        (file.name, format!("/static/{stem}.{}.{end}", &hash[..16]))
    };
    FILES.iter().map(url).collect()
});

/// The URL of a file, by its name.
pub fn url(name: &str) -> &'static str {
    URLS.iter()
        .find(|(known, _)| *known == name)
        .map_or("", |(_, url)| url.as_str())
}

/// The variable part of the path.
#[derive(Deserialize)]
pub struct Name {
    file: String,
}

/// `GET /static/{file}`
pub async fn show(Path(Name { file }): Path<Name>) -> Result<Response, HttpError> {
    let wanted = format!("/static/{file}");
    let found = FILES
        .iter()
        .zip(URLS.iter())
        .find(|(_, (_, url))| *url == wanted);
    let (file, _) =
        found.ok_or_else(|| HttpError::not_found("there is no such file; reload the page"))?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(file.kind)),
        (
            header::CACHE_CONTROL,
            HeaderValue::from_static("public, max-age=31536000, immutable"),
        ),
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
    ];
    Ok((headers, file.bytes).into_response())
}
