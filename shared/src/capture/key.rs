//! Whose request it is: the write key, from the places where SDKs put it.
//!
//! Owns the order of those places. Never judges a key and never logs one.

use axum::http::{HeaderMap, header};
use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

/// Longest write key. Unit: bytes.
pub const WRITE_KEY_BYTES_MAX: usize = 256;

/// How the API's tokens begin.
const TOKEN_PREFIX: &str = "tk_";

/// A token has more hexadecimal digits than this, also one that was cut when it was copied.
const TOKEN_DIGITS_MIN: usize = 16;

/// Clients disagree about padding.
pub(super) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// What head and query of a request say about its write key.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct KeyHints {
    /// The user of `Authorization: Basic`.
    basic: Option<String>,
    /// `Authorization: Bearer` is there: the body says more than `X-Write-Key`.
    bearer: bool,
    /// `X-Write-Key`.
    header: Option<String>,
    /// The query's `writeKey`.
    query: Option<String>,
}

impl KeyHints {
    /// Reads the headers and the `writeKey` of the query.
    pub fn read(headers: &HeaderMap, query_key: Option<&str>) -> Self {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let mut hints = Self {
            header: text("x-write-key").and_then(cleaned),
            query: query_key.and_then(cleaned),
            ..Self::default()
        };
        if let Some((scheme, rest)) =
            text(header::AUTHORIZATION.as_str()).and_then(|value| value.trim().split_once(' '))
        {
            if scheme.eq_ignore_ascii_case("basic") {
                hints.basic = BASE64
                    .decode(rest.trim())
                    .ok()
                    .and_then(|bytes| String::from_utf8(bytes).ok())
                    .as_deref()
                    .and_then(cleaned);
            }
            hints.bearer = scheme.eq_ignore_ascii_case("bearer");
        }
        hints
    }

    /// The key, where it cannot depend on the body; so nothing has to be inflated for a key that is refused.
    pub fn before_body(&self) -> Option<&str> {
        self.basic.as_deref().or(if self.bearer {
            None
        } else {
            self.header.as_deref()
        })
    }

    /// The key, with what the body says and what one of its events says; `None`: there is none anywhere.
    pub fn with_body(&self, body_key: Option<&str>, event_key: Option<&str>) -> Option<String> {
        let body = body_key.and_then(cleaned);
        let event = event_key.and_then(cleaned);
        let ordered = match self.bearer {
            true => [
                self.basic.clone(),
                body,
                self.header.clone(),
                self.query.clone(),
                event,
            ],
            false => [
                self.basic.clone(),
                self.header.clone(),
                body,
                self.query.clone(),
                event,
            ],
        };
        ordered.into_iter().flatten().next()
    }
}

/// Whether somebody took an API token for a write key: a token is secret, a write key stands in every page.
pub(super) fn is_token(key: &str) -> bool {
    key.strip_prefix(TOKEN_PREFIX).is_some_and(|rest| {
        rest.len() >= TOKEN_DIGITS_MIN && rest.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

/// The key as others may see it.
pub(super) fn shown(key: &str) -> &str {
    if is_token(key) { TOKEN_PREFIX } else { key }
}

/// The key without the secret or password that may follow a colon; `None` when it can be no key.
fn cleaned(text: &str) -> Option<String> {
    let key = text.split(':').next().unwrap_or_default().trim();
    let fits =
        !key.is_empty() && key.len() <= WRITE_KEY_BYTES_MAX && !key.chars().any(char::is_control);
    fits.then(|| key.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hints(headers: &[(&'static str, &str)], query: Option<&str>) -> KeyHints {
        let headers = headers
            .iter()
            .map(|(name, value)| {
                (
                    header::HeaderName::from_static(name),
                    value.parse().unwrap(),
                )
            })
            .collect();
        KeyHints::read(&headers, query)
    }

    #[test]
    fn a_token_of_the_api_is_known_by_its_form_and_is_not_shown() {
        let token = format!("tk_{}", "1a".repeat(24));
        assert!(is_token(&token) && is_token(&token[..20]));
        assert_eq!(shown(&token), "tk_");
        for key in [
            "wk_7565192372e4023dc02bd093",
            "tk_web",
            "tk_till-of-the-shop-1",
            "",
        ] {
            assert!(!is_token(key));
            assert_eq!(shown(key), key);
        }
    }

    #[test]
    fn the_places_of_a_key_have_an_order() {
        let all = hints(
            &[
                ("authorization", "Basic YmFzaWM6"),
                ("x-write-key", "head:secret"),
            ],
            Some("query"),
        );
        assert_eq!(all.before_body(), Some("basic"));
        assert_eq!(all.with_body(Some("body"), None).as_deref(), Some("basic"));
        let bearer = hints(
            &[
                ("authorization", "Bearer t.o.k"),
                ("x-write-key", "head:secret"),
            ],
            Some("query"),
        );
        assert_eq!(bearer.before_body(), None);
        assert_eq!(
            bearer.with_body(Some("body"), None).as_deref(),
            Some("body")
        );
        assert_eq!(bearer.with_body(None, None).as_deref(), Some("head"));
        let header = hints(&[("x-write-key", "head:secret")], Some("query"));
        assert_eq!(
            header.with_body(Some("head:***"), None).as_deref(),
            Some("head")
        );
        assert_eq!(
            hints(&[], Some("query"))
                .with_body(Some("body"), None)
                .as_deref(),
            Some("body")
        );
        assert_eq!(
            hints(&[], Some("query"))
                .with_body(Some(""), None)
                .as_deref(),
            Some("query")
        );
        assert_eq!(
            hints(&[], Some("query"))
                .with_body(None, Some("app"))
                .as_deref(),
            Some("query")
        );
        assert_eq!(
            hints(&[], None).with_body(None, Some("app")).as_deref(),
            Some("app")
        );
        assert_eq!(hints(&[], None).with_body(None, None), None);
    }

    #[test]
    fn basic_is_read_with_and_without_colon_padding_and_password() {
        for value in [
            "Basic a2V5Og==",
            "basic a2V5Og",
            "Basic a2V5",
            "BASIC  a2V5OnB3",
            " Basic a2V5Og== ",
        ] {
            assert_eq!(
                hints(&[("authorization", value)], None).before_body(),
                Some("key"),
                "{value}"
            );
        }
        for value in [
            "Basic",
            "Basic Og==",
            "Basic !!!",
            "Basic /w==",
            "Digest a2V5",
        ] {
            assert_eq!(
                hints(&[("authorization", value)], None).before_body(),
                None,
                "{value}"
            );
        }
    }

    #[test]
    fn a_text_that_can_be_no_key_is_none() {
        assert_eq!(
            hints(&[], Some(&"k".repeat(WRITE_KEY_BYTES_MAX + 1))).with_body(None, None),
            None
        );
        assert_eq!(hints(&[], Some("a\nb")).with_body(Some("  "), None), None);
    }
}
