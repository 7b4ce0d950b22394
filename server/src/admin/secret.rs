//! Secrets for people and programs: made here, shown once, kept only as what proves them.

use argon2::{
    Argon2,
    password_hash::{PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString},
};
use trenza_shared::id::to_hex;

use crate::app::random;

/// Digits and capitals that nobody takes for one another: no 0 O, 1 I L, 5 S, 2 Z, 8 B, U.
const ALPHABET: &[u8; 24] = b"34679ACDEFGHJKMNPQRTWXYV";
/// Characters of an invitation's code: 36 bits, used once within a day over a rate-limited listener.
const CODE_CHARS: usize = 8;
/// Characters of a made password: over 90 bits.
const PASSWORD_CHARS: usize = 20;

/// A secret cannot be made or read.
#[derive(Debug, thiserror::Error)]
#[error("the password cannot be hashed: {0}; report this as a fault")]
pub struct HashError(String);

/// `count` characters of the alphabet, each equally likely.
fn characters(count: usize) -> String {
    // 240 is the greatest multiple of 24 in a byte: what lies above would favour the first characters.
    let mut out = String::with_capacity(count);
    while out.len() < count {
        let fair = random::<64>().into_iter().filter(|byte| *byte < 240);
        out.extend(
            fair.take(count - out.len())
                .map(|byte| char::from(ALPHABET[usize::from(byte) % ALPHABET.len()])),
        );
    }
    out
}

/// In groups, as people read aloud.
fn grouped(text: &str, size: usize) -> String {
    text.as_bytes()
        .chunks(size)
        .map(String::from_utf8_lossy)
        .collect::<Vec<_>>()
        .join("-")
}

/// A new invitation code, `XXXX-XXXX`.
pub fn code() -> String {
    grouped(&characters(CODE_CHARS), 4)
}

/// A new password, in four groups of five.
pub fn password() -> String {
    grouped(&characters(PASSWORD_CHARS), 5)
}

/// A new write key of a source.
pub fn write_key() -> String {
    format!("wk_{}", to_hex(&random::<12>()))
}

/// A new API token.
pub fn token() -> String {
    format!("tk_{}", to_hex(&random::<24>()))
}

/// Under what a token is stored.
pub fn token_hash(token: &str) -> [u8; 32] {
    *blake3::hash(token.as_bytes()).as_bytes()
}

/// Argon2id, as a PHC string. Takes tens of milliseconds: not for an async thread.
///
/// # Errors
/// [`HashError`].
pub fn password_hash(password: &str) -> Result<String, HashError> {
    let salt =
        SaltString::encode_b64(&random::<16>()).map_err(|error| HashError(error.to_string()))?;
    Argon2::default()
        .hash_password(password.as_bytes(), &salt)
        .map(|hash| hash.to_string())
        .map_err(|error| HashError(error.to_string()))
}

/// Whether a password is the one behind a PHC string. Takes tens of milliseconds: not for an async thread.
pub fn password_matches(password: &str, hash: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|hash| {
        Argon2::default()
            .verify_password(password.as_bytes(), &hash)
            .is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_have_their_shape_and_never_repeat() {
        let code = code();
        assert_eq!((code.len(), code.as_bytes()[4]), (9, b'-'));
        assert!(
            code.bytes()
                .all(|byte| byte == b'-' || ALPHABET.contains(&byte)),
            "{code}"
        );
        assert_eq!(password().len(), 23);
        assert_eq!((write_key().len(), token().len()), (27, 51));
        assert_ne!(password(), password());
    }

    #[test]
    fn a_password_is_known_by_its_hash_alone() {
        let hash = password_hash("correct horse").unwrap();
        assert!(hash.starts_with("$argon2id$"), "{hash}");
        assert!(password_matches("correct horse", &hash));
        assert!(!password_matches("wrong horse", &hash) && !password_matches("x", "no hash"));
    }
}
