//! The script for websites, as it is served.
//!
//! Owns its addresses, compression and caching. `/t.js` is asked again often, so that a fix reaches every site; the address
//! with version and hash never changes its bytes.

use std::{
    io::Write,
    sync::{Arc, OnceLock},
};

use axum::{
    extract::{Path, State, rejection::PathRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::Engine as _;
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};

use super::{Options, key::BASE64};
use crate::net::error::HttpError;

/// Hex digits of the hash in the immutable address.
const HASH_DIGITS: usize = 16;
const FRESH: HeaderValue = HeaderValue::from_static(
    "public, max-age=300, stale-while-revalidate=86400, stale-if-error=604800",
);
const IMMUTABLE: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// The snippet and the address of its release.
#[derive(Debug, Clone)]
pub struct Snippet {
    script: Script,
    file: Arc<str>,
}

impl Snippet {
    /// Names it.
    pub fn new(options: Options) -> Self {
        let script = Script::new(Bytes::from_static(options.snippet));
        let file = format!("{}.{}.js", options.snippet_version, script.hash());
        Self {
            script,
            file: file.into(),
        }
    }

    /// The address under which these very bytes are served for ever.
    pub fn immutable_path(&self) -> String {
        format!("/t/{}", self.file)
    }

    /// What a page writes as `integrity`, so that a browser runs these very bytes or none (W3C Subresource Integrity).
    pub fn integrity(&self) -> String {
        let hash = ring::digest::digest(&ring::digest::SHA384, &self.script.0.plain);
        format!("sha384-{}", BASE64.encode(hash.as_ref()))
    }
}

/// A script in the forms that are sent.
#[derive(Debug, Clone)]
pub struct Script(Arc<Forms>);

#[derive(Debug)]
struct Forms {
    plain: Bytes,
    /// Made when somebody asks first, as the hash is: a start does not wait for them.
    gzip: OnceLock<Bytes>,
    hash: OnceLock<String>,
}

impl Script {
    /// Of these bytes.
    pub fn new(plain: Bytes) -> Self {
        Self(Arc::new(Forms {
            gzip: OnceLock::new(),
            hash: OnceLock::new(),
            plain,
        }))
    }

    /// What tells these bytes from others.
    fn hash(&self) -> &str {
        self.0.hash.get_or_init(|| {
            let mut hash = blake3::hash(&self.0.plain).to_string();
            hash.truncate(HASH_DIGITS);
            hash
        })
    }

    /// Under an address whose bytes may change.
    fn newest(&self, asked: &HeaderMap) -> Response {
        self.answer(asked, FRESH)
    }

    fn answer(&self, asked: &HeaderMap, caching: HeaderValue) -> Response {
        let gzip = accepts_gzip(asked);
        let etag = format!("\"{}{}\"", self.hash(), if gzip { "-gz" } else { "" });
        let known = asked
            .get_all(header::IF_NONE_MATCH)
            .iter()
            .filter_map(|value| value.to_str().ok());
        let unchanged = known
            .flat_map(|value| value.split(','))
            .any(|tag| matches!(tag.trim(), "*") || tag.trim().trim_start_matches("W/") == etag);
        let mut response = if unchanged {
            StatusCode::NOT_MODIFIED.into_response()
        } else if gzip {
            let packed = || compressed(&self.0.plain).into();
            let mut response = self.0.gzip.get_or_init(packed).clone().into_response();
            response
                .headers_mut()
                .insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            response
        } else {
            self.0.plain.clone().into_response()
        };
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/javascript; charset=utf-8"),
        );
        headers.insert(header::CACHE_CONTROL, caching);
        headers.insert(
            header::VARY,
            HeaderValue::from_name(header::ACCEPT_ENCODING),
        );
        headers.insert(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        );
        headers.insert(
            "cross-origin-resource-policy",
            HeaderValue::from_static("cross-origin"),
        );
        if let Ok(etag) = HeaderValue::from_str(&etag) {
            headers.insert(header::ETAG, etag);
        }
        response
    }
}

/// A script of somebody else's, the same for everybody.
pub async fn show(State(script): State<Script>, headers: HeaderMap) -> Response {
    script.newest(&headers)
}

/// `GET /t.js`
pub async fn newest(State(snippet): State<Snippet>, headers: HeaderMap) -> Response {
    snippet.script.newest(&headers)
}

/// `GET /t/VERSION.HASH.js`
pub async fn frozen(
    State(snippet): State<Snippet>,
    file: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, HttpError> {
    if !file.is_ok_and(|Path(file)| *file == *snippet.file) {
        let hint = format!(
            "the newest one is {}, and always /t.js",
            snippet.immutable_path()
        );
        return Err(
            HttpError::not_found("there is no such release of the snippet here").hint(hint),
        );
    }
    Ok(snippet.script.answer(&headers, IMMUTABLE))
}

fn compressed(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    // Writing to memory cannot fail.
    encoder
        .write_all(plain)
        .and_then(|()| encoder.finish())
        .unwrap_or_default()
}

/// Whether `Accept-Encoding` names gzip (RFC 9110, section 12.5.3) and not with a weight of nothing.
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let named = headers
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok());
    named.flat_map(|value| value.split(',')).any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let gzip = parts
            .next()
            .is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        let refused = parts.any(|weight| {
            weight
                .strip_prefix("q=")
                .and_then(|q| q.trim().parse::<f32>().ok())
                .is_some_and(|q| q <= 0.0)
        });
        gzip && !refused
    })
}
