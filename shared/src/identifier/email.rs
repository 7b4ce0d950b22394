//! E-mail addresses: lower case, NFC, the domain in ASCII. Dots and plus signs stay: who has `a.b@` need not be `ab@`.
//!
//! Never asks the network whether an address exists.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;

use super::{Identifier, Invalid, Kind, blocked, trim};

/// Longest part before the @ (RFC 5321, 4.5.3.1.1). Unit: bytes.
pub const LOCAL_BYTES_MAX: usize = 64;

/// Longest address that fits a path with its angle brackets (RFC 5321, 4.5.3.1.3). Unit: bytes.
pub const BYTES_MAX: usize = 254;

/// Longest label of a domain (RFC 1035). Unit: bytes.
const LABEL_BYTES_MAX: usize = 63;

pub(super) fn normal_form(text: &str) -> Result<String, Invalid> {
    let text = without_scheme(text);
    if text.chars().any(char::is_control) {
        return Err(Invalid::Control { kind: Kind::Email });
    }
    let (local, domain) = text.split_once('@').ok_or(Invalid::EmailAt)?;
    if local.is_empty() || domain.is_empty() || domain.contains('@') {
        return Err(Invalid::EmailAt);
    }
    let local = lower(local)?;
    check_local(&local)?;
    let domain = domain_to_ascii(domain)?;
    check_domain(&domain)?;
    if local.len() + 1 + domain.len() > BYTES_MAX {
        return Err(Invalid::TooLong {
            kind: Kind::Email,
            bytes_max: BYTES_MAX,
        });
    }
    if blocked::is_blocked_email(&local, &domain) {
        return Err(Invalid::Blocked { kind: Kind::Email });
    }
    let mut value = String::with_capacity(local.len() + 1 + domain.len());
    value.push_str(&local);
    value.push('@');
    value.push_str(&domain);
    Ok(value)
}

/// Without `mailto:` and what may follow the address in such a link.
fn without_scheme(text: &str) -> &str {
    match text.get(..7) {
        Some(scheme) if scheme.eq_ignore_ascii_case("mailto:") => {
            let address = &text[7..];
            trim(address.split('?').next().unwrap_or(address))
        }
        _ => text,
    }
}

fn lower(local: &str) -> Result<Cow<'_, str>, Invalid> {
    if local.is_ascii() {
        return Ok(if local.bytes().any(|b| b.is_ascii_uppercase()) {
            Cow::Owned(local.to_ascii_lowercase())
        } else {
            Cow::Borrowed(local)
        });
    }
    let fold = |text: &str| text.to_lowercase().nfc().collect::<String>();
    let once = fold(local);
    // A few letters have no stable lower case; nobody has such an address.
    if fold(&once) == once {
        Ok(Cow::Owned(once))
    } else {
        Err(Invalid::EmailLocal)
    }
}

/// A dot-atom of RFC 5322, with the letters of RFC 6531. Quoted parts are legal and nobody's.
fn check_local(local: &str) -> Result<(), Invalid> {
    let dots_well = !local.starts_with('.') && !local.ends_with('.') && !local.contains("..");
    let atom = |c: char| match c {
        'a'..='z' | '0'..='9' | '.' | '_' | '-' | '+' => true,
        '!' | '#' | '$' | '%' | '&' | '\'' | '*' | '/' | '=' | '?' | '^' | '`' | '{' | '|'
        | '}' | '~' => true,
        c => !c.is_ascii() && c.is_alphanumeric(),
    };
    if dots_well && local.len() <= LOCAL_BYTES_MAX && local.chars().all(atom) {
        Ok(())
    } else {
        Err(Invalid::EmailLocal)
    }
}

fn domain_to_ascii(domain: &str) -> Result<Cow<'_, str>, Invalid> {
    if domain.is_ascii() {
        return Ok(Cow::Owned(domain.to_ascii_lowercase()));
    }
    let ascii = idna::domain_to_ascii(domain).map_err(|_| Invalid::EmailDomain)?;
    Ok(Cow::Owned(ascii))
}

/// Host name with at least one dot and a top level of letters.
fn check_domain(domain: &str) -> Result<(), Invalid> {
    let label_well = |label: &str| {
        (1..=LABEL_BYTES_MAX).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    let top = domain
        .rsplit_once('.')
        .map(|(_, top)| top)
        .ok_or(Invalid::EmailDomain)?;
    let top_well =
        top.len() >= 2 && (top.bytes().all(|b| b.is_ascii_lowercase()) || top.starts_with("xn--"));
    if top_well && domain.split('.').all(label_well) {
        Ok(())
    } else {
        Err(Invalid::EmailDomain)
    }
}

/// Providers most people have their address at. A typing mistake in one of these names is offered for correction.
const PROVIDERS: [&str; 30] = [
    "gmail.com",
    "hotmail.com",
    "hotmail.es",
    "outlook.com",
    "outlook.es",
    "yahoo.com",
    "yahoo.es",
    "icloud.com",
    "live.com",
    "msn.com",
    "telefonica.net",
    "movistar.es",
    "orange.es",
    "ono.com",
    "me.com",
    "googlemail.com",
    "hotmail.com.ar",
    "yahoo.com.ar",
    "yahoo.com.mx",
    "yahoo.com.br",
    "protonmail.com",
    "proton.me",
    "gmx.com",
    "gmx.es",
    "aol.com",
    "mail.com",
    "ymail.com",
    "live.com.mx",
    "outlook.cl",
    "uol.com.br",
];

/// Real domains that look like a mistake in one of [`PROVIDERS`].
const NEIGHBOURS: [&str; 14] = [
    "hotmail.fr",
    "hotmail.it",
    "hotmail.de",
    "yahoo.fr",
    "yahoo.it",
    "yahoo.de",
    "live.es",
    "live.cl",
    "live.fr",
    "email.com",
    "gmx.de",
    "gmx.net",
    "gmx.at",
    "mac.com",
];

/// The address that was probably meant by a valid one: `ana@gmial.com` was `ana@gmail.com`. Only a guess to show to the
/// person who typed it; nothing is ever corrected silently.
#[must_use]
pub fn suggest(identifier: &Identifier) -> Option<String> {
    let (local, domain) = identifier
        .value
        .split_once('@')
        .filter(|_| identifier.kind == Kind::Email)?;
    if PROVIDERS.contains(&domain) || NEIGHBOURS.contains(&domain) {
        return None;
    }
    let meant = PROVIDERS
        .into_iter()
        .find(|provider| strsim::osa_distance(domain, provider) == 1 && provider.len() >= 7)
        .map(str::to_owned)
        .or_else(|| wrong_top(domain))?;
    Some(format!("{local}@{meant}"))
}

/// Mistakes in the top level, whatever the domain: `.con`, `.ocm`, `.cmo`, and Gmail under a country.
fn wrong_top(domain: &str) -> Option<String> {
    let (name, top) = domain.rsplit_once('.')?;
    match (name, top) {
        ("gmail" | "gmial" | "gamil" | "gmai", _) => Some("gmail.com".to_owned()),
        (_, "con" | "ocm" | "cmo" | "comm" | "vom" | "xom" | "cim" | "coom") => {
            Some(format!("{name}.com"))
        }
        _ => None,
    }
}
