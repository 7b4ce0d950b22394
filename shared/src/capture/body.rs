//! The bytes of a request, made into its text.
//!
//! Owns inflation, its limit, and which text is a text. The content type is never looked at: SDKs put anything there.

use std::io::Read;

use axum::http::{HeaderMap, StatusCode, header};
use bytes::Bytes;
use flate2::read::MultiGzDecoder;

use super::REQUEST_BYTES_MAX;
use crate::{event::EVENT_BYTES_MAX, net::error::HttpError};

/// First bytes of every gzip member (RFC 1952, section 2.3.1).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// Most places of a request that may be no UTF-8; a request with more is in another encoding altogether.
pub const BROKEN_MAX: usize = 1_000;
/// Some clients put it before their JSON.
const BOM: &str = "\u{feff}";

/// Whether the bytes have to be inflated: by what they are, since some clients do not say it in a header and some proxies
/// inflate and leave the header.
pub fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&GZIP_MAGIC)
}

/// Refuses encodings that nobody here reads; `gzip` and `identity` pass, whatever the bytes are.
///
/// # Errors
/// 400: the client will never send anything else.
pub fn check_encoding(headers: &HeaderMap, bytes: &[u8]) -> Result<(), HttpError> {
    let named = headers
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let unread = named
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .find(|coding| {
            !["", "gzip", "x-gzip", "identity"]
                .iter()
                .any(|read| coding.eq_ignore_ascii_case(read))
        });
    match unread {
        Some(coding) if !is_gzip(bytes) => {
            let coding: String = coding.chars().take(40).collect();
            Err(HttpError::bad_request(
                "unknown_encoding",
                format!("content encoding {coding:?} is not read here"),
            )
            .hint("send gzip or plain JSON"))
        }
        _ => Ok(()),
    }
}

/// The text of a request's body.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Text {
    /// The text; U+FFFD stands where it was no UTF-8.
    pub text: String,
    /// Where that is: ascending offsets into `text`.
    pub broken: Vec<usize>,
}

/// The text of a request, inflated to at most [`REQUEST_BYTES_MAX`] however much the bytes promise, without a BOM.
///
/// # Errors
/// 413 over the limit; 400 for broken gzip and for what is no UTF-8 in more than [`BROKEN_MAX`] places.
pub fn text(bytes: Bytes) -> Result<Text, HttpError> {
    let mut plain = if is_gzip(&bytes) {
        inflated(&bytes)?
    } else {
        Vec::from(bytes)
    };
    if plain.starts_with(BOM.as_bytes()) {
        plain.drain(..BOM.len());
    }
    match String::from_utf8(plain) {
        Ok(text) => Ok(Text {
            text,
            broken: Vec::new(),
        }),
        Err(error) => mended(error.as_bytes()),
    }
}

/// One event in another encoding must not cost its neighbours: only what it touches is refused.
fn mended(bytes: &[u8]) -> Result<Text, HttpError> {
    let mut mended = Text::default();
    for chunk in bytes.utf8_chunks() {
        mended.text.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            if mended.broken.len() == BROKEN_MAX {
                return Err(not_utf8(mended.broken[0]));
            }
            mended.broken.push(mended.text.len());
            mended.text.push(char::REPLACEMENT_CHARACTER);
        }
    }
    Ok(mended)
}

/// The answer to a body that is no UTF-8 outside its events.
pub fn not_utf8(at: usize) -> HttpError {
    HttpError::bad_request("not_utf8", format!("the body is not UTF-8 at byte {at}"))
        .hint("send JSON in UTF-8")
}

/// The answer to a body over the limit.
pub fn too_large() -> HttpError {
    let message = format!("a request holds at most {REQUEST_BYTES_MAX} bytes, also when inflated");
    HttpError::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message).hint(format!(
        "send a batch in smaller parts; one event has at most {EVENT_BYTES_MAX} bytes"
    ))
}

fn inflated(bytes: &[u8]) -> Result<Vec<u8>, HttpError> {
    let mut plain = Vec::with_capacity(bytes.len().saturating_mul(4).min(REQUEST_BYTES_MAX + 1));
    let limit = REQUEST_BYTES_MAX as u64 + 1;
    MultiGzDecoder::new(bytes)
        .take(limit)
        .read_to_end(&mut plain)
        .map_err(|error| {
            HttpError::bad_request("bad_gzip", format!("the body is broken gzip: {error}"))
                .hint("compress it again and send all of it")
        })?;
    if plain.len() > REQUEST_BYTES_MAX {
        return Err(too_large());
    }
    Ok(plain)
}
