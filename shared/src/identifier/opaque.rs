//! Ids that mean something only to whoever issued them: logins, accounts, loyalty cards, badges, visitor ids.
//!
//! Logins, accounts and visitor ids keep their case. Cards and badges are printed and typed by people: capitals, without
//! spaces and dashes.

use std::borrow::Cow;

use unicode_normalization::{UnicodeNormalization, is_nfc};

use super::{Invalid, Kind, blocked, is_invisible};

/// Longest opaque id. Unit: bytes of UTF-8.
pub(super) const BYTES_MAX: usize = 256;

pub(super) fn normal_form(kind: Kind, text: &str) -> Result<String, Invalid> {
    if text.chars().any(char::is_control) {
        return Err(Invalid::Control { kind });
    }
    let text: Cow<str> = if is_nfc(text) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.nfc().collect())
    };
    let value = match kind {
        Kind::LoyaltyId | Kind::BadgeId => printed(&text),
        _ => text.into_owned(),
    };
    if value.is_empty() {
        return Err(Invalid::Blocked { kind });
    }
    if value.len() > BYTES_MAX {
        return Err(Invalid::TooLong {
            kind,
            bytes_max: BYTES_MAX,
        });
    }
    if blocked::is_blocked_opaque(&value.to_lowercase()) {
        return Err(Invalid::Blocked { kind });
    }
    Ok(value)
}

/// As on plastic: capitals, nothing between them.
fn printed(text: &str) -> String {
    let bare = text
        .chars()
        .filter(|c| !c.is_whitespace() && !is_dash(*c) && !is_invisible(*c));
    bare.flat_map(char::to_uppercase).nfc().collect()
}

fn is_dash(c: char) -> bool {
    matches!(c, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}')
}
