//! Values that stand for nobody: what programs write when they have nothing and people when they must write something.
//!
//! Owns the lists, one per kind of value. They are short and certain: a value that is merely shared by many people (an
//! `info@`, a reception's telephone) is not here; `identity` finds those by looking at who holds them.

use super::national_id::Document;

/// Ids that programs write for "nobody". Compared in lower case.
const OPAQUE: [&str; 36] = [
    "null",
    "nil",
    "undefined",
    "none",
    "nan",
    "n/a",
    "na",
    "not set",
    "notset",
    "(not set)",
    "[object object]",
    "true",
    "false",
    "0",
    "-1",
    "anonymous",
    "anonimo",
    "anónimo",
    "guest",
    "invitado",
    "test",
    "prueba",
    "unknown",
    "desconocido",
    "default",
    "empty",
    "user",
    "usuario",
    "id",
    "userid",
    "user_id",
    "anonymousid",
    "xxx",
    "-",
    ".",
    "00000000-0000-0000-0000-000000000000",
];

/// What stands before the @ when nobody reads the mailbox or nobody has one, whatever the domain.
const EMAIL_LOCALS: [&str; 28] = [
    "noreply",
    "no-reply",
    "no_reply",
    "no.reply",
    "donotreply",
    "do-not-reply",
    "no-responder",
    "noresponder",
    "noresponda",
    "mailer-daemon",
    "none",
    "null",
    "undefined",
    "nan",
    "anonymous",
    "anonimo",
    "unknown",
    "desconocido",
    "notiene",
    "no-tiene",
    "no.tiene",
    "notienecorreo",
    "sincorreo",
    "sinemail",
    "sin-email",
    "noemail",
    "nomail",
    "nocorreo",
];

/// What people write on both sides of the @ to get past a form.
const EMAIL_FILLERS: [&str; 14] = [
    "test", "prueba", "asdf", "qwerty", "abc", "foo", "bar", "example", "ejemplo", "email",
    "correo", "mail", "nombre", "user",
];

/// Domains of form fillers. `example.com` is not among them: documentation and rehearsals live there.
const EMAIL_DOMAINS: [&str; 8] = [
    "test.com",
    "test.es",
    "prueba.com",
    "prueba.es",
    "asdf.com",
    "asdf.es",
    "noemail.com",
    "nomail.com",
];

/// Is this lower-cased opaque id one of the well-known empty values, or the same character throughout?
pub(super) fn is_blocked_opaque(lower: &str) -> bool {
    if OPAQUE.contains(&lower) {
        return true;
    }
    let mut signs = lower.chars().filter(|c| c.is_alphanumeric());
    match signs.next() {
        // Nothing but punctuation.
        None => true,
        // "0", "000000", "1111-1111", but not the honest id "7".
        Some(c) if c.is_ascii_digit() => {
            lower.len() > 2 && signs.all(|other| other == c)
                || c == '0' && lower.bytes().all(|b| b == b'0')
        }
        Some(_) => false,
    }
}

/// Is this normalised e-mail nobody's?
pub(super) fn is_blocked_email(local: &str, domain: &str) -> bool {
    let name = domain.split('.').next().unwrap_or(domain);
    EMAIL_LOCALS.contains(&local)
        || EMAIL_DOMAINS.contains(&domain)
        || local == name && (EMAIL_FILLERS.contains(&local) || is_one_character(local))
}

/// Is this number, without its country code, nobody's?
pub(super) fn is_blocked_phone(national: &str) -> bool {
    is_one_character(national) || is_ladder(national) || is_round(national)
}

/// Is this normalised, valid document a well-known filler?
pub(super) fn is_blocked_national_id(document: Document, value: &str) -> bool {
    match document {
        // 12345678Z is the vector of every manual and stays valid.
        Document::EsDni => is_one_character(&value[..value.len() - 1]),
        Document::EsNie => value[1..value.len() - 1].bytes().all(|b| b == b'0'),
        Document::ClRut => value.len() >= 8 && is_one_character(&value[..value.len() - 1]),
        Document::ArCuit => is_one_character(&value[2..10]),
        // The generic keys that Mexico's tax office prescribes for foreigners without one.
        Document::MxCurp => value.starts_with("XEXX010101"),
        Document::BrCpf => is_one_character(value),
    }
}

fn is_one_character(text: &str) -> bool {
    let mut characters = text.chars();
    characters
        .next()
        .is_some_and(|first| characters.all(|c| c == first))
}

/// 123456789, whole. Its reverse is a line that exists in several countries.
fn is_ladder(digits: &str) -> bool {
    digits.len() >= 7 && "1234567890".starts_with(digits)
}

/// 600000000: one digit and then only zeros.
fn is_round(digits: &str) -> bool {
    digits.len() >= 7 && digits.bytes().skip(1).all(|b| b == b'0')
}
