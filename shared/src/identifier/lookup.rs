//! `KIND:VALUE` in a URL: split at the first colon, percent-decoded, normalised like a captured value.
//!
//! Never looks anything up.

use super::{Document, Identifier, Invalid, Kind, Place, normalise};

/// Reads `KIND:VALUE` as of a URL. The value is percent-decoded; a plus sign stays a plus sign. A national id that is
/// none at `place` is read as one of the other countries known.
///
/// # Errors
/// [`Invalid::LookupColon`], [`Invalid::UnknownKind`], [`Invalid::LookupEncoding`], or what [`normalise`] says.
pub fn parse_lookup(text: &str, place: &Place) -> Result<Identifier, Invalid> {
    let (kind, value) = text.split_once(':').ok_or(Invalid::LookupColon)?;
    let kind: Kind = kind.trim().parse()?;
    let value = decode(value)?;
    let found = match kind {
        // A form decoder has made the plus of an international number a space.
        Kind::Phone if value.starts_with(' ') => {
            normalise(kind, &value.replacen(' ', "+", 1), place)
        }
        _ => normalise(kind, &value, place),
    };
    if kind != Kind::NationalId || found.is_ok() {
        return found;
    }
    // Whoever looks up a document has it from a record: it may be of a country where nobody here is.
    Document::ALL
        .into_iter()
        .find_map(|document| {
            let country = document.country();
            normalise(kind, &value, &Place { country, ..*place }).ok()
        })
        .map_or(found, Ok)
}

/// The inverse of [`parse_lookup`] at the place of the identifier.
pub(super) fn encode(identifier: &Identifier) -> String {
    let mut text = String::with_capacity(identifier.value.len() + 16);
    text.push_str(identifier.kind.name());
    text.push(':');
    for byte in identifier.value.bytes() {
        match byte {
            // RFC 3986 unreserved, and @, which is legal in paths and queries and keeps e-mails readable.
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'@' => {
                text.push(char::from(byte));
            }
            _ => {
                const HEX: &[u8; 16] = b"0123456789ABCDEF";
                text.push('%');
                text.push(char::from(HEX[usize::from(byte >> 4)]));
                text.push(char::from(HEX[usize::from(byte & 15)]));
            }
        }
    }
    text
}

/// Percent-decodes; a % without two hexadecimal digits is itself, so text that was already decoded survives.
fn decode(value: &str) -> Result<String, Invalid> {
    let bytes = value.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let pair = bytes.get(at + 1).zip(bytes.get(at + 2));
        let escaped = pair.and_then(|(high, low)| Some(hex(*high)? << 4 | hex(*low)?));
        match escaped {
            Some(byte) if bytes[at] == b'%' => {
                decoded.push(byte);
                at += 3;
            }
            _ => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8(decoded).map_err(|_| Invalid::LookupEncoding)
}

const fn hex(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}
